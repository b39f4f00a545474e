"""The profile likelihood of a generalised model: every parameter, its limits and pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from interlace.arrays import BoolArray, FloatArray
from interlace.inference.parameters import positions, sds_and_correlations
from interlace.names import sd_cor_names
from interlace.parallel import run
from interlace.pls.laplace import LaplaceFit
from interlace.pls.laplace.held import LaplaceConditional, held_parameters
from interlace.profile.profiled import Profile, grid_of
from interlace.profile.walk import Walk

from .record import EstimatedGLMM, GeneralisedFit, infinite_columns

Parm = str | int | Sequence[str | int] | None

# First steps: of a standard deviation as a share of it and at least, of a correlation, and of a fixed effect
# without a standard error.
SHARE, LEAST, OF_CORRELATION, UNKNOWN = 0.2, 0.1, 0.2, 1.0
# Part of its distance from the estimate to which a limit is found.
RELATIVE = 1e-6


def profile(self: EstimatedGLMM, parm: Parm = None, n_jobs: int | None = 1) -> Profile:
    """Profile likelihood of standard deviations, correlations, fixed effects and the family's parameters.

    Parameters
    ----------
    parm : str, int or sequence of them, optional
        Parameters, named as in ``conf_int(method="profile")``; ``"theta_"`` and ``"beta_"`` stand for the
        random and for the fixed part, as in lme4.
    n_jobs : int or None, default 1
        Workers, by joblib.

    Returns
    -------
    Profile
        ``.table``, ``.conf_int()`` and ``.plot("zeta" | "density" | "pairs")``. Under separation an infinite
        estimate has one finite limit; fixed effects that are then undetermined are left out.

    References
    ----------
    Bates, Maechler, Bolker & Walker (2015), Journal of Statistical Software 67(1), section 5.1.

    Examples
    --------
    >>> import interlace
    >>> ticks = {"y": [2, 3, 1, 8, 9, 6, 0, 1, 1, 4, 3, 5], "g": list("aaabbbcccddd")}
    >>> fit = interlace.fit("y ~ 1 + (1 | g)", ticks, family="poisson")
    >>> fit.profile().conf_int().round(2)
                         0     1
    sd_(Intercept)|g  0.30  2.16
    Intercept        -0.21  2.04
    """
    names = profile_names(self)
    return profiled(self.record, names, _places(self, names, parm), n_jobs=n_jobs)


def profile_names(results: EstimatedGLMM) -> list[str]:
    """Names of all the parameters: of standard deviations and correlations lme4's."""
    return [*sd_cor_names(_terms(results)), *results.fe_names, *results.model.data.more_names]


def _terms(results: EstimatedGLMM) -> list[tuple[str, tuple[str, ...]]]:
    labels = results.record.design.factor_labels
    return [(labels[term.factor].name, term.columns) for term in results.record.design.term_labels]


def _places(results: EstimatedGLMM, names: Sequence[str], parm: Parm) -> list[int]:
    """Positions of the parameters asked for."""
    m, p = len(results.theta), results.k_fe
    groups: dict[Any, list[Any]] = {"theta_": list(range(m)), "beta_": list(range(m, m + p))}
    asked = [parm] if isinstance(parm, str | int) else parm
    if asked is None:
        return list(range(len(names)))
    return positions([one for given in asked for one in groups.get(given, [given])], names)


def profiled(
    record: GeneralisedFit,
    names: Sequence[str],
    places: Sequence[int],
    *,
    n_jobs: int | None = 1,
    grid: bool = True,
) -> Profile:
    """Profile some parameters of a fit.

    Parameters
    ----------
    record : GeneralisedFit
        The fit, with its rows.
    names : sequence of str
        From `profile_names`.
    places : sequence of int
        Parameters, as positions there.
    n_jobs : int or None
        Workers, by joblib.
    grid : bool
        Compute the points of the table.

    Returns
    -------
    Profile
    """
    fit, m = record.present(), len(record.fit.theta)
    lost = {m + j for j in infinite_columns(fit) if record.recession_signs()[j] == 0.0}
    places = [at for at in dict.fromkeys(places) if at not in lost]
    task = _Task(fit, _first_steps(record), record.recession_signs(), grid=grid)
    walked = run(task, list(places), n_jobs=n_jobs)
    return Profile(
        estimates=pd.Series(parameters(_optimum(fit)), index=list(names)),
        deviance=fit.objective,
        walks={names[i]: walk for i, (walk, _) in zip(places, walked, strict=True)},
        grids={names[i]: values for i, (_, values) in zip(places, walked, strict=True)},
        describe=parameters,
    )


