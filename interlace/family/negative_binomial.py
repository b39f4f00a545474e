"""Overdispersed counts: negative binomial (NB2) with log link, size estimated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from scipy import special

from interlace.arrays import BoolArray, FloatArray

from .record import Family, PsiTerms, exponential, no_counts

# Size from which differences of gamma functions are taken from their asymptotic series, to 1e-13, and would
# otherwise cancel.
ASYMPTOTIC = 30.0
# Size from which the variance is a Poisson's as far as anybody could tell: 1e-5 of the mean squared is added.
POISSON = 1e5


@dataclass(frozen=True)
class NegativeBinomial(Family):
    """Counts of mean ``mu = exp(eta)`` and variance ``mu + mu^2 / kappa``; psi is ``log kappa``.

    Attributes
    ----------
    link : {"log"}
        Name of the link.
    """

    link: str = "log"
    name: ClassVar[str] = "negative binomial"
    links: ClassVar[tuple[str, ...]] = ("log",)

    @property
    def psi_names(self) -> tuple[str, ...]:
        """The logarithm of the size."""
        return ("log size",)

    def terms(
        self, y: FloatArray, m: FloatArray, eta: FloatArray, psi: FloatArray
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Log-likelihood, s and w."""
        z, size = eta - psi[0], float(np.exp(psi[0]))
        p, rest = special.expit(z), special.expit(-z)
        kernel = y * eta + (y + size) * special.log_expit(-z)
        value = kernel + _rising(y, size)[0] - special.gammaln(y + 1.0)
        return m * value, m * (y * rest - size * p), m * (y + size) * p * rest

    def third(self, y: FloatArray, m: FloatArray, eta: FloatArray, psi: FloatArray) -> FloatArray:
        """``t = dw/deta``."""
        z = eta - psi[0]
        w = (y + np.exp(psi[0])) * special.expit(z) * special.expit(-z)
        return np.asarray(m * w * -np.tanh(0.5 * z))

    def psi_terms(self, y: FloatArray, m: FloatArray, eta: FloatArray, psi: FloatArray) -> PsiTerms:
        """Derivatives by ``log kappa``."""
        z, size = eta - psi[0], float(np.exp(psi[0]))
        p, rest = special.expit(z), special.expit(-z)
        _, first, second = _rising(y, size)
        lost = size * (special.log_expit(-z) + p)
        return PsiTerms(
            loglik=(m * (first + lost + y * p))[None],
            s=(m * p * (y * rest - size * p))[None],
            w=(m * p * rest * (size - (y + size) * (1.0 - 2.0 * p)))[None],
            curvature=np.array([[float((m * (second + lost + size * p * p - y * p * rest)).sum())]]),
        )

    def limit(self, psi: FloatArray) -> str:
        """An infinite size: a Poisson distribution."""
        return "no overdispersion: the size is infinite, and the model Poisson's" if _poisson(psi) else ""

    def saturated(self, y: FloatArray, m: FloatArray, psi: FloatArray) -> FloatArray:
        """Log-likelihood at ``mu = y``."""
        size = float(np.exp(psi[0]))
        kernel = special.xlogy(y, y) - (y + size) * np.log1p(y / size)
        return np.asarray(m * (kernel + _rising(y, size)[0] - special.gammaln(y + 1.0)))

    def mean(self, eta: FloatArray, psi: FloatArray) -> FloatArray:
        """``exp(eta)``."""
        return exponential(eta)

    def mean_slope(self, eta: FloatArray, psi: FloatArray) -> FloatArray:
        """The same."""
        return exponential(eta)

    def variance(self, mu: FloatArray, psi: FloatArray) -> FloatArray:
        """``mu + mu^2 / kappa``."""
        return np.asarray(mu + mu**2 * np.exp(-psi[0]))

    def marginal_mean(self, eta: FloatArray, variance: FloatArray, psi: FloatArray) -> FloatArray:
        """``exp(eta + variance / 2)``, exactly."""
        return exponential(eta + 0.5 * variance)

    def cumulative(
        self, y: FloatArray, m: FloatArray, eta: FloatArray, psi: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """P(Y < y) and P(Y <= y), by the incomplete beta function."""
        size, rest = np.exp(psi[0]), special.expit(psi[0] - eta)
        before = special.betainc(size, np.maximum(y, 1.0), rest)
        return np.where(y > 0, before, 0.0), np.asarray(special.betainc(size, y + 1.0, rest))

    def draw(self, rng: np.random.Generator, m: FloatArray, eta: FloatArray, psi: FloatArray) -> FloatArray:
        """Counts."""
        size = np.exp(psi[0])
        return rng.poisson(exponential(eta) * rng.gamma(size, 1.0 / size, len(eta))).astype(float)

    def start_eta(self, y: FloatArray, m: FloatArray) -> FloatArray:
        """Logarithm of the count, a little raised."""
        return np.log(y + 0.5)

    def start_psi(self, y: FloatArray, m: FloatArray) -> FloatArray:
        """From the variance beyond a Poisson's, half of which the random effects may explain."""
        mean = float(np.average(y, weights=m))
        beyond = float(np.average((y - mean) ** 2, weights=m)) - mean
        return np.array([np.log(np.clip(2.0 * mean**2 / max(beyond, 1e-3 * mean + 1e-9), 0.1, 1e3))])

    def recedes(self, y: FloatArray, m: FloatArray) -> tuple[BoolArray, BoolArray]:
        """A zero: downwards."""
        return y == 0, np.zeros(len(y), dtype=bool)

    def complaint(self, y: FloatArray, m: FloatArray) -> str:
        """What is wrong with the counts."""
        return no_counts(y)


def _poisson(psi: FloatArray) -> bool:
    return bool(psi[0] > np.log(POISSON))


def _rising(y: FloatArray, size: float) -> tuple[FloatArray, FloatArray, FloatArray]:
    """``log Gamma(y + size) - log Gamma(size) - y log size``, and its derivatives by ``log size``."""
    if size < ASYMPTOTIC:
        first = size * (special.psi(y + size) - special.psi(size))
        second = first + size**2 * (special.polygamma(1, y + size) - special.polygamma(1, size))
        value = special.gammaln(y + size) - special.gammaln(size) - y * np.log(size)
        return value, first - y, second
    more, share = y + size, y / size
    rest, slope, curve = (at - there for at, there in zip(_series(more), _series(size), strict=True))
    value = (more - 0.5) * np.log1p(share) - y + rest
    first = size * (np.log1p(share) - share) + 0.5 * y / more + size * slope
    bent = y * share / more * size - 0.5 * y * (2.0 * size + y) / more**2 + size**2 * curve
    return value, first, first + bent


def _series(z: Any) -> tuple[Any, Any, Any]:
    """What Stirling's formula leaves of ``log Gamma(z)``, and its first two derivatives."""
    inverse = 1.0 / z
    square = inverse**2
    value = inverse * (1.0 / 12.0 - square * (1.0 / 360.0 - square * (1.0 / 1260.0 - square / 1680.0)))
    slope = -square * (1.0 / 12.0 - square * (1.0 / 120.0 - square * (1.0 / 252.0 - square / 240.0)))
    curve = square * inverse * (1.0 / 6.0 - square * (1.0 / 30.0 - square * (1.0 / 42.0 - square / 30.0)))
    return value, slope, curve
