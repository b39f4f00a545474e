"""One step within the trust region, on functions whose minima are known."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from interlace.pls.search.newton import SLACK, TrustRegion, quadratic


def matrix(values, seed=0):
    Q = np.linalg.qr(np.random.default_rng(seed).normal(size=(len(values),) * 2))[0]
    return Q * values @ Q.T


def test_newtons_step_solves_the_system_where_all_curvatures_are_positive():
    H, g = matrix([1.0, 2.0, 30.0]), np.array([1.0, -2.0, 0.5])
    model = quadratic(g, H)
    step = model.vectors @ model.newton
    np.testing.assert_allclose(step, np.linalg.solve(H, g), rtol=1e-12)
    assert model.expected_decrease == pytest.approx(g @ np.linalg.solve(H, g) / 2.0, rel=1e-12)
    assert model.promised(model.newton) == pytest.approx(model.expected_decrease, rel=1e-12)


@pytest.mark.parametrize("values", [[-1.0, 2.0], [-3.0, -0.5], [0.0, 4.0]])
def test_the_step_leads_down_whatever_the_curvature(values):
    g = np.array([1.0, -2.0])
    model = quadratic(g, matrix(values))
    assert (model.values > 0.0).all()
    assert g @ (model.vectors @ model.newton) > 0.0


def test_a_hessian_of_zeros():
    model = quadratic(np.zeros(2), np.zeros((2, 2)))
    assert model.expected_decrease == 0.0


@pytest.mark.parametrize("radius", [1e-3, 0.1, 1.0])
def test_the_damped_step_minimises_the_model_within_the_radius(radius):
    """More & Sorensen: ``(H + damping I) step = g``, and so no point of its length does better."""
    H, g = matrix([1.0, 2.0, 300.0], 3), np.array([4.0, -3.0, 100.0])
    model = quadratic(g, H)
    step = model.within(radius)
    length = np.linalg.norm(step)
    assert length <= SLACK * radius
    assert length > 0.8 * radius  # it is no shorter than need be
    dampings = model.slopes / step - model.values
    np.testing.assert_allclose(dampings, dampings[0], rtol=1e-6)
    others = np.random.default_rng(1).normal(size=(200, 3))
    others *= length / np.linalg.norm(others, axis=1)[:, None]
    assert max(model.promised(other) for other in others) <= model.promised(step) + 1e-12


def rosenbrock(x):
    f = 100.0 * (x[1] - x[0] ** 2) ** 2 + (1.0 - x[0]) ** 2
    g = np.array([-400.0 * x[0] * (x[1] - x[0] ** 2) - 2.0 * (1.0 - x[0]), 200.0 * (x[1] - x[0] ** 2)])
    H = np.array([[1200.0 * x[0] ** 2 - 400.0 * x[1] + 2.0, -400.0 * x[0]], [-400.0 * x[0], 200.0]])
    return SimpleNamespace(x=x, objective=f, gradient=g, hessian=H)


@pytest.mark.parametrize("start", [(-1.2, 1.0), (3.0, -4.0), (0.0, 0.0)])
def test_steps_lead_down_to_the_minimum_of_rosenbrocks_function(start):
    at, region = rosenbrock(np.array(start)), TrustRegion()
    for _ in range(100):
        model = quadratic(at.gradient, at.hessian)
        if model.expected_decrease < 1e-20:
            break
        x = at.x
        found = region.step(
            model, lambda change, x=x: rosenbrock(x + change), objective=at.objective, noise=0.0
        )
        assert found.at.objective < at.objective
        at = found.at
    np.testing.assert_allclose(at.x, [1.0, 1.0], atol=1e-8)


def test_no_step_where_everything_rises():
    trials = []

    def rising(change):
        trials.append(float(np.linalg.norm(change)))
        return SimpleNamespace(objective=1.0)

    model = quadratic(np.array([1.0, 0.0]), np.eye(2))
    assert TrustRegion().step(model, rising, objective=0.0, noise=1e-9) is None
    assert (np.diff(trials) < 0.0).all()


def test_the_radius_follows_how_well_the_promise_was_kept():
    def step(share):
        region = TrustRegion(1.0)
        model = quadratic(np.array([4.0]), np.eye(1))
        promised = model.promised(model.within(1.0))
        region.step(model, lambda _: SimpleNamespace(objective=-share * promised), objective=0.0, noise=0.0)
        return region.radius

    assert step(1.0) > 1.0
    assert step(0.5) == 1.0
    assert step(0.1) < 1.0


def test_a_step_in_the_noise_may_lead_up_by_as_much():
    model = quadratic(np.array([1e-6]), np.eye(1))
    up = SimpleNamespace(objective=5e-10)
    assert TrustRegion().step(model, lambda _: up, objective=0.0, noise=1e-9).at is up
    assert TrustRegion().step(model, lambda _: up, objective=0.0, noise=1e-10) is None
