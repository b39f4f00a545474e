"""Weighted Gram matrices ``sum_l w_l a_l a_l'`` of sparse rows, for many sets of weights.

Eliminating a factor with one column per level subtracts such a sum from the rest of the
system, with weights that change at every evaluation while the rows ``a_l`` never do; the
gradient needs a second sum over the same rows.

Rows with few entries are multiplied out once into (position, product) pairs; after that a sum
is one sparse matrix-vector product.  Rows with many entries go through BLAS.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse
from scipy.linalg import blas

from .terms import FloatArray, IntArray, SparseArray

# A BLAS multiply-add costs about a twentieth of one through a sparse index.
SPARSE_COST = 20.0
# Pairs kept at most (12 bytes each); beyond, the longest sparse rows become dense ones.
PAIR_BUDGET = 30_000_000


class WeightedGram:
    """``A' diag(w) A`` for a fixed sparse A and changing w.

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
        long = counts > _longest_sparse_row(counts, self.q)
        self._long = np.flatnonzero(long)
        self._long_rows = A[self._long].toarray()
        short = np.flatnonzero(~long & (counts > 0))
        self._short, self._pairs = _multiply_out(A, short, counts, self.q)

    def __call__(self, weights: FloatArray) -> list[FloatArray]:
        """One (q, q) array per column of ``weights``, lower triangle only, Fortran order.

        Parameters
        ----------
        weights : ndarray of shape (rows, r)
            Non-negative weights.
        """
        grams = []
        for w in weights.T:
            gram = (self._pairs @ w[self._short]).reshape(self.q, self.q).T  # Fortran order without a copy
            if len(self._long):
                rows = self._long_rows * np.sqrt(w[self._long])[:, None]
                gram = blas.dsyrk(1.0, rows.T, beta=1.0, c=gram, lower=1, overwrite_c=1)
            grams.append(gram)
        return grams


def _longest_sparse_row(counts: IntArray, q: int) -> float:
    """Row length above which BLAS is cheaper, or above which the pairs would not fit."""
    longest = q / np.sqrt(SPARSE_COST)
    ordered = np.sort(counts)
    pairs = np.cumsum(ordered * (ordered + 1.0) / 2)
    affordable = int(np.searchsorted(pairs, PAIR_BUDGET, side="right"))
    if affordable < len(ordered):
        longest = min(longest, float(ordered[affordable]) - 1)
    return float(longest)


def _multiply_out(A: SparseArray, rows: IntArray, counts: IntArray, q: int) -> tuple[IntArray, SparseArray]:
    """Products of all pairs of entries of each row, as columns of a (q * q, rows) matrix."""
    order, positions, products, lengths = [], [], [], []
    index_type = np.int32 if q * q < 2**31 else np.int64
    for length in np.unique(counts[rows]).tolist():  # one pass per distinct row length
        own = rows[counts[rows] == length]
        entries = A.indptr[own][:, None] + np.arange(length)
        cols, values = A.indices[entries].astype(index_type), A.data[entries]
        low, high = np.tril_indices(length)
        # Fortran position of (row cols[low], column cols[high]), cols[low] >= cols[high]: the lower triangle.
        positions.append((cols[:, high] * index_type(q) + cols[:, low]).ravel())
        products.append((values[:, low] * values[:, high]).ravel())
        order.append(own)
        lengths.append(np.full(len(own), len(low), dtype=np.int64))
    if not order:
        return np.zeros(0, dtype=np.intp), sparse.csc_array((q * q, 0))
    indptr = np.concatenate([[0], np.cumsum(np.concatenate(lengths))])
    if indptr[-1] < 2**31:
        indptr = indptr.astype(index_type)
    pairs = sparse.csc_array(
        (np.concatenate(products), np.concatenate(positions), indptr), shape=(q * q, len(indptr) - 1)
    )
    return np.concatenate(order), pairs
