"""Cross-products of many rows, some at a time: beside the rows there is little more than the result.

The rows of one level of a factor come together, so that a chunk gives finished rows of ``Z'WZ``; only the
level at its edge goes on in the next one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from interlace.arrays import FloatArray, IntArray, SparseArray

from .basis import FixedBasis, factor_of_gram
from .crossproducts import DENSE_Q, CrossProducts, sparse_Z
from .relcov import Layout
from .terms import GroupingFactor
from .triangular import upper_solve_right

# From so many rows on it pays; and so many are held at a time.
MANY_ROWS = 400_000
ROWS_AT_ONCE = 1 << 18

Rows = IntArray | slice


@dataclass(frozen=True, eq=False)
class Streamed:
    """The rows of a model, in pieces.

    Attributes
    ----------
    factors : sequence of GroupingFactor
        In the order of ``layout``.
    columns : callable
        Each factor's columns of some rows, as `crossproducts.cross_products` takes them.
    fixed : callable
        X and y of some rows, times the square root of the weights.
    n : int
        Rows.
    layout : Layout
        Columns of Z.
    """

    factors: Sequence[GroupingFactor]
    columns: Callable[[Rows], list[FloatArray]]
    fixed: Callable[[Rows], tuple[FloatArray, FloatArray]]
    n: int
    layout: Layout

    def slices(self) -> Iterator[slice]:
        """All rows, some at a time."""
        return (slice(start, start + ROWS_AT_ONCE) for start in range(0, self.n, ROWS_AT_ONCE))

    def Z(self, rows: Rows) -> SparseArray:
        """Some rows of Z."""
        own = [GroupingFactor(factor.codes[rows], factor.n_levels) for factor in self.factors]
        columns = self.columns(rows)
        return sparse_Z(own, columns, self.layout, len(columns[0]))


def streamed_products(rows: Streamed, sum_log_weights: float) -> tuple[FixedBasis, CrossProducts] | None:
    """Basis of X and cross-products, as `basis.fixed_basis` and `crossproducts.cross_products` give them.

    Parameters
    ----------
    rows : Streamed
        The model's rows.
    sum_log_weights : float
        ``log |W|``.

    Returns
    -------
    basis : FixedBasis
    cp : CrossProducts
        None in the place of both where the columns of X are too nearly dependent for a Gram matrix.
    """
    coordinates = _coordinates(rows)
    if coordinates is None:
        return None
    p, q = len(coordinates.R), rows.layout.q
    C = np.zeros((p + 1, p + 1))
    dense, B = np.zeros((q, q)) if q <= DENSE_Q else None, np.zeros((q, p + 1))
    for own in rows.slices():
        Qy = coordinates(rows.fixed(own))
        C += Qy.T @ Qy
        if dense is not None:
            Z = rows.Z(own)
            dense += (Z.T @ Z).toarray()
            B += Z.T @ Qy
    A: FloatArray | SparseArray = _sparse_products(rows, coordinates, B) if dense is None else dense
    scale = coordinates.scale_of(C[p, p], rows)
    for array in (B[:, p], C[:, p], C[p]):
        array /= scale or 1.0
    basis = FixedBasis(coordinates.R, coordinates.shift + coordinates.again, scale)
    return basis, CrossProducts(A, B, C, rows.n, sum_log_weights)


@dataclass(frozen=True, eq=False)
class _Coordinates:
    """From X and y to orthonormal columns and what they leave of y, in two passes of Gram and Schmidt."""

    R: FloatArray
    shift: FloatArray
    again: FloatArray
    largest: float

    def __call__(self, fixed: tuple[FloatArray, FloatArray]) -> FloatArray:
        Q = upper_solve_right(fixed[0], self.R)
        return np.column_stack([Q, fixed[1] - Q @ self.shift - Q @ self.again])

    def scale_of(self, square: float, rows: Streamed) -> float:
        """Root mean square of the residual; 0 where it is rounding."""
        scale = float(np.sqrt(square / rows.n))
        return scale if scale > 1e-13 * self.largest else 0.0


def _coordinates(rows: Streamed) -> _Coordinates | None:
    p = rows.fixed(slice(1))[0].shape[1]
    gram, largest = np.zeros((p, p)), 0.0
    for X, y in map(rows.fixed, rows.slices()):
        gram += X.T @ X
        largest = max(largest, float(np.abs(y).max()))
    R = factor_of_gram(gram) if p else gram
    if R is None:
        return None
    nothing = np.zeros(len(R))
    shift = _projected(rows, _Coordinates(R, nothing, nothing, largest))
    again = _projected(rows, _Coordinates(R, shift, nothing, largest))
    return _Coordinates(R, shift, again, largest)


def _projected(rows: Streamed, coordinates: _Coordinates) -> FloatArray:
    """Coefficients on Q of what is left of y."""
    total = np.zeros(len(coordinates.R))
    for own in rows.slices():
        Qy = coordinates(rows.fixed(own))
        total += Qy[:, :-1].T @ Qy[:, -1]
    return total


def _sparse_products(rows: Streamed, coordinates: _Coordinates, B: FloatArray) -> SparseArray:
    """Z'WZ, factor by factor; fills B in."""
    layout, pieces = rows.layout, _Pieces(rows.layout.q)
    for f, factor in enumerate(rows.factors):
        K, start = layout.K[f], layout.starts[f]
        order, codes = _by_level(factor)
        for first in range(0, rows.n, ROWS_AT_ONCE):
            own = order[first : first + ROWS_AT_ONCE]
            low, high = int(codes[own[0]]), int(codes[own[-1]]) + 1
            at = slice(start + low * K, start + high * K)
            Z = rows.Z(own)
            Zt = Z[:, at].T.tocsr()
            B[at] += Zt @ coordinates(rows.fixed(own))
            pieces.add(at.start, Zt @ Z)
    return pieces.joined()


