"""Positive responses of constant coefficient of variation: Gamma with log link, shape estimated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy import special

from interlace.arrays import FloatArray

from .record import Family, PsiTerms, exponential


@dataclass(frozen=True)
class Gamma(Family):
    """Mean ``mu = exp(eta)`` and variance ``mu^2 / alpha``; psi is ``log alpha``.

    Attributes
    ----------
    link : {"log"}
        Name of the link.
    """

    link: str = "log"
    name: ClassVar[str] = "gamma"
    links: ClassVar[tuple[str, ...]] = ("log",)

    @property
    def psi_names(self) -> tuple[str, ...]:
        """The logarithm of the shape."""
        return ("log shape",)

    def terms(
        self, y: FloatArray, m: FloatArray, eta: FloatArray, psi: FloatArray
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Log-likelihood, s and w."""
        shape, log_y = np.exp(psi[0]), np.log(y)
        ratio = exponential(log_y - eta)
        value = shape * (psi[0] + log_y - eta - ratio) - special.gammaln(shape) - log_y
        return m * value, m * shape * (ratio - 1.0), m * shape * ratio

    def third(self, y: FloatArray, m: FloatArray, eta: FloatArray, psi: FloatArray) -> FloatArray:
        """``t = dw/deta``."""
        return np.asarray(-m * np.exp(psi[0]) * exponential(np.log(y) - eta))

    def psi_terms(self, y: FloatArray, m: FloatArray, eta: FloatArray, psi: FloatArray) -> PsiTerms:
        """Derivatives by ``log alpha``."""
        shape, z = np.exp(psi[0]), np.log(y) - eta
        ratio = exponential(z)
        first = m * shape * (psi[0] + 1.0 - special.psi(shape) + z - ratio)
        second = first + m * shape * (1.0 - shape * special.polygamma(1, shape))
        return PsiTerms(
            loglik=first[None],
            s=(m * shape * (ratio - 1.0))[None],
            w=(m * shape * ratio)[None],
            curvature=np.array([[float(second.sum())]]),
        )

    def saturated(self, y: FloatArray, m: FloatArray, psi: FloatArray) -> FloatArray:
        """Log-likelihood at ``mu = y``."""
        shape = np.exp(psi[0])
        return np.asarray(m * (shape * (psi[0] - 1.0) - special.gammaln(shape) - np.log(y)))

    def mean(self, eta: FloatArray, psi: FloatArray) -> FloatArray:
        """``exp(eta)``."""
        return exponential(eta)

    def mean_slope(self, eta: FloatArray, psi: FloatArray) -> FloatArray:
        """The same."""
        return exponential(eta)

    def variance(self, mu: FloatArray, psi: FloatArray) -> FloatArray:
        """``mu^2 / alpha``."""
        return np.asarray(mu**2 * np.exp(-psi[0]))

    def marginal_mean(self, eta: FloatArray, variance: FloatArray, psi: FloatArray) -> FloatArray:
        """``exp(eta + variance / 2)``, exactly."""
        return exponential(eta + 0.5 * variance)

    def cumulative(
        self, y: FloatArray, m: FloatArray, eta: FloatArray, psi: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """P(Y <= y), twice: no value has a probability."""
        shape = np.exp(psi[0])
        below = np.asarray(special.gammainc(shape, shape * exponential(np.log(y) - eta)))
        return below, below

    def draw(self, rng: np.random.Generator, m: FloatArray, eta: FloatArray, psi: FloatArray) -> FloatArray:
        """Responses."""
        shape = np.exp(psi[0])
        return exponential(eta) * rng.gamma(shape, 1.0 / shape, len(eta))

    def start_eta(self, y: FloatArray, m: FloatArray) -> FloatArray:
        """Logarithm of the response."""
        return np.log(y)

    def start_psi(self, y: FloatArray, m: FloatArray) -> FloatArray:
        """From the variance of the logarithms, half of which the random effects may explain."""
        z = np.log(y)
        spread = float(np.average((z - np.average(z, weights=m)) ** 2, weights=m))
        return np.array([np.log(np.clip(2.0 / max(spread, 1e-12), 0.1, 1e6))])

    def complaint(self, y: FloatArray, m: FloatArray) -> str:
        """What is wrong with the response."""
        if not np.isfinite(y).all() or (y <= 0).any():
            return "the response is not positive everywhere: a Gamma response is."
        return ""
