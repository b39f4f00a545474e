"""Solves straight through LAPACK against NumPy's of the full matrices."""

from __future__ import annotations

import numpy as np
import pytest

from interlace.pls.matrices.triangular import (
    eigen,
    inverse_from_upper,
    lower_solve_right,
    symmetric_from_lower,
    upper_solve,
    upper_solve_right,
)
from interlace.tests.pls.dense import assert_close

# Well conditioned matrices of at most six columns.
EXACT = 1e-13
SIZES = (1, 2, 6)


def triangle(k):
    rng = np.random.default_rng(k)
    return np.triu(rng.normal(size=(k, k))) + 2.0 * np.eye(k), rng.normal(size=(4, k))


@pytest.mark.parametrize("k", SIZES)
def test_solves(k):
    R, B = triangle(k)
    assert_close(upper_solve(R, B.T), np.linalg.inv(R) @ B.T, EXACT)
    assert_close(upper_solve(R, B[0]), np.linalg.inv(R) @ B[0], EXACT)
    assert_close(upper_solve_right(B, R), B @ np.linalg.inv(R), EXACT)
    assert_close(lower_solve_right(B, R.T), B @ np.linalg.inv(R.T), EXACT)


@pytest.mark.parametrize("k", SIZES)
def test_inverse(k):
    R, _ = triangle(k)
    assert_close(inverse_from_upper(R), np.linalg.inv(R.T @ R), EXACT)


def test_nothing_to_solve():
    empty = np.empty((0, 0))
    assert upper_solve(empty, np.empty((0, 3))).shape == (0, 3)
    assert upper_solve_right(np.empty((3, 0)), empty).shape == (3, 0)
    assert inverse_from_upper(empty).shape == (0, 0)


@pytest.mark.parametrize("k", SIZES)
def test_symmetric_matrices(k):
    R, _ = triangle(k)
    full = symmetric_from_lower(R.T)
    np.testing.assert_array_equal(np.tril(full), R.T)
    np.testing.assert_array_equal(full, full.T)
    values, vectors = eigen(full)
    assert (np.diff(values) >= 0).all()
    assert_close(vectors * values @ vectors.T, full, EXACT)


def test_eigenvalues_that_do_not_converge_are_not_returned():
    with pytest.raises((np.linalg.LinAlgError, ValueError)):
        eigen(np.full((3, 3), np.nan))
