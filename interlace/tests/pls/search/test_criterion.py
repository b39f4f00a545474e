"""The profiled criterion, piece by piece, against the definition."""

from __future__ import annotations

import pickle
from copy import deepcopy

import numpy as np
import pytest

from interlace.pls import GroupingFactor, ProfiledCriterion, RandomTerm, profiled_criterion
from interlace.tests.oracle import by_definition
from interlace.tests.pls.dense import DenseFactorization, assert_close
from interlace.tests.pls.dense_model import DenseModel, rotations
from interlace.tests.pls.designs import DESIGNS
from interlace.tests.strategies import SOLVERS

# The oracle inverts V0 as it stands.
DENSE = 1e-9
STORED = [deepcopy, lambda criterion: pickle.loads(pickle.dumps(criterion))]


@pytest.fixture(params=DESIGNS)
def name(request):
    return request.param


@pytest.fixture(params=["REML", "ML"])
def design(request, name):
    return DESIGNS[name](reml=request.param == "REML")


def some_theta(criterion, seed=1):
    return np.random.default_rng(seed).uniform(0.2, 1.2, size=criterion.relcov.m)


@pytest.mark.parametrize("solver", SOLVERS)
def test_value_at_theta(design, solver):
    criterion = design.criterion(solver)
    for seed in (1, 2):
        theta = some_theta(criterion, seed)
        expected = by_definition(*design.arrays, theta, **design.options).criterion
        assert criterion(theta) == pytest.approx(expected, rel=DENSE)
        assert criterion(theta.tolist()) == criterion(theta)


@pytest.mark.parametrize("solver", SOLVERS)
def test_gradient_in_theta(design, solver):
    criterion = design.criterion(solver)
    theta = some_theta(criterion)
    h = 1e-5 * np.eye(len(theta))
    expected = np.array([(criterion(theta + step) - criterion(theta - step)) / 2e-5 for step in h])
    assert_close(criterion.gradient(theta), expected, 1e-6)  # central differences err by h^2 and noise / h


def test_value_in_a_gauge(design):
    """A rotation on the left changes Lambda Lambda' of each factor, and the criterion follows."""
    criterion = design.criterion()
    phi = criterion.relcov.to_basis @ some_theta(criterion)
    gauge = rotations(np.random.default_rng(3), criterion.relcov.layout.K)
    at = criterion.decompose(phi, gauge)
    expected = DenseModel(design, criterion).at([block @ block.T for block in at.Lambda])
    assert at.objective == pytest.approx(expected.objective, rel=DENSE)
    assert at.pwrss * criterion.basis.scale**2 == pytest.approx(expected.pwrss, rel=DENSE)


@pytest.mark.parametrize("solver", SOLVERS)
def test_another_factorization_behind_the_seam_changes_nothing(design, solver):
    ours = design.criterion(solver)
    dense = ProfiledCriterion(
        ours.cp, ours.relcov, DenseFactorization(ours.cp, ours.relcov.layout), ours.basis, reml=ours.reml
    )
    phi = ours.relcov.to_basis @ some_theta(ours)
    found, expected = ours.decompose(phi), dense.decompose(phi)
    assert found.objective == pytest.approx(expected.objective, rel=DENSE)
    assert found.logdet_L2 == pytest.approx(expected.logdet_L2, rel=DENSE)
    assert_close(found.R, expected.R, DENSE)
    assert_close(found.gamma, expected.gamma, DENSE)
    assert_close(found.modes, expected.modes, DENSE)
    now, then = ours.derivatives(found), dense.derivatives(expected)
    assert_close(now.gradient, then.gradient, DENSE)
    assert_close(now.hessian, then.hessian, DENSE)


def test_even_in_each_column_of_lambda(design):
    criterion = design.criterion()
    phi = criterion.relcov.to_basis @ some_theta(criterion)
    flipped = np.where(criterion.relcov.same_column[-1], -phi, phi)
    assert criterion.decompose(flipped).objective == pytest.approx(
        criterion.decompose(phi).objective, rel=DENSE
    )


def test_infinite_where_nothing_is_left_over():
    """Effects that reproduce the response at no cost: r^2 vanishes in floating point."""
    codes = np.repeat(np.arange(4), 5)
    y = np.array([1.0, 2.0, 4.0, 8.0])[codes]
    criterion = profiled_criterion(
        [GroupingFactor(codes, 4)], [RandomTerm(0, np.ones((20, 1)))], np.ones((20, 1)), y
    )
    assert np.isfinite(criterion([1.0]))
    assert criterion([1e12]) == np.inf


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("stored", STORED)
def test_criterion_can_be_stored(design, solver, stored):
    criterion = design.criterion(solver)
    theta = some_theta(criterion)
    value, gradient = criterion(theta), criterion.gradient(theta)
    twin = stored(criterion)
    twin(2.0 * theta)  # moves the twin's factorization, not the original's
    assert_close(criterion.gradient(theta), gradient, 1e-13)
    assert twin(theta) == pytest.approx(value, rel=1e-13)
    assert_close(twin.gradient(theta), gradient, 1e-13)
