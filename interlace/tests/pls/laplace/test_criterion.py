"""The criterion and its gradient against the definition, central differences and the integral itself."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate

from interlace.pls.laplace import cells
from interlace.pls.laplace.quadrature import QuadratureCriterion
from interlace.pls.matrices import crossproducts
from interlace.pls.search.boundary import principal_axes
from interlace.tests.strategies import LAWS, SOLVERS

from .small import FAMILIES, SHAPES, dense_criterion, parameters, small

# The modes are found to 1e-12 of eta here, and what is left are roundings of sums of 60 terms.
EXACT = 1e-10
# Fourth-order differences with a step of 1e-3 of a function that is right to 1e-13 of 300.
GRADIENT = 1e-8


def raw(problem, x):
    """theta, beta and psi of parameters in the bases."""
    return problem.criterion.split(problem.to_raw @ x)


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("singular", [False, True])
def test_criterion_is_what_the_definition_says(name, singular):
    model = small(name)
    problem = model.problem()
    x = parameters(problem.criterion, name, np.random.default_rng(1), singular=singular)
    found = problem.criterion.evaluate(x, tolerance=1e-12).objective
    assert found == pytest.approx(dense_criterion(model, *raw(problem, x)), rel=EXACT)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("storage", ["dense", "sparse"])
def test_every_factorization_gives_it(shape, solver, storage, monkeypatch):
    if storage == "sparse":
        monkeypatch.setattr(crossproducts, "DENSE_Q", 0)
        monkeypatch.setattr(cells, "DENSE_Q", 0)
    model = small("logit", shape)
    problem = model.problem(solver)
    rng = np.random.default_rng(2)
    for singular in (False, True, False):  # one object throughout: nothing stale may remain
        x = parameters(problem.criterion, "logit", rng, singular=singular)
        at = problem.criterion.evaluate(x, tolerance=1e-12)
        assert at.objective == pytest.approx(dense_criterion(model, *raw(problem, x)), rel=EXACT)
        assert_gradient(problem.criterion, x, at)


def assert_gradient(criterion, x, at):
    found = criterion.slopes(at).gradient
    wide, narrow = differences(criterion, x, at), differences(criterion, x, at, h=5e-4)
    expected = (16.0 * narrow - wide) / 15.0  # the error of a difference falls with the fourth power of h
    # Steep criteria leave differences inexact, and modes that converge slowly make them noisy: as much as
    # the two steps disagree by is granted, and it is no more than a few 1e-7 of the gradient.
    doubt = np.abs(expected - narrow)
    largest = np.abs(expected).max()
    assert doubt.max() < 30.0 * GRADIENT * largest
    assert (np.abs(found - expected) <= GRADIENT * (np.abs(expected) + largest) + doubt).all()


def differences(criterion, x, at, h=1e-3):
    out = []
    for unit in np.eye(len(x)):
        values = [
            criterion.evaluate(x + k * h * unit, at.gauge, at.guess, tolerance=1e-12).objective
            for k in (-2, -1, 1, 2)
        ]
        out.append((values[0] - 8 * values[1] + 8 * values[2] - values[3]) / (12 * h))
    criterion.evaluate(x, at.gauge, at.guess, tolerance=1e-12)
    return np.array(out)


@LAWS
@given(
    name=st.sampled_from(sorted(FAMILIES)),
    shape=st.sampled_from(sorted(SHAPES)),
    singular=st.booleans(),
    gauge=st.booleans(),
    seed=st.integers(0, 99),
)
def test_gradient_is_that_of_the_criterion(name, shape, singular, gauge, seed):
    criterion = small(name, shape, seed=seed).problem().criterion
    x = parameters(criterion, name, np.random.default_rng(seed), singular=singular)
    at = criterion.evaluate(x, tolerance=1e-12)
    if gauge:
        at = principal_axes(criterion.relcov, at)
        x = at.x
        at = criterion.evaluate(x, at.gauge, at.guess, tolerance=1e-12)
    assert_gradient(criterion, x, at)


@pytest.mark.parametrize("name", FAMILIES)
def test_derivatives_of_the_modes_predict_them(name):
    criterion = small(name).problem().criterion
    x = parameters(criterion, name, np.random.default_rng(5), singular=False)
    at = criterion.evaluate(x, tolerance=1e-12)
    now = criterion.slopes(at)
    h = 1e-4
    for j, unit in enumerate(np.eye(len(x))):
        ahead, behind = (
            criterion.evaluate(x + k * unit, None, at.guess, tolerance=1e-12).modes for k in (h, -h)
        )
        for found, expected in (
            (now.b_dot[:, j], (ahead.b - behind.b) / (2 * h)),
            (now.v_dot[:, j], (ahead.v - behind.v) / (2 * h)),
        ):
            # Second-order differences with a step of 1e-4.
            np.testing.assert_allclose(found, expected, atol=1e-5 * max(1.0, np.abs(expected).max()))


@pytest.mark.parametrize("name", ["logit", "probit", "cloglog", "poisson", "nb2", "gamma", "ordinal logit"])
def test_many_nodes_are_the_integral(name):
    model = small(name, "one scalar", n=15)
    problem = model.problem()
    criterion = QuadratureCriterion(problem.criterion, 61)
    x = parameters(criterion, name, np.random.default_rng(3), singular=False)
    found = criterion.evaluate(x, tolerance=1e-12).objective
    theta, beta, psi = raw(problem, x)
    assert found == pytest.approx(integrated(model, theta[0], beta, psi), rel=1e-8)


def integrated(model, theta, beta, psi):
    """Minus twice the log-likelihood, level by level, by adaptive quadrature of QUADPACK."""
    total, fixed = 0.0, model.X @ beta + model.options["offset"]
    trials = model.options.get("trials", np.ones(len(model.y)))
    z, codes = model.terms[0].Xi[:, 0], model.factors[0].codes
    for level in range(model.factors[0].n_levels):
        own = codes == level

        def density(u, own=own):
            eta = fixed[own] + z[own] * theta * u
            log = model.family.loglik(model.y[own], trials[own], eta, psi).sum()
            return np.exp(log - 0.5 * u**2) / np.sqrt(2.0 * np.pi)

        total += np.log(integrate.quad(density, -12, 12, epsabs=0, epsrel=1e-12, limit=500)[0])
    return -2.0 * total


@pytest.mark.parametrize("name", FAMILIES)
def test_one_node_is_laplace(name):
    criterion = small(name, "one scalar").problem().criterion
    x = parameters(criterion, name, np.random.default_rng(4), singular=False)
    one = QuadratureCriterion(criterion, 1)
    expected = criterion.evaluate(x, tolerance=1e-12)
    gradient = criterion.slopes(expected).gradient
    at = one.evaluate(x, tolerance=1e-12)
    assert at.objective == pytest.approx(expected.objective, rel=EXACT)
    np.testing.assert_allclose(one.slopes(at).gradient, gradient, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("nodes", [2, 9])
def test_gradient_of_moving_nodes(name, nodes):
    criterion = QuadratureCriterion(small(name, "one scalar").problem().criterion, nodes)
    x = parameters(criterion, name, np.random.default_rng(4), singular=False)
    at = criterion.evaluate(x, tolerance=1e-12)
    assert_gradient(criterion, x, at)


def test_quadrature_of_several_effects_is_refused():
    with pytest.raises(ValueError, match=r"nagq=5 asks .* Use nagq=1"):
        QuadratureCriterion(small("logit").problem().criterion, 5)
