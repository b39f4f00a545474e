"""Families against SciPy's distributions, central differences and statsmodels' deviances."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import integrate, special, stats

from interlace.family import Binomial, Gamma, Gaussian, NegativeBinomial, Ordinal, Poisson
from interlace.family.negative_binomial import _rising as rising

FAMILIES = {
    "logit": (Binomial("logit"), []),
    "probit": (Binomial("probit"), []),
    "cloglog": (Binomial("cloglog"), []),
    "poisson": (Poisson(), []),
    "nb2": (NegativeBinomial(), [0.4]),
    "gamma": (Gamma(), [0.7]),
    "gaussian log": (Gaussian("log"), [-0.3]),
    "gaussian identity": (Gaussian("identity"), [-0.3]),
    "ordinal logit": (Ordinal("logit", 4), [-1.0, 0.2, 1.5]),
    "ordinal probit": (Ordinal("probit", 4), [-1.0, 0.2, 1.5]),
}
# Fourth-order differences with a step of 1e-3 are right to some 1e-12 of the function.
DIFFERENCE = 1e-9


def rows(name, n=200, spread=1.5):
    """Responses, trials and predictors of a family; two rows of three have several trials or occurrences."""
    family, psi = FAMILIES[name][0], np.array(FAMILIES[name][1])
    rng = np.random.default_rng(7)
    m = rng.integers(1, 4, size=n).astype(float)
    eta = rng.normal(scale=spread, size=n)
    y = family.draw(rng, m, rng.normal(size=n), psi)
    return family, y, m, eta, psi


def difference(f, h=1e-3):
    """Fourth-order central difference at 0."""
    return (f(-2 * h) - 8 * f(-h) + 8 * f(h) - f(2 * h)) / (12 * h)


def assert_derivative(found, f):
    expected = difference(f)
    np.testing.assert_allclose(
        found, expected, rtol=DIFFERENCE, atol=DIFFERENCE * max(np.abs(expected).max(), 1e-3)
    )


@pytest.mark.parametrize("name", FAMILIES)
def test_derivatives_by_eta(name):
    family, y, m, eta, psi = rows(name)
    _, s, w = family.terms(y, m, eta, psi)
    assert_derivative(s, lambda h: family.terms(y, m, eta + h, psi)[0])
    assert_derivative(w, lambda h: -family.terms(y, m, eta + h, psi)[1])
    assert_derivative(family.third(y, m, eta, psi), lambda h: family.terms(y, m, eta + h, psi)[2])


@pytest.mark.parametrize("name", [name for name in FAMILIES if FAMILIES[name][1]])
def test_derivatives_by_psi(name):
    family, y, m, eta, psi = rows(name)
    found = family.psi_terms(y, m, eta, psi)
    for j, unit in enumerate(np.eye(len(psi))):
        for value, which in ((found.loglik, 0), (found.s, 1), (found.w, 2)):

            def along(h, which=which, unit=unit):
                return family.terms(y, m, eta, psi + h * unit)[which]

            assert_derivative(value[j], along)
        assert_derivative(
            found.curvature[j],
            lambda h, unit=unit: family.psi_terms(y, m, eta, psi + h * unit).loglik.sum(axis=1),
        )


def test_families_without_psi_have_no_derivatives_by_it():
    found = Poisson().psi_terms(np.ones(3), np.ones(3), np.zeros(3), np.zeros(0))
    assert found.loglik.shape == (0, 3)
    assert found.curvature.shape == (0, 0)


def distribution(name, m, eta):
    """The same distribution of SciPy's, at one row."""
    psi = FAMILIES[name][1]
    mu = np.exp(eta)
    inverse = {"logit": special.expit, "probit": stats.norm.cdf, "cloglog": lambda x: 1 - np.exp(-np.exp(x))}
    if name in inverse:
        return stats.binom(m, inverse[name](eta))
    if name == "poisson":
        return stats.poisson(mu)
    if name == "nb2":
        size = np.exp(psi[0])
        return stats.nbinom(size, size / (size + mu))
    if name == "gamma":
        return stats.gamma(np.exp(psi[0]), scale=mu / np.exp(psi[0]))
    return stats.norm(mu if name == "gaussian log" else eta, np.exp(psi[0]))


