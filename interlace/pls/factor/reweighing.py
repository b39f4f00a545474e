"""Which entry of Z'WZ each piece of a factorization is: new weights then change values, and no pattern.

For the blocked factorization; see `numbering`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from interlace.arrays import FloatArray, IntArray, SparseArray
from interlace.pls.matrices.relcov import Layout

from .nested import diagonal_blocks
from .numbering import sources


@dataclass(frozen=True, eq=False)
class Places:
    """Sources of the pieces of a blocked factorization: entries from 0, and ``count`` for what is zero.

    Attributes
    ----------
    count : int
        Entries.
    own : ndarray of int, shape (n_levels, K, K)
        Blocks of the first factor.
    between : ndarray of int, shape (q1, q2), or (stored values,)
        Blocks between it and the others, ordered; in full, or as CSR values.
    indices, indptr : ndarray of int, or None
        Their pattern, if sparse.
    rest : ndarray of int
        Entries of the others' own block ...
    at, lower : ndarray of int
        ... where they stand in it, raveled, or on its diagonal if that is all there is; and where in the
        lower triangle of a matrix of that size in Fortran order.
    rest_shape : tuple of int
        Its shape, (q2, q2) or (q2,).
    """

    count: int
    own: IntArray
    between: IntArray
    indices: Any
    indptr: Any
    rest: IntArray
    at: IntArray
    lower: IntArray
    rest_shape: tuple[int, ...]

    def pieces(self, values: FloatArray) -> tuple[FloatArray, FloatArray | SparseArray, FloatArray]:
        """A11 in blocks, A12, A22 or its diagonal."""
        values = np.append(values, 0.0)
        between: FloatArray | SparseArray = values[self.between]
        if self.indptr is not None:
            shape = (self.own.shape[0] * self.own.shape[1], self.rest_shape[0])
            between = sparse.csr_array((between, self.indices, self.indptr), shape=shape)
        A22 = np.zeros(self.rest_shape)
        A22.reshape(-1)[self.at] = values[self.rest]
        return values[self.own], between, A22

    def entries(self, T11: FloatArray, T12: FloatArray, T22: FloatArray) -> FloatArray:
        """T at every entry, from T11 in blocks, T12 as A12 is stored, and the lower triangle of T22."""
        out = np.empty(self.count + 1)
        out[self.own] = T11
        out[self.between] = T12
        out[self.rest] = T22.T.reshape(-1)[self.lower]
        return out[:-1]


def places_of(
    numbers: FloatArray | SparseArray, layout: Layout, order: IntArray, *, diagonal: bool, dense: bool
) -> Places:
    """The places for one pattern.

    Parameters
    ----------
    numbers : ndarray or sparse CSR array of shape (q, q)
        The number of each entry of Z'WZ, from 1; 0 where there is none.
    layout : Layout
        Columns of Z.
    order : ndarray of int, shape (q2,)
        Order in which the columns of the other factors are kept.
    diagonal : bool
        Whether of the others' own block the diagonal is all there is.
    dense : bool
        Whether the blocks between the first factor and the others are kept in full.
    """
    first, rest = layout.slices[0], slice(layout.starts[1], layout.q)
    count, q2 = int(numbers.max()), layout.rest
    block, indices, indptr = numbers[first, rest][:, order], None, None
    if dense:
        between = _full(block)
    else:
        pattern = sparse.csr_array(block)
        pattern.sort_indices()
        between, indices, indptr = pattern.data, pattern.indices, pattern.indptr
    square = _full(numbers[rest, rest])[order[:, None], order]
    if diagonal:
        square = np.diag(np.diagonal(square))
    row, col = np.nonzero(square)
    return Places(
        count=count,
        own=sources(diagonal_blocks(numbers, layout, 0), count),
        between=sources(between, count),
        indices=indices,
        indptr=indptr,
        rest=sources(square[row, col], count),
        at=row if diagonal else row * q2 + col,
        lower=np.minimum(row, col) * q2 + np.maximum(row, col),
        rest_shape=(q2,) if diagonal else (q2, q2),
    )


def _full(A: FloatArray | SparseArray) -> FloatArray:
    return A if isinstance(A, np.ndarray) else np.asarray(A.toarray())
