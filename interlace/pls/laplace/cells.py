"""The rows behind a fit whose weights change: from eta to ``Z'WZ``, ``Z'WX`` and ``Z's``.

In a generalised model W depends on the modes, so every factorization passes over the rows again.  The
pattern never changes: each entry of Z'WZ is a fixed sum of products of columns times weights, that is, one
sparse matrix times w.  Rows that are equal in everything are one *cell* (see `aggregate`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

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

    def products(self) -> CrossProducts:
        """``Z'Z`` as a factorization wants it; the rest is left empty."""
        q = self.rows.layout.q
        return CrossProducts(
            A=self.assembly.matrix(np.ones(self.n)),
            B=np.empty((q, 1)),
            C=np.empty((1, 1)),
            n=self.n,
            sum_log_weights=0.0,
        )

    def weighted(self, w: FloatArray, B: FloatArray) -> FloatArray:
        """``Z'W B`` for B of shape (n,) or (n, r)."""
        return self.sums(w * B if B.ndim == 1 else w[:, None] * B)


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
    sums : sparse CSR array of shape (entries, n)
        Products of columns: each distinct entry of Z'WZ is its row times w.
    times : ndarray of shape (entries,)
        How often each occurs in Z'WZ: twice between two factors.
    numbers : ndarray or sparse CSR array of shape (q, q)
        The number of the entry, from 1, at every place of Z'WZ; 0 where there is none. Dense when q is small.
    """

    sums: SparseArray
    times: FloatArray
    numbers: FloatArray | SparseArray

    def entries(self, w: FloatArray) -> FloatArray:
        """Distinct entries of ``Z'WZ``."""
        return np.asarray(self.sums @ w)

    def quadratics(self, entries: FloatArray) -> FloatArray:
        """``z_i' T z_i`` for every row, from the same entries of T."""
        return np.asarray((entries * self.times) @ self.sums)

    def matrix(self, w: FloatArray) -> FloatArray | SparseArray:
        """``Z'WZ``."""
        values = np.concatenate([[0.0], self.entries(w)])
        if isinstance(self.numbers, np.ndarray):
            return np.asarray(values[self.numbers.astype(np.intp)])
        data = values[self.numbers.data.astype(np.intp)]
        return sparse.csr_array((data, self.numbers.indices, self.numbers.indptr), shape=self.numbers.shape)


def assembly_of(rows: Rows) -> Assembly:
    """The assembly of some rows."""
    layout, count = rows.layout, 0
    row, col, times, sums = [], [], [], []
    for f in range(len(layout.K)):
        for g in range(f, len(layout.K)):
            own_row, own_col, block = _pair_entries(rows, f, g)
            row.append(own_row)
            col.append(own_col)
            times.append(np.full(len(own_row), 1.0 if f == g else 2.0))
            sums.append(block)
            count += len(own_row)
    all_sums = sums[0] if len(sums) == 1 else sparse.vstack(sums, format="csr")
    occur = np.concatenate(times)
    return Assembly(all_sums, occur, _numbered(np.concatenate(row), np.concatenate(col), occur, layout.q))


def _numbered(row: IntArray, col: IntArray, times: FloatArray, q: int) -> FloatArray | SparseArray:
    """Numbers from 1 at the places of the entries, on both sides of the diagonal where they occur twice."""
    number, off = np.arange(1.0, len(row) + 1.0), times > 1.0
    row, col = np.concatenate([row, col[off]]), np.concatenate([col, row[off]])
    numbers = sparse.csr_array((np.concatenate([number, number[off]]), (row, col)), shape=(q, q))
    numbers.sort_indices()
    return np.asarray(numbers.toarray()) if q <= DENSE_Q else numbers


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