@pytest.mark.parametrize("name", [name for name in FAMILIES if "ordinal" not in name])
def test_likelihood_mean_variance_and_distribution_are_scipys(name):
    family, y, m, eta, psi = rows(name, n=20)
    ones = np.ones(len(y))
    count = m if family.name == "binomial" else ones
    of_rows = [distribution(name, *row) for row in zip(count, eta, strict=True)]
    discrete = hasattr(of_rows[0], "logpmf") and family.name not in ("gamma", "gaussian")
    expected = [d.logpmf(v) if discrete else d.logpdf(v) for d, v in zip(of_rows, y, strict=True)]
    # 1e-9: SciPy's own logarithms cancel to that.
    np.testing.assert_allclose(family.loglik(y, count, eta, psi), expected, rtol=1e-9, atol=1e-10)
    mu = family.mean(eta, psi)
    np.testing.assert_allclose(mu * count, [d.mean() for d in of_rows], rtol=1e-12)
    np.testing.assert_allclose(family.variance(mu, psi) * count, [d.var() for d in of_rows], rtol=1e-10)
    before, at = family.cumulative(y, count, eta, psi)
    np.testing.assert_allclose(at, [d.cdf(v) for d, v in zip(of_rows, y, strict=True)], rtol=1e-9)
    below = [d.cdf(v - 1) if discrete else d.cdf(v) for d, v in zip(of_rows, y, strict=True)]
    np.testing.assert_allclose(before, below, rtol=1e-9, atol=1e-15)
    assert_derivative(family.mean_slope(eta, psi), lambda h: family.mean(eta + h, psi))


