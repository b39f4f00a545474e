"""The rows behind a fit whose weights change: from eta to ``Z'WZ``, ``Z'WX`` and ``Z's``.

In a generalised model W depends on the modes, so every factorization passes over the rows again.  The
pattern never changes: each entry of Z'WZ is a fixed sum of products of columns times weights, that is, one
sparse matrix times w.  Rows that are equal in everything are one *cell* (see `aggregate`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from interlace.arrays import FloatArray, IntArray, SparseArray
from interlace.pls.matrices.crossproducts import DENSE_Q, CrossProducts
from interlace.pls.matrices.relcov import Layout
from interlace.pls.rows.weighted import Rows


@dataclass(frozen=True, eq=False)
class Cells:
    """Distinct rows of Z, X and offset in the criterion's bases, with what was observed there.

    Attributes
    ----------
    rows : Rows
        Z and X, and the response as the last column of ``Qy``.
    m : ndarray of shape (n,)
        Trials, exposure, or how often the cell occurs; see `interlace.family`.
    offset : ndarray of shape (n,)
        Known part of eta.
    Z, Zt : sparse CSR arrays
        Z and its transpose.
    assembly : Assembly
        How Z'WZ follows from w.
    """

    rows: Rows
    m: FloatArray
    offset: FloatArray
    Z: SparseArray
    Zt: SparseArray
    assembly: Assembly

    @property
    def n(self) -> int:
        """Number of cells."""
        return self.rows.n

    @property
    def p(self) -> int:
        """Columns of X."""
        return int(self.rows.Qy.shape[1]) - 1

    @property
    def X(self) -> FloatArray:
        """Rows of the basis of X, (n, p)."""
        return self.rows.Qy[:, :-1]

    @property
    def y(self) -> FloatArray:
        """Response."""
        return self.rows.Qy[:, -1]

    def fixed(self, gamma: FloatArray) -> FloatArray:
        """``X beta + offset``."""
        return np.asarray(self.X @ gamma + self.offset)

    def random(self, b: FloatArray) -> FloatArray:
        """``Z b``."""
        return np.asarray(self.Z @ b)

    def sums(self, s: FloatArray) -> FloatArray:
        """``Z' s``, of one column or several."""
        return np.asarray(self.Zt @ s)

    def ZtWX(self, w: FloatArray) -> FloatArray:
        """``Z'WX``."""
        return np.asarray(self.Zt @ (self.X * w[:, None]))

    def products(self, w: FloatArray) -> CrossProducts:
        """``Z'WZ`` as a factorization wants it; the rest is left empty."""
        q = self.rows.layout.q
        return CrossProducts(
            A=self.assembly(w), B=np.empty((q, 1)), C=np.empty((1, 1)), n=self.n, sum_log_weights=0.0
        )


def cells_of(rows: Rows, m: FloatArray, offset: FloatArray) -> Cells:
    """Multiply out the pattern of Z'WZ, once.

    Parameters
    ----------
    rows : Rows
        Distinct rows.
    m, offset : ndarray of shape (n,)
        As in `Cells`.
    """
    Z = rows.Z()
    return Cells(rows, m, offset, Z, Z.T.tocsr(), assembly_of(rows))


@dataclass(frozen=True, eq=False)
class Assembly:
    """Z'WZ as a linear function of w.

    Attributes
    ----------
    q : int
        Columns of Z.
    sums : sparse CSR array of shape (entries, n)
        Products of columns: each distinct entry of Z'WZ is its row times w.
    upper, lower : ndarray of int, shape (entries,), or None
        Where the entries stand in a dense matrix.
    gather : ndarray of int or None
        The entry behind each stored value of a sparse one.
    indices, indptr : ndarray of int or None
        Its CSR pattern.
    """

    q: int
    sums: SparseArray
    upper: IntArray | None = None
    lower: IntArray | None = None
    gather: IntArray | None = None
    indices: Any = None
    indptr: Any = None

    def __call__(self, w: FloatArray) -> FloatArray | SparseArray:
        """``Z'WZ``."""
        entries = self.sums @ w
        if self.gather is not None:
            data = entries[self.gather]
            return sparse.csr_array((data, self.indices, self.indptr), shape=(self.q, self.q))
        A = np.zeros(self.q * self.q)
        A[self.upper] = entries
        A[self.lower] = entries
        return A.reshape(self.q, self.q)


