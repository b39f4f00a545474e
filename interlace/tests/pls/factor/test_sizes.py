"""Predicted bytes of a blocked factorization against what it takes."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from interlace.pls import GroupingFactor
from interlace.pls.factor.blocked import BlockedFactorization
from interlace.pls.factor.sizes import blocked_size
from interlace.tests.pls.dense import products

DESIGNS = {
    "scalars": ((900, 600), (1, 1), 3000),
    "slopes of the first": ((900, 400), (2, 1), 3000),
    "slopes of the others": ((900, 300), (1, 2), 3000),
    "three factors": ((900, 400, 200), (1, 1, 1), 3000),
    "most cells filled": ((500, 60), (1, 1), 20_000),
}


def peak_of(cp, layout, K):
    tracemalloc.start()
    factorization = BlockedFactorization(cp, layout)
    for scale in (1.0, 1e-6):  # an ordinary variance, and one that takes the other formula
        factorization.update([scale * np.eye(k) for k in K])
        factorization.conditional(cp.B)
        factorization.information()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak


@pytest.mark.parametrize("design", DESIGNS)
def test_the_peak_is_as_predicted(design):
    """Within a factor of two: what is refused depends on the size of q^2, not on the last copies."""
    levels, K, n = DESIGNS[design]
    rng = np.random.default_rng(1)
    factors = [GroupingFactor(rng.permutation(np.arange(n) % size), size) for size in levels]
    cp, layout = products(rng, factors, list(K))
    measured, predicted = peak_of(cp, layout, K), blocked_size(cp, layout)
    assert measured / 2.0 < predicted < 2.0 * measured


def test_changing_weights_take_more():
    rng = np.random.default_rng(2)
    factors = [GroupingFactor(rng.permutation(np.arange(3000) % size), size) for size in (900, 400, 200)]
    cp, layout = products(rng, factors, [1, 1, 1])
    assert blocked_size(cp, layout, reweighed=True) > 1.2 * blocked_size(cp, layout)


def test_dense_products_are_small():
    rng = np.random.default_rng(3)
    cp, layout = products(
        rng, [GroupingFactor(np.arange(40) % 8, 8), GroupingFactor(np.arange(40) % 5, 5)], [1, 1]
    )
    assert blocked_size(cp, layout) == 0.0
