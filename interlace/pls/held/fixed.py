"""The deviance with a fixed effect or sigma held, minimised over all the other parameters.

*A fixed effect*: ``beta_j = b`` leaves p - 1 free directions in the orthonormal basis of X and moves the
response; the cross-products follow by a (p + 1) x p matrix, and what is left is an ordinary deviance.

*sigma*: ``d(theta; sigma) = log|M| + n log(2 pi sigma^2) + r^2 / sigma^2`` (JSS eq. 29 with beta and u
at their minimum).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import linalg

from interlace.arrays import FloatArray
from interlace.pls.search.criterion import (
    Decomposition,
    ProfiledCriterion,
    decomposed,
    rounding_noise,
    saturated,
)
from interlace.pls.search.derivatives import Derivatives, derivatives
from interlace.pls.search.optimize import minimize


@dataclass(frozen=True, eq=False)
class Conditional:
    """The minimum of the deviance given one parameter.

    Attributes
    ----------
    deviance : float
        There.
    x : ndarray
        Where, in the coordinates of the search: a start for the next one.
    Lambda : tuple of ndarray of shape (k, k)
        Per term, a root of the relative covariance, on raw columns.
    sigma : float
        Residual standard deviation.
    beta : ndarray of shape (p,)
        Fixed effects.
    """

    deviance: float
    x: FloatArray
    Lambda: tuple[FloatArray, ...]
    sigma: float
    beta: FloatArray


def as_ml(criterion: ProfiledCriterion) -> ProfiledCriterion:
    """The deviance of the same model and data, whatever the criterion was."""
    return criterion.variant(reml=False)


def conditional(
    criterion: ProfiledCriterion, at: Decomposition, x: FloatArray, sigma: float, gamma: FloatArray
) -> Conditional:
    """The record of a minimum, its covariances on raw columns; gamma: fixed effects on the basis."""
    roots = criterion.relcov.of_terms(at.Lambda)
    raw = tuple(inverse @ root for inverse, root in zip(criterion.relcov.term_inverses, roots, strict=True))
    return Conditional(at.objective, x, raw, sigma, criterion.basis.beta(gamma))


@dataclass(frozen=True, eq=False)
class FixedEffect:
    """Searches with one fixed effect held.

    Attributes
    ----------
    criterion : ProfiledCriterion
        The deviance.
    j : int
        Position of the fixed effect.
    """

    criterion: ProfiledCriterion
    j: int

    def start(self, phi: FloatArray) -> FloatArray:
        """Coordinates of a point given by its basis parameters."""
        return phi

    def minimum(self, value: float, x: FloatArray) -> Conditional:
        """The minimum with ``beta_j = value``, sought from x."""
        basis = self.criterion.basis
        p = len(basis.R)
        gamma0, null = self._within_rest(value)
        H = np.zeros((p + 1, p))
        H[:p, :-1], H[:p, -1], H[p, -1] = null, -gamma0, 1.0
        cp = self.criterion.cp
        reduced = replace(cp, B=cp.B @ H, C=H.T @ cp.C @ H)
        left = self.criterion.variant(cp=reduced, reml=False)
        optimum = minimize(left, x)
        sigma = basis.scale * float(np.sqrt(optimum.at.pwrss / cp.n))
        gamma = gamma0 + null @ optimum.at.gamma
        return conditional(self.criterion, optimum.at, optimum.phi, sigma, gamma)

    def _within_rest(self, value: float) -> tuple[FloatArray, FloatArray]:
        """A gamma with ``beta_j = value``, and an orthonormal basis of the directions that keep it."""
        basis = self.criterion.basis
        p = len(basis.R)
        unit = np.zeros(p)
        unit[self.j] = 1.0
        a = linalg.solve_triangular(basis.R, unit, trans=1)  # beta_j = a'(shift + scale gamma)
        wanted = (value - a @ basis.shift) / basis.scale
        directions = linalg.qr(a[:, None])[0]
        return a * (wanted / (a @ a)), np.asarray(directions[:, 1:], dtype=float)


class AtSigma:
    """The deviance at a given sigma: a criterion like `ProfiledCriterion`, over the same factorization.

    Parameters
    ----------
    criterion : ProfiledCriterion
        The deviance with sigma profiled out.
    s : float
        Residual standard deviation, in units of the scaled response.
    """

    def __init__(self, criterion: ProfiledCriterion, s: float) -> None:
        self.cp = criterion.cp
        self.relcov = criterion.relcov
        self.factorization = criterion.factorization
        self.s = s
        n = self.cp.n
        self._constant = n * np.log(2.0 * np.pi * (s * criterion.basis.scale) ** 2) - self.cp.sum_log_weights

    def decompose(self, phi: FloatArray, gauge: Sequence[FloatArray] | None = None) -> Decomposition:
        """Evaluate the deviance at basis parameters, keeping the pieces."""
        return decomposed(self, phi, gauge, self._objective)

    def _objective(self, R: FloatArray, logdet_L2: float) -> float:
        return float(logdet_L2 + self._constant + (R[-1, -1] / self.s) ** 2)

    def derivatives(self, at: Decomposition, *, rough: bool = False) -> Derivatives:
        """Gradient and Hessian where the criterion was evaluated last."""
        nu = at.pwrss / self.s**2
        found = derivatives(self.cp, self.relcov, self.factorization, at, nu=nu, reml=False, rough=rough)
        c = -found.pwrss_gradient / self.s**2
        return replace(found, hessian=found.hessian + np.outer(c, c) / nu)  # sigma does not follow

    def noise(self, at: Decomposition) -> float:
        """Error of the objective by rounding, not less than where sigma follows."""
        return rounding_noise(self, at, self.cp.n)

    def fault(self, at: Decomposition) -> str | None:
        """Why there is no minimum to be sought from here: r^2 consists of rounding errors."""
        return saturated(self, at)


@dataclass(frozen=True, eq=False)
class FixedSigma:
    """Searches with the residual standard deviation held."""

    criterion: ProfiledCriterion

    def start(self, phi: FloatArray) -> FloatArray:
        """Coordinates of a point given by its basis parameters."""
        return phi

    def rescaled(self, x: FloatArray, near: float, value: float) -> FloatArray:
        """Where to begin at ``sigma = value``, from x found at ``near``: covariances stay about the same."""
        return x * (near / value)

    def minimum(self, value: float, x: FloatArray) -> Conditional:
        """The minimum with ``sigma = value``, sought from x."""
        at_sigma = AtSigma(self.criterion, value / self.criterion.basis.scale)
        optimum = minimize(at_sigma, x)
        return conditional(self.criterion, optimum.at, optimum.phi, value, optimum.at.gamma)
