"""Where the search begins: covariance parameters from second moments.

Let ``t = Z' r``, r the least-squares residuals, and ``N = Z' M Z``, M the projection off X.  The expected
products of the t of one level are linear in the covariance parameters,

    E t_l t_l' = sum over entries k of D, at places E_k, and levels m of D_k N_lm E_k N_lm' + sigma^2 N_ll,

and so is ``E r' r``.  Sums over levels, weighted by some W_l from both sides, give as many linear equations
as there are parameters (Rao's MINQUE).  A first round weighs all levels alike; a second one by what the
first says, ``W_l = (I + A_ll D)^-1``, so that levels with much data do not drown the rest.  For balanced
data with one term for each factor both give the analysis of variance: the optimum of REML where its
components are positive.  For ML nothing is projected.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeAlias

import numpy as np
from scipy import sparse
from scipy.linalg import lapack

from interlace.arrays import FloatArray, SparseArray
from interlace.pls.factor.nested import diagonal_blocks
from interlace.pls.matrices.crossproducts import CrossProducts
from interlace.pls.matrices.relcov import Layout, RelativeCovariance, lower_factor, relative_covariance
from interlace.pls.matrices.terms import GroupingFactor, RandomTerm

Product: TypeAlias = Callable[[int, int], FloatArray]

# Relative standard deviations are kept in this range: a start at zero would be a saddle.
LEAST_SD, LARGEST_SD = 0.05, 20.0
# Residual variance, relative to that of the least-squares residuals, that is taken for granted.
LEAST_RESIDUAL = 1e-3
# Relative difference of two levels' cross-products up to which they are called the same: balanced data.
BALANCED = 1e-12
# Ratio of pivots below which the equations do not tell the terms apart.
REDUNDANT = 1e-11
# Share of a column's norm below which it says nothing that those before it do not.
DEPENDENT = 1e-6
# Elements of weights held at a time.
ELEMENTS_AT_ONCE = 4_000_000


def moment_start(cp: CrossProducts, relcov: RelativeCovariance, *, reml: bool) -> FloatArray:
    """Starting basis parameters from moment estimates.

    Parameters
    ----------
    cp : CrossProducts
        Cross-products, y scaled to unit residual variance.
    relcov : RelativeCovariance
        The template of Lambda.
    reml : bool
        Whether the criterion to be minimised is REML's.

    Returns
    -------
    ndarray of shape (m,)

    References
    ----------
    Rao (1971), Journal of Multivariate Analysis 1; Searle, Casella & McCulloch (1992), chapter 11.
    """
    moments = _Moments(cp, relcov, cp.p if reml else 0)
    first = _admissible(relcov, moments.estimates(None))
    if len(relcov.term_k) == len(moments.own) and all(_alike(A) for A in moments.own):
        return first  # balanced: weights would change nothing
    second = moments.estimates(relcov.Lambda(first))
    return _admissible(relcov, second) if second[-1] > LEAST_RESIDUAL else first


def moments_of_factors(cp: CrossProducts, relcov: RelativeCovariance, *, reml: bool) -> FloatArray:
    """The same where terms share a factor: moments of the model in which all their effects are correlated.

    Without correlations the criterion depends on where the columns are centred, and moments of columns that
    are nearly collinear say little.  The effects of one factor together are estimated in orthonormal columns;
    each term then gets its own block of their covariance.

    Parameters
    ----------
    cp, relcov, reml
        As in `moment_start`.

    Returns
    -------
    ndarray of shape (m,)
    """
    layout = relcov.layout
    inverses = [_orthonormalising(diagonal_blocks(cp.A, layout, f)) for f in range(len(layout.K))]
    back = sparse.block_diag(
        [sparse.kron(sparse.eye(n), T) for n, T in zip(layout.n_levels, inverses, strict=True)], format="csr"
    )
    A = back.T @ cp.A @ back
    joint = _joint(layout)
    B = np.asarray(back.T @ cp.B)
    moments = moment_start(replace(cp, A=A, B=B), joint, reml=reml)
    roots = [T @ block for T, block in zip(inverses, joint.Lambda(moments), strict=True)]
    # The covariance of a term's own effects is the product of its rows with themselves.
    return relcov.pack(
        [
            lower_factor(roots[f][start : start + k])
            for k, f, start in zip(relcov.term_k, relcov.term_factor, relcov.term_start, strict=True)
        ]
    )


def _joint(layout: Layout) -> RelativeCovariance:
    """The template with one term for each factor, its columns as they are."""
    nowhere = np.empty(0, dtype=np.intp)
    return relative_covariance(
        [GroupingFactor(nowhere, n) for n in layout.n_levels],
        [RandomTerm(f, np.empty((0, K))) for f, K in enumerate(layout.K)],
        [np.eye(K) for K in layout.K],
    )


def _orthonormalising(blocks: FloatArray) -> FloatArray:
    """T for which the columns times T are orthonormal in mean square; the identity where none is."""
    gram = blocks.sum(axis=0)
    lower, info = lapack.dpotrf(gram, lower=1, clean=1)
    pivots = np.diagonal(lower) / np.sqrt(np.diagonal(gram))
    if info or not pivots.min() > DEPENDENT:
        return np.eye(len(gram))
    scale = np.sqrt(np.diagonal(gram).max())
    return np.asarray(lapack.dtrtri(lower / scale, lower=1)[0].T)


def _alike(blocks: FloatArray) -> bool:
    return bool(np.abs(blocks - blocks[0]).max() <= BALANCED * np.abs(blocks[0]).max())


def _admissible(relcov: RelativeCovariance, estimates: FloatArray) -> FloatArray:
    """Parameters of a positive definite D in units of sigma^2, near the estimates of D and sigma^2."""
    D = relcov.Lambda(estimates[:-1] / max(float(estimates[-1]), LEAST_RESIDUAL))
    blocks = []
    for block in relcov.of_terms(D):
        if len(block) == 1:
            blocks.append(np.sqrt(np.clip(block, LEAST_SD**2, LARGEST_SD**2)))
            continue
        values, vectors = np.linalg.eigh(block)  # which reads the lower triangle only
        blocks.append(lower_factor(vectors * np.sqrt(np.clip(values, LEAST_SD**2, LARGEST_SD**2))))
    return relcov.pack(blocks)


class _Moments:
    """The moment equations of one set of cross-products.

    Parameters
    ----------
    cp, relcov
        As in `moment_start`.
    p : int
        Leading columns of B that are projected off.
    """

    def __init__(self, cp: CrossProducts, relcov: RelativeCovariance, p: int) -> None:
        self._relcov, self._rows, self._square = relcov, cp.n - p, float(cp.C[-1, -1])
        layout, factors = relcov.layout, range(len(relcov.layout.K))
        self.own = [diagonal_blocks(cp.A, layout, f) for f in factors]
        X = [layout.by_level(cp.B[:, :p], f) for f in factors]
        # What stands beside each D_k, beside sigma^2, and on the left: (m + 2, n_levels, K, K) per factor.
        self._products = []
        for f in factors:
            t = layout.by_level(cp.B[:, -1:], f)
            rest = self.own[f] - _outer(X[f], X[f]), _outer(t, t)
            self._products.append(
                np.concatenate([*(_by_entry(cp, relcov, self.own, X, f, g) for g in factors), np.stack(rest)])
            )

    def estimates(self, Lambda: Sequence[FloatArray] | None) -> FloatArray:
        """Entries of D and, last, sigma^2, shape (m + 1,); weighted by ``Lambda Lambda'`` if it is given."""
        relcov, m = self._relcov, self._relcov.m
        equations = np.empty((m + 1, m + 2))
        order = np.concatenate([*relcov.of_factor, [m, m + 1]])  # of the parameters in `_products`
        for f, own in enumerate(relcov.of_factor):
            products = self._products[f]
            sums = products.sum(axis=1)
            equations[m, own] = relcov.traces(sums[m], f)
            if Lambda is not None:
                sums = _weighted(self.own[f], Lambda[f] @ Lambda[f].T, products)
            equations[own[:, None], order] = relcov.traces(sums, f).T
        equations[m, m:] = self._rows, self._square
        return _solved(equations[:, :-1], equations[:, -1])


