"""Where a blocked factorization finds its pieces among the values of a sparse Z'WZ, whose pattern stays.

Slicing a sparse matrix costs more than factorising a small model.  Slice once a matrix that holds the numbers
of its own entries: the pieces then say where their values come from.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from interlace.arrays import FloatArray, IntArray, SparseArray
from interlace.pls.matrices.relcov import Layout

from .nested import diagonal_blocks


@dataclass(frozen=True, eq=False)
class Places:
    """Sources of the pieces: positions among the values, and one beyond the last for what is zero.

    Attributes
    ----------
    own : ndarray of int, shape (n_levels, K, K)
        Blocks of the first factor.
    between : ndarray of int, shape (entries,)
        Blocks between it and the others, ordered, as CSR values.
    indices, indptr : ndarray of int
        Their pattern.
    shape : tuple of int
        Their shape.
    rest : ndarray of int, shape (q2, q2) or (q2,)
        The others among themselves, ordered; the diagonal alone if that is all there is.
    """

    own: IntArray
    between: IntArray
    indices: Any
    indptr: Any
    shape: tuple[int, int]
    rest: IntArray

    def pieces(self, A: SparseArray) -> tuple[FloatArray, SparseArray, FloatArray]:
        """A11 in blocks, A12 sparse, A22 dense or its diagonal."""
        values = np.append(A.data, 0.0)
        between = sparse.csr_array((values[self.between], self.indices, self.indptr), shape=self.shape)
        return values[self.own], between, values[self.rest]


def places_of(A: SparseArray, layout: Layout, order: IntArray, *, diagonal: bool) -> Places:
    """The places for one pattern.

    Parameters
    ----------
    A : sparse CSR array of shape (q, q)
        Any matrix of that pattern.
    layout : Layout
        Columns of Z.
    order : ndarray of int, shape (q2,)
        Order in which the columns of the other factors are kept.
    diagonal : bool
        Whether of the others' own block the diagonal is all there is.
    """
    number = sparse.csr_array((np.arange(1.0, A.nnz + 1.0), A.indices, A.indptr), shape=A.shape)
    first, rest = layout.slices[0], slice(layout.starts[1], layout.q)
    between = number[first, rest][:, order]
    between.sort_indices()
    others = number[rest, rest]
    found = others.diagonal()[order] if diagonal else others[order][:, order].toarray()
    return Places(
        own=_sources(diagonal_blocks(number, layout, 0), A.nnz),
        between=_sources(between.data, A.nnz),
        indices=between.indices,
        indptr=between.indptr,
        shape=between.shape,
        rest=_sources(np.asarray(found), A.nnz),
    )


def _sources(numbers: FloatArray, nothing: int) -> IntArray:
    """Positions from numbers that count from 1; what has none is zero."""
    return np.where(numbers > 0, numbers - 1.0, nothing).astype(np.intp)
