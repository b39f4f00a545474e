"""Factorization of nested designs (one factor, or each nested in the next): blocks only.

Each level of a factor then belongs to one level of every coarser factor, eliminating the
finest factor first creates no fill at all, and the cost is linear in the number of levels.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from typing import Protocol

import numpy as np
from scipy import sparse

from interlace.arrays import FloatArray, IntArray, SparseArray
from interlace.pls.matrices.crossproducts import CrossProducts
from interlace.pls.matrices.relcov import Layout

from .numbering import given, sources, taken

# Elements of right-hand sides and solutions held at a time.
SOLVED_AT_ONCE = 20_000_000


class NestedFactorization:
    """Block elimination along a chain of nested factors, finest first.

    Parameters
    ----------
    cp : CrossProducts
        Cross-products.
    layout : Layout
        Columns of Z.
    parents : sequence of ndarray of int
        ``parents[i]``, shape (n_levels[i],): the level of factor i + 1 that holds each level of factor i.
    """

    solver = "blocked"

    def __init__(self, cp: CrossProducts, layout: Layout, parents: Sequence[IntArray]) -> None:
        self.layout = layout
        self._sources: list[IntArray] = []  # which entry each value below is, once there is a `follow`
        self._count = 0
        self._parents = list(parents)
        self._diagonal = [diagonal_blocks(cp.A, layout, f) for f in range(len(layout.K))]
        self._above = [self._ancestor_blocks(cp.A, f) for f in range(len(layout.K))]
        self._sum_up = [_indicator(parent, n) for parent, n in zip(parents, layout.n_levels[1:], strict=True)]

    def _ancestor_blocks(self, A: FloatArray | SparseArray, f: int) -> FloatArray:
        """Blocks of A between each level of factor f and its ancestors, (n_levels, K, K of all ancestors)."""
        layout = self.layout
        ancestor = np.arange(layout.n_levels[f])
        blocks = [np.zeros((layout.n_levels[f], layout.K[f], 0))]
        for g in range(f + 1, len(layout.K)):
            ancestor = self._parents[g - 1][ancestor]
            blocks.append(_paired_blocks(A, layout, f, g, ancestor))
        return np.concatenate(blocks, axis=2)

    def update(self, Lambda: Sequence[FloatArray]) -> None:
        """Eliminate factor after factor."""
        diagonal, above = list(self._diagonal), list(self._above)
        self._logdet = 0.0
        self._H, self._X, self._A, self._AR = [], [], [], []
        self._joint: list[FloatArray] | None = None
        for f, block in enumerate(Lambda):
            H, logdet = absorbed(diagonal[f], block)
            X = H @ above[f]
            self._logdet += logdet
            self._H.append(H)
            self._X.append(X)
            self._A.append(diagonal[f])
            self._AR.append(above[f])
            if f + 1 < len(Lambda):
                K = self.layout.K[f + 1]
                removed = self._to_parent(f, above[f].transpose(0, 2, 1) @ X)
                diagonal[f + 1] = diagonal[f + 1] - removed[:, :K, :K]
                above[f + 1] = above[f + 1] - removed[:, :K, K:]
                for g in range(f + 2, len(Lambda)):
                    removed = self._to_parent(g - 1, removed[:, K:, K:])
                    K = self.layout.K[g]
                    diagonal[g] = diagonal[g] - removed[:, :K, :K]
                    above[g] = above[g] - removed[:, :K, K:]

    def _to_parent(self, f: int, values: FloatArray) -> FloatArray:
        """Sum values over the levels of factor f into their parents."""
        flat = values.reshape(len(values), -1)
        if flat.shape[1] > 1:
            return np.asarray(self._sum_up[f] @ flat).reshape(-1, *values.shape[1:])
        n_parents = self.layout.n_levels[f + 1]  # without the overhead of a sparse product
        total = np.bincount(self._parents[f], weights=flat[:, 0], minlength=n_parents)
        return np.asarray(total, dtype=float).reshape(-1, *values.shape[1:])

    def logdet(self) -> float:
        """log |M|."""
        return self._logdet

    def conditional(self, B: FloatArray) -> FloatArray:
        """T B."""
        n_factors = len(self.layout.K)
        levels = [self.layout.by_level(B, f) for f in range(n_factors)]
        for f in range(n_factors - 1):
            removed = self._X[f].transpose(0, 2, 1) @ levels[f]
            for g in range(f + 1, n_factors):
                removed = self._to_parent(g - 1, removed)
                K = self.layout.K[g]
                levels[g] = levels[g] - removed[:, :K]
                removed = removed[:, K:]
        solved = self._H[-1] @ levels[-1]
        out, lineage = [solved], solved
        for f in range(n_factors - 2, -1, -1):
            lineage = lineage[self._parents[f]]
            solved = self._H[f] @ levels[f] - self._X[f] @ lineage
            lineage = np.concatenate([solved, lineage], axis=1)
            out.append(solved)
        return np.concatenate([x.reshape(-1, B.shape[1]) for x in reversed(out)])

    def _joint_blocks(self) -> list[FloatArray]:
        """T among each level and its ancestors, per factor; the finest first."""
        if self._joint is None:
            joint = [self._H[-1]]
            for f in range(len(self._H) - 2, -1, -1):
                above = joint[-1][self._parents[f]]
                XT = self._X[f] @ above
                own = self._H[f] + XT @ self._X[f].transpose(0, 2, 1)
                joint.append(np.block([[own, -XT], [-XT.transpose(0, 2, 1), above]]))
            self._joint = joint[::-1]
        return self._joint

    def conditional_blocks(self) -> list[FloatArray]:
        """Diagonal blocks of T."""
        return [T[:, :K, :K] for T, K in zip(self._joint_blocks(), self.layout.K, strict=True)]

    def conditional_pairs(self, f: int, g: int, level: IntArray, other: IntArray) -> FloatArray:
        """Blocks of T between levels of factors f and g that share a row, (pairs, K_f, K_g)."""
        if f > g:
            return self.conditional_pairs(g, f, other, level).transpose(0, 2, 1)
        start = sum(self.layout.K[f:g])
        joint = self._joint_blocks()[f]
        return joint[level, : self.layout.K[f], start : start + self.layout.K[g]]

    def conditional_among(self, columns: IntArray) -> FloatArray:
        """T among some columns of Z, in increasing order, (c, c)."""
        if len(self.layout.K) > 1:
            return solved_among(self, columns)
        # One factor: levels are independent, and T is its diagonal blocks.
        level, place = np.divmod(columns, self.layout.K[0])
        blocks, T = self.conditional_blocks()[0], np.zeros((len(columns), len(columns)))
        for shift in range(min(self.layout.K[0], len(columns))):
            i = np.flatnonzero(level[: len(level) - shift] == level[shift:])
            T[i, i + shift] = T[i + shift, i] = blocks[level[i], place[i], place[i + shift]]
        return T

    def with_products(self, cp: CrossProducts) -> NestedFactorization:
        """The same factorization for cross-products of other rows."""
        return NestedFactorization(cp, self.layout, self._parents)

    def apart(self, cp: CrossProducts) -> NestedFactorization:
        """A second one that moves by itself."""
        return NestedFactorization(cp, self.layout, self._parents)

    def follow(self, numbers: FloatArray | SparseArray) -> NestedFactorization:
        """The same factorization, ready for `reweigh`."""
        other, count = copy(self), int(numbers.max())
        at = range(len(self.layout.K))
        other._sources = [sources(diagonal_blocks(numbers, self.layout, f), count) for f in at]
        other._sources += [sources(self._ancestor_blocks(numbers, f), count) for f in at]
        other._count = count
        return other

    def reweigh(self, values: FloatArray) -> NestedFactorization:
        """The same factorization for other values of the entries that `follow` has numbered."""
        other, n_factors = copy(self), len(self.layout.K)
        blocks = taken(values, self._sources)
        other._diagonal, other._above = blocks[:n_factors], blocks[n_factors:]
        return other

    def conditional_entries(self) -> FloatArray:
        """T at every entry that `follow` has numbered."""
        joint, K = self._joint_blocks(), self.layout.K
        blocks = [T[:, :k, :k] for T, k in zip(joint, K, strict=True)]
        blocks += [T[:, :k, k:] for T, k in zip(joint, K, strict=True)]
        return given(self._count, self._sources, blocks)

    def information(self) -> list[FloatArray]:
        """Sums of the diagonal blocks of Z' V0^-1 Z."""
        sums = []
        for f, (A, H, AR) in enumerate(zip(self._A, self._H, self._AR, strict=True)):
            left = np.eye(self.layout.K[f]) - A @ H
            total = (left @ A).sum(axis=0)
            if AR.shape[2]:
                above = self._joint_blocks()[f + 1][self._parents[f]]
                seen = left @ AR
                total = total - (seen @ above @ seen.transpose(0, 2, 1)).sum(axis=0)
            sums.append(total)
        return sums

    def rough_information(self) -> None:
        """None: fewer digits would take as long."""


