"""The criterion from the rows: the same where cross-products have digits, right elsewhere."""

from __future__ import annotations

import numpy as np
import pytest

from interlace.pls import GroupingFactor, RandomTerm, fit
from interlace.pls.search.exact import Rows, criterion_error
from interlace.tests.pls.designs import DESIGNS


def rows_of(problem):
    factors, terms, X, y = problem.arrays
    offset = problem.options.get("offset")
    return Rows(factors, terms, X, y if offset is None else y - offset, problem.options.get("weights"))


@pytest.mark.parametrize("name", DESIGNS)
def test_the_same_number_from_rows_and_from_cross_products(name):
    problem = DESIGNS[name]()
    found = problem.fit()
    objective = rows_of(problem).objective(found.criterion, found.optimum.at)
    # Two ways to a sum of some hundred logarithms, well conditioned.
    assert objective == pytest.approx(found.objective, rel=1e-11, abs=1e-9)
    assert found.certificate.error < 1e-8


def one_way(sd):
    """Random intercepts of a standard deviation of sd times the residuals'."""
    rng = np.random.default_rng(1)
    g = rng.integers(0, 20, 200)
    y = sd * rng.normal(size=20)[g] + rng.normal(size=200)
    return [GroupingFactor(g, 20)], [RandomTerm(0, np.ones((200, 1)))], np.ones((200, 1)), y


def in_closed_form(arrays, found):
    """The REML criterion of a one-way layout at the estimates, in extended precision."""
    (factor,), _, _, y = arrays
    y = y.astype(np.longdouble)
    groups = [y[factor.codes == level] for level in range(factor.n_levels)]
    count = np.array([len(group) for group in groups], dtype=np.longdouble)
    mean = np.array([group.mean() for group in groups])
    t = np.longdouble(found.theta[0]) ** 2
    w = count / (1 + t * count)
    between = (w * (mean - (w * mean).sum() / w.sum()) ** 2).sum()
    r2 = ((y - mean[factor.codes]) ** 2).sum() + between
    nu = len(y) - 1
    value = (
        np.log1p(t * count).sum() + np.log(w.sum()) + nu * (1 + np.log(2 * np.longdouble(np.pi) * r2 / nu))
    )
    return float(value)


@pytest.mark.parametrize("sd", [1e2, 1e3, 1e4, 1e5, 1e6])
def test_the_error_that_is_told_is_the_error(sd):
    arrays = one_way(sd)
    found = fit(*arrays)
    truth = in_closed_form(arrays, found)
    # The rows as doubles determine the criterion to 1e-16 times the ratio of standard deviations, per row.
    known_to = 200 * 2e-16 * sd + 1e-9
    error = abs(found.objective - truth)
    assert error < found.certificate.error + known_to
    objective = Rows(*arrays, None).objective(found.criterion, found.optimum.at)
    assert objective == pytest.approx(truth, abs=known_to)


def test_nothing_is_certified_below_a_large_error():
    """At a ratio of a million the criterion of cross-products is wrong in the second decimal."""
    found = fit(*one_way(1e6))
    assert found.certificate.error > 1e-2
    assert not found.certificate.certified
    assert "rounding leaves an error of" in found.certificate.sentence
    assert "near interpolation, the residual variance being" in found.certificate.sentence


def test_without_rows_an_error_is_estimated():
    found = fit(*one_way(1e6))
    estimate = criterion_error(found.criterion, found.optimum, None)
    # An estimate: its size is all that it says.
    assert 0.1 < estimate / found.certificate.error < 100.0


def test_ordinary_fits_do_not_pay(monkeypatch):
    monkeypatch.setattr(Rows, "objective", None)
    assert fit(*one_way(3.0)).certificate.certified
