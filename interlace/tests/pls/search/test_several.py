"""The best of several minima: found where data are few, not paid for where they are many, told in words."""

from __future__ import annotations

import numpy as np
import pytest

from interlace.pls import GroupingFactor, RandomTerm, fit, fit_criterion
from interlace.pls.search.optimize import minimize
from interlace.pls.search.several import explore, searches_wanted
from interlace.tests.pls.dense import crossed_factors, design
from interlace.tests.pls.designs import DESIGNS, crossed
from interlace.tests.strategies import SOLVERS

# The same minimum, reached on different ways: the search ends within 1e-9 of it, and may pay as much again.
SAME = 1e-7


def calendar(seed=0, n=500, levels=25, first=2000.0):
    """Groups with growth curves over twenty calendar years, and ``(1 + year || g)`` for them."""
    rng = np.random.default_rng(seed)
    g, t = rng.integers(0, levels, n), rng.integers(0, 20, n).astype(float)
    y = 1.0 + 0.1 * t + rng.normal(size=levels)[g] + 0.3 * rng.normal(size=levels)[g] * (t - 10.0)
    year, one = (first + t)[:, None], np.ones((n, 1))
    terms = [RandomTerm(0, one), RandomTerm(0, year)]
    return [GroupingFactor(g, levels)], terms, np.hstack([one, year]), y + rng.normal(size=n)


def seven_rows():
    """A minimum at a variance of zero, and one lower by 0.377 at a relative standard deviation of 1.03."""
    codes = np.array([0, 1, 1, 1, 1, 1, 1])
    y = np.array([3.08, 0.56, 1.24, -1.86, -0.19, 0.75, 0.39])
    return [GroupingFactor(codes, 2)], [RandomTerm(0, np.ones((7, 1)))], np.ones((7, 1)), y


def few(seed):
    """A few rows in two crossed factors with a slope; the kind that has several minima."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(10, 25))
    x = rng.normal(size=n)
    factors = crossed_factors(rng, n, (5, 3))
    one = np.ones((n, 1))
    terms = [RandomTerm(0, one), RandomTerm(1, np.column_stack([one[:, 0], x]))]
    return design(rng, factors, terms, [1.0, np.diag([0.5, 0.8])])


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize(("seed", "first"), [(0, 2000.0), (1, 2000.0), (2, 400.0), (3, -5000.0)])
def test_uncentred_columns_without_covariance_reach_the_lower_minimum(seed, first, solver):
    """From the standard deviations that produced the data, at the origin of the calendar."""
    arrays = calendar(seed, first=first)
    found = fit(*arrays, solver=solver)
    true = fit(*arrays, start=np.array([0.3 * abs(first + 10.0), 0.3]), solver=solver)
    # The criterion of columns this nearly collinear has an error, which the certificate tells.
    assert found.objective < true.objective + 1e-3
    assert found.certificate.certified
    assert found.certificate.error < 1e-3


def test_a_large_group_of_them_does_too_with_three_searches_at_most():
    arrays = calendar(4, n=8000, levels=400)
    found = fit(*arrays)
    true = fit(*arrays, start=np.array([600.0, 0.3]))
    assert found.objective < true.objective + 1e-3
    assert sum(minimum.met for minimum in found.minima) <= 3


def test_one_variance_is_sought_along_the_line_and_the_lowest_proved():
    """The figure is the issue's, checked by its author in 80-bit arithmetic."""
    found = fit(*seven_rows(), reml=False)
    assert found.objective == pytest.approx(23.9795341654, abs=1e-9)
    assert found.theta[0] == pytest.approx(1.0328525, abs=1e-6)
    assert found.certificate.known == "proved"
    assert "proved to be the lowest of all minima" in found.certificate.sentence
    assert [minimum.start for minimum in found.minima] == ["line", "moments"]
    assert found.minima[1].objective - found.minima[0].objective == pytest.approx(0.376657, abs=1e-6)
    with pytest.raises(ValueError, match="read-only"):
        found.minima[0].theta[0] = 0.0


@pytest.mark.parametrize("seed", range(12))
def test_where_data_are_few_no_other_start_is_lower(seed):
    problem = few(seed)
    found = problem.fit()
    if not found.certificate.certified:
        assert found.certificate.known in ("unsettled", "unbounded")
        return
    rng = np.random.default_rng(seed)
    relcov = found.criterion.relcov
    for _ in range(12):
        start = 10.0 ** rng.uniform(-2.0, 2.0) * np.where(relcov.diagonal, 1.0, rng.normal(size=relcov.m))
        other = minimize(found.criterion, start)
        if other.converged:
            assert found.objective < other.at.objective + 1e-4


