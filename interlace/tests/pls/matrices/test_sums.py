"""Sums over chunks against the same rows at once."""

from __future__ import annotations

from functools import reduce

import numpy as np
import pytest

from interlace.pls import profiled_criterion
from interlace.pls.matrices.settled import independent, settled
from interlace.pls.matrices.sums import Chunk, Skeleton, pilot_of, sums_of
from interlace.pls.matrices.terms import GroupingFactor, RandomTerm
from interlace.pls.summed import summed_criterion
from interlace.tests.pls import designs


def arrays_of(made):
    codes = tuple(factor.codes for factor in made.factors)
    weights = made.weights
    return Chunk(codes, tuple(term.Xi for term in made.terms), made.X, made.y, weights, made.offset)


def skeleton_of(made):
    return Skeleton(
        tuple(factor.n_levels for factor in made.factors),
        tuple(term.factor for term in made.terms),
        tuple(term.k for term in made.terms),
    )


def rows(whole, at):
    def taken(vector):
        return None if vector is None else vector[at]

    codes, Xi = tuple(c[at] for c in whole.codes), tuple(own[at] for own in whole.Xi)
    return Chunk(codes, Xi, whole.X[at], whole.y[at], taken(whole.weights), taken(whole.offset))


def summed(whole, skeleton, size, pilot_rows):
    pilot = pilot_of(rows(whole, pilot_rows))
    starts = range(0, len(whole.y), size)
    parts = [sums_of(rows(whole, slice(start, start + size)), pilot, skeleton) for start in starts]
    sums = reduce(lambda a, b: a + b, parts)
    return settled(sums, pilot, skeleton, independent(sums, pilot))


def dense(A):
    return A if isinstance(A, np.ndarray) else A.toarray()


NAMED = ["one_way", "growth", "crossed", "uncorrelated", "nested"]


@pytest.mark.parametrize("size", [1, 7, 50, 1000])
@pytest.mark.parametrize("name", NAMED)
def test_sums_over_chunks_give_the_criterion_of_all_rows(name, size):
    made = getattr(designs, name)()
    whole = arrays_of(made)
    products = summed(whole, skeleton_of(made), size, slice(None, None, 3))
    at_once = profiled_criterion(
        made.factors, made.terms, made.X, made.y, weights=made.weights, offset=made.offset
    )
    in_chunks = summed_criterion(products)
    theta = np.full(at_once.relcov.m, 0.7)
    # Both are the same sums in another order: rounding of n terms, relative to the criterion's own size.
    assert in_chunks(theta) == pytest.approx(at_once(theta), rel=1e-12)
    scale = np.abs(at_once.cp.B).max()
    np.testing.assert_allclose(np.abs(products.cp.B), np.abs(at_once.cp.B), atol=1e-11 * scale)
    np.testing.assert_allclose(dense(products.cp.A), dense(at_once.cp.A), atol=1e-11 * made.X.shape[0])
    assert type(in_chunks.factorization) is type(at_once.factorization)
    assert products.basis.scale == pytest.approx(at_once.basis.scale, rel=1e-13)
    np.testing.assert_allclose(products.basis.R, at_once.basis.R * _signs(at_once.basis.R), atol=1e-11)


def _signs(R):
    return np.sign(np.diagonal(R))[:, None]


def far_from_zero(n=400):
    """Means a million times the spread, in y, in X and in the slopes: what squares cannot hold."""
    rng = np.random.default_rng(3)
    codes = (rng.integers(20, size=n), rng.integers(8, size=n))
    x = 1e6 + rng.normal(size=n)
    y = 1e8 + 2.0 * x + rng.normal(size=20)[codes[0]] + rng.normal(size=n)
    return Chunk(
        codes, (np.column_stack([np.ones(n), x]), np.ones((n, 1))), np.column_stack([np.ones(n), x]), y
    )


def test_columns_far_from_zero_keep_their_digits():
    whole, skeleton = far_from_zero(), Skeleton((20, 8), (0, 1), (2, 1))
    products = summed(whole, skeleton, 13, slice(None, None, 5))
    factors = [GroupingFactor(c, n) for c, n in zip(whole.codes, (20, 8), strict=True)]
    terms = [RandomTerm(f, Xi) for f, Xi in enumerate(whole.Xi)]
    at_once = profiled_criterion(factors, terms, whole.X, whole.y)
    phi = np.array(
        [0.7, 0.1, 0.6, 0.5]
    )  # on the orthonormal columns: theta of the raw ones is ill-conditioned
    # y has 16 digits, of which its mean takes eight.
    assert summed_criterion(products).decompose(phi).objective == pytest.approx(
        at_once.decompose(phi).objective, rel=1e-9
    )
    assert products.growth < 10


def test_a_pilot_unlike_the_rest_is_noticed():
    """Rows by date: the pilot saw the first ones only, a thousand times nearer to one another."""
    whole, skeleton = far_from_zero(), Skeleton((20, 8), (0, 1), (2, 1))
    whole.X[5:, 1] += 1e6 * np.arange(395)
    assert summed(whole, skeleton, 100, slice(0, 5)).growth > 1e3


def test_dependent_columns_are_found_as_with_all_rows():
    made = designs.crossed()
    whole = arrays_of(made)
    doubled = Chunk(
        whole.codes,
        whole.Xi,
        np.column_stack([whole.X, whole.X.sum(axis=1), whole.y]),
        whole.y + 1,
        whole.weights,
    )
    pilot = pilot_of(rows(doubled, slice(0, 40)))
    parts = [sums_of(rows(doubled, slice(a, a + 30)), pilot, skeleton_of(made)) for a in range(0, 150, 30)]
    p = whole.X.shape[1]
    assert independent(reduce(lambda a, b: a + b, parts), pilot) == (*range(p), p + 1)


def test_sums_know_counts_and_extremes():
    made = designs.growth()
    whole = arrays_of(made)
    pilot = pilot_of(whole)
    parts = [sums_of(rows(whole, slice(a, a + 50)), pilot, skeleton_of(made)) for a in (0, 50, 100)]
    sums = reduce(lambda a, b: a + b, parts)
    assert sums.counts[0].tolist() == np.bincount(whole.codes[0]).tolist()
    assert sums.low.tolist() == whole.X.min(axis=0).tolist()
    assert sums.high.tolist() == whole.X.max(axis=0).tolist()
    assert sums.n == 120
