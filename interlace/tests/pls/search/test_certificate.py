"""The certificate says yes at optima, and no everywhere else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from interlace.pls import GroupingFactor, RandomTerm, fit
from interlace.pls.search.certificate import certify
from interlace.pls.search.optimize import minimize
from interlace.tests.pls.dense import assert_close
from interlace.tests.pls.designs import DESIGNS, one_way, singular


def optimum_of(criterion, **keywords):
    return minimize(criterion, 0.5 * criterion.relcov.diagonal, **keywords)


def pretended(criterion, phi):
    """Some point, declared an optimum by a search that did not look."""
    optimum = optimum_of(criterion)
    at = criterion.decompose(phi)
    return replace(optimum, at=at, phi=phi, derivatives=criterion.derivatives(at), converged=True)


@pytest.mark.parametrize("name", DESIGNS)
def test_yes_at_an_optimum(name):
    criterion = DESIGNS[name]().criterion()
    optimum = optimum_of(criterion)
    found = certify(criterion, optimum)
    assert found.certified
    assert found.expected_decrease == optimum.expected_decrease < 1e-9
    assert found.sentence == str(found)
    assert found.sentence.startswith(f"Certified optimum after {optimum.nit} iterations: gradient ")
    # What is left of the gradient promises less than the search's tolerance of deviance.
    assert np.abs(found.gradient).max() < 1e-3
    assert_close(found.gradient, criterion.gradient(criterion.relcov.from_basis @ optimum.phi), 1e-6)


def test_no_when_the_search_was_cut_short():
    criterion = DESIGNS["crossed"]().criterion()
    optimum = optimum_of(criterion, maxiter=1)
    found = certify(criterion, optimum)
    assert not found.certified
    assert found.expected_decrease > 1e-6
    assert found.sentence.startswith(
        "Not a certified optimum after 1 iterations (no optimum within 1 iterations): gradient "
    )


def test_no_at_a_saddle():
    """At theta = 0 the gradient vanishes although the variance is positive."""
    criterion = one_way().criterion()
    found = certify(criterion, pretended(criterion, np.zeros(1)))
    assert not found.gradient.any()
    assert found.least_eigenvalue < 0
    assert found.boundary[0] < -1.0
    assert not found.certified
    assert f"1 term(s) on the boundary, slope there {found.boundary[0]:+.2g}" in found.sentence


def test_boundary_is_the_slope_in_the_variance():
    criterion = one_way().criterion()
    found = certify(criterion, pretended(criterion, np.zeros(1)))
    # A parameter of 1e-3 is a variance of 1e-6, where the second order is a millionth of the first.
    slope = (
        criterion.decompose(np.array([1e-3])).objective - criterion.decompose(np.zeros(1)).objective
    ) / 1e-6
    assert found.boundary[0] == pytest.approx(slope, rel=1e-3)


def test_boundary_of_regular_terms_is_infinite():
    criterion = DESIGNS["crossed"]().criterion()
    found = certify(criterion, optimum_of(criterion))
    assert found.boundary == (np.inf, np.inf)
    assert "boundary" not in found.sentence


def test_boundary_of_singular_terms_rises():
    criterion = singular().criterion()
    found = certify(criterion, optimum_of(criterion))
    assert found.certified
    assert found.boundary[0] == pytest.approx(min(found.boundary), rel=0)
    assert found.boundary[0] > -1e-2
    assert f"1 term(s) on the boundary, slope there {found.boundary[0]:+.2g}" in found.sentence


def test_variances_that_the_data_cannot_tell_apart_are_said_to_be_unidentified():
    rng = np.random.default_rng(0)
    codes = np.repeat(np.arange(8), 10)
    y = rng.normal(size=80) + 2.0 * rng.normal(size=8)[codes]
    factor, intercept = GroupingFactor(codes, 8), RandomTerm(0, np.ones((80, 1)))
    means = (codes[:, None] == np.arange(8)).astype(float)
    told = fit([factor], [intercept], np.ones((80, 1)), y).certificate
    twice = fit([factor], [intercept, intercept], np.ones((80, 1)), y).certificate
    fixed_too = fit([factor], [intercept], means, y).certificate
    assert "not every covariance parameter is identified" not in told.sentence
    assert "not every covariance parameter is identified" in twice.sentence
    assert "not every covariance parameter is identified" in fixed_too.sentence
