"""Ordered categories: cumulative logit and probit.

``P(Y <= k) = F(tau_k - eta)``; psi holds the thresholds.  Of a row in category y everything follows from
``a = tau_y - eta`` and ``b = tau_(y-1) - eta``, the ends of its interval on the latent scale.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
from scipy import special

from interlace.arrays import BoolArray, FloatArray
from interlace.errors import ArgumentError

from .record import Family, PsiTerms

LOG_ROOT_2PI = 0.5 * np.log(2.0 * np.pi)
# Stands for infinity on the latent scale of the probit link: its density is 0, and 0 times it is 0.
BEYOND = 1e3


class _Ends(NamedTuple):
    """Logarithm of ``F(a) - F(b)`` and its derivatives; those of w by a and b last."""

    value: FloatArray
    a: FloatArray
    b: FloatArray
    aa: FloatArray
    ab: FloatArray
    bb: FloatArray
    w_a: FloatArray
    w_b: FloatArray


@dataclass(frozen=True)
class Ordinal(Family):
    """Categories 0 to ``n_categories - 1``.

    Attributes
    ----------
    link : {"logit", "probit"}
        Name of the link.
    n_categories : int
        Number of categories, at least 2; each must occur.
    """

    link: str = "logit"
    n_categories: int = 2
    name: ClassVar[str] = "ordinal"
    links: ClassVar[tuple[str, ...]] = ("logit", "probit")

    @property
    def psi_names(self) -> tuple[str, ...]:
        """Thresholds between the categories, by their numbers."""
        return tuple(f"{k}/{k + 1}" for k in range(self.n_categories - 1))

    def _ends(self, y: FloatArray, eta: FloatArray, psi: FloatArray) -> tuple[FloatArray, FloatArray]:
        at, last = y.astype(np.intp), self.n_categories - 1
        upper = psi[np.minimum(at, last - 1)] - eta
        lower = psi[np.maximum(at - 1, 0)] - eta
        far = np.inf if self.link == "logit" else BEYOND
        return np.where(at == last, far, upper), np.where(at == 0, -far, lower)

    def _derivatives(self, y: FloatArray, eta: FloatArray, psi: FloatArray) -> _Ends:
        with np.errstate(all="ignore"):  # thresholds out of order, or nearly so
            return _ENDS[self.link](*self._ends(y, eta, psi))

    def terms(
        self, y: FloatArray, m: FloatArray, eta: FloatArray, psi: FloatArray
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Log-likelihood, s and w; minus infinity where thresholds are out of order."""
        if (np.diff(psi) <= 0).any():
            nothing = np.zeros(len(eta))
            return np.full(len(eta), -np.inf), nothing, nothing
        at = self._derivatives(y, eta, psi)
        return m * at.value, -m * (at.a + at.b), -m * (at.aa + 2.0 * at.ab + at.bb)

    def third(self, y: FloatArray, m: FloatArray, eta: FloatArray, psi: FloatArray) -> FloatArray:
        """``t = dw/deta``."""
        at = self._derivatives(y, eta, psi)
        return -m * (at.w_a + at.w_b)

    def psi_terms(self, y: FloatArray, m: FloatArray, eta: FloatArray, psi: FloatArray) -> PsiTerms:
        """Derivatives by the thresholds."""
        at, k, n = self._derivatives(y, eta, psi), len(psi), len(eta)
        rows, own = np.arange(n), y.astype(np.intp)
        top, bottom = own < k, own > 0  # rows whose upper end is a threshold, whose lower end is one

        def place(of_a: FloatArray, of_b: FloatArray) -> FloatArray:
            out = np.zeros((k, n))
            out[own[top], rows[top]] += (m * of_a)[top]
            out[own[bottom] - 1, rows[bottom]] += (m * of_b)[bottom]
            return out

        curvature = np.zeros((k, k))
        np.add.at(curvature, (own[top], own[top]), (m * at.aa)[top])
        np.add.at(curvature, (own[bottom] - 1, own[bottom] - 1), (m * at.bb)[bottom])
        both = top & bottom
        np.add.at(curvature, (own[both], own[both] - 1), (m * at.ab)[both])
        np.add.at(curvature, (own[both] - 1, own[both]), (m * at.ab)[both])
        return PsiTerms(
            loglik=place(at.a, at.b),
            s=place(-(at.aa + at.ab), -(at.ab + at.bb)),
            w=place(at.w_a, at.w_b),
            curvature=curvature,
        )

    def saturated(self, y: FloatArray, m: FloatArray, psi: FloatArray) -> FloatArray:
        """Log-likelihood at the best eta of each category."""
        last, padded = self.n_categories - 1, np.concatenate([[0.0], psi, [0.0]])
        own = y.astype(np.intp)
        middle = 0.5 * (padded[own] + padded[own + 1])  # both links are symmetric
        value = self.terms(y, m, middle, psi)[0]
        return np.where((own == 0) | (own == last), 0.0, value)

    def probabilities(self, eta: FloatArray, psi: FloatArray) -> FloatArray:
        """Probability of every category, shape (n, n_categories)."""
        categories = np.arange(float(self.n_categories))
        at = [self._derivatives(np.full(len(eta), k), eta, psi).value for k in categories]
        return np.exp(np.column_stack(at))

    def probability_slopes(self, eta: FloatArray, psi: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Derivatives of the probabilities by eta, (n, K), and by the thresholds, (n, K, K - 1)."""
        P = self.probabilities(eta, psi)
        found = [self._derivatives(np.full(len(eta), float(k)), eta, psi) for k in range(self.n_categories)]
        at_upper = P * np.column_stack([one.a for one in found])  # density at the upper threshold
        at_lower = P * np.column_stack([one.b for one in found])
        by_psi = np.zeros((*P.shape, len(psi)))
        k = np.arange(len(psi))
        by_psi[:, k, k] = at_upper[:, :-1]
        by_psi[:, k + 1, k] = at_lower[:, 1:]
        return -by_psi.sum(axis=2), by_psi

    def mean(self, eta: FloatArray, psi: FloatArray) -> FloatArray:
        """Mean of the category's number."""
        return np.asarray(self.probabilities(eta, psi) @ np.arange(float(self.n_categories)))

    def mean_slope(self, eta: FloatArray, psi: FloatArray) -> FloatArray:
        """Its derivative: the sum of the densities at the thresholds."""
        z = psi - eta[:, None]
        if self.link == "logit":
            return np.asarray((special.expit(z) * special.expit(-z)).sum(axis=1))
        return np.asarray(np.exp(-0.5 * z**2 - LOG_ROOT_2PI).sum(axis=1))

    def variance(self, mu: FloatArray, psi: FloatArray) -> FloatArray:
        """Not a function of the mean: refused."""
        raise ArgumentError(
            "the variance of a category's number is no function of its mean; use `probabilities`."
        )

    def pearson(self, y: FloatArray, m: FloatArray, eta: FloatArray, psi: FloatArray) -> FloatArray:
        """``(y - E y) / sd(y)`` of the category's number."""
        P, k = self.probabilities(eta, psi), np.arange(float(self.n_categories))
        mean = P @ k
        return np.asarray((y - mean) / np.sqrt(P @ k**2 - mean**2))

    def cumulative(
        self, y: FloatArray, m: FloatArray, eta: FloatArray, psi: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """P(Y < y) and P(Y <= y)."""
        a, b = self._ends(y, eta, psi)
        F = special.expit if self.link == "logit" else special.ndtr
        return np.asarray(F(b)), np.asarray(F(a))

    def draw(self, rng: np.random.Generator, m: FloatArray, eta: FloatArray, psi: FloatArray) -> FloatArray:
        """Categories."""
        latent = rng.logistic(size=len(eta)) if self.link == "logit" else rng.standard_normal(len(eta))
        return np.searchsorted(psi, eta + latent).astype(float)

    def start_eta(self, y: FloatArray, m: FloatArray) -> FloatArray:
        """Nothing: the thresholds start at the marginal proportions."""
        return np.zeros(len(y))

    def start_psi(self, y: FloatArray, m: FloatArray) -> FloatArray:
        """The link of the cumulative proportions."""
        share = np.bincount(y.astype(np.intp), weights=m, minlength=self.n_categories)
        below = (np.cumsum(share)[:-1] + 0.25) / (share.sum() + 0.5)
        return np.asarray(special.logit(below) if self.link == "logit" else special.ndtri(below))

    def recedes(self, y: FloatArray, m: FloatArray) -> tuple[BoolArray, BoolArray]:
        """The lowest category: downwards; the highest: upwards."""
        return y == 0, y == self.n_categories - 1

    def complaint(self, y: FloatArray, m: FloatArray) -> str:
        """What is wrong with the categories."""
        found = np.unique(y)
        if not np.array_equal(found, np.arange(self.n_categories)) or self.n_categories < 2:
            return (
                f"the categories are {found[:9].tolist()}; wanted every one of 0 to {self.n_categories - 1}."
            )
        return ""


def _logit_ends(a: FloatArray, b: FloatArray) -> _Ends:
    # F(a) - F(b) = F(a) (1 - F(b)) (1 - exp(b - a)) for the logistic distribution.
    Fa, Fb, rest_a, rest_b = special.expit(a), special.expit(b), special.expit(-a), special.expit(-b)
    fa, fb = Fa * rest_a, Fb * rest_b
    q = 1.0 / np.expm1(a - b)
    value = special.log_expit(a) + special.log_expit(-b) + np.log(-np.expm1(b - a))
    return _Ends(
        value=np.asarray(value),
        a=rest_a + q,
        b=-Fb - q,
        aa=-fa - q * (1.0 + q),
        ab=q * (1.0 + q),
        bb=-fb - q * (1.0 + q),
        w_a=fa * (rest_a - Fa),
        w_b=fb * (rest_b - Fb),
    )


def _probit_ends(a: FloatArray, b: FloatArray) -> _Ends:
    high, low = np.where(b > 0, -b, a), np.where(b > 0, -a, b)  # the tail in which digits are kept
    upper, lower = special.log_ndtr(high), special.log_ndtr(low)
    value = upper + np.log(-np.expm1(lower - upper))
    ra = np.exp(-0.5 * a**2 - LOG_ROOT_2PI - value)
    rb = np.exp(-0.5 * b**2 - LOG_ROOT_2PI - value)
    d, e = ra - rb, a * ra - b * rb
    return _Ends(
        value=np.asarray(value),
        a=ra,
        b=-rb,
        aa=-ra * (a + ra),
        ab=ra * rb,
        bb=rb * (b - rb),
        w_a=ra * (1.0 - a**2 - e - 2.0 * d * (a + d)),
        w_b=-rb * (1.0 - b**2 - e - 2.0 * d * (b + d)),
    )


_ENDS = {"logit": _logit_ends, "probit": _probit_ends}
