"""Profile likelihood intervals of the fixed effects of a generalised model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import optimize, stats

from interlace.design import Design
from interlace.inference.parameters import positions
from interlace.parallel import run
from interlace.pls.laplace import LaplaceFit

from .fitting import fit_again, warm
from .record import EstimatedGLMM, infinite_columns

# Accuracy of the signed root of the deviance at a limit, and how often a bracket is stretched.
CLOSE, STRETCHES = 1e-4, 12


@dataclass(frozen=True, eq=False)
class _Profile:
    """The deviance as a function of one fixed effect, all else estimated."""

    design: Design
    fit: LaplaceFit
    j: int

    def root(self, value: float) -> float:
        """Square root of the deviance lost by holding the fixed effect at a value."""
        x = self.design.X[:, self.j]
        X = np.delete(self.design.X, self.j, axis=1)
        offset = value * x if self.design.offset is None else self.design.offset + value * x
        begin = warm(self.fit)
        if begin is not None:
            begin = np.delete(begin, len(self.fit.theta) + self.j)
        found = fit_again(self.design, self.fit, X=X, offset=offset, start=begin)
        return float(np.sqrt(max(found.objective - self.fit.objective, 0.0)))

    def limit(self, step: float, z: float) -> float:
        """Where the root is z, in the direction of a step of one standard error; infinite if nowhere."""
        estimate = float(self.fit.beta[self.j])
        return _crossing(lambda reach: self.root(estimate + reach * step) - z, z, estimate, step)


def _crossing(excess: Callable[[float], float], z: float, estimate: float, step: float) -> float:
    low, high = 0.0, z
    at_high = excess(high)
    for _ in range(STRETCHES):
        if at_high > 0:
            break
        low, high = high, 1.5 * high
        at_high = excess(high)
    if at_high <= 0:
        return float(np.sign(step) * np.inf)
    found = optimize.brentq(lambda reach: -z if reach == 0.0 else excess(reach), low, high, xtol=CLOSE)
    return estimate + float(found) * step


@dataclass(frozen=True, eq=False)
class _Limit:
    """One limit, as a task for a worker."""

    design: Design
    fit: LaplaceFit
    z: float

    def __call__(self, task: tuple[int, float]) -> float:
        j, step = task
        if not np.isfinite(step):
            return np.nan
        return _Profile(self.design, self.fit, j).limit(step, self.z)


def profile_limits(
    self: EstimatedGLMM, alpha: float, parm: Any = None, *, n_jobs: int | None = 1
) -> pd.DataFrame:
    """Profile likelihood intervals of fixed effects.

    Parameters
    ----------
    alpha : float
        The level is ``1 - alpha``.
    parm : str, int or sequence of them, optional
        Fixed effects; all by default. Variances are refused.
    n_jobs : int or None, default 1
        Workers, by joblib.

    Returns
    -------
    DataFrame
        Columns 0 and 1; NaN for fixed effects without a finite estimate.
    """
    names = list(self.model.data.param_names)
    chosen = list(range(self.k_fe)) if parm is None else positions(parm, names)
    others = [names[j] for j in chosen if j >= self.k_fe]
    if others:
        raise ValueError(
            f"profile intervals are offered for fixed effects, and {others!r} are none; use "
            'conf_int(method="bootstrap")'
        )
    z = float(stats.norm.isf(alpha / 2.0))
    se = np.array(self.bse_fe)
    se[list(infinite_columns(self.record.fit))] = np.nan
    tasks = [(j, sign * float(se[j])) for j in chosen for sign in (-1.0, 1.0)]
    done = run(_Limit(self.record.design, self.record.fit, z), tasks, n_jobs=n_jobs)
    return pd.DataFrame(np.reshape(done, (-1, 2)), index=[names[j] for j in chosen])
