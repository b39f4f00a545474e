"""From terms to a fit: what the record holds, and that it stays so."""

from __future__ import annotations

import pickle
from copy import deepcopy
from dataclasses import FrozenInstanceError, fields, is_dataclass

import numpy as np
import pytest

from interlace.pls import GroupingFactor, PLSFit, RandomTerm, fit, fit_criterion, profiled_criterion
from interlace.pls.matrices import crossproducts
from interlace.tests.oracle import by_definition, lower_triangles
from interlace.tests.strategies import SOLVERS

from .dense import assert_close
from .designs import DESIGNS, crossed, growth, nested, one_way, singular, uncorrelated

# The oracle inverts V0 as it stands.
DENSE = 1e-8


@pytest.fixture(params=DESIGNS)
def name(request):
    return request.param


@pytest.fixture(params=["REML", "ML"])
def design(request, name):
    return DESIGNS[name](reml=request.param == "REML")


@pytest.fixture(params=SOLVERS)
def result(request, design):
    return fit(*design.arrays, **design.options, solver=request.param)


def expected_of(design, result):
    return by_definition(*design.arrays, result.theta, **design.options)


def test_estimates_are_those_of_the_definition_at_theta(design, result):
    expected = expected_of(design, result)
    n, p = design.X.shape
    assert (result.n, result.p, result.reml) == (n, p, design.reml)
    assert result.q == sum(design.factors[t.factor].n_levels * t.k for t in design.terms)
    assert result.objective == pytest.approx(expected.criterion, rel=DENSE)
    assert result.sigma2 == pytest.approx(expected.sigma2, rel=DENSE)
    assert result.pwrss == pytest.approx(expected.sigma2 * (n - p * design.reml), rel=DENSE)
    assert_close(result.beta, expected.beta, DENSE)
    assert_close(result.vcov_beta, expected.vcov_beta, DENSE)
    for ours, theirs in zip(result.b, expected.b, strict=True):
        assert_close(ours, theirs, DENSE)
    for ours, theirs in zip(result.Lambda, lower_triangles(design.terms, result.theta), strict=True):
        np.testing.assert_array_equal(ours, theirs)
        assert (np.diagonal(ours) >= 0).all()


def test_log_determinants_are_the_parts_of_the_criterion(design, result):
    nu = result.n - result.p * result.reml
    w = np.ones(result.n) if design.weights is None else design.weights
    logdets = result.logdet_L2 + result.reml * result.logdet_RX2 - np.log(w).sum()
    assert result.objective == pytest.approx(logdets + nu * (1.0 + np.log(2.0 * np.pi * result.sigma2)))
    X_part = np.linalg.slogdet(result.vcov_beta / result.sigma2)[1]
    assert result.logdet_RX2 == pytest.approx(-X_part, rel=DENSE)


def test_conditional_covariances(design, result):
    expected = expected_of(design, result)
    for ours, theirs in zip(result.condvar(), expected.condvar, strict=True):
        assert_close(ours, theirs, DENSE)


def test_conditional_covariances_after_the_factorization_moved(design, result):
    expected = expected_of(design, result)
    result.criterion(2.0 * result.theta + 1.0)
    for ours, theirs in zip(result.condvar(), expected.condvar, strict=True):
        assert_close(ours, theirs, DENSE)


def test_joint_conditional_covariances_hold_those_of_the_terms():
    """``(x || g)``: two terms on one factor, whose effects are correlated given y."""
    result = uncorrelated().fit()
    joint, other = result.condvar_factor()
    first, second, third = result.condvar()
    np.testing.assert_array_equal(joint[:, :1, :1], first)
    np.testing.assert_array_equal(joint[:, 1:, 1:], third)
    np.testing.assert_array_equal(other, second)
    problem = uncorrelated()
    together = problem.changed(
        terms=(RandomTerm(0, np.hstack([problem.terms[0].Xi, problem.terms[2].Xi])), problem.terms[1])
    )
    a, b, c = result.theta
    expected = by_definition(*together.arrays, np.array([a, 0.0, c, b]), **together.options)
    assert_close(joint, expected.condvar[0], DENSE)
    assert np.abs(joint[:, 0, 1]).min() > 1e-4


@pytest.fixture(params=["dense A", "sparse A"])
def storage(request, monkeypatch):
    if request.param == "sparse A":
        monkeypatch.setattr(crossproducts, "DENSE_Z", 0)
        monkeypatch.setattr(crossproducts, "DENSE_Q", 0)