def _outer(A: FloatArray, B: FloatArray) -> FloatArray:
    """A_l B_l' for every level: (n, K, r) times (n, K, r)."""
    return np.asarray(A @ B.transpose(0, 2, 1))


def _weighted(A: FloatArray, D: FloatArray, products: FloatArray) -> FloatArray:
    """Sums over levels of ``W_l S_l W_l'`` for each S of (products, n_levels, K, K)."""
    n, K, _ = A.shape
    sums = np.zeros((len(products), K * K))
    for start in range(0, n, max(1, ELEMENTS_AT_ONCE // K**4)):
        own = slice(start, start + max(1, ELEMENTS_AT_ONCE // K**4))
        W = 1.0 / (1.0 + A[own] * D) if K == 1 else np.linalg.inv(np.eye(K) + A[own] @ D)
        Wt = W.transpose(0, 2, 1)
        both = Wt[:, :, None, :, None] * Wt[:, None, :, None, :]  # W[a, b] W[d, c] at l, b, c, a, d
        sums += products[:, own].reshape(len(products), -1) @ both.reshape(-1, K * K)
    return sums.reshape(-1, K, K)


def _solved(system: FloatArray, right: FloatArray) -> FloatArray:
    """The solution, or the shortest one where there are several: terms may be redundant."""
    LU, _, solution, _ = lapack.dgesv(system, right)
    pivots = np.abs(np.diagonal(LU))
    if pivots.min() > REDUNDANT * pivots.max():
        return np.asarray(solution)
    return np.asarray(np.linalg.lstsq(system, right, rcond=REDUNDANT)[0])


# ---- signals: sums over the levels m of a factor g of N_lm E_k N_lm' -----------------------------


def _by_entry(
    cp: CrossProducts,
    relcov: RelativeCovariance,
    own: Sequence[FloatArray],
    X: Sequence[FloatArray],
    f: int,
    g: int,
) -> FloatArray:
    """The sums for each level l of factor f and each entry k of factor g: (m_g, n_levels, K_f, K_f)."""
    layout, entries = relcov.layout, relcov.of_factor[g]
    if isinstance(cp.A, np.ndarray):
        A = cp.A[layout.slices[f], layout.slices[g]]
        N = A - X[f].reshape(len(A), -1) @ X[g].reshape(A.shape[1], -1).T
        product = _dense(N, layout.K[f], layout.K[g])
    elif f == g:
        product = _within(own[f], X[f])
    else:
        product = _between(sparse.csr_array(cp.A[layout.slices[f], layout.slices[g]]), X[f], X[g])
    signal = np.empty((len(entries), layout.n_levels[f], layout.K[f], layout.K[f]))
    for k, (c, d) in enumerate(zip(relcov.row[entries], relcov.col[entries], strict=True)):
        one = product(c, d)
        signal[k] = one if c == d else one + one.transpose(0, 2, 1)
    return signal


def _dense(N: FloatArray, K_f: int, K_g: int) -> Product:
    """Of columns c and d: sums over m of ``N_lm[a, c] N_lm[b, d]``, (n_levels, K_f, K_f) for l, a, b."""
    columns = N.reshape(-1, K_f, N.shape[1] // K_g, K_g).transpose(3, 0, 1, 2)
    return lambda c, d: _outer(columns[c], columns[d])


def _within(A: FloatArray, X: FloatArray) -> Product:
    """The same for ``N = A - X X'`` and one factor, whose levels do not meet: A is its diagonal blocks."""
    fixed = _outer(X, X)
    own = A - fixed

    def product(c: int, d: int) -> FloatArray:
        others = _fixed(X, X, c, d) - fixed[:, :, c, None] * fixed[:, None, :, d]
        return np.asarray(others + own[:, :, c, None] * own[:, None, :, d])

    return product


def _between(A: SparseArray, X: FloatArray, X_g: FloatArray) -> Product:
    """The same for two factors, A sparse."""
    K = X_g.shape[1]
    columns = [A[:, c::K] if K > 1 else A for c in range(K)]

    def mixed(c: int, d: int) -> FloatArray:
        return _outer((columns[c] @ X_g[:, d]).reshape(X.shape), X)

    def product(c: int, d: int) -> FloatArray:
        squares = _row_products(columns[c], columns[d], X.shape[1])
        return squares - mixed(c, d) - mixed(d, c).transpose(0, 2, 1) + _fixed(X, X_g, c, d)

    return product


def _fixed(X: FloatArray, X_g: FloatArray, c: int, d: int) -> FloatArray:
    """Sums over m of ``(X_l X_m')[a, c] (X_l X_m')[b, d]``, (n_levels, K, K)."""
    gram = X_g[:, c].T @ X_g[:, d]
    return _outer((X.reshape(X.shape[0] * X.shape[1], len(gram)) @ gram).reshape(X.shape), X)


def _row_products(A: SparseArray, B: SparseArray, K: int) -> FloatArray:
    """Inner products of the rows of two sparse matrices within blocks of K rows, (rows / K, K, K)."""
    if K == 1:
        return np.asarray(A.multiply(B).sum(axis=1))[:, None, None]
    products = np.empty((A.shape[0] // K, K, K))
    for a, b in np.ndindex(K, K):
        products[:, a, b] = A[a::K].multiply(B[b::K]).sum(axis=1)
    return products
