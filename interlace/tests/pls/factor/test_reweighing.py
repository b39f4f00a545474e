"""Other weights of the same rows: every factorization follows, and hands out T where rows ask for it."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from interlace.pls.factor import between, blocked
from interlace.pls.factor.blocked import BlockedFactorization
from interlace.pls.factor.cholmod import CholmodFactorization
from interlace.pls.factor.nested import NestedFactorization
from interlace.pls.factor.solvers import nesting
from interlace.pls.laplace import cells
from interlace.pls.laplace.cells import cells_of
from interlace.pls.matrices.relcov import Layout
from interlace.pls.rows.weighted import Rows
from interlace.tests.pls.dense import (
    DenseFactorization,
    assert_close,
    assert_same_verbs,
    columns_of,
    crossed_factors,
    nested_factors,
)
from interlace.tests.strategies import SOLVERS

# Levels and columns of each factor; whether they are nested.
SHAPES = {
    "scalars": ((14, 9), (1, 1), False),
    "vector first": ((12, 7), (3, 1), False),
    "vectors": ((11, 6), (2, 2), False),
    "three": ((12, 6, 4), (1, 2, 1), False),
    "nested": ((13, 6, 2), (2, 1, 1), True),
}
# How the blocks between the first factor and the others are kept.
STORAGES = ["dense", "sparse", "too many pairs"]
# One inverse of well-conditioned matrices of some thirty columns.
EXACT = 1e-11


@pytest.fixture(params=STORAGES)
def storage(request, monkeypatch):
    if request.param != "dense":
        monkeypatch.setattr(cells, "DENSE_Q", 0)
        monkeypatch.setattr(blocked, "DENSE_SHARE", 2.0)
        monkeypatch.setattr(blocked, "DENSE_SIZE", 0)
    if request.param == "too many pairs":
        monkeypatch.setattr(between, "PAIRS", 0)
        monkeypatch.setattr(between, "ELEMENTS_AT_ONCE", 30)


def made(shape):
    """Cells of a random design, its factors, and its layout."""
    levels, K, nested = SHAPES[shape]
    rng, n = np.random.default_rng(1), 60
    factors = (nested_factors if nested else crossed_factors)(rng, n, levels)
    layout = Layout(levels, K)
    rows = Rows(layout, tuple(f.codes for f in factors), tuple(columns_of(rng, n, K)), np.ones((n, 2)), None)
    return cells_of(rows, np.ones(n), np.zeros(n)), factors, layout


def factorization(solver, found, factors, layout):
    parents = nesting(factors)
    if solver == "cholmod":
        return CholmodFactorization(found.products(), layout)
    if parents is not None:
        return NestedFactorization(found.products(), layout, parents)
    return BlockedFactorization(found.products(), layout)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("singular", [False, True])
def test_new_weights_are_a_new_factorization(storage, shape, solver, singular):
    found, factors, layout = made(shape)
    ours = factorization(solver, found, factors, layout).follow(found.assembly.numbers)
    rng = np.random.default_rng(2)
    for _ in range(2):  # again: nothing stale may remain
        w = rng.uniform(0.2, 3.0, found.n)
        Z = found.Z.toarray()
        expected = DenseFactorization(found.products(), layout)
        expected.A = Z.T @ (Z * w[:, None])
        Lambda = [np.tril(rng.normal(size=(k, k))) + np.eye(k) for k in layout.K]
        if singular:
            Lambda = [block * (np.arange(len(block)) < len(block) - 1) for block in Lambda]
        ours = ours.reweigh(found.assembly.entries(w))
        ours.update(Lambda)
        expected.update(Lambda)
        at = found.assembly.quadratics(ours.conditional_entries())
        assert_close(at, np.einsum("nq,qr,nr->n", Z, expected.T, Z), EXACT)
        # CHOLMOD's information is extrapolated where Lambda is singular: eight digits.
        assert_same_verbs(ours, expected, rng.normal(size=(layout.q, 2)), tolerance=EXACT, information=1e-7)


@pytest.mark.parametrize("solver", SOLVERS)
def test_they_pickle(storage, solver):
    found, factors, layout = made("vector first")
    ours = factorization(solver, found, factors, layout).follow(found.assembly.numbers)
    again = pickle.loads(pickle.dumps(ours))
    entries, Lambda = found.assembly.entries(np.linspace(0.5, 2.0, found.n)), [np.eye(3), np.eye(1)]
    answers = []
    for one in (ours.reweigh(entries), again.reweigh(entries)):
        one.update(Lambda)
        answers.append(one.conditional_entries())
    np.testing.assert_allclose(*answers, rtol=1e-12)
