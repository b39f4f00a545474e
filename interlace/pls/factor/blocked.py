"""Factorization of crossed designs: the largest factor by blocks, the rest as one dense matrix.

With ``G = A22 - A21 H A12`` and ``H = Lambda1 M11^-1 Lambda1'`` the Schur complement of M is
``S = Lambda2' G Lambda2 + I``.  G holds the cross-products after the first factor has been
absorbed into the covariance of the response: everything about the other factors follows from
it, and nothing cancels when a variance is small.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy

import numpy as np
from scipy import linalg

from interlace.arrays import FloatArray, IntArray, SparseArray
from interlace.errors import NotPositiveDefiniteError
from interlace.pls.matrices.crossproducts import CrossProducts
from interlace.pls.matrices.relcov import Layout, axes
from interlace.pls.matrices.triangular import symmetric_from_lower

from .between import Dense, First, Reweighed, SparseScalar, SparseVector, dense
from .nested import absorbed, diagonal_blocks
from .reweighing import Places, places_of
from .schur import by_block, by_popularity

# Share of nonzeros above which the blocks between the first factor and the rest are kept dense.
DENSE_SHARE = 0.2
# Dense whatever the share, below this many elements.
DENSE_SIZE = 250_000
# I - S^-1 has lost half of the digits when the singular values of Lambda fall below this.
SMALL_PIVOT = 1e-4
# An inverse in single precision takes less time from so many columns on. It is right to some five digits if
# the largest pivot of L is at most so many times the smallest, and if the information that a level has on its
# effects, relative to that in their variances, is at least this (I - S^-1 cancels).
SINGLE_PRECISION_FROM = 300
LARGEST_PIVOT_RATIO = 100.0
LEAST_INFORMATION = 0.1
# Stands for a matrix that is not there.
EMPTY: FloatArray = np.empty((0, 0))
# Elements of dense blocks between the first factor and the rest held at a time.
ELEMENTS_AT_ONCE = 4_000_000


class BlockedFactorization:
    """Block elimination of factor 0, dense Cholesky of the Schur complement of the others.

    Parameters
    ----------
    cp : CrossProducts
        Cross-products, the factor with most columns first.
    layout : Layout
        Columns of Z.
    """

    solver = "blocked"

    def __init__(self, cp: CrossProducts, layout: Layout) -> None:
        self.layout = layout
        self._rest = Layout(layout.n_levels[1:], layout.K[1:])
        first, rest = layout.slices[0], slice(layout.starts[1], layout.q)
        self._A11 = diagonal_blocks(cp.A, layout, 0)
        A22, between = cp.A[rest, rest], cp.A[first, rest]
        diagonal = cp.A.diagonal()[rest]
        self._said = [float(diagonal[own].mean()) for own in self._rest.slices]
        self._order = np.arange(self._rest.q)  # order in which this class keeps the other factors' columns
        size = between.shape[0] * between.shape[1]
        few = not isinstance(between, np.ndarray) and between.nnz < DENSE_SHARE * size
        if few and size > DENSE_SIZE and layout.K[0] == 1:
            if max(self._rest.K) == 1:
                self._order = by_popularity(between)
            self._first: First = SparseScalar(between[:, self._order])
        elif few and size > DENSE_SIZE:
            self._first = SparseVector(between, layout.K[0])
        else:
            self._first = Dense(between, layout.K[0])
        if isinstance(self._first, SparseScalar) and self._rest.K == (1,):
            # all there is: levels of one factor never meet
            self._A22 = np.asarray(A22.diagonal())[self._order]
        else:
            self._A22 = dense(A22[self._order][:, self._order]).T  # symmetric: Fortran order without a copy
        self._place = np.argsort(self._order)
        self._places: Places | None = None

    def update(self, Lambda: Sequence[FloatArray]) -> None:
        """Absorb the first factor, factorise the Schur complement of the others."""
        self._Lambda = list(Lambda)
        self._H, self._logdet = absorbed(self._A11, Lambda[0])
        K = self.layout.K[0]
        self._left = 1.0 - self._A11 * self._H if K == 1 else np.eye(K) - self._A11 @ self._H
        self._scale: FloatArray | None = None
        if max(self._rest.K) == 1:
            self._scale = np.repeat([block[0, 0] for block in Lambda[1:]], self._rest.n_levels)[self._order]
        # As large as what takes their place: let go of them first.
        self._L, self._T, self._T_full = EMPTY, EMPTY, EMPTY
        self._seen, self._Q = EMPTY, EMPTY
        S = self._two_sided(self._first.absorb(self._A22, self._H, self._left))
        S.flat[:: S.shape[0] + 1] += 1.0
        self._L, info = linalg.lapack.dpotrf(S, lower=1, clean=1, overwrite_a=1)
        if info:
            raise NotPositiveDefiniteError("the Schur complement is not positive definite in floating point.")
        self._logdet += 2.0 * float(np.log(np.diagonal(self._L)).sum())

    def _two_sided(self, G: FloatArray) -> FloatArray:
        """Lambda2' G Lambda2, lower triangle, in Fortran order; may overwrite G."""
        if self._scale is not None:
            G *= self._scale
            G *= self._scale[:, None]
            return np.asfortranarray(G)
        half = self._Lambda2(self._symmetric(G), transpose=True)
        return np.asfortranarray(self._Lambda2(half.T, transpose=True))

    def _symmetric(self, G: FloatArray) -> FloatArray:
        """Both triangles of G, of which perhaps only the lower one is true."""
        return G if self._first.wants_full else symmetric_from_lower(np.tril(G))

    def _Lambda2(self, B: FloatArray, *, transpose: bool = False) -> FloatArray:
        """Lambda2 B or Lambda2' B; one block per factor, the same for each of its levels."""
        if self._scale is not None:
            return np.asarray(self._scale[:, None] * B)
        out = np.empty(B.shape)
        for own, K, block in zip(self._rest.slices, self._rest.K, self._Lambda[1:], strict=True):
            left = block.T if transpose else block
            out[own] = (left @ B[own].reshape(-1, K, B.shape[1])).reshape(-1, B.shape[1])
        return out

    def logdet(self) -> float:
        """log |M|."""
        return self._logdet

    def conditional(self, B: FloatArray) -> FloatArray:
        """T B."""
        q1 = self.layout.starts[1]
        H = self._H
        b1 = B[:q1]
        x1 = by_block(H, b1)
        x2 = self._T22_times(B[q1:][self._order] - self._first.transpose_times(x1))
        x1 = by_block(H, b1 - self._first.times(x2))
        return np.concatenate([x1, x2[self._place]])

    def _T22_times(self, B: FloatArray) -> FloatArray:
        """Lambda2 S^-1 Lambda2' B, by solving as long as the inverse has not taken the factor's place."""
        if not self._T.size:
            return self._Lambda2(linalg.lapack.dpotrs(self._L, self._Lambda2(B, transpose=True), lower=1)[0])
        if self._scale is None:
            return np.asarray(self._T @ B)
        return np.asarray(linalg.blas.dsymm(1.0, self._T, B, lower=1))

    def _T22(self) -> FloatArray:
        """Lambda2 S^-1 Lambda2', in full; if all blocks are scalars its lower triangle, zeros above."""
        if not self._T.size:
            inverse, _ = linalg.lapack.dpotri(self._L, lower=1, overwrite_c=1)
            self._L = EMPTY  # overwritten
            self._T = self._between_Lambda2(inverse)
        return self._T

    def _between_Lambda2(self, inverse: FloatArray) -> FloatArray:
        """Lambda2 S^-1 Lambda2' from the lower triangle of S^-1, which it may overwrite."""
        if self._scale is None:
            half = self._Lambda2(symmetric_from_lower(inverse))
            return self._Lambda2(half.T)
        inverse *= self._scale
        inverse *= self._scale[:, None]
        return np.asarray(inverse)

    def conditional_blocks(self) -> list[FloatArray]:
        """Diagonal blocks of T."""
        T22 = self._T22_in_full()
        if not self._Q.size:
            seen = self._A12_T22()
            self._Q = self._first.quadratic_blocks(T22) if seen is None else self._first.own_blocks(seen)
        first = self._H + self._H @ self._Q @ self._H
        return [first, *(self._own_blocks(T22, i) for i in range(len(self._rest.K)))]

    def _T22_in_full(self) -> FloatArray:
        if not self._T_full.size:
            self._T_full = self._full(self._T22())
        return self._T_full

    def _A12_T22(self) -> FloatArray | None:
        """A12 T22: all entries of T that rows ask for follow from it. None where it is too large to keep."""
        if self._first.A12.shape[0] * self._rest.q > ELEMENTS_AT_ONCE:
            return None
        if not self._seen.size:
            self._seen = self._first.times(self._T22_in_full())
        return self._seen

    def _own_blocks(self, matrix: FloatArray, i: int) -> FloatArray:
        """Diagonal blocks of factor i of the others, (n_levels, K, K)."""
        own, levels, K = self._rest.slices[i], self._rest.n_levels[i], self._rest.K[i]
        if K == 1:
            return np.asarray(np.diagonal(matrix)[self._place[own], None, None])
        at = np.arange(levels)
        return np.asarray(matrix[own, own].reshape(levels, K, levels, K)[at, :, at])

    def conditional_pairs(self, f: int, g: int, level: IntArray, other: IntArray) -> FloatArray:
        """Blocks of T between levels of factors f and g that share a row, (pairs, K_f, K_g)."""
        if f > g:
            return self.conditional_pairs(g, f, other, level).transpose(0, 2, 1)
        if g == 0:
            return self.conditional_blocks()[0][level]
        K, T22 = self.layout.K, self._T22_in_full()
        columns = self._place[self._rest.slices[g - 1]]
        seen = self._A12_T22() if f == 0 else None
        if seen is not None:
            rows = level[:, None] * K[0] + np.arange(K[0])
            cols = columns.reshape(-1, K[g])[other]
            return np.asarray(-self._H[level] @ seen[rows[:, :, None], cols[:, None, :]])
        if f > 0:
            square = T22[np.ix_(self._place[self._rest.slices[f - 1]], columns)]
            return square.reshape(self.layout.n_levels[f], K[f], -1, K[g])[level, :, other]
        blocks = np.empty((len(level), K[0], K[g]))
        order = np.argsort(level, kind="stable")
        step = max(1, ELEMENTS_AT_ONCE // (K[0] * len(T22)))
        for start in range(0, self.layout.n_levels[0], step):
            own = order[slice(*np.searchsorted(level, (start, start + step), sorter=order))]
            rows = np.arange(start, min(start + step, self.layout.n_levels[0]))
            T12 = self._between(rows, T22[:, columns]).reshape(len(rows), K[0], -1, K[g])
            blocks[own] = T12[level[own] - start, :, other[own]]
        return blocks

    def _between(self, levels: IntArray, T22: FloatArray) -> FloatArray:
        """Rows of T12 = -H A12 T22 for some levels of the first factor, all K of each."""
        K = self.layout.K[0]
        rows = self._first.A12[(levels[:, None] * K + np.arange(K)).ravel()]
        return np.asarray(-by_block(self._H[levels], np.asarray(rows @ T22)))

    def conditional_among(self, columns: IntArray) -> FloatArray:
        """T among some columns of Z, in increasing order, (c, c)."""
        q1, K = self.layout.starts[1], self.layout.K[0]
        at = int(np.searchsorted(columns, q1))  # columns of the first factor come first
        levels = np.unique(columns[:at] // K)
        own = np.searchsorted(levels, columns[:at] // K) * K + columns[:at] % K
        rest = self._place[columns[at:] - q1]
        T22 = self._full(self._T22())
        T12 = self._between(levels, T22)
        T11 = self._among_first(levels, T12)
        if len(own) < len(T11):
            T11, T12 = T11[own[:, None], own], T12[own]
        T = np.empty((len(columns),) * 2)
        T[:at, :at] = T11
        T[:at, at:] = T12[:, rest]
        T[at:, :at] = T[:at, at:].T
        T[at:, at:] = T22[rest[:, None], rest]
        return T

    def _among_first(self, levels: IntArray, T12: FloatArray) -> FloatArray:
        """T11 = H + H A12 T22 A21 H = H - H A12 T21 among some levels of the first factor."""
        K = self.layout.K[0]
        rows = self._first.A12[(levels[:, None] * K + np.arange(K)).ravel()]
        T11 = -by_block(self._H[levels], np.asarray(rows @ T12.T))
        at = np.arange(len(levels))
        T11.reshape(len(levels), K, len(levels), K)[at, :, at] += self._H[levels]
        return T11

    def with_products(self, cp: CrossProducts) -> BlockedFactorization:
        """The same factorization for cross-products of other rows."""
        return BlockedFactorization(cp, self.layout)

    apart = with_products  # a second one that moves by itself

    def follow(self, numbers: FloatArray | SparseArray) -> BlockedFactorization:
        """The same factorization, ready for `reweigh`."""
        other = copy(self)
        diagonal = self._A22.ndim == 1
        if not isinstance(self._first, Dense):
            other._first = Reweighed(self._first.A12, self.layout.K[0])
        other._places = places_of(
            numbers, self.layout, self._order, diagonal=diagonal, dense=isinstance(self._first, Dense)
        )
        return other

    def reweigh(self, values: FloatArray) -> BlockedFactorization:
        """The same factorization for other values of the entries that `follow` has numbered."""
        other = copy(self)
        other._A11, between, A22 = self._followed.pieces(values)
        other._A22 = A22 if A22.ndim == 1 else A22.T
        own = np.diagonal(A22)[self._place] if A22.ndim == 2 else A22[self._place]
        other._said = [float(own[factor].mean()) for factor in self._rest.slices]
        other._first = self._first.with_values(between)
        return other

    @property
    def _followed(self) -> Places:
        if self._places is None:
            raise AssertionError("`follow` comes first")
        return self._places

    def conditional_entries(self) -> FloatArray:
        """T at every entry that `follow` has numbered."""
        T22 = self._T22() if isinstance(self._first, Reweighed) else self._T22_in_full()
        T12, self._Q = self._first.on_pattern(T22, self._H)
        return self._followed.entries(self._H + self._H @ self._Q @ self._H, T12, T22)

    def _full(self, T22: FloatArray) -> FloatArray:
        return T22 if self._scale is None else symmetric_from_lower(T22)

    def information(self) -> list[FloatArray]:
        """Sums of the diagonal blocks of Z' V0^-1 Z."""
        return self._information(self._T22())

    def rough_information(self) -> list[FloatArray] | None:
        """The same from an inverse in single precision; None where that takes as long, or digits fail."""
        if len(self._L) < SINGLE_PRECISION_FROM:  # among others: the inverse has taken the place of L
            return None
        pivots, blocks = np.diagonal(self._L), zip(self._Lambda[1:], self._said, strict=True)
        faintest = min(axes(Lambda)[1][-1] ** 2 * said for Lambda, said in blocks)
        if pivots.max() > LARGEST_PIVOT_RATIO * pivots.min() or faintest < LEAST_INFORMATION:
            return None
        return self._information(self._rough_T22())

    def _rough_T22(self) -> FloatArray:
        inverse, _ = linalg.lapack.spotri(self._L.astype(np.float32), lower=1, overwrite_c=1)
        return np.asarray(self._between_Lambda2(inverse).astype(np.float64, copy=False))

    def _information(self, T22: FloatArray) -> list[FloatArray]:
        first = (self._left @ self._A11).sum(axis=0)
        if self._Q.size:
            first = first - (self._left @ self._Q @ self._left.transpose(0, 2, 1)).sum(axis=0)
        else:
            full = self._full(T22) if self._first.wants_full else T22
            first = first - self._first.quadratic_sum(full)
        return [first, *(self._rest_information(i, T22) for i in range(len(self._rest.K)))]

    def _rest_information(self, i: int, T22: FloatArray) -> FloatArray:
        levels, K, Lambda = self._rest.n_levels[i], self._rest.K[i], self._Lambda[i + 1]
        if K == 1 and abs(Lambda[0, 0]) > SMALL_PIVOT:
            T = np.diagonal(T22)[self._place[self._rest.slices[i]]].sum()
            return np.asarray((levels - T / Lambda**2) / Lambda**2)
        if K > 1 and axes(Lambda)[1][-1] > SMALL_PIVOT:
            T = self._own_blocks(T22, i).sum(axis=0)
            inverse = np.linalg.inv(Lambda)
            return np.asarray(inverse.T @ (levels * np.eye(K) - inverse @ T @ inverse.T) @ inverse)
        # Not kept by `update`, which mostly goes without: the Schur complement takes its place in memory.
        G = self._symmetric(self._first.absorb(self._A22, self._H, self._left))
        total, place = self._own_blocks(G, i).sum(axis=0), self._place[self._rest.slices[i]]
        step = K * max(1, ELEMENTS_AT_ONCE // (K * len(G)))
        for start in range(0, len(place), step):
            own = G[:, place[start : start + step]]
            total = total - own.reshape(-1, K).T @ self._T22_times(own).reshape(-1, K)
        return np.asarray(total)
