"""Newton's method for a deviance whose parameters are tied by a constraint.

The free parameters are few and enter Lambda linearly, so that the criterion's own derivatives serve; what
they miss of the Hessian is learned from gradients.  As in `optimize` there are no bounds: the deviance is
even in each column of Lambda, and saddles and local minima at a lost column are left explicitly.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Protocol

import numpy as np

from interlace.arrays import FloatArray

from .newton import At, TrustRegion, quadratic
from .secants import learned

# Deviance still to gain at which a search ends: a limit then moves by less than 1e-8 of its SE.
TOLERANCE = 1e-11
# A column of Lambda is not tried at zero if the deviance rises by more than this in the quadratic model.
LARGEST_RISE_TRIED = 20.0
# Steps at most: far from the minimum, in coordinates that are not its principal axes, a hundred may not do.
MAXITER = 1000
# Error of the deviance by rounding, relative.
RELATIVE_NOISE = 1e-13
# Share of the largest curvature below which a negative one is rounding, and steps tried along others.
NEGATIVE, TRIED_STEPS = 1e-6, (0.3, 0.1, 0.03, 0.01)
# Deviance by which a point must be lower for the search to begin anew there.
LOWER = 1e-9


@dataclass(frozen=True, eq=False)
class Point(Generic[At]):
    """An evaluation of a constrained deviance."""

    x: FloatArray
    at: At

    @property
    def objective(self) -> float:
        """The deviance."""
        return self.at.objective


class Constrained(Protocol[At]):
    """A deviance as a function of its free parameters x."""

    def evaluate(self, x: FloatArray) -> Point[At]:
        """The deviance at x; the factorization then stands there."""

    def differentiate(self, point: Point[At]) -> tuple[FloatArray, FloatArray]:
        """Gradient and (nearly) Hessian at the point evaluated last."""

    def without(self, j: int, x: FloatArray) -> FloatArray:
        """x without the column of Lambda that parameter j lies in; x itself if it is tied."""


def descend(
    held: Constrained[At], x: FloatArray, *, tolerance: float = TOLERANCE, noise: float = RELATIVE_NOISE
) -> Point[At]:
    """The minimum, from x; saddles and local minima at a lost column of Lambda are left.

    It ends where less than ``tolerance`` is promised; the deviance has a relative error of ``noise``.
    """
    point = _newton(held, held.evaluate(x), tolerance, noise)
    for _ in range(len(x) + 1):
        lower = _beyond_saddle(held, point) or _without_column(held, point)
        if lower is None:
            break
        point = _newton(held, lower, tolerance, noise)
    return point


def _newton(held: Constrained[At], point: Point[At], tolerance: float, relative_noise: float) -> Point[At]:
    """Newton steps in a trust region; the Hessian's missing part is learned from gradients."""
    point = held.evaluate(point.x)
    g, H = held.differentiate(point)
    secant, region = np.zeros_like(H), TrustRegion()
    for _ in range(MAXITER):
        model = quadratic(g, H + secant)
        if model.expected_decrease < tolerance:
            break
        noise = relative_noise * max(1.0, abs(point.objective))
        found = region.step(model, _displaced(held, point.x), objective=point.objective, noise=noise)
        if found is None:
            break
        before, step, point = (g, H), found.at.x - point.x, found.at
        g, H = held.differentiate(point)
        secant = learned(secant, before, (g, H), step)
    return held.evaluate(point.x)


def _displaced(held: Constrained[At], x: FloatArray) -> Callable[[FloatArray], Point[At]]:
    """The deviance at a change of x."""
    return lambda change: held.evaluate(x + change)


def _beyond_saddle(held: Constrained[At], point: Point[At]) -> Point[At] | None:
    """A lower point along the Hessian's most negative direction, where there is one."""
    point = held.evaluate(point.x)
    values, vectors = np.linalg.eigh(held.differentiate(point)[1])
    if values[0] > -NEGATIVE * max(1.0, float(values[-1])):
        return None
    for size in (sign * step for step in TRIED_STEPS for sign in (1.0, -1.0)):
        trial = held.evaluate(point.x + size * vectors[:, 0])
        if trial.objective < point.objective - LOWER:
            return trial
    return None


def _without_column(held: Constrained[At], point: Point[At]) -> Point[At] | None:
    """A lower point without one of the columns of Lambda, where there is one."""
    point = held.evaluate(point.x)
    hessian = held.differentiate(point)[1]
    for j in range(len(point.x)):
        x = held.without(j, point.x)
        lost = point.x - x
        if not lost.any() or lost @ hessian @ lost / 2.0 > LARGEST_RISE_TRIED:
            continue
        trial = held.evaluate(x)
        if trial.objective < point.objective - LOWER:
            return trial
    return None
