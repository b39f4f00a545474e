"""First and second derivatives of many criteria, exact ones: see `pls.search.derivatives` for one.

Everything is told in the entries of ``D_f = Lambda_f Lambda_f'``, one K x K matrix per factor.  With N the
blocks of ``Z'V0^-1 Z``, t = Z'e, L = ``Z'V0^-1 X R_X^-1`` and Q = ``2 tt'/sigma^2 - N + 2 LL'``,

    d2 = tr(dD_j N dD_k Q) - 2 v_j'v_k / sigma^2 - tr(P_j P_k) - c_j c_k / nu + tr(S d2D_jk),

``v_j = L' dD_j t``, ``P_j = L' dD_j L``, ``c_j = t' dD_j t / sigma^2`` and S the score matrix.  The terms
with LL' and P are REML's.  Of contrasts only sums of products are needed, here as in the criterion.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from interlace.arrays import FloatArray
from interlace.pls.matrices.relcov import RelativeCovariance

from .criterion import Evaluations, Points, times
from .problems import Blocks, Problems

Pairs = dict[tuple[int, int], FloatArray]


@dataclass(frozen=True, eq=False)
class Entries:
    """Derivatives by the entries of D, per factor; all lead with the problem.

    Attributes
    ----------
    scores : list of ndarray of shape (B, K, K)
        Score matrices.
    squares : list of ndarray of shape (B, K, K)
        Sums over levels of ``t t'``.
    V : list of ndarray of shape (B, K K, p)
        Sums of ``t[b] L[a]``, for ``v_j``.
    P : list of ndarray of shape (B, K K, p p)
        Sums of ``L[a] L[b]'``, for ``P_j``.
    pairs : dict of (int, int) to ndarray of shape (B, K K, K' K')
        For ``tr(dD_j N dD_k Q)``, of each pair of factors f <= f'.
    sigma2 : ndarray of shape (B,)
        ``r^2 / nu``.
    """

    scores: list[FloatArray]
    squares: list[FloatArray]
    V: list[FloatArray]
    P: list[FloatArray]
    pairs: Pairs
    sigma2: FloatArray


@dataclass(frozen=True, eq=False)
class _Fixed:
    """Fixed effects at a point: gamma (B, p), R_X^-1 (B, p, p) and sigma^2 (B,)."""

    gamma: FloatArray
    R_inverse: FloatArray
    sigma2: FloatArray
    reml: bool

    @property
    def G_inverse(self) -> FloatArray:
        """(X' V0^-1 X)^-1."""
        return np.asarray(self.R_inverse @ self.R_inverse.transpose(0, 2, 1))


def fixed_effects(at: Evaluations) -> tuple[FloatArray, FloatArray]:
    """Coefficients on the basis, (B, p), and R_X^-1, (B, p, p)."""
    p = at.R.shape[1] - 1
    inverse = np.asarray(np.linalg.inv(at.R[:, :p, :p]), dtype=float)
    return times(inverse, at.R[:, :p, p]), inverse


def entries(problems: Problems, at: Evaluations) -> Entries:
    """Differentiate by the entries of D.

    Parameters
    ----------
    problems : Problems
        B problems.
    at : Evaluations
        Of their criteria.

    Returns
    -------
    Entries
    """
    gamma, inverse = fixed_effects(at)
    fixed = _Fixed(gamma, inverse, at.pwrss / problems.nu, problems.reml)
    found = [_of_blocks(own, H, fixed) for own, H in zip(problems.blocks, at.H, strict=True)]
    pairs: Pairs = {(f, f): one.pop("pairs") for f, one in enumerate(found)}
    if problems.layout.q:
        _add_core(problems, at, fixed, found, pairs)
    scores = [
        one["N"] - one["squares"] / fixed.sigma2[:, None, None] - (one["LL"] if fixed.reml else 0.0)
        for one in found
    ]
    return Entries(
        scores=[(S + S.transpose(0, 2, 1)) / 2.0 for S in scores],
        squares=[one["squares"] for one in found],
        V=[one["V"] for one in found],
        P=[one["P"] for one in found],
        pairs=pairs,
        sigma2=fixed.sigma2,
    )


def _of_blocks(own: Blocks, H: FloatArray, fixed: _Fixed) -> dict[str, FloatArray]:
    """Sums over the contrasts of one factor."""
    groups, K, p = own.A.shape[1], own.A.shape[-1], own.XX.shape[-1]
    F = np.eye(K) - own.A @ H
    N = F @ own.A
    Ft = F.transpose(0, 1, 3, 2)
    xr = own.Xy - _applied(own.XX, fixed.gamma)
    yr = own.yy - _applied(own.Xy, fixed.gamma).transpose(0, 1, 3, 2)
    tt = F @ (yr - _applied(xr, fixed.gamma)) @ Ft
    flat = own.XX.reshape(*own.XX.shape[:4], p * p)
    LL = F @ _applied(flat, fixed.G_inverse.reshape(len(fixed.R_inverse), p * p)) @ Ft
    FF = (F[..., :, None, :, None] * F[..., None, :, None, :]).reshape(*F.shape[:2], K * K, K * K)
    FF = FF.transpose(0, 2, 1, 3).reshape(len(F), K * K, groups * K * K)
    V = FF @ xr.reshape(len(xr), groups * K * K, p) @ fixed.R_inverse
    Q = 2.0 * tt / fixed.sigma2[:, None, None, None] - own.count[..., None, None] * N
    if fixed.reml:
        Q = Q + 2.0 * LL
    return {
        "N": (own.count[..., None, None] * N).sum(axis=1),
        "squares": tt.sum(axis=1),
        "LL": LL.sum(axis=1),
        "V": V,
        "P": _both_sides(
            _shared_product(FF, own.XX.reshape(len(own.XX), groups * K * K, p * p)), fixed.R_inverse
        ),
        "pairs": _pairs(N, Q),
    }


def _applied(products: FloatArray, vectors: FloatArray) -> FloatArray:
    """(B, ..., c) times (B, c), where either may lead with 1."""
    inner, c = products.shape[1:-1], products.shape[-1]
    total = times(products.reshape(len(products), math.prod(inner), c), vectors)
    return np.asarray(total.reshape(len(total), *inner))


def _shared_product(left: FloatArray, right: FloatArray) -> FloatArray:
    """(B, r, c) times (B, c, d): one large product where all share the second."""
    if len(right) > 1:
        return np.asarray(left @ right)
    flat = left.reshape(len(left) * left.shape[1], left.shape[2]) @ right[0]
    return np.asarray(flat.reshape(*left.shape[:2], right.shape[2]))


def _both_sides(products: FloatArray, R_inverse: FloatArray) -> FloatArray:
    """``R^-T P R^-1`` of (B, K K, p p)."""
    p = R_inverse.shape[-1]
    P = products.reshape(*products.shape[:2], p, p)
    own = R_inverse[:, None]
    both = own.transpose(0, 1, 3, 2) @ P @ own
    return np.asarray(both.reshape(len(both), products.shape[1], p * p))


def _pairs(N: FloatArray, Q: FloatArray) -> FloatArray:
    """Sums over g of ``N[b, c] Q[d, a]`` as (B, (a, b), (c, d)), from (B, g, K, K') and (B, g, K', K)."""
    K, other = N.shape[2:]
    left = N.reshape(*N.shape[:2], K * other).transpose(0, 2, 1)
    total = left @ Q.reshape(*Q.shape[:2], K * other)
    total = total.reshape(len(total), K, other, other, K)
    return np.asarray(total.transpose(0, 4, 1, 2, 3).reshape(len(total), K * K, other * other))


def _add_core(
    problems: Problems, at: Evaluations, fixed: _Fixed, found: list[dict[str, FloatArray]], pairs: Pairs
) -> None:
    """Add what the core has to the sums over contrasts."""
    core, layout = problems.core, problems.layout
    half = core.A @ at.V.transpose(0, 2, 1)
    N = core.A - half @ at.V @ core.A
    X = core.X - half @ (at.V @ core.X)
    t = core.y - times(half, times(at.V, core.y)) - times(X, fixed.gamma)
    L = X @ fixed.R_inverse
    LL = L @ L.transpose(0, 2, 1)
    Q = 2.0 * t[:, :, None] * t[:, None] / fixed.sigma2[:, None, None] - N
    if fixed.reml:
        Q = Q + 2.0 * LL
    for f, one in enumerate(found):
        n, K, own = layout.n_levels[f], layout.K[f], layout.slices[f]
        levels, modes = L[:, own].reshape(len(L), n, K, problems.p), t[:, own].reshape(len(t), n, K)
        one["N"] = one["N"] + _diagonal(N[:, own, own], n, K)
        one["squares"] = one["squares"] + modes.transpose(0, 2, 1) @ modes
        one["LL"] = one["LL"] + _diagonal(LL[:, own, own], n, K)
        one["V"] = one["V"] + np.einsum("bgai,bgc->baci", levels, modes).reshape(len(t), K * K, problems.p)
        one["P"] = one["P"] + np.einsum("bgai,bgcj->bacij", levels, levels).reshape(
            len(L), K * K, problems.p**2
        )
        for g in range(f, len(found)):
            other = layout.slices[g]
            total = _pairs(
                _by_pair(N[:, own, other], K, layout.K[g]),
                _by_pair(Q[:, other, own], layout.K[g], K, swap=True),
            )
            pairs[f, g] = pairs[f, g] + total if f == g else total


def _diagonal(blocks: FloatArray, n: int, K: int) -> FloatArray:
    """Sum of the diagonal (K, K) blocks of (B, n K, n K)."""
    return np.asarray(np.einsum("blalc->bac", blocks.reshape(len(blocks), n, K, n, K)))


def _by_pair(blocks: FloatArray, K: int, other: int, *, swap: bool = False) -> FloatArray:
    """(B, n K, n' K') as (B, n n', K, K'); pairs counted column by column if ``swap``."""
    B, rows, columns = blocks.shape
    parts = blocks.reshape(B, rows // K, K, columns // other, other)
    ordered = parts.transpose(0, 3, 1, 2, 4) if swap else parts.transpose(0, 1, 3, 2, 4)
    return ordered.reshape(B, -1, K, other)


@dataclass(frozen=True, eq=False)
class Slopes:
    """Derivatives of the criteria by their parameters.

    Attributes
    ----------
    gradient : ndarray of shape (B, m)
        By phi in the gauge.
    hessian : ndarray of shape (B, m, m)
        With sigma profiled out.
    unprofiled : ndarray of shape (B, m, m)
        At fixed sigma.
    shares : ndarray of shape (B, m)
        ``c``: minus the derivatives of ``r^2 / sigma^2`` at fixed sigma.
    P : ndarray of shape (B, m, p, p)
        Derivatives of ``-log`` precision of the fixed effects: ``L' dD_j L``.
    """

    gradient: FloatArray
    hessian: FloatArray
    unprofiled: FloatArray
    shares: FloatArray
    P: FloatArray


def slopes(problems: Problems, here: Points, by: Entries) -> Slopes:
    """From derivatives by the entries of D to those by phi in the gauge.

    Parameters
    ----------
    problems : Problems
        B problems.
    here : Points
        Where they were differentiated.
    by : Entries
        The derivatives.

    Returns
    -------
    Slopes
    """
    relcov, B, p = problems.relcov, len(problems), problems.p
    dD = [_directions(relcov, here, f) for f in range(len(here.gauge))]
    gradient, shares = np.empty((B, relcov.m)), np.empty((B, relcov.m))
    V, P = np.empty((B, relcov.m, p)), np.empty((B, relcov.m, p * p))
    hessian = np.zeros((B, relcov.m, relcov.m))
    for f, own in enumerate(relcov.of_factor):
        gradient[:, own] = times(dD[f], by.scores[f].reshape(B, -1))
        shares[:, own] = times(dD[f], by.squares[f].reshape(B, -1)) / by.sigma2[:, None]
        V[:, own], P[:, own] = dD[f] @ by.V[f], dD[f] @ by.P[f]
        hessian[:, own[:, None], own] += _curvature(relcov, here, by.scores[f], f)
    for (f, g), pair in by.pairs.items():
        block = dD[f] @ pair @ dD[g].transpose(0, 2, 1)
        hessian[:, relcov.of_factor[f][:, None], relcov.of_factor[g]] += block
        if f != g:
            hessian[:, relcov.of_factor[g][:, None], relcov.of_factor[f]] += block.transpose(0, 2, 1)
    hessian -= 2.0 * V @ V.transpose(0, 2, 1) / by.sigma2[:, None, None]
    if problems.reml:
        hessian -= P @ P.transpose(0, 2, 1)
    profiled = hessian - shares[:, :, None] * shares[:, None] / problems.nu[:, None, None]
    return Slopes(gradient, profiled, hessian, shares, P.reshape(B, relcov.m, p, p))


def _directions(relcov: RelativeCovariance, here: Points, f: int) -> FloatArray:
    """``dD / d phi_j`` of the parameters of one factor, (B, m_f, K K)."""
    own = relcov.of_factor[f]
    U, Lambda = here.gauge[f], here.Lambda[f]
    rows = U.transpose(0, 2, 1)[:, relcov.row[own]]
    columns = Lambda.transpose(0, 2, 1)[:, relcov.col[own]]
    one = rows[:, :, :, None] * columns[:, :, None]
    return np.asarray((one + one.transpose(0, 1, 3, 2)).reshape(*one.shape[:2], -1))


def _curvature(relcov: RelativeCovariance, here: Points, S: FloatArray, f: int) -> FloatArray:
    """``tr(S d2D_jk)``: 2 S[a, a'] in the gauge for two entries of one column."""
    own, U = relcov.of_factor[f], here.gauge[f]
    inside = U.transpose(0, 2, 1) @ S @ U
    row = relcov.row[own]
    return np.asarray(2.0 * inside[:, row[:, None], row] * relcov.same_column[np.ix_(own, own)])


def differentiated(problems: Problems, here: Points, at: Evaluations) -> tuple[Slopes, list[FloatArray]]:
    """Derivatives by phi in the gauge, and the score matrices."""
    by = entries(problems, at)
    return slopes(problems, here, by), by.scores