@pytest.mark.parametrize("solver", SOLVERS)
def test_covariance_of_beta_changes_with_theta_and_sigma(storage, design, solver):
    result = fit(*design.arrays, **design.options, solver=solver)
    found = result.vcov_beta_gradient()

    def unscaled(theta):
        at = by_definition(*design.arrays, theta, **design.options)
        return at.vcov_beta / at.sigma2

    h = 1e-5 * np.eye(len(result.theta))
    slopes = [(unscaled(result.theta + step) - unscaled(result.theta - step)) / 2e-5 for step in h]
    # Central differences of step h err by h^2 and by rounding noise / h.
    assert_close(found[:-1], result.sigma2 * np.array(slopes), 1e-6)
    assert_close(found[-1], 2.0 * np.sqrt(result.sigma2) * unscaled(result.theta), DENSE)


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("maker", [one_way, growth, crossed, uncorrelated, nested])
def test_hessian_in_theta_and_sigma(storage, maker, reml):
    """Second differences of the deviance by definition, sigma not profiled out."""
    problem = maker(reml=reml)
    result = problem.fit()
    nu = result.n - result.p * reml

    def deviance(parameters):
        *theta, sigma = parameters
        at = by_definition(*problem.arrays, np.array(theta), **problem.options)
        profiled = nu * (1.0 + np.log(2.0 * np.pi * at.sigma2))
        return at.criterion - profiled + nu * np.log(2.0 * np.pi * sigma**2) + nu * at.sigma2 / sigma**2

    at = np.append(result.theta, np.sqrt(result.sigma2))
    h = 1e-3 * np.eye(len(at))
    expected = np.empty((len(at), len(at)))
    for j, a in enumerate(h):
        for k, b in enumerate(h):
            plus, minus = (
                deviance(at + a + b) + deviance(at - a - b),
                deviance(at + a - b) + deviance(at - a + b),
            )
            expected[j, k] = (plus - minus) / 4e-6
    # Second differences of step 1e-3 err by 1e-6 of the fourth derivative, and by noise / 1e-6.
    assert_close(result.hessian_varpar(), expected, 1e-4)


def test_hessian_leaves_the_answers_alone():
    result = crossed().fit()
    before = result.condvar()
    hessian = result.hessian_varpar()
    np.testing.assert_array_equal(result.hessian_varpar(), hessian)
    fresh = crossed().fit()
    fresh.hessian_varpar()
    for one, other in zip(before, fresh.condvar(), strict=True):
        assert_close(one, other, DENSE)


@pytest.mark.parametrize("reml", [True, False])
def test_singular_directions_have_no_variance(reml):
    result = singular(reml=reml).fit()
    assert result.is_singular
    directions = result.singular[0]
    assert directions.shape[0] == 3
    assert directions.shape[1] in (1, 2)
    assert np.linalg.norm(directions, axis=0) == pytest.approx(1.0)
    scale = np.abs(result.Sigma[0]).max()
    assert np.abs(result.Sigma[0] @ directions).max() < 1e-7 * scale
    assert np.abs(result.b[0] @ directions).max() < 1e-7 * np.abs(result.b[0]).max()


def test_regular_fits_have_no_singular_direction():
    result = crossed().fit()
    assert not result.is_singular
    assert [directions.shape for directions in result.singular] == [(2, 0), (1, 0)]


def test_variance_of_zero_is_exactly_zero():
    rng = np.random.default_rng(3)
    codes = np.repeat(np.arange(8), 5)
    y = rng.normal(size=40)
    y -= np.bincount(codes, y)[codes] / 5.0  # nothing between the groups
    result = fit([GroupingFactor(codes, 8)], [RandomTerm(0, np.ones((40, 1)))], np.ones((40, 1)), y)
    assert result.theta[0] == 0.0
    assert not result.b[0].any()
    np.testing.assert_array_equal(result.singular[0], [[1.0]])
    assert not result.condvar()[0].any()


def test_start_is_taken():
    problem = crossed()
    start = np.array([1.0, -0.5, 2.0, 0.3])
    result = fit(*problem.arrays, **problem.options, start=start)
    assert result.optimum.path[0].theta == pytest.approx(start)
    assert result.optimum.path[0].objective == pytest.approx(result.criterion(start))
    assert result.objective == pytest.approx(problem.fit().objective, abs=1e-8)  # the search's tolerance


