"""Other data for a generalised model: drawn or given; and the fits to them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from interlace.arguments import whole_number
from interlace.arrays import FloatArray
from interlace.design import Design
from interlace.errors import ArgumentError, DesignError, RankDeficiencyError
from interlace.inference import natural_parameters
from interlace.modelling.options import check_choice
from interlace.pls.laplace import LaplaceFit
from interlace.pls.laplace.prediction import draws
from interlace.pls.matrices.basis import independent_columns
from interlace.resampling.bootstrap import Bootstrap
from interlace.resampling.case_bootstrap import outermost, with_levels
from interlace.resampling.checkpoint import checkpoint_of, replicates
from interlace.resampling.engine import Replicate, as_series
from interlace.resampling.response import response_values
from interlace.resampling.simulate import seeds

from .fitting import fit_again, warm
from .record import EstimatedGLMM
from .rows import rows_of_fit

Seed = np.random.SeedSequence


def check_no_frequencies(design: Design, what: str) -> None:
    """Refuse draws of rows that stand for several."""
    if design.weights is not None and (design.weights > 1).any():
        raise DesignError(
            f"{what} draws a response for every row, and freq_weights make rows stand for several; repeat "
            "those rows and fit again"
        )


def draw(design: Design, fit: LaplaceFit, seed: Seed, *, use_u: bool = False) -> FloatArray:
    """Counts for every row of a fit, (n,)."""
    generator = np.random.default_rng(seed)
    return draws(fit, rows_of_fit(design), generator, trials=design.trials, conditional=use_u)


def simulate(self: EstimatedGLMM, nsim: int = 1, *, rng: Any = None, use_u: bool = False) -> pd.DataFrame:
    """Draw responses from the fitted model.

    Parameters
    ----------
    nsim : int, default 1
        Number of data sets.
    rng : int, numpy.random.Generator or similar, optional
        Whatever ``numpy.random.default_rng`` takes.
    use_u : bool, default False
        Keep the conditional modes of the random effects instead of drawing them anew.

    Returns
    -------
    DataFrame of shape (nobs, nsim)
        One response per column, on the index of the data: numbers of successes where there are trials.

    Examples
    --------
    >>> import interlace
    >>> ticks = {"y": [2, 3, 1, 8, 9, 6, 0, 1, 1, 4, 3, 5], "g": list("aaabbbcccddd")}
    >>> interlace.fit("y ~ 1 + (1 | g)", ticks, family="poisson").simulate(3, rng=1).shape
    (12, 3)
    """
    design, fit = self.record.design, self.record.fit
    check_no_frequencies(design, "simulate()")
    drawn = np.column_stack([draw(design, fit, seed, use_u=use_u) for seed in seeds(rng, nsim)])
    return pd.DataFrame(drawn, index=design.index, columns=[f"sim_{j + 1}" for j in range(nsim)])


def refit(self: EstimatedGLMM, y: Any) -> Any:
    """Fit the same model to another response.

    Parameters
    ----------
    y : array_like of shape (nobs,) or Series
        As ``simulate`` gives it: numbers of successes where there are trials. A Series is aligned by its
        index.

    Returns
    -------
    CrossedGLMMResults
        In the wrapper, as from ``model.fit`` but without its warnings.

    Examples
    --------
    >>> import interlace
    >>> ticks = {"y": [2, 3, 1, 8, 9, 6, 0, 1, 1, 4, 3, 5], "g": list("aaabbbcccddd")}
    >>> fit = interlace.fit("y ~ 1 + (1 | g)", ticks, family="poisson")
    >>> fit.refit(fit.simulate(1, rng=1)["sim_1"]).nobs
    12
    """
    design = self.record.design
    values, name = response_values(design, y)
    m = np.ones(len(values)) if design.trials is None else design.trials
    complaint = self.family.complaint(values, m)
    if complaint:
        raise DesignError(f"the response does not suit {self.family.name}: {complaint}")
    found = fit_again(design, self.record.fit, counts=values, start=warm(self.record.fit))
    return self.model.with_counts(values, name).results_of(found)


class GLMMBootstrap(Bootstrap):
    """Replicates of ``params`` or of a statistic; intervals of kind "percentile", "basic" and "normal"."""

    def conf_int(self, alpha: float = 0.05, *, kind: str = "percentile", parm: Any = None) -> pd.DataFrame:
        """Confidence intervals, see the bootstrap of linear models."""
        if kind == "bca":
            raise ArgumentError('kind="bca" is for linear models; give "percentile", "basic" or "normal"')
        return super().conf_int(alpha, kind=kind, parm=parm)


@dataclass(frozen=True, eq=False)
class _Refits:
    """Draws a response, or groups of rows, and fits it; what a worker needs."""

    model: Any
    design: Design
    fit: LaplaceFit
    statistic: Callable[[Any], Any] | None
    use_u: bool
    cases: int | None

    def __call__(self, seeds: Sequence[Seed]) -> list[Replicate]:
        return [self._one(seed) for seed in seeds]

    def _one(self, seed: Seed) -> Replicate:
        try:
            design = self._drawn(seed)
            found = fit_again(design, self.fit, start=warm(self.fit))
            values = self.values(found, design)
        except Exception as error:  # the statistic is the user's: whatever it raises is one failed replicate
            return Replicate(None, failure=f"{type(error).__name__}: {error}")
        return Replicate(values, found.is_singular, found.certificate.certified)

    def _drawn(self, seed: Seed) -> Design:
        if self.cases is None:
            counts = draw(self.design, self.fit, seed, use_u=self.use_u)
            trials = self.design.trials
            return self.design.with_response(counts if trials is None else counts / trials, self.design.yname)
        size = self.design.factors[self.cases].n_levels
        design = with_levels(self.design, self.cases, np.random.default_rng(seed).integers(size, size=size))
        if len(independent_columns(design.X)) < design.X.shape[1]:
            raise RankDeficiencyError("among the groups drawn a column of X depends linearly on the others")
        return design

    def values(self, found: LaplaceFit, design: Design) -> FloatArray:
        """The statistics of a fit."""
        if self.statistic is None:
            return np.concatenate([found.beta, natural_parameters(found.Sigma), found.psi])
        results = self.model.with_design(design).results_of(found)
        return np.asarray(as_series(self.statistic(results)), dtype=float)


def bootstrap(
    self: EstimatedGLMM,
    nsim: int = 1000,
    kind: Literal["parametric", "cases"] = "parametric",
    statistic: Callable[[Any], Any] | None = None,
    n_jobs: int | None = 1,
    rng: Any = None,
    progress: bool = True,
    *,
    groups: str | None = None,
    use_u: bool = False,
    checkpoint: Any = None,
) -> GLMMBootstrap:
    """Fit the model to data sets drawn from the fit.

    Parameters
    ----------
    nsim : int, default 1000
        Number of replicates.
    kind : {"parametric", "cases"}, default "parametric"
        Responses simulated from the fit; or whole groups drawn with replacement.
    statistic : callable, optional
        Function of a result that returns a number, a sequence, a mapping or a Series; by default ``params``.
    n_jobs : int or None, default 1
        Workers, by joblib; None for what ``joblib.parallel_config`` says. The numbers do not depend on it.
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
    GLMMBootstrap
        Replicates, counts of failed, singular and uncertified (also: separated) refits, ``conf_int``.

    Examples
    --------
    >>> import interlace
    >>> ticks = {"y": [2, 3, 1, 8, 9, 6, 0, 1, 1, 4, 3, 5], "g": list("aaabbbcccddd")}
    >>> fit = interlace.fit("y ~ 1 + (1 | g)", ticks, family="poisson")
    >>> fit.bootstrap(5, rng=1).replicates.shape
    (5, 2)
    """
    nsim = whole_number("nsim", nsim, least=1, wanted="the number of replicates")
    design, fit = self.record.design, self.record.fit
    cases = _cases(design, kind, groups, use_u=use_u)
    worker = _Refits(self.model, design, fit, statistic, use_u, cases)
    observed = pd.Series(self.params, index=self.model.data.param_names)
    if statistic is not None:
        observed = as_series(statistic(self.model.results_of(fit)))
    drawn = seeds(rng, nsim)
    told = observed.to_dict()
    kept = checkpoint_of(checkpoint, rng, drawn, kind, groups, use_u, told, self.objective)
    how = {"n_jobs": n_jobs, "progress": progress, "label": f"{kind} bootstrap"}
    done = replicates(worker, drawn, 1, kept, **how)
    values = np.full((len(done), len(observed)), np.nan)
    failures = {}
    for i, one in enumerate(done):
        if one.values is not None and len(one.values) == len(observed):
            values[i] = one.values
        else:
            failures[i] = one.failure or "the statistic has another length than for the fit"
    nothing: Any = None
    return GLMMBootstrap(
        kind=kind,
        observed=observed,
        replicates=pd.DataFrame(values, columns=observed.index),
        n_failed=len(failures),
        n_singular=sum(one.singular for one in done),
        n_uncertified=sum(not one.certified for one in done),
        failures=pd.Series(failures, dtype=object, name="failure"),
        engine=nothing,
    )


def _cases(design: Design, kind: str, groups: str | None, *, use_u: bool) -> int | None:
    """The factor whose levels are drawn; None where responses are."""
    if kind == "residual":
        raise ValueError(
            'kind="residual" draws residuals anew, which counts and categories do not have: their scatter '
            'depends on the mean. Give "parametric" or "cases"'
        )
    check_choice("kind", kind, ("parametric", "cases"))
    if kind == "cases":
        if use_u:
            raise ValueError('use_u=True keeps the random effects with kind="parametric", not with "cases"')
        return outermost(design, groups)
    if groups is not None:
        raise ValueError(f'groups={groups!r} names the levels to draw with kind="cases"')
    check_no_frequencies(design, "bootstrap()")
    return None
