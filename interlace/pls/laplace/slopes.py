"""Exact gradient of the Laplace criterion, and the Hessian that drives its search.

With the leverages ``h_i = z_i' T z_i``, ``r = t h``, ``c = T Z'r``, ``r~ = r - W Z c`` and ``k = Z' r~``,

* by the fixed effects: ``X'(r~ - 2 s)``;
* score matrix of a factor: sum over levels of ``N_ll - g_l g_l' + (k_l g_l' + g_l k_l') / 2``, ``g = Z's``,
  ``N = A - A T A``; the gradient is ``2 S Lambda`` as in the linear model, which is the case t = 0;
* by psi: ``-2 sum dl + sum h dw + c'Z' ds``.

The Hessian is exact for ``-2 l + u'u`` and the average information for ``log |M|``; how W itself changes is
left to secants.  Source: implicit differentiation, as in Skaug & Fournier (2006), Computational Statistics &
Data Analysis 51, by hand; Gilmour, Thompson & Cullis (1995) for the average information.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from interlace.arrays import FloatArray
from interlace.family import Family, PsiTerms
from interlace.pls.matrices.relcov import RelativeCovariance
from interlace.pls.search.derivatives import _directions

from .cells import Cells
from .pirls import Modes, Weighted


class Evaluated(Protocol):
    """What the derivatives need of an evaluation; see `criterion.Evaluation`."""

    @property
    def Psi(self) -> Sequence[FloatArray]:
        """Triangles of parameters in the gauge."""

    @property
    def gauge(self) -> Sequence[FloatArray] | None:
        """Orthogonal matrices that define it."""

    @property
    def psi(self) -> FloatArray:
        """Parameters of the family."""

    @property
    def modes(self) -> Modes:
        """Conditional modes."""


@dataclass(frozen=True, eq=False)
class Slopes:
    """Derivatives of the criterion in basis coordinates, in the gauge of the evaluation.

    Attributes
    ----------
    gradient : ndarray of shape (m + p + k,)
        By phi, gamma and psi; exact.
    hessian : ndarray of shape (m + p + k, m + p + k)
        See the module.
    scores : list of ndarray of shape (K, K)
        Score matrix of each factor, not in the gauge.
    b_dot, v_dot : ndarray of shape (q, m + p + k)
        Derivatives of the modes.
    by_beta : ndarray of shape (p, p)
        Hessian of the penalised likelihood by gamma, the modes following.
    """

    gradient: FloatArray
    hessian: FloatArray
    scores: list[FloatArray]
    b_dot: FloatArray
    v_dot: FloatArray
    by_beta: FloatArray

    @property
    def pair(self) -> tuple[FloatArray, FloatArray]:
        """Gradient and Hessian."""
        return self.gradient, self.hessian


def slopes(weighted: Weighted, relcov: RelativeCovariance, family: Family, at: Evaluated) -> Slopes:
    """Differentiate the criterion where it was evaluated *last*.

    Parameters
    ----------
    weighted : Weighted
        Cells and factorization, where the last evaluation left them.
    relcov, family : RelativeCovariance, Family
        The pieces of the criterion.
    at : Evaluated
        That evaluation.

    Returns
    -------
    Slopes
    """
    exact = first_order(weighted, relcov, family, at)
    moved = moves(weighted, relcov, at, exact.g, exact.psi_terms)
    hessian = _hessian(weighted.cells, at, exact.psi_terms, moved)
    hessian[: relcov.m, : relcov.m] += exact.curvature
    beta = slice(relcov.m, relcov.m + weighted.cells.p)
    by_beta = hessian[beta, beta].copy()
    return Slopes(exact.gradient, hessian, exact.scores, moved.b_dot, moved.v_dot, by_beta)


@dataclass(frozen=True, eq=False)
class FirstOrder:
    """The gradient and its parts; see `Slopes`. ``curvature`` is what the scores add to the Hessian."""

    gradient: FloatArray
    scores: list[FloatArray]
    curvature: FloatArray
    g: FloatArray
    psi_terms: PsiTerms


def first_order(weighted: Weighted, relcov: RelativeCovariance, family: Family, at: Evaluated) -> FirstOrder:
    """The exact gradient alone: one solve; parameters as of `slopes`."""
    cells, factorization, modes = weighted.cells, weighted.factorization, at.modes
    psi_terms = family.psi_terms(cells.y, cells.m, modes.eta, at.psi)
    g = cells.sums(modes.s)
    leverage = weighted.leverages()
    r = family.third(cells.y, cells.m, modes.eta, at.psi) * leverage
    c = factorization.conditional(cells.sums(r)[:, None])[:, 0]
    Zc = cells.random(c)
    rest = r - modes.w * Zc
    scores = _scores(relcov, factorization.information(), g, cells.sums(rest))
    by_phi, curvature = _by_phi(relcov, at, scores)
    by_psi = -2.0 * psi_terms.loglik.sum(axis=1) + psi_terms.w @ leverage + psi_terms.s @ Zc
    gradient = np.concatenate([by_phi, cells.X.T @ (rest - 2.0 * modes.s), by_psi])
    return FirstOrder(gradient, scores, curvature, g, psi_terms)


def _scores(
    relcov: RelativeCovariance, information: Sequence[FloatArray], g: FloatArray, k: FloatArray
) -> list[FloatArray]:
    scores = []
    for f, total in enumerate(information):
        own, K = relcov.layout.slices[f], relcov.layout.K[f]
        by_level = g[own].reshape(-1, K)
        S = total + by_level.T @ (k[own].reshape(-1, K) - by_level)
        scores.append((S + S.T) / 2.0)
    return scores


def _by_phi(
    relcov: RelativeCovariance, at: Evaluated, scores: Sequence[FloatArray]
) -> tuple[FloatArray, FloatArray]:
    """Gradient by phi in the gauge, and what the score matrix adds to the Hessian."""
    gradient, curvature = np.empty(relcov.m), np.zeros((relcov.m, relcov.m))
    for f, (own, Psi) in enumerate(zip(relcov.of_factor, at.Psi, strict=True)):
        S = scores[f] if at.gauge is None else at.gauge[f].T @ scores[f] @ at.gauge[f]
        row, col = relcov.row[own], relcov.col[own]
        gradient[own] = 2.0 * (S @ Psi)[row, col]
        curvature[own[:, None], own] = 2.0 * S[row[:, None], row]
    return gradient, curvature * relcov.same_column


@dataclass(frozen=True, eq=False)
class _Moves:
    """``w_j = (dD/dphi_j) g`` (q, m), ``Z'WX``, ``Z' ds/dpsi``, and how the modes change with everything."""

    W: FloatArray
    ZtWX: FloatArray
    Zds: FloatArray
    b_dot: FloatArray
    v_dot: FloatArray


def moves(
    weighted: Weighted, relcov: RelativeCovariance, at: Evaluated, g: FloatArray, psi_terms: PsiTerms
) -> _Moves:
    """Derivatives of the modes: one solve for all parameters."""
    cells, m = weighted.cells, relcov.m
    W = directions(relcov, at, g)
    ZtWX, Zds = cells.ZtWX(at.modes.w), cells.sums(psi_terms.s.T)
    right = np.concatenate([-weighted.times_A(cells.random(W)), -ZtWX, Zds], axis=1)
    b_dot = weighted.factorization.conditional(right)
    b_dot[:, :m] += W
    direct = np.concatenate([np.zeros(W.shape), -ZtWX, Zds], axis=1)
    return _Moves(W, ZtWX, Zds, b_dot, direct - weighted.times_A(cells.random(b_dot)))


def directions(relcov: RelativeCovariance, at: Evaluated, g: FloatArray) -> FloatArray:
    """``w_j = (d Lambda Lambda' / d phi_j) g``, shape (q, m)."""
    W = np.zeros((relcov.layout.q, relcov.m))
    for f, (own, Psi) in enumerate(zip(relcov.of_factor, at.Psi, strict=True)):
        rows, U = relcov.layout.slices[f], None if at.gauge is None else at.gauge[f]
        by_level = g[rows].reshape(-1, relcov.layout.K[f])
        W[rows, own] = _directions(Psi, relcov.row[own], relcov.col[own], by_level, U)
    return W


def _hessian(cells: Cells, at: Evaluated, psi_terms: PsiTerms, moved: _Moves) -> FloatArray:
    m, p, k = moved.W.shape[1], cells.p, len(at.psi)
    w, X = at.modes.w, cells.X
    of_phi, of_beta, of_psi = slice(m), slice(m, m + p), slice(m + p, None)
    H = np.zeros((m + p + k,) * 2)
    H[of_phi, of_phi] = -moved.W.T @ moved.v_dot[:, :m]
    H[of_beta, of_phi] = 2.0 * moved.ZtWX.T @ moved.b_dot[:, :m]
    H[of_beta, of_beta] = 2.0 * (X.T @ (X * w[:, None]) + moved.ZtWX.T @ moved.b_dot[:, of_beta])
    if k:
        kept = psi_terms.s.T - w[:, None] * cells.random(moved.b_dot[:, of_psi])
        H[of_psi, of_phi] = -2.0 * cells.sums(kept).T @ moved.W
        H[of_psi, of_beta] = -2.0 * kept.T @ X
        H[of_psi, of_psi] = -2.0 * (psi_terms.curvature + moved.Zds.T @ moved.b_dot[:, of_psi])
    lower = np.tril(H, -1)
    return np.asarray(lower + lower.T + np.diag(np.diagonal(H)))
