"""Sums over pairs of levels of ``N0 = Z' V0^-1 Z``: what traces of its square are made of.

For two factors f and g

    T[a, c, b, d] = sum over levels l of f, m of g of N0[(l, a), (m, c)] N0[(l, b), (m, d)].

N0 has q x q elements and is never held.  Either its columns are formed in chunks, one level of
each connected component at a time (`by_probing`); or the first factor is eliminated and the sums
become products of matrices as wide as the *other* factors (`by_elimination`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from scipy import linalg, sparse

from interlace.arrays import FloatArray, IntArray, SparseArray
from interlace.pls.matrices.crossproducts import CrossProducts
from interlace.pls.matrices.relcov import Layout
from interlace.pls.matrices.triangular import symmetric_from_lower

from .nested import absorbed, diagonal_blocks

Sums = dict[tuple[int, int], FloatArray]

# Elements of N0 that are held at once while probing: 2^22 doubles are 32 MB.
ELEMENTS_AT_ONCE = 1 << 22
# Elements that the elimination may hold at most: 2.4 GB; beyond, probing takes its place.
MOST_ELEMENTS = 300_000_000
# Seconds per multiplication on common hardware, sparse by dense and dense by dense.
SPARSE_COST, DENSE_COST = 1e-9, 4e-11
# Seconds beyond which the sums are not formed unasked: tables do with an estimate in their place.
TOO_LONG = 1.0


def level_sums(
    cp: CrossProducts,
    layout: Layout,
    Lambda: Sequence[FloatArray],
    times_N0: Callable[[FloatArray], FloatArray],
) -> Sums:
    """The sums of every pair of factors f <= g.

    Parameters
    ----------
    cp, layout : CrossProducts, Layout
        The data and the order of the columns.
    Lambda : sequence of ndarray of shape (K, K)
        Relative covariance factors.
    times_N0 : callable
        ``B -> N0 B`` at this Lambda.

    Returns
    -------
    dict of (int, int) to ndarray of shape (K_f, K_g, K_f, K_g)
    """
    component = None if isinstance(cp.A, np.ndarray) else _components(cp.A)
    if component is not None and _elimination_pays(cp.A, layout, component):
        return by_elimination(cp, layout, Lambda)
    return by_probing(layout, component, times_N0)


def take_long(cp: CrossProducts, layout: Layout) -> bool:
    """Whether the sums would take longer than a table is worth, on common hardware."""
    if isinstance(cp.A, np.ndarray) or _elimination_seconds(layout) < TOO_LONG:
        return False
    return _probing_seconds(cp.A, layout, _components(cp.A)) > TOO_LONG


def _elimination_pays(A: SparseArray, layout: Layout, component: IntArray) -> bool:
    return _elimination_seconds(layout) < _probing_seconds(A, layout, component)


def _elimination_seconds(layout: Layout) -> float:
    """Infinity where there is nothing to be eliminated into, or no room for it."""
    rest, K = layout.rest, layout.K[0]
    if rest == 0 or (K * K + 6) * rest * rest > MOST_ELEMENTS:
        return np.inf
    return (2.0 * K * K + 4.0) * float(rest) ** 3 * DENSE_COST


def _probing_seconds(A: SparseArray, layout: Layout, component: IntArray) -> float:
    probes = sum(
        int(ranks.max() + 1) * k for ranks, k in zip(_ranks(layout, component), layout.K, strict=True)
    )
    return float(probes) * (4.0 * float(A.nnz) * SPARSE_COST + 2.0 * float(layout.rest) ** 2 * DENSE_COST)


# ---- by columns --------------------------------------------------------------------------------


def by_probing(
    layout: Layout, component: IntArray | None, times_N0: Callable[[FloatArray], FloatArray]
) -> Sums:
    """Form the columns of N0, of one level per component together, in chunks.

    Parameters
    ----------
    layout : Layout
        The order of the columns.
    component : ndarray of int, shape (q,), or None
        Component of each column; None takes them one by one.
    times_N0 : callable
        ``B -> N0 B``.

    Returns
    -------
    dict of (int, int) to ndarray
    """
    sums: Sums = {}
    ranks = [np.arange(n) for n in layout.n_levels] if component is None else _ranks(layout, component)
    for g, rank in enumerate(ranks):
        for columns in _indicators(layout, g, rank):
            N = times_N0(columns)
            for f in range(g + 1):
                flat = _as_pairs(N[layout.slices[f]], layout.K[f], layout.K[g])
                square = (flat.T @ flat).reshape((layout.K[f], layout.K[g]) * 2)
                sums[f, g] = sums[f, g] + square if (f, g) in sums else square
    return sums


def _indicators(layout: Layout, g: int, rank: IntArray) -> Iterator[FloatArray]:
    """Columns that pick out the levels of a factor by rank, some ranks at a time."""
    K, start, last = layout.K[g], layout.starts[g], int(rank.max())
    step = max(1, ELEMENTS_AT_ONCE // (layout.q * K))
    for first in range(0, last + 1, step):
        chosen = np.flatnonzero((rank >= first) & (rank < first + step))
        columns = np.zeros((layout.q, min(step, last + 1 - first) * K))
        for a in range(K):
            columns[start + chosen * K + a, (rank[chosen] - first) * K + a] = 1.0
        yield columns


def _as_pairs(N: FloatArray, K_f: int, K_g: int) -> FloatArray:
    """Blocks of N as rows of K_f K_g elements."""
    blocks = N.reshape(len(N) // K_f, K_f, -1, K_g)
    return np.ascontiguousarray(blocks.transpose(0, 2, 1, 3)).reshape(-1, K_f * K_g)


def _components(A: SparseArray) -> IntArray:
    """Component of each column of Z: columns of different ones share no row, even through others."""
    _, labels = sparse.csgraph.connected_components(A, directed=False)
    return np.asarray(labels, dtype=np.intp)


def _ranks(layout: Layout, component: IntArray) -> list[IntArray]:
    """For each factor, the position of its levels within their component."""
    starts = zip(layout.starts, layout.n_levels, layout.K, strict=False)
    return [_rank_within(component[start : start + n * K : K]) for start, n, K in starts]


def _rank_within(labels: IntArray) -> IntArray:
    order = np.argsort(labels, kind="stable")
    ordered = labels[order]
    first = np.concatenate([[True], ordered[1:] != ordered[:-1]])
    starts = np.flatnonzero(first)
    rank = np.empty(len(labels), dtype=np.intp)
    rank[order] = np.arange(len(labels)) - starts[np.cumsum(first) - 1]
    return rank


# ---- by elimination ----------------------------------------------------------------------------


def by_elimination(cp: CrossProducts, layout: Layout, Lambda: Sequence[FloatArray]) -> Sums:
    """Eliminate the first factor; everything else has the size of the others.

    Parameters
    ----------
    cp, layout, Lambda
        As in `level_sums`; A is sparse.

    Returns
    -------
    dict of (int, int) to ndarray

    Notes
    -----
    With ``H = Lambda1 M11^-1 Lambda1'``, ``g = A11 - A11 H A11``, ``F = (I - A11 H) A12``,
    ``G = A22 - A21 H A12`` and ``T = Lambda2 (Lambda2' G Lambda2 + I)^-1 Lambda2'`` the blocks of N0 are
    ``N11 = g - F T F'``, ``N12 = F Y`` and ``N22 = G Y``, where ``Y = I - T G``. Sums over the levels of the
    first factor are products of ``S_ab = F_a' F_b``, F_a being the rows of F that belong to its column a.
    """
    K, first, rest = layout.K[0], layout.slices[0], slice(layout.starts[1], layout.q)
    others = Layout(layout.n_levels[1:], layout.K[1:])
    A11 = diagonal_blocks(cp.A, layout, 0)
    H, _ = absorbed(A11, Lambda[0])
    left = np.eye(K) - A11 @ H
    A12 = sparse.csr_array(cp.A[first, rest])
    A22: SparseArray = cp.A[rest, rest]
    G = A22.toarray() - (A12.T @ _by_block(H, A12)).toarray()
    T = _conditional(G, others, Lambda[1:])
    F = [_by_block(left, A12)[a::K].tocsr() for a in range(K)]
    S = {(a, b): (F[a].T @ F[b]).toarray() for a in range(K) for b in range(a + 1)}
    S |= {(b, a): S[a, b].T for a in range(K) for b in range(a)}
    Y = np.eye(others.q) - T @ G
    sums = {(0, 0): _within_first(left @ A11, F, S, T)}
    sums |= {(0, f + 1): _to_first(S, Y, others, f, K) for f in range(len(others.K))}
    N22 = G @ Y
    for g, own in enumerate(others.slices):
        for f in range(g + 1):
            flat = _as_pairs(N22[others.slices[f], own], others.K[f], others.K[g])
            sums[f + 1, g + 1] = (flat.T @ flat).reshape((others.K[f], others.K[g]) * 2)
    return sums


def _by_block(blocks: FloatArray, B: SparseArray) -> SparseArray:
    """Block-diagonal matrix times a sparse one."""
    n, K, _ = blocks.shape
    diagonal = sparse.bsr_array((blocks, np.arange(n), np.arange(n + 1)), shape=(n * K, n * K))
    return sparse.csr_array(diagonal.tocsr() @ B)


def _conditional(G: FloatArray, layout: Layout, Lambda: Sequence[FloatArray]) -> FloatArray:
    """T = Lambda (Lambda' G Lambda + I)^-1 Lambda'."""
    half = _from_left([block.T for block in Lambda], G, layout)
    S = _from_left([block.T for block in Lambda], half.T, layout)
    S.flat[:: len(S) + 1] += 1.0
    L, _ = linalg.lapack.dpotrf(S, lower=1, clean=1)
    inverse, _ = linalg.lapack.dpotri(L, lower=1)
    half = _from_left(Lambda, symmetric_from_lower(inverse), layout)
    return _from_left(Lambda, half.T, layout)


def _from_left(blocks: Sequence[FloatArray], B: FloatArray, layout: Layout) -> FloatArray:
    out = np.empty(B.shape)
    for f, (own, block) in enumerate(zip(layout.slices, blocks, strict=True)):
        out[own] = (block @ layout.by_level(B, f)).reshape(-1, B.shape[1])
    return out


def _within_first(
    g: FloatArray, F: Sequence[SparseArray], S: dict[tuple[int, int], FloatArray], T: FloatArray
) -> FloatArray:
    """T[a, c, b, d] of the first factor with itself: N11 = g - F T F'."""
    K = len(F)
    products = {pair: T @ gram for pair, gram in S.items()}
    if K == 1:
        cross = (F[0].T @ F[0].multiply(g[:, 0])).tocoo()
        square = np.vdot(g, g) - 2.0 * (cross.data @ T[cross.coords])
        return np.full((1, 1, 1, 1), square + np.vdot(products[0, 0], products[0, 0].T))
    FT = [rows @ T for rows in F]
    own = np.empty(g.shape)  # diagonal blocks of F T F'
    for a in range(K):
        for b in range(K):
            own[:, a, b] = F[b].multiply(FT[a]).sum(axis=1)
    total = np.einsum("lac,lbd->acbd", g, g)
    total -= np.einsum("lac,lbd->acbd", g, own) + np.einsum("lac,lbd->acbd", own, g)
    for a, c, b, d in np.ndindex(K, K, K, K):
        total[a, c, b, d] += np.vdot(products[c, d], products[b, a].T)
    return np.asarray(total)


def _to_first(
    S: dict[tuple[int, int], FloatArray], Y: FloatArray, layout: Layout, f: int, K: int
) -> FloatArray:
    """T[a, c, b, d] of the first factor with factor f of the others: N12 = F Y."""
    total = np.empty((K, layout.K[f], K, layout.K[f]))
    columns = np.ascontiguousarray(Y[:, layout.slices[f]])
    left = columns.reshape(len(Y), -1, layout.K[f])
    for a in range(K):
        for b in range(K):
            right = (S[a, b] @ columns).reshape(left.shape)
            total[a, :, b, :] = np.einsum("qmc,qmd->cd", left, right, optimize=True)
    return total
