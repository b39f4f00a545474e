"""How full a sparse Cholesky factor will be, told from the pattern before anything is factorised.

A greedy elimination on the graph of levels: in each round some levels that share no edge and have few
neighbours go, and their neighbours become neighbours of one another.  Levels with the same neighbours are
one node with a weight, so that cliques go at once.  CHOLMOD's orderings are of the same kind; what they
find differs by some tens of per cent.  The rounds end where little would be saved by going on: what is left
counts as full.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from interlace.arrays import BoolArray, FloatArray, IntArray, SparseArray
from interlace.pls.matrices.relcov import Layout

from .selinv import BATCHED_FLOP, DENSE_FLOP, GATHERED_PAIR, KEPT_PAIRS

# Seconds of a floating-point operation of CHOLMOD's, on the scale of `selinv.DENSE_FLOP`.
SPARSE_FLOP = 1e-10
# Entries and pairs looked at before the rest is taken to be full: a second or two.
EFFORT = 40_000_000
# And so many for each entry of the matrix, whose products took longer.
EFFORT_PER_ENTRY = 3
# Share of all pairs from which on a graph is taken to be full.
FULL = 0.4
# Growth of the number of entries beyond which a graph is on its way there.
GROWTH = 2.0
# Rounds between two searches for levels with the same neighbours.
ROUNDS = 3
# Bytes of CHOLMOD's factor, its copy, and the selected inverse, for each entry of the factor.
FACTOR_ENTRY = 72
# Bytes for each entry of A: pattern, blocks and their places; and for each pair that the inverse keeps.
MATRIX_ENTRY, KEPT_PAIR = 80, 16


@dataclass(frozen=True)
class Fill:
    """What a sparse factorization will cost.

    Attributes
    ----------
    entries : float
        Of the factor.
    seconds : float
        Of a factorization and a selected inverse, on common hardware.
    size : float
        Bytes of both.
    """

    entries: float
    seconds: float
    size: float


def predicted_fill(A: FloatArray | SparseArray, layout: Layout) -> Fill:
    """What a sparse factorization of a matrix with this pattern will cost.

    Parameters
    ----------
    A : ndarray or sparse array of shape (q, q)
        Z'WZ.
    layout : Layout
        Its columns.

    Returns
    -------
    Fill
    """
    pattern: SparseArray = sparse.csr_array(A) if isinstance(A, np.ndarray) else A
    graph, weights = _of_levels(pattern, layout)
    effort, most = EFFORT + EFFORT_PER_ENTRY * graph.nnz, GROWTH * graph.nnz
    rng = np.random.default_rng(0)
    entries = work = pairs = 0.0
    seconds, rounds = _tail(weights), 0
    while graph.shape[0] and graph.nnz < min(most, FULL * float(graph.shape[0]) ** 2):
        if rounds % ROUNDS == 0:
            graph, weights = _merged(graph, weights, rng)
        met = np.asarray(_sums(graph, weights))
        gone = _independent(graph, met + weights, rng)
        effort -= graph.nnz + float((np.diff(graph.indptr)[gone].astype(float) ** 2).sum())
        if effort < 0:
            break
        below, own = met[gone], weights[gone]
        entries += float((own * below + own * (own + 1.0) / 2.0).sum())
        work += float((own * (below + own / 2.0) ** 2).sum())
        pairs += float((below**2).sum())
        graph, weights, rounds = _without(graph, gone), weights[~gone], rounds + 1
        seconds = min(seconds, pairs * GATHERED_PAIR + work * (SPARSE_FLOP + BATCHED_FLOP) + _tail(weights))
    left = float(weights.sum())
    entries += left * (left + 1.0) / 2.0
    size = (
        FACTOR_ENTRY * entries + MATRIX_ENTRY * float(pattern.nnz) + KEPT_PAIR * min(pairs, float(KEPT_PAIRS))
    )
    return Fill(entries, seconds + left**3 / 3.0 * SPARSE_FLOP, size)


def _tail(weights: FloatArray) -> float:
    """Seconds of a dense inverse of what is left."""
    return float(weights.sum()) ** 3 * DENSE_FLOP


def _of_levels(A: SparseArray, layout: Layout) -> tuple[SparseArray, FloatArray]:
    """Which levels share a row, without a diagonal, and the columns of each."""
    weights = np.repeat(np.array(layout.K, dtype=float), layout.n_levels)
    if max(layout.K) == 1:
        return _graph(A.indices, A.indptr, A.shape[0]), weights
    level = np.repeat(np.arange(len(weights)), weights.astype(np.intp))
    row = level[np.repeat(np.arange(A.shape[0]), np.diff(A.indptr))]
    pattern = sparse.csr_array(
        (np.ones(A.nnz, dtype=np.int32), (row, level[A.indices])), shape=(len(weights),) * 2
    )
    return _graph(pattern.indices, pattern.indptr, len(weights)), weights


def _graph(indices: NDArray[Any], indptr: NDArray[Any], size: int) -> SparseArray:
    """A pattern without its diagonal."""
    graph = sparse.csr_array((np.ones(len(indices), dtype=np.int32), indices, indptr), shape=(size, size))
    row = np.repeat(np.arange(size), np.diff(indptr))
    graph.data = (row != indices).astype(np.int32)  # another array: the pattern is the caller's
    graph = graph.copy()
    graph.eliminate_zeros()
    return graph


def _merged(
    graph: SparseArray, weights: FloatArray, rng: np.random.Generator
) -> tuple[SparseArray, FloatArray]:
    """Levels that have the same neighbours, themselves included, as one with the sum of their weights."""
    label = rng.integers(0, 2**63, size=graph.shape[0], dtype=np.uint64)
    seen = _sums(graph, label) + label  # modulo 2^64: equal for equal sets, and for others hardly ever
    _, first, which = np.unique(seen, return_index=True, return_inverse=True)
    if len(first) == len(seen):
        return graph, weights
    total: FloatArray = np.bincount(which.ravel(), weights=weights).astype(float)
    order = np.argsort(first)
    kept = first[order]
    return graph[kept][:, kept], total[order]


def _sums(graph: SparseArray, values: NDArray[Any]) -> NDArray[Any]:
    """Sum of values over the neighbours of each node."""
    total = np.zeros(graph.shape[0], dtype=values.dtype)
    some = np.diff(graph.indptr) > 0
    if some.any():
        total[some] = np.add.reduceat(values[graph.indices], graph.indptr[:-1][some])
    return total


def _independent(graph: SparseArray, size: FloatArray, rng: np.random.Generator) -> BoolArray:
    """Nodes of little size of which no two are neighbours."""
    n = graph.shape[0]
    least = float(size.min())
    few = size <= max(least + 1.0, 1.3 * least)
    priority: IntArray = np.where(few, rng.permutation(n), n)
    best = np.full(n, n)
    some = np.diff(graph.indptr) > 0
    if some.any():
        best[some] = np.minimum.reduceat(priority[graph.indices], graph.indptr[:-1][some])
    return np.asarray(priority < best)


def _without(graph: SparseArray, gone: BoolArray) -> SparseArray:
    """The graph after an elimination: neighbours of what is gone have become neighbours."""
    between = graph[gone][:, ~gone]
    left = graph[~gone][:, ~gone]
    if between.nnz:
        left = left + between.T.tocsr() @ between
    return _graph(left.indices, left.indptr, left.shape[0])
