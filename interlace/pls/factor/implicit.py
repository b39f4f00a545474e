"""The Schur complement of the largest factor, as an operator that is never formed.

With ``H = Lambda_1 M_11^-1 Lambda_1'`` of the largest factor and ``G = A_22 - A_21 H A_12`` of the others,

    S = I + Lambda_2' G Lambda_2,        T_22 = Lambda_2 S^-1 Lambda_2'.

The diagonal blocks of G, one K x K block per level, are exact: ``P = I + Lambda_2' diag(G) Lambda_2 = L L'``
preconditions, and ``S^ = L^-1 S L^-T = I + R' G_o R`` with ``R = Lambda_2 L^-T`` and ``G_o`` the rest of G:
what the levels of the other factors have to do with each other through the largest.  Where every level meets
many others, S^ is near the identity, whatever their numbers (Pandolfi, Papaspiliopoulos & Zanella 2024).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from interlace.arrays import FloatArray, SparseArray
from interlace.pls.matrices.crossproducts import CrossProducts
from interlace.pls.matrices.relcov import Layout

from .nested import absorbed, diagonal_blocks


@dataclass(frozen=True, eq=False)
class Cells:
    """Cross-products between the levels of the largest factor and those of another that share a row.

    Attributes
    ----------
    pattern : sparse CSR array of shape (levels of the largest, levels of the other)
        Which share one.
    values : ndarray of shape (cells, K_1, K)
        Their blocks of A.
    """

    pattern: SparseArray
    values: FloatArray

    def squares(self, H: FloatArray) -> FloatArray:
        """``sum_u A_ul' H_u A_ul`` for every level l of the other factor, (n_levels, K, K)."""
        _, rows, K = self.values.shape
        totals = np.zeros((self.pattern.shape[1], K, K))
        for c in range(K):
            for d in range(c + 1):
                for a, b in np.ndindex(rows, rows):
                    products = self.values[:, a, c] * self.values[:, b, d]
                    totals[:, c, d] += self._filled(products).T @ np.ascontiguousarray(H[:, a, b])
                totals[:, d, c] = totals[:, c, d]
        return totals

    def _filled(self, data: FloatArray) -> SparseArray:
        own = self.pattern
        return sparse.csr_array((data, own.indices, own.indptr), shape=own.shape)


@dataclass(frozen=True, eq=False)
class Crossed:
    """Cross-products of a crossed design, taken apart at the largest factor.

    Attributes
    ----------
    layout : Layout
        Columns of Z.
    own : list of ndarray of shape (n_levels, K, K)
        Diagonal blocks of A per factor.
    across : sparse CSR array of shape (q_1, rest)
        A_12.
    cells : list of Cells
        The same by factor, the largest one left out.
    between : sparse CSR array of shape (rest, rest), or None
        What lies in A_22 outside the diagonal blocks; None for two factors.
    """

    layout: Layout
    own: list[FloatArray]
    across: SparseArray
    cells: list[Cells]
    between: SparseArray | None

    def slices(self) -> list[slice]:
        """Where each of the other factors lies among their columns."""
        first = self.layout.starts[1]
        return [slice(own.start - first, own.stop - first) for own in self.layout.slices[1:]]


def crossed(cp: CrossProducts, layout: Layout) -> Crossed:
    """Take cross-products apart.

    Parameters
    ----------
    cp : CrossProducts
        The data, factors in decreasing number of columns, at least two.
    layout : Layout
        Columns of Z.

    Returns
    -------
    Crossed
    """
    A = sparse.csr_array(cp.A)
    first = layout.starts[1]
    across = A[:first, first:]
    own = [diagonal_blocks(cp.A, layout, f) for f in range(len(layout.K))]
    many = len(layout.K) > 2
    return Crossed(
        layout=layout,
        own=own,
        across=across,
        cells=[_cells(across, layout, f) for f in range(1, len(layout.K))],
        between=_without_diagonal_blocks(A[first:, first:], layout) if many else None,
    )


def _cells(across: SparseArray, layout: Layout, f: int) -> Cells:
    first = layout.starts[1]
    own = slice(layout.starts[f] - first, layout.starts[f + 1] - first)
    part = across if across.shape[1] == own.stop - own.start else across[:, own]
    shape = (layout.n_levels[0], layout.n_levels[f])
    if layout.K[0] == layout.K[f] == 1:
        return Cells(part, part.data[:, None, None])
    blocks = sparse.bsr_array(part, blocksize=(layout.K[0], layout.K[f]))
    pattern = sparse.csr_array((np.ones(len(blocks.data)), blocks.indices, blocks.indptr), shape=shape)
    return Cells(pattern, blocks.data)


def _without_diagonal_blocks(A: SparseArray, layout: Layout) -> SparseArray:
    entries = A.tocoo()
    row, col = entries.coords
    # Columns of two levels of one factor never meet, so that off the diagonal blocks means: of two factors.
    ends = np.array(layout.starts[2:]) - layout.starts[1]
    apart = np.searchsorted(ends, row, side="right") != np.searchsorted(ends, col, side="right")
    return sparse.csr_array((entries.data[apart], (row[apart], col[apart])), shape=A.shape)


