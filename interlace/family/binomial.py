"""Binomial counts: logit, probit and complementary log-log link."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy import special

from interlace.arrays import BoolArray, FloatArray

from .record import MOST, Family, exponential, no_counts

LOG_ROOT_2PI = 0.5 * np.log(2.0 * np.pi)


@dataclass(frozen=True)
class Binomial(Family):
    """y successes of m trials.

    Attributes
    ----------
    link : {"logit", "probit", "cloglog"}
        Name of the link.
    """

    link: str = "logit"
    name: ClassVar[str] = "binomial"
    links: ClassVar[tuple[str, ...]] = ("logit", "probit", "cloglog")
    additive: ClassVar[bool] = True

    def terms(
        self, y: FloatArray, m: FloatArray, eta: FloatArray, psi: FloatArray
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Log-likelihood without the binomial coefficient, s and w."""
        return _TERMS[self.link](y, m, eta)

    def third(self, y: FloatArray, m: FloatArray, eta: FloatArray, psi: FloatArray) -> FloatArray:
        """``t = dw/deta``."""
        return _THIRD[self.link](y, m, eta)

    def constant(self, y: FloatArray, m: FloatArray) -> FloatArray:
        """Logarithm of the binomial coefficient."""
        return np.asarray(special.gammaln(m + 1.0) - special.gammaln(y + 1.0) - special.gammaln(m - y + 1.0))

    def saturated(self, y: FloatArray, m: FloatArray, psi: FloatArray) -> FloatArray:
        """Log-likelihood at ``mu = y / m``."""
        kernel = special.xlogy(y, y) + special.xlogy(m - y, m - y) - special.xlogy(m, m)
        return np.asarray(kernel + self.constant(y, m))

    def mean(self, eta: FloatArray, psi: FloatArray) -> FloatArray:
        """Probability of success."""
        if self.link == "logit":
            return np.asarray(special.expit(eta))
        return np.asarray(special.ndtr(eta) if self.link == "probit" else -np.expm1(-exponential(eta)))

    def mean_slope(self, eta: FloatArray, psi: FloatArray) -> FloatArray:
        """Its derivative."""
        if self.link == "logit":
            return np.asarray(special.expit(eta) * special.expit(-eta))
        if self.link == "probit":
            return np.asarray(np.exp(-0.5 * eta**2 - LOG_ROOT_2PI))
        return np.asarray(np.exp(np.minimum(eta, MOST) - exponential(eta)))

    def variance(self, mu: FloatArray, psi: FloatArray) -> FloatArray:
        """``mu (1 - mu)``."""
        return np.asarray(mu * (1.0 - mu))

    def marginal_mean(self, eta: FloatArray, variance: FloatArray, psi: FloatArray) -> FloatArray:
        """Mean over ``eta + N(0, variance)``: exact for the probit link."""
        if self.link == "probit":
            return np.asarray(special.ndtr(eta / np.sqrt(1.0 + variance)))
        return super().marginal_mean(eta, variance, psi)

    def cumulative(
        self, y: FloatArray, m: FloatArray, eta: FloatArray, psi: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """P(Y < y) and P(Y <= y)."""
        rest = self.mean(-eta, psi) if self.link != "cloglog" else np.exp(-exponential(eta))
        before = special.betainc(m - y + 1.0, np.maximum(y, 1.0), rest)
        at = special.betainc(np.maximum(m - y, 1.0), y + 1.0, rest)
        return np.where(y > 0, before, 0.0), np.where(y < m, at, 1.0)

    def draw(self, rng: np.random.Generator, m: FloatArray, eta: FloatArray, psi: FloatArray) -> FloatArray:
        """Successes of m trials."""
        return rng.binomial(m.astype(np.int64), self.mean(eta, psi)).astype(float)

    def start_eta(self, y: FloatArray, m: FloatArray) -> FloatArray:
        """The link of the empirical proportion, drawn half way to nothing known."""
        mu = (y + 0.5) / (m + 1.0)
        if self.link == "logit":
            return np.asarray(special.logit(mu))
        return np.asarray(special.ndtri(mu) if self.link == "probit" else np.log(-np.log1p(-mu)))

    def recedes(self, y: FloatArray, m: FloatArray) -> tuple[BoolArray, BoolArray]:
        """No success: downwards; nothing else: upwards."""
        return y == 0, y == m

    def complaint(self, y: FloatArray, m: FloatArray) -> str:
        """What is wrong with successes and trials."""
        if (m < y).any():
            return "there are more successes than trials."
        return no_counts(y) or no_counts(m)


def _logit_terms(y: FloatArray, m: FloatArray, eta: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    small = np.abs(eta)
    np.negative(small, out=small)
    np.exp(small, out=small)
    larger = small + 1.0
    value = np.log(larger)  # faster than log1p; what it loses is 1e-16 beside a likelihood of 1
    np.divide(1.0, larger, out=larger)
    small *= larger
    value += np.maximum(eta, 0.0)
    value *= -m
    value += y * eta
    mu = np.where(eta >= 0.0, larger, small)
    mu *= m
    small *= larger
    small *= m
    return value, y - mu, small


def _logit_third(y: FloatArray, m: FloatArray, eta: FloatArray) -> FloatArray:
    small = np.exp(-np.abs(eta))
    return np.asarray(m * small / (1.0 + small) ** 2 * -np.tanh(0.5 * eta))


def _mills(eta: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """log Phi(eta), log Phi(-eta) and phi / Phi at both."""
    up, down = special.log_ndtr(eta), special.log_ndtr(-eta)
    density = -0.5 * eta**2 - LOG_ROOT_2PI
    return up, down, np.exp(density - up), np.exp(density - down)


def _probit_terms(y: FloatArray, m: FloatArray, eta: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    up, down, plus, minus = _mills(eta)
    none = m - y
    w = y * plus * (plus + eta) + none * minus * (minus - eta)
    return y * up + none * down, y * plus - none * minus, w


def _probit_third(y: FloatArray, m: FloatArray, eta: FloatArray) -> FloatArray:
    _, _, plus, minus = _mills(eta)
    rising = plus * ((eta + plus) * (eta + 2.0 * plus) - 1.0)
    falling = minus * ((minus - eta) * (2.0 * minus - eta) - 1.0)
    return np.asarray((m - y) * falling - y * rising)


def _cloglog_parts(eta: FloatArray) -> tuple[FloatArray, FloatArray]:
    """``e = exp(eta)`` and ``x = e / (exp(e) - 1)``."""
    e = exponential(eta)
    with np.errstate(over="ignore"):
        return e, np.asarray(e / np.expm1(e))


def _cloglog_terms(
    y: FloatArray, m: FloatArray, eta: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    e, x = _cloglog_parts(eta)
    none = m - y
    value = y * np.log(-np.expm1(-e)) - none * e
    return value, y * x - none * e, none * e - y * x * (1.0 - e - x)


def _cloglog_third(y: FloatArray, m: FloatArray, eta: FloatArray) -> FloatArray:
    e, x = _cloglog_parts(eta)
    rest = 1.0 - e - x
    first = x * rest
    return np.asarray((m - y) * e - y * (first * rest - x * (e + first)))


_TERMS = {"logit": _logit_terms, "probit": _probit_terms, "cloglog": _cloglog_terms}
_THIRD = {"logit": _logit_third, "probit": _probit_third, "cloglog": _cloglog_third}
