"""Weighted Gram matrices ``sum_l w_l a_l a_l'`` of sparse rows, for many sets of weights.

Eliminating a factor with one column per level subtracts such a sum from the rest of the
system, with weights that change at every evaluation while the rows ``a_l`` never do; the
gradient needs the inner product of a second sum over the same rows with a matrix.

Where rows and columns are full enough, BLAS forms the sum; elsewhere each row is multiplied out
once into (position, product) pairs, and a sum is one sparse matrix-vector product.  Where the pairs
would not fit in memory, the sparse product is formed anew each time, in blocks of columns.  The most
popular columns, and of the others the longest rows, are treated as full: real designs have a few
items that nearly everyone saw, and a few people who saw nearly everything.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.linalg import blas

from interlace.arrays import FloatArray, IntArray, SparseArray

# Nanoseconds per term on common hardware; only their ratios matter, for what is treated as full.
BLAS_TERM = 0.025
ROW_TERM = 0.8
# A pair is multiplied out once and read twice in each of some five evaluations.
PAIR_TERM = 8.0
# To treat any row as full takes a pass over all q * q elements.
WHOLE_TERM = 5.0
# Number of full rows, relative to q, up to which they are multiplied one by one.
FEW_FULL_ROWS = 0.25
# A pair of a sparse product that is formed anew each time.
PRODUCT_TERM = 5.0
# Pairs kept at most (12 bytes each).
PAIR_BUDGET = 30_000_000
# Elements of the dense copies of popular columns and of long rows, at most, and of what is made at a time.
POPULAR_BUDGET = 50_000_000
ELEMENTS_AT_ONCE = 4_000_000


class WeightedGram:
    """``A' diag(w) A`` for a fixed sparse A and changing w.

    Parameters
    ----------
    A : sparse CSR array of shape (rows, q)
        Its rows; columns in increasing order of popularity, see `by_popularity`.
    """

    def __init__(self, A: SparseArray) -> None:
        if not A.has_sorted_indices:
            A = A.sorted_indices()
        self.q = int(A.shape[1])
        self._rare = self.q - _popular_columns(A)
        counts = np.diff(A[:, : self._rare].indptr)  # entries of each row that would have to be paired
        long = counts > _longest_pair_row(counts, self.q)
        self._long, self._short = np.flatnonzero(long), np.flatnonzero(~long)
        self._long_rows = _small_enough(A[self._long])
        rare = A[self._short][:, : self._rare]
        self._popular = _small_enough(A[self._short][:, self._rare :])
        self._rare_rows, self._squares = rare, rare.multiply(rare).tocsr()
        self._pairs = (
            _Pairs(rare, self.q) if _n_pairs(counts[self._short]) <= PAIR_BUDGET else _Product(rare, self.q)
        )

    def __call__(self, w: FloatArray) -> FloatArray:
        """The sum: lower triangle, zeros above, shape (q, q), Fortran order.

        Parameters
        ----------
        w : ndarray of shape (rows,)
            Non-negative weights.
        """
        rare, short = self._rare, w[self._short]
        gram = self._pairs.gram(short)
        if rare < self.q:
            gram[rare:, :rare], gram[rare:, rare:] = self._with_popular(short)
        for rows, own in _blocks(self._long_rows, w[self._long]):
            root = rows * np.sqrt(own)[:, None]
            gram = blas.dsyrk(1.0, root.T, beta=1.0, c=gram, lower=1, overwrite_c=1)
        return np.asarray(gram)

    def inner(self, w: FloatArray, T: FloatArray) -> float:
        """Inner product of the sum with a symmetric matrix, ``sum_l w_l a_l' T a_l``.

        Parameters
        ----------
        w : ndarray of shape (rows,)
            Non-negative weights.
        T : ndarray of shape (q, q)
            In Fortran order; of the upper triangle nothing counts.
        """
        rare, short = self._rare, w[self._short]
        total = 2.0 * self._pairs.inner(short, T)
        total -= float(short @ (self._squares @ np.diagonal(T)[:rare]))
        if rare < self.q:
            across, popular = self._with_popular(short)
            total += 2.0 * float(np.vdot(across, T[rare:, :rare])) + _inner(popular, T[rare:, rare:])
        if len(self._long) > FEW_FULL_ROWS * self.q:
            return total + _inner(self._of_long_rows(w[self._long]), T)
        for rows, own in _blocks(
            self._long_rows, w[self._long]
        ):  # twice the operations, but no matrix of q columns
            seen = blas.dsymm(1.0, T, rows.T, lower=1)
            total += float(np.einsum("ql,lq,l->", seen, rows, own))
        return total

    def _of_long_rows(self, w: FloatArray) -> FloatArray:
        """The sum over long rows: lower triangle, zeros above."""
        return sum((_square(rows, own) for rows, own in _blocks(self._long_rows, w)), np.zeros(()))

    def _with_popular(self, short: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Blocks of the sum over short rows: popular by rare columns, popular by popular ones."""
        across, popular = np.zeros((self._rare, self.q - self._rare)), np.zeros(())
        start = 0
        for rows, own in _blocks(self._popular, short):
            across += self._rare_rows[start : start + len(rows)].T @ (rows * own[:, None])
            popular = popular + _square(rows, own)
            start += len(rows)
        return across.T, popular


