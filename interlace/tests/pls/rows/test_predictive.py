"""Variances of predictions and their derivatives by definition."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import linalg

from interlace.pls.rows import predictive
from interlace.pls.rows.predictive import prediction_gradient, prediction_variance
from interlace.tests.pls.dense import assert_close
from interlace.tests.pls.dense_rows import standing
from interlace.tests.pls.designs import DESIGNS


@pytest.fixture(params=DESIGNS)
def here(request):
    return standing(DESIGNS[request.param](reml=True))


def unweighted(here):
    """The same rows with weight one: predictions are of new observations' means."""
    rows = here.rows
    w = np.ones(rows.n) if here.design.weights is None else np.sqrt(here.design.weights)
    return rows, w


@pytest.mark.parametrize("among", [6_000, 0])
def test_variance_of_predictions(here, monkeypatch, among):
    """``Var(x' (beta^ - beta) + z' (b^ - b)) / sigma^2`` from Henderson's equations."""
    monkeypatch.setattr(predictive, "COLUMNS_AT_ONCE", among)
    rows, root = unweighted(here)
    X, Z = here.design.X, np.hstack(here.Z)
    D = linalg.block_diag(*here.D)
    full = np.hstack([X, Z])
    W = np.diag(root**2)
    # Covariance of (beta^, b^ - b): the inverse of the mixed model equations, here without inverting D.
    V_inverse = np.linalg.inv(here.V0)
    C, DZV = here.C, D @ Z.T @ V_inverse
    cross = -C @ X.T @ DZV.T
    own = D - DZV @ Z @ D + DZV @ X @ C @ X.T @ DZV.T
    joint = np.block([[C, cross], [cross.T, own]])
    expected = np.einsum("na,ab,nb->n", full, joint, full) * np.diagonal(W)
    assert_close(prediction_variance(here.criterion, here.at, rows), expected, 1e-9)


def test_gradient_of_predictions(here):
    """By differences of the predictions themselves."""
    found = prediction_gradient(here.criterion, here.at, here.rows)
    relcov, h = here.criterion.relcov, 1e-6

    def predictions(theta):
        at = here.criterion.decompose(relcov.to_basis @ theta)
        p = here.criterion.cp.p
        return here.rows.Qy[:, :p] @ at.gamma + here.rows.times(at.modes[:, None])[:, 0]

    for slope, unit in zip(found.T, np.eye(relcov.m), strict=True):
        ahead, behind = predictions(here.theta + h * unit), predictions(here.theta - h * unit)
        # Numbers of order one, 1e-6 apart, lose six digits.
        np.testing.assert_allclose((ahead - behind) / (2.0 * h), slope, atol=1e-7)
