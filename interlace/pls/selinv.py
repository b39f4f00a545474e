"""Selected inverse: the entries of M^-1 on the pattern of its Cholesky factor.

From ``Z L = L^-T`` (Takahashi, Fagan & Chin 1973; Erisman & Tinney 1975), with ``Z = M^-1`` and s
the rows of column j below the diagonal,

    Z[s, j] = -Z[s, s] L[s, j] / L[j, j],     Z[j, j] = 1 / L[j, j]^2 - L[s, j]' Z[s, j] / L[j, j],

and ``Z[s, s]`` lies on the pattern because s is a clique of the filled graph.  Column j needs only
columns above it in the elimination tree, so all columns at one distance from the root are done
together; the last columns, where L is all but full, are inverted as one dense matrix.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import linalg

from .terms import FloatArray, IntArray, SparseArray

# Seconds per unit on common hardware; only their ratios matter, for where the dense part begins.
DENSE_FLOP = 3e-11
GATHERED_PAIR = 6e-9
# Index pairs kept from one evaluation to the next; beyond, they are recomputed (slower, but in memory).
KEPT_PAIRS = 40_000_000


@dataclass(frozen=True, eq=False)
class _Batch:
    """Columns at one distance from the root with equally many rows below the diagonal.

    ``start`` is the position of each diagonal entry, ``rows`` has shape (columns, s) and ``pairs``
    the positions of ``Z[s, s]``, (columns, s, s), or None if they are not kept.
    """

    start: IntArray
    rows: IntArray
    pairs: IntArray | None


class SelectedInverse:
    """Plan for the selected inverse of all matrices whose factor has one pattern.

    Parameters
    ----------
    L : sparse CSC matrix of shape (q, q)
        Lower triangular Cholesky factor, sorted indices, diagonal first in each column.
    """

    def __init__(self, L: SparseArray) -> None:
        self._indptr, self._indices = L.indptr.astype(np.intp), L.indices.astype(np.intp)
        self.q = int(L.shape[0])
        self._below = np.diff(self._indptr) - 1
        self._root = self._dense_from()
        self._size = int(self._indptr[self._root])
        self._keys = (
            np.repeat(np.arange(self._root), self._below[: self._root] + 1) * self.q
            + self._indices[: self._size]
        )
        self._batches = self._schedule()

    def _dense_from(self) -> int:
        """First column of the dense part: where the predicted time is least."""
        pairs = np.concatenate([[0.0], np.cumsum(self._below.astype(float) ** 2)])
        dense = (self.q - np.arange(self.q + 1)).astype(float) ** 3
        return int(np.argmin(pairs * GATHERED_PAIR + dense * DENSE_FLOP))

    def _schedule(self) -> list[_Batch]:
        columns = np.arange(self._root)
        has_parent = self._below[: self._root] > 0
        parent = np.full(self._root, self._root)
        parent[has_parent] = np.minimum(self._indices[self._indptr[columns[has_parent]] + 1], self._root)
        depth = _depth(parent, self._root)
        keep = float((self._below[: self._root].astype(float) ** 2).sum()) <= KEPT_PAIRS
        batches = []
        key = depth * (self.q + 1) + self._below[: self._root]
        order = np.argsort(key, kind="stable")
        for own in np.split(order, np.flatnonzero(np.diff(key[order])) + 1):
            if not len(own):
                continue
            length = int(self._below[own[0]])
            start = self._indptr[own]
            rows = self._indices[start[:, None] + 1 + np.arange(length)]
            batches.append(_Batch(start, rows, self._positions(rows) if keep else None))
        return batches

    def _positions(self, rows: IntArray) -> IntArray:
        """Where Z[i, k] is stored, for all pairs of each row of ``rows``."""
        i, k = rows[:, :, None], rows[:, None, :]
        high, low = np.maximum(i, k), np.minimum(i, k)
        in_root = low >= self._root
        side = self.q - self._root
        dense = self._size + (high - self._root) * side + (low - self._root)
        found = np.searchsorted(self._keys, np.where(in_root, 0, low * self.q + high))
        return np.asarray(np.where(in_root, dense, found))

    def __call__(self, L: SparseArray) -> FloatArray:
        """Values of Z on the plan's storage; read them with `entries`.

        Parameters
        ----------
        L : sparse CSC matrix of shape (q, q)
            A factor with the plan's pattern.
        """
        side = self.q - self._root
        Z = np.empty(self._size + side * side)
        if side:
            root = L[self._root :, self._root :].toarray(order="F")
            inverse, _ = linalg.lapack.dpotri(root, lower=1)
            Z[self._size :] = inverse.ravel()  # row-major: the lower triangle is what `_positions` reads
        data = L.data
        for batch in self._batches:
            pairs = self._positions(batch.rows) if batch.pairs is None else batch.pairs
            pivot = data[batch.start]
            below = data[batch.start[:, None] + 1 + np.arange(batch.rows.shape[1])] / pivot[:, None]
            product = (Z[pairs] @ below[:, :, None])[:, :, 0]
            Z[batch.start[:, None] + 1 + np.arange(batch.rows.shape[1])] = -product
            Z[batch.start] = 1.0 / pivot**2 + (below * product).sum(axis=1)
        return Z

    def entries(self, rows: IntArray, cols: IntArray) -> IntArray:
        """Positions of entries (rows, cols) of Z, which must lie on the pattern of L or its transpose."""
        high, low = np.maximum(rows, cols), np.minimum(rows, cols)
        in_root = low >= self._root
        side = self.q - self._root
        found = np.searchsorted(self._keys, np.where(in_root, 0, low * self.q + high))
        return np.asarray(
            np.where(in_root, self._size + (high - self._root) * side + (low - self._root), found)
        )


def _depth(parent: IntArray, root: int) -> IntArray:
    """Steps from each column to the root, by pointer doubling."""
    ancestor = np.append(parent, root)
    steps = np.append(np.ones(len(parent), dtype=np.intp), 0)
    while (ancestor[:-1] < root).any():
        steps = steps + steps[ancestor]
        ancestor = ancestor[ancestor]
    return steps[:-1]
