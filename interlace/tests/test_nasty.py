"""Laws that hold for the worst of designs, too; `benchmarks/torture.py` asks thousands of them for more."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings

import interlace
from interlace.errors import InterlaceError
from interlace.tests import longdouble
from interlace.tests.longdouble import criterion
from interlace.tests.nasty import FAMILIES, nasty
from interlace.tests.oracle import by_definition
from interlace.tests.strategies import LAWS, SOLVERS, nasty_designs

FEW = settings(LAWS, max_examples=25)
FEWER = settings(LAWS, max_examples=12)


def fitted(design):
    """A fit, or None where interlace refuses the design; any other exception is a fault."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            if design.family is None:
                model = interlace.CrossedLMM.from_formula(
                    design.formula, design.frame, weights=design.weights
                )
                return model.fit(reml=design.reml)
            if design.family == "ordinal":
                return interlace.CrossedOrdinal.from_formula(design.formula, design.frame).fit()
            model = interlace.CrossedGLMM.from_formula(design.formula, design.frame, family=design.family)
            return model.fit()
        except InterlaceError:
            return None


@FEW
@given(nasty_designs())
def test_the_criterion_is_that_of_longer_arithmetic(design):
    """To what the condition of the data leaves: r^2 is a difference from y'y, V0 as steep as its weights."""
    result = fitted(design)
    if result is None or not longdouble.LONGER:
        return
    design = result.model.design
    theta = result.pls_fit.theta  # the results' own has NaN where the data determine none
    exact = criterion(*design.arrays, theta, **design.weighting, reml=result.method == "REML")
    assert abs(-2.0 * result.llf - exact) < allowed(result, exact)


def allowed(result, value):
    """Error that the condition of the data excuses.

    r^2 is a difference from y'y (the criterion's own noise), V0 as steep as its weights, and the last digit
    of a response far from zero a share of the residual standard deviation in every row.
    """
    design, fit = result.model.design, result.pls_fit
    lost = fit.criterion.noise(fit.optimum.at)
    steep = 1e-15 * float(np.linalg.cond(covariance(design, fit.theta)))
    digit = 2.0**-52 * float(np.abs(design.y).max()) / np.sqrt(fit.sigma2)
    return 1e-9 * max(1.0, abs(value)) + 100.0 * lost + len(design.y) * (steep + digit)


def covariance(design, theta):
    """V0 with a diagonal of ones, dense."""
    V = np.diag(1.0 / (np.ones(len(design.y)) if design.weights is None else design.weights))
    at = 0
    for term in design.terms:
        block, m = np.zeros((term.k, term.k)), term.n_theta
        block.T[np.triu_indices(term.k)] = theta[at : at + m]
        half, codes, at = term.Xi @ block, design.factors[term.factor].codes, at + m
        V += (half @ half.T) * (codes[:, None] == codes)
    return V / np.sqrt(np.outer(np.diag(V), np.diag(V)))


def test_longer_arithmetic_and_the_definition_agree_where_both_are_good():
    result = interlace.fit("Reaction ~ Days + (Days | Subject)", interlace.datasets.load_sleepstudy())
    design = result.model.design
    for reml in (True, False):
        dense = by_definition(*design.arrays, result.theta, reml=reml).criterion
        # Sums of 180 terms in double precision.
        assert criterion(*design.arrays, result.theta, reml=reml) == pytest.approx(dense, rel=1e-12)


@FEWER
@given(nasty_designs())
def test_both_solvers_have_one_criterion(design):
    result = fitted(design)
    if result is None:
        return
    found = [result.model.criterion(reml=result.method == "REML", solver=solver) for solver in SOLVERS]
    values = [one(result.pls_fit.theta) for one in found]
    assert np.ptp(values) < allowed(result, values[0])


@FEWER
@given(nasty_designs("any"))
def test_generalised_models_are_fitted_or_refused_in_words(design):
    result = fitted(design)
    assert result is None or np.isfinite(result.llf)


@pytest.mark.parametrize("family", [None, *FAMILIES, "any"])
def test_a_design_is_made_again_by_its_number(family):
    one, other = (nasty(1, 17, family=family) for _ in range(2))
    assert one.frame.equals(other.frame)
    assert (one.formula, one.kinds) == (other.formula, other.kinds)
    assert not one.frame.equals(nasty(1, 18, family=family).frame)


def test_there_is_every_kind_of_nastiness():
    kinds = {kind for number in range(300) for kind in nasty(1, number).kinds}
    wanted = {
        "1 factors",
        "4 factors",
        "crossed",
        "nested",
        "finer",
        "partly crossed",
        "disconnected",
        "duplicated",
    }
    wanted |= {"intercepts", "uncorrelated slopes", "correlated slopes", "slopes without intercepts"}
    wanted |= {"weights over ten decades", "units of 1e-12 to 1e12", "hardly more rows than coefficients"}
    wanted |= {"every row twice", "hardly any residual", "response in odd units", "covariate: years"}
    assert wanted <= kinds


def test_changes_are_of_the_same_data():
    rng = np.random.default_rng(1)
    design = nasty(1, 3)
    assert sorted(design.permuted(rng).frame["y"]) == sorted(design.frame["y"])
    renamed = design.renamed(rng).frame
    for name in design.factors:
        assert renamed.groupby(design.frame[name])[name].nunique().eq(1).all()
        assert renamed[name].nunique() == design.frame[name].nunique()
    rescaled, shift = design.rescaled(rng)
    assert np.isfinite(shift)
    assert np.log2(rescaled.frame["y"] / design.frame["y"]).nunique() == 1
