"""Moment estimates as starting values."""

from __future__ import annotations

import numpy as np
import pytest

from interlace.pls import GroupingFactor, RandomTerm, fit, profiled_criterion
from interlace.pls.search.start import LEAST_SD, moment_start


def _crossed(rng, columns=1, *, balanced=False):
    """Two crossed factors of 8 and 5 levels, 120 rows, random slopes on the first and on x."""
    codes = rng.integers(0, 8, 120), rng.integers(0, 5, 120)
    x = rng.normal(size=120)
    if balanced:
        codes = np.repeat(np.arange(8), 15), np.tile(np.repeat(np.arange(5), 3), 8)
        x = np.tile([-1.0, 0.0, 1.0], 40)
    factors = [GroupingFactor(c, n) for c, n in zip(codes, (8, 5), strict=True)]
    X = np.column_stack([np.ones(120), x])
    terms = [RandomTerm(0, X[:, :columns]), RandomTerm(1, X[:, :1])]
    y = (
        rng.normal(size=120)
        + 2.0 * rng.normal(size=8)[codes[0]]
        + rng.normal(size=8)[codes[0]] * x
        + 1.5 * rng.normal(size=5)[codes[1]]
    )
    return factors, terms, X, y


def _places(relcov):
    """E_j as matrices of shape (q, q)."""
    found = []
    for f, a, b in zip(relcov.factor, relcov.row, relcov.col, strict=True):
        place = np.zeros((relcov.layout.K[f],) * 2)
        place[a, b] = place[b, a] = 1.0
        whole = np.zeros((relcov.layout.q,) * 2)
        own = relcov.layout.slices[f]
        whole[own, own] = np.kron(np.eye(relcov.layout.n_levels[f]), place)
        found.append(whole)
    return found


def _by_definition(criterion, W):
    """The moment equations with matrices of q columns, from the first docstring of `start`."""
    cp, places = criterion.cp, _places(criterion.relcov)
    X, t = cp.B[:, : cp.p if criterion.reml else 0], cp.B[:, -1]
    N = cp.A - X @ X.T
    system = [
        [np.trace(E @ W @ N @ F @ N @ W.T) for F in places] + [np.trace(E @ W @ N @ W.T)] for E in places
    ]
    system.append([np.trace(N @ F) for F in places] + [cp.n - X.shape[1]])
    right = [t @ W.T @ E @ W @ t for E in places] + [cp.C[-1, -1]]
    *D, sigma2 = np.linalg.solve(system, right)
    return sum(d * E for d, E in zip(D, places, strict=True)) / sigma2


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("columns", [1, 2])
def test_the_start_solves_the_moment_equations_by_definition(columns, reml):
    criterion = profiled_criterion(*_crossed(np.random.default_rng(4), columns), reml=reml)
    A, relcov = criterion.cp.A, criterion.relcov
    q = relcov.layout.q
    first = _by_definition(criterion, np.eye(q))
    own = np.zeros((q, q))
    for start, levels, K in zip(relcov.layout.starts, relcov.layout.n_levels, relcov.layout.K, strict=False):
        for at in range(start, start + levels * K, K):
            own[at : at + K, at : at + K] = A[at : at + K, at : at + K]
    second = _by_definition(criterion, np.linalg.inv(np.eye(q) + own @ first))
    found = relcov.Lambda(moment_start(criterion.cp, relcov, reml=reml))
    wanted = [
        second[start : start + K, start : start + K]
        for start, K in zip(relcov.layout.starts, relcov.layout.K, strict=False)
    ]
    for block, D in zip(found, wanted, strict=True):
        # The same equations, summed in another order and solved by another method: rounding only.
        np.testing.assert_allclose(block @ block.T, D, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("reml", [True, False])
def test_a_balanced_one_way_layout_needs_no_step_at_all(reml):
    # There moment estimates are those of maximum likelihood, and of REML (Searle, Casella & McCulloch
    # 1992, chapter 3).
    rng = np.random.default_rng(1)
    codes = np.repeat(np.arange(10), 6)
    y = rng.normal(size=60) + 2.0 * rng.normal(size=10)[codes]
    result = fit(
        [GroupingFactor(codes, 10)], [RandomTerm(0, np.ones((60, 1)))], np.ones((60, 1)), y, reml=reml
    )
    assert result.optimum.nit == 0
    assert result.certificate.certified


@pytest.mark.parametrize("columns", [1, 2])
def test_balanced_crossed_factors_need_no_step_by_reml(columns):
    # REML gives the analysis of variance of balanced data, if its components are positive (ibid., chapter 4).
    result = fit(*_crossed(np.random.default_rng(8), columns, balanced=True))
    assert result.optimum.nit == 0
    assert result.certificate.certified


@pytest.mark.parametrize("reml", [True, False])
def test_dense_and_sparse_cross_products_give_one_start(monkeypatch, reml):
    factors, terms, X, y = _crossed(np.random.default_rng(5), 2)
    terms[1] = RandomTerm(1, terms[0].Xi)
    dense = profiled_criterion(factors, terms, X, y)
    monkeypatch.setattr("interlace.pls.matrices.crossproducts.DENSE_Z", 0)
    monkeypatch.setattr("interlace.pls.matrices.crossproducts.DENSE_Q", 0)
    sparse = profiled_criterion(factors, terms, X, y)
    # Sums in another order: rounding only.
    np.testing.assert_allclose(
        moment_start(sparse.cp, sparse.relcov, reml=reml),
        moment_start(dense.cp, dense.relcov, reml=reml),
        rtol=1e-9,
    )


def test_a_factor_without_variance_starts_off_the_saddle():
    rng = np.random.default_rng(0)
    codes = np.repeat(np.arange(20), 5)
    noise = rng.normal(size=100)
    y = noise - np.bincount(codes, noise)[codes] / 5.0  # group means exactly zero
    criterion = profiled_criterion(
        [GroupingFactor(codes, 20)], [RandomTerm(0, np.ones((100, 1)))], np.ones((100, 1)), y
    )
    assert moment_start(criterion.cp, criterion.relcov, reml=True).tolist() == [LEAST_SD]
