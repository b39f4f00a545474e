"""The profile of a fit: a table, intervals, plots."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import pandas as pd
from scipy import stats

from interlace.arrays import FloatArray
from interlace.fitted import EstimatedModel, Fitted
from interlace.inference.confidence import check_alpha
from interlace.inference.parameters import parameter_names, positions
from interlace.inference.undetermined import refuse_undetermined
from interlace.parallel import run

from . import figures
from .deviance import Likelihoods, likelihoods, parameters
from .walk import Walk

# How far a profile goes, as the confidence level of its ends, and points on either side: as in lme4.
REACH = 0.99
POINTS = 8


@dataclass(frozen=True, eq=False)
class Profile:
    """Profile likelihood: the deviance as a function of each parameter, the others at their best.

    Attributes
    ----------
    estimates : Series
        Maximum likelihood estimates of all the parameters (also where the fit was by REML, as in lme4).
    deviance : float
        There.
    walks : dict of str to Walk
        The parameters profiled.
    grids : dict of str to ndarray
        Values in the table, per parameter.
    describe : callable
        All the parameters at a point of a walk.

    References
    ----------
    Bates, Maechler, Bolker & Walker (2015), Journal of Statistical Software 67(1), section 5.1.

    Examples
    --------
    >>> import interlace
    >>> fit = interlace.fit("Reaction ~ Days + (Days | Subject)", interlace.datasets.load_sleepstudy())
    >>> profile = fit.profile("sigma")
    >>> profile.table[["value", "zeta", "deviance"]].iloc[[0, 8]].round(3)
        value   zeta  deviance
    0  22.153 -2.572  1758.556
    8  25.592  0.000  1751.939
    """

    estimates: pd.Series
    deviance: float
    walks: Mapping[str, Walk]
    grids: Mapping[str, FloatArray]
    describe: Callable[[Any], FloatArray] = parameters

    def __repr__(self) -> str:
        return f"<Profile of {', '.join(self.walks)}: {len(self.table)} points>"

    @cached_property
    def table(self) -> pd.DataFrame:
        """One row per point: ``parameter, value, zeta, deviance``, then all the parameters there."""
        rows = []
        for name, walk in self.walks.items():
            for value in self.grids[name]:
                found = walk.at(value)
                others = dict(zip(self.estimates.index, self.describe(found), strict=True))
                row = {
                    "parameter": name,
                    "value": value,
                    "zeta": walk.zeta(value),
                    "deviance": found.deviance,
                }
                rows.append(row | others | {name: value})
        return pd.DataFrame(rows)

    def conf_int(self, alpha: float = 0.05, *, parm: Any = None) -> pd.DataFrame:
        """Profile confidence intervals.

        Parameters
        ----------
        alpha : float, default 0.05
            The level is ``1 - alpha``: limits are where the deviance exceeds its minimum by the quantile of
            the chi-squared distribution with one degree of freedom.
        parm : str, int or sequence of them, optional
            Some of the parameters profiled.

        Returns
        -------
        DataFrame
            Columns 0 and 1; found as roots of the deviance, not interpolated. A limit at the end of a
            parameter's range (0 for a standard deviation, -1 or 1 for a correlation) is that end, and
            ``.attrs["notes"]`` says so. NaN where the profile never crosses.
        """
        names = list(self.walks)
        chosen = [names[i] for i in positions(parm, names)]
        check_alpha(alpha)
        target = float(np.sqrt(stats.chi2.isf(alpha, 1)))
        limits, notes = [], []
        for name in chosen:
            ends = [self.walks[name].crossing(sign * target) for sign in (-1.0, 1.0)]
            limits.append([value for value, _ in ends])
            notes += _notes(name, ends, alpha)
        frame = pd.DataFrame(limits, index=chosen)
        frame.attrs["notes"] = tuple(notes)
        return frame

    def plot(
        self, kind: Literal["zeta", "density", "pairs"] = "zeta", *, parm: Any = None, ax: Any = None
    ) -> Any:
        """Draw the profile.

        Parameters
        ----------
        kind : {"zeta", "density", "pairs"}, default "zeta"
            Signed root of the deviance against each parameter (straight where the likelihood is normal); the
            densities that it implies; or contours of the likelihood for each pair of parameters with the
            profile traces.
        parm : str, int or sequence of them, optional
            Some of the parameters profiled.
        ax : matplotlib Axes, optional
            Where to draw the picture of one parameter; a new figure by default.

        Returns
        -------
        matplotlib.figure.Figure

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            For another ``kind``, or several parameters for one ``ax``.
        """
        names = list(self.walks)
        chosen = [names[i] for i in positions(parm, names)]
        return figures.draw(kind, self.table, chosen, self.estimates, ax)


def _notes(name: str, ends: Sequence[tuple[float, bool]], alpha: float) -> list[str]:
    level = f"{100.0 * (1.0 - alpha):g} %"
    said = []
    for (value, at_bound), side in zip(ends, ("lower", "upper"), strict=True):
        if at_bound:
            said.append(f"{name}: the {level} interval reaches {value:g}, the end of the parameter's range")
        elif np.isnan(value):
            said.append(f"{name}: the profile never crosses the {level} level; there is no {side} limit")
    return said


def profile(self: EstimatedModel, parm: Any = None, n_jobs: int | None = 1) -> Profile:
    """Profile likelihood of standard deviations, correlations, sigma and fixed effects.

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
        ``.table``, ``.conf_int()`` and ``.plot("zeta" | "density" | "pairs")``. A REML fit is profiled on
        the deviance of maximum likelihood, as in lme4.

    References
    ----------
    Bates, Maechler, Bolker & Walker (2015), Journal of Statistical Software 67(1), section 5.1.

    Examples
    --------
    >>> import interlace
    >>> fit = interlace.fit("Reaction ~ Days + (Days | Subject)", interlace.datasets.load_sleepstudy())
    >>> fit.profile("sigma").conf_int().round(3)
                0       1
    sigma  22.898  28.858
    """
    return profiled(self.record, parm, n_jobs=n_jobs)


def profiled(fitted: Fitted, parm: Any = None, *, n_jobs: int | None = 1, grid: bool = True) -> Profile:
    """Profile some parameters of a fit.

    Parameters
    ----------
    fitted : Fitted
        The fit.
    parm : str, int or sequence of them, optional
        Parameters by name or position.
    n_jobs : int or None
        Workers, by joblib.
    grid : bool
        Compute the points of the table.

    Returns
    -------
    Profile
    """
    refuse_undetermined(fitted.design, fitted.fit, "a profile")
    names = parameter_names(fitted.design)
    around = likelihoods(fitted.fit, fitted.criterion)
    task = _Task(around, grid=grid)
    chosen = list(dict.fromkeys(positions(parm, names)))
    walked = run(task, chosen, n_jobs=n_jobs)
    return Profile(
        estimates=pd.Series(around.estimates, index=names),
        deviance=around.fit.objective,
        walks={names[i]: walk for i, (walk, _) in zip(chosen, walked, strict=True)},
        grids={names[i]: values for i, (_, values) in zip(chosen, walked, strict=True)},
    )


@dataclass(frozen=True, eq=False)
class _Task:
    """What a worker does: walk along one parameter."""

    around: Likelihoods
    grid: bool

    def __call__(self, position: int) -> tuple[Walk, FloatArray]:
        walk = self.around.walk(position)
        return walk, grid_of(walk) if self.grid else np.array([walk.estimate])


def grid_of(walk: Walk) -> FloatArray:
    """Values from one end of the profile to the other; evaluated from the estimate outwards."""
    reach = float(np.sqrt(stats.chi2.ppf(REACH, 1)))
    sides = []
    for sign in (-1.0, 1.0):
        end, _ = walk.crossing(sign * reach, relative=0.02)
        values = np.linspace(walk.estimate, end, POINTS + 1)[1:]
        sides.append([float(v) for v in values if np.isfinite(v) and np.isfinite(walk.zeta(v))])
    return np.array(sorted({walk.estimate, *sides[0], *sides[1]}))
