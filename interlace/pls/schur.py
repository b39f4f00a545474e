"""Weighted Gram matrices ``sum_l w_l a_l a_l'`` of sparse rows, for many sets of weights.

Eliminating a factor with one column per level subtracts such a sum from the rest of the
system, with weights that change at every evaluation while the rows ``a_l`` never do; the
gradient needs a second sum over the same rows.

Where rows and columns are full enough, BLAS forms the sum; elsewhere each row is multiplied out
once into (position, product) pairs, and a sum is one sparse matrix-vector product.  The most
popular columns, and of the others the longest rows, are treated as full: real designs have a few
items that nearly everyone saw, and a few people who saw nearly everything.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from scipy import sparse
from scipy.linalg import blas

from .terms import FloatArray, IntArray, SparseArray

# Nanoseconds per term on common hardware; only their ratios matter, for what is treated as full.
BLAS_TERM = 0.025
ROW_TERM = 0.8
# A pair is multiplied out once and summed twice in each of some five evaluations.
PAIR_TERM = 8.0
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
        self.q = int(A.shape[1])
        self._rare = self.q - _popular_columns(A)
        rare = A[:, : self._rare] if self._rare < self.q else A
        self._popular = A[:, self._rare :].toarray()
        self._across = rare.T
        self._pairs = _PairedRows(rare)

    def __call__(self, weights: FloatArray) -> list[FloatArray]:
        """One (q, q) array per column of ``weights``: lower triangle, zeros above, Fortran order.

        Parameters
        ----------
        weights : ndarray of shape (rows, r)
            Non-negative weights.
        """
        return [self._one(w) for w in weights.T]

    def _one(self, w: FloatArray) -> FloatArray:
        rare = self._rare
        if rare == self.q:
            return self._pairs(w)
        gram = np.zeros((self.q, self.q), order="F")
        gram[:rare, :rare] = self._pairs(w)
        gram[rare:, :rare] = (self._across @ (self._popular * w[:, None])).T
        root = self._popular * np.sqrt(w)[:, None]
        gram[rare:, rare:] = blas.dsyrk(1.0, root.T, lower=1)
        return gram


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


class _PairedRows:
    """The sum over rows of rare columns: long rows by BLAS, short ones multiplied out.

    Parameters
    ----------
    A : sparse CSR array of shape (rows, q)
        Its rows.
    """

    def __init__(self, A: SparseArray) -> None:
        self.q = int(A.shape[1])
        if not A.has_sorted_indices:
            A = A.sorted_indices()
        counts = np.diff(A.indptr)
        long = counts > _longest_pair_row(counts, self.q)
        self._long = np.flatnonzero(long)
        self._long_rows = A[self._long].toarray()
        short = np.flatnonzero(~long & (counts > 0))
        self._short, self._products = _multiply_out(A, short, counts, self.q)

    def __call__(self, w: FloatArray) -> FloatArray:
        """Lower triangle, zeros above, Fortran order."""
        gram = (self._products @ w[self._short]).reshape(self.q, self.q).T  # Fortran order without a copy
        if len(self._long):
            root = self._long_rows * np.sqrt(w[self._long])[:, None]
            gram = blas.dsyrk(1.0, root.T, beta=1.0, c=gram, lower=1, overwrite_c=1)
        return np.asarray(gram)


def _longest_pair_row(counts: IntArray, q: int) -> float:
    """Row length above which BLAS is cheaper, or above which the pairs would not fit."""
    longest = q * np.sqrt(BLAS_TERM / PAIR_TERM)
    ordered = np.sort(counts)
    pairs = np.cumsum(ordered * (ordered + 1.0) / 2)
    affordable = int(np.searchsorted(pairs, PAIR_BUDGET, side="right"))
    if affordable < len(ordered):
        longest = min(longest, float(ordered[affordable]) - 1)
    return float(longest)


def _multiply_out(A: SparseArray, rows: IntArray, counts: IntArray, q: int) -> tuple[IntArray, SparseArray]:
    """Products of all pairs of entries of each row, as columns of a (q * q, rows) matrix."""
    order = rows[np.argsort(counts[rows], kind="stable")]
    pairs = counts[order].astype(np.int64) * (counts[order] + 1) // 2
    indptr = np.concatenate([[0], np.cumsum(pairs)])
    small = max(q * q, int(indptr[-1])) < 2**31
    positions = np.empty(indptr[-1], dtype=np.int32 if small else np.int64)
    products = np.empty(indptr[-1])
    bounds = np.flatnonzero(np.diff(counts[order], prepend=-1, append=-1))
    for start, stop in pairwise(bounds.tolist()):  # one pass per distinct row length
        length = int(counts[order[start]])
        entries = A.indptr[order[start:stop]][:, None] + np.arange(length)
        cols, values = A.indices[entries].astype(positions.dtype), A.data[entries]
        low, high = np.tril_indices(length)
        own = slice(indptr[start], indptr[stop])
        # Fortran position of (row cols[low], column cols[high]), cols[low] >= cols[high]: the lower triangle.
        positions[own] = (cols[:, high] * positions.dtype.type(q) + cols[:, low]).ravel()
        products[own] = (values[:, low] * values[:, high]).ravel()
    shape = (q * q, len(order))
    return order, sparse.csc_array((products, positions, indptr.astype(positions.dtype)), shape=shape)
