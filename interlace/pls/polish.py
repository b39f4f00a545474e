"""An optimum to the last digits: for statistics that are linear, not quadratic, in the error of theta."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from interlace.arrays import FloatArray
from interlace.pls.search.criterion import Decomposition, ProfiledCriterion
from interlace.pls.search.newton import TrustRegion, quadratic
from interlace.pls.search.optimize import Optimum
from interlace.pls.search.secants import learned

from .fit import PLSFit, snapshot

# Deviance still to gain that is left alone: theta is then within 1e-8 of its standard error.
TOLERANCE = 1e-16
STEPS = 4
# Deviance by which a step may end higher: the last digits of theta are below those of the criterion.
HIGHER = 1e-9


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
    if not fit.certificate.certified or fit.optimum.expected_decrease < TOLERANCE:
        fit.criterion.decompose(fit.optimum.at.phi, fit.optimum.at.gauge)
        return fit
    optimum = _tightened(fit.criterion, fit.optimum)
    return replace(snapshot(fit.criterion, optimum), certificate=fit.certificate)


def _tightened(criterion: ProfiledCriterion, optimum: Optimum[Decomposition]) -> Optimum[Decomposition]:
    at, now = optimum.at, optimum.derivatives
    missing = optimum.secant  # of the analytic Hessian
    for _ in range(STEPS):
        model = quadratic(now.gradient, now.hessian + missing)
        if model.expected_decrease < TOLERANCE:
            break
        found = TrustRegion(np.inf).step(
            model, _displaced(criterion, at), objective=at.objective, noise=HIGHER
        )
        if found is None:
            break
        before, step, at = now, found.at.phi - at.phi, found.at
        now = criterion.derivatives(at)
        missing = learned(missing, before.slopes, now.slopes, step)
    criterion.decompose(at.phi, at.gauge)
    return replace(optimum, at=at, phi=criterion.relcov.triangle(at.Lambda), derivatives=now)


def _displaced(criterion: ProfiledCriterion, at: Decomposition) -> Callable[[FloatArray], Decomposition]:
    """The criterion at a change of phi."""
    return lambda change: criterion.decompose(at.phi + change, at.gauge)
