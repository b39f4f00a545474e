"""Ten thousand responses and more: estimates and tests as arrays, without an object per fit."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats
from statsmodels.stats.multitest import multipletests

from interlace.arrays import BoolArray, FloatArray
from interlace.design import Design
from interlace.errors import InterlaceError
from interlace.inference.parameters import column_sizes, parameter_arrays, parameter_names
from interlace.parallel import run
from interlace.pls.batch.fits import satterthwaite_df
from interlace.pls.batch.many import Estimates, Together, estimates_alone, together
from interlace.pls.rows.other_responses import Responses
from interlace.resampling import responses_of

from .model import CrossedLMM
from .streams import Stream

# Numbers of responses that are read at a time, and responses at most.
READ, READ_RESPONSES = 4_000_000, 2_000
# Designs of responses that miss the same rows, kept for the responses to come.
KEPT = 8
ARRAYS = ("params", "bse", "df", "random", "theta", "objective", "nobs", "singular", "certified")


@dataclass(frozen=True, eq=False)
class ManyEstimates:
    """Estimates of one model for many responses, as arrays and frames.

    Attributes
    ----------
    responses : Index
        Their names.
    fe_names, re_names, theta_names : list of str
        Fixed effects; standard deviations, correlations and ``sigma``; covariance parameters.
    values : dict of str to ndarray
        Arrays that lead with the response: ``params``, ``bse`` and ``df`` of the fixed effects, ``random``,
        ``theta``, ``objective``, ``nobs``, ``singular``, ``certified``. NaN for those that failed.
    failures : Series of str
        Why there are no estimates, by response.

    Examples
    --------
    >>> import interlace
    >>> sleep = interlace.datasets.load_sleepstudy()
    >>> Y = interlace.fit("Reaction ~ Days + (Days | Subject)", sleep).simulate(50, rng=1).to_numpy()
    >>> fits = interlace.fit_many("~ Days + (Days | Subject)", sleep, Y, progress=False)
    >>> fits
    <ManyEstimates: 50 responses, 1 singular, 0 failed>
    >>> fits.params.shape
    (50, 2)
    """

    responses: pd.Index
    fe_names: list[str]
    re_names: list[str]
    theta_names: list[str]
    values: Mapping[str, Any]
    failures: pd.Series

    def __len__(self) -> int:
        return len(self.responses)

    def __repr__(self) -> str:
        singular = int(self.values["singular"].sum())
        return f"<ManyEstimates: {len(self)} responses, {singular} singular, {len(self.failures)} failed>"

    def _frame(self, name: str, columns: Sequence[str]) -> pd.DataFrame:
        return pd.DataFrame(self.values[name], index=self.responses, columns=list(columns))

    @cached_property
    def params(self) -> pd.DataFrame:
        """Fixed effects, one row per response."""
        return self._frame("params", self.fe_names)

    @cached_property
    def bse(self) -> pd.DataFrame:
        """Their standard errors."""
        return self._frame("bse", self.fe_names)

    @cached_property
    def df(self) -> pd.DataFrame:
        """Degrees of freedom of their t statistics."""
        return self._frame("df", self.fe_names)

    @property
    def tvalues(self) -> pd.DataFrame:
        """Estimates divided by standard errors."""
        return self.params / self.bse

    @cached_property
    def pvalues(self) -> pd.DataFrame:
        """Two-sided p-values."""
        values = two_sided(self.tvalues.to_numpy(), self.values["df"])
        return pd.DataFrame(values, index=self.responses, columns=self.fe_names)

    @cached_property
    def random(self) -> pd.DataFrame:
        """Standard deviations and correlations of the random effects, and ``sigma``."""
        return self._frame("random", self.re_names)

    @cached_property
    def theta(self) -> pd.DataFrame:
        """Covariance parameters relative to sigma, in lme4's order."""
        return self._frame("theta", self.theta_names)

    @cached_property
    def models(self) -> pd.DataFrame:
        """Rows, criterion, and whether each fit is singular and certified."""
        names = ["nobs", "objective", "singular", "certified"]
        return pd.DataFrame({name: self.values[name] for name in names}, index=self.responses)

    def frame(self, term: str) -> pd.DataFrame:
        """Everything about one fixed effect, one row per response.

        Parameters
        ----------
        term : str
            Its name.

        Returns
        -------
        DataFrame
            Columns ``estimate, std_error, statistic, df, p_value``.
        """
        columns = {
            "estimate": self.params[term],
            "std_error": self.bse[term],
            "statistic": self.tvalues[term],
            "df": self.df[term],
            "p_value": self.pvalues[term],
        }
        return pd.DataFrame(columns)

    def adjusted(self, term: str, method: str = "fdr_bh", alpha: float = 0.05) -> pd.DataFrame:
        """Tests of one fixed effect in all responses, adjusted for their number.

        Parameters
        ----------
        term : str
            Its name.
        method : str, default "fdr_bh"
            As statsmodels' ``multipletests`` takes it: "fdr_bh" controls the false discovery rate, "holm" the
            family-wise error.
        alpha : float, default 0.05
            Rate to be controlled.

        Returns
        -------
        DataFrame
            :meth:`frame` with the columns ``p_adjusted`` and ``rejected``; responses that failed count for
            nothing.
        """
        frame = self.frame(term).assign(p_adjusted=np.nan, rejected=False)
        known = frame["p_value"].notna()
        if known.any():
            rejected, adjusted, *_ = multipletests(frame.loc[known, "p_value"], alpha=alpha, method=method)
            frame.loc[known, "p_adjusted"], frame.loc[known, "rejected"] = adjusted, rejected
        return frame


