"""Many responses, one design: the matrices are made and multiplied once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from html import escape
from os import PathLike
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from interlace.arrays import BoolArray, FloatArray
from interlace.design import Design
from interlace.errors import FormulaError, MissingValuesError
from interlace.formula.coding import parse_response
from interlace.formula.safe import guarded
from interlace.formula.variables import as_environment, environment_above, evaluate
from interlace.frames.columns import Columns, as_frame
from interlace.modelling.options import check_choice
from interlace.resampling import responses_of
from interlace.resampling.refit import fits

from .many_arrays import Task, many_estimates
from .model import CrossedLMM
from .streams import Stream, is_streamed, stream_of

# The name of a response that stands for all in the formula.
ANY_RESPONSE = "any_response"
# Numbers of responses held at a time as one matrix.
HELD = 4_000_000


@dataclass(frozen=True, eq=False)
class ManyResults:
    """Fits of one model to many responses.

    Attributes
    ----------
    results : dict of str to CrossedLMMResults
        By response; those that could not be fitted are missing.
    failures : dict of str to str
        Why they could not.

    Examples
    --------
    >>> import interlace
    >>> sleep = interlace.datasets.load_sleepstudy()
    >>> fits = interlace.fit_many("~ Days + (Days | Subject)", sleep, ["Reaction"])
    >>> fits.models[["nobs", "sigma"]].round(3)
              nobs   sigma
    response
    Reaction   180  25.592
    """

    results: Mapping[str, Any]
    failures: Mapping[str, str]

    def __repr__(self) -> str:
        singular = sum(result.is_singular for result in self.results.values())
        return f"<ManyResults: {len(self.results)} fitted, {singular} singular, {len(self.failures)} failed>"

    def __len__(self) -> int:
        return len(self.results)

    def __iter__(self) -> Iterator[str]:
        return iter(self.results)

    def __getitem__(self, response: str) -> Any:
        return self.results[response]

    def _repr_html_(self) -> str:
        """What a notebook shows: ``models``, and why others could not be fitted."""
        failed = "".join(
            f"<li>{escape(name)}: {escape(reason)}</li>" for name, reason in self.failures.items()
        )
        table = str(self.models.to_html()) if self.results else ""
        return f"<p>{escape(repr(self))}</p>\n{table}" + (f"\n<ul>{failed}</ul>" if failed else "")

    @cached_property
    def frame(self) -> pd.DataFrame:
        """``tidy()`` of every fit below one another, with the column ``response`` first."""
        pieces = [result.tidy().assign(response=name) for name, result in self.results.items()]
        if not pieces:
            return pd.DataFrame(columns=["response"])
        whole = pd.concat(pieces, ignore_index=True)
        return whole[["response", *whole.columns.drop("response")]]

    @cached_property
    def models(self) -> pd.DataFrame:
        """``glance()`` of every fit, one row per response."""
        pieces = [result.glance() for result in self.results.values()]
        return pd.concat(pieces, ignore_index=True).set_index(pd.Index(list(self.results), name="response"))


def fit_many(
    formula: str,
    data: Any,
    responses: Sequence[str] | pd.DataFrame,
    *,
    method: str = "REML",
    eval_env: Any = 0,
    arrays: bool | None = None,
    names: Sequence[str] | None = None,
    ddf: Literal["satterthwaite", "normal"] = "satterthwaite",
    checkpoint: str | PathLike[str] | None = None,
    n_jobs: int | None = 1,
    progress: bool = True,
    **options: Any,
) -> Any:
    """Fit one model to many responses.

    Parameters
    ----------
    formula : str
        ``"~ x + (1 | g)"``; a left side is replaced by each response in turn.
    data : DataFrame or dict of arrays
        The columns.
    responses : sequence of str, DataFrame, array of shape (n, r), path or callable
        Columns of the data or expressions such as ``"np.log(y)"``; or the responses themselves, with the
        rows of the data. Arrays need not be in memory: NumPy's memory maps and those of Zarr or h5py are read
        some columns at a time, and so are ``.npy`` and ``.parquet`` files, and whatever a function of two
        positions, start and stop, returns.
    method : {"REML", "ML"}, default "REML"
        Criterion.
    eval_env : int, mapping or patsy environment, default 0
        Where names that are no columns are looked up: so many frames above the caller.
    arrays : bool, optional
        Return arrays instead of one result per response; by default for arrays, files and functions. Ten
        thousand and more small fits are then made together.
    names : sequence of str, optional
        Names of responses that come without; a function must have them.
    ddf : {"satterthwaite", "normal"}, default "satterthwaite"
        Degrees of freedom, where arrays are returned.
    checkpoint : path, optional
        Folder in which finished portions are kept, where arrays are returned: the same call, made again after
        an interruption, goes on where it stopped.
    n_jobs : int or None, default 1
        Workers, by joblib, where arrays are returned.
    progress : bool, default True
        Show a bar on a terminal, if tqdm is installed.
    **options
        Further keywords of :meth:`CrossedLMM.from_formula`.

    Returns
    -------
    ManyResults or ManyEstimates
        Responses that miss the same rows share matrices, cross-products and factorization.

    Examples
    --------
    >>> import interlace
    >>> sleep = interlace.datasets.load_sleepstudy()
    >>> fits = interlace.fit_many("~ Days + (Days | Subject)", sleep, ["Reaction", "np.log(Reaction)"])
    >>> fits
    <ManyResults: 2 fitted, 0 singular, 0 failed>
    >>> fits["Reaction"].fe_params.round(3).to_dict()
    {'Intercept': 251.405, 'Days': 10.467}
    """
    check_choice("method", method, ("REML", "ML"))
    env = guarded(environment_above(eval_env), safe=options.get("safe_formula", False))
    check_choice("ddf", ddf, ("satterthwaite", "normal"))
    streamed = is_streamed(responses)
    if arrays is False and streamed:
        raise FormulaError("arrays=False makes a result per response; give these as a DataFrame or by name")
    if streamed or arrays:
        stream = _streamed(as_frame(data), responses, names, env, options)
        folder = None if checkpoint is None else Path(checkpoint)
        task = _task(stream, formula, as_frame(data), method, ddf, folder, env, options)
        return many_estimates(task, n_jobs=n_jobs, progress=progress)
    frame, columns = _with_responses(as_frame(data), responses)
    return _one_by_one(formula, frame, columns, method, env, options)


def _one_by_one(
    formula: str,
    frame: pd.DataFrame,
    names: Sequence[str],
    method: str,
    env: Any,
    options: dict[str, Any],
) -> ManyResults:
    """A result per response."""
    values = _values(frame, names, env, options.get("missing", "drop"))
    right = formula.rpartition("~")[2]
    results: dict[str, Any] = {}
    failures: dict[str, str] = {}
    for alike in _missing_alike(values):
        model = CrossedLMM.from_formula(f"{alike[0]} ~ {right}", frame, eval_env=env, **options)
        _fit_alike(model, {name: values[name] for name in alike}, method == "REML", results, failures)
    return ManyResults({name: results[name] for name in names if name in results}, failures)


def _streamed(
    frame: pd.DataFrame, responses: Any, names: Sequence[str] | None, env: Any, options: Mapping[str, Any]
) -> Stream:
    """Responses, however they were given, as something to read from."""
    if is_streamed(responses):
        return stream_of(responses, len(frame), names)
    if isinstance(responses, pd.DataFrame):
        given = [str(name) for name in responses.columns] if names is None else names
        return stream_of(responses.to_numpy(dtype=float), len(frame), given)
    whole, columns = _with_responses(frame, responses)
    values = _values(whole, columns, env, options.get("missing", "drop"))
    return stream_of(np.column_stack(list(values.values())), len(frame), names or columns)


def _task(
    stream: Stream,
    formula: str,
    frame: pd.DataFrame,
    method: str,
    ddf: str,
    checkpoint: Path | None,
    env: Any,
    options: dict[str, Any],
) -> Task:
    """What to do with some of the responses."""
    right = formula.rpartition("~")[2]
    build = partial(_without, frame, right, env, options)
    salt = repr((right, method, ddf, sorted(options), stream.rows)).encode()
    salt += b"".join(array.tobytes() for array in _seen(build(np.zeros(len(frame), dtype=bool)).design))
    return Task(stream, build, method == "REML", ddf == "normal", checkpoint, salt)


def _without(
    frame: pd.DataFrame, right: str, env: Any, options: dict[str, Any], missing: BoolArray
) -> CrossedLMM:
    """The model for responses that miss some rows."""
    # Any response will do for what all of them share; one that cannot be fitted would not.
    anything = np.random.default_rng(0).standard_normal(len(frame))
    anything[missing] = np.nan
    own = frame.assign(**{ANY_RESPONSE: anything})
    return CrossedLMM.from_formula(f"{ANY_RESPONSE} ~ {right}", own, eval_env=env, **options)


def _seen(design: Design) -> list[Any]:
    """The arrays that a fit depends on, without the response."""
    weighting = [array for array in design.weighting.values() if array is not None]
    codes = [factor.codes for factor in design.factors]
    return [design.X, *codes, *(term.Xi for term in design.terms), *weighting]


def _with_responses(frame: pd.DataFrame, responses: Any) -> tuple[pd.DataFrame, list[str]]:
    if not isinstance(responses, pd.DataFrame):
        names = [responses] if isinstance(responses, str) else list(responses)
        if not names:
            raise FormulaError("responses= is empty; name the columns to fit")
        return frame, names
    if len(responses) != len(frame):
        raise FormulaError(f"responses= has {len(responses)} rows and the data {len(frame)}; wanted as many")
    given = {f"{name}": responses[name].to_numpy() for name in responses.columns}
    quoted = [name if name.isidentifier() else f"Q({name!r})" for name in given]
    added = pd.DataFrame(given, index=frame.index)
    return pd.concat([frame.drop(columns=[*given], errors="ignore"), added], axis=1), quoted


def _values(frame: pd.DataFrame, names: Sequence[str], env: Any, missing: str) -> dict[str, FloatArray]:
    """Each response on all rows of the frame, NaN where it is missing."""
    columns, environment = Columns(frame), as_environment(env)
    values = {}
    for name in names:
        variable = evaluate(parse_response(name), columns, environment)
        own = np.array(variable.values, dtype=float).reshape(len(frame), -1)[:, 0]
        own[variable.missing] = np.nan
        values[name] = own
    gaps = [name for name, own in values.items() if np.isnan(own).any()]
    if gaps and missing != "drop":
        raise MissingValuesError(f"responses {gaps!r} have missing values; use missing='drop', or fill them")
    return values


def _missing_alike(values: Mapping[str, FloatArray]) -> list[list[str]]:
    """Responses grouped by the rows they miss."""
    groups: dict[bytes, list[str]] = {}
    for name, own in values.items():
        groups.setdefault(np.isnan(own).tobytes(), []).append(name)
    return list(groups.values())


def _fit_alike(
    model: CrossedLMM,
    values: Mapping[str, FloatArray],
    reml: bool,
    results: dict[str, Any],
    failures: dict[str, str],
) -> None:
    design = model.design
    rows = slice(None) if design.positions is None else design.positions
    # Any response will do for what all of them share; one that cannot be fitted would not.
    anything = np.random.default_rng(0).standard_normal(len(design.index))
    ready = responses_of(design, model.with_response(anything, "").criterion(reml=reml))
    names = list(values)
    step = max(1, HELD // len(design.index))
    for start in range(0, len(names), step):
        own = names[start : start + step]
        Y = np.column_stack([values[name][rows] for name in own])
        for j, (name, fit) in enumerate(zip(own, fits(ready, Y, None), strict=True)):
            if isinstance(fit, Exception):
                failures[name] = f"{type(fit).__name__}: {fit}"
            else:
                y = np.ascontiguousarray(Y[:, j])
                results[name] = model.with_response(y, name).results_of(fit)
