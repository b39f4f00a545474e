"""Conjugate gradients for many right-hand sides, against dense solves and logarithms."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import linalg

from interlace.pls.factor.conjugate import conjugate_gradients


def positive_definite(rng, q, condition):
    Q, _ = np.linalg.qr(rng.normal(size=(q, q)))
    return (Q * np.geomspace(1.0, condition, q)) @ Q.T


@pytest.mark.parametrize("condition", [1.0, 3.0, 1e3])
def test_solutions_logarithms_and_forms_are_those_of_the_matrix(condition):
    rng = np.random.default_rng(1)
    S, B = positive_definite(rng, 30, condition), rng.normal(size=(30, 4))
    found = conjugate_gradients(lambda V: S @ V, B, tolerance=1e-13, most=500)
    assert found.converged
    # Residuals of 1e-13 times a condition of at most 1e3.
    np.testing.assert_allclose(found.X, np.linalg.solve(S, B), rtol=1e-9, atol=1e-9)
    logarithm = np.einsum("ij,ij->j", B, linalg.logm(S).real @ B)
    # A quadrature is exact to the square of what the solution is, and both to rounding.
    np.testing.assert_allclose(found.logarithms(), logarithm, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(found.quadratic_forms(), np.einsum("ij,ij->j", B, S @ B), rtol=1e-12)


def test_columns_leave_as_they_converge_and_do_not_touch_each_other():
    rng = np.random.default_rng(2)
    S, B = positive_definite(rng, 40, 50.0), rng.normal(size=(40, 3))
    eigenvector = np.linalg.eigh(S)[1][:, [0]]
    widths = []

    def product(V):
        widths.append(V.shape[1])
        return S @ V

    together = conjugate_gradients(product, np.hstack([eigenvector, B]), tolerance=1e-10, most=200)
    alone = conjugate_gradients(lambda V: S @ V, B, tolerance=1e-10, most=200)
    assert together.steps[0] == 1
    assert widths[0] == 4
    assert max(widths[1:]) == 3
    # The same arithmetic but for the order of sums in the products.
    np.testing.assert_allclose(together.X[:, 1:], alone.X, rtol=1e-8, atol=1e-10)
    assert np.abs(together.steps[1:] - alone.steps).max() <= 1


def test_nothing_to_solve_is_solved_at_once():
    found = conjugate_gradients(lambda V: V, np.zeros((5, 2)), tolerance=1e-8, most=10)
    assert found.converged
    assert not found.X.any()
    assert not found.logarithms().any()
    assert not found.quadratic_forms().any()


def test_too_few_steps_are_said():
    S = np.diag(np.geomspace(1.0, 1e6, 50))
    assert not conjugate_gradients(lambda V: S @ V, np.ones((50, 1)), tolerance=1e-12, most=3).converged
