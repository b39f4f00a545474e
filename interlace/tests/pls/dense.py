"""The factorization BY DEFINITION, dense, and the cross-products of designs to try it on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import linalg

from interlace.arrays import FloatArray, IntArray
from interlace.pls.matrices.crossproducts import CrossProducts, cross_products
from interlace.pls.matrices.relcov import Layout
from interlace.pls.matrices.terms import GroupingFactor
from interlace.tests.strategies import SmallDesign


class DenseFactorization:
    """Every verb of the seam from ``M = Lambda' A Lambda + I`` and its inverse."""

    solver = "dense"

    def __init__(self, cp: CrossProducts, layout: Layout) -> None:
        self.layout = layout
        self.A = cp.A if isinstance(cp.A, np.ndarray) else cp.A.toarray()

    def update(self, Lambda: Sequence[FloatArray]) -> None:
        full = linalg.block_diag(
            *(np.kron(np.eye(n), block) for n, block in zip(self.layout.n_levels, Lambda, strict=True))
        )
        self.M = full.T @ self.A @ full + np.eye(self.layout.q)
        self.T = full @ np.linalg.inv(self.M) @ full.T
        # A - A T A, without the cancellation.
        self.ZtVZ = np.linalg.solve(np.eye(self.layout.q) + self.A @ full @ full.T, self.A)

    def logdet(self) -> float:
        return float(np.linalg.slogdet(self.M)[1])

    def conditional(self, B: FloatArray) -> FloatArray:
        return self.T @ B

    def conditional_blocks(self) -> list[FloatArray]:
        return self._own_blocks(self.T)

    def information(self) -> list[FloatArray]:
        return [blocks.sum(axis=0) for blocks in self._own_blocks(self.ZtVZ)]

    def rough_information(self) -> None:
        pass

    def conditional_pairs(self, f: int, g: int, level: IntArray, other: IntArray) -> FloatArray:
        return self._between(self.T, f, g)[level, :, other]

    def conditional_among(self, columns: IntArray) -> FloatArray:
        return self.T[np.ix_(columns, columns)]

    def sharing(self, f: int, g: int) -> tuple[IntArray, ...]:
        """Pairs of levels of two factors that share a row."""
        return np.nonzero(np.abs(self._between(self.A, f, g)).sum(axis=(1, 3)))

    def _between(self, matrix: FloatArray, f: int, g: int) -> FloatArray:
        own, n_levels, K = self.layout.slices, self.layout.n_levels, self.layout.K
        return matrix[own[f], own[g]].reshape(n_levels[f], K[f], n_levels[g], K[g])

    def _own_blocks(self, matrix: FloatArray) -> list[FloatArray]:
        found = []
        for own, levels, K in zip(self.layout.slices, self.layout.n_levels, self.layout.K, strict=True):
            square = matrix[own, own].reshape(levels, K, levels, K)
            found.append(np.array([square[level, :, level] for level in range(levels)]))
        return found


def crossed_factors(rng: np.random.Generator, n: int, levels: Sequence[int]) -> tuple[GroupingFactor, ...]:
    """Unbalanced factors, crossed with empty cells; every level occurs."""
    factors = []
    for size in levels:
        codes = np.concatenate(
            [np.arange(size), rng.choice(size, size=n - size, p=rng.dirichlet(np.full(size, 3.0)))]
        )
        factors.append(GroupingFactor(codes=rng.permutation(codes), n_levels=size))
    return tuple(factors)


def nested_factors(rng: np.random.Generator, n: int, levels: Sequence[int]) -> tuple[GroupingFactor, ...]:
    """A chain, the finest factor first: each level lies in one level of the next factor."""
    factors = list(crossed_factors(rng, n, levels[:1]))
    for size in levels[1:]:
        fine = factors[-1]
        parent = rng.permutation(np.arange(fine.n_levels) % size)
        factors.append(GroupingFactor(codes=parent[fine.codes], n_levels=size))
    return tuple(factors)


def columns_of(rng: np.random.Generator, n: int, K: Sequence[int]) -> list[FloatArray]:
    """Per factor an intercept and K - 1 covariates."""
    return [np.column_stack([np.ones(n), rng.normal(size=(n, k - 1))]) for k in K]


def products(
    rng: np.random.Generator, factors: Sequence[GroupingFactor], K: Sequence[int], p: int = 2
) -> tuple[CrossProducts, Layout]:
    """Cross-products of a random design on given factors."""
    n = len(factors[0].codes)
    layout = Layout(tuple(factor.n_levels for factor in factors), tuple(K))
    Qy = rng.normal(size=(n, p + 1))
    return cross_products(factors, columns_of(rng, n, K), Qy, layout), layout