def two_sided(t: FloatArray, df: FloatArray) -> FloatArray:
    """Two-sided p-values of t statistics; infinite degrees of freedom are the normal distribution."""
    finite = np.isfinite(df)
    by_t = 2.0 * stats.t.sf(np.abs(t), np.where(finite, df, 1.0))
    return np.where(finite, by_t, np.where(np.isnan(df), np.nan, 2.0 * stats.norm.sf(np.abs(t))))


@dataclass(frozen=True, eq=False)
class _Design:
    """A design for the responses that miss the same rows."""

    model: CrossedLMM
    ready: Responses
    stack: Together | None
    rows: Any


@dataclass(eq=False)
class Task:
    """What a worker does: read some responses, and fit them together.

    Attributes
    ----------
    stream : Stream
        The responses.
    build : callable
        From rows that are missing to a model without them.
    reml : bool
        Criterion.
    normal : bool
        Whether degrees of freedom are infinite.
    checkpoint : Path or None
        Where finished portions are kept.
    """

    stream: Stream
    build: Callable[[BoolArray], CrossedLMM]
    reml: bool
    normal: bool
    checkpoint: Path | None
    salt: bytes
    kept: dict[bytes, _Design] = field(default_factory=dict)

    def design(self, missing: BoolArray) -> _Design:
        """The design without some rows."""
        key = missing.tobytes()
        if key not in self.kept:
            if len(self.kept) >= KEPT:
                self.kept.pop(next(iter(self.kept)))
            model = self.build(missing)
            own = model.design
            ready = responses_of(own, model.criterion(reml=self.reml))
            rows = slice(None) if own.positions is None else own.positions
            self.kept[key] = _Design(model, ready, together(ready), rows)
        return self.kept[key]

    def __call__(self, bounds: tuple[int, int]) -> dict[str, Any]:
        """Arrays of the responses between two positions, and why some have no estimates."""
        Y = self.stream.columns(*bounds)
        digest = hashlib.sha256(self.salt + Y.tobytes()).hexdigest()
        path = None if self.checkpoint is None else self.checkpoint / f"responses-{bounds[0]:09d}.npz"
        if path is not None and (found := _stored(path, digest)) is not None:
            return found
        found = self.fitted(Y)
        if path is not None:
            _store(path, digest, found)
        return found

    def fitted(self, Y: FloatArray) -> dict[str, Any]:
        """Arrays of some responses."""
        base = self.design(np.zeros(len(Y), dtype=bool)).model.design
        found = _nothing(Y.shape[1], base)
        for columns in _missing_alike(np.isnan(Y)):
            missing = np.isnan(Y[:, columns[0]])
            try:
                self._put(found, columns, self.design(missing), Y, base.xnames)
            except (InterlaceError, ValueError) as error:
                found["failures"] |= dict.fromkeys(columns.tolist(), f"{type(error).__name__}: {error}")
        return found

    def _put(self, found: dict[str, Any], columns: Any, own: _Design, Y: FloatArray, names: Any) -> None:
        values = Y[:, columns][own.rows]
        finite = np.isfinite(values).all(axis=0)
        if not finite.all():
            reason = "DesignError: the response holds infinite values; remove or replace them"
            found["failures"] |= dict.fromkeys(columns[~finite].tolist(), reason)
            columns, values = columns[finite], values[:, finite]
        if not len(columns):
            return
        wanted = not self.normal
        if own.stack is None:
            fits = estimates_alone(own.ready, values, with_spreads=wanted)
        else:
            fits = own.stack.estimates(values, with_spreads=wanted)
        at = [list(names).index(name) for name in own.model.design.xnames]
        _label(found, columns, fits, own, at)