def _optimum(fit: LaplaceFit) -> LaplaceConditional:
    return LaplaceConditional(fit.objective, fit.at.x, fit.Lambda, fit.beta, fit.psi)


def parameters(found: LaplaceConditional) -> FloatArray:
    """Standard deviations and correlations, fixed effects, parameters of the family at a point."""
    covariances = [root @ root.T for root in found.Lambda]
    return np.concatenate([sds_and_correlations(covariances), found.beta, found.psi])


def _first_steps(record: GeneralisedFit) -> FloatArray:
    """A guess of a standard error for each parameter; the walk corrects it at once."""
    fit, m = record.fit, len(record.fit.theta)
    steps = np.sqrt(np.diag(record.covariance()))
    rest = np.concatenate([steps[: fit.p], steps[fit.p + m :]])
    sds = np.maximum(SHARE * parameters(_optimum(fit))[:m], LEAST)
    random = np.where(_are_sds(fit), sds, OF_CORRELATION)
    return np.concatenate([random, np.where(np.isfinite(rest), rest, UNKNOWN)])


def _are_sds(fit: LaplaceFit) -> BoolArray:
    """Which covariance parameters are standard deviations; the others are correlations, (m,)."""
    return np.concatenate([structure.diagonal for structure in fit.problem.criterion.relcov.structures])


@dataclass(frozen=True, eq=False)
class _Task:
    """What a worker does: walk along one parameter."""

    fit: LaplaceFit
    steps: FloatArray
    signs: FloatArray
    grid: bool

    def __call__(self, position: int) -> tuple[Walk, FloatArray]:
        walk = self.walk(position)
        return walk, grid_of(walk) if self.grid else np.array([walk.estimate])

    def walk(self, position: int) -> Walk:
        """A walk along one parameter, from the estimate."""
        fit, m = self.fit, len(self.fit.theta)
        best = _optimum(fit)
        held = held_parameters(fit.problem, fit.at.x, fit.at.guess)[position]
        estimate = float(parameters(best)[position])
        lower, upper = self._range(position)
        effect = position - m
        endless = float(self.signs[effect]) if 0 <= effect < fit.p else 0.0
        walk = Walk(
            held=held,
            estimate=0.0 if np.isnan(estimate) else estimate,
            least=fit.objective,
            lower=lower,
            upper=upper,
            scale=float(self.steps[position]),
            endless=endless,
            relative=RELATIVE,
        )
        walk.begin(held.start(fit.at.x), best)
        return walk

    def _range(self, position: int) -> tuple[float, float]:
        if position >= len(self.fit.theta):
            return -np.inf, np.inf
        return (0.0, np.inf) if _are_sds(self.fit)[position] else (-1.0, 1.0)


# ---- limits ------------------------------------------------------------------------------------


def profile_limits(
    self: EstimatedGLMM, alpha: float, parm: Parm = None, *, n_jobs: int | None = 1
) -> pd.DataFrame:
    """Profile likelihood intervals.

    Parameters
    ----------
    alpha : float
        The level is ``1 - alpha``.
    parm : str, int or sequence of them, optional
        Parameters; those of variances by their names in ``params``, too, whose limits are squares of those
        of the standard deviation.
    n_jobs : int or None, default 1
        Workers, by joblib.

    Returns
    -------
    DataFrame
        Columns 0 and 1; NaN for fixed effects that are undetermined.
    """
    names, variances = profile_names(self), _variances(self)
    asked = names if parm is None else [parm] if isinstance(parm, str | int) else list(parm)
    own = [_places(self, names, variances.get(str(one), one)) for one in asked]
    found = profiled(self.record, names, [at for some in own for at in some], n_jobs=n_jobs, grid=False)
    limits = found.conf_int(alpha)
    rows = {}
    for label, places in zip(asked, own, strict=True):
        for at in places:
            pair = limits.reindex([names[at]]).to_numpy()[0]
            square = label in variances
            rows[label if square else names[at]] = pair**2 if square else pair
    table = pd.DataFrame.from_dict(rows, orient="index", columns=[0, 1])
    table.attrs["notes"] = limits.attrs["notes"]
    return table


def _variances(results: EstimatedGLMM) -> dict[Any, str]:
    """The standard deviation behind each variance of ``params``."""
    sds = [name for name in sd_cor_names(_terms(results)) if name.startswith("sd_")]
    return dict(zip([name for name in results.variance_names if name.endswith(" Var")], sds, strict=True))
