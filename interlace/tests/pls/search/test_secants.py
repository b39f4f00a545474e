"""What gradients teach of the Hessian: the last step would have been predicted."""

from __future__ import annotations

import numpy as np

from interlace.pls.search.secants import learned

H = np.array([[2.0, 0.3], [0.3, 1.0]])  # analytic
EXACT = np.array([[2.5, 0.5], [0.5, 1.4]])


def slopes(x, hessian):
    return hessian @ x, H


def test_the_last_step_would_have_been_predicted():
    before, now = np.array([0.1, -0.2]), np.array([0.05, 0.1])
    step = now - before
    found = learned(np.zeros((2, 2)), slopes(before, EXACT), slopes(now, EXACT), step)
    np.testing.assert_array_equal(found, found.T)
    np.testing.assert_allclose((H + found) @ step, EXACT @ step, rtol=1e-12)
    assert np.linalg.matrix_rank(found) == 1


def test_two_directions_teach_all_of_a_constant_hessian():
    secant, x = np.zeros((2, 2)), np.array([0.1, -0.2])
    for step in np.array([[0.1, 0.0], [0.03, 0.1]]):
        secant = learned(secant, slopes(x, EXACT), slopes(x + step, EXACT), step)
        x = x + step
    np.testing.assert_allclose(H + secant, EXACT, rtol=1e-10)


def test_nothing_new_changes_nothing():
    before, now = np.array([0.1, -0.2]), np.array([0.05, 0.1])
    secant = np.zeros((2, 2))
    found = learned(secant, slopes(before, H), slopes(now, H), now - before)
    np.testing.assert_allclose(found, 0.0, atol=1e-14)  # rounding errors of a difference of gradients


def test_curvature_is_not_unlearned_beyond_belief():
    before, now = np.array([0.1, -0.2]), np.array([0.05, 0.1])
    secant = np.zeros((2, 2))
    assert learned(secant, slopes(before, -EXACT), slopes(now, -EXACT), now - before) is secant