def assembly_of(rows: Rows) -> Assembly:
    """The assembly of some rows."""
    found = _entries(rows)
    q = rows.layout.q
    if q <= DENSE_Q:
        at, across = found.row * q + found.col, found.col * q + found.row
        return Assembly(q, found.sums, upper=at, lower=across)
    own = np.arange(len(found.row))
    off = found.between  # entries between two factors stand on both sides of the diagonal
    row, col = np.concatenate([found.row, found.col[off]]), np.concatenate([found.col, found.row[off]])
    numbered = np.concatenate([own, own[off]]) + 1.0
    A = sparse.csr_array((numbered, (row, col)), shape=(q, q))
    A.sort_indices()
    return Assembly(q, found.sums, gather=A.data.astype(np.intp) - 1, indices=A.indices, indptr=A.indptr)


@dataclass(frozen=True, eq=False)
class _Entries:
    """Distinct entries of Z'WZ: place, whether between two factors, and sums over rows."""

    row: IntArray
    col: IntArray
    between: IntArray
    sums: SparseArray


def _entries(rows: Rows) -> _Entries:
    layout = rows.layout
    places: list[tuple[IntArray, IntArray]] = []
    between: list[IntArray] = []
    sums: list[SparseArray] = []
    count = 0
    for f in range(len(layout.K)):
        for g in range(f, len(layout.K)):
            row, col, block = _pair_entries(rows, f, g)
            places.append((row, col))
            sums.append(block)
            if f < g:
                between.append(count + np.arange(len(row)))
            count += len(row)
    return _Entries(
        row=np.concatenate([row for row, _ in places]),
        col=np.concatenate([col for _, col in places]),
        between=np.concatenate(between) if between else np.empty(0, dtype=np.intp),
        sums=sums[0] if len(sums) == 1 else sparse.vstack(sums, format="csr"),
    )


def _pair_entries(rows: Rows, f: int, g: int) -> tuple[IntArray, IntArray, SparseArray]:
    """Entries between two factors: rows, columns and sums, pair by pair of levels, (a, b) within."""
    layout, n = rows.layout, rows.n
    level, other, pair = _level_pairs(rows.codes, layout, f, g)
    K, L = layout.K[f], layout.K[g]
    row = (
        layout.starts[f] + level[:, None, None] * K + np.arange(K)[:, None] + np.zeros((1, L), dtype=np.intp)
    )
    col = layout.starts[g] + other[:, None, None] * L + np.arange(L) + np.zeros((K, 1), dtype=np.intp)
    products = (rows.columns[f][:, :, None] * rows.columns[g][:, None, :]).reshape(n, K * L)
    entry = pair[:, None] * (K * L) + np.arange(K * L)
    source = np.repeat(np.arange(n), K * L)
    shape = (len(level) * K * L, n)
    block = sparse.csr_array((products.ravel(), (entry.ravel(), source)), shape=shape)
    return row.ravel(), col.ravel(), block


def _level_pairs(
    codes: Sequence[IntArray], layout: Layout, f: int, g: int
) -> tuple[IntArray, IntArray, IntArray]:
    """Pairs of levels that occur together, and which pair each row is."""
    if f == g:
        level = np.arange(layout.n_levels[f])
        return level, level, codes[f]
    keys, pair = np.unique(codes[f] * layout.n_levels[g] + codes[g], return_inverse=True)
    level, other = np.divmod(keys, layout.n_levels[g])
    return level, other, pair.ravel()
