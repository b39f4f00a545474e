"""What must not change a generalised fit, what must change it in a known way, and its limits."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm

from interlace.family import Binomial
from interlace.pls import fit
from interlace.pls.laplace import fit_laplace
from interlace.tests.strategies import SOLVERS

from .bank import model
from .small import FAMILIES, small

# Searches end within 1e-10 of the minimum, modes within 1e-9: the deviance is right to
DEVIANCE = 1e-8
# and parameters, whose error is the root of that, to
PARAMETERS = 1e-4


def assert_same_fit(found, expected, constant=0.0):
    assert found.objective + constant == pytest.approx(expected.objective, abs=DEVIANCE)
    for a, b in ((found.theta, expected.theta), (found.beta, expected.beta), (found.psi, expected.psi)):
        np.testing.assert_allclose(a, b, atol=PARAMETERS * max(1.0, np.abs(b).max(initial=0.0)))


@pytest.mark.parametrize("name", FAMILIES)
def test_order_of_rows_does_not_matter(name):
    one = small(name, n=120)
    rows = np.random.default_rng(0).permutation(120)
    assert_same_fit(one.take(rows).fit(), one.fit())


@pytest.mark.parametrize("name", FAMILIES)
def test_a_row_of_weight_two_is_the_row_twice(name):
    one = small(name, "crossed scalars", n=90)
    counts = np.random.default_rng(1).integers(1, 4, size=90)
    twice = one.take(np.repeat(np.arange(90), counts))
    weighted = one.changed(options={**one.options, "weights": counts.astype(float)})
    found, expected = weighted.fit(), twice.fit()
    assert_same_fit(found, expected)
    assert expected.n == counts.sum()
    assert found.cells == expected.cells == 90  # the doubles were found


@pytest.mark.parametrize("name", ["logit", "poisson", "ordinal logit", "nb2"])
def test_aggregated_rows_are_the_rows(name, monkeypatch):
    base = small(name, "crossed scalars", n=200)
    flat = {key: np.round(value) for key, value in base.options.items()}
    coarse = base.changed(X=np.round(base.X), options=flat)
    found = coarse.fit()
    monkeypatch.setattr("interlace.pls.laplace.aggregate.WORTH", -1.0)  # never worth while
    expected = coarse.fit()
    assert found.cells < expected.cells == 200
    assert_same_fit(found, expected)


@pytest.mark.parametrize("link", ["logit", "probit"])
def test_failures_for_successes_flip_the_signs(link):
    one = small(link, n=120)
    options = {**one.options, "offset": -one.options["offset"]}
    found = one.changed(y=one.options["trials"] - one.y, options=options).fit()
    expected = one.fit()
    assert found.objective == pytest.approx(expected.objective, abs=DEVIANCE)
    np.testing.assert_allclose(found.beta, -expected.beta, atol=PARAMETERS)
    np.testing.assert_allclose(found.b[0], -expected.b[0], atol=PARAMETERS)


def test_bernoulli_rows_and_their_counts_differ_by_the_binomial_coefficient():
    one = small("logit", n=60)
    trials = one.options["trials"].astype(int)
    rows = np.repeat(np.arange(60), trials)
    first = np.concatenate([np.arange(t) for t in trials])
    single = one.take(rows).changed(y=(first < one.y[rows]).astype(float))
    single = single.changed(options={"offset": single.options["offset"]})
    constant = 2.0 * Binomial().constant(one.y, one.options["trials"]).sum()
    assert_same_fit(one.fit(), single.fit(), constant)


def test_exposure_is_an_offset():
    one = small("poisson", "one scalar", n=80)
    exposure = np.random.default_rng(2).integers(1, 5, size=80)
    offset = one.changed(options={"offset": np.log(exposure)})
    # m rows of one eta: counts that sum to y have the likelihood of y at exposure m, but for constants.
    y = one.y
    rows = np.repeat(np.arange(80), exposure)
    first = np.concatenate([np.arange(t) for t in exposure]) == 0
    split = one.take(rows).changed(options={})
    found = split.changed(y=np.where(first, y[rows], 0.0)).fit()
    expected = offset.fit()
    constant = -2.0 * (y * np.log(exposure)).sum()
    assert_same_fit(found, expected, constant)


@pytest.mark.parametrize("name", ["logit", "probit", "cloglog", "poisson"])
def test_without_random_effects_it_is_a_glm(name):
    one = small(name, "one scalar", n=100)
    none = one.changed(y=np.random.default_rng(5).permutation(one.y % 2))
    trials = none.options.get("trials", np.ones(100))
    links = {
        "logit": sm.families.Binomial(),
        "probit": sm.families.Binomial(sm.families.links.Probit()),
        "cloglog": sm.families.Binomial(sm.families.links.CLogLog()),
        "poisson": sm.families.Poisson(),
    }
    y = none.y if name == "poisson" else np.column_stack([none.y, trials - none.y])
    theirs = sm.GLM(y, none.X, family=links[name], offset=none.options["offset"]).fit(tol=1e-12)
    problem = none.problem()
    x = np.concatenate([[0.0], problem.gamma(theirs.params)])
    at = problem.criterion.evaluate(x, tolerance=1e-12)
    now = problem.criterion.slopes(at)
    assert at.objective == pytest.approx(-2.0 * theirs.llf, rel=1e-12)
    # At its maximum the likelihood is flat in the fixed effects.
    np.testing.assert_allclose(now.gradient, 0.0, atol=1e-6)


@pytest.mark.parametrize("shape", ["one vector", "crossed scalars", "crossed, vector first", "nested"])
def test_the_gaussian_family_is_the_linear_model(shape):
    one = small("gaussian identity", shape, n=120)
    offset = one.options["offset"]
    expected = fit(one.factors, one.terms, one.X, one.y, offset=offset, reml=False)
    found = one.fit()
    sigma = np.sqrt(expected.sigma2)
    assert found.objective == pytest.approx(expected.objective, abs=DEVIANCE)
    assert np.exp(found.psi[0]) == pytest.approx(sigma, rel=PARAMETERS)
    np.testing.assert_allclose(found.theta, sigma * expected.theta, atol=PARAMETERS)
    np.testing.assert_allclose(found.beta, expected.beta, atol=PARAMETERS)
    for a, b in zip(found.b, expected.b, strict=True):
        np.testing.assert_allclose(a, b, atol=PARAMETERS)
    # 1e-3: the fixed effects' covariance does not depend on theta in first order, but a little on sigma.
    np.testing.assert_allclose(found.vcov_beta("working"), expected.vcov_beta, rtol=1e-3)
    for a, b in zip(found.condvar(), expected.condvar(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("name", ["logit", "poisson"])
def test_solvers_agree(name, solver):
    one = small(name, "three crossed", n=150)
    assert_same_fit(one.fit(solver=solver), one.fit())


def test_columns_may_be_scaled_and_shifted():
    one = small("poisson", "one vector", n=120)
    change = np.array([[1.0, 1000.0], [0.0, 7.0]])
    moved = one.changed(terms=(type(one.terms[0])(0, one.terms[0].Xi @ change),), X=one.X @ change)
    found, expected = moved.fit(), one.fit()
    assert found.objective == pytest.approx(expected.objective, abs=DEVIANCE)
    np.testing.assert_allclose(change @ found.beta, expected.beta, atol=PARAMETERS)
    np.testing.assert_allclose(found.b[0] @ change.T, expected.b[0], atol=PARAMETERS)


def test_order_of_factors_and_terms_does_not_matter():
    one = small("logit", "crossed, vector first", n=120)
    swapped = one.changed(
        factors=one.factors[::-1],
        terms=(type(one.terms[1])(0, one.terms[1].Xi), type(one.terms[0])(1, one.terms[0].Xi)),
    )
    found, expected = swapped.fit(), one.fit()
    assert found.objective == pytest.approx(expected.objective, abs=DEVIANCE)
    np.testing.assert_allclose(found.b[0], expected.b[1], atol=PARAMETERS)
    np.testing.assert_allclose(found.Lambda[1], expected.Lambda[0], atol=PARAMETERS)


def test_a_start_at_the_optimum_ends_there():
    one = model("cbpp")
    expected = one.fit()
    start = np.concatenate([expected.theta, expected.beta, expected.psi])
    found = one.fit(start=start)
    assert found.optimum.nit <= 1
    assert_same_fit(found, expected)


def test_nothing_given_is_changed():
    one = small("poisson", n=80)
    before = [array.copy() for array in (one.X, one.y, one.options["offset"], one.terms[0].Xi)]
    fit_laplace(*one.arrays, **one.options)
    for a, b in zip(before, (one.X, one.y, one.options["offset"], one.terms[0].Xi), strict=True):
        np.testing.assert_array_equal(a, b)