def _label(found: dict[str, Any], columns: Any, fits: Estimates, own: _Design, at: list[int]) -> None:
    """Put estimates where they belong."""
    criterion = own.ready.criterion
    place = np.ix_(columns, at)
    found["params"][place] = fits.beta
    found["bse"][place] = np.sqrt(np.einsum("bpp->bp", fits.vcov_beta))
    found["df"][place] = (
        np.where(np.isnan(fits.beta), np.nan, np.inf)
        if fits.spreads is None
        else satterthwaite_df(fits.vcov_beta, fits.spreads, np.eye(fits.beta.shape[1]))
    )
    covariances = fits.Sigma(criterion.relcov)
    table = parameter_arrays(covariances, fits.sigma2, fits.beta, column_sizes(criterion))
    found["random"][columns] = table[:, : found["random"].shape[1]]
    found["theta"][columns], found["objective"][columns] = fits.theta, fits.objective
    found["nobs"][columns] = criterion.cp.n
    found["singular"][columns], found["certified"][columns] = fits.n_singular > 0, fits.certified
    for j, error in fits.failures.items():
        found["failures"][int(columns[j])] = f"{type(error).__name__}: {error}"


def _nothing(count: int, base: Design) -> dict[str, Any]:
    """Room for the estimates of some responses."""
    p = len(base.xnames)
    m = sum(term.n_theta for term in base.terms)
    widths = {"params": p, "bse": p, "df": p, "random": m + 1, "theta": m}
    found: dict[str, Any] = {name: np.full((count, width), np.nan) for name, width in widths.items()}
    found |= {"objective": np.full(count, np.nan), "nobs": np.zeros(count, dtype=np.intp)}
    found |= {name: np.zeros(count, dtype=bool) for name in ("singular", "certified")}
    return found | {"failures": {}}


def _missing_alike(missing: BoolArray) -> list[Any]:
    """Positions of responses that miss the same rows."""
    if not missing.any():
        return [np.arange(missing.shape[1])]
    groups: dict[bytes, list[int]] = {}
    for j, own in enumerate(missing.T):
        groups.setdefault(own.tobytes(), []).append(j)
    return [np.array(own) for own in groups.values()]


def _stored(path: Path, digest: str) -> dict[str, Any] | None:
    """A finished portion, if it is of the same responses and the same model."""
    if not path.exists():
        return None
    with np.load(path, allow_pickle=False) as file:
        if str(file["digest"]) != digest:
            return None
        failures = dict(zip(file["failed"].tolist(), file["reasons"].tolist(), strict=True))
        return {name: file[name] for name in ARRAYS} | {"failures": failures}


def _store(path: Path, digest: str, found: dict[str, Any]) -> None:
    """Keep a finished portion: the file appears when it is whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    failures = found["failures"]
    with part.open("wb") as file:
        np.savez(
            file,
            digest=np.array(digest),
            failed=np.array(list(failures), dtype=np.intp),
            reasons=np.array(list(failures.values()), dtype=str),
            **{name: found[name] for name in ARRAYS},
        )
    part.replace(path)


def many_estimates(task: Task, *, n_jobs: int | None, progress: bool) -> ManyEstimates:
    """Read and fit all responses of a stream.

    Parameters
    ----------
    task : Task
        What to do with some of them.
    n_jobs, progress
        As for `interlace.fit_many`.

    Returns
    -------
    ManyEstimates
    """
    stream, count = task.stream, len(task.stream.names)
    width = max(1, min(READ_RESPONSES, READ // max(stream.rows, 1)))
    bounds = [(start, min(start + width, count)) for start in range(0, count, width)]
    done = run(task, bounds, n_jobs=n_jobs, progress=progress, label="responses")
    names = pd.Index(stream.names, name="response")
    base = task.design(np.zeros(stream.rows, dtype=bool)).model.design
    parameters = parameter_names(base)
    failures = {
        names[start + j]: reason
        for (start, _), part in zip(bounds, done, strict=True)
        for j, reason in part["failures"].items()
    }
    m = sum(term.n_theta for term in base.terms)
    return ManyEstimates(
        responses=names,
        fe_names=list(base.xnames),
        re_names=parameters[: m + 1],
        theta_names=[f"theta{i + 1}" for i in range(m)],
        values={name: np.concatenate([part[name] for part in done]) for name in ARRAYS},
        failures=pd.Series(failures, dtype=object, name="failure"),
    )