@pytest.mark.parametrize("seed", range(4))
def test_order_and_units_do_not_choose_the_minimum(seed):
    problem = few(seed)
    factors, terms, X, y = problem.arrays
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(y))
    names = [rng.permutation(factor.n_levels) for factor in factors]
    again = fit(
        [
            GroupingFactor(own[factor.codes][order], factor.n_levels)
            for own, factor in zip(names, factors, strict=True)
        ],
        [RandomTerm(term.factor, term.Xi[order] * np.array([1.0, -3e4])[: term.k]) for term in terms],
        X[order],
        1e-5 * y[order],
        reml=problem.options["reml"],
    )
    found = problem.fit()
    assert again.certificate.known == found.certificate.known
    if found.certificate.certified:
        shift = 2.0 * found.criterion.nu * np.log(1e-5)
        assert again.objective - shift == pytest.approx(found.objective, abs=SAME)


def many():
    """Two crossed factors, thirty levels each."""
    rng = np.random.default_rng(8)
    terms = [
        RandomTerm(0, np.column_stack([np.ones(600), rng.normal(size=600)])),
        RandomTerm(1, np.ones((600, 1))),
    ]
    return design(rng, crossed_factors(rng, 600, (40, 30)), terms, [np.diag([0.6, 0.3]), 0.8])


def test_one_search_where_the_data_are_many():
    found = many().fit()
    assert [minimum.met for minimum in found.minima] == [1]
    assert found.certificate.known == "alone"


@pytest.mark.parametrize("name", DESIGNS)
def test_as_many_searches_as_are_asked_for_and_the_same_optimum(name):
    problem = DESIGNS[name]()
    criterion = problem.criterion()
    first = minimize(criterion, 0.5 * criterion.relcov.diagonal)
    found = explore(criterion, first, "given", starts=5)
    assert found.searches == 5
    assert found.known == "agreed"
    assert found.minima[0].start == "given"
    assert found.optimum.at.objective == pytest.approx(problem.fit().objective, abs=SAME)


def test_what_is_known_is_said_in_words():
    problem = many()
    words = {
        "alone": problem.fit(),
        "given": fit(*problem.arrays, start=np.ones(4), **problem.options),
        "agreed": fit(*problem.arrays, starts=3, **problem.options),
    }
    for known, found in words.items():
        assert found.certificate.known == known
        assert found.certificate.certified
    assert "no other was looked for" in words["alone"].certificate.sentence
    assert "next to the start that was given" in words["given"].certificate.sentence
    assert "the lowest of 3 searches from different starts" in words["agreed"].certificate.sentence
    assert words["given"].certificate.maximum == "This is a local maximum of the likelihood"


def test_a_warm_fit_is_one_search():
    found = crossed().fit()
    again = fit_criterion(found.criterion, start=found.optimum)
    assert again.certificate.known == "given"
    assert len(again.minima) == 1


def test_how_many_searches_are_to_agree():
    """Six levels ask for three, three levels for eight; a start that is the optimum asks for no more."""
    rng = np.random.default_rng(5)

    def wanted(levels):
        model = design(
            rng,
            crossed_factors(rng, 200, levels),
            [RandomTerm(f, np.ones((200, 1))) for f in (0, 1)],
            [1.0, 1.0],
        )
        criterion = model.criterion()
        return searches_wanted(criterion, minimize(criterion, np.full(2, 0.5)))

    assert [wanted(levels) for levels in [(18, 16), (18, 6), (18, 3)]] == [1, 3, 8]


def test_interpolation_is_not_an_optimum():
    """Thirteen rows that a rank-one covariance of four effects in three groups and nine groups reproduce."""
    table = np.array(
        [  # y, three covariates, two factors
            [-0.45, 0.83, 0.1, 0.66, 0, 0],
            [-0.38, 1.87, 0.69, -0.31, 1, 1],
            [-0.22, 0.15, 1.04, 1.27, 2, 2],
            [-0.22, -3.72, 0.38, 0.78, 3, 1],
            [-0.19, -0.56, 1.34, -3.92, 4, 1],
            [-0.51, -1.38, -0.29, 2.79, 5, 2],
            [-0.33, 0.84, 0.75, 1.1, 6, 1],
            [-0.1, -0.44, 2.11, 0.76, 7, 1],
            [-0.48, -1.28, 1.27, 1.3, 0, 0],
            [-0.51, -0.14, 0.93, 1.15, 1, 0],
            [0.52, -0.28, 6.4, -0.75, 2, 1],
            [-0.41, -3.83, -0.69, -1.33, 8, 1],
            [2.93, 0.08, 24.24, 9.3, 3, 1],
        ]
    )
    y, x = table[:, 0], table[:, 1:4]
    one = np.ones((13, 1))
    factors = [GroupingFactor(table[:, j].astype(int), int(table[:, j].max()) + 1) for j in (4, 5)]
    terms = [RandomTerm(0, one), RandomTerm(1, one), RandomTerm(1, np.hstack([one, x[:, [0, 2, 1]]]))]
    found = fit(factors, terms, np.hstack([one, x[:, :2]]), y, reml=False)
    assert not found.certificate.certified
    assert found.certificate.known == "unbounded"
    assert "the likelihood has no maximum" in found.certificate.sentence