@pytest.mark.parametrize("link", ["logit", "probit"])
def test_categories_share_all_probability_as_the_latent_distribution_says(link):
    family, psi = Ordinal(link, 4), np.array([-1.0, 0.2, 1.5])
    eta = np.linspace(-4, 4, 9)
    F = stats.logistic.cdf if link == "logit" else stats.norm.cdf
    bounds = np.column_stack([np.zeros(9), F(psi - eta[:, None]), np.ones(9)])
    expected = np.diff(bounds, axis=1)
    np.testing.assert_allclose(family.probabilities(eta, psi), expected, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(family.mean(eta, psi), expected @ np.arange(4), rtol=1e-12)
    assert_derivative(family.mean_slope(eta, psi), lambda h: family.mean(eta + h, psi))
    for k in range(4):
        before, at = family.cumulative(np.full(9, float(k)), np.ones(9), eta, psi)
        np.testing.assert_allclose(before, bounds[:, k], rtol=1e-12, atol=1e-300)
        np.testing.assert_allclose(at, bounds[:, k + 1], rtol=1e-12)


def test_thresholds_out_of_order_are_impossible():
    value = Ordinal("logit", 3).terms(np.array([1.0]), np.ones(1), np.zeros(1), np.array([1.0, 0.5]))[0]
    assert value[0] == -np.inf


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("far", [-800.0, -40.0, 40.0, 800.0])
def test_nothing_overflows(name, far):
    family, y, m, _, psi = rows(name, n=30)
    eta = np.full(30, far)
    value, s, w = family.terms(y, m, eta, psi)
    # A likelihood may be 0 (minus infinity), but nothing may be undefined, and weights of concave families
    # are not negative.
    assert not np.isnan(value).any()
    assert (value < np.inf).all()
    if abs(far) < 100:
        assert np.isfinite(s).all()
        assert np.isfinite(family.third(y, m, eta, psi)).all()
        if family.concave:
            # 1e-9 of the slope: off the canonical link w is a difference of two larger numbers.
            assert (w >= -1e-9 * np.maximum(np.abs(s), 1.0)).all()


@pytest.mark.parametrize(
    ("name", "theirs"),
    [
        ("logit", sm.families.Binomial()),
        ("poisson", sm.families.Poisson()),
        ("nb2", sm.families.NegativeBinomial(alpha=np.exp(-0.4))),
        ("gamma", sm.families.Gamma(sm.families.links.Log())),
    ],
)
def test_deviance_residuals_are_statsmodels(name, theirs):
    family, y, _, eta, psi = rows(name, n=50, spread=0.7)
    ones = np.ones(50)
    if family.name == "binomial":
        y = np.minimum(y, 1.0)
    mu = family.mean(eta, psi)
    expected = theirs.resid_dev(y, mu)
    if name == "gamma":  # theirs lacks the shape
        expected = expected * np.exp(0.5 * psi[0])
    np.testing.assert_allclose(family.deviance_residuals(y, ones, eta, psi), expected, rtol=1e-7, atol=1e-7)
    pearson = (y - mu) / np.sqrt(family.variance(mu, psi))
    np.testing.assert_allclose(family.pearson(y, ones, eta, psi), pearson, rtol=1e-12)


@pytest.mark.parametrize("name", FAMILIES)
def test_no_predictor_beats_the_saturated_likelihood(name):
    family, y, m, eta, psi = rows(name)
    lacking = family.saturated(y, m, psi) - family.loglik(y, m, eta, psi)
    assert (lacking > -1e-10).all()
    if "gaussian" not in name:  # a log link does not reach a response below 0
        grid = np.linspace(-30, 30, 6001)
        best = [family.loglik(*np.broadcast_arrays(y[i], m[i], grid), psi).max() for i in range(5)]
        # The grid misses the maximum by at most w times the square of half its step.
        np.testing.assert_allclose(best, family.saturated(y, m, psi)[:5], atol=2e-3)


@pytest.mark.parametrize("name", ["logit", "probit", "cloglog", "poisson", "gamma", "ordinal logit"])
@pytest.mark.parametrize("variance", [0.0, 0.3, 4.0])
def test_marginal_means_are_integrals(name, variance):
    family, psi = FAMILIES[name][0], np.array(FAMILIES[name][1])
    eta = np.array([-2.0, 0.1, 1.3])
    found = family.marginal_mean(eta, np.full(3, variance), psi)
    for at, value in zip(eta, found, strict=True):

        def density(z, at=at):
            mean = family.mean(np.array([at + np.sqrt(variance) * z]), psi)[0]
            return mean * stats.norm.pdf(z)

        expected = integrate.quad(density, -12, 12, epsabs=1e-13, epsrel=1e-12, limit=200)[0]
        # 1e-7: 101 nodes over a standard deviation of 2 on the logit scale.
        assert value == pytest.approx(expected, rel=1e-7)


@pytest.mark.parametrize("name", FAMILIES)
def test_draws_have_the_mean(name):
    family, psi = FAMILIES[name][0], np.array(FAMILIES[name][1])
    n = 40_000
    y = family.draw(np.random.default_rng(3), np.ones(n), np.full(n, 0.4), psi)
    mean = family.mean(np.array([0.4]), psi)[0]
    # five standard errors of the mean
    assert abs(y.mean() - mean) < 5.0 * y.std() / np.sqrt(n)


@pytest.mark.parametrize("name", FAMILIES)
def test_starts_are_finite(name):
    family, y, m, _, psi = rows(name)
    assert np.isfinite(family.start_eta(y, m)).all()
    assert family.start_psi(y, m).shape == psi.shape
    assert np.isfinite(family.start_psi(y, m)).all()
    assert family.complaint(y, m) == ""


@pytest.mark.parametrize(
    ("family", "y", "complaint"),
    [
        (Binomial(), [0.0, 2.0], "more successes than trials"),
        (Binomial(), [0.0, 0.5], "not made of counts"),
        (Poisson(), [0.0, -1.0], "not made of counts"),
        (NegativeBinomial(), [np.nan, 1.0], "not made of counts"),
        (Gamma(), [0.0, 1.0], "not positive"),
        (Gaussian(), [-3.0, 1.0], "must be positive"),
        (Gaussian("identity"), [np.inf, 1.0], "not finite"),
        (Ordinal("logit", 3), [0.0, 2.0], "wanted every one of 0 to 2"),
    ],
)
def test_impossible_responses_are_named(family, y, complaint):
    assert complaint in family.complaint(np.array(y), np.ones(2))


def test_unknown_links_are_refused():
    with pytest.raises(ValueError, match="wanted one of"):
        Binomial("log")


def test_variance_of_categories_is_refused():
    with pytest.raises(ValueError, match="probabilities"):
        Ordinal("logit", 3).variance(np.zeros(1), np.zeros(2))


@pytest.mark.parametrize("size", [0.5, 29.9, 30.1, 1e3, 1e6, 1e12])
def test_rising_factorials_keep_their_digits(size):
    y = np.array([0.0, 1.0, 2.0, 7.0, 300.0])
    ratios = [np.arange(count) / size for count in y.astype(int)]
    expected = (
        [np.log1p(j).sum() for j in ratios],
        [-(j / (1.0 + j)).sum() for j in ratios],
        [(j / (1.0 + j) ** 2).sum() for j in ratios],
    )
    for found, sums in zip(rising(y, size), expected, strict=True):
        # Rounding of gamma functions of some hundred.
        np.testing.assert_allclose(found, sums, rtol=1e-11, atol=1e-11)


def test_negative_binomial_of_infinite_size_is_poisson():
    y, eta = np.arange(8.0), np.linspace(-1.0, 2.0, 8)
    m, psi = np.ones(8), np.array([np.log(1e13)])
    for found, expected in zip(
        NegativeBinomial().terms(y, m, eta, psi),
        (Poisson().loglik(y, m, eta, psi), *Poisson().terms(y, m, eta, psi)[1:]),
        strict=True,
    ):
        # Of the order of mu^2 / size.
        np.testing.assert_allclose(found, expected, rtol=1e-11)
    assert "no overdispersion" in NegativeBinomial().limit(psi)
    assert not NegativeBinomial().limit(np.array([3.0]))
    assert not Poisson().limit(np.empty(0))
