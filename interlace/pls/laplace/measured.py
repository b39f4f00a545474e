"""The Hessian of the criterion, measured by differences of its exact gradient."""

from __future__ import annotations

import numpy as np

from interlace.arrays import FloatArray
from interlace.pls.matrices.triangular import eigen

from .criterion import Evaluation, LaplaceCriterion
from .slopes import Slopes

# Step in basis coordinates within a search; and of the final Hessian: what that step leaves out is some 1e-6
# of it, and so is rounding, but for a direction with less curvature than FLAT (a standard error of 14 units
# of eta), which takes longer steps.
STRIDE, SHARP_STRIDE, FLAT, LONG_STRIDE = 1e-5, 5e-7, 1e-2, 1e-4
# Tolerance of the modes behind differences.
SHARP = 1e-10


def measured_hessian(
    criterion: LaplaceCriterion, at: Evaluation, now: Slopes, *, sharp: bool = False
) -> FloatArray:
    """Differences of the exact gradient, modes predicted.

    One-sided ones: the step is so short that its square is lost, and the gradient so sharp that it shows.
    The modes are then found where they are predicted, and each column costs one factorization.  Where the
    criterion is nearly flat rounding would show too: there the steps are longer, and to both sides.

    Parameters
    ----------
    criterion, at, now : LaplaceCriterion, Evaluation, Slopes
        Where to differentiate.
    sharp : bool
        Whether digits count: shorter steps.

    Returns
    -------
    ndarray of shape (m + p + k, m + p + k)
    """
    stride = SHARP_STRIDE if sharp else STRIDE
    found = _differences(criterion, at, now, stride, now.gradient)
    if sharp and eigen(found)[0][0] < FLAT:
        behind = _differences(criterion, at, now, -LONG_STRIDE, now.gradient)
        found = (_differences(criterion, at, now, LONG_STRIDE, now.gradient) + behind) / 2.0
    return found


def _differences(
    criterion: LaplaceCriterion, at: Evaluation, now: Slopes, stride: float, gradient: FloatArray
) -> FloatArray:
    """One-sided differences of the gradient along each parameter, symmetric."""
    rows = []
    for step in stride * np.eye(len(gradient)):
        guess = at.modes.b + now.b_dot @ step, at.modes.v + now.v_dot @ step
        new = criterion.evaluate(at.x + step, at.gauge, guess, tolerance=SHARP)
        rows.append((criterion.gradient(new) - gradient) / stride)
    measured = np.array(rows)
    return np.asarray((measured + measured.T) / 2.0)
