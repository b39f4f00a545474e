"""The quick fit against glmer's ``nAGQ = 0``, and its gradient against differences."""

from __future__ import annotations

import json

import numpy as np
import pytest

from interlace.pls.laplace.joint import JointCriterion
from interlace.tests.strategies import SOLVERS

from .bank import HERE, model
from .small import FAMILIES, parameters, small

GLMER = json.loads((HERE / "fast.json").read_text(encoding="utf-8"))
# glmer ends its search and its inner iteration at some 1e-7 of deviance; we may be lower, not higher.
DEVIANCE = 1e-6
# Its estimates are then within some 1e-4 of a standard error.
ESTIMATE = 1e-3


@pytest.mark.parametrize("name", sorted(GLMER))
def test_it_is_what_glmer_does_without_nodes(name):
    expected = GLMER[name]
    found = model(name).fit(fast=True)
    assert found.certificate.certified, found.certificate
    assert found.fast
    assert -1e-4 < found.objective - expected["deviance"] < DEVIANCE
    np.testing.assert_allclose(found.beta, expected["beta"], atol=ESTIMATE * min(expected["se"]))
    # glmer's standard errors are those of the working model, to as many digits as theta has.
    np.testing.assert_allclose(np.sqrt(np.diag(found.vcov_beta("working"))), expected["se"], rtol=1e-4)


@pytest.mark.parametrize("name", ["cbpp", "grouse"])
def test_it_is_no_better_than_the_optimum(name):
    assert model(name).fit().objective < model(name).fit(fast=True).objective


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("singular", [False, True])
def test_gradient_follows_the_fixed_effects(name, singular):
    criterion = JointCriterion(small(name).problem().criterion)
    x = parameters(criterion, name, np.random.default_rng(1), singular=singular)
    at = criterion.evaluate(x, tolerance=1e-12)
    found, x = criterion.slopes(at).gradient, at.x
    beta = slice(criterion.m, criterion.m + criterion.p)
    assert not found[beta].any()
    for j in (*range(criterion.m), *range(criterion.m + criterion.p, len(x))):
        step = 2e-5 * np.eye(len(x))[j]
        ahead, behind = (criterion.evaluate(x + k * step, None, at.guess, tolerance=1e-12) for k in (1, -1))
        # Second-order differences with a step of 2e-5 of a sum of some hundred.
        assert found[j] == pytest.approx((ahead.objective - behind.objective) / 4e-5, rel=1e-5, abs=1e-5)


def test_fixed_effects_do_not_depend_on_where_the_iteration_begins():
    criterion = JointCriterion(small("logit").problem().criterion)
    x = parameters(criterion, "logit", np.random.default_rng(1), singular=False)
    other = x.copy()
    other[criterion.m : criterion.m + criterion.p] += 1.0
    np.testing.assert_allclose(criterion.evaluate(other).gamma, criterion.evaluate(x).gamma, atol=1e-8)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("name", ["poisson", "nb2", "ordinal logit"])
def test_every_family_and_solver_has_it(name, solver):
    one = small(name, n=120)
    quick, exact = one.fit(fast=True, solver=solver), one.fit(solver=solver)
    assert quick.certificate.certified
    # Levels have 15 rows: log |M| says little about beta.
    assert exact.objective - 1e-8 <= quick.objective < exact.objective + 0.5


def test_separation_is_proved_without_an_end():
    found = model("b04").fit(fast=True)
    assert found.separation is not None
    assert not found.certificate.certified


@pytest.mark.parametrize("shape", ["one scalar", "nested", "crossed vectors"])
def test_without_fixed_effects_there_is_nothing_to_be_quick_about(shape):
    one = small("ordinal logit", shape, n=90)
    one = one.changed(X=np.empty((90, 0)))
    assert one.fit(fast=True).objective == pytest.approx(one.fit().objective, abs=1e-8)
