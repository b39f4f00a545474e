"""Trials where Lambda is singular: what is tried, and that the criterion agrees with the reason."""

from __future__ import annotations

import numpy as np
import pytest

from interlace.pls.search.boundary import (
    LARGEST_RISE_TRIED,
    beyond_saddle,
    boundary_curvature,
    near_boundary,
    principal_axes,
    rounded,
    without_columns,
)
from interlace.tests.pls.dense import assert_close
from interlace.tests.pls.designs import crossed, growth, one_way, singular


def evaluated(maker, phi=None):
    criterion = maker().criterion()
    m = criterion.relcov.m
    phi = np.random.default_rng(3).normal(size=m) if phi is None else np.asarray(phi, dtype=float)
    at = criterion.decompose(phi)
    return criterion, at, criterion.derivatives(at)


@pytest.mark.parametrize("maker", [growth, crossed, singular])
def test_principal_axes_are_another_gauge_of_the_same_point(maker):
    criterion, at, _ = evaluated(maker)
    turned = principal_axes(criterion.relcov, at)
    again = criterion.decompose(turned.phi, turned.gauge)
    assert again.objective == pytest.approx(at.objective, abs=1e-9)
    for ours, theirs in zip(again.Lambda, at.Lambda, strict=True):
        assert_close(ours @ ours.T, theirs @ theirs.T, 1e-12)
    np.testing.assert_array_equal(turned.phi[~criterion.relcov.diagonal], 0.0)


def test_one_column_needs_no_axes():
    criterion, at, _ = evaluated(one_way)
    assert principal_axes(criterion.relcov, at) is at


def test_small_singular_values_are_rounded_and_no_others():
    criterion, at, _ = evaluated(growth, [1.0, 0.5, 1e-3])
    assert near_boundary(criterion.relcov, at.Lambda)
    phi, gauge = rounded(criterion.relcov, at)
    assert gauge is None
    (Lambda,) = criterion.relcov.Lambda(phi)
    assert np.linalg.matrix_rank(Lambda) == 1
    assert_close(Lambda @ Lambda.T, at.Lambda[0] @ at.Lambda[0].T, 1e-3)
    criterion, at, _ = evaluated(growth, [1.0, 0.5, 0.3])
    assert not near_boundary(criterion.relcov, at.Lambda)
    assert rounded(criterion.relcov, at) is None


def test_the_curvature_is_the_slope_in_the_variance_that_is_zero():
    criterion, at, now = evaluated(one_way, [0.0])
    ((slope, direction),) = boundary_curvature(criterion, at, now)
    assert abs(direction) == pytest.approx(1.0)
    variance = 1e-6
    rise = criterion.decompose(np.array([np.sqrt(variance)])).objective - at.objective
    assert rise / variance == pytest.approx(slope, rel=1e-3)  # its own curvature, over a step of 1e-6


def test_a_negative_slope_leads_down():
    criterion, at, now = evaluated(one_way, [0.0])
    assert boundary_curvature(criterion, at, now)[0][0] < 0.0
    trials = list(beyond_saddle(criterion.relcov, at, now, least=0.0))
    assert min(criterion.decompose(*trial).objective for trial in trials) < at.objective
    assert list(beyond_saddle(criterion.relcov, at, now, least=-np.inf)) == []


def test_regular_blocks_have_no_boundary():
    criterion, at, now = evaluated(crossed, [1.0, 0.5, 0.3, 0.7])
    assert [slope for slope, _ in boundary_curvature(criterion, at, now)] == [np.inf, np.inf]
    assert list(beyond_saddle(criterion.relcov, at, now, least=0.0)) == []


def test_columns_are_tried_without_where_that_costs_little():
    criterion, at, now = evaluated(crossed, [1.0, 0.5, 1e-2, 2.0])
    trials = [x for x, _ in without_columns(criterion.relcov, at, now)]
    assert any(np.array_equal(x, [1.0, 0.5, 0.0, 2.0]) for x in trials)
    for x in trials:
        lost = at.phi - x
        assert lost.any()
        assert lost @ now.hessian @ lost / 2.0 <= LARGEST_RISE_TRIED
