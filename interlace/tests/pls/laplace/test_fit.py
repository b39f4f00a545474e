"""The snapshot: what it holds, that it pickles, and which input is refused."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest

from interlace.errors import InterlaceError, OptimizationError
from interlace.family import Gamma, Poisson
from interlace.pls import GroupingFactor, RandomTerm
from interlace.pls.laplace.fit import _lower
from interlace.pls.laplace.search import minimize
from interlace.pls.laplace.start import loose_start
from interlace.tests.strategies import SOLVERS

from .bank import model
from .small import FAMILIES, dense_criterion, small


@pytest.mark.parametrize("name", FAMILIES)
def test_snapshot_is_the_optimum_on_the_users_columns(name):
    one = small(name, n=120)
    found = one.fit()
    assert found.certificate.certified, found.certificate
    expected = dense_criterion(one, found.theta, found.beta, found.psi)
    # Modes to 1e-9 of eta.
    assert found.objective == pytest.approx(expected, abs=1e-7)
    # b and theta of one model: Sigma^-1 b is the score of each level, so that eta follows from b.
    assert [b.shape for b in found.b] == [(8, 2), (4, 1)]
    for Sigma, Lambda in zip(found.Sigma, found.Lambda, strict=True):
        np.testing.assert_allclose(Sigma, Lambda @ Lambda.T)


@pytest.mark.parametrize("name", ["logit", "nb2", "ordinal logit"])
def test_hessian_is_that_of_the_criterion(name):
    one = small(name, "crossed scalars", n=150, seed=3)
    found = one.fit()
    x = np.concatenate([found.theta, found.beta, found.psi])
    p = found.p

    def objective(x):
        return dense_criterion(one, x[:2], x[2 : 2 + p], x[2 + p :])

    h, size = 1e-2, len(x)
    expected = np.empty((size, size))
    for i, a in enumerate(np.eye(size) * h):
        for j, b in enumerate(np.eye(size) * h):
            corners = (
                objective(x + a + b) - objective(x + a - b) - objective(x - a + b) + objective(x - a - b)
            )
            expected[i, j] = corners / (4 * h**2)
    # Second-order differences with a step of 1e-2.
    np.testing.assert_allclose(found.hessian(), expected, rtol=5e-3, atol=5e-3 * np.abs(expected).max())
    np.testing.assert_allclose(found.vcov() @ found.hessian() / 2.0, np.eye(size), atol=1e-6)


@pytest.mark.parametrize("solver", SOLVERS)
def test_it_pickles(solver):
    found = small("logit", "crossed scalars").fit(solver=solver)
    again = pickle.loads(pickle.dumps(found))
    assert again.solver == found.solver
    np.testing.assert_array_equal(again.beta, found.beta)
    np.testing.assert_allclose(again.vcov(), found.vcov(), rtol=1e-6)
    for a, b in zip(again.condvar(), found.condvar(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)


def test_arrays_are_read_only():
    found = small("poisson").fit()
    with pytest.raises(ValueError, match="read-only"):
        found.beta[0] = 1.0


def test_singular_fits_are_certified_and_say_so():
    found = model("b10").fit()
    assert found.is_singular
    assert found.certificate.certified
    assert min(found.certificate.boundary) > -1e-2
    for Lambda, directions in zip(found.Lambda, found.singular, strict=True):
        np.testing.assert_allclose(Lambda.T @ directions, 0.0, atol=1e-7)


def test_the_search_can_be_watched_and_stopped():
    seen = []
    found = model("verbagg").fit(callback=seen.append, maxiter=2)
    assert not found.optimum.converged
    assert "no optimum within 2 iterations" in str(found.certificate)
    assert [step.objective for step in seen] == sorted((step.objective for step in seen), reverse=True)
    assert seen[-1].theta.shape == (2,)


def test_a_variance_without_bound_is_named(monkeypatch):
    # Every subject answers always the same way: the larger the variance, the better, up to 24, where
    # Laplace's approximation gives up.
    monkeypatch.setattr("interlace.pls.laplace.search.DIVERGED", 20.0)
    codes = np.repeat(np.arange(20), 30)
    y = np.repeat([0.0, 1.0] * 10, 30)
    one = small("logit", "one scalar").changed(
        factors=(GroupingFactor(codes, 20),),
        terms=(RandomTerm(0, np.ones((600, 1))),),
        X=np.ones((600, 1)),
        y=y,
        options={},
    )
    found = one.fit()
    assert not found.certificate.certified
    assert "a standard deviation of random term 1 is" in found.certificate.sentence
    term, sd = found.optimum.diverging
    assert term == 0
    assert sd == pytest.approx(found.theta[0], rel=1e-6)


def bad(what):
    one = small("poisson")
    n, ordinal = len(one.y), small("ordinal logit")
    return {
        "negative": (one.changed(y=-one.y - 1), {}, "not made of counts"),
        "gamma": (one.changed(family=Gamma(), y=np.zeros(n)), {}, "not positive"),
        "weights": (one, {"weights": np.zeros(n)}, "wanted positive numbers"),
        "offset": (one, {"offset": np.full(n, np.nan)}, "offset of shape"),
        "trials": (one, {"trials": np.ones(n)}, "only binomial rows have them"),
        "short": (one, {"weights": np.ones(3)}, "weights of shape"),
        "start": (one, {"start": np.ones(2)}, "wanted 6 finite numbers"),
        "nagq": (one, {"nagq": 7}, "Use nagq=1"),
        "no nodes": (one, {"nagq": 0}, "positive number of nodes"),
        "fast": (one, {"fast": True, "nagq": 3}, "a shortcut of Laplace's approximation"),
        "constant": (ordinal.changed(X=np.ones((n, 1))), {}, "hold a constant"),
    }[what]


BAD = [
    "negative",
    "gamma",
    "weights",
    "offset",
    "trials",
    "short",
    "start",
    "nagq",
    "no nodes",
    "fast",
    "constant",
]


@pytest.mark.parametrize("what", BAD)
def test_bad_input_is_refused(what):
    one, options, message = bad(what)
    with pytest.raises(ValueError, match=message):
        one.fit(**options)


def test_a_start_out_of_reach_is_an_error():
    one = small("poisson", "one scalar").changed(family=Poisson())
    with pytest.raises(OptimizationError, match="not finite at the starting values"):
        one.fit(start=np.array([1.0, 1e308, 0.0]))


def test_generalised_models_need_a_factor():
    with pytest.raises(InterlaceError, match="iterative solver has no factor, and generalised models"):
        small("poisson").fit(solver="iterative")


def test_where_rows_are_not_concave_two_starts_compete():
    criterion = small("gaussian log", n=120).problem().criterion
    x, guess = loose_start(criterion)
    early, best = minimize(criterion, x, guess, maxiter=1), minimize(criterion, x, guess)
    # One that did not get there gives way, however low; one that did stays or is bettered.
    for first in (early, replace(early, at=replace(early.at, objective=-1e9))):
        assert _lower(criterion, first, 200, None).converged
    found = _lower(criterion, best, 200, None)
    assert found.converged
    assert found.at.objective <= best.at.objective
