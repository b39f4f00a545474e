"""Power by simulation: studies of several sizes, drawn and tested thousands of times."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, Literal

import numpy as np
import pandas as pd
from scipy import stats

from interlace import pls
from interlace.arrays import FloatArray
from interlace.design import Design
from interlace.errors import ArgumentError, DesignError
from interlace.inference.confidence import check_alpha
from interlace.inference.fixed_terms import fixed_terms
from interlace.inference.satterthwaite import joint_df
from interlace.modelling.options import check_choice
from interlace.parallel import run
from interlace.pls.batch.fits import Spreads, satterthwaite_df
from interlace.pls.batch.many import Estimates, Together, estimates_alone, together
from interlace.pls.matrices.basis import independent_columns
from interlace.pls.rows.other_responses import Responses
from interlace.resampling import responses_of
from interlace.resampling.case_bootstrap import with_levels
from interlace.resampling.simulate import Simulator, generators, seeds

from .assumed import AssumedModel, of_fit
from .figures import draw

# Simulated studies in one task, and numbers held at a time.
TASK, HELD = 500, 4_000_000
# An eigenvalue below this share of the largest belongs to contrasts that depend on one another.
DEPENDENT = 1e-8


@dataclass(frozen=True, eq=False)
class Power:
    """Power of a test in studies of several sizes.

    Attributes
    ----------
    frame : DataFrame
        One row per size: the numbers of levels, ``power`` with its Monte-Carlo interval ``conf_low`` and
        ``conf_high`` (Clopper and Pearson's), ``nsim``, ``n_failed`` (counted as not significant) and
        ``n_singular``.
    pvalues : ndarray of shape (sizes, nsim)
        Of the single studies; NaN where the fit failed.
    effect : str
        What was tested.
    along : tuple of str
        Grouping factors whose numbers of levels vary.
    alpha, level : float
        Size of the test; confidence level of the Monte-Carlo interval.

    Examples
    --------
    >>> import interlace
    >>> fit = interlace.fit("Reaction ~ Days + (Days | Subject)", interlace.datasets.load_sleepstudy())
    >>> options = {"along": "Subject", "nsim": 100, "rng": 1, "progress": False}
    >>> power = interlace.power(fit, "Days", value=5, n=[6, 18], **options)
    >>> power.frame[["Subject", "nsim"]].values.tolist()
    [[6, 100], [18, 100]]
    """

    frame: pd.DataFrame
    pvalues: FloatArray
    effect: str
    along: tuple[str, ...]
    alpha: float
    level: float

    def __repr__(self) -> str:
        reached = f"{self.frame['power'].min():.2f} to {self.frame['power'].max():.2f}"
        return f"<Power of the test of {self.effect}: {len(self.frame)} sizes, {reached}>"

    def plot(self, *, ax: Any = None) -> Any:
        """Draw power against the number of levels, with Monte-Carlo intervals.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; a new figure by default.

        Returns
        -------
        matplotlib.figure.Figure

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        return draw(self.frame, self.along, self.effect, ax)


def power(
    model_or_fit: Any,
    effect: str,
    *,
    n: int | Sequence[int] | Mapping[str, Any] | None = None,
    along: str | None = None,
    value: float | None = None,
    nsim: int = 1000,
    test: Literal["satterthwaite", "normal"] = "satterthwaite",
    alpha: float = 0.05,
    level: float = 0.95,
    rng: Any = None,
    n_jobs: int | None = 1,
    progress: bool = True,
) -> Power:
    """Power of a test of fixed effects, by simulation.

    Parameters
    ----------
    model_or_fit : CrossedLMMResults or AssumedModel
        A pilot study, whose estimates are taken for the truth; or assumed parameters,
        ``interlace.design(...).assume(...)``.
    effect : str
        A fixed effect by name, or a term, whose effects are then tested jointly.
    n : int, sequence of int or dict, optional
        Numbers of levels of the grouping factor ``along``; or a dict with numbers for several factors, of
        which all combinations are tried. The levels of the model are taken in turn, again from the first
        when they have all been used. By default the study as it is.
    along : str, optional
        The grouping factor.
    value : float, optional
        The effect to be detected, in the place of the estimated one.
    nsim : int, default 1000
        Simulated studies of each size.
    test : {"satterthwaite", "normal"}, default "satterthwaite"
        Degrees of freedom of the t or F test of the REML fit.
    alpha : float, default 0.05
        Size of the test.
    level : float, default 0.95
        Confidence level of the Monte-Carlo intervals.
    rng : int, numpy.random.Generator or similar, optional
        Whatever ``numpy.random.default_rng`` takes; every study has a generator of its own.
    n_jobs : int or None, default 1
        Workers, by joblib. The numbers do not depend on it.
    progress : bool, default True
        Show a bar on a terminal, if tqdm is installed.

    Returns
    -------
    Power
        ``.frame``, ``.pvalues`` and ``.plot()``.

    Raises
    ------
    DesignError
        If there is no such effect or factor, or so few levels do not identify the fixed effects.

    See Also
    --------
    interlace.design : Studies without data.

    References
    ----------
    Green & MacLeod (2016), Methods in Ecology and Evolution 7(4): simr, power by simulation from a pilot fit.

    Examples
    --------
    >>> import interlace
    >>> plan = interlace.design(subjects=20, within={"condition": ["a", "b"]}, repeats=4)
    >>> study = plan.assume(
    ...     "y ~ condition + (1 | subject)", fixed={"condition[T.b]": 0.5}, random={"subject": 1.0}, sigma=1.0
    ... )
    >>> found = interlace.power(
    ...     study, "condition[T.b]", n=[10, 40], along="subject", nsim=200, rng=1, progress=False
    ... )
    >>> bool(found.frame["power"].is_monotonic_increasing)
    True
    """
    check_choice("test", test, ("satterthwaite", "normal"))
    check_alpha(alpha)
    check_alpha(1.0 - level)
    if nsim < 1:
        raise ArgumentError(f"nsim={nsim!r}; give the number of simulated studies, at least 1")
    model = of_fit(model_or_fit)
    contrasts = contrasts_of(model.design, effect)
    if value is not None:
        model = _with_value(model, effect, contrasts, value)
    sizes = _sizes(model.design, n, along)
    points = [_point(model, size, contrasts, normal=test == "normal") for size in sizes]
    tasks = _tasks(points, nsim, rng)
    done = run(_Task(points), tasks, n_jobs=n_jobs, progress=progress, label="simulated studies")
    by_point: list[list[_Tested]] = [[] for _ in points]
    for (place, _), one in zip(tasks, done, strict=True):
        by_point[place].append(one)
    return _collected(sizes, by_point, effect, alpha, level)


def contrasts_of(design: Design, effect: str) -> FloatArray:
    """Contrasts of a fixed effect or of a term, (r, p).

    Parameters
    ----------
    design : Design
        The model.
    effect : str
        Name.

    Returns
    -------
    ndarray of shape (r, p)
    """
    names = list(design.xnames)
    if effect in names:
        return np.eye(len(names))[[names.index(effect)]]
    terms = {term.name: term.columns for term in fixed_terms(design)}
    if not terms.get(effect):
        raise DesignError(
            f"effect={effect!r} is no fixed effect and no term; those are {names + list(terms)!r}"
        )
    return np.eye(len(names))[list(terms[effect])]


def _with_value(model: AssumedModel, effect: str, contrasts: FloatArray, value: float) -> AssumedModel:
    if len(contrasts) > 1:
        raise DesignError(
            f"value= is one number, and {effect!r} has {len(contrasts)} effects; name one of them"
        )
    beta = model.beta.copy()
    beta[contrasts[0] != 0.0] = value
    return AssumedModel(model.design, beta, model.roots, model.sigma, model.formula)


def _sizes(design: Design, n: Any, along: str | None) -> list[dict[str, int]]:
    """Numbers of levels per factor, for every size of the study."""
    names = [labels.name for labels in design.factor_labels]
    if n is None:
        if along is not None:
            raise DesignError(f"along={along!r} needs n=: numbers of levels")
        return [{}]
    if not isinstance(n, Mapping):
        if along is None and len(names) > 1:
            raise DesignError(f"n= says how many, and along= must say of which factor: one of {names!r}")
        n = {along or names[0]: n}
    elif along is not None:
        raise DesignError("n= is a dict, which names the factors; leave along= out")
    for name, numbers in n.items():
        if name not in names:
            raise DesignError(f"along={name!r} is no grouping factor of the model; those are {names!r}")
        if min(np.atleast_1d(numbers).tolist(), default=0) < 2:
            raise DesignError(f"n={numbers!r}: at least 2 levels of {name!r} are needed")
    lists = [[int(x) for x in np.atleast_1d(numbers)] for numbers in n.values()]
    return [dict(zip(n, sizes, strict=True)) for sizes in product(*lists)]


@dataclass(frozen=True, eq=False)
class _Point:
    """A study of one size, ready to be simulated."""

    simulator: Simulator
    ready: Responses
    stack: Together | None
    theta: FloatArray
    contrasts: FloatArray
    normal: bool


def _point(model: AssumedModel, size: Mapping[str, int], contrasts: FloatArray, *, normal: bool) -> _Point:
    design = model.design
    for name, count in size.items():
        factor = [labels.name for labels in design.factor_labels].index(name)
        design = with_levels(design, factor, np.arange(count) % design.factors[factor].n_levels)
    if len(independent_columns(design.X)) < design.X.shape[1]:
        raise DesignError(
            f"{dict(size)!r}: these levels do not identify the fixed effects; take more of them"
        )
    sized = AssumedModel(design, model.beta, model.roots, model.sigma)
    anything = np.random.default_rng(0).standard_normal(len(design.y))
    criterion = pls.profiled_criterion(*design.arrays[:3], anything, **design.weighting)
    ready = responses_of(design, criterion)
    return _Point(sized.simulator, ready, together(ready), model.theta, contrasts, normal)


def _tasks(points: Sequence[_Point], nsim: int, rng: Any) -> list[tuple[int, Any]]:
    """Studies of one size in portions, each study with its seed."""
    tasks = []
    for place, (point, seed) in enumerate(zip(points, seeds(rng, len(points)), strict=True)):
        own, width = seeds(seed, nsim), max(1, min(TASK, HELD // len(point.simulator.loc)))
        tasks += [(place, own[start : start + width]) for start in range(0, nsim, width)]
    return tasks


@dataclass(frozen=True, eq=False)
class _Tested:
    """p-values of some studies, and how many fits were singular."""

    pvalues: FloatArray
    n_singular: int


@dataclass(frozen=True, eq=False)
class _Task:
    """What a worker does: draw and test some studies of one size."""

    points: Sequence[_Point]

    def __call__(self, task: tuple[int, Any]) -> _Tested:
        place, seeds_of = task
        point = self.points[place]
        drawn = point.simulator.draw(generators(seeds_of))
        wanted = not point.normal
        if point.stack is None:
            found = estimates_alone(point.ready, drawn, with_spreads=wanted)
        else:
            found = point.stack.estimates(drawn, point.theta, with_spreads=wanted)
        return _Tested(tested(found, point.contrasts), int((found.n_singular > 0).sum()))


def tested(found: Estimates, contrasts: FloatArray) -> FloatArray:
    """p-values of a joint test in many fits.

    Parameters
    ----------
    found : Estimates
        With spreads for Satterthwaite's degrees of freedom; without, the test is by the normal distribution.
    contrasts : ndarray of shape (r, p)
        Tested to be zero.

    Returns
    -------
    ndarray of shape (B,)
        NaN where a fit failed.
    """
    known = np.flatnonzero(np.isfinite(found.sigma2))
    p = np.full(len(found), np.nan)
    if not len(known):
        return p
    covariances = found.vcov_beta[known]
    values, vectors = np.linalg.eigh(contrasts @ covariances @ contrasts.T)
    rows = vectors.transpose(0, 2, 1) @ contrasts
    estimates = (rows @ found.beta[known][:, :, None])[:, :, 0]
    whole = values[:, 0] > DEPENDENT * values[:, -1]
    with np.errstate(divide="ignore", invalid="ignore"):
        statistic = np.mean(estimates**2 / values, axis=1)
    if found.spreads is None:
        tail = stats.chi2.sf(statistic * len(contrasts), len(contrasts))
    else:
        own = Spreads(found.spreads.gradient[known], found.spreads.vcov_varpar[known])
        single = satterthwaite_df(covariances, own, rows)
        df = single[:, 0] if single.shape[1] == 1 else np.array([joint_df(one) for one in single])
        tail = stats.f.sf(statistic, len(contrasts), df)
        tail = np.where(np.isinf(df), stats.chi2.sf(statistic * len(contrasts), len(contrasts)), tail)
    p[known] = np.where(whole, tail, np.nan)
    return p


def _collected(
    sizes: Sequence[Mapping[str, int]],
    by_point: Sequence[Sequence[_Tested]],
    effect: str,
    alpha: float,
    level: float,
) -> Power:
    pvalues = np.array([np.concatenate([one.pvalues for one in own]) for own in by_point])
    nsim, hits = pvalues.shape[1], (pvalues < alpha).sum(axis=1)
    tail = (1.0 - level) / 2.0
    low = np.where(hits > 0, stats.beta.ppf(tail, np.maximum(hits, 1), nsim - hits + 1), 0.0)
    high = np.where(hits < nsim, stats.beta.isf(tail, hits + 1, np.maximum(nsim - hits, 1)), 1.0)
    frame = pd.DataFrame([dict(size) for size in sizes], index=range(len(sizes))).assign(
        power=hits / nsim,
        conf_low=low,
        conf_high=high,
        nsim=nsim,
        n_failed=np.isnan(pvalues).sum(axis=1),
        n_singular=[sum(one.n_singular for one in own) for own in by_point],
    )
    return Power(frame, pvalues, effect, tuple(sizes[0]), alpha, level)
