"""First and second derivatives of the profiled criterion, from cross-products alone.

Everything follows from the *score matrix* of a factor,

    S = sum over levels l of [Z' P0 Z]_ll - (Z' e)_l (Z' e)_l' / sigma^2,    e = V0^-1 (y - X beta),

the derivative of the criterion with respect to ``Lambda Lambda'`` (``P0`` is V0^-1 projected
off X for REML, V0^-1 itself for ML):

* gradient: ``2 S Lambda``;
* Hessian: the average of observed and expected information (Gilmour, Thompson & Cullis 1995)
  plus ``2 S[a, a']`` between entries of one column of Lambda.  Without the latter it would
  vanish with theta, and Newton's method would crawl into every singular fit;
* optimality on the boundary: S positive semidefinite on the null space of Lambda.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from interlace.arrays import FloatArray, IntArray
from interlace.pls.factor.factorization import Factorization
from interlace.pls.matrices.crossproducts import CrossProducts
from interlace.pls.matrices.relcov import RelativeCovariance
from interlace.pls.matrices.triangular import upper_solve, upper_solve_right


class Evaluated(Protocol):
    """What the derivatives need of an evaluation of the criterion; see `criterion.Decomposition`."""

    @property
    def Psi(self) -> Sequence[FloatArray]:
        """Triangles of parameters in the gauge."""

    @property
    def gauge(self) -> Sequence[FloatArray] | None:
        """Orthogonal matrices that define it."""

    @property
    def TB(self) -> FloatArray:
        """T Z'W [X y]."""

    @property
    def R(self) -> FloatArray:
        """Cholesky factor of [X y]' V0^-1 [X y]."""

    @property
    def gamma(self) -> FloatArray:
        """Fixed effects on the basis."""

    @property
    def pwrss(self) -> float:
        """Penalised residual sum of squares."""


@dataclass(frozen=True, eq=False)
class Derivatives:
    """Derivatives of the criterion in basis coordinates, in the gauge of the evaluation.

    Attributes
    ----------
    gradient : ndarray of shape (m,)
        Exact, with respect to phi in the gauge.
    hessian : ndarray of shape (m, m)
        Average information plus the score's own curvature.
    scores : list of ndarray of shape (K, K)
        Score matrix of each factor, not in the gauge.
    pwrss_gradient : ndarray of shape (m,)
        Exact gradient of r^2.
    gamma_gradient : ndarray of shape (p, m)
        Derivatives of the fixed effects on their basis.
    rough : bool
        Whether the scores, and with them gradient and Hessian, have some five digits only.
    """

    gradient: FloatArray
    hessian: FloatArray
    scores: list[FloatArray]
    pwrss_gradient: FloatArray
    gamma_gradient: FloatArray
    rough: bool = False

    @property
    def slopes(self) -> tuple[FloatArray, FloatArray]:
        """Gradient and Hessian."""
        return self.gradient, self.hessian


def derivatives(
    cp: CrossProducts,
    relcov: RelativeCovariance,
    factorization: Factorization,
    at: Evaluated,
    *,
    nu: float,
    reml: bool,
    rough: bool = False,
) -> Derivatives:
    """Differentiate the criterion where the factorization stands.

    Parameters
    ----------
    cp, relcov, factorization : CrossProducts, RelativeCovariance, Factorization
        The pieces of the criterion.
    at : Evaluated
        The evaluation that the factorization was last updated for.
    nu : int
        Degrees of freedom of sigma^2.
    reml : bool
        REML criterion or deviance.
    rough : bool
        Five digits will do, if the factorization has them in less time than exact ones.

    Returns
    -------
    Derivatives
    """
    p = cp.p
    sigma2 = at.pwrss / nu
    E = cp.B - cp.A @ at.TB  # Z' V0^-1 [X y]
    t = E[:, p] - E[:, :p] @ at.gamma  # Z' e
    half = upper_solve_right(E[:, :p], at.R[:p, :p])  # Z' V0^-1 X R_X^-1
    rounded = factorization.rough_information() if rough else None
    information = factorization.information() if rounded is None else rounded
    scores = _scores(relcov, information, t, half if reml else half[:, :0], sigma2)

    gradient, curvature = np.empty(relcov.m), np.zeros((relcov.m, relcov.m))
    W = np.zeros((relcov.layout.q, relcov.m))
    for f, (own, Psi) in enumerate(zip(relcov.of_factor, at.Psi, strict=True)):
        U = None if at.gauge is None else at.gauge[f]
        S = scores[f] if U is None else U.T @ scores[f] @ U
        row, col = relcov.row[own], relcov.col[own]
        gradient[own] = 2.0 * (S @ Psi)[row, col]
        curvature[own[:, None], own] = 2.0 * S[row[:, None], row]
        modes = t[relcov.layout.slices[f]].reshape(-1, relcov.layout.K[f])
        W[relcov.layout.slices[f], own] = _directions(Psi, row, col, modes, U)
    curvature *= relcov.same_column

    AW = cp.A @ W
    XW = half.T @ W
    c = W.T @ t / sigma2
    average = (W.T @ AW - AW.T @ factorization.conditional(AW) - XW.T @ XW) / sigma2
    return Derivatives(
        gradient=gradient,
        hessian=average - np.outer(c, c) / nu + curvature,
        scores=scores,
        pwrss_gradient=-sigma2 * c,
        gamma_gradient=-upper_solve(at.R[:p, :p], XW),
        rough=rounded is not None,
    )


def _scores(
    relcov: RelativeCovariance,
    information: Sequence[FloatArray],
    t: FloatArray,
    half: FloatArray,
    sigma2: float,
) -> list[FloatArray]:
    scores = []
    for f, total in enumerate(information):
        own = relcov.layout.slices[f]
        modes = t[own].reshape(-1, relcov.layout.K[f])
        S = total - modes.T @ modes / sigma2
        if half.shape[1]:
            by_level = half[own].reshape(relcov.layout.n_levels[f], relcov.layout.K[f], -1)
            fixed = by_level.transpose(0, 2, 1).reshape(-1, relcov.layout.K[f])
            S = S - fixed.T @ fixed
        scores.append((S + S.T) / 2.0)
    return scores


def _directions(
    Psi: FloatArray, row: IntArray, col: IntArray, modes: FloatArray, U: FloatArray | None
) -> FloatArray:
    """``w_j = (d Lambda Lambda' / d phi_j) Z' e`` for one factor's parameters, shape (n_levels * K, m_f)."""
    K, m = len(Psi), len(row)
    dD = np.zeros((m, K, K))
    dD[np.arange(m), row] = Psi.T[col]
    dD = dD + dD.transpose(0, 2, 1)
    if U is not None:
        dD = U @ dD @ U.T
    by_level = modes @ dD.reshape(-1, K).T
    return np.asarray(by_level.reshape(-1, m, K).transpose(0, 2, 1).reshape(-1, m))
