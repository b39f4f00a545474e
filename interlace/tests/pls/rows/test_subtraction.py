"""The criterion and the fit without some rows are those of the other rows."""

from __future__ import annotations

import numpy as np
import pytest

from interlace.pls.rows.subtraction import refit_without, subtracted, without
from interlace.tests.oracle import by_definition
from interlace.tests.pls.dense import assert_close
from interlace.tests.pls.dense_rows import standing
from interlace.tests.pls.designs import DESIGNS, crossed, growth


def gone(here, kind):
    """Rows of one level of the first factor, which vanishes, or rows from everywhere."""
    if kind == "level":
        return np.flatnonzero(here.design.factors[0].codes == 2)
    return np.random.default_rng(9).choice(here.rows.n, 7, replace=False)


def remaining(here, own):
    """The design without the rows; levels may have none left."""
    return here.design.take(np.delete(np.arange(here.rows.n), own))


@pytest.mark.parametrize("kind", ["level", "rows"])
@pytest.mark.parametrize("name", DESIGNS)
def test_criterion_of_the_rest_by_definition(name, kind):
    here = standing(DESIGNS[name]())
    own = gone(here, kind)
    left, rest = without(here.criterion, here.rows, own), remaining(here, own)
    expected = by_definition(*rest.arrays, here.theta, **rest.options)
    # Bases stay those of all rows, so only rounding differs.
    assert left(here.theta) == pytest.approx(expected.criterion, rel=1e-10)


@pytest.mark.parametrize("kind", ["level", "rows"])
@pytest.mark.parametrize("maker", [growth, crossed])
def test_refit_is_the_fit_of_the_rest(maker, kind):
    here = standing(maker())
    own = gone(here, kind)
    found = refit_without(here.design.fit(), here.rows, here.raw, own)
    kept = np.delete(np.arange(here.rows.n), own)
    expected, _ = here.raw.fit(kept, here.theta, reml=here.design.reml)
    assert found.failure == ""
    assert found.certified
    # Both searches end within 1e-11 of deviance: parameters agree to some 1e-6 of their standard errors.
    assert found.objective == pytest.approx(expected.objective, abs=1e-8)
    assert_close(found.beta, expected.beta, 1e-5)
    assert_close(found.vcov_beta, expected.vcov_beta, 1e-5)
    assert found.sigma2 == pytest.approx(expected.sigma2, rel=1e-5)


def test_a_column_that_depends_on_others_without_the_rows_has_no_estimate():
    design = growth()
    X = np.column_stack([design.X, np.arange(len(design.y)) < 3])
    here = standing(design.changed(X=X.astype(float)))
    found = refit_without(here.design.fit(), here.rows, here.raw, np.arange(3))
    assert np.isnan(found.beta).tolist() == [False, False, True]
    expected = growth().take(np.arange(3, len(design.y))).fit()
    assert_close(found.beta[:2], expected.beta, 1e-5)


def test_why_there_is_no_fit_is_said():
    design = crossed()
    here = standing(design)
    found = refit_without(design.fit(), here.rows, here.raw, np.arange(2, here.rows.n))
    assert found.failure
    assert not found.certified
    assert np.isnan(found.beta).all()


@pytest.mark.parametrize("name", DESIGNS)
def test_cross_products_are_subtracted(name):
    here = standing(DESIGNS[name]())
    some = np.arange(0, here.rows.n, 3)
    others = np.delete(np.arange(here.rows.n), some)
    found = subtracted(here.rows.products(), here.rows.take(some).products())
    expected = here.rows.take(others).products()
    assert_close(found.A.toarray(), expected.A.toarray(), 1e-12)
    assert_close(found.B, expected.B, 1e-11)
    assert found.n == expected.n
