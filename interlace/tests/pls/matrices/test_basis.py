"""Orthonormal bases: rank by lme4's rule, and the way back to the user's columns."""

from __future__ import annotations

import numpy as np
import pytest

from interlace.pls import RandomTerm, independent_columns
from interlace.pls.matrices.basis import dependence, fixed_basis, term_basis
from interlace.tests.pls.dense import assert_close

# Householder and Cholesky factors of well-conditioned columns: a few rounding errors.
EXACT = 1e-12

x = np.linspace(-1.0, 1.0, 12)
ones = np.ones(12)


@pytest.mark.parametrize(
    ("columns", "kept"),
    [
        pytest.param([ones, x, x**2], (0, 1, 2), id="independent"),
        pytest.param([ones, x, 2 * x + 3], (0, 1), id="the last dependent column goes"),
        pytest.param([x, ones, 2 * x + 3, x**2], (0, 1, 3), id="from the middle"),
        pytest.param([ones, ones, ones], (0,), id="all the same"),
        pytest.param([0 * ones, ones, x], (1, 2), id="a column of zeros"),
        pytest.param([0 * ones], (), id="nothing but zeros"),
        pytest.param([1e-12 * x, 1e12 * ones, x**2], (0, 1, 2), id="scale does not matter"),
        pytest.param([ones, ones + 1e-6 * x], (0, 1), id="nearly dependent, as R's qr keeps it"),
        pytest.param([ones, ones + 1e-9 * x], (0,), id="nearly dependent, as R's qr drops it"),
        pytest.param([1e5 + x, ones, x], (0, 1), id="dependent although scaled apart"),
        pytest.param(
            [x**k for k in range(8)], tuple(range(8)), id="polynomials: ill conditioned, independent"
        ),
    ],
)
def test_independent_columns(columns, kept):
    assert independent_columns(np.column_stack(columns)) == kept


def test_independent_columns_of_nothing():
    assert independent_columns(np.empty((5, 0))) == ()


def test_no_more_independent_columns_than_rows():
    wide = np.random.default_rng(1).normal(size=(3, 6))
    assert independent_columns(wide) == (0, 1, 2)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(
    "X",
    [
        pytest.param(np.column_stack([ones, x]), id="well conditioned"),
        pytest.param(np.column_stack([ones, 1e6 + x, 1e-6 * x**2]), id="badly scaled"),
        pytest.param(np.empty((12, 0)), id="no columns"),
    ],
)
def test_fixed_basis_is_weighted_least_squares(X, weighted):
    rng = np.random.default_rng(2)
    y = rng.normal(size=12)
    root = np.sqrt(rng.uniform(0.5, 2.0, size=12)) if weighted else np.ones(12)
    basis, Qy = fixed_basis(X, y, root if weighted else None)
    p = X.shape[1]
    Q, residual = Qy[:, :p], Qy[:, p]
    # Recomputed from R alone, Q loses as many digits as X has condition: 1e6 at worst.
    again = basis.coordinates(X, y, root if weighted else None)
    np.testing.assert_allclose(again, Qy, atol=1e-9)
    assert_close(Q.T @ Q, np.eye(p), EXACT)
    WX = root[:, None] * X
    assert_close(Q @ basis.R, WX, EXACT)
    scaled = WX / np.linalg.norm(WX, axis=0)
    # Where the mean of a column is 1e6 times its spread, six digits go with it.
    expected = root * y - scaled @ np.linalg.lstsq(scaled, root * y)[0]
    assert basis.scale * residual == pytest.approx(expected, abs=1e-9)
    assert basis.scale == pytest.approx(np.sqrt(np.mean(expected**2)))
    assert np.mean(residual**2) == pytest.approx(1.0)
    back = basis.beta(np.zeros(p))
    assert root * (y - X @ back) == pytest.approx(expected, abs=1e-9)
    gram = WX.T @ WX
    assert basis.logdet_R2 == pytest.approx(np.linalg.slogdet(gram)[1] if p else 0.0, rel=1e-4)
    if p and np.linalg.cond(gram) < 1e6:
        assert basis.vcov(np.eye(p)) == pytest.approx(np.linalg.inv(gram))


