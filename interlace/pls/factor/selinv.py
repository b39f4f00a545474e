"""Selected inverse: the entries of M^-1 on the pattern of its Cholesky factor.

Columns of L that share the rows below them form a *supernode* J; with s those rows, ``Z = M^-1``
and ``Y = L[s, J] L[J, J]^-1`` (Takahashi, Fagan & Chin 1973; Erisman & Tinney 1975),

    Z[s, J] = -Z[s, s] Y,     Z[J, J] = (L[J, J] L[J, J]')^-1 + Y' Z[s, s] Y,

and ``Z[s, s]`` lies on the pattern because s is a clique of the filled graph.  A supernode needs only
those above it in the elimination tree, so all supernodes at one distance from the root that have
one shape are done together; the last columns, where L is all but full, are inverted as one dense
matrix.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import linalg

from interlace.arrays import BoolArray, FloatArray, IntArray, SparseArray

# Seconds per unit on common hardware; only their ratios matter, for where the dense part begins.
DENSE_FLOP = 3e-11
BATCHED_FLOP = 1e-10
GATHERED_PAIR = 6e-9
# What a pair costs if its place must be looked up again at every evaluation.
SOUGHT_PAIR = 4e-8
# Index pairs kept from one evaluation to the next.
KEPT_PAIRS = 40_000_000


@dataclass(frozen=True, eq=False)
class _Batch:
    """Supernodes of one shape at one distance from the root.

    Attributes
    ----------
    columns : ndarray of int, shape (batch, width, width + s)
        Positions of the entries of L, row for row of each column; those above the diagonal point
        at the entry across it.
    rows : ndarray of int, shape (batch, s)
        Rows below the supernode.
    pairs : ndarray of int, shape (batch, s, s), or None
        Positions of ``Z[s, s]``; None if they are not kept.
    """

    columns: IntArray
    rows: IntArray
    pairs: IntArray | None

    @property
    def width(self) -> int:
        return int(self.columns.shape[1])


class SelectedInverse:
    """Plan for the selected inverse of all matrices whose factor has one pattern.

    Parameters
    ----------
    L : sparse CSC matrix of shape (q, q)
        Lower triangular Cholesky factor, sorted indices, the filled pattern with its zeros.
    """

    def __init__(self, L: SparseArray) -> None:
        self.q = int(L.shape[0])
        self._indptr, self._indices = L.indptr.astype(np.intp), L.indices.astype(np.intp)
        self._below = np.diff(self._indptr) - 1
        starts = self._supernodes()
        n_sparse, self._keep = self._dense_from(starts)
        self._root = int(np.append(starts, self.q)[n_sparse])
        self._size = int(self._indptr[self._root])
        column = np.repeat(np.arange(self._root), self._below[: self._root] + 1)
        self._keys = column * self.q + self._indices[: self._size]
        self._batches = self._schedule(starts[:n_sparse])

    def _supernodes(self) -> IntArray:
        """First columns of the supernodes: columns that do not share the structure of the one before."""
        below, first = self._below[:-1], self._indptr[:-2]
        follows = np.zeros(self.q, dtype=bool)
        parent = self._indices[np.minimum(first + 1, len(self._indices) - 1)]
        follows[1:] = (below > 0) & (parent == np.arange(1, self.q)) & (below == self._below[1:] + 1)
        return np.flatnonzero(~follows)

    def _dense_from(self, starts: IntArray) -> tuple[int, bool]:
        """How many supernodes stay sparse where that takes least time, and whether to keep their pairs."""
        ends = np.append(starts[1:], self.q)
        s = self._below[ends - 1].astype(float)
        pairs = np.concatenate([[0.0], np.cumsum(s**2)])
        work = np.concatenate([[0.0], np.cumsum(s**2 * (ends - starts))])
        gathered = np.where(pairs <= KEPT_PAIRS, GATHERED_PAIR, SOUGHT_PAIR)
        dense = (self.q - np.append(starts, self.q)).astype(float) ** 3
        seconds = pairs * gathered + work * BATCHED_FLOP + dense * DENSE_FLOP
        best = int(np.argmin(seconds))
        return best, bool(pairs[best] <= KEPT_PAIRS)

    def _schedule(self, starts: IntArray) -> list[_Batch]:
        if not len(starts):
            return []
        ends = np.append(starts[1:], self._root)
        width, s = ends - starts, self._below[ends - 1]
        next_row = self._indices[np.minimum(self._indptr[ends - 1] + 1, len(self._indices) - 1)]
        in_root = (s == 0) | (next_row >= self._root)
        parent = np.where(in_root, len(starts), np.searchsorted(starts, next_row, side="right") - 1)
        shape = (_depth(parent) * (self.q + 1) + width) * (self.q + 1) + s
        order = np.argsort(shape, kind="stable")
        groups = np.split(order, np.flatnonzero(np.diff(shape[order])) + 1)
        return [self._batch(starts[own], int(width[own[0]]), int(s[own[0]])) for own in groups]

    def _batch(self, first: IntArray, width: int, s: int) -> _Batch:
        down = np.arange(width + s)
        across = np.arange(width)
        low, high = np.minimum(across[:, None], down), np.maximum(across[:, None], down)
        # Column first + low holds its rows from the diagonal on; high - low is the place of row first + high.
        columns = self._indptr[first[:, None, None] + low] + (high - low)
        rows = self._indices[self._indptr[first + width - 1][:, None] + 1 + np.arange(s)]
        return _Batch(columns, rows, self._positions(rows) if self._keep else None)

    def _positions(self, rows: IntArray) -> IntArray:
        """Where Z[i, k] is stored, for all pairs of each row of ``rows``."""
        return self.entries(rows[:, :, None], rows[:, None, :])

    def entries(self, rows: IntArray, cols: IntArray) -> IntArray:
        """Positions of entries (rows, cols) of Z, which must lie on the pattern of L or its transpose."""
        high, low = np.maximum(rows, cols), np.minimum(rows, cols)
        in_root = low >= self._root
        side = self.q - self._root
        dense = self._size + (high - self._root) * side + (low - self._root)
        found = np.searchsorted(self._keys, np.where(in_root, 0, low * self.q + high))
        return np.asarray(np.where(in_root, dense, found))

    def holds(self, rows: IntArray, cols: IntArray, found: IntArray) -> BoolArray:
        """Which entries lie on the pattern, ``found`` being their positions as `entries` gives them."""
        high, low = np.maximum(rows, cols), np.minimum(rows, cols)
        at = np.minimum(found, max(self._size - 1, 0))
        on_pattern = self._keys[at] == low * self.q + high if self._size else False
        return np.asarray((low >= self._root) | on_pattern)

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
            Z[self._size :] = inverse.ravel()  # row-major: the lower triangle is what `entries` reads
        for batch in self._batches:
            self._invert(batch, L.data, Z)
        return Z

    def _invert(self, batch: _Batch, data: FloatArray, Z: FloatArray) -> None:
        """Fill in the columns of one batch of supernodes."""
        width = batch.width
        columns = data[batch.columns].transpose(0, 2, 1)  # (batch, width + s, width)
        pivots = np.tril(columns[:, :width])
        own = np.linalg.inv(pivots)
        Y = columns[:, width:] @ own
        pairs = self._positions(batch.rows) if batch.pairs is None else batch.pairs
        product = Z[pairs] @ Y
        diagonal = own.transpose(0, 2, 1) @ own + Y.transpose(0, 2, 1) @ product
        block = np.concatenate([diagonal, -product], axis=1)
        Z[batch.columns] = block.transpose(0, 2, 1)


def _depth(parent: IntArray) -> IntArray:
    """Steps from each supernode to the root, ``len(parent)``, by pointer doubling."""
    root = len(parent)
    ancestor = np.append(parent, root)
    steps = np.append(np.ones(root, dtype=np.intp), 0)
    while (ancestor < root).any():
        steps = steps + steps[ancestor]
        ancestor = ancestor[ancestor]
    return steps[:-1]
