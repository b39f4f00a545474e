"""The sampled criterion and its search, against fits that sample nothing."""

from __future__ import annotations

import numpy as np
import pytest

from interlace import pls
from interlace.pls.factor.iterative import IterativeFactorization
from interlace.pls.matrices.terms import GroupingFactor, RandomTerm
from interlace.pls.search import sampled
from interlace.pls.search.sampled import SampledCriterion, minimize_sampled


def crossed_data(*, users=300, items=120, rows=3_000, blocks=1, slopes=False, sd=(0.6, 0.5), seed=0):
    """Two crossed factors; in blocks, 98 of 100 rows stay within their own."""
    rng = np.random.default_rng(seed)
    user = rng.integers(0, users, rows)
    item = rng.integers(0, items // blocks, rows) * blocks
    item += np.where(rng.random(rows) < 0.98, user % blocks, rng.integers(0, blocks, rows))
    x = rng.normal(size=rows)
    y = 1.0 + 0.5 * x + rng.normal(size=rows)
    factors, terms = [], []
    for f, (codes, scale) in enumerate(zip((user, item), sd, strict=True)):
        codes = np.unique(codes, return_inverse=True)[1]
        n_levels, Xi = int(codes.max()) + 1, np.column_stack([np.ones(rows), x])[:, : 1 + slopes]
        y += (Xi * scale * rng.normal(size=(n_levels, 1 + slopes))[codes]).sum(axis=1)
        factors.append(GroupingFactor(codes, n_levels))
        terms.append(RandomTerm(f, Xi))
    return factors, terms, np.column_stack([np.ones(rows), x]), y


def standard_errors(fit):
    return np.sqrt(2.0 * np.diag(np.linalg.inv(fit.hessian_varpar())))[:-1]


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("slopes", [False, True])
def test_with_a_probe_for_every_column_the_optimum_is_the_exact_one(reml, slopes):
    data = crossed_data(users=80, items=30, rows=1_200, slopes=slopes)
    exact = pls.fit(*data, reml=reml, solver="blocked")
    found = pls.fit(*data, reml=reml, solver="iterative")
    assert found.monte_carlo.probes == 0
    assert found.monte_carlo.worst == 0.0
    assert found.certificate.certified
    # Solves end at residuals of 1e-6 and 1e-9.
    np.testing.assert_allclose(found.theta, exact.theta, atol=1e-5 * standard_errors(exact).min())
    np.testing.assert_allclose(found.beta, exact.beta, rtol=1e-7)
    np.testing.assert_allclose(found.vcov_beta, exact.vcov_beta, rtol=1e-5)
    assert found.objective == pytest.approx(exact.objective, rel=1e-9)


@pytest.mark.parametrize("slopes", [False, True])
def test_the_stated_error_is_the_true_one(slopes):
    data = crossed_data(slopes=slopes)
    exact = pls.fit(*data, solver="blocked")
    criterion = pls.profiled_criterion(*data, solver="iterative")
    off = []
    for seed in range(10):
        found = pls.fit_criterion(criterion.with_probes(16, seed + 1))
        off.append((found.theta - exact.theta) / found.monte_carlo.theta)
        assert found.monte_carlo.worst < sampled.WANTED_SHARE
    # Twenty numbers or sixty, dependent within a seed: half and twice are four standard deviations away.
    assert 0.5 < np.sqrt(np.mean(np.square(off))) < 2.0


def test_errors_of_the_other_estimates_follow_from_theta():
    data = crossed_data()
    exact = pls.fit(*data, solver="blocked")
    found = pls.fit(*data, solver="iterative")
    p, error = 2, np.sqrt(np.diagonal(found.monte_carlo.covariance))
    difference = np.concatenate([found.beta - exact.beta, [np.sqrt(found.sigma2) - np.sqrt(exact.sigma2)]])
    # One draw: within five of its standard deviations.
    assert (np.abs(difference) < 5.0 * np.concatenate([error[:p], error[-1:]]) + 1e-9).all()
    assert (error > 0.0).all()


def test_more_probes_follow_where_the_error_is_large():
    data = crossed_data(users=400, items=200, rows=4_000, blocks=20)
    found = pls.fit(*data, solver="iterative", probes=4)
    exact = pls.fit(*data, solver="blocked")
    assert found.monte_carlo.probes > 4
    assert found.monte_carlo.worst < sampled.WANTED_SHARE
    share = np.abs(found.theta - exact.theta) / standard_errors(exact)
    assert (share < 5.0 * sampled.WANTED_SHARE).all()


def test_probes_end_somewhere(monkeypatch):
    monkeypatch.setattr(sampled, "MOST_PROBES", 16)
    monkeypatch.setattr(sampled, "WANTED_SHARE", 0.0)
    criterion = pls.profiled_criterion(*crossed_data(), solver="iterative", probes=4)
    found = minimize_sampled(criterion, np.array([0.5, 0.5]), maxiter=50, callback=None)
    assert found.monte_carlo.probes == 16
    assert "with 16 probes" in found.verdict()["certificate"].sentence


def test_a_variance_of_zero_is_found_and_certified():
    data = crossed_data(sd=(0.6, 0.0), seed=1)
    exact, found = (pls.fit(*data, solver=solver) for solver in ("blocked", "iterative"))
    assert exact.is_singular  # the premise, of this seed
    assert found.is_singular
    assert found.certificate.certified
    np.testing.assert_allclose(found.theta, exact.theta, atol=0.05 * standard_errors(exact)[0])


def test_average_information_is_near_the_exact_hessian():
    data = crossed_data(users=80, items=30, rows=6_000)
    exact, found = (pls.fit(*data, solver=solver) for solver in ("blocked", "iterative"))
    # They differ by the scatter of observed about expected information: a share of about sqrt(2 / levels).
    shares = found.hessian_varpar() / exact.hessian_varpar()
    np.testing.assert_allclose(shares, 1.0, atol=3.0 * np.sqrt(2.0 / 30))
    gradients = found.vcov_beta_gradient(), exact.vcov_beta_gradient()
    np.testing.assert_allclose(*gradients, rtol=1e-4, atol=1e-6 * np.abs(gradients[1]).max())


def test_nested_factors_need_no_probes():
    factors, terms, X, y = crossed_data()
    schools = GroupingFactor(factors[0].codes // 10, 30)
    nested = pls.profiled_criterion([factors[0], schools], terms, X, y, solver="iterative")
    assert not isinstance(nested.factorization, IterativeFactorization)
    assert not isinstance(nested, SampledCriterion)
