"""Deletion with the variance components held, against generalised least squares of the rows that stay."""

from __future__ import annotations

import numpy as np
import pytest

from interlace.pls.rows import one_step
from interlace.pls.rows.one_step import delete_cases, delete_rows
from interlace.tests.pls.dense import assert_close
from interlace.tests.pls.dense_rows import standing
from interlace.tests.pls.designs import DESIGNS

# Inverses of well conditioned matrices of some hundred rows.
EXACT = 1e-9


def without(here, gone):
    """Change and covariance of beta, by definition."""
    V0, X, y = here.V0[np.ix_(~gone, ~gone)], here.design.X[~gone], here.y[~gone]
    C = np.linalg.inv(X.T @ np.linalg.solve(V0, X))
    change = here.beta - C @ X.T @ np.linalg.solve(V0, y)
    p = len(C)
    before, after = here.sigma2 * here.C, here.sigma2 * C
    measures = [
        change @ np.linalg.solve(before, change) / p,
        change @ np.linalg.solve(after, change) / p,
        abs(np.trace(np.linalg.solve(before, after)) - p),
        np.linalg.det(after) / np.linalg.det(before),
    ]
    return np.concatenate([change, np.sqrt(np.diag(after)), measures])


def columns(step):
    measures = [step.cooksd, step.mdffits, step.covtrace, step.covratio]
    return np.column_stack([step.change, step.se_deleted, *measures])


@pytest.fixture(params=DESIGNS)
def here(request):
    return standing(DESIGNS[request.param]())


def test_every_row(here):
    n = here.rows.n
    expected = np.array([without(here, np.arange(n) == row) for row in range(n)])
    found = columns(delete_rows(here.criterion, here.at, here.rows))
    for ours, theirs in zip(found.T, expected.T, strict=True):
        assert_close(ours, theirs, EXACT)


@pytest.mark.parametrize("large", [0, 1_000])
def test_cases_and_rows_that_stay(here, monkeypatch, large):
    monkeypatch.setattr(one_step, "LARGE_CASE", large)
    cases = np.random.default_rng(6).integers(-1, 5, size=here.rows.n)
    expected = np.array([without(here, cases == case) for case in range(5)])
    found = columns(delete_cases(here.criterion, here.at, here.rows, cases, 5))
    for ours, theirs in zip(found.T, expected.T, strict=True):
        assert_close(ours, theirs, EXACT)


def test_a_case_without_which_x_loses_rank_has_no_deleted_estimate(here):
    X = here.design.X.copy()
    X[:, 1] = 0.0
    X[:4, 1] = 1.0
    lost = standing(here.design.changed(X=X))
    cases = np.where(np.arange(lost.rows.n) < 4, 0, 1)
    step = delete_cases(lost.criterion, lost.at, lost.rows, cases, 2)
    assert np.isnan(step.change[0]).all()
    assert np.isnan(step.covratio[0])
