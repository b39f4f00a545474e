"""What changes of the gradient teach about the part of the Hessian that its analytic approximation lacks."""

from __future__ import annotations

import numpy as np
from scipy.linalg import lapack

from interlace.arrays import FloatArray

# A secant is not believed that would leave less than this share of the analytic curvature in some direction.
LEAST_CURVATURE_LEFT = 0.1

Slopes = tuple[FloatArray, FloatArray]


def learned(secant: FloatArray, before: Slopes, now: Slopes, step: FloatArray) -> FloatArray:
    """Update of what the Hessian lacks, so that the last step would have been predicted.

    Parameters
    ----------
    secant : ndarray of shape (m, m)
        What was known of it.
    before, now : tuples of ndarray of shape (m,) and (m, m)
        Gradient and analytic Hessian at both ends of the step; between them the latter is taken to change
        linearly.
    step : ndarray of shape (m,)
        From one to the other.

    Returns
    -------
    ndarray of shape (m, m)
        A symmetric update of rank one; ``secant`` itself where the step says nothing, or nothing credible.

    References
    ----------
    Nocedal & Wright (2006), Numerical Optimization, section 6.2.
    """
    missed = now[0] - before[0] - ((before[1] + now[1]) / 2.0 + secant) @ step
    along = float(missed @ step)
    if abs(along) < 1e-3 * np.linalg.norm(missed) * np.linalg.norm(step) or along == 0.0:
        return secant
    updated = secant + missed[:, None] * (missed / along)
    _, not_definite = lapack.dpotrf((1.0 - LEAST_CURVATURE_LEFT) * now[1] + updated, clean=0)
    return secant if not_definite else np.asarray(updated)
