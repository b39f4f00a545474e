"""Exact derivatives of the criterion, against differences and against their dense formulas."""

from __future__ import annotations

import numpy as np
import pytest

from interlace.tests.pls.dense import assert_close
from interlace.tests.pls.dense_model import DenseModel, rotations
from interlace.tests.pls.designs import DESIGNS
from interlace.tests.strategies import SOLVERS

# Central differences of step h err by h^2 and by rounding noise / h.
STEP = 1e-5
DIFFERENCE = 1e-6
# The dense formulas invert V0 as it stands.
DENSE = 1e-8


@pytest.fixture(params=DESIGNS)
def name(request):
    return request.param


@pytest.fixture(params=["REML", "ML"])
def design(request, name):
    return DESIGNS[name](reml=request.param == "REML")


@pytest.fixture
def criterion(design):
    return design.criterion()


@pytest.fixture(params=["plain", "rotated"])
def gauge(request, criterion):
    K = criterion.relcov.layout.K
    return None if request.param == "plain" else rotations(np.random.default_rng(1), K)


@pytest.fixture
def phi(criterion):
    rng = np.random.default_rng(2)
    return np.where(
        criterion.relcov.diagonal,
        rng.uniform(0.3, 1.5, criterion.relcov.m),
        rng.normal(size=criterion.relcov.m),
    )


def full(criterion, gauge):
    return [np.eye(K) for K in criterion.relcov.layout.K] if gauge is None else gauge


def differences(function, at):
    """Central differences along each parameter, stacked."""
    steps = STEP * np.eye(len(at))
    return np.array([(function(at + h) - function(at - h)) / (2.0 * STEP) for h in steps])


def differentiate(criterion, phi, gauge):
    return criterion.derivatives(criterion.decompose(phi, gauge))


def test_gradient_is_the_derivative(criterion, phi, gauge):
    found = differentiate(criterion, phi, gauge).gradient
    assert_close(found, differences(lambda x: criterion.decompose(x, gauge).objective, phi), DIFFERENCE)


def test_pwrss_gradient_is_the_derivative(design, criterion, phi, gauge):
    found = differentiate(criterion, phi, gauge).pwrss_gradient
    assert_close(found, differences(lambda x: criterion.decompose(x, gauge).pwrss, phi), DIFFERENCE)
    expected = DenseModel(design, criterion).second_order(phi, full(criterion, gauge)).pwrss_gradient
    assert_close(found * criterion.basis.scale**2, expected, DENSE)


def test_gamma_gradient_is_the_derivative_of_the_fixed_effects(criterion, phi, gauge):
    found = differentiate(criterion, phi, gauge).gamma_gradient
    assert_close(found.T, differences(lambda x: criterion.decompose(x, gauge).gamma, phi), DIFFERENCE)
    beta = differences(lambda x: criterion.basis.beta(criterion.decompose(x, gauge).gamma), phi)
    assert_close(criterion.basis.change_of_beta(found).T, beta, DIFFERENCE)


@pytest.mark.parametrize("solver", SOLVERS)
def test_scores_are_derivatives_with_respect_to_the_covariance(design, solver, phi):
    criterion = design.criterion(solver)
    model = DenseModel(design, criterion)
    Lambda = criterion.relcov.Lambda(phi)
    D = [block @ block.T for block in Lambda]
    scores = differentiate(criterion, phi, None).scores
    assert criterion.decompose(phi).objective == pytest.approx(model.at(D).objective, rel=DENSE)
    for f, score in enumerate(scores):
        assert_close(score, model.score(D, f), DENSE)
        K = len(score)
        for a, b in zip(*np.tril_indices(K), strict=True):
            unit = np.zeros((K, K))
            unit[a, b] = unit[b, a] = 1.0

            def objective(h, f=f, unit=unit):
                return model.at([*D[:f], D[f] + h * unit, *D[f + 1 :]]).objective

            slope = (objective(STEP) - objective(-STEP)) / (2.0 * STEP)
            assert np.vdot(score, unit) == pytest.approx(slope, abs=DIFFERENCE * np.abs(score).max())


@pytest.mark.parametrize("solver", SOLVERS)
def test_scores_on_the_boundary_are_one_sided_derivatives(design, solver):
    criterion = design.criterion(solver)
    zeros = np.zeros(criterion.relcov.m)
    scores = differentiate(criterion, zeros, None).scores
    at_zero = criterion.decompose(zeros).objective
    for j in np.flatnonzero(criterion.relcov.diagonal):
        # A parameter of size h is a variance of h^2; Richardson removes the next order.
        h = 1e-3 * np.eye(len(zeros))[j]
        near = (criterion.decompose(h).objective - at_zero) / 1e-6
        far = (criterion.decompose(2 * h).objective - at_zero) / 4e-6
        slope = (4.0 * near - far) / 3.0
        f, a = criterion.relcov.factor[j], criterion.relcov.row[j]
        # Noise 1e-13 of an objective of 400, divided by 1e-6.
        assert scores[f][a, a] == pytest.approx(slope, rel=1e-4, abs=1e-3)


def test_hessian_is_average_information_and_curvature(design, criterion, phi, gauge):
    dense = DenseModel(design, criterion).second_order(phi, full(criterion, gauge))
    found = differentiate(criterion, phi, gauge).hessian
    assert_close(found, dense.average + dense.curvature, DENSE)


def test_hessian_averages_the_observed_and_the_expected_one(design, criterion, phi, gauge):
    """Twice the information term, less the expected one, is the observed: the AI identity."""
    dense = DenseModel(design, criterion).second_order(phi, full(criterion, gauge))
    now = differentiate(criterion, phi, gauge)
    observed = differences(lambda x: differentiate(criterion, x, gauge).gradient, phi)
    assert_close(
        observed, 2.0 * (now.hessian - dense.curvature) - dense.expected + dense.curvature, DIFFERENCE
    )