def test_what_X_explains_leaves_nothing():
    basis, Qy = fixed_basis(np.column_stack([ones, x]), 1e5 * (3.0 + 2.0 * x), None)
    assert basis.scale == 0.0
    assert np.isfinite(Qy).all()


def test_no_response_leaves_nothing():
    assert fixed_basis(ones[:, None], np.zeros(12), None)[0].scale == 0.0


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(
    "Xi",
    [
        pytest.param(ones[:, None], id="intercept"),
        pytest.param(1e5 * x[:, None], id="slope in small units"),
        pytest.param(np.column_stack([ones, 1e3 + x]), id="slope on a covariate far from zero"),
        pytest.param(np.column_stack([ones, x, x**2]), id="three columns"),
    ],
)
def test_term_basis_is_orthonormal_in_mean_square(Xi, weighted):
    weights = np.random.default_rng(3).uniform(0.5, 2.0, size=12) if weighted else None
    R = term_basis(RandomTerm(0, Xi), weights)
    np.testing.assert_array_equal(R, np.tril(R))
    assert (np.diagonal(R) > 0).all()
    columns = Xi @ np.linalg.inv(R)
    w = ones if weights is None else weights
    # Rounding errors grow with the condition number of the columns, 1e3 at worst.
    assert (columns * w[:, None]).T @ columns / 12 == pytest.approx(np.eye(Xi.shape[1]), abs=1e-9)


@pytest.mark.parametrize(
    ("Xi", "scale"),
    [
        pytest.param(np.column_stack([ones, ones, 2 * ones]), [1.0, 1.0, 2.0], id="dependent"),
        pytest.param(np.column_stack([0 * ones, ones]), [1.0, 1.0], id="a column of zeros"),
        pytest.param(0 * ones[:, None], [1.0], id="nothing but zeros"),
        pytest.param(np.array([[3.0, 4.0]]), [3.0, 4.0], id="fewer rows than columns"),
    ],
)
def test_term_basis_of_redundant_columns_settles_their_scale_only(Xi, scale):
    assert term_basis(RandomTerm(0, Xi), None) == pytest.approx(np.diag(scale))


def test_inputs_stay_as_they_are():
    X, y, weights = np.column_stack([ones, x]), x**3, 1.0 + x**2
    kept = X.copy(), y.copy(), weights.copy()
    fixed_basis(X, y, np.sqrt(weights))
    fixed_basis(X, y, None)
    term_basis(RandomTerm(0, X), weights)
    independent_columns(X)
    for now, before in zip((X, y, weights), kept, strict=True):
        np.testing.assert_array_equal(now, before)


def test_rows_keep_to_the_dependence_of_the_columns_or_break_it():
    """In units from 1e-8 to 1e8, for it is the shares of the columns that count."""
    unit = np.array([1.0, 1e8, 1e-8, 1e3])
    X = np.column_stack([ones, x, 2 * x + 3, np.zeros(12)])
    found = dependence(X * unit, independent_columns(X * unit))
    assert found.kept == (0, 1)
    rows = np.array([[1.0, 50.0, 103.0, 0.0], [1.0, 50.0, 103.1, 0.0], [1.0, 0.0, 3.0, 1.0]])
    assert found.holds(rows * unit).tolist() == [True, False, False]
    assert found.holds(X * unit).all()
    assert not found.holds(np.array([[1.0, np.nan, 3.0, 0.0]])).any()


def test_nearly_dependent_columns_do_not_rule_out_the_rows_of_the_fit():
    """A column counts as dependent when 1e-7 of its norm is new: single rows may be further off."""
    n = 4000
    z = np.linspace(-1.0, 1.0, n)
    off = np.zeros(n)
    off[7] = 3e-6
    X = np.column_stack([np.ones(n), z, z + off])
    kept = independent_columns(X)
    assert kept == (0, 1)
    assert dependence(X, kept).holds(X).all()


def test_independent_columns_leave_every_row_determined():
    X = np.column_stack([ones, x])
    assert dependence(X, (0, 1)).holds(np.array([[0.0, 1e300]])).all()
