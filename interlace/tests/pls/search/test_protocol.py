"""The search knows a criterion by its protocol only: other implementations are minimised alike.

One of them has a parameter besides those of Lambda: the deviance with log sigma not profiled out.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import SimpleNamespace

import numpy as np
import pytest

from interlace.errors import OptimizationError
from interlace.pls.held.constrained import as_ml
from interlace.pls.held.fixed import AtSigma
from interlace.pls.search.certificate import certify
from interlace.pls.search.criterion import Decomposition
from interlace.pls.search.optimize import minimize
from interlace.tests.pls.designs import DESIGNS, crossed, one_way

# The search ends when 1e-11 of deviance is promised, and may pay 1e-9 for a variance of exactly zero.
OBJECTIVE = 1e-8


@dataclass(frozen=True, eq=False)
class Evaluated:
    """A decomposition and log sigma."""

    own: Decomposition
    log_sigma: float

    gauge = property(lambda self: self.own.gauge)
    Lambda = property(lambda self: self.own.Lambda)
    objective = property(lambda self: self.own.objective)
    x = property(lambda self: np.append(self.own.phi, self.log_sigma))

    def in_gauge(self, phi, gauge, Psi):
        return replace(self, own=self.own.in_gauge(phi, gauge, Psi))


class Unprofiled:
    """The deviance in phi and log sigma."""

    def __init__(self, criterion):
        self.profiled, self.relcov = as_ml(criterion), criterion.relcov

    def _at(self, log_sigma):
        return AtSigma(self.profiled, float(np.exp(log_sigma)))

    def decompose(self, x, gauge=None):
        return Evaluated(self._at(x[-1]).decompose(x[:-1], gauge), float(x[-1]))

    def derivatives(self, at, *, rough=False):
        now = self._at(at.log_sigma).derivatives(at.own, rough=rough)
        s2, n = np.exp(2.0 * at.log_sigma), self.profiled.cp.n
        share = at.own.pwrss / s2
        across = -2.0 * now.pwrss_gradient[:, None] / s2
        gradient = np.append(now.gradient, 2.0 * (n - share))
        hessian = np.block([[now.hessian, across], [across.T, np.array([[4.0 * share]])]])
        return SimpleNamespace(
            gradient=gradient, hessian=hessian, slopes=(gradient, hessian), scores=now.scores, rough=now.rough
        )

    def noise(self, at):
        return self._at(at.log_sigma).noise(at.own)

    def fault(self, at):
        return self._at(at.log_sigma).fault(at.own)


@pytest.mark.parametrize("name", DESIGNS)
def test_a_parameter_that_is_no_covariance_is_found_with_the_others(name):
    criterion = DESIGNS[name](reml=False).criterion()
    start = 0.5 * criterion.relcov.diagonal
    expected = minimize(criterion, start)
    sigma = np.sqrt(expected.at.pwrss / criterion.nu)
    found = minimize(Unprofiled(criterion), np.append(start, 0.3))
    assert found.converged
    assert found.at.objective == pytest.approx(expected.at.objective, abs=OBJECTIVE)
    # Parameters are found to 1e-6 of their standard errors, near a minimum quadratically.
    assert found.at.log_sigma == pytest.approx(np.log(sigma), abs=1e-5)
    assert len(found.phi) == criterion.relcov.m
    assert certify(Unprofiled(criterion), found).certified


@pytest.mark.parametrize("name", DESIGNS)
def test_the_deviance_at_the_estimate_of_sigma_has_the_same_minimum(name):
    criterion = DESIGNS[name](reml=False).criterion()
    expected = minimize(criterion, 0.5 * criterion.relcov.diagonal)
    at_sigma = AtSigma(criterion, float(np.sqrt(expected.at.pwrss / criterion.nu)))
    found = minimize(at_sigma, 0.5 * criterion.relcov.diagonal)
    assert found.at.objective == pytest.approx(expected.at.objective, abs=OBJECTIVE)


def test_derivatives_of_the_unprofiled_deviance():
    """What stands above is itself checked: by differences of values."""
    criterion = Unprofiled(crossed().criterion())
    x, h = np.append(0.7 * criterion.relcov.diagonal + 0.1, 0.2), 1e-5
    gradient = criterion.derivatives(criterion.decompose(x)).gradient
    for slope, unit in zip(gradient, np.eye(len(x)), strict=True):
        ahead, behind = (criterion.decompose(x + step * unit).objective for step in (h, -h))
        # Values of some hundreds, 1e-5 apart: six digits.
        assert (ahead - behind) / (2.0 * h) == pytest.approx(slope, rel=1e-6, abs=1e-5)


def test_the_criterion_has_the_last_word():
    """Where it finds fault, at the start or on the way, users read its sentence."""
    for calls_before in (0, 1):
        criterion = one_way().criterion()
        calls = []

        def fault(at, calls=calls, before=calls_before):
            calls.append(at)
            return "a fault of this model" if len(calls) > before else None

        criterion.fault = fault
        with pytest.raises(OptimizationError, match="a fault of this model"):
            minimize(criterion, 0.05 * criterion.relcov.diagonal)
        assert len(calls) == calls_before + 1
