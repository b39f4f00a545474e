"""Marginal residuals made independent: ``L^-1 e`` with ``V0 = L L'``, rows in the order of the data.

Row i of ``L^-1 e`` is the error of the best prediction of e_i from the rows before it, in units of
its standard deviation.  Rows that share no random effect, directly or through others, do not help
to predict one another, so V0 falls into blocks; a block too large to be factorised as a matrix is
processed in portions, each given those before it.
"""

from __future__ import annotations

import numpy as np
from scipy import linalg, sparse
from scipy.sparse import csgraph

from interlace.arrays import FloatArray, IntArray
from interlace.pls.matrices.crossproducts import CrossProducts
from interlace.pls.matrices.relcov import Layout
from interlace.pls.search.criterion import Decomposition, ProfiledCriterion

from .batches import Partition
from .subtraction import subtracted
from .weighted import Rows

# Rows whose covariance is factorised as one dense matrix.
DENSE_ROWS = 800


def uncorrelated(criterion: ProfiledCriterion, at: Decomposition, rows: Rows) -> FloatArray:
    """``L^-1 (y - X beta)`` for the weighted rows, in units of the scaled response, shape (n,).

    Parameters
    ----------
    criterion : ProfiledCriterion
        Its factorization is moved; evaluate the criterion again before asking it for more.
    at : Decomposition
        Where.
    rows : Rows
        All rows, in their order.

    Returns
    -------
    ndarray of shape (n,)
    """
    p = len(at.R) - 1
    e = rows.Qy[:, p] - rows.Qy[:, :p] @ at.gamma
    block, n_blocks = _blocks(rows)
    order = np.argsort(block, kind="stable")
    partition = Partition.of(rows.take(order), block[order], n_blocks)
    large = partition.sizes[:, 0] > DENSE_ROWS
    white = np.empty(rows.n)
    prior = _Prior(rows.layout, at)
    for batch in partition.batches(np.flatnonzero(~large), prior):
        V = np.eye(batch.Z.shape[1]) + batch.Z @ (batch.T @ batch.Z.transpose(0, 2, 1))
        own = np.where(batch.present, e[order[batch.rows]], 0.0)
        solved = np.linalg.solve(np.linalg.cholesky(V), own[:, :, None])[:, :, 0]
        white[order[batch.rows[batch.present]]] = solved[batch.present]
    for case in np.flatnonzero(large):
        own = order[partition.row_start[case] : partition.row_start[case + 1]]
        white[own] = _in_portions(criterion, at, rows.take(own), e[own])
    return white


def _blocks(rows: Rows) -> tuple[IntArray, int]:
    """Block of each row: rows in different ones share no level, directly or through others."""
    at, _ = rows.nonzeros()
    links = sparse.csr_array(
        (np.ones(at.size), (np.repeat(np.arange(rows.n), at.shape[1]), at.ravel() + rows.n)),
        shape=(rows.n + rows.layout.q,) * 2,
    )
    _, block = csgraph.connected_components(links, directed=False)
    found, inverse = np.unique(block[: rows.n], return_inverse=True)
    return inverse.reshape(-1), len(found)


class _Prior:
    """``Lambda Lambda'`` where a factorization would have T: the covariance before any row is seen."""

    def __init__(self, layout: Layout, at: Decomposition) -> None:
        self._layout = layout
        self._D = [block @ block.T for block in at.Lambda]

    def conditional_among(self, columns: IntArray) -> FloatArray:
        """Covariance among some columns of Z, (c, c)."""
        T = np.zeros((len(columns),) * 2)
        for own, K, D in zip(self._layout.slices, self._layout.K, self._D, strict=True):
            inside = np.flatnonzero((columns >= own.start) & (columns < own.stop))
            level, a = np.divmod(columns[inside] - own.start, K)
            for shift in range(1 - K, K):  # columns of one level are neighbours
                left = np.arange(max(0, -shift), len(inside) - max(0, shift))
                right = left + shift
                pair = left[level[left] == level[right]] if len(left) else left
                T[inside[pair], inside[pair + shift]] = D[a[pair], a[pair + shift]]
        return T


def _in_portions(criterion: ProfiledCriterion, at: Decomposition, rows: Rows, e: FloatArray) -> FloatArray:
    white = np.empty(rows.n)
    whole = criterion.cp
    seen = subtracted(whole, whole)
    for start in range(0, rows.n, DENSE_ROWS):
        own = np.arange(start, min(start + DENSE_ROWS, rows.n))
        portion = rows.take(own)
        factorization = criterion.factorization.with_products(seen)
        factorization.update(at.Lambda)
        columns = np.unique(portion.nonzeros()[0])
        Z = portion.Z()[:, columns]
        prediction = portion.times(factorization.conditional(_residual_products(seen, at)))[:, 0]
        V = np.eye(len(own)) + Z @ (Z @ factorization.conditional_among(columns)).T
        white[own] = linalg.solve_triangular(np.linalg.cholesky(V), e[own] - prediction, lower=True)
        seen = _added(seen, portion.products())
    return white


def _residual_products(cp: CrossProducts, at: Decomposition) -> FloatArray:
    """Z' (y - X beta), shape (q, 1)."""
    return np.asarray(cp.B @ np.append(-at.gamma, 1.0)[:, None])


def _added(whole: CrossProducts, part: CrossProducts) -> CrossProducts:
    negative = CrossProducts(-part.A, -part.B, -part.C, -part.n, -part.sum_log_weights)
    return subtracted(whole, negative)
