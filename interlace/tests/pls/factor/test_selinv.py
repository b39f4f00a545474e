"""The selected inverse against the inverse."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from interlace.pls.factor import selinv
from interlace.pls.factor.selinv import SelectedInverse

# Condition numbers of the matrices below are at most 1e4.
TOLERANCE = 1e-11

# name -> (constant, value): where the dense part begins, and whether index pairs are kept.
PLANS = {
    "predicted": {},
    "all dense": {"DENSE_FLOP": 0.0},
    "nothing dense": {"DENSE_FLOP": 1e9},
    "pairs not kept": {"DENSE_FLOP": 1e9, "KEPT_PAIRS": -1},
    "half dense": {"DENSE_FLOP": 3e-10, "KEPT_PAIRS": -1},
}


def spd(rng, q, density):
    entries = sparse.random_array(
        (q, q), density=density, rng=rng, data_sampler=rng.standard_normal
    ).toarray()
    return entries @ entries.T + np.diag(rng.uniform(1.0, 2.0, size=q))


def arrow(rng, q):
    """A diagonal with one full row: no fill, one parent for all columns."""
    matrix = np.diag(rng.uniform(2.0, 3.0, size=q))
    matrix[-1, :-1] = matrix[:-1, -1] = rng.uniform(0.1, 0.3, size=q - 1) / np.sqrt(q)
    return matrix


def chain(rng, q):
    """Tridiagonal: the elimination tree is a path."""
    off = rng.uniform(-0.5, 0.5, size=q - 1)
    return np.diag(np.full(q, 2.0)) + np.diag(off, 1) + np.diag(off, -1)


MATRICES = {
    "diagonal": lambda rng: np.diag(rng.uniform(1.0, 2.0, size=15)),
    "arrow": lambda rng: arrow(rng, 20),
    "chain": lambda rng: chain(rng, 33),
    "single": lambda rng: rng.uniform(1.0, 2.0, size=(1, 1)),
    "little fill": lambda rng: spd(rng, 60, 0.01),
    "some fill": lambda rng: spd(rng, 60, 0.03),
    "full": lambda rng: spd(rng, 30, 0.5),
    "two components": lambda rng: np.kron(np.eye(2), spd(rng, 12, 0.1)),
}


def factor(matrix):
    """Cholesky factor, compressed: its nonzeros are the filled pattern."""
    L = sparse.csc_array(np.linalg.cholesky(matrix))
    L.sort_indices()
    return L


@pytest.fixture(params=PLANS)
def plan(request, monkeypatch):
    for name, value in PLANS[request.param].items():
        monkeypatch.setattr(selinv, name, value)
    return request.param


@pytest.mark.parametrize("name", MATRICES)
def test_entries_are_those_of_the_inverse(plan, name):
    matrix = MATRICES[name](np.random.default_rng(len(name)))
    L = factor(matrix)
    inverse = SelectedInverse(L)
    rows, cols = L.tocoo().coords
    for scale in (1.0, 3.0):  # one plan serves all matrices of the pattern
        Z = inverse(np.sqrt(scale) * L)
        expected = np.linalg.inv(scale * matrix)[rows, cols]
        assert Z[inverse.entries(rows, cols)] == pytest.approx(expected, rel=TOLERANCE, abs=TOLERANCE)
        assert Z[inverse.entries(cols, rows)] == pytest.approx(expected, rel=TOLERANCE, abs=TOLERANCE)


def test_entries_that_vanish_stay_on_the_pattern(plan):
    """A factor may hold explicit zeros: Lambda = 0 empties it without changing its pattern."""
    L = factor(spd(np.random.default_rng(8), 40, 0.04))
    inverse = SelectedInverse(L)
    rows, cols = L.tocoo().coords
    empty = L.copy()
    empty.data = np.where(rows == cols, 2.0, 0.0)
    Z = inverse(empty)
    assert Z[inverse.entries(rows, cols)] == pytest.approx(np.where(rows == cols, 0.25, 0.0), abs=TOLERANCE)


def test_entries_keep_their_shape(plan):
    matrix = spd(np.random.default_rng(9), 12, 0.2)
    L = factor(matrix)
    inverse = SelectedInverse(L)
    at = np.arange(12).reshape(3, 4)
    assert inverse(L)[inverse.entries(at, at)] == pytest.approx(np.diag(np.linalg.inv(matrix)).reshape(3, 4))
