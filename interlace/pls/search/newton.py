"""One step of Newton's method within a trust region, the same for every search of this room.

Nearby the criterion is taken to be the quadratic of its gradient and Hessian.  The Hessian's eigenvalues are
made positive, so that every step leads down; the step is damped until it is no longer than the radius; it is
accepted if the criterion falls by a fair share of what the quadratic promised; and the radius follows how
well the promise was kept.

References
----------
More & Sorensen (1983), SIAM Journal on Scientific and Statistical Computing 4; Nocedal & Wright (2006),
Numerical Optimization, chapter 4.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import numpy as np

from interlace.arrays import FloatArray
from interlace.pls.matrices.triangular import eigen

# Eigenvalues of the Hessian count as at least this share of the largest.
LEAST_CURVATURE = 1e-9
# Share of the promised decrease from which a step is accepted, and below and above which the radius changes.
ACCEPTABLE, POOR, GOOD = 1e-4, 0.25, 0.75
# Radius after a step that was rejected or accepted as poor, in lengths of it; and after a good one, at least.
AFTER_REJECTED, AFTER_POOR, AFTER_GOOD = 0.25, 0.5, 3.0
# Steps may be longer than the radius by this factor: the damping need not be exact.
SLACK = 1.1
MOST_TRIALS, MOST_DAMPINGS = 60, 50


@dataclass(frozen=True, eq=False)
class Quadratic:
    """The quadratic model of a criterion around a point, in the eigenvectors of its Hessian.

    Attributes
    ----------
    values : ndarray of shape (m,)
        Eigenvalues of the Hessian, made positive.
    vectors : ndarray of shape (m, m)
        Its eigenvectors, in columns.
    slopes : ndarray of shape (m,)
        Gradient along them.
    """

    values: FloatArray
    vectors: FloatArray
    slopes: FloatArray

    @property
    def newton(self) -> FloatArray:
        """Newton's step in eigenvector coordinates, to be subtracted."""
        return self.slopes / self.values

    @property
    def expected_decrease(self) -> float:
        """What the whole of Newton's step promises to gain."""
        return float(self.slopes @ self.newton) / 2.0

    def promised(self, step: FloatArray) -> float:
        """What a step in eigenvector coordinates promises to gain."""
        return float(self.slopes @ step - (step * self.values) @ step / 2.0)

    def within(self, radius: float) -> FloatArray:
        """Newton's step in eigenvector coordinates, damped so that it is no longer than the radius."""
        step = self.newton
        damping = 0.0
        for _ in range(MOST_DAMPINGS):
            length = float(np.linalg.norm(step))
            if length <= SLACK * radius:
                break
            # Newton on 1/length - 1/radius converges from below, monotonically.
            slope = float((step**2 / (self.values + damping)).sum()) / length**2
            damping += (length / radius - 1.0) / slope
            step = self.slopes / (self.values + damping)
        return step


def quadratic(gradient: FloatArray, hessian: FloatArray) -> Quadratic:
    """The quadratic model with every curvature made positive.

    Parameters
    ----------
    gradient : ndarray of shape (m,)
        Of the criterion.
    hessian : ndarray of shape (m, m)
        Symmetric, perhaps indefinite or singular.

    Returns
    -------
    Quadratic

    Examples
    --------
    >>> import numpy as np
    >>> model = quadratic(np.array([2.0, 3.0]), np.diag([4.0, -1.0]))
    >>> model.vectors @ model.newton  # down along the negative curvature too
    array([0.5, 3. ])
    """
    values, vectors = eigen(hessian)
    sizes = np.abs(values)
    floor = LEAST_CURVATURE * max(float(sizes.max()), 1e-300)
    return Quadratic(np.maximum(sizes, floor), vectors, vectors.T @ gradient)


class Valued(Protocol):
    """An evaluation of a criterion."""

    @property
    def objective(self) -> float:
        """The criterion."""


At = TypeVar("At", bound=Valued)


@dataclass(frozen=True, eq=False)
class Accepted(Generic[At]):
    """An accepted step.

    Attributes
    ----------
    at : evaluation
        Where it led.
    promised : float
        Decrease that the quadratic model had promised for it.
    """

    at: At
    promised: float


@dataclass
class TrustRegion:
    """How far the quadratic model is trusted: the one number that a search carries from step to step.

    Attributes
    ----------
    radius : float
        Longest step: parameters in orthonormal bases are of order one.
    """

    radius: float = 1.0

    def step(
        self, model: Quadratic, evaluate: Callable[[FloatArray], At], *, objective: float, noise: float
    ) -> Accepted[At] | None:
        """Take one step.

        Parameters
        ----------
        model : Quadratic
            Of the criterion, around the present point.
        evaluate : callable
            From a change of the parameters to the evaluation there.
        objective : float
            The criterion at the present point.
        noise : float
            Error of the criterion by rounding: a step that promises less need not lead down.

        Returns
        -------
        Accepted or None
            None where no step leads down.
        """
        for _ in range(MOST_TRIALS):
            step = model.within(self.radius)
            promised = model.promised(step)
            new = evaluate(-(model.vectors @ step))
            gained = objective - new.objective
            if gained > ACCEPTABLE * promised or (promised < noise and gained > -noise):
                self._learn(float(np.linalg.norm(step)), gained, promised, noise)
                return Accepted(new, promised)
            if promised < noise / 10.0:
                break
            self.radius = AFTER_REJECTED * float(np.linalg.norm(step))
        return None

    def _learn(self, length: float, gained: float, promised: float, noise: float) -> None:
        """Let the radius follow an accepted step."""
        if gained > GOOD * promised:
            self.radius = max(self.radius, AFTER_GOOD * length)
        elif gained < POOR * promised and promised > noise:
            self.radius = AFTER_POOR * length
