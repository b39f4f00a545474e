"""The bootstrap: a model fitted again and again, to simulated or resampled data."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from interlace import pls
from interlace.errors import RankDeficiencyError
from interlace.parameters import (
    column_sizes,
    parameter_names,
    parameter_table,
    parameter_values,
    positions,
)
from interlace.pls.basis import independent_columns
from interlace.resampling import cases
from interlace.resampling.intervals import acceleration, intervals
from interlace.resampling.parallel import run
from interlace.resampling.refit import estimates_of, fits, warm_start
from interlace.resampling.residual import Resampler, resampler
from interlace.resampling.simulate import Simulator, generators, seeds, simulator

if TYPE_CHECKING:
    from interlace.design import Design
    from interlace.model import CrossedLMM
    from interlace.pls import PLSFit
    from interlace.pls.refit import Estimates, Responses
    from interlace.results import CrossedLMMResults

FloatArray = NDArray[np.float64]
Kind = Literal["parametric", "residual", "cases"]
Statistic = Callable[[Any], Any]

# Replicates that are fitted as one task, and numbers of simulated responses held at a time. The split must
# not depend on the number of workers: products of differently wide matrices differ in the last digit.
TASK = 50
HELD = 4_000_000


@dataclass(frozen=True, eq=False)
class Replicate:
    """One refit.

    Attributes
    ----------
    values : ndarray of shape (k,) or None
        The statistics; None if there are none.
    singular, certified : bool
        State of the refit.
    failure : str
        Why there are no statistics; empty if there are.
    """

    values: FloatArray | None
    singular: bool = False
    certified: bool = True
    failure: str = ""


@dataclass(frozen=True, eq=False)
class Engine:
    """Everything a worker needs to make replicates.

    Attributes
    ----------
    model : CrossedLMM
        The model, with its rows.
    fit : PLSFit
        Its fit; the criterion is in ``responses``.
    responses : Responses
        The rows, ready for other responses.
    source : Simulator, Resampler or int
        What draws responses; for cases, the position of the factor whose levels are drawn.
    statistic : callable or None
        Of a result; None for all parameters.
    """

    model: CrossedLMM
    fit: PLSFit
    responses: Responses
    source: Simulator | Resampler | int
    statistic: Statistic | None

    def __call__(self, seeds: Sequence[np.random.SeedSequence]) -> list[Replicate]:
        """One replicate per seed."""
        drawing = generators(seeds)
        if isinstance(self.source, int):
            return [self._from_cases(self.source, g) for g in drawing]
        Y = self.source.draw(drawing)
        own = _with_own_factorization(self.responses)
        if self.statistic is None:
            return _of_estimates(estimates_of(own, Y, warm_start(self.fit)), own)
        found = fits(own, Y, warm_start(self.fit))
        return [self._replicate(fit, partial(self._responding, Y, j)) for j, fit in enumerate(found)]

    def _responding(self, Y: FloatArray, j: int) -> CrossedLMM:
        return self.model.with_response(np.ascontiguousarray(Y[:, j]), self.model.design.yname)

    def _from_cases(self, factor: int, generator: np.random.Generator) -> Replicate:
        levels = self.model.design.factors[factor].n_levels
        return self.with_levels(factor, generator.integers(levels, size=levels))

    def with_levels(self, factor: int, levels: Sequence[int] | NDArray[np.intp]) -> Replicate:
        """Replicate for some levels of a factor."""
        design = cases.with_levels(self.model.design, factor, levels)
        try:
            fit: PLSFit | Exception = _fit_design(design, self.fit)
        except (ArithmeticError, ValueError, RuntimeError, np.linalg.LinAlgError) as error:
            fit = error
        return self._replicate(fit, lambda: self.model.with_design(design))

    def _replicate(self, fit: PLSFit | Exception, model: Callable[[], CrossedLMM]) -> Replicate:
        if isinstance(fit, Exception):
            return _failed(fit)
        try:
            values = self.evaluate(fit, model)
        except Exception as error:  # the statistic is the user's: whatever it raises is one failed replicate
            return _failed(error)
        return Replicate(values, singular=fit.is_singular, certified=fit.certificate.certified)

    def evaluate(self, fit: PLSFit, model: Callable[[], CrossedLMM]) -> FloatArray:
        """Compute the statistics of a fit."""
        if self.statistic is None:
            return parameter_values(fit)
        return np.asarray(as_series(self.statistic(model().results_of(fit))), dtype=float)

    def left_out(self) -> FloatArray:
        """Statistics without each level of each factor (for cases: of the factor drawn), (g, k)."""
        design = self.model.design
        chosen = [self.source] if isinstance(self.source, int) else range(len(design.factors))
        found = []
        for f in chosen:
            everyone = np.arange(design.factors[f].n_levels)
            found += [self.with_levels(f, np.delete(everyone, level)).values for level in everyone]
        return np.array([values for values in found if values is not None])


def _failed(error: Exception) -> Replicate:
    return Replicate(None, failure=f"{type(error).__name__}: {error}")


def _of_estimates(found: Sequence[Estimates | Exception], responses: Responses) -> list[Replicate]:
    """Replicates of all parameters; the table is made at once."""
    fitted = [one for one in found if not isinstance(one, Exception)]
    table = iter(parameter_table(fitted, column_sizes(responses.criterion)) if fitted else ())
    return [
        _failed(one)
        if isinstance(one, Exception)
        else Replicate(next(table), singular=one.is_singular, certified=one.certified)
        for one in found
    ]


def _with_own_factorization(responses: Responses) -> Responses:
    """A copy whose criterion may move while another thread works on the original."""
    old = responses.criterion
    own = pls.ProfiledCriterion(old.cp, old.relcov, deepcopy(old.factorization), old.basis, reml=old.reml)
    return replace(responses, criterion=own)


def _fit_design(design: Design, fit: PLSFit) -> PLSFit:
    if len(independent_columns(design.X)) < design.X.shape[1]:
        raise RankDeficiencyError("the rows drawn do not identify all the fixed effects")
    return pls.fit(
        design.factors,
        design.terms,
        design.X,
        design.y,
        weights=design.weights,
        offset=design.offset,
        reml=fit.reml,
        start=warm_start(fit),
    )


def as_series(value: Any) -> pd.Series:
    """Statistics with names, from whatever a user's function returns.

    Parameters
    ----------
    value : Series, mapping, number or sequence of numbers
        What it returned.

    Returns
    -------
    Series
        Of floats.
    """
    if isinstance(value, pd.Series):
        return value.astype(float)
    if isinstance(value, Mapping):
        return pd.Series(dict(value), dtype=float)
    numbers = np.atleast_1d(np.asarray(value, dtype=float)).ravel()
    names = ["statistic"] if len(numbers) == 1 else [f"statistic{i + 1}" for i in range(len(numbers))]
    return pd.Series(numbers, index=names)


@dataclass(frozen=True, eq=False)
class Bootstrap:
    """Replicates of some statistics, and what became of the refits.

    Attributes
    ----------
    kind : {"parametric", "residual", "cases"}
        How the data were drawn.
    observed : Series
        The statistics of the fit.
    replicates : DataFrame
        One row per replicate, NaN where it failed.
    n_failed, n_singular, n_uncertified : int
        Refits that gave no statistics; whose covariance matrix is singular; whose optimum is not certified.
        The latter two are among the replicates.
    failures : Series
        Why the failed ones failed, by replicate.
    """

    kind: str
    observed: pd.Series
    replicates: pd.DataFrame
    n_failed: int
    n_singular: int
    n_uncertified: int
    failures: pd.Series
    engine: Engine

    def __repr__(self) -> str:
        count = len(self.replicates)
        return (
            f"<Bootstrap {self.kind}: {count} replicates of {self.replicates.shape[1]} statistics; "
            f"{self.n_failed} failed, {self.n_singular} singular, {self.n_uncertified} not certified>"
        )

    @property
    def bias(self) -> pd.Series:
        """Mean of the replicates minus the statistic."""
        return self.replicates.mean() - self.observed

    @property
    def bse(self) -> pd.Series:
        """Standard deviation of the replicates."""
        return self.replicates.std()

    def conf_int(self, alpha: float = 0.05, *, kind: str = "percentile", parm: Any = None) -> pd.DataFrame:
        """Confidence intervals.

        Parameters
        ----------
        alpha : float, default 0.05
            The level is ``1 - alpha``.
        kind : {"percentile", "basic", "normal", "bca"}, default "percentile"
            "bca" fits the model once more without each level of the grouping factors, for the acceleration.
        parm : str, int or sequence of them, optional
            Statistics by name or position.

        Returns
        -------
        DataFrame
            Columns 0 and 1: lower and upper limits.
        """
        a = self._acceleration if kind == "bca" else None
        limits = intervals(
            self.observed.to_numpy(), self.replicates.to_numpy(), alpha=alpha, kind=kind, acceleration=a
        )
        chosen = positions(parm, list(self.observed.index))
        return pd.DataFrame(limits, index=self.observed.index).iloc[chosen]

    @cached_property
    def _acceleration(self) -> FloatArray:
        return acceleration(self.engine.left_out())

    def summary_frame(self, alpha: float = 0.05, *, kind: str = "percentile") -> pd.DataFrame:
        """Statistic, bias, standard error and limits.

        Parameters
        ----------
        alpha : float, default 0.05
            The level is ``1 - alpha``.
        kind : str, default "percentile"
            As in :meth:`conf_int`.

        Returns
        -------
        DataFrame
            Columns ``estimate, bias, std_error, conf_low, conf_high``.
        """
        limits = self.conf_int(alpha, kind=kind)
        columns = {
            "estimate": self.observed,
            "bias": self.bias,
            "std_error": self.bse,
            "conf_low": limits[0],
            "conf_high": limits[1],
        }
        return pd.DataFrame(columns)


def bootstrap(
    results: CrossedLMMResults,
    nsim: int,
    *,
    kind: Kind = "parametric",
    statistic: Statistic | None = None,
    groups: str | None = None,
    use_u: bool = False,
    n_jobs: int | None = 1,
    rng: Any = None,
    progress: bool = True,
) -> Bootstrap:
    """Fit a model to ``nsim`` data sets drawn from its fit; see `CrossedLMMResults.bootstrap`.

    Parameters
    ----------
    results : CrossedLMMResults
        The fit.
    nsim, kind, statistic, groups, use_u, n_jobs, rng, progress
        As there.

    Returns
    -------
    Bootstrap
    """
    if nsim < 1:
        raise ValueError(f"nsim={nsim!r}; give the number of replicates, at least 1")
    design = results.model.present_design()
    engine = Engine(
        model=results.model.without_frame(),
        fit=replace(results.pls_fit, criterion=None),  # type: ignore[arg-type]
        responses=results.responses,
        source=_source(kind, design, results.pls_fit, groups, use_u=use_u),
        statistic=statistic,
    )
    observed = _observed(engine, results)
    drawn = seeds(rng, nsim)
    size = max(1, min(TASK, HELD // design.X.shape[0]))
    tasks = [drawn[start : start + size] for start in range(0, nsim, size)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        done = run(engine, tasks, n_jobs=n_jobs, progress=progress, label=f"{kind} bootstrap")
    return _collected(kind, observed, [one for task in done for one in task], engine)


def _source(
    kind: str, design: Design, fit: PLSFit, groups: str | None, *, use_u: bool
) -> Simulator | Resampler | int:
    if kind not in ("parametric", "residual", "cases"):
        raise ValueError(f'kind={kind!r} is no bootstrap; give "parametric", "residual" or "cases"')
    if groups is not None and kind != "cases":
        raise ValueError(f'groups={groups!r} names the levels to draw with kind="cases", not with {kind!r}')
    if use_u and kind != "parametric":
        raise ValueError(f'use_u=True keeps the random effects with kind="parametric", not with {kind!r}')
    if kind == "parametric":
        return simulator(design, fit, use_u=use_u)
    return resampler(design, fit) if kind == "residual" else cases.outermost(design, groups)


def _observed(engine: Engine, results: CrossedLMMResults) -> pd.Series:
    if engine.statistic is not None:
        return as_series(engine.statistic(results.model.results_of(results.pls_fit)))
    return pd.Series(parameter_values(results.pls_fit), index=parameter_names(results.model.design))


def _collected(kind: str, observed: pd.Series, done: Sequence[Replicate], engine: Engine) -> Bootstrap:
    values = np.full((len(done), len(observed)), np.nan)
    failures = {}
    for i, one in enumerate(done):
        if one.values is not None and len(one.values) == len(observed):
            values[i] = one.values
        else:
            failures[i] = one.failure or "the statistic has another length than for the fit"
    return Bootstrap(
        kind=kind,
        observed=observed,
        replicates=pd.DataFrame(values, columns=observed.index),
        n_failed=len(failures),
        n_singular=sum(one.singular for one in done),
        n_uncertified=sum(not one.certified for one in done),
        failures=pd.Series(failures, dtype=object, name="failure"),
        engine=engine,
    )
