"""Counts without a bound: Poisson with log link."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy import special

from interlace.arrays import BoolArray, FloatArray

from .record import Family, exponential, no_counts


@dataclass(frozen=True)
class Poisson(Family):
    """Counts of mean ``exp(eta)``; m rows of one eta sum to a count of mean ``m exp(eta)``.

    Attributes
    ----------
    link : {"log"}
        Name of the link.
    """

    link: str = "log"
    name: ClassVar[str] = "poisson"
    links: ClassVar[tuple[str, ...]] = ("log",)
    additive: ClassVar[bool] = True

    def terms(
        self, y: FloatArray, m: FloatArray, eta: FloatArray, psi: FloatArray
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Log-likelihood without the factorial, s and w."""
        expected = m * exponential(eta)
        return y * eta - expected, y - expected, expected

    def third(self, y: FloatArray, m: FloatArray, eta: FloatArray, psi: FloatArray) -> FloatArray:
        """``t = dw/deta``."""
        return m * exponential(eta)

    def constant(self, y: FloatArray, m: FloatArray) -> FloatArray:
        """Minus the logarithm of the factorial, of every occurrence."""
        return np.asarray(-m * special.gammaln(y + 1.0))

    def loglik(self, y: FloatArray, m: FloatArray, eta: FloatArray, psi: FloatArray) -> FloatArray:
        """The whole log-likelihood of every row, times how often it occurs."""
        return m * (y * eta - exponential(eta)) + self.constant(y, m)

    def saturated(self, y: FloatArray, m: FloatArray, psi: FloatArray) -> FloatArray:
        """Log-likelihood at ``mu = y``."""
        return np.asarray(m * (special.xlogy(y, y) - y) + self.constant(y, m))

    def mean(self, eta: FloatArray, psi: FloatArray) -> FloatArray:
        """``exp(eta)``."""
        return exponential(eta)

    def mean_slope(self, eta: FloatArray, psi: FloatArray) -> FloatArray:
        """The same."""
        return exponential(eta)

    def variance(self, mu: FloatArray, psi: FloatArray) -> FloatArray:
        """``mu``."""
        return mu

    def marginal_mean(self, eta: FloatArray, variance: FloatArray, psi: FloatArray) -> FloatArray:
        """``exp(eta + variance / 2)``, exactly."""
        return exponential(eta + 0.5 * variance)

    def cumulative(
        self, y: FloatArray, m: FloatArray, eta: FloatArray, psi: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """P(Y < y) and P(Y <= y)."""
        mu = exponential(eta)
        before = special.pdtr(np.maximum(y - 1.0, 0.0), mu)
        return np.where(y > 0, before, 0.0), np.asarray(special.pdtr(y, mu))

    def draw(self, rng: np.random.Generator, m: FloatArray, eta: FloatArray, psi: FloatArray) -> FloatArray:
        """Counts."""
        return rng.poisson(exponential(eta)).astype(float)

    def start_eta(self, y: FloatArray, m: FloatArray) -> FloatArray:
        """Logarithm of the count, a little raised."""
        return np.log((y + 0.5) / m)

    def recedes(self, y: FloatArray, m: FloatArray) -> tuple[BoolArray, BoolArray]:
        """A zero: downwards."""
        return y == 0, np.zeros(len(y), dtype=bool)

    def complaint(self, y: FloatArray, m: FloatArray) -> str:
        """What is wrong with the counts."""
        return no_counts(y)
