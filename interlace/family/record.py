"""What a family is to the numerical room: functions of one row's linear predictor.

Of one row's log-likelihood, as a function of eta: ``s = l'``, ``w = -l''`` (observed, never expected) and
``t = w' = -l'''``.  ``psi`` holds what a family estimates beside the fixed effects: the logarithm of a size,
a shape or a standard deviation, or thresholds.  ``m`` is the number of trials of a binomial row, and of other
rows how often they occur.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from interlace.arrays import BoolArray, FloatArray
from interlace.errors import ArgumentError

# Largest |eta| that is exponentiated: exp(700) is the last finite power, give or take.
MOST = 700.0
# Nodes that integrate a mean over a normal distribution of its linear predictor.
NODES = 101


@dataclass(frozen=True, eq=False)
class PsiTerms:
    """Derivatives by psi, of k parameters and n rows.

    Attributes
    ----------
    loglik, s, w : ndarray of shape (k, n)
        Derivatives of the log-likelihood, of s and of w.
    curvature : ndarray of shape (k, k)
        Second derivatives of the log-likelihood, summed over the rows.
    """

    loglik: FloatArray
    s: FloatArray
    w: FloatArray
    curvature: FloatArray


@dataclass(frozen=True)
class Family(ABC):
    """A family with its link.

    Attributes
    ----------
    link : str
        Name of the link.
    """

    link: str
    name: ClassVar[str]
    links: ClassVar[tuple[str, ...]]
    additive: ClassVar[bool] = False  # whether rows of one eta may be added up: y with y, m with m
    concave: ClassVar[bool] = True  # whether w is positive everywhere

    def __post_init__(self) -> None:
        if self.link not in self.links:
            raise ArgumentError(
                f"link={self.link!r} is not known to {self.name}; wanted one of {self.links}."
            )

    @property
    def psi_names(self) -> tuple[str, ...]:
        """Names of the parameters in psi."""
        return ()

    # ---- the log-likelihood ----------------------------------------------------------------------

    @abstractmethod
    def terms(
        self, y: FloatArray, m: FloatArray, eta: FloatArray, psi: FloatArray
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Log-likelihood without `constant`, s and w of every row."""

    @abstractmethod
    def third(self, y: FloatArray, m: FloatArray, eta: FloatArray, psi: FloatArray) -> FloatArray:
        """``t = dw/deta`` of every row."""

    def psi_terms(self, y: FloatArray, m: FloatArray, eta: FloatArray, psi: FloatArray) -> PsiTerms:
        """Derivatives by psi."""
        nothing = np.zeros((0, len(eta)))
        return PsiTerms(nothing, nothing, nothing, np.zeros((0, 0)))

    def constant(self, y: FloatArray, m: FloatArray) -> FloatArray:
        """What the log-likelihood of the user's own rows has that depends on y and m alone."""
        return np.zeros(len(y))

    def loglik(self, y: FloatArray, m: FloatArray, eta: FloatArray, psi: FloatArray) -> FloatArray:
        """The whole log-likelihood of every row."""
        return self.terms(y, m, eta, psi)[0] + self.constant(y, m)

    @abstractmethod
    def saturated(self, y: FloatArray, m: FloatArray, psi: FloatArray) -> FloatArray:
        """The most that the log-likelihood of each row can be."""

    # ---- the distribution ------------------------------------------------------------------------

    @abstractmethod
    def mean(self, eta: FloatArray, psi: FloatArray) -> FloatArray:
        """Inverse link: mean of one trial."""

    @abstractmethod
    def mean_slope(self, eta: FloatArray, psi: FloatArray) -> FloatArray:
        """Derivative of `mean` by eta."""

    @abstractmethod
    def variance(self, mu: FloatArray, psi: FloatArray) -> FloatArray:
        """Variance of one trial."""

    def marginal_mean(self, eta: FloatArray, variance: FloatArray, psi: FloatArray) -> FloatArray:
        """Mean over ``eta + N(0, variance)``, by Gauss-Hermite where there is no closed form."""
        x, weights = np.polynomial.hermite_e.hermegauss(NODES)
        spread = eta[:, None] + np.sqrt(variance)[:, None] * x
        means = self.mean(spread.ravel(), psi).reshape(spread.shape)
        return np.asarray(means @ (weights / weights.sum()))

    @abstractmethod
    def cumulative(
        self, y: FloatArray, m: FloatArray, eta: FloatArray, psi: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """P(Y < y) and P(Y <= y)."""

    @abstractmethod
    def draw(self, rng: np.random.Generator, m: FloatArray, eta: FloatArray, psi: FloatArray) -> FloatArray:
        """A response for every row."""

    # ---- the start, and where it leads -----------------------------------------------------------

    @abstractmethod
    def start_eta(self, y: FloatArray, m: FloatArray) -> FloatArray:
        """A rough linear predictor of every row, from its own response."""

    def start_psi(self, y: FloatArray, m: FloatArray) -> FloatArray:
        """Where the search for psi begins."""
        return np.zeros(len(self.psi_names))

    def limit(self, psi: FloatArray) -> str:
        """What psi says where it has gone to an end of its range; empty where it has not."""
        return ""

    def recedes(self, y: FloatArray, m: FloatArray) -> tuple[BoolArray, BoolArray]:
        """Whether a row's likelihood rises for ever as eta falls, and as it grows."""
        never = np.zeros(len(y), dtype=bool)
        return never, never

    @abstractmethod
    def complaint(self, y: FloatArray, m: FloatArray) -> str:
        """What is wrong with a response; empty if nothing."""

    # ---- residuals -------------------------------------------------------------------------------

    def pearson(self, y: FloatArray, m: FloatArray, eta: FloatArray, psi: FloatArray) -> FloatArray:
        """``(y - E y) / sd(y)`` of every row."""
        mu = self.mean(eta, psi)
        count = m if self.name == "binomial" else np.ones(len(y))
        return np.asarray((y - count * mu) / np.sqrt(count * self.variance(mu, psi)))

    def deviance_residuals(
        self, y: FloatArray, m: FloatArray, eta: FloatArray, psi: FloatArray
    ) -> FloatArray:
        """Signed roots of twice the log-likelihood that each row lacks to the saturated one."""
        lacking = self.saturated(y, m, psi) - self.loglik(y, m, eta, psi)
        return np.asarray(np.sign(self.terms(y, m, eta, psi)[1]) * np.sqrt(2.0 * np.maximum(lacking, 0.0)))


def exponential(eta: FloatArray) -> FloatArray:
    """exp(eta), finite."""
    return np.exp(np.clip(eta, -MOST, MOST))


def no_counts(y: FloatArray) -> str:
    """Complaint about a response that is not made of counts; empty if it is."""
    if not np.isfinite(y).all() or (y < 0).any() or (y != np.floor(y)).any():
        return "the response is not made of counts: wanted 0, 1, 2, ..."
    return ""
