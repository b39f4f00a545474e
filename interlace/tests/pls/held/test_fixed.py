"""Fixed effects and sigma held: the value is held, the rest is a minimum of the dense deviance."""

from __future__ import annotations

import numpy as np
import pytest

from interlace.pls.held.fixed import FixedEffect, FixedSigma, as_ml
from interlace.tests.pls.designs import DESIGNS, crossed, growth
from interlace.tests.pls.held.dense_deviance import deviance, perturbed

# The search ends when 3e-13 of deviance is promised; deviances are some hundreds, from dense matrices.
DEVIANCE = 1e-8


def ml(name):
    design = DESIGNS[name](reml=False)
    return design, design.fit()


@pytest.mark.parametrize("factor", [0.8, 1.0, 1.3])
@pytest.mark.parametrize("name", DESIGNS)
def test_sigma(name, factor):
    design, fit = ml(name)
    held, sigma = FixedSigma(as_ml(fit.criterion)), np.sqrt(fit.sigma2)
    found = held.minimum(factor * sigma, held.rescaled(held.start(fit.optimum.phi), sigma, factor * sigma))
    assert found.sigma == factor * sigma
    assert found.deviance == pytest.approx(deviance(design, found), abs=DEVIANCE)
    assert found.deviance >= fit.objective - DEVIANCE
    for neighbour in perturbed(found, held=("sigma",)):
        assert deviance(design, neighbour) >= found.deviance - DEVIANCE
    if factor == 1.0:
        assert found.deviance == pytest.approx(fit.objective, abs=DEVIANCE)


@pytest.mark.parametrize("shift", [-2.0, 0.0, 1.0])
@pytest.mark.parametrize("j", [0, 1])
@pytest.mark.parametrize("name", DESIGNS)
def test_a_fixed_effect(name, j, shift):
    design, fit = ml(name)
    value = fit.beta[j] + shift * np.sqrt(fit.vcov_beta[j, j])
    held = FixedEffect(as_ml(fit.criterion), j)
    found = held.minimum(value, held.start(fit.optimum.phi))
    assert found.beta[j] == pytest.approx(value, rel=1e-10, abs=1e-10)
    assert found.deviance == pytest.approx(deviance(design, found), abs=DEVIANCE)
    for neighbour in perturbed(found, held=("beta", j)):
        assert deviance(design, neighbour) >= found.deviance - DEVIANCE
    if shift == 0.0:
        assert found.deviance == pytest.approx(fit.objective, abs=DEVIANCE)


@pytest.mark.parametrize("maker", [growth, crossed])
def test_the_deviance_whatever_the_criterion_was(maker):
    reml, deviance = maker(reml=True).criterion(), maker(reml=False).criterion()
    theta = 0.7 * reml.relcov.diagonal + 0.1
    assert as_ml(reml)(theta) == pytest.approx(deviance(theta), rel=1e-12)
