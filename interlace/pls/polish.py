"""An optimum to the last digits: for statistics that are linear, not quadratic, in the error of theta."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from interlace.pls.search.criterion import ProfiledCriterion
from interlace.pls.search.optimize import Optimum
from interlace.pls.search.secants import learned

from .fit import PLSFit, snapshot

# Deviance still to gain that is left alone: theta is then within 1e-8 of its standard error.
TIGHT = 1e-16
STEPS = 4


def polished(fit: PLSFit) -> PLSFit:
    """The same fit after a few more Newton steps.

    The search for the optimum ends when the criterion has no more digits to gain; theta, and with it
    every residual, could still have some.

    Parameters
    ----------
    fit : PLSFit
        At a certified optimum; any other is returned as it is.

    Returns
    -------
    PLSFit
        The factorization stands at its optimum.
    """
    if not fit.certificate.certified or fit.optimum.expected_decrease < TIGHT:
        fit.criterion.decompose(fit.optimum.at.phi, fit.optimum.at.gauge)
        return fit
    optimum = _tightened(fit.criterion, fit.optimum)
    return replace(snapshot(fit.criterion, optimum), certificate=fit.certificate)


def _tightened(criterion: ProfiledCriterion, optimum: Optimum) -> Optimum:
    at, now = optimum.at, optimum.derivatives
    missing = optimum.secant  # of the analytic Hessian
    for _ in range(STEPS):
        values, vectors = np.linalg.eigh(now.hessian + missing)
        values = np.maximum(np.abs(values), 1e-9 * np.abs(values).max(initial=1e-300))
        g = vectors.T @ now.gradient
        if g @ (g / values) / 2.0 < TIGHT:
            break
        new = criterion.decompose(at.phi - vectors @ (g / values), at.gauge)
        if not new.objective <= at.objective + 1e-9:
            break
        before, step, at = now, new.phi - at.phi, new
        now = criterion.derivatives(at)
        missing = learned(missing, before.slopes, now.slopes, step)
    criterion.decompose(at.phi, at.gauge)
    return replace(optimum, at=at, phi=criterion.relcov.triangle(at.Lambda), derivatives=now)
