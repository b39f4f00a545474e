"""Along one variance: the spectral form is the criterion, bounds hold, and what is proved is so on a grid."""

from __future__ import annotations

import numpy as np
import pytest

from interlace.pls import GroupingFactor, RandomTerm, profiled_criterion
from interlace.pls.search.line import PROVED_TO, line, variance
from interlace.pls.search.optimize import minimize
from interlace.tests.oracle import by_definition
from interlace.tests.pls.dense import assert_close, crossed_factors, design

GRID = np.concatenate([[0.0], 10.0 ** np.linspace(-6.0, 6.0, 400)])


def problem(seed, *, reml):
    """A few rows in groups of unequal size, a covariate, an intercept or a slope."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(6, 40))
    codes = np.unique(np.minimum(rng.geometric(0.3, n), 6), return_inverse=True)[1]
    x = rng.normal(size=n)
    Xi = np.ones((n, 1)) if seed % 2 else x[:, None]
    y = rng.normal(size=n) + rng.exponential() * rng.normal(size=6)[codes] * Xi[:, 0]
    factors, terms = [GroupingFactor(codes, int(codes.max()) + 1)], [RandomTerm(0, Xi)]
    return profiled_criterion(factors, terms, np.column_stack([np.ones(n), x]), y, reml=reml)


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("seed", range(6))
def test_the_spectral_form_is_the_criterion_but_for_a_constant(seed, reml):
    criterion = problem(seed, reml=reml)
    t = np.array([0.0, 0.01, 0.5, 3.0, 100.0])
    objective = np.array([criterion.decompose(np.sqrt([one])).objective for one in t])
    difference = objective - line(criterion)(t)
    # Two ways to the same number, each good to some 1e-13 of the terms that it sums.
    assert np.ptp(difference) < 1e-9


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("seed", range(6))
def test_nothing_between_two_values_is_below_the_bound(seed, reml):
    along = line(problem(seed, reml=reml))
    low, high = GRID[:-8:8], GRID[8::8]
    inside = along(low[:, None] + (high - low)[:, None] * np.linspace(0.0, 1.0, 30))
    # The bound is exact, its value rounded.
    assert (along.least(low, high) <= inside.min(axis=1) + 1e-9).all()


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("seed", range(20))
def test_a_proof_holds_on_a_grid_and_a_lower_place_is_lower(seed, reml):
    criterion = problem(seed, reml=reml)
    along, t = line(criterion), variance(minimize(criterion, np.array([0.5])).at)
    found = along.lower_than(t)
    assert found is not None
    least, here = along(GRID).min(), along(np.array([t]))[0]
    if found == t:
        assert least > here - PROVED_TO
    else:
        assert along(np.array([found]))[0] < here - PROVED_TO


def test_a_worse_minimum_is_not_proved():
    """Seven rows, a group of one and one of six: a minimum at zero, a lower one at a variance of 1.07."""
    y = np.array([3.08, 0.56, 1.24, -1.86, -0.19, 0.75, 0.39])
    factor, term = GroupingFactor(np.array([0, 1, 1, 1, 1, 1, 1]), 2), RandomTerm(0, np.ones((7, 1)))
    along = line(profiled_criterion([factor], [term], np.ones((7, 1)), y, reml=False))
    assert 0.5 < along.lower_than(0.0) < 2.0


def test_constant_of_the_form_is_the_criterion_by_definition():
    """Differences along the line are those of dense matrices, by definition."""
    rng = np.random.default_rng(3)
    factors = crossed_factors(rng, 30, (5,))
    model = design(rng, factors, [RandomTerm(0, np.ones((30, 1)))], [0.7])
    along = line(model.criterion())
    dense = [
        by_definition(*model.arrays, np.array([theta]), **model.options).criterion for theta in (0.2, 1.5)
    ]
    found = along(np.array([0.2, 1.5]) ** 2)
    assert_close(found[1] - found[0], dense[1] - dense[0], 1e-9)


def test_more_parameters_or_many_levels_have_no_line():
    rng = np.random.default_rng(3)
    factors = crossed_factors(rng, 30, (5,))
    slopes = RandomTerm(0, np.column_stack([np.ones(30), rng.normal(size=30)]))
    assert line(design(rng, factors, [slopes], [np.eye(2)]).criterion()) is None
    many = GroupingFactor(np.repeat(np.arange(130), 2), 130)
    big = design(rng, [many], [RandomTerm(0, np.ones((260, 1)))], [1.0])
    assert line(big.criterion()) is None