class _Pairs:
    """Sums over rows that were multiplied out once."""

    def __init__(self, A: SparseArray, q: int) -> None:
        self._q = q
        self._paired, self._products = _multiply_out(A, q)

    def gram(self, w: FloatArray) -> FloatArray:
        """The sum, lower triangle, zeros above, shape (q, q), Fortran order."""
        return np.asarray((self._products @ w[self._paired]).reshape(self._q, self._q).T)  # no copy

    def inner(self, w: FloatArray, T: FloatArray) -> float:
        """Inner product of its lower triangle with that of T."""
        return float(w[self._paired] @ (self._products.T @ T.T.reshape(-1)))


class _Product:
    """The same, multiplied anew each time."""

    def __init__(self, A: SparseArray, q: int) -> None:
        self._q, self._rows, self._columns = q, A, A.T.tocsr()

    def gram(self, w: FloatArray) -> FloatArray:
        """The sum, lower triangle, zeros above, shape (q, q), Fortran order."""
        gram = np.zeros((self._q, self._q))
        for own, block in self._blocks(w):
            gram[own, own.start : self._rows.shape[1]] = block
        return gram.T

    def inner(self, w: FloatArray, T: FloatArray) -> float:
        """Inner product of its lower triangle with that of T."""
        return sum(
            float(np.vdot(block, T.T[own, own.start : self._rows.shape[1]])) for own, block in self._blocks(w)
        )

    def _blocks(self, w: FloatArray) -> Iterator[tuple[slice, FloatArray]]:
        """Some columns of the lower triangle, as rows."""
        width = self._rows.shape[1]
        step = max(1, ELEMENTS_AT_ONCE // self._q)
        for start in range(0, width, step):
            own = slice(start, min(start + step, width))
            columns = self._columns[own]
            columns.data = columns.data * w[columns.indices]
            yield own, np.triu((columns @ self._rows[:, start:]).toarray())


def _small_enough(A: SparseArray) -> FloatArray | SparseArray:
    """As a dense matrix if that fits the budget."""
    return A.toarray() if A.shape[0] * A.shape[1] <= POPULAR_BUDGET else A


def _blocks(A: FloatArray | SparseArray, w: FloatArray) -> Iterator[tuple[FloatArray, FloatArray]]:
    """Dense rows and their weights, some at a time."""
    step = max(1, ELEMENTS_AT_ONCE // max(1, A.shape[1]))
    for start in range(0, A.shape[0], step):
        own = A[start : start + step]
        yield own if isinstance(own, np.ndarray) else own.toarray(), w[start : start + step]


def _square(A: FloatArray, w: FloatArray) -> FloatArray:
    """A' diag(w) A: lower triangle, zeros above."""
    root = A * np.sqrt(w)[:, None]
    return np.asarray(blas.dsyrk(1.0, root.T, lower=1))


def _inner(A: FloatArray, B: FloatArray) -> float:
    """Inner product of symmetric matrices, A by its lower triangle, zeros above, B at least its lower one."""
    return 2.0 * float(np.vdot(A.T, B.T)) - float(np.diagonal(A) @ np.diagonal(B))


def by_popularity(A: SparseArray) -> IntArray:
    """Columns of a sparse matrix in increasing number of entries, shape (q,)."""
    return np.argsort(np.bincount(A.indices, minlength=A.shape[1]), kind="stable")


def _popular_columns(A: SparseArray) -> int:
    """How many of the last columns to treat as full: where the predicted time is least."""
    rows, q = A.shape
    row = np.repeat(np.arange(rows), np.diff(A.indptr))
    best, cost = 0, np.inf
    for popular in (0, q // 32, q // 16, q // 8, q // 4, q // 2):
        if rows * popular > POPULAR_BUDGET:
            break
        kept = np.bincount(row[A.indices < q - popular], minlength=rows).astype(float)
        full = np.minimum(kept**2 / 2 * PAIR_TERM, float(q - popular) ** 2 / 2 * BLAS_TERM).sum()
        predicted = full + kept.sum() * popular * ROW_TERM + rows * popular**2 / 2 * BLAS_TERM
        if predicted < cost:
            best, cost = popular, predicted
    return best


def _longest_pair_row(counts: IntArray, q: int) -> float:
    """Row length above which BLAS is cheaper."""
    kept = _n_pairs(counts) <= PAIR_BUDGET
    longest = q * np.sqrt(BLAS_TERM / (PAIR_TERM if kept else PRODUCT_TERM))
    long = counts[counts > longest].astype(float)
    saved = (long**2 * (PAIR_TERM if kept else PRODUCT_TERM) - q**2 * BLAS_TERM).sum() / 2
    return float(np.inf if saved < q**2 * WHOLE_TERM else longest)


def _n_pairs(counts: IntArray) -> float:
    return float((counts * (counts + 1.0)).sum() / 2.0)


def _multiply_out(A: SparseArray, q: int) -> tuple[IntArray, SparseArray]:
    """Products of all pairs of entries of each row, as columns of a (q * q, rows) matrix.

    Returns the rows in the order of the columns; empty ones have none.
    """
    counts = np.diff(A.indptr)
    order = np.argsort(counts, kind="stable")[np.count_nonzero(counts == 0) :]
    pairs = counts[order].astype(np.int64) * (counts[order] + 1) // 2
    indptr = np.concatenate([[0], np.cumsum(pairs)])
    small = max(q * q, int(indptr[-1])) < 2**31
    positions = np.empty(indptr[-1], dtype=np.int32 if small else np.int64)
    products = np.empty(indptr[-1])
    bounds = np.flatnonzero(np.diff(counts[order], prepend=-1, append=-1))
    # Row by row, so that the pairs of a shorter row are the first ones of a longer.
    lows, highs = np.tril_indices(int(counts[order].max(initial=0)))
    for start, stop in pairwise(bounds.tolist()):  # one pass per distinct row length
        length = int(counts[order[start]])
        entries = A.indptr[order[start:stop]][:, None] + np.arange(length)
        cols, values = A.indices[entries].astype(positions.dtype), A.data[entries]
        low, high = (of_all[: length * (length + 1) // 2] for of_all in (lows, highs))
        own = slice(indptr[start], indptr[stop])
        # Fortran position of (row cols[low], column cols[high]), cols[low] >= cols[high]: the lower triangle.
        positions[own] = (_picked(cols, high) * positions.dtype.type(q) + _picked(cols, low)).ravel()
        products[own] = (_picked(values, low) * _picked(values, high)).ravel()
    shape = (q * q, len(order))
    return order, sparse.csc_array((products, positions, indptr.astype(positions.dtype)), shape=shape)


def _picked(A: NDArray[Any], columns: IntArray) -> NDArray[Any]:
    """Some columns, all of them there: without the check for it three times as fast."""
    return A.take(columns, axis=1, mode="clip")


def row_products(A: SparseArray, seen: FloatArray, K: int) -> FloatArray:
    """Inner products of the rows of A and of another matrix within blocks of K rows, (rows / K, K, K)."""
    row = np.repeat(np.arange(A.shape[0]), np.diff(A.indptr))
    blocks = np.empty((A.shape[0] // K, K, K))
    for b in range(K):
        weights = A.data * seen[row - row % K + b, A.indices]
        blocks[:, :, b] = np.bincount(row, weights=weights, minlength=A.shape[0]).reshape(-1, K)
    return blocks


def row_quadratics(A: SparseArray, B: SparseArray, T: FloatArray) -> FloatArray:
    """a_l' T b_l for the rows of two sparse matrices, in blocks of rows that fit the cache."""
    out = np.empty(A.shape[0])
    step = max(1, 4_000_000 // T.shape[0])
    for start in range(0, A.shape[0], step):
        rows = slice(start, start + step)
        out[rows] = B[rows].multiply(A[rows] @ T).sum(axis=1)
    return out


def by_block(blocks: FloatArray, B: FloatArray) -> FloatArray:
    """Block-diagonal matrix times B."""
    n, K, _ = blocks.shape
    if K == 1:
        return np.asarray(blocks[:, 0] * B)
    return np.asarray((blocks @ B.reshape(n, K, B.shape[1])).reshape(B.shape))
