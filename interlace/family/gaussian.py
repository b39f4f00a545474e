"""Normal responses around a mean on the log scale; the identity link serves to check the whole machinery."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy import special

from interlace.arrays import FloatArray

from .record import Family, PsiTerms, exponential

LOG_ROOT_2PI = 0.5 * np.log(2.0 * np.pi)
# Predictor beyond which squares of the mean would overflow.
LARGEST = 300.0


@dataclass(frozen=True)
class Gaussian(Family):
    """Standard deviation ``exp(psi)`` around the mean ``exp(eta)``, or around eta itself.

    Attributes
    ----------
    link : {"log", "identity"}
        Name of the link. With the log link the log-likelihood is concave in eta only where ``y < 2 mu``.
    """

    link: str = "log"
    name: ClassVar[str] = "gaussian"
    links: ClassVar[tuple[str, ...]] = ("log", "identity")
    concave: ClassVar[bool] = False

    @property
    def psi_names(self) -> tuple[str, ...]:
        """The logarithm of the residual standard deviation."""
        return ("log sd",)

    def terms(
        self, y: FloatArray, m: FloatArray, eta: FloatArray, psi: FloatArray
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Log-likelihood, s and w."""
        precision = m * np.exp(-2.0 * psi[0])
        mu = eta if self.link == "identity" else exponential(np.minimum(eta, LARGEST))
        e = y - mu
        value = -m * (LOG_ROOT_2PI + psi[0]) - 0.5 * precision * e**2
        if self.link == "identity":
            return value, precision * e, precision
        return value, precision * e * mu, precision * mu * (mu - e)

    def third(self, y: FloatArray, m: FloatArray, eta: FloatArray, psi: FloatArray) -> FloatArray:
        """``t = dw/deta``."""
        if self.link == "identity":
            return np.zeros(len(eta))
        mu = exponential(np.minimum(eta, LARGEST))
        return np.asarray(m * np.exp(-2.0 * psi[0]) * mu * (4.0 * mu - y))

    def psi_terms(self, y: FloatArray, m: FloatArray, eta: FloatArray, psi: FloatArray) -> PsiTerms:
        """Derivatives by the logarithm of the standard deviation."""
        _, s, w = self.terms(y, m, eta, psi)
        square = m * ((y - self.mean(eta, psi)) * np.exp(-psi[0])) ** 2
        return PsiTerms(
            loglik=(square - m)[None],
            s=-2.0 * s[None],
            w=-2.0 * w[None],
            curvature=np.array([[-2.0 * float(square.sum())]]),
        )

    def saturated(self, y: FloatArray, m: FloatArray, psi: FloatArray) -> FloatArray:
        """Log-likelihood at ``mu = y``."""
        return np.asarray(-m * (LOG_ROOT_2PI + psi[0]))

    def mean(self, eta: FloatArray, psi: FloatArray) -> FloatArray:
        """Inverse link."""
        return eta if self.link == "identity" else exponential(eta)

    def mean_slope(self, eta: FloatArray, psi: FloatArray) -> FloatArray:
        """Its derivative."""
        return np.ones(len(eta)) if self.link == "identity" else exponential(eta)

    def variance(self, mu: FloatArray, psi: FloatArray) -> FloatArray:
        """The same everywhere."""
        return np.full(len(mu), np.exp(2.0 * psi[0]))

    def marginal_mean(self, eta: FloatArray, variance: FloatArray, psi: FloatArray) -> FloatArray:
        """``exp(eta + variance / 2)``, or eta itself; exactly."""
        return eta if self.link == "identity" else exponential(eta + 0.5 * variance)

    def cumulative(
        self, y: FloatArray, m: FloatArray, eta: FloatArray, psi: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """P(Y <= y), twice: no value has a probability."""
        below = np.asarray(special.ndtr((y - self.mean(eta, psi)) * np.exp(-psi[0])))
        return below, below

    def draw(self, rng: np.random.Generator, m: FloatArray, eta: FloatArray, psi: FloatArray) -> FloatArray:
        """Responses."""
        return np.asarray(self.mean(eta, psi) + np.exp(psi[0]) * rng.standard_normal(len(eta)))

    def start_eta(self, y: FloatArray, m: FloatArray) -> FloatArray:
        """The link of the response; of one that is not positive, that of a small one."""
        if self.link == "identity":
            return y
        return np.log(np.maximum(y, 0.1 * float(np.abs(y).mean()) + 1e-300))

    def start_psi(self, y: FloatArray, m: FloatArray) -> FloatArray:
        """From the variance of the response, half of which the random effects may explain."""
        spread = float(np.average((y - np.average(y, weights=m)) ** 2, weights=m))
        return np.array([0.5 * np.log(max(0.5 * spread, 1e-300))])

    def complaint(self, y: FloatArray, m: FloatArray) -> str:
        """What is wrong with the response."""
        if not np.isfinite(y).all():
            return "the response is not finite everywhere."
        return "with a log link the mean of the response must be positive." if self._hopeless(y) else ""

    def _hopeless(self, y: FloatArray) -> bool:
        return self.link == "log" and bool(y.mean() <= 0.0)
