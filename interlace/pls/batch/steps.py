"""Newton's steps of many problems within trust regions; see `pls.search.newton` for one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from interlace.arrays import BoolArray, FloatArray, IntArray
from interlace.pls.search.newton import (
    ACCEPTABLE,
    AFTER_GOOD,
    AFTER_POOR,
    AFTER_REJECTED,
    GOOD,
    LEAST_CURVATURE,
    MOST_DAMPINGS,
    POOR,
    SLACK,
)


@dataclass(frozen=True, eq=False)
class Quadratics:
    """Quadratic models of many criteria, in the eigenvectors of their Hessians.

    Attributes
    ----------
    values : ndarray of shape (B, m)
        Eigenvalues, made positive.
    vectors : ndarray of shape (B, m, m)
        Eigenvectors, in columns.
    slopes : ndarray of shape (B, m)
        Gradients along them.
    """

    values: FloatArray
    vectors: FloatArray
    slopes: FloatArray

    @property
    def newton(self) -> FloatArray:
        """Newton's steps in eigenvector coordinates, to be subtracted."""
        return np.asarray(self.slopes / self.values)

    @property
    def expected(self) -> FloatArray:
        """What the whole of Newton's steps promises to gain, (B,)."""
        return np.asarray((self.slopes * self.newton).sum(axis=1) / 2.0)

    def promised(self, step: FloatArray) -> FloatArray:
        """What steps in eigenvector coordinates promise to gain, (B,)."""
        return np.asarray((self.slopes * step - step**2 * self.values / 2.0).sum(axis=1))

    def change(self, step: FloatArray) -> FloatArray:
        """Steps in eigenvector coordinates as changes of the parameters."""
        return np.asarray(-(self.vectors @ step[:, :, None])[:, :, 0])

    def within(self, radius: FloatArray) -> FloatArray:
        """Newton's steps, damped so that they are no longer than the radii."""
        step, damping = self.newton, np.zeros(len(radius))
        for _ in range(MOST_DAMPINGS):
            length = np.sqrt((step**2).sum(axis=1))
            long = np.flatnonzero(length > SLACK * radius)
            if not len(long):
                break
            damped = self.values[long] + damping[long, None]
            slope = (step[long] ** 2 / damped).sum(axis=1) / length[long] ** 2
            damping[long] += (length[long] / radius[long] - 1.0) / slope
            step[long] = self.slopes[long] / (self.values[long] + damping[long, None])
        return step

    def take(self, chosen: IntArray | BoolArray) -> Quadratics:
        """Some of them."""
        return Quadratics(self.values[chosen], self.vectors[chosen], self.slopes[chosen])


def quadratics(gradient: FloatArray, hessian: FloatArray) -> Quadratics:
    """Quadratic models with every curvature made positive, of (B, m) and (B, m, m)."""
    values, vectors = np.linalg.eigh(hessian)
    sizes = np.abs(values)
    floor = LEAST_CURVATURE * np.maximum(sizes.max(axis=1, initial=0.0), 1e-300)
    slopes = (vectors.transpose(0, 2, 1) @ gradient[:, :, None])[:, :, 0]
    return Quadratics(np.maximum(sizes, floor[:, None]), vectors, slopes)


def accepted(gained: FloatArray, promised: FloatArray, noise: FloatArray) -> BoolArray:
    """Whether each step led down, or promised too little to tell."""
    return np.asarray((gained > ACCEPTABLE * promised) | ((promised < noise) & (gained > -noise)))


def radii(
    radius: FloatArray, length: FloatArray, gained: FloatArray, promised: FloatArray, noise: FloatArray
) -> FloatArray:
    """The radii after a step; all arguments are of shape (B,)."""
    good, poor = gained > GOOD * promised, (gained < POOR * promised) & (promised > noise)
    kept = np.where(poor, AFTER_POOR * length, radius)
    kept = np.where(good, np.maximum(radius, AFTER_GOOD * length), kept)
    return np.where(accepted(gained, promised, noise), kept, AFTER_REJECTED * length)