def test_maxiter_and_callback_reach_the_search():
    seen = []
    problem = crossed()
    result = fit(*problem.arrays, **problem.options, maxiter=1, start=np.ones(4), callback=seen.append)
    assert len(seen) == 2
    assert not result.optimum.converged
    assert not result.certificate.certified


def test_fit_is_its_pieces_composed():
    problem = growth()
    criterion = profiled_criterion(*problem.arrays, **problem.options)
    result = fit_criterion(criterion)
    assert result.criterion is criterion
    np.testing.assert_array_equal(result.theta, problem.fit().theta)


def test_weights_are_inverse_residual_variances():
    """Doubling all weights doubles sigma^2 and halves Lambda Lambda': the same model in other words."""
    problem = growth()
    result = problem.fit()
    twice = problem.changed(weights=2.0 * problem.weights).fit()
    assert twice.sigma2 == pytest.approx(2.0 * result.sigma2, rel=1e-4)
    for one, other in zip(result.Sigma, twice.Sigma, strict=True):
        assert_close(other, one, 1e-4)
    assert_close(twice.beta, result.beta, 1e-6)
    assert twice.objective == pytest.approx(result.objective, abs=1e-7)


def test_offset_is_a_known_part_of_the_response():
    problem = growth()
    without = problem.changed(y=problem.y - problem.offset, offset=None)
    result, expected = problem.fit(), without.fit()
    np.testing.assert_array_equal(result.theta, expected.theta)
    np.testing.assert_array_equal(result.beta, expected.beta)


def test_order_of_factors_does_not_matter():
    problem = crossed()
    turned = problem.changed(
        factors=problem.factors[::-1],
        terms=tuple(RandomTerm(1 - term.factor, term.Xi) for term in problem.terms[::-1]),
    )
    result, expected = turned.fit(), problem.fit()
    assert result.objective == pytest.approx(expected.objective, abs=1e-8)
    for ours, theirs in zip(result.b[::-1], expected.b, strict=True):
        assert_close(ours, theirs, 1e-4)
    for ours, theirs in zip(result.condvar()[::-1], expected.condvar(), strict=True):
        assert_close(ours, theirs, 1e-4)


def test_what_is_passed_in_is_not_modified(design):
    kept = deepcopy((design.factors, design.terms, design.X, design.y, design.weights, design.offset))
    result = fit(*design.arrays, **design.options)
    result.condvar()
    result.hessian_varpar()
    now = (design.factors, design.terms, design.X, design.y, design.weights, design.offset)
    for factor, before in zip(now[0], kept[0], strict=True):
        np.testing.assert_array_equal(factor.codes, before.codes)
    for term, before in zip(now[1], kept[1], strict=True):
        np.testing.assert_array_equal(term.Xi, before.Xi)
    for array, before in zip(now[2:], kept[2:], strict=True):
        np.testing.assert_array_equal(array, before)


def test_records_are_frozen():
    result = one_way().fit()
    records = (
        result,
        result.optimum,
        result.optimum.path[0],
        result.optimum.at,
        result.optimum.derivatives,
        result.certificate,
        result.criterion.cp,
        result.criterion.relcov,
        result.criterion.basis,
    )
    for record in records:
        assert is_dataclass(record)
        with pytest.raises(FrozenInstanceError):
            setattr(record, fields(record)[0].name, None)


@pytest.mark.parametrize("asked_before", [False, True])
@pytest.mark.parametrize("stored", [deepcopy, lambda result: pickle.loads(pickle.dumps(result))])
def test_a_fit_can_be_stored(result, stored, asked_before):
    if asked_before:
        result.condvar()
    twin = stored(result)
    assert isinstance(twin, PLSFit)
    assert (twin.solver, twin.objective, twin.sigma2) == (result.solver, result.objective, result.sigma2)
    assert twin.certificate.sentence == result.certificate.sentence
    for name in ("theta", "beta", "vcov_beta"):
        np.testing.assert_array_equal(getattr(twin, name), getattr(result, name))
    for verb in ("condvar", "condvar_factor"):
        for ours, theirs in zip(getattr(twin, verb)(), getattr(result, verb)(), strict=True):
            assert_close(ours, theirs, 1e-12)
    assert_close(twin.hessian_varpar(), result.hessian_varpar(), 1e-9)
    assert twin.criterion(twin.theta) == pytest.approx(result.objective, rel=1e-12)
