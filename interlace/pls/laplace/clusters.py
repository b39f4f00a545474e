"""The criterion cluster by cluster: scores of independent clusters at one set of parameters.

Where no level of a grouping factor has rows in two clusters the criterion is a sum over the clusters, each
with the random effects of its own levels; so is its gradient.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np

from interlace.arrays import FloatArray, IntArray
from interlace.pls.rows.weighted import Rows

from .cells import Cells, cells_of
from .criterion import LaplaceCriterion
from .fit import LaplaceFit
from .quadrature import QuadratureCriterion


def clusters_of_cells(fit: LaplaceFit, codes: IntArray, clusters: IntArray, factor: int) -> IntArray | None:
    """Cluster of every cell, from those of the rows; None if a level has rows in two clusters.

    Parameters
    ----------
    fit : LaplaceFit
        The fit.
    codes, clusters : ndarray of int, shape (n,)
        Level of each row of the fit in one of the given factors, and its cluster.
    factor : int
        Which factor.

    Returns
    -------
    ndarray of int, or None
    """
    own = fit.problem.factor_order.index(factor)
    cells = fit.problem.criterion.cells
    of_level = np.zeros(cells.rows.layout.n_levels[own], dtype=np.intp)
    of_level[codes] = clusters
    if not np.array_equal(of_level[codes], clusters):
        return None
    return of_level[cells.rows.codes[own]]


def cluster_scores(fit: LaplaceFit, clusters: IntArray) -> FloatArray:
    """Gradient of ``objective`` by (theta, beta, psi) of each cluster, (clusters, m + p + k).

    Parameters
    ----------
    fit : LaplaceFit
        The fit.
    clusters : ndarray of int, shape (cells,)
        Cluster of every cell, 0, 1, ...

    Returns
    -------
    ndarray
        Rows add up to the gradient of the criterion, which is zero.
    """
    order = np.argsort(clusters, kind="stable")
    ends = np.searchsorted(clusters[order], np.arange(int(clusters.max()) + 2))
    pieces = [order[a:b] for a, b in pairwise(ends)]
    found = [_gradient(fit, own) for own in pieces if len(own)]
    return np.array(found) @ fit.problem.from_raw


def _gradient(fit: LaplaceFit, own: IntArray) -> FloatArray:
    criterion = _part(fit, own)
    return criterion.gradient(criterion.evaluate(fit.at.x, tolerance=1e-10))


def _part(fit: LaplaceFit, own: IntArray) -> LaplaceCriterion:
    """The criterion of some cells and their levels."""
    whole = fit.problem.criterion
    cells = _taken(whole.cells, own)
    relcov = replace(whole.relcov, layout=cells.rows.layout)
    criterion = LaplaceCriterion(cells, relcov, whole.family, 0.0, solver="blocked")
    return criterion if fit.nagq == 1 else QuadratureCriterion(criterion, fit.nagq)


def _taken(cells: Cells, own: IntArray) -> Cells:
    rows = cells.rows
    found = [np.unique(codes[own], return_inverse=True) for codes in rows.codes]
    part = Rows(
        layout=rows.layout.of_levels([levels for levels, _ in found]),
        codes=tuple(codes.ravel().astype(np.intp) for _, codes in found),
        columns=tuple(columns[own] for columns in rows.columns),
        Qy=rows.Qy[own],
        log_weights=None,
    )
    return cells_of(part, cells.m[own], cells.offset[own])
