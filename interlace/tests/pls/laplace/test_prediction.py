"""Predictions, draws and residuals of rows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import integrate, stats

from interlace.pls import fit as fit_linear
from interlace.pls.laplace.prediction import (
    NewRows,
    draws,
    linear_predictor,
    linear_variance,
    marginal_mean,
    random_variance,
    residuals,
)
from interlace.pls.rows.predictive import prediction_variance
from interlace.pls.rows.weighted import rows_of

from .small import FAMILIES, small


def rows_in(model) -> NewRows:
    codes = [factor.codes for factor in model.factors]
    return NewRows(codes, model.terms, model.X, model.options["offset"])


@pytest.mark.parametrize("name", FAMILIES)
def test_linear_predictor_of_the_data_is_the_fits(name):
    model = small(name, n=80)
    found = model.fit()
    # Cells are the rows here, in their order of first appearance among equal ones.
    eta = linear_predictor(found, rows_in(model))
    np.testing.assert_allclose(np.sort(eta), np.sort(found.at.modes.eta), atol=1e-8)


def test_variance_with_known_theta_is_hendersons():
    model = small("gaussian identity", "crossed, vector first", n=120)
    offset = model.options["offset"]
    linear = fit_linear(model.factors, model.terms, model.X, model.y, offset=offset, reml=False)
    criterion = linear.criterion
    at = criterion.decompose(linear.optimum.phi)
    rows = rows_of(criterion, model.factors, model.terms, model.X, model.y, offset=offset)
    expected = linear.sigma2 * prediction_variance(criterion, at, rows)
    found = linear_variance(model.fit(), rows_in(model), kind="working")
    # The two searches agree to 1e-4 of standard errors.
    np.testing.assert_allclose(found, expected, rtol=1e-3)


def test_full_variance_is_that_of_the_fixed_effects_without_random_ones():
    model = small("logit", n=120)
    found = model.fit()
    for kind in ("full", "working"):
        expected = np.einsum("ni,ij,nj->n", model.X, found.vcov_beta(kind), model.X)
        variance = linear_variance(found, rows_in(model), random=False, kind=kind)
        np.testing.assert_allclose(variance, expected, rtol=1e-6)


def test_uncertain_theta_adds_to_the_variance():
    model = small("poisson", "crossed scalars", n=150, seed=3)
    found = model.fit()
    full, working = (linear_variance(found, rows_in(model), kind=kind) for kind in ("full", "working"))
    assert full.mean() > working.mean()


def test_levels_not_seen_have_no_mode_and_all_their_variance():
    model = small("logit", "one vector", n=80)
    found = model.fit()
    rows = rows_in(model)
    unseen = replace(rows, codes=[np.full(80, -1)])
    np.testing.assert_allclose(
        linear_predictor(found, unseen), linear_predictor(found, rows, random=False), rtol=1e-12
    )
    z = model.terms[0].Xi
    extra = np.einsum("na,ab,nb->n", z, found.Sigma[0], z)
    np.testing.assert_allclose(random_variance(found, rows), extra)
    np.testing.assert_allclose(random_variance(found, rows, unseen=True), 0.0)
    fixed = np.einsum("ni,ij,nj->n", model.X, found.vcov_beta(), model.X)
    np.testing.assert_allclose(linear_variance(found, unseen), fixed + extra, rtol=1e-6)


@pytest.mark.parametrize("name", ["logit", "probit", "poisson"])
def test_marginal_means_are_integrals_over_the_random_effects(name):
    model = small(name, "one scalar", n=80)
    found = model.fit()
    rows = rows_in(model)
    eta, sd = linear_predictor(found, rows, random=False)[0], np.sqrt(random_variance(found, rows)[0])

    def density(z):
        return found.family.mean(np.array([eta + sd * z]), found.psi)[0] * stats.norm.pdf(z)

    expected = integrate.quad(density, -12, 12, epsabs=1e-13, limit=200)[0]
    assert marginal_mean(found, rows)[0] == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("name", ["logit", "nb2", "gamma", "ordinal probit"])
def test_draws_have_the_mean_of_the_model(name):
    model = small(name, "one scalar", n=60)
    found = model.fit()
    rows, trials = rows_in(model), model.options.get("trials")
    rng = np.random.default_rng(0)
    m = np.ones(60) if trials is None else trials
    for conditional in (False, True):
        y = np.array([draws(found, rows, rng, trials=trials, conditional=conditional) for _ in range(3000)])
        expected = found.family.mean(linear_predictor(found, rows), found.psi)
        if not conditional:
            expected = marginal_mean(found, rows)
        error = y.std(axis=0) / np.sqrt(3000)
        # five standard errors, of 60 means each
        assert (np.abs(y.mean(axis=0) - m * expected) < 5.0 * error).all()


@pytest.mark.parametrize("name", FAMILIES)
def test_quantile_residuals_of_the_truth_are_normal(name):
    model = small(name, "one scalar", n=60)
    found = model.fit()
    rng = np.random.default_rng(1)
    eta, m = np.linspace(-1, 1, 5000), np.full(5000, 3.0)
    trials = m if found.family.name == "binomial" else None
    y = found.family.draw(rng, m, eta, found.psi)
    z = residuals(found, eta, y, "quantile", trials=trials, rng=rng)
    # A p-value that a true null falls below once in a thousand times.
    assert stats.kstest(z, "norm").pvalue > 1e-3


def test_residuals_of_a_bernoulli_row():
    found = small("logit", "one scalar").fit()
    eta, y = np.array([0.0]), np.array([1.0])
    assert residuals(found, eta, y, "response")[0] == pytest.approx(0.5)
    assert residuals(found, eta, y, "pearson")[0] == pytest.approx(1.0)
    assert residuals(found, eta, y, "deviance")[0] == pytest.approx(np.sqrt(2.0 * np.log(2.0)))


@pytest.mark.parametrize("kind", ["quantile", "working"])
def test_residuals_that_cannot_be_are_refused(kind):
    with pytest.raises(ValueError, match="wanted response, pearson"):
        residuals(small("logit", "one scalar").fit(), np.zeros(1), np.ones(1), kind)
