"""Cross-products: all that the criterion ever sees of the data (JSS eqs. 16-18).

``Z'WZ``, ``Z'W[X y]`` and ``[X y]'W[X y]`` are sufficient.  They are computed once; no
evaluation touches the n rows again.  They add up over rows, so the cross-products of a
part of the table can be subtracted from those of the whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from interlace.arrays import FloatArray, SparseArray
from interlace.errors import ArgumentError

from .relcov import Layout
from .terms import GroupingFactor

# Below these sizes one dense product beats the overhead of building sparse matrices.
DENSE_Z = 200_000
DENSE_Q = 400


@dataclass(frozen=True, eq=False)
class CrossProducts:
    """Sufficient statistics of a linear mixed model, columns in orthonormal bases.

    Attributes
    ----------
    A : ndarray or sparse CSR array of shape (q, q)
        ``Z'WZ``; dense when q is small.
    B : ndarray of shape (q, p + 1)
        ``Z'W[X y]``.
    C : ndarray of shape (p + 1, p + 1)
        ``[X y]'W[X y]``.
    n : int
        Rows.
    sum_log_weights : float
        ``log |W|``.
    """

    A: FloatArray | SparseArray
    B: FloatArray
    C: FloatArray
    n: int
    sum_log_weights: float

    def __add__(self, other: CrossProducts) -> CrossProducts:
        return self._combine(other, 1)

    def __sub__(self, other: CrossProducts) -> CrossProducts:
        return self._combine(other, -1)

    def _combine(self, other: CrossProducts, sign: int) -> CrossProducts:
        if self.B.shape != other.B.shape:
            raise ArgumentError(
                f"cross-products of shapes {self.B.shape} and {other.B.shape} do not belong to one model."
            )
        return CrossProducts(
            A=self.A + sign * other.A,
            B=self.B + sign * other.B,
            C=self.C + sign * other.C,
            n=self.n + sign * other.n,
            sum_log_weights=self.sum_log_weights + sign * other.sum_log_weights,
        )

    @property
    def p(self) -> int:
        """Columns of X."""
        return len(self.C) - 1


def cross_products(
    factors: Sequence[GroupingFactor],
    columns: Sequence[FloatArray],
    Qy: FloatArray,
    layout: Layout,
    sum_log_weights: float = 0.0,
) -> CrossProducts:
    """Multiply everything with everything, once.

    Parameters
    ----------
    factors : sequence of GroupingFactor
        In the order of ``layout``.
    columns : sequence of ndarray of shape (n, K)
        Each factor's columns of all its terms, in their bases, times the square root of the weights.
    Qy : ndarray of shape (n, p + 1)
        Basis of the weighted X, and the response.
    layout : Layout
        Columns of Z.
    sum_log_weights : float
        ``log |W|``.

    Returns
    -------
    CrossProducts
    """
    n = len(Qy)
    if n * layout.q <= DENSE_Z:
        Z = _dense_Z(factors, columns, layout, n)
        A = Z.T @ Z
        B = Z.T @ Qy
    else:
        Zs = sparse_Z(factors, columns, layout, n)
        Zt = Zs.T.tocsr()
        A = Zt @ Zs
        B = Zt @ Qy
        if layout.q <= DENSE_Q:
            A = A.toarray()
        else:
            A.sort_indices()
    return CrossProducts(A=A, B=B, C=Qy.T @ Qy, n=n, sum_log_weights=sum_log_weights)


def _dense_Z(
    factors: Sequence[GroupingFactor], columns: Sequence[FloatArray], layout: Layout, n: int
) -> FloatArray:
    Z = np.zeros((n, layout.q))
    rows = np.arange(n)
    for factor, start, K, values in zip(factors, layout.starts, layout.K, columns, strict=False):
        at = start + factor.codes * K
        for a in range(K):
            Z[rows, at + a] = values[:, a]
    return Z


def sparse_Z(
    factors: Sequence[GroupingFactor], columns: Sequence[FloatArray], layout: Layout, n: int
) -> SparseArray:
    """Z, (n, q), from each factor's columns, in CSR format."""
    width = sum(layout.K)
    # int32 indices while they suffice: half the memory traffic, and CHOLMOD's plain interface.
    index_type = np.int32 if max(n * width, layout.q) < 2**31 else np.int64
    indices = np.empty((n, width), dtype=index_type)
    data = np.empty((n, width))
    at = 0
    for factor, start, K, values in zip(factors, layout.starts, layout.K, columns, strict=False):
        indices[:, at : at + K] = (start + factor.codes * K)[:, None] + np.arange(K)
        data[:, at : at + K] = values
        at += K
    indptr = np.arange(0, n * width + 1, width, dtype=index_type)
    return sparse.csr_array((data.ravel(), indices.ravel(), indptr), shape=(n, layout.q))