def blocks_times(blocks: FloatArray, X: FloatArray) -> FloatArray:
    """Block-diagonal matrix (n_levels, K, K) times an array of shape (n_levels * K, r)."""
    n, K, _ = blocks.shape
    if K == 1:
        return np.asarray(blocks[:, 0] * X)
    return np.asarray((blocks @ X.reshape(n, K, -1)).reshape(X.shape))


class ImplicitSchur:
    """``S^ = L^-1 S L^-T`` at one Lambda, and what goes with it.

    Parameters
    ----------
    data : Crossed
        Cross-products.
    Lambda : sequence of ndarray of shape (K, K)
        Blocks of Lambda, one per factor.

    Attributes
    ----------
    H, Q : ndarray of shape (n_levels, K, K)
        Of the largest factor: ``Lambda M_11^-1 Lambda'``, and ``(I + A_11 D)^-1``, ``D = Lambda Lambda'``.
    alone : list of ndarray of shape (K, K)
        Sums over levels of the blocks of ``Z'V0^-1 Z``, per factor, without what couples the levels of the
        other factors: ``(I + B D)^-1 B`` with B the blocks of G, and of A for the largest.
    R, L, shrink : list of ndarray of shape (n_levels, K, K)
        Of each other factor: ``Lambda L^-T``, L, and ``(I + B D)^-1``.
    logdet : float
        ``log |M_11| + log |P|``: what ``log |M|`` has besides ``log |S^|``.
    """

    def __init__(self, data: Crossed, Lambda: Sequence[FloatArray]) -> None:
        self.data = data
        self.H, self.logdet = absorbed(data.own[0], Lambda[0])
        self.Q = _shrinkage(data.own[0], Lambda[0])
        self.alone = [(self.Q @ data.own[0]).sum(axis=0)]
        self.R: list[FloatArray] = []
        self.L: list[FloatArray] = []
        self.shrink: list[FloatArray] = []
        self._lost: list[FloatArray] = []
        for own, cells, block in zip(data.own[1:], data.cells, Lambda[1:], strict=True):
            self._add(own, cells.squares(self.H), block)

    def _add(self, own: FloatArray, lost: FloatArray, Lambda: FloatArray) -> None:
        """The blocks of one of the other factors, where the elimination takes ``lost`` off its own."""
        B = own - lost
        L = np.asarray(np.linalg.cholesky(Lambda.T @ B @ Lambda + np.eye(len(Lambda))))
        shrink = _shrinkage(B, Lambda)
        self.logdet += float(2.0 * np.log(np.diagonal(L, axis1=1, axis2=2)).sum())
        self.alone.append((shrink @ B).sum(axis=0))
        self.R.append(np.asarray(Lambda @ np.linalg.inv(L).transpose(0, 2, 1)))
        self.L.append(L)
        self.shrink.append(shrink)
        self._lost.append(lost)

    def each(self, blocks: Sequence[FloatArray], X: FloatArray, *, transposed: bool = False) -> FloatArray:
        """Block-diagonal matrices, one per other factor, times an array of shape (rest, r)."""
        parts = [
            blocks_times(own.transpose(0, 2, 1) if transposed else own, X[where])
            for own, where in zip(blocks, self.data.slices(), strict=True)
        ]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def coupled(self, V: FloatArray) -> FloatArray:
        """G_o V: G without its diagonal blocks, times an array of shape (rest, r)."""
        through = self.data.across.T @ blocks_times(self.H, self.data.across @ V)
        image = self.each(self._lost, V) - through
        return np.asarray(image if self.data.between is None else image + self.data.between @ V)

    def times(self, X: FloatArray) -> FloatArray:
        """S^ X."""
        return X + self.each(self.R, self.coupled(self.each(self.R, X)), transposed=True)

    def shifts(self) -> FloatArray:
        """Orthonormal basis of what moves all levels of a factor alike, (rest, columns per level).

        What all levels of the other factors gain, those of the largest lose, at little cost: in these
        directions alone S^ is far from the identity in well connected designs.
        """
        columns = []
        for L, where in zip(self.L, self.data.slices(), strict=True):
            n, K, _ = L.shape
            own = np.zeros((self.data.layout.rest, K))
            own[where] = L.transpose(0, 2, 1).reshape(n * K, K)
            columns.append(own)
        return np.asarray(np.linalg.qr(np.hstack(columns))[0])


def _shrinkage(B: FloatArray, Lambda: FloatArray) -> FloatArray:
    """``(I + B D)^-1`` for every level, well conditioned where Lambda is singular, too."""
    D = Lambda @ Lambda.T
    return np.asarray(1.0 / (1.0 + B * D) if len(D) == 1 else np.linalg.inv(np.eye(len(D)) + B @ D))
