"""The blocks between the first factor of a blocked factorization and the others, and what is done with them.

Dense; sparse with products of entries multiplied out once (`schur.WeightedGram`); sparse with several columns
per level; or sparse with values that change while the pattern stays, as weights do.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import linalg, sparse

from interlace.arrays import FloatArray, IntArray, SparseArray
from interlace.pls.matrices.triangular import symmetric_from_lower

from .schur import WeightedGram, by_block, row_products, row_quadratics

# Pairs of entries of one row kept at most (24 bytes each); with more, sparse products are formed anew.
PAIRS = 8_000_000
# Elements of dense blocks held at a time.
ELEMENTS_AT_ONCE = 4_000_000


class First:
    """The blocks A12 between the first factor and the rest, and what is done with them."""

    A12: FloatArray | SparseArray
    wants_full = True  # whether `quadratic_sum` reads both triangles of T22

    def __init__(self, A12: SparseArray, K: int) -> None:
        self.A12, self._K = A12, K

    def with_values(self, A12: FloatArray | SparseArray) -> First:
        """The same for other values on the same pattern."""
        raise NotImplementedError

    def times(self, x2: FloatArray) -> FloatArray:
        """A12 x2."""
        return np.asarray(self.A12 @ x2)

    def transpose_times(self, x1: FloatArray) -> FloatArray:
        """A12' x1."""
        return np.asarray(self.A12.T @ x1)

    def absorb(self, A22: FloatArray, H: FloatArray, left: FloatArray) -> FloatArray:
        """G = A22 - A21 H A12, at least the lower triangle; ``left = I - A11 H`` is for `quadratic_sum`.

        A22 may be given by its diagonal.
        """
        raise NotImplementedError

    def quadratic_blocks(self, T22: FloatArray) -> FloatArray:
        """Diagonal blocks of A12 T22 A21, (n_levels, K, K)."""
        raise NotImplementedError

    def quadratic_sum(self, T22: FloatArray) -> FloatArray:
        """Sum over levels of left_l [A12 T22 A21]_ll left_l', (K, K)."""
        raise NotImplementedError

    def own_blocks(self, seen: FloatArray) -> FloatArray:
        """Diagonal blocks of A12 T22 A21 from ``seen = A12 T22``, (n_levels, K, K)."""
        raise NotImplementedError

    def on_pattern(self, T22: FloatArray, H: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Where A12 has entries: T12 = -H A12 T22 as A12 is stored, and `quadratic_blocks`."""
        raise NotImplementedError


class Dense(First):
    """A12 as a full matrix: few or mostly filled cells."""

    def __init__(self, A12: FloatArray | SparseArray, K: int) -> None:
        super().__init__(np.ascontiguousarray(dense(A12)), K)
        self._blocks = self.A12.reshape(-1, K, A12.shape[1])

    def with_values(self, A12: FloatArray | SparseArray) -> Dense:
        """See `First`."""
        return Dense(A12, self._K)

    def absorb(self, A22: FloatArray, H: FloatArray, left: FloatArray) -> FloatArray:
        """See `First`."""
        self._left = left
        return np.asarray(A22 - linalg.blas.dgemm(1.0, self.A12.T, by_block(H, self.A12).T, trans_b=1))

    def quadratic_blocks(self, T22: FloatArray) -> FloatArray:
        """See `First`."""
        # A12 T22 as the transpose of a product in Fortran order; T22 is symmetric.
        seen = linalg.blas.dgemm(1.0, T22.T, self.A12.T).T
        return np.asarray(seen.reshape(self._blocks.shape) @ self._blocks.transpose(0, 2, 1))

    def quadratic_sum(self, T22: FloatArray) -> FloatArray:
        """See `First`."""
        blocks = self._left @ self.quadratic_blocks(T22) @ self._left.transpose(0, 2, 1)
        return np.asarray(blocks.sum(axis=0))

    def own_blocks(self, seen: FloatArray) -> FloatArray:
        """See `First`."""
        return np.asarray(seen.reshape(self._blocks.shape) @ self._blocks.transpose(0, 2, 1))

    def on_pattern(self, T22: FloatArray, H: FloatArray) -> tuple[FloatArray, FloatArray]:
        """See `First`."""
        seen = self.times(T22)
        return -by_block(H, seen), self.own_blocks(seen)


class SparseScalar(First):
    """A12 sparse, one column per level of the first factor."""

    wants_full = False

    def __init__(self, A12: SparseArray, K: int = 1) -> None:
        super().__init__(A12, K)

    @cached_property
    def _gram(self) -> WeightedGram:
        return WeightedGram(self.A12)  # multiplied out where it is asked for: never under changing weights

    def absorb(self, A22: FloatArray, H: FloatArray, left: FloatArray) -> FloatArray:
        """See `First`."""
        self._left = left
        removed = self._gram(H[:, 0, 0])
        if A22.ndim == 2:
            return np.asarray(np.subtract(A22, removed, out=removed))
        np.negative(removed, out=removed)
        removed.flat[:: len(A22) + 1] += A22
        return np.asarray(removed)

    def quadratic_blocks(self, T22: FloatArray) -> FloatArray:
        """See `First`."""
        return row_quadratics(self.A12, self.A12, T22)[:, None, None]

    def quadratic_sum(self, T22: FloatArray) -> FloatArray:
        """See `First`."""
        return np.array([[self._gram.inner(self._left[:, 0, 0] ** 2, T22)]])

    def own_blocks(self, seen: FloatArray) -> FloatArray:
        """See `First`."""
        return row_products(self.A12, seen, 1)


class SparseVector(First):
    """A12 sparse, several columns per level of the first factor."""

    def _by_block(self, blocks: FloatArray) -> SparseArray:
        n = len(blocks)
        diagonal = sparse.bsr_array((blocks, np.arange(n), np.arange(n + 1)), shape=(n * self._K,) * 2)
        return diagonal.tocsr() @ self.A12

    def absorb(self, A22: FloatArray, H: FloatArray, left: FloatArray) -> FloatArray:
        """See `First`."""
        self._left = left
        return np.asarray(A22 - (self.A12.T @ self._by_block(H)).toarray())

    def quadratic_blocks(self, T22: FloatArray) -> FloatArray:
        """See `First`."""
        K = self._K
        blocks = np.empty((self.A12.shape[0] // K, K, K))
        for a in range(K):
            for b in range(a + 1):
                blocks[:, a, b] = blocks[:, b, a] = row_quadratics(self.A12[a::K], self.A12[b::K], T22)
        return blocks

    def quadratic_sum(self, T22: FloatArray) -> FloatArray:
        """See `First`."""
        K, rows = self._K, self._by_block(self._left)
        total = np.empty((K, K))
        for a in range(K):
            for b in range(a + 1):
                gram = (rows[a::K].T @ rows[b::K]).tocoo()
                total[a, b] = total[b, a] = gram.data @ T22[gram.coords]
        return total

    def own_blocks(self, seen: FloatArray) -> FloatArray:
        """See `First`."""
        return row_products(self.A12, seen, self._K)


@dataclass(frozen=True, eq=False)
class _Pairs:
    """Pairs of entries of one row, as a sparse matrix from places in a (q2, q2) matrix to entries.

    Attributes
    ----------
    partner : ndarray of int, shape (pairs,)
        The entry whose value multiplies.
    place : ndarray of int, shape (pairs,)
        Where the product stands in the lower triangle of a matrix in Fortran order.
    indptr : ndarray of int, shape (entries + 1,)
        The pairs of each entry.
    shape : tuple of int
        (entries, q2 * q2).
    """

    partner: IntArray
    place: IntArray
    indptr: IntArray
    shape: tuple[int, int]

    def matrix(self, values: FloatArray) -> SparseArray:
        """See `First`."""
        data = values.take(self.partner, mode="clip")
        return sparse.csr_array((data, self.place, self.indptr), shape=self.shape)


@dataclass(frozen=True, eq=False)
class _Pattern:
    """A fixed pattern whose K rows of each level are alike.

    Attributes
    ----------
    row : ndarray of int, shape (entries,)
        Row of each entry.
    siblings : tuple of ndarray of int, shape (entries,)
        Per b < K, the entry of the same level and column in its row b.
    before, after : _Pairs or None
        Of each entry with those up to itself, and with those after; None where there are too many.
    """

    row: IntArray
    siblings: tuple[IntArray, ...]
    before: _Pairs | None
    after: _Pairs | None


def _pattern_of(A12: SparseArray, K: int) -> _Pattern:
    counts = np.diff(A12.indptr).astype(np.intp)
    row = np.repeat(np.arange(len(counts)), counts)
    within = np.arange(A12.nnz) - A12.indptr[row]
    siblings = tuple(A12.indptr[row - row % K] + within + b * counts[row] for b in range(K))
    q = int(A12.shape[1])
    if int((within + 1).sum()) > PAIRS or q * q >= 2**31:
        return _Pattern(row, siblings, None, None)
    before = _pairs(A12.indices, q, A12.indptr[row].astype(np.intp), within + 1)
    after = _pairs(A12.indices, q, np.arange(1, A12.nnz + 1), counts[row] - within - 1)
    return _Pattern(row, siblings, before, after)


def _pairs(column: IntArray, q: int, first: IntArray, counts: IntArray) -> _Pairs:
    """Pairs of each entry with so many others that follow a first one; columns increase within a row."""
    indptr = np.concatenate([[0], np.cumsum(counts)])
    own = np.repeat(np.arange(len(counts)), counts)
    partner = np.arange(len(own)) - np.repeat(indptr[:-1] - first, counts)
    low, high = np.minimum(own, partner), np.maximum(own, partner)
    place = column[low].astype(np.int32) * np.int32(q) + column[high].astype(np.int32)
    return _Pairs(partner, place, indptr.astype(np.int32), (len(counts), q * q))


class Reweighed(First):
    """A12 sparse, of any K, with values that change while the pattern stays."""

    A12: SparseArray
    wants_full = False

    def __init__(self, A12: SparseArray, K: int, pattern: _Pattern | None = None) -> None:
        A12 = sparse.csr_array(A12)
        A12.sort_indices()
        super().__init__(A12, K)
        self._pattern = _pattern_of(A12, K) if pattern is None else pattern

    def __reduce__(self) -> tuple[type, tuple[SparseArray, int]]:
        """The pattern says nothing that A12 does not."""
        return type(self), (self.A12, self._K)

    def with_values(self, A12: FloatArray | SparseArray) -> Reweighed:
        """See `First`."""
        return Reweighed(sparse.csr_array(A12), self._K, self._pattern)

    def _times(self, blocks: FloatArray, values: FloatArray) -> FloatArray:
        """A block-diagonal matrix times one on the pattern."""
        row, total = self._pattern.row, np.zeros(len(values))
        for b, own in enumerate(self._pattern.siblings):
            total += blocks[:, :, b].ravel()[row] * (values if self._K == 1 else values[own])
        return total

    def absorb(self, A22: FloatArray, H: FloatArray, left: FloatArray) -> FloatArray:
        """See `First`."""
        self._left = left
        G = self._gram(self._times(H, self.A12.data))
        np.negative(G, out=G)
        if A22.ndim == 2:
            G += A22
        else:
            G.flat[:: len(A22) + 1] += A22
        return G

    def _gram(self, other: FloatArray) -> FloatArray:
        """A12' times a matrix on its pattern, the product symmetric: its lower triangle, Fortran order."""
        q = self.A12.shape[1]
        if self._before is None:
            product = sparse.csr_array((other, self.A12.indices, self.A12.indptr), shape=self.A12.shape)
            return np.asfortranarray((self.A12.T @ product).toarray())
        return np.asarray(self._before.T @ other).reshape(q, q).T

    @cached_property
    def _before(self) -> SparseArray | None:
        pairs = self._pattern.before
        return None if pairs is None else pairs.matrix(self.A12.data)

    def on_pattern(self, T22: FloatArray, H: FloatArray) -> tuple[FloatArray, FloatArray]:
        """See `First`."""
        seen = self._seen(T22)
        row, K = self._pattern.row, self._K
        own = np.empty((self.A12.shape[0], K))
        for b, sibling in enumerate(self._pattern.siblings):
            own[:, b] = np.bincount(row, weights=self.A12.data * seen[sibling], minlength=len(own))
        return -self._times(H, seen), own.reshape(-1, K, K)

    def _seen(self, T22: FloatArray) -> FloatArray:
        """A12 T22 on the pattern of A12; of T22, in Fortran order, the lower triangle counts."""
        if self._before is None or self._pattern.after is None:
            return self._seen_in_portions(T22)
        T = T22.T.reshape(-1)
        return np.asarray(self._before @ T + self._pattern.after.matrix(self.A12.data) @ T)

    def _seen_in_portions(self, T22: FloatArray) -> FloatArray:
        T22 = symmetric_from_lower(np.tril(T22))
        seen, indptr = np.empty(self.A12.nnz), self.A12.indptr
        step = max(1, ELEMENTS_AT_ONCE // len(T22))
        for start in range(0, self.A12.shape[0], step):
            rows = self.A12[start : start + step]
            own = slice(indptr[start], indptr[start] + rows.nnz)
            seen[own] = (rows @ T22)[self._pattern.row[own] - start, rows.indices]
        return seen

    def quadratic_blocks(self, T22: FloatArray) -> FloatArray:
        """See `First`."""
        return self.on_pattern(T22, np.zeros((self.A12.shape[0] // self._K, self._K, self._K)))[1]

    def quadratic_sum(self, T22: FloatArray) -> FloatArray:
        """See `First`."""
        left = self._left
        return np.asarray((left @ self.quadratic_blocks(T22) @ left.transpose(0, 2, 1)).sum(axis=0))

    def own_blocks(self, seen: FloatArray) -> FloatArray:
        """See `First`."""
        return row_products(self.A12, seen, self._K)


def dense(A: FloatArray | SparseArray) -> FloatArray:
    """A in full."""
    return A if isinstance(A, np.ndarray) else np.asarray(A.toarray())
