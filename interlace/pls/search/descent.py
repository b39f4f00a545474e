"""Newton's method for a deviance whose parameters are tied by a constraint.

The free parameters are few and enter Lambda linearly, so that the criterion's own derivatives serve; what
they miss of the Hessian is learned from gradients.  As in `optimize` there are no bounds: the deviance is
even in each column of Lambda, and saddles and local minima at a lost column are left explicitly.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from interlace.pls.matrices.terms import FloatArray

from .criterion import Decomposition
from .secants import learned

# Deviance still to gain at which a search ends: a limit then moves by less than 1e-8 of its SE.
TOLERANCE = 1e-11
# Deviance by which losing a column of Lambda must be worse, by the quadratic model, for it not to be tried.
DEAR = 20.0
MAXITER = 100


@dataclass(frozen=True, eq=False)
class Point:
    """An evaluation of a constrained deviance."""

    x: FloatArray
    at: Decomposition

    @property
    def value(self) -> float:
        """The deviance."""
        return self.at.objective


class Constrained(Protocol):
    """A deviance as a function of its free parameters x."""

    def evaluate(self, x: FloatArray) -> Point:
        """The deviance at x; the factorization then stands there."""

    def differentiate(self, point: Point) -> tuple[FloatArray, FloatArray]:
        """Gradient and (nearly) Hessian at the point evaluated last."""

    def without(self, j: int, x: FloatArray) -> FloatArray:
        """x without the column of Lambda that parameter j lies in; x itself if it is tied."""


def descend(held: Constrained, x: FloatArray) -> Point:
    """The minimum, from x; saddles and local minima at a lost column of Lambda are left."""
    point = _newton(held, held.evaluate(x))
    for _ in range(len(x) + 1):
        lower = _beyond_saddle(held, point) or _without_column(held, point)
        if lower is None:
            break
        point = _newton(held, lower)
    return point


def _newton(held: Constrained, point: Point) -> Point:
    """Newton steps in a trust region; the Hessian's missing part is learned from gradients."""
    point = held.evaluate(point.x)
    g, H = held.differentiate(point)
    secant, radius = np.zeros_like(H), 1.0
    for _ in range(MAXITER):
        values, vectors = np.linalg.eigh(H + secant)
        values = np.maximum(np.abs(values), 1e-9 * max(float(np.abs(values).max()), 1e-300))
        along = vectors.T @ g
        if float(along @ (along / values)) / 2.0 < TOLERANCE:
            break
        step = along / values
        length = float(np.linalg.norm(step))
        if length > radius:
            step *= radius / length
        predicted = float(along @ step - (step * values) @ step / 2.0)
        trial = held.evaluate(point.x - vectors @ step)
        gained = point.value - trial.value
        noise = 1e-13 * max(1.0, abs(point.value))
        if not gained > 1e-4 * predicted - noise:
            if predicted < noise:
                break
            radius = 0.25 * float(np.linalg.norm(step))
            continue
        radius = max(radius, 3.0 * length) if gained > 0.75 * predicted else radius
        before, last = (g, H), point
        point = trial
        g, H = held.differentiate(point)
        secant = learned(secant, before, (g, H), point.x - last.x)
    return held.evaluate(point.x)


def _beyond_saddle(held: Constrained, point: Point) -> Point | None:
    """A lower point along the Hessian's most negative direction, where there is one."""
    point = held.evaluate(point.x)
    values, vectors = np.linalg.eigh(held.differentiate(point)[1])
    if values[0] > -1e-6 * max(1.0, float(values[-1])):
        return None
    for size in (0.3, -0.3, 0.1, -0.1, 0.03, -0.03, 0.01, -0.01):
        trial = held.evaluate(point.x + size * vectors[:, 0])
        if trial.value < point.value - 1e-9:
            return trial
    return None


def _without_column(held: Constrained, point: Point) -> Point | None:
    """A lower point without one of the columns of Lambda, where there is one."""
    point = held.evaluate(point.x)
    hessian = held.differentiate(point)[1]
    for j in range(len(point.x)):
        x = held.without(j, point.x)
        lost = point.x - x
        if not lost.any() or lost @ hessian @ lost / 2.0 > DEAR:
            continue
        trial = held.evaluate(x)
        if trial.value < point.value - 1e-9:
            return trial
    return None