def _by_level(factor: GroupingFactor) -> tuple[Any, Any]:
    """Rows in the order of their levels, by counting, and the level of each row."""
    codes = factor.codes.astype(np.int32, copy=False)
    n = len(codes)
    marks = sparse.csr_array(
        (np.ones(n, dtype=np.int8), codes, np.arange(n + 1, dtype=np.int32)), shape=(n, factor.n_levels)
    )
    return marks.tocsc().indices, codes


class _Pieces:
    """Rows of a sparse square matrix that come in order, the last of one piece perhaps once more."""

    def __init__(self, q: int) -> None:
        self._counts = np.zeros(q + 1, dtype=np.int64)
        self._indices: list[Any] = []
        self._data: list[FloatArray] = []
        self._open: tuple[int, SparseArray] | None = None

    def add(self, start: int, piece: SparseArray) -> None:
        """Take rows from ``start`` on."""
        if self._open is not None:
            last, rows = self._open
            if start < last + rows.shape[0]:  # begins where the other ended: within one level
                shared = last + rows.shape[0] - start
                self._keep(last, rows[:-shared])
                piece = sparse.vstack([rows[-shared:] + piece[:shared], piece[shared:]], format="csr")
            else:
                self._keep(last, rows)
        self._open = start, piece

    def _keep(self, start: int, rows: SparseArray) -> None:
        rows.sort_indices()
        self._counts[start + 1 : start + 1 + rows.shape[0]] = np.diff(rows.indptr)
        self._indices.append(rows.indices.astype(np.int32, copy=False))
        self._data.append(rows.data)

    def joined(self) -> SparseArray:
        """The whole matrix; the pieces are let go of."""
        if self._open is not None:
            self._keep(*self._open)
        self._open, q = None, len(self._counts) - 1
        indptr = np.cumsum(self._counts)
        data, self._data = np.concatenate(self._data), []
        indices, self._indices = np.concatenate(self._indices), []
        small = int(indptr[-1]) < 2**31
        return sparse.csr_array((data, indices, indptr.astype(np.int32 if small else np.int64)), shape=(q, q))