class _Solver(Protocol):
    layout: Layout

    def conditional(self, B: FloatArray) -> FloatArray: ...


def solved_among(factorization: _Solver, columns: IntArray) -> FloatArray:
    """T among some columns of Z by solving for them, in portions that fit the memory, (c, c)."""
    T = np.empty((len(columns), len(columns)))
    step = max(1, SOLVED_AT_ONCE // factorization.layout.q)
    for start in range(0, len(columns), step):
        own = columns[start : start + step]
        units = np.zeros((factorization.layout.q, len(own)))
        units[own, np.arange(len(own))] = 1.0
        T[:, start : start + step] = factorization.conditional(units)[columns]
    return T


def absorbed(A: FloatArray, Lambda: FloatArray) -> tuple[FloatArray, float]:
    """``Lambda (Lambda' A_l Lambda + I)^-1 Lambda'`` for every level l, and the sum of log-determinants."""
    if len(Lambda) == 1:
        square = float(Lambda[0, 0]) ** 2
        M = square * A + 1.0
        return square / M, float(np.log(M).sum())
    if len(Lambda) == 2:
        H, determinants = absorbed_pairs(A, Lambda)
        return H, float(np.log(determinants).sum())
    L = np.linalg.cholesky(Lambda.T @ A @ Lambda + np.eye(len(Lambda)))
    pivots = np.diagonal(L, axis1=1, axis2=2)
    half = np.linalg.inv(L) @ Lambda.T  # a square keeps the digits that inv(M) loses where Lambda is large
    return half.transpose(0, 2, 1) @ half, float(2.0 * np.log(pivots).sum())


def absorbed_pairs(A: FloatArray, Lambda: FloatArray) -> tuple[FloatArray, FloatArray]:
    """``Lambda M^-1 Lambda'`` and ``|M|``, M being ``Lambda'A Lambda + I``, of many 2 x 2 blocks.

    The same Cholesky factors as LAPACK's, written out: one call per entry instead of one per block.

    Parameters
    ----------
    A : ndarray of shape (..., 2, 2)
        Symmetric.
    Lambda : ndarray of shape (2, 2), or broadcast against A
        Any.

    Returns
    -------
    H : ndarray of shape (..., 2, 2)
        Symmetric.
    determinants : ndarray of shape (...,)
        Of M.

    Raises
    ------
    numpy.linalg.LinAlgError
        If an M is not positive definite in floating point.
    """
    a, b, c = A[..., 0, 0], A[..., 0, 1], A[..., 1, 1]
    p, q, r, s = Lambda[..., 0, 0], Lambda[..., 0, 1], Lambda[..., 1, 0], Lambda[..., 1, 1]
    first = a * p**2 + b * (2.0 * p * r) + c * r**2 + 1.0
    across = a * (p * q) + b * (p * s + q * r) + c * (r * s)
    second = a * q**2 + b * (2.0 * q * s) + c * s**2 + 1.0 - across**2 / first
    if not (np.minimum(first, second) > 0.0).all():
        raise np.linalg.LinAlgError("Lambda'A Lambda + I is not positive definite in floating point.")
    root, slope, pivot = np.sqrt(first), across / first, np.sqrt(second)
    one, other = (p / root, r / root), ((q - slope * p) / pivot, (s - slope * r) / pivot)
    H = np.empty((*first.shape, 2, 2))
    H[..., 0, 0] = one[0] ** 2 + other[0] ** 2
    H[..., 0, 1] = H[..., 1, 0] = one[0] * one[1] + other[0] * other[1]
    H[..., 1, 1] = one[1] ** 2 + other[1] ** 2
    return H, first * second


def diagonal_blocks(A: FloatArray | SparseArray, layout: Layout, f: int) -> FloatArray:
    """Blocks of A on the diagonal of factor f, (n_levels, K, K)."""
    return _paired_blocks(A, layout, f, f, np.arange(layout.n_levels[f]))


def _paired_blocks(
    A: FloatArray | SparseArray, layout: Layout, f: int, g: int, partner: IntArray
) -> FloatArray:
    """Blocks of A between level l of factor f and level partner[l] of factor g."""
    if isinstance(A, np.ndarray):
        own = A[layout.slices[f], layout.slices[g]].reshape(layout.n_levels[f], layout.K[f], -1, layout.K[g])
        return np.ascontiguousarray(own[np.arange(len(partner)), :, partner])
    entries = A[layout.slices[f], layout.slices[g]].tocoo()
    row, col = entries.coords
    level, a = np.divmod(row, layout.K[f])
    other, b = np.divmod(col, layout.K[g])
    if (other != partner[level]).any():
        raise AssertionError("the factors are not nested")
    blocks = np.zeros((layout.n_levels[f], layout.K[f], layout.K[g]))
    blocks[level, a, b] = entries.data
    return blocks


def _indicator(parent: IntArray, n_parents: int) -> SparseArray:
    ones = np.ones(len(parent))
    return sparse.csr_array((ones, (parent, np.arange(len(parent)))), shape=(n_parents, len(parent)))
