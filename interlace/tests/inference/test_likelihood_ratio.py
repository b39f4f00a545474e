"""Likelihood-ratio tests against lme4's anova and drop1 and lmerTest's ranova."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose

import interlace
from interlace.errors import InferenceError, SingularFitWarning
from interlace.tests.bank import MODELS
from interlace.tests.fits import fitted

from .tables import column, having, reference

COLUMNS = ["npar", "loglik", "aic", "bic", "deviance", "chisq", "df", "p_value"]
# Both sides sit at their optima to 1e-9 of deviance.
CHISQ, P = 1e-6, 1e-5


@pytest.mark.parametrize(
    "name", [n for n in having("drop1_lrt") if len(reference(n, "drop1_lrt")["rows"]) > 1]
)
def test_drop1(name):
    table, ours = reference(name, "drop1_lrt"), fitted(name).result.drop1()
    assert list(ours.columns) == COLUMNS
    assert [row.replace(" ", "").replace("^", "**") for row in table["rows"]] == [
        row.replace(" ", "") for row in ours.index
    ]
    assert_allclose(ours["df"], column(table, "npar"))
    assert_allclose(ours["aic"], column(table, "AIC"), rtol=1e-9)
    assert_allclose(ours["chisq"], column(table, "LRT"), rtol=CHISQ, atol=1e-8)
    assert_allclose(ours["p_value"], column(table, "Pr(Chi)"), rtol=P, atol=1e-15)


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("name", having("ranova_whole_terms"))
def test_ranova(name, whole):
    table = reference(name, "ranova_whole_terms" if whole else "ranova")
    ours = fitted(name).result.ranova(reduce_terms=not whole)
    assert list(ours.columns) == COLUMNS
    assert ours.index[0] == "<none>"
    # The order of terms on one factor is ours; the likelihoods tell them apart.
    order = np.lexsort([ours["npar"], ours["loglik"].round(6)])
    theirs = np.lexsort([column(table, "npar"), column(table, "logLik").round(6)])
    for mine, name_there, rtol, atol in (
        ("npar", "npar", 0, 0),
        ("loglik", "logLik", 1e-9, 0),
        ("aic", "AIC", 1e-9, 0),
        ("chisq", "LRT", CHISQ, 1e-6),
        ("df", "Df", 0, 0),
        ("p_value", "Pr(>Chisq)", P, 1e-15),
    ):
        actual = ours[mine].to_numpy(float)[order]
        assert_allclose(actual, column(table, name_there)[theirs], rtol=rtol, atol=atol)


def test_ranova_takes_slopes_before_intercepts():
    assert list(fitted("ss_slope").result.ranova().index) == ["<none>", "Days in (1 + Days | Subject)"]


def both(name, test):
    given = {k: v for k, v in MODELS[name].arguments.items() if k in ("data", "weights", "offset")}
    return [interlace.fit(test[which].replace("^", "**"), **given) for which in ("null", "alternative")]


@pytest.mark.parametrize("name", having("lrt_ml"))
def test_nested_models(name):
    for test in reference(name, "lrt_ml"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SingularFitWarning)
            fits = both(name, test)
        table = interlace.anova(*reversed(fits))  # sorted by the number of parameters
        assert list(table.columns) == COLUMNS
        assert_allclose(table["npar"], test["npar"])
        assert_allclose(table["deviance"], test["deviance"], rtol=1e-9)
        assert_allclose(table["aic"], test["AIC"], rtol=1e-9)
        assert_allclose(table["bic"], test["BIC"], rtol=1e-9)
        last = table.iloc[1]
        assert_allclose([last["chisq"], last["df"]], [test["Chisq"], test["Df"]], rtol=CHISQ)
        assert_allclose(last["p_value"], test["p"], rtol=P)


@pytest.fixture(scope="module")
def sleep():
    return interlace.datasets.load_sleepstudy()


def test_fits_are_not_changed(sleep):
    small = interlace.fit("Reaction ~ 1 + (1 | Subject)", sleep)
    large = interlace.fit("Reaction ~ Days + (1 | Subject)", sleep)
    before = small.llf, large.llf
    interlace.anova(small, large)
    assert (small.llf, large.llf) == before
    assert small.pls_fit.reml


def test_restricted_likelihoods_are_compared_if_asked(sleep):
    small = interlace.fit("Reaction ~ Days + (1 | Subject)", sleep)
    large = interlace.fit("Reaction ~ Days + (Days | Subject)", sleep)
    table = interlace.anova(small, large, refit=None)
    assert_allclose(table["chisq"].iloc[1], large.ranova()["chisq"].iloc[1], rtol=1e-8)


def test_different_data_are_refused(sleep):
    whole = interlace.fit("Reaction ~ Days + (1 | Subject)", sleep)
    part = interlace.fit("Reaction ~ Days + (1 | Subject)", sleep.iloc[:-1])
    with pytest.raises(InferenceError, match=r"number of rows \(179, not 180\)"):
        interlace.anova(whole, part)
    logged = interlace.fit("np.log(Reaction) ~ Days + (1 | Subject)", sleep)
    with pytest.raises(InferenceError, match="the response"):
        interlace.anova(whole, logged)
    weighted = interlace.fit("Reaction ~ Days + (1 | Subject)", sleep, weights=np.arange(1.0, 181.0))
    with pytest.raises(InferenceError, match="the weights"):
        interlace.anova(whole, weighted)


def test_what_cannot_be_compared_is_refused(sleep):
    fit = interlace.fit("Reaction ~ Days + (1 | Subject)", sleep)
    with pytest.raises(InferenceError, match="give two or more"):
        interlace.anova(fit)
    null = interlace.fit("Reaction ~ 1 + (1 | Subject)", sleep)
    with pytest.raises(InferenceError, match="different fixed parts"):
        interlace.anova(null, fit, refit=None)
    ml = interlace.fit("Reaction ~ 1 + (1 | Subject)", sleep, method="ML")
    with pytest.raises(InferenceError, match="some fits are by REML"):
        interlace.anova(ml, fit, refit=None)
    with pytest.raises(ValueError, match="refit='REML'"):
        interlace.anova(null, fit, refit="REML")
