"""The predicted fill of a sparse factor against eliminations level by level."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from interlace.pls import GroupingFactor
from interlace.pls.factor import fill
from interlace.pls.factor.fill import predicted_fill
from interlace.pls.matrices.relcov import Layout
from interlace.tests.pls.dense import crossed_factors, nested_factors, products

# Both orderings are greedy and break ties as they like; the worst of these nine differs by 40 %.
ALIKE = 1.45


def by_minimum_degree(pattern):
    """Entries of the factor if always a node with fewest neighbours goes next."""
    left = {i: set(np.flatnonzero(row)) - {i} for i, row in enumerate(pattern)}
    entries = 0
    while left:
        node = min(left, key=lambda i: len(left[i]))
        met = left.pop(node)
        entries += 1 + len(met)
        for other in met:
            left[other] |= met
            left[other] -= {node, other}
    return entries


def pattern_of(cp):
    return (cp.A if isinstance(cp.A, np.ndarray) else cp.A.toarray()) != 0.0


@pytest.mark.parametrize("rows", [30, 60, 120])
@pytest.mark.parametrize("K", [(1, 1), (2, 1), (1, 3)])
def test_entries_are_those_of_a_minimum_degree_ordering(monkeypatch, rows, K):
    monkeypatch.setattr(fill, "GROWTH", np.inf)  # such small graphs double at once
    rng = np.random.default_rng(rows)
    cp, layout = products(rng, crossed_factors(rng, rows, (30, 20)), list(K))
    expected = by_minimum_degree(pattern_of(cp))
    assert expected / ALIKE < predicted_fill(cp.A, layout).entries < expected * ALIKE


def test_nested_factors_do_not_fill_in():
    rng = np.random.default_rng(1)
    cp, layout = products(rng, nested_factors(rng, 300, (60, 12, 3)), [1, 1, 1])
    assert predicted_fill(cp.A, layout).entries == np.tril(pattern_of(cp)).sum()


def test_separate_cliques_are_told_exactly():
    """Communities in which everybody met everything: each is full, and nothing lies between."""
    block = np.ones((12, 12))
    A = sparse.block_diag([block] * 30, format="csr")
    found = predicted_fill(A, Layout((360,), (1,)))
    assert found.entries == 30 * 12 * 13 / 2


@pytest.mark.parametrize("limit", [{"EFFORT": -1, "EFFORT_PER_ENTRY": 0}, {"FULL": 0.0}, {"GROWTH": 0.0}])
def test_what_is_not_looked_at_counts_as_full(monkeypatch, limit):
    for name, value in limit.items():
        monkeypatch.setattr(fill, name, value)
    rng = np.random.default_rng(2)
    cp, layout = products(rng, crossed_factors(rng, 80, (30, 20)), [1, 1])
    assert predicted_fill(cp.A, layout).entries == layout.q * (layout.q + 1) / 2


def test_time_and_size_grow_with_fill():
    rng = np.random.default_rng(3)
    designs = [products(rng, crossed_factors(rng, n, (20, 20)), [1, 1]) for n in (30, 900)]
    loose, full = (predicted_fill(cp.A, layout) for cp, layout in designs)
    assert loose.entries < full.entries
    assert 0.0 < loose.seconds < full.seconds
    assert 0.0 < loose.size < full.size


def test_the_pattern_is_not_changed():
    rng = np.random.default_rng(4)
    factors = [GroupingFactor(rng.integers(0, 300, 900), 300), GroupingFactor(rng.integers(0, 250, 900), 250)]
    cp, layout = products(rng, factors, [1, 1])
    before = cp.A.copy()
    predicted_fill(cp.A, layout)
    assert (cp.A.data == before.data).all()
    assert (cp.A.indices == before.indices).all()
