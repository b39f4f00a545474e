"""Laws of the model on designs that nobody chose: the definition, invariances, the boundary."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlace.pls import RandomTerm

from .oracle import by_definition, lower_triangles
from .strategies import LAWS, SOLVERS, at_theta, designs, thetas

# Inverting V0 as it stands costs digits: its condition number reaches 1e4 at the thetas drawn, and the
# oracle has no other defence than 16 digits.
DEFINITION = 1e-9
# The search stops when 1e-11 deviance units are left (and may pay 1e-9 for a variance of exactly 0).
OBJECTIVE = 1e-7
# That leaves the parameters within sqrt(1e-9) of their standard errors.
OF_STANDARD_ERROR = 1e-4

some_designs = designs()
some_seed = st.integers(0, 2**32 - 1)


def assert_close(found, expected, tolerance, scale=None):
    """Absolute agreement in units of the largest expected entry (or of ``scale``)."""
    expected = np.asarray(expected)
    scale = np.abs(expected).max(initial=0.0) or 1.0 if scale is None else scale
    assert np.asarray(found) / scale == pytest.approx(expected / scale, abs=tolerance, rel=0)


def assert_same_fit(found, expected, *, c=1.0, delta=0.0, scale=1.0):
    """Two fits of one model: the objectives, and beta = (c beta + delta) / scale in standard errors."""
    nu = expected.n - expected.p * expected.reml
    shift = 2.0 * nu * np.log(abs(c)) + 2.0 * expected.reml * np.log(np.abs(scale)).sum()
    assert found.objective == pytest.approx(expected.objective + shift, abs=OBJECTIVE, rel=1e-12)
    se = abs(c) * np.sqrt(np.diag(expected.vcov_beta)) + 1e-9 * np.abs(delta)
    beta = (c * expected.beta + delta) / se
    assert found.beta * scale / se == pytest.approx(beta, abs=OF_STANDARD_ERROR, rel=0)
    assert found.sigma2 == pytest.approx(c**2 * expected.sigma2, rel=OF_STANDARD_ERROR)


@pytest.mark.parametrize("solver", SOLVERS)
@LAWS
@given(st.data())
def test_everything_is_what_the_definition_says(solver, data):
    design = data.draw(some_designs)
    theta = data.draw(thetas(design))
    found = at_theta(design.criterion(solver), theta)
    expected = by_definition(*design.arrays, theta, **design.options)
    assert found.objective == pytest.approx(expected.criterion, rel=DEFINITION, abs=DEFINITION)
    assert found.sigma2 == pytest.approx(expected.sigma2, rel=DEFINITION)
    assert_close(found.beta, expected.beta, DEFINITION)
    assert_close(found.vcov_beta, expected.vcov_beta, DEFINITION)
    for ours, theirs in zip(found.b, expected.b, strict=True):
        assert_close(ours, theirs, DEFINITION)
    for ours, theirs in zip(found.condvar(), expected.condvar, strict=True):
        assert_close(ours, theirs, DEFINITION)
    for ours, theirs in zip(found.Sigma, lower_triangles(design.terms, theta), strict=True):
        assert_close(ours, expected.sigma2 * theirs @ theirs.T, DEFINITION)


@LAWS
@given(st.data())
def test_solvers_agree(data):
    design = data.draw(some_designs)
    theta = data.draw(thetas(design))
    reference, *others = [at_theta(design.criterion(solver), theta) for solver in SOLVERS]
    gradient = design.criterion(SOLVERS[0]).gradient(theta)
    for other, solver in zip(others, SOLVERS[1:], strict=True):
        assert other.objective == pytest.approx(reference.objective, rel=DEFINITION, abs=DEFINITION)
        assert_close(
            np.concatenate([b.ravel() for b in other.b]),
            np.concatenate([b.ravel() for b in reference.b]),
            DEFINITION,
        )
        # On the boundary CHOLMOD's way to the gradient keeps half of the digits (see its `information`).
        assert_close(design.criterion(solver).gradient(theta), gradient, 1e-6)


@LAWS
@given(some_designs)
def test_theta_zero_is_ordinary_least_squares(design):
    n, p = design.X.shape
    w = np.ones(n) if design.weights is None else design.weights
    y = design.y if design.offset is None else design.y - design.offset
    X, y = design.X * np.sqrt(w)[:, None], y * np.sqrt(w)
    beta, rss, *_ = np.linalg.lstsq(X, y)
    zero = at_theta(design.criterion(), np.zeros(sum(term.n_theta for term in design.terms)))
    assert_close(zero.beta, beta, DEFINITION)
    assert zero.sigma2 == pytest.approx(rss[0] / (n - p if design.reml else n), rel=DEFINITION)
    assert_close(zero.vcov_beta, zero.sigma2 * np.linalg.inv(X.T @ X), DEFINITION)
    assert not any(b.any() for b in zero.b)


@LAWS
@given(st.data())
def test_weight_two_is_a_row_twice(data):
    design = data.draw(designs(weighted=False))
    theta = data.draw(thetas(design))
    n = len(design.y)
    heavy = at_theta(design.changed(weights=np.full(n, 2.0)).criterion(), theta)
    twice = at_theta(design.take(np.tile(np.arange(n), 2)).criterion(), theta)
    assert_close(heavy.beta, twice.beta, DEFINITION)
    for one, other in zip(heavy.b, twice.b, strict=True):
        assert_close(one, other, DEFINITION)


@LAWS
@given(some_designs, some_seed)
def test_order_of_rows_does_not_matter(design, seed):
    rows = np.random.default_rng(seed).permutation(len(design.y))
    assert_same_fit(design.take(rows).fit(), design.fit())


@LAWS
@given(some_designs, some_seed)
def test_order_of_levels_does_not_matter(design, seed):
    rng = np.random.default_rng(seed)
    orders = [rng.permutation(factor.n_levels) for factor in design.factors]
    renamed = tuple(
        type(factor)(codes=order[factor.codes], n_levels=factor.n_levels)
        for factor, order in zip(design.factors, orders, strict=True)
    )
    found, expected = design.changed(factors=renamed).fit(), design.fit()
    assert_same_fit(found, expected)
    for term, ours, theirs in zip(design.terms, found.b, expected.b, strict=True):
        assert_close(ours[orders[term.factor]], theirs, OF_STANDARD_ERROR, scale=np.sqrt(expected.sigma2))


@LAWS
@given(some_designs, st.floats(-6.0, 6.0), st.booleans(), some_seed)
def test_response_may_be_scaled_and_shifted_along_X(design, log_scale, negative, seed):
    c = (-1.0 if negative else 1.0) * 10.0**log_scale
    delta = c * np.random.default_rng(seed).normal(size=design.X.shape[1])
    offset = None if design.offset is None else c * design.offset
    moved = design.changed(y=c * design.y + design.X @ delta, offset=offset)
    assert_same_fit(moved.fit(), design.fit(), c=c, delta=delta)


@LAWS
@given(some_designs)
def test_large_mean_does_not_matter(design):
    expected = design.fit()
    found = design.changed(y=design.y + 1e8).fit()
    # Storing y + 1e8 in 16 digits is itself an error of 1e-8 in y: the objective cannot be nearer than this.
    assert found.objective == pytest.approx(expected.objective, abs=1e-5)
    assert found.sigma2 == pytest.approx(expected.sigma2, rel=1e-3)


@LAWS
@given(some_designs, st.lists(st.integers(-6, 6), min_size=3, max_size=3))
def test_units_of_fixed_effects_do_not_matter(design, powers):
    scale = 10.0 ** np.array(powers[: design.X.shape[1]])
    assert_same_fit(design.changed(X=design.X * scale).fit(), design.fit(), scale=scale)


@LAWS
@given(some_designs, st.lists(st.integers(-6, 6), min_size=3, max_size=3))
def test_units_of_random_slopes_do_not_matter(design, powers):
    scales = [10.0 ** np.array(powers[: term.k]) for term in design.terms]
    terms = tuple(RandomTerm(t.factor, t.Xi * s) for t, s in zip(design.terms, scales, strict=True))
    found, expected = design.changed(terms=terms).fit(), design.fit()
    assert_same_fit(found, expected)
    assert found.is_singular == expected.is_singular
    for ours, theirs, s in zip(found.b, expected.b, scales, strict=True):
        assert_close(ours * s, theirs, OF_STANDARD_ERROR, scale=np.sqrt(expected.sigma2))


@LAWS
@given(some_designs)
def test_search_only_goes_down_and_ends_certified(design):
    found = design.fit()
    path = np.array([step.objective for step in found.optimum.path])
    # Up by rounding noise, or by the 1e-9 that a variance of exactly zero may cost.
    assert (np.diff(path) <= 2e-9).all()
    assert found.certificate.certified
    assert found.objective <= found.criterion(np.zeros(len(found.theta))) + OBJECTIVE


@LAWS
@given(st.data())
def test_no_other_theta_is_better(data):
    design = data.draw(some_designs)
    found = design.fit()
    # Local: any smaller criterion in the neighbourhood would disprove the certificate.
    for theta in data.draw(st.lists(thetas(design), min_size=3, max_size=3)):
        near = found.theta + 1e-3 * (theta - found.theta)
        assert found.criterion(near) >= found.objective - OBJECTIVE
