"""Minimisation under constraints: with none it finds what the search without finds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from interlace.pls import ProfiledCriterion
from interlace.pls.search.descent import Point, descend
from interlace.pls.search.optimize import minimize
from interlace.tests.pls.designs import DESIGNS, crossed, growth

OBJECTIVE = 1e-8


@dataclass(frozen=True)
class Linear:
    """phi = J x."""

    criterion: ProfiledCriterion
    J: np.ndarray

    def evaluate(self, x):
        return Point(x, self.criterion.decompose(self.J @ x))

    def differentiate(self, point):
        now = self.criterion.derivatives(point.at)
        return self.J.T @ now.gradient, self.J.T @ now.hessian @ self.J

    def without(self, j, x):
        tied = np.flatnonzero(self.J[:, j])
        columns = self.criterion.relcov.same_column[tied[0]]
        return np.where(self.J[columns].any(axis=0), 0.0, x) if len(tied) == 1 else x


@pytest.mark.parametrize("size", [0.05, 0.5, 5.0])
@pytest.mark.parametrize("name", DESIGNS)
def test_without_a_constraint_it_is_the_search_itself(name, size):
    criterion = DESIGNS[name](reml=False).criterion()
    best = minimize(criterion, 0.5 * criterion.relcov.diagonal)
    found = descend(Linear(criterion, np.eye(criterion.relcov.m)), size * criterion.relcov.diagonal)
    assert found.objective == pytest.approx(best.at.objective, abs=OBJECTIVE)


def test_leaves_the_saddle_at_zero():
    criterion = crossed(reml=False).criterion()
    best = minimize(criterion, 0.5 * criterion.relcov.diagonal)
    found = descend(Linear(criterion, np.eye(criterion.relcov.m)), np.zeros(criterion.relcov.m))
    assert found.objective == pytest.approx(best.at.objective, abs=OBJECTIVE)


def test_tied_parameters_end_where_no_tied_change_leads_down():
    criterion = growth(reml=False).criterion()
    J = np.array([[1.0, 0.0], [0.5, 0.0], [0.0, 1.0]])
    held = Linear(criterion, J)
    found = descend(held, np.array([0.5, 0.5]))
    assert found.objective >= minimize(criterion, J @ found.x).at.objective - OBJECTIVE
    rng = np.random.default_rng(2)
    for change in 0.02 * rng.normal(size=(20, 2)):
        assert held.evaluate(found.x + change).objective >= found.objective - OBJECTIVE
