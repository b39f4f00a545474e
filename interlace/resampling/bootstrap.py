"""The bootstrap: a model fitted again and again, to simulated or resampled data."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import pandas as pd

from interlace.arguments import whole_number
from interlace.arrays import FloatArray
from interlace.design import Design
from interlace.errors import ArgumentError
from interlace.fitted import EstimatedModel
from interlace.inference.parameters import parameter_names, parameter_values, positions
from interlace.inference.undetermined import refuse_undetermined
from interlace.pls import PLSFit

from .case_bootstrap import Cases, outermost
from .checkpoint import checkpoint_of, replicates
from .engine import Engine, Replicate, as_series
from .intervals import acceleration, intervals
from .residual_bootstrap import Resampler, resampler
from .simulate import Simulator, seeds, simulator

Kind = Literal["parametric", "residual", "cases"]

# Replicates that are fitted as one task, one by one or together, and numbers of simulated responses held at a
# time. The split must not depend on the number of workers: products of differently wide matrices differ in
# the last digit.
TASK, TASK_TOGETHER = 50, 250
HELD = 4_000_000


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

    Examples
    --------
    >>> import interlace
    >>> fit = interlace.fit("Reaction ~ Days + (Days | Subject)", interlace.datasets.load_sleepstudy())
    >>> boot = fit.bootstrap(50, rng=1)
    >>> boot.conf_int(parm="Days").round(1)
            0     1
    Days  8.8  13.7
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
    self: EstimatedModel,
    nsim: int = 1000,
    kind: Literal["parametric", "residual", "cases"] = "parametric",
    statistic: Callable[[Any], Any] | None = None,
    n_jobs: int | None = 1,
    rng: Any = None,
    progress: bool = True,
    *,
    groups: str | None = None,
    use_u: bool = False,
    checkpoint: Any = None,
) -> Bootstrap:
    """Fit the model to data sets drawn from the fit.

    Parameters
    ----------
    nsim : int, default 1000
        Number of replicates.
    kind : {"parametric", "residual", "cases"}, default "parametric"
        Responses simulated from the fit; put together from its random effects and residuals, stretched
        to the estimated variances and drawn with replacement; or whole groups drawn with replacement.
    statistic : callable, optional
        Function of a result that returns a number, a sequence, a mapping or a Series; by default all
        standard deviations, correlations and fixed effects.
    n_jobs : int or None, default 1
        Workers, by joblib; None for what ``joblib.parallel_config`` says. The numbers do not depend on
        it.
    rng : int, numpy.random.Generator or similar, optional
        Whatever ``numpy.random.default_rng`` takes; every replicate gets a generator spawned from it.
    progress : bool, default True
        Show a bar on a terminal, if tqdm is installed.
    groups : str, optional
        For ``kind="cases"``: the grouping factor whose levels are drawn; by default the one in which all
        others are nested.
    use_u : bool, default False
        For ``kind="parametric"``: keep the conditional modes of the random effects.
    checkpoint : path, optional
        File in which replicates are kept while they come; the same call with the same ``rng``, which must be
        given, resumes them. After an interrupt (Ctrl-C) those that are there are returned, with a warning.

    Returns
    -------
    Bootstrap
        Replicates, counts of failed and singular refits, intervals by ``conf_int``.

    References
    ----------
    Davison & Hinkley (1997), Bootstrap Methods and their Application, chapters 3 and 5.
    Carpenter, Goldstein & Rasbash (2003), Journal of the Royal Statistical Society C 52, 431-443.

    Examples
    --------
    >>> import interlace
    >>> fit = interlace.fit("Reaction ~ Days + (Days | Subject)", interlace.datasets.load_sleepstudy())
    >>> fit.bootstrap(20, rng=1)
    <Bootstrap parametric: 20 replicates of 6 statistics; 0 failed, 0 singular, 0 not certified>
    """
    nsim = whole_number("nsim", nsim, least=1, wanted="the number of replicates")
    design = self.record.design
    refuse_undetermined(design, self.pls_fit, "a bootstrap")
    engine = Engine(
        model=self.model.without_frame(),
        fit=self.pls_fit.without_criterion(),
        responses=self.responses,
        source=_source(kind, design, self.pls_fit, groups, use_u=use_u),
        statistic=statistic,
    )
    observed = _observed(engine, self)
    drawn = seeds(rng, nsim)
    task = TASK if statistic is not None or kind == "cases" or engine.together is None else TASK_TOGETHER
    size = max(1, min(task, HELD // design.X.shape[0]))
    kept = checkpoint_of(checkpoint, rng, drawn, kind, groups, use_u, observed.to_dict(), self.objective)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        how = {"n_jobs": n_jobs, "progress": progress, "label": f"{kind} bootstrap"}
        done = replicates(engine, drawn, size, kept, **how)
    return _collected(kind, observed, done, engine)


def _source(
    kind: str, design: Design, fit: PLSFit, groups: str | None, *, use_u: bool
) -> Simulator | Resampler | Cases:
    if kind not in ("parametric", "residual", "cases"):
        raise ArgumentError(f'kind={kind!r} is no bootstrap; give "parametric", "residual" or "cases"')
    if groups is not None and kind != "cases":
        raise ArgumentError(
            f'groups={groups!r} names the levels to draw with kind="cases", not with {kind!r}'
        )
    if use_u and kind != "parametric":
        raise ArgumentError(f'use_u=True keeps the random effects with kind="parametric", not with {kind!r}')
    if kind == "parametric":
        return simulator(design, fit, use_u=use_u)
    return resampler(design, fit) if kind == "residual" else Cases(outermost(design, groups))


def _observed(engine: Engine, results: EstimatedModel) -> pd.Series:
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
