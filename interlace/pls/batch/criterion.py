"""The profiled criterion of many problems at once; see `pls.search.criterion` for one.

All arrays lead with the problem, or with 1 where the problems share what they hold: evaluated at one and the
same theta, problems with the same weights have one factorization.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from interlace.arrays import BoolArray, FloatArray, IntArray
from interlace.pls.factor.nested import absorbed_pairs
from interlace.pls.matrices.relcov import Layout, RelativeCovariance
from interlace.pls.search.criterion import CANCELLATION_NOISE, LARGEST_NOISE, RELATIVE_NOISE

from .problems import Blocks, Problems


def pick(array: FloatArray, chosen: IntArray | BoolArray) -> FloatArray:
    """Entries of some problems, at least one; what leads with 1 is shared by all."""
    return array if len(array) == 1 else array[chosen]


def merged(chosen: BoolArray, one: FloatArray, other: FloatArray) -> FloatArray:
    """One array where chosen, elsewhere the other."""
    return np.where(chosen.reshape(-1, *[1] * (one.ndim - 1)), one, other)


@dataclass(frozen=True, eq=False)
class Points:
    """Covariance parameters of many problems.

    Attributes
    ----------
    phi : ndarray of shape (B, m)
        Basis parameters in the gauge.
    gauge : tuple of ndarray of shape (B, K, K)
        Orthogonal U_f of each factor.
    Lambda : tuple of ndarray of shape (B, K, K)
        Blocks of Lambda per factor: ``U Psi``.
    """

    phi: FloatArray
    gauge: tuple[FloatArray, ...]
    Lambda: tuple[FloatArray, ...]

    def take(self, chosen: IntArray | BoolArray) -> Points:
        """Some of them, at least one."""
        return Points(
            pick(self.phi, chosen),
            tuple(pick(own, chosen) for own in self.gauge),
            tuple(pick(own, chosen) for own in self.Lambda),
        )

    def where(self, chosen: BoolArray, other: Points) -> Points:
        """These where chosen, elsewhere the others."""
        return Points(
            merged(chosen, self.phi, other.phi),
            tuple(merged(chosen, a, b) for a, b in zip(self.gauge, other.gauge, strict=True)),
            tuple(merged(chosen, a, b) for a, b in zip(self.Lambda, other.Lambda, strict=True)),
        )

    def displaced(self, relcov: RelativeCovariance, change: FloatArray) -> Points:
        """Other parameters in the same gauge."""
        return points(relcov, self.phi + change, self.gauge)


def points(relcov: RelativeCovariance, phi: FloatArray, gauge: Sequence[FloatArray]) -> Points:
    """Parameters in a gauge, and the Lambda that they stand for."""
    Lambda = []
    for K, own, U in zip(relcov.layout.K, relcov.of_factor, gauge, strict=True):
        Psi = np.zeros((len(phi), K, K))
        Psi[:, relcov.row[own], relcov.col[own]] = phi[:, own]
        Lambda.append(Psi if K == 1 else U @ Psi)
    return Points(phi, tuple(gauge), tuple(Lambda))


def ungauged(relcov: RelativeCovariance, phi: FloatArray) -> Points:
    """Parameters without a gauge."""
    gauge = [np.broadcast_to(np.eye(K), (len(phi), K, K)) for K in relcov.layout.K]
    return points(relcov, phi, gauge)


def in_principal_axes(relcov: RelativeCovariance, Lambda: Sequence[FloatArray]) -> Points:
    """The same covariances told in their principal axes: ``Psi`` is diagonal."""
    count = len(Lambda[0])
    phi = np.zeros((count, relcov.m))
    gauge = [np.broadcast_to(np.eye(K), (count, K, K)).copy() for K in relcov.layout.K]
    places = zip(relcov.term_k, relcov.term_factor, relcov.term_start, relcov.term_slices, strict=True)
    for i, (k, f, start, own) in enumerate(places):
        at = slice(start, start + k)
        if k == 1:
            phi[:, own] = np.abs(Lambda[f][:, at, start])
            continue
        U, s, _ = np.linalg.svd(Lambda[f][:, at, at])
        gauge[f][:, at, at] = U
        phi[:, np.arange(own.start, own.stop)[relcov.structures[i].diagonal]] = s
    return points(relcov, phi, gauge)


@dataclass(frozen=True, eq=False)
class Evaluations:
    """What an evaluation of the criterion leaves behind.

    Attributes
    ----------
    objective : ndarray of shape (B,)
        The criterion; infinite where no residual variation is left.
    H : tuple of ndarray of shape (B, G, K, K)
        ``Lambda (Lambda'A Lambda + I)^-1 Lambda'`` of the blocks of each factor.
    V : ndarray of shape (B, q0, q0)
        ``L^-1 Lambda'`` of the core.
    R : ndarray of shape (B, p + 1, p + 1)
        Upper Cholesky factor of ``[X y]' V0^-1 [X y]``.
    logdet : ndarray of shape (B,)
        ``log |M|``.
    """

    objective: FloatArray
    H: tuple[FloatArray, ...]
    V: FloatArray
    R: FloatArray
    logdet: FloatArray

    @property
    def pwrss(self) -> FloatArray:
        """r^2, in units of the scaled responses, (B,)."""
        return np.asarray(self.R[:, -1, -1] ** 2)

    def take(self, chosen: IntArray | BoolArray) -> Evaluations:
        """Some of them, at least one."""
        return Evaluations(
            pick(self.objective, chosen),
            tuple(pick(own, chosen) for own in self.H),
            *(pick(own, chosen) for own in (self.V, self.R, self.logdet)),
        )

    def where(self, chosen: BoolArray, other: Evaluations) -> Evaluations:
        """These where chosen, elsewhere the others."""
        rest = ((self.V, other.V), (self.R, other.R), (self.logdet, other.logdet))
        return Evaluations(
            merged(chosen, self.objective, other.objective),
            tuple(merged(chosen, a, b) for a, b in zip(self.H, other.H, strict=True)),
            *(merged(chosen, a, b) for a, b in rest),
        )


def evaluated(problems: Problems, at: Points) -> Evaluations:
    """Evaluate the criterion of every problem at its own parameters, or of all at the same.

    Parameters
    ----------
    problems : Problems
        B problems.
    at : Points
        As many, or one.

    Returns
    -------
    Evaluations
    """
    H, logdet = [], np.zeros(1)
    p = problems.p
    gram = np.empty((len(problems), p + 1, p + 1))
    XX, Xy, yy = problems.XX, problems.Xy, problems.yy
    for own, Lambda in zip(problems.blocks, at.Lambda, strict=True):
        solved, determinants = absorbed(own.A, Lambda)
        H.append(solved)
        logdet = logdet + (own.count * determinants).sum(axis=1)
        XX = XX - weighed(solved, own.XX)
        Xy = Xy - weighed(solved, own.Xy)
        yy = yy - weighed(solved, own.yy[..., None])[:, 0]
    V, determinants = _core(problems.core.A, block_diagonal(problems.layout, at.Lambda))
    X, y = V @ problems.core.X, times(V, problems.core.y)
    gram[:, :p, :p] = XX - X.transpose(0, 2, 1) @ X
    gram[:, :p, p] = Xy - times(X.transpose(0, 2, 1), y)
    gram[:, p, :p] = gram[:, :p, p]
    gram[:, p, p] = yy - np.einsum("bq,bq->b", y, y)
    R = cholesky(gram).transpose(0, 2, 1)
    logdet = logdet + determinants
    return Evaluations(_objective(problems, R, logdet), tuple(H), V, R, logdet)


def _objective(problems: Problems, R: FloatArray, logdet: FloatArray) -> FloatArray:
    diagonal = np.log(np.einsum("bpp->bp", R))
    nu = problems.nu
    value = logdet + nu * (1.0 + np.log(2.0 * np.pi / nu) + 2.0 * diagonal[:, -1]) + problems.constant
    if problems.reml:
        value = value + 2.0 * diagonal[:, :-1].sum(axis=1)
    return np.where(np.isfinite(value), value, np.inf)


def noise(problems: Problems, at: Evaluations) -> FloatArray:
    """Error of the objectives by rounding, (B,)."""
    own = RELATIVE_NOISE * np.maximum(1.0, np.abs(at.objective))
    return np.minimum(own + CANCELLATION_NOISE * problems.nu * problems.yy / at.pwrss, LARGEST_NOISE)


def absorbed(A: FloatArray, Lambda: FloatArray) -> tuple[FloatArray, FloatArray]:
    """``Lambda M^-1 Lambda'`` and ``log |M|``, M being ``Lambda'A Lambda + I``, of (B, G, K, K) blocks."""
    K = Lambda.shape[-1]
    if K == 1:
        square = Lambda[:, :, :, None] ** 2
        M = 1.0 + square * A
        return square / M, np.log(M)[:, :, 0, 0]
    own = Lambda[:, None]
    if K == 2:
        H, determinants = absorbed_pairs(A, own)
        return H, np.log(determinants)
    M = own.transpose(0, 1, 3, 2) @ A @ own
    M += np.eye(K)
    L = np.linalg.cholesky(M)
    half = np.linalg.inv(L) @ own.transpose(0, 1, 3, 2)
    pivots = np.einsum("bgkk->bgk", L)
    return half.transpose(0, 1, 3, 2) @ half, 2.0 * np.log(pivots).sum(axis=2)


def block_diagonal(layout: Layout, Lambda: Sequence[FloatArray]) -> FloatArray:
    """Lambda of the core, (B, q0, q0)."""
    full = np.zeros((len(Lambda[0]), layout.q, layout.q))
    for start, n, K, block in zip(layout.starts, layout.n_levels, layout.K, Lambda, strict=False):
        first = start + K * np.arange(n)
        for a in range(K):
            for b in range(K):
                full[:, first + a, first + b] = block[:, a, b, None]
    return full


def _core(A: FloatArray, Lambda: FloatArray) -> tuple[FloatArray, FloatArray]:
    """``L^-1 Lambda'`` and ``log |L|^2`` of the core."""
    if not Lambda.shape[1]:
        return Lambda, np.zeros(1)
    Lt = Lambda.transpose(0, 2, 1)
    M = Lt @ A @ Lambda
    M += np.eye(Lambda.shape[1])
    L = np.linalg.cholesky(M)
    return np.linalg.inv(L) @ Lt, 2.0 * np.log(np.einsum("bqq->bq", L)).sum(axis=1)


def weighed(blocks: FloatArray, products: FloatArray) -> FloatArray:
    """Sums over groups and entries of blocks, (B, G, K, K), times products, (B, G, K, K, ...)."""
    trailing, size = products.shape[4:], blocks[0].size
    flat = products.reshape(len(products), size, math.prod(trailing))
    row = blocks.reshape(len(blocks), 1, size)
    total = row[:, 0] @ flat[0] if len(products) == 1 else (row @ flat)[:, 0]
    return np.asarray(total.reshape(len(total), *trailing))


def times(matrices: FloatArray, vectors: FloatArray) -> FloatArray:
    """(B, r, c) times (B, c), where either may lead with 1."""
    if len(matrices) == 1:
        return np.asarray(vectors @ matrices[0].T)
    return np.asarray((matrices @ vectors[:, :, None])[:, :, 0])


def cholesky(matrices: FloatArray) -> FloatArray:
    """Lower Cholesky factors, NaN for those that have none."""
    try:
        return np.asarray(np.linalg.cholesky(matrices))
    except np.linalg.LinAlgError:
        out = np.full(matrices.shape, np.nan)
        for one, matrix in enumerate(matrices):
            try:
                out[one] = np.linalg.cholesky(matrix)
            except np.linalg.LinAlgError:
                continue
        return out


__all__ = ["Blocks", "Evaluations", "Points", "evaluated", "in_principal_axes", "noise", "points"]