def assert_close(found: FloatArray, expected: FloatArray, tolerance: float) -> None:
    """Absolute agreement, in units of the largest expected entry."""
    scale = np.abs(expected).max(initial=0.0) or 1.0
    assert found.shape == expected.shape
    assert float(np.abs(found - expected).max(initial=0.0)) <= tolerance * scale


def assert_same_pairs(found, dense: DenseFactorization, *, tolerance: float) -> None:
    """Entries of T beyond the diagonal blocks: of levels that share a row, and among chosen columns."""
    n_factors, q = len(dense.layout.K), dense.layout.q
    scale = np.abs(dense.T).max() or 1.0
    for f in range(n_factors):
        for g in range(n_factors):
            level, other = dense.sharing(f, g)
            for order in (slice(None), slice(None, None, -1)):
                pairs = f, g, level[order], other[order]
                gap = found.conditional_pairs(*pairs) - dense.conditional_pairs(*pairs)
                assert np.abs(gap).max() <= tolerance * scale
    for columns in (np.arange(q), np.arange(0, q, 3), np.array([q - 1]), np.array([0, q - 1])):
        gap = found.conditional_among(columns) - dense.conditional_among(columns)
        assert np.abs(gap).max() <= tolerance * scale


def assert_same_verbs(found, expected, B: FloatArray, *, tolerance: float, information: float) -> None:
    """Two factorizations that stand at the same Lambda answer every verb alike."""
    assert abs(found.logdet() - expected.logdet()) <= tolerance * max(1.0, abs(expected.logdet()))
    assert_close(found.conditional(B), expected.conditional(B), tolerance)
    for ours, theirs in zip(found.conditional_blocks(), expected.conditional_blocks(), strict=True):
        assert_close(ours, theirs, tolerance)
    for ours, theirs in zip(found.information(), expected.information(), strict=True):
        assert_close(ours, theirs, information)


def part_of(
    rng: np.random.Generator, factors: Sequence[GroupingFactor], K: Sequence[int], rows: IntArray
) -> tuple[CrossProducts, CrossProducts, Layout]:
    """Cross-products of a random design, of some of its rows, and their layout."""
    n = len(factors[0].codes)
    layout = Layout(tuple(factor.n_levels for factor in factors), tuple(K))
    columns, Qy = columns_of(rng, n, K), rng.normal(size=(n, 3))
    some = [GroupingFactor(factor.codes[rows], factor.n_levels) for factor in factors]
    part = cross_products(some, [values[rows] for values in columns], Qy[rows], layout)
    return cross_products(factors, columns, Qy, layout), part, layout


# Where a factorization is asked: regular blocks, and every way in which they may fail to be so.
KINDS = ("regular", "zero column", "zero block", "all zero", "not triangular", "tiny", "large")


def lambdas(rng: np.random.Generator, kind: str, K: Sequence[int]) -> list[FloatArray]:
    """Blocks of Lambda, one per factor, of the given kind."""
    blocks = [np.tril(rng.normal(size=(k, k))) + np.eye(k) for k in K]
    if kind == "zero column":
        for block in blocks:
            block[:, -1] = 0.0
    elif kind == "zero block":
        blocks[-1] = np.zeros_like(blocks[-1])
    elif kind == "all zero":
        blocks = [np.zeros_like(block) for block in blocks]
    elif kind == "not triangular":
        blocks = [linalg.qr(rng.normal(size=block.shape))[0] @ block for block in blocks]
    elif kind == "tiny":
        blocks = [1e-6 * block for block in blocks]
    elif kind == "large":
        blocks = [30.0 * block for block in blocks]
    return blocks


def effects(rng: np.random.Generator, factor: GroupingFactor, Xi: FloatArray, root: FloatArray) -> FloatArray:
    """Contribution of one term to the response: effects with covariance ``root root'``, root (k, r)."""
    b = rng.normal(size=(factor.n_levels, root.shape[1])) @ root.T
    return np.einsum("nk,nk->n", Xi, b[factor.codes])


def design(
    rng: np.random.Generator,
    factors: Sequence[GroupingFactor],
    terms: Sequence,
    roots: Sequence[FloatArray],
    *,
    p: int = 2,
    weighted: bool = False,
    offset: bool = False,
    reml: bool = True,
) -> SmallDesign:
    """A response drawn from the model with the given roots of the terms' covariances."""
    n = len(factors[0].codes)
    X = np.column_stack([np.ones(n), rng.normal(size=(n, 3))])[:, :p]
    y = X @ rng.normal(size=p) + rng.normal(size=n)
    for term, root in zip(terms, roots, strict=True):
        y = y + effects(rng, factors[term.factor], term.Xi, np.atleast_2d(root))
    return SmallDesign(
        tuple(factors),
        tuple(terms),
        X,
        y,
        rng.uniform(0.3, 3.0, size=n) if weighted else None,
        rng.normal(size=n) if offset else None,
        reml,
    )
