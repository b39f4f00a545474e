"""Weighted Gram matrices ``sum_l w_l a_l a_l'`` of sparse rows, for many sets of weights.

Eliminating a factor with one column per level subtracts such a sum from the rest of the
system, with weights that change at every evaluation while the rows ``a_l`` never do; the
gradient needs the inner product of a second sum over the same rows with a matrix.

Where rows and columns are full enough, BLAS forms the sum; elsewhere each row is multiplied out
once into (position, product) pairs, and a sum is one sparse matrix-vector product.  The most
popular columns, and of the others the longest rows, are treated as full: real designs have a few
items that nearly everyone saw, and a few people who saw nearly everything.
"""

from __future__ import annotations

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
# Pairs kept at most (12 bytes each); beyond, the longest rows are treated as full.
PAIR_BUDGET = 30_000_000
# Elements of the dense copy of the popular columns, at most.
POPULAR_BUDGET = 50_000_000


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
        self._long_rows = A[self._long].toarray()
        rare = A[self._short][:, : self._rare]
        self._popular = A[self._short][:, self._rare :].toarray()
        self._across, self._squares = rare.T, rare.multiply(rare).tocsr()
        self._paired, self._products = _multiply_out(rare, self.q)

    def __call__(self, w: FloatArray) -> FloatArray:
        """The sum: lower triangle, zeros above, shape (q, q), Fortran order.

        Parameters
        ----------
        w : ndarray of shape (rows,)
            Non-negative weights.
        """
        rare, short = self._rare, w[self._short]
        gram = (self._products @ short[self._paired]).reshape(self.q, self.q).T  # Fortran order, no copy
        if rare < self.q:
            gram[rare:, :rare], gram[rare:, rare:] = self._with_popular(short)
        if len(self._long):
            root = self._long_rows * np.sqrt(w[self._long])[:, None]
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
        pairs = self._products.T @ T.T.reshape(-1)
        total = 2.0 * float(short[self._paired] @ pairs)
        total -= float(short @ (self._squares @ np.diagonal(T)[:rare]))
        if rare < self.q:
            across, popular = self._with_popular(short)
            total += 2.0 * float(np.vdot(across, T[rare:, :rare])) + _inner(popular, T[rare:, rare:])
        if len(self._long) > FEW_FULL_ROWS * self.q:
            total += _inner(_square(self._long_rows, w[self._long]), T)
        elif len(self._long):  # twice the operations, but no matrix of q columns
            seen = blas.dsymm(1.0, T, self._long_rows.T, lower=1)
            total += float(np.einsum("ql,lq,l->", seen, self._long_rows, w[self._long]))
        return total

    def _with_popular(self, short: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Blocks of the sum over short rows: popular by rare columns, popular by popular ones."""
        return (self._across @ (self._popular * short[:, None])).T, _square(self._popular, short)


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
    """Row length above which BLAS is cheaper, or above which the pairs would not fit."""
    longest = q * np.sqrt(BLAS_TERM / PAIR_TERM)
    ordered = np.sort(counts)
    long = ordered[ordered > longest].astype(float)
    if (long**2 * PAIR_TERM - q**2 * BLAS_TERM).sum() / 2 < q**2 * WHOLE_TERM:
        longest = np.inf
    pairs = np.cumsum(ordered * (ordered + 1.0) / 2)
    affordable = int(np.searchsorted(pairs, PAIR_BUDGET, side="right"))
    if affordable < len(ordered):
        longest = min(longest, float(ordered[affordable]) - 1)
    return float(longest)


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
