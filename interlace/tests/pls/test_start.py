"""Moment estimates as starting values."""

from __future__ import annotations

import numpy as np
import pytest

from interlace.pls import GroupingFactor, RandomTerm, fit, profiled_criterion
from interlace.pls.start import LEAST, MOST, moment_start


def _crossed(rng, columns=1):
    codes = rng.integers(0, 8, 120), rng.integers(0, 5, 120)
    factors = [GroupingFactor(c, n) for c, n in zip(codes, (8, 5), strict=True)]
    Xi = np.column_stack([np.ones(120), rng.normal(size=120)])[:, :columns]
    terms = [RandomTerm(0, Xi), RandomTerm(1, np.ones((120, 1)))]
    y = rng.normal(size=120) + rng.normal(size=8)[codes[0]] + rng.normal(size=5)[codes[1]]
    return factors, terms, np.ones((120, 1)), y


@pytest.mark.parametrize("columns", [1, 2])
def test_the_start_solves_the_moment_equations_by_definition(columns):
    criterion = profiled_criterion(*_crossed(np.random.default_rng(3), columns))
    cp, relcov = criterion.cp, criterion.relcov
    # By definition: |Z_c' Z_d|^2 and |Z_c' r|^2 from explicit blocks of the (dense) cross-products.
    kinds = [
        np.arange(start + a, start + levels * K, K)
        for start, levels, K in zip(
            relcov.layout.starts, relcov.layout.n_levels, relcov.layout.K, strict=False
        )
        for a in range(K)
    ]
    t = cp.B[:, -1]
    system = [
        [np.sum(cp.A[np.ix_(c, d)] ** 2) for d in kinds] + [np.trace(cp.A[np.ix_(c, c)])] for c in kinds
    ]
    system.append([np.trace(cp.A[np.ix_(c, c)]) for c in kinds] + [cp.n])
    variances = np.linalg.solve(system, [np.sum(t[c] ** 2) for c in kinds] + [cp.C[-1, -1]])
    expected = np.sqrt(np.clip(variances[:-1] / variances[-1], LEAST**2, MOST**2))
    # The same linear system solved twice: rounding only.
    np.testing.assert_allclose(moment_start(cp, relcov)[relcov.diagonal], expected, rtol=1e-10)


def test_a_balanced_one_way_layout_needs_no_step_at_all():
    # There the moment estimate is the maximum-likelihood estimate (Searle, Casella & McCulloch 1992, 3.7).
    rng = np.random.default_rng(1)
    codes = np.repeat(np.arange(10), 6)
    y = rng.normal(size=60) + 2.0 * rng.normal(size=10)[codes]
    result = fit(
        [GroupingFactor(codes, 10)], [RandomTerm(0, np.ones((60, 1)))], np.ones((60, 1)), y, reml=False
    )
    assert result.optimum.nit == 0
    assert result.certificate.certified


def test_dense_and_sparse_cross_products_give_one_start(monkeypatch):
    model = _crossed(np.random.default_rng(5), 2)
    dense = profiled_criterion(*model)
    monkeypatch.setattr("interlace.pls.crossproducts.DENSE_Z", 0)
    monkeypatch.setattr("interlace.pls.crossproducts.DENSE_Q", 0)
    sparse = profiled_criterion(*model)
    # Sums in another order: rounding only.
    np.testing.assert_allclose(
        moment_start(sparse.cp, sparse.relcov), moment_start(dense.cp, dense.relcov), rtol=1e-10
    )


def test_a_factor_without_variance_starts_off_the_saddle():
    rng = np.random.default_rng(0)
    codes = np.repeat(np.arange(20), 5)
    noise = rng.normal(size=100)
    y = noise - np.bincount(codes, noise)[codes] / 5.0  # group means exactly zero
    criterion = profiled_criterion(
        [GroupingFactor(codes, 20)], [RandomTerm(0, np.ones((100, 1)))], np.ones((100, 1)), y
    )
    assert moment_start(criterion.cp, criterion.relcov).tolist() == [LEAST]
