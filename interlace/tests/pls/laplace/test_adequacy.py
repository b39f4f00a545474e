"""The check of Laplace's approximation: for one term quadrature itself, for several an indicator."""

from __future__ import annotations

import numpy as np
import pytest

from interlace.pls.laplace.adequacy import adequacy
from interlace.pls.laplace.quadrature import QuadratureCriterion

from .bank import model
from .small import FAMILIES, small


def checked(fit, nodes=9):
    return adequacy(fit.problem.criterion, fit.refreshed(), fit.slopes, nodes)


@pytest.mark.parametrize("name", ["logit", "cloglog", "poisson", "nb2", "gamma", "ordinal logit"])
def test_of_one_term_it_is_quadrature(name):
    fit = small(name, "one scalar", n=90, seed=2).fit()
    (found,) = checked(fit)
    many = QuadratureCriterion(fit.problem.criterion, 9)
    at = many.evaluate(fit.at.x, None, fit.at.guess)
    gradient = many.gradient(at)
    # The fit's own gradient is as far from zero as its search ends: 1e-10 of deviance, beside promises of
    # 1e-4 and more, whose root it is a thousandth of.
    assert found.difference == pytest.approx(at.objective - fit.objective, abs=1e-8)
    hessian = fit.slopes.hessian
    assert found.promise == pytest.approx(gradient @ np.linalg.solve(hessian, gradient) / 2.0, rel=1e-2)


@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_of_several_there_is_one_for_each(name):
    found = checked(small(name, "three crossed", n=120).fit())
    assert len(found) == 3
    assert all(np.isfinite([each.difference, each.promise]).all() and each.promise >= 0 for each in found)


def test_a_normal_response_is_integrated_exactly():
    for each in checked(small("gaussian identity", "crossed, vector first", n=120).fit()):
        assert abs(each.difference) < 1e-8
        assert each.promise < 1e-8


def test_few_binary_answers_of_many_are_told_from_many():
    assert max(each.promise for each in checked(model("b33").fit())) > 1.0
    assert max(each.promise for each in checked(model("b00").fit())) < 0.05
