"""Many responses, one design: the matrices are made and multiplied once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from html import escape
from typing import Any

import numpy as np
import pandas as pd

from interlace.arrays import FloatArray
from interlace.errors import FormulaError, MissingValuesError
from interlace.formula.coding import parse_response
from interlace.formula.safe import guarded
from interlace.formula.variables import as_environment, environment_above, evaluate
from interlace.frames.columns import Columns, as_frame
from interlace.modelling.options import check_choice
from interlace.resampling import responses_of
from interlace.resampling.refit import fits

from .model import CrossedLMM

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
    **options: Any,
) -> ManyResults:
    """Fit one model to many responses.

    Parameters
    ----------
    formula : str
        ``"~ x + (1 | g)"``; a left side is replaced by each response in turn.
    data : DataFrame or dict of arrays
        The columns.
    responses : sequence of str, or DataFrame
        Columns of the data or expressions such as ``"np.log(y)"``; or the responses themselves, with the
        rows of the data.
    method : {"REML", "ML"}, default "REML"
        Criterion.
    eval_env : int, mapping or patsy environment, default 0
        Where names that are no columns are looked up: so many frames above the caller.
    **options
        Further keywords of :meth:`CrossedLMM.from_formula`.

    Returns
    -------
    ManyResults
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
    frame, names = _with_responses(as_frame(data), responses)
    values = _values(frame, names, env, options.get("missing", "drop"))
    right = formula.rpartition("~")[2]
    results: dict[str, Any] = {}
    failures: dict[str, str] = {}
    for alike in _missing_alike(values):
        model = CrossedLMM.from_formula(f"{alike[0]} ~ {right}", frame, eval_env=env, **options)
        _fit_alike(model, {name: values[name] for name in alike}, method == "REML", results, failures)
    return ManyResults({name: results[name] for name in names if name in results}, failures)


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
    return frame.assign(**given), quoted


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
