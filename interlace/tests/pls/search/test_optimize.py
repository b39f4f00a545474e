"""The search: same optimum from everywhere, no saddle, no wrong boundary, a word where there is none."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from interlace.errors import OptimizationError
from interlace.pls import GroupingFactor, ProfiledCriterion, RandomTerm, fit, profiled_criterion
from interlace.pls.factor import blocked
from interlace.pls.search.optimize import minimize
from interlace.tests.oracle import by_definition
from interlace.tests.pls.dense import assert_close, crossed_factors, design, effects
from interlace.tests.pls.designs import (
    DESIGNS,
    crossed,
    growth,
    maximal,
    nested,
    one_way,
    singular,
    uncorrelated,
)
from interlace.tests.strategies import SOLVERS

# The search ends when 1e-11 of deviance is promised, and may pay 1e-9 for a variance of exactly zero.
OBJECTIVE = 1e-8
REGULAR = (one_way, growth, crossed, uncorrelated, nested)


def fitted(problem, **keywords):
    return fit(*problem.arrays, **problem.options, **keywords)


def random_start(relcov, seed):
    rng = np.random.default_rng(seed)
    spread = 10.0 ** rng.uniform(-1.5, 1.0)
    return spread * np.where(relcov.diagonal, rng.uniform(0.0, 1.0, relcov.m), rng.normal(size=relcov.m))


@pytest.mark.parametrize("name", DESIGNS)
def test_same_optimum_from_twenty_starts(name):
    criterion = DESIGNS[name]().criterion()
    best = minimize(criterion, 0.5 * criterion.relcov.diagonal)
    assert best.converged
    for seed in range(20):
        found = minimize(criterion, random_start(criterion.relcov, seed))
        assert found.converged
        assert found.message == "optimum certified"
        assert found.at.objective == pytest.approx(best.at.objective, abs=OBJECTIVE)


@pytest.mark.parametrize("maker", [crossed, maximal])
def test_single_precision_far_from_the_optimum_changes_nothing_at_it(monkeypatch, maker):
    problem = maker()
    rounded = []

    def spy(self):
        found = rough_information(self)
        rounded.append(found is not None)
        return found

    rough_information = blocked.BlockedFactorization.rough_information
    monkeypatch.setattr(blocked.BlockedFactorization, "rough_information", spy)
    start = 0.5 * problem.criterion().relcov.diagonal
    exact = minimize(problem.criterion(), start)
    assert not any(rounded)
    monkeypatch.setattr(blocked, "SINGLE_PRECISION_FROM", 1)
    found = minimize(problem.criterion(), start)
    assert any(rounded)
    assert not found.derivatives.rough
    assert found.at.objective == pytest.approx(exact.at.objective, abs=OBJECTIVE)


@pytest.mark.parametrize("name", DESIGNS)
def test_a_warm_search_ends_where_a_cold_one_does_in_fewer_steps(name):
    criterion = DESIGNS[name]().criterion()
    rng = np.random.default_rng(5)
    other = replace(criterion.cp, B=criterion.cp.B * (1.0 + 0.02 * rng.normal(size=criterion.cp.B.shape)))
    similar = ProfiledCriterion(
        other, criterion.relcov, criterion.factorization, criterion.basis, reml=criterion.reml
    )
    theirs = minimize(similar, 0.5 * criterion.relcov.diagonal)
    cold = minimize(criterion, 0.5 * criterion.relcov.diagonal)
    warm = minimize(criterion, theirs)
    assert warm.converged
    assert warm.nfev < cold.nfev
    assert warm.at.objective == pytest.approx(cold.at.objective, abs=OBJECTIVE)
    # Deviance that the difference of the two costs: the square of its share of a standard error.
    lost = warm.phi - cold.phi
    assert lost @ cold.derivatives.hessian @ lost / 2.0 < 1e-12


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("maker", REGULAR)
def test_optimum_is_a_minimum_of_the_definition(maker, reml):
    """No neighbour does better by the dense definition."""
    problem = maker(reml=reml)
    found = problem.fit()
    rng = np.random.default_rng(1)
    for size in (1e-3, 1e-2, 0.1):
        for _ in range(5):
            theta = found.theta + size * rng.normal(size=len(found.theta))
            there = by_definition(*problem.arrays, theta, **problem.options).criterion
            assert there >= found.objective - OBJECTIVE


@pytest.mark.parametrize("maker", REGULAR)
def test_leaves_the_saddle_at_zero(maker):
    problem = maker()
    m = sum(term.n_theta for term in problem.terms)
    found = fitted(problem, start=np.zeros(m))
    assert found.certificate.certified
    assert found.objective == pytest.approx(
        fitted(
            problem,
        ).objective,
        abs=OBJECTIVE,
    )


@pytest.mark.parametrize("term", [0, 1])
def test_leaves_a_wrong_boundary(term):
    """One term's variance at zero, the other's where it belongs."""
    problem = crossed()
    expected = problem.fit()
    start = expected.theta.copy()
    start[expected.criterion.relcov.term_slices[term]] = 0.0
    found = fitted(problem, start=start)
    assert found.certificate.certified
    assert found.objective == pytest.approx(expected.objective, abs=OBJECTIVE)


def test_leaves_a_wrong_correlation():
    """Start where the correlation is exactly one."""
    problem = growth()
    found = fitted(problem, start=np.array([1.0, 1.0, 0.0]))
    assert found.certificate.certified
    assert found.objective == pytest.approx(
        fitted(
            problem,
        ).objective,
        abs=OBJECTIVE,
    )


@pytest.mark.parametrize("reml", [True, False])
def test_singular_truth_is_reached_and_named(reml):
    found = singular(reml=reml).fit()
    assert found.certificate.certified
    assert found.is_singular
    assert found.optimum.nit < 40
    assert found.singular[0].shape[1] >= 1


@pytest.mark.parametrize("solver", SOLVERS)
def test_maximal_model(solver):
    problem = maximal()
    found = fitted(problem, solver=solver)
    assert found.certificate.certified
    assert found.optimum.nit < 40
    half = fitted(problem, solver=solver, start=np.full(20, 0.1))
    assert half.objective == pytest.approx(found.objective, abs=OBJECTIVE)


def test_search_ends_at_maxiter():
    criterion = crossed().criterion()
    found = minimize(criterion, 0.5 * criterion.relcov.diagonal, maxiter=1)
    assert not found.converged
    assert found.nit == 1
    assert found.message == "no optimum within 1 iterations"
    assert found.expected_decrease > OBJECTIVE


def test_no_step_at_all():
    criterion = crossed().criterion()
    start = 0.5 * criterion.relcov.diagonal
    found = minimize(criterion, start, maxiter=0)
    assert (found.nit, found.converged) == (0, False)
    np.testing.assert_array_equal(found.phi, start)


def test_start_at_the_optimum_stays():
    criterion = crossed().criterion()
    first = minimize(criterion, 0.5 * criterion.relcov.diagonal)
    again = minimize(criterion, first.phi)
    assert again.nit <= 1
    assert again.at.objective == pytest.approx(first.at.objective, abs=OBJECTIVE)


@pytest.mark.parametrize("name", DESIGNS)
def test_callback_sees_every_step_go_down(name):
    seen = []
    found = fitted(DESIGNS[name](), callback=seen.append)
    assert tuple(seen) == found.optimum.path
    assert len(seen) == found.optimum.nit + 1
    objectives = np.array([step.objective for step in seen])
    # Up by rounding noise, or by the 1e-9 that a variance of exactly zero may cost.
    assert (np.diff(objectives) <= 2e-9).all()
    assert objectives[-1] == found.objective
    for step in seen:
        assert found.criterion(step.theta) == pytest.approx(step.objective, rel=1e-10)
        assert (step.theta[found.criterion.relcov.diagonal] >= 0).all()
        assert step.gradient_norm >= 0
        assert step.expected_decrease >= 0
    assert_close(seen[-1].theta, found.theta, 1e-12)


@pytest.mark.parametrize("reml", [True, False])
def test_residual_of_a_thousandth(reml):
    """Digits of r^2 cancel when effects dwarf the residual; the search must know how many."""
    rng = np.random.default_rng(5)
    factors = crossed_factors(rng, 200, (12, 7))
    terms = [
        RandomTerm(0, np.column_stack([np.ones(200), rng.normal(size=200)])),
        RandomTerm(1, np.ones((200, 1))),
    ]
    y = 1e-3 * rng.normal(size=200)
    for term, size in zip(terms, (2, 1), strict=True):
        y += effects(rng, factors[term.factor], term.Xi, np.eye(size))
    found = fit(factors, terms, np.ones((200, 1)), y, reml=reml)
    assert found.certificate.certified
    # 200 residuals: their variance is estimated to 10 per cent.
    assert found.sigma2 == pytest.approx(1e-6, rel=0.3)
    assert np.isfinite(found.objective)


def test_small_direction_beside_a_large_one_is_kept():
    """Rounded to zero where that costs nothing, and only there."""
    rng = np.random.default_rng(4)
    factors = crossed_factors(rng, 300, (20,))
    terms = [RandomTerm(0, np.column_stack([np.ones(300), rng.normal(size=300)]))]
    problem = design(rng, factors, terms, [np.diag([500.0, 2.0])])
    found = problem.fit()
    assert found.certificate.certified
    assert not found.is_singular
    # 20 levels: a standard deviation is estimated to 15 per cent.
    assert np.sqrt(np.diag(found.Sigma[0])) == pytest.approx([500.0, 2.0], rel=0.5)


def test_criterion_that_only_rises_ends_the_search():
    """Whatever the reason: where no step leads down the search ends, and says that it did not arrive."""
    problem = crossed()
    criterion = profiled_criterion(*problem.arrays, **problem.options)
    decompose = criterion.decompose
    calls = 0

    def rising(phi, gauge=None):
        nonlocal calls
        calls += 1
        at = decompose(phi, gauge)
        return replace(at, objective=at.objective + 1000.0 * calls)

    criterion.decompose = rising
    found = minimize(criterion, 0.5 * criterion.relcov.diagonal)
    assert not found.converged
    assert found.nit == 0
    assert found.expected_decrease > OBJECTIVE


REPRODUCED_BY_X = (
    "the fixed effects reproduce the response exactly; there is no variation left to divide into "
    "variance components. Check the response and the formula."
)
REPRODUCED_BY_Z = (
    "the criterion falls without bound: the random effects reproduce the response exactly. "
    "Wanted: residual variation within the levels. Drop a random term, or check for duplicated rows."
)
codes = np.repeat(np.arange(6), 4)
groups = [GroupingFactor(codes, 6)]
intercepts = [RandomTerm(0, np.ones((24, 1)))]


@pytest.mark.parametrize(
    ("X", "y"),
    [
        pytest.param(np.ones((24, 1)), np.full(24, 3.0), id="constant response"),
        pytest.param(np.ones((24, 1)), np.zeros(24), id="response of zeros"),
        pytest.param(
            np.column_stack([np.ones(24), np.arange(24.0)]), 1e6 - 3.0 * np.arange(24.0), id="a line"
        ),
        pytest.param(np.empty((24, 0)), np.zeros(24), id="zeros and no fixed effects"),
    ],
)
def test_response_that_the_fixed_effects_reproduce(X, y):
    with pytest.raises(OptimizationError) as caught:
        fit(groups, intercepts, X, y)
    assert str(caught.value) == REPRODUCED_BY_X


@pytest.mark.parametrize("reml", [True, False])
def test_response_that_the_random_effects_reproduce(reml):
    y = np.random.default_rng(6).normal(size=6)[codes]
    with pytest.raises(OptimizationError) as caught:
        fit(groups, intercepts, np.ones((24, 1)), y, reml=reml)
    assert str(caught.value) == REPRODUCED_BY_Z


def test_start_where_nothing_is_left_over():
    y = np.random.default_rng(7).normal(size=6)[codes]
    with pytest.raises(OptimizationError, match=r"^the criterion is not finite at the starting values"):
        fit(groups, intercepts, np.ones((24, 1)), y, start=np.array([1e12]))


@pytest.mark.parametrize("reml", [True, False])
def test_no_fixed_effects(reml):
    rng = np.random.default_rng(8)
    problem = design(rng, groups, intercepts, [1.0], p=0, reml=reml)
    found = problem.fit()
    assert found.beta.shape == (0,)
    assert found.vcov_beta.shape == (0, 0)
    assert found.certificate.certified
    grid = [
        by_definition(*problem.arrays, np.array([t]), reml=reml).criterion for t in np.linspace(0.0, 5.0, 101)
    ]
    assert found.objective <= min(grid)
    assert found.objective == pytest.approx(by_definition(*problem.arrays, found.theta, reml=reml).criterion)


@pytest.mark.parametrize("reml", [True, False])
def test_one_level_less_than_rows(reml):
    rng = np.random.default_rng(9)
    pairs = [GroupingFactor(np.append(np.arange(29), 0), 29)]
    problem = design(rng, pairs, [RandomTerm(0, np.ones((30, 1)))], [1.0], p=1, reml=reml)
    found = problem.fit()
    assert found.certificate.certified
    grid = [
        by_definition(*problem.arrays, np.array([t]), reml=reml).criterion for t in np.linspace(0.0, 9.0, 91)
    ]
    assert found.objective <= min(grid) + OBJECTIVE


def test_the_same_term_twice_shares_one_variance():
    problem = one_way()
    twice = problem.changed(terms=problem.terms * 2)
    found, expected = (
        fitted(
            twice,
        ),
        problem.fit(),
    )
    assert found.certificate.certified
    assert found.objective == pytest.approx(expected.objective, abs=OBJECTIVE)
    # Only the sum of the two variances is determined.
    assert np.sum(found.theta**2) == pytest.approx(float(expected.theta[0]) ** 2, rel=1e-4)


def test_the_same_column_twice_in_one_term():
    problem = one_way()
    double = problem.changed(terms=(RandomTerm(0, np.ones((60, 2))),))
    found, expected = (
        fitted(
            double,
        ),
        problem.fit(),
    )
    assert found.certificate.certified
    assert found.objective == pytest.approx(expected.objective, abs=OBJECTIVE)
    both = np.ones(2)
    assert np.isnan(found.Sigma[0]).all()  # of the two, only the sum is determined
    root = found.Lambda[0].T @ both
    assert found.sigma2 * root @ root == pytest.approx(float(expected.Sigma[0][0, 0]), rel=1e-4)


def test_one_level():
    """One level: its effect is part of the intercept, and nothing is known of its variance."""
    rng = np.random.default_rng(10)
    alone = [GroupingFactor(np.zeros(24, dtype=int), 1)]
    found = fit(alone, intercepts, np.ones((24, 1)), rng.normal(size=24))
    assert np.isfinite(found.objective)


def test_criterion_is_evaluated_as_often_as_reported():
    problem = crossed()
    criterion = profiled_criterion(*problem.arrays, **problem.options)
    count = 0
    decompose = criterion.decompose

    def counted(phi, gauge=None):
        nonlocal count
        count += 1
        return decompose(phi, gauge)

    criterion.decompose = counted
    assert minimize(criterion, 0.5 * criterion.relcov.diagonal).nfev == count


def two_minima():
    """One level has a single row. lme4 1.1-31: deviance 62.8056 at theta = 1.03, a minimum; 62.2512 at 0."""
    y = [2.9, 0.3, 0.8, -1.3, 0.4, -1.2, -0.4, -1.5, -0.4, -0.5, 0.4, 0.6]
    y += [-2.3, -0.6, -0.9, -0.2, -0.6, 0.7, 0.5, 0.5, 0.1, 1.1, -2.1, -0.3]
    x = [-1.7, 0.3, -0.8, 0.5, 0.0, 0.0, 0.6, 0.8, 0.0, -1.0, 0.3, -1.2]
    x += [-0.5, 0.4, 0.7, 0.5, 0.1, -1.1, -1.1, 0.1, -0.8, -1.4, -0.1, -0.5]
    factors = [GroupingFactor(np.array([0] + 23 * [1]), 2)]
    X = np.column_stack([np.ones(24), x])
    return factors, [RandomTerm(0, np.ones((24, 1)))], X, np.array(y)


def test_a_start_in_the_worse_of_two_minima_is_left():
    stuck = fit(*two_minima(), reml=False, start=np.array([1.03]))
    # lme4's figure has 12 digits; the criterion's rounding noise is below 1e-11.
    assert stuck.objective == pytest.approx(62.25119223304, abs=1e-9)
    assert stuck.theta.tolist() == [0.0]


@pytest.mark.parametrize("start", [[np.nan], [1.0, 1.0], [np.inf]])
def test_a_start_must_be_finite_and_complete(start):
    with pytest.raises(ValueError, match="wanted 1 finite covariance parameters"):
        fit(*two_minima(), start=np.array(start))


def test_arrays_of_a_fit_are_read_only():
    result = fit(*two_minima())
    for array in (result.theta, result.beta, result.vcov_beta, *result.Lambda, *result.b):
        assert not array.flags.writeable
