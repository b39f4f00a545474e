"""Standard deviations and correlations: the value is held, the rest minimises the dense deviance."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from interlace.pls.held.constrained import as_ml, held_parameters
from interlace.pls.held.covariance import FixedCorrelation, FixedSD, reordered
from interlace.pls.search.criterion import ProfiledCriterion
from interlace.tests.pls.dense import assert_close
from interlace.tests.pls.designs import crossed, growth, nested, one_way, uncorrelated
from interlace.tests.pls.held.dense_deviance import deviance

# The search ends when 1e-11 of deviance is promised; deviances are some hundreds.
DEVIANCE = 1e-8
MAKERS = (one_way, growth, crossed, uncorrelated, nested)


def held_of(fit, kind):
    return [held for held in held_parameters(as_ml(fit.criterion)) if isinstance(held, kind)]


def covariance(held, found):
    root = found.Lambda[held.order.term]
    return found.sigma**2 * root @ root.T


def column(held):
    """Columns of the term that come first in the order: the basis in it starts with theirs."""
    relcov = held.order.criterion.relcov
    inverse = relcov.term_inverses[held.order.term]
    shuffled = held.order.gauge[relcov.term_factor[held.order.term]]
    start = relcov.term_start[held.order.term]
    k = len(inverse)
    raw = inverse @ shuffled[start : start + k, start : start + k] @ held.order.R
    return np.argmax(np.abs(raw), axis=0)


@pytest.mark.parametrize("factor", [0.5, 1.0, 1.6])
@pytest.mark.parametrize("maker", MAKERS)
def test_a_standard_deviation(maker, factor):
    design = maker(reml=False)
    fit = design.fit()
    for held in held_of(fit, FixedSD):
        a = column(held)[0]
        estimate = np.sqrt(fit.Sigma[held.order.term][a, a])
        found = held.minimum(
            factor * estimate, held.rescaled(held.start(fit.optimum.phi), estimate, factor * estimate)
        )
        Sigma = covariance(held, found)
        assert np.sqrt(Sigma[a, a]) == pytest.approx(factor * estimate, rel=1e-9)
        assert found.deviance == pytest.approx(deviance(design, found), abs=DEVIANCE)
        if factor == 1.0:
            assert found.deviance == pytest.approx(fit.objective, abs=DEVIANCE)
        for neighbour in around(found, held, [a]):
            assert deviance(design, neighbour) >= found.deviance - DEVIANCE


@pytest.mark.parametrize("rho", [-0.7, 0.0, 0.4, None])
@pytest.mark.parametrize("maker", [growth, crossed, nested])
def test_a_correlation(maker, rho):
    design = maker(reml=False)
    fit = design.fit()
    for held in held_of(fit, FixedCorrelation):
        a, b = column(held)[:2]
        Sigma = fit.Sigma[held.order.term]
        estimate = Sigma[a, b] / np.sqrt(Sigma[a, a] * Sigma[b, b])
        value = estimate if rho is None else rho
        found = held.minimum(value, held.start(fit.optimum.phi))
        Sigma = covariance(held, found)
        assert Sigma[a, b] == pytest.approx(value * np.sqrt(Sigma[a, a] * Sigma[b, b]), abs=1e-9)
        assert found.deviance == pytest.approx(deviance(design, found), abs=DEVIANCE)
        if rho is None:
            assert found.deviance == pytest.approx(fit.objective, abs=DEVIANCE)
        for neighbour in around(found, held, [a, b]):
            assert deviance(design, neighbour) >= found.deviance - DEVIANCE


def around(found, held, own):
    """Points nearby with the same standard deviation, or correlation, of some columns of the term."""
    rng = np.random.default_rng(1)
    for _ in range(10):
        sigma = found.sigma * np.exp(0.02 * rng.normal())
        roots = [root + 0.02 * rng.normal(size=root.shape) for root in found.Lambda]
        before, root = found.Lambda[held.order.term], roots[held.order.term]
        if len(own) == 1:
            root[own] *= np.linalg.norm(found.sigma * before[own]) / np.linalg.norm(sigma * root[own])
        else:  # both rows turned and scaled alike keep their angle
            Q = np.linalg.qr(np.eye(before.shape[1]) + 0.02 * rng.normal(size=(before.shape[1],) * 2))[0]
            root[own] = np.exp(0.02 * rng.normal(size=(2, 1))) * (before[own] @ Q)
        beta = found.beta + 0.02 * rng.normal(size=len(found.beta))
        yield replace(found, sigma=sigma, Lambda=tuple(roots), beta=beta)


@pytest.mark.parametrize("first", [[0], [1], [1, 0]])
def test_columns_in_another_order_are_another_gauge(first):
    criterion = growth().criterion()
    order = reordered(criterion, 0, first)
    phi = np.array([0.9, 0.3, 0.6])
    assert isinstance(order.criterion, ProfiledCriterion)
    again = criterion.decompose(order.start(phi), order.gauge)
    assert again.objective == pytest.approx(criterion.decompose(phi).objective, abs=1e-9)
    assert_close(np.triu(order.R, 1), np.zeros_like(order.R), 1e-12)
    assert (np.diagonal(order.R) > 0).all()
