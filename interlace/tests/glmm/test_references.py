"""Figures of lme4, glmmTMB, emmeans and ordinal; they were made by reference/glmm/r/statistics.R."""

from __future__ import annotations

import numpy as np
import pytest
from statsmodels.tools.sm_exceptions import ConvergenceWarning

import interlace
from interlace.errors import SingularFitWarning

from .fits import STATISTICS, bank_fit, cbpp, fitted, ordinal, table

# glmmTMB stops at 1e-8 of deviance, which is 1e-4 standard errors.
CLOSE = 3e-4


def test_means_and_ratios_are_emmeans():
    reference, fit = STATISTICS["cbpp"], cbpp()
    link, response = fit.emmeans("period"), fit.emmeans("period", type="response")
    np.testing.assert_allclose(link.frame["emmean"], reference["link"]["emmean"], rtol=CLOSE)
    np.testing.assert_allclose(link.frame["std_error"], reference["link"]["SE"], rtol=CLOSE)
    np.testing.assert_allclose(response.frame["emmean"], reference["response"]["prob"], rtol=CLOSE)
    np.testing.assert_allclose(response.frame["std_error"], reference["response"]["SE"], rtol=CLOSE)
    ratios = response.contrasts(adjust="none")
    assert list(ratios["contrast"]) == [
        one.replace("period", "") for one in reference["pairs_plain"]["contrast"]
    ]
    np.testing.assert_allclose(ratios["odds_ratio"], reference["pairs_plain"]["odds.ratio"], rtol=2e-3)
    np.testing.assert_allclose(ratios["std_error"], reference["pairs_plain"]["SE"], rtol=2e-3)
    np.testing.assert_allclose(link.contrasts()["estimate"], reference["pairs_link"]["estimate"], atol=1e-4)
    grouse = bank_fit("grouse").emmeans("YEAR", type="response")
    np.testing.assert_allclose(grouse.frame["emmean"], STATISTICS["grouse"]["response"]["rate"], rtol=CLOSE)
    pairs = grouse.contrasts(adjust="none")
    np.testing.assert_allclose(pairs["ratio"], STATISTICS["grouse"]["pairs"]["ratio"], rtol=1e-3)
    np.testing.assert_allclose(pairs["std_error"], STATISTICS["grouse"]["pairs"]["SE"], rtol=1e-3)


@pytest.mark.parametrize("name", ["cbpp", "grouse"])
def test_predictions_and_their_errors_are_glmmtmbs(name):
    fit, reference = bank_fit(name), STATISTICS[name]
    typical, modal = fit.get_prediction(random=False), fit.get_prediction()
    for found, wanted in ((typical, reference["fixed_link"]), (modal, reference["modal_link"])):
        np.testing.assert_allclose(found.linear, wanted["fit"], atol=CLOSE)
        np.testing.assert_allclose(found.se_linear, wanted["se.fit"], rtol=1e-3)
    if name == "cbpp":
        np.testing.assert_allclose(modal.predicted_mean, reference["modal_response"]["fit"], rtol=CLOSE)
        np.testing.assert_allclose(modal.se_mean, reference["modal_response"]["se.fit"], rtol=1e-3)


@pytest.mark.parametrize("name", ["cbpp", "grouse"])
def test_residuals_are_lme4s(name):
    fit, reference = bank_fit(name), STATISTICS[name]
    # lme4's modes are good to 1e-5 or so.
    np.testing.assert_allclose(fit.resid_pearson, reference["pearson"], atol=2e-3)
    np.testing.assert_allclose(fit.resid_deviance, reference["deviance_residuals"], atol=2e-3)


def test_random_effects_are_glmmtmbs():
    reference, herds = STATISTICS["cbpp"], table("cbpp")["herd"]
    wanted = np.subtract(reference["modal_link"]["fit"], reference["fixed_link"]["fit"])
    np.testing.assert_allclose(cbpp().random_effects["herd"].loc[herds], wanted, atol=CLOSE)


@pytest.mark.parametrize("name", ["cbpp", "grouse"])
def test_likelihood_ratios_are_glmmtmbs(name):
    reference = STATISTICS[name]["drop1"]
    found = bank_fit(name).drop1().iloc[1:]
    np.testing.assert_allclose(found["chisq"], np.array(reference["LRT"][1:], float), atol=1e-5)
    np.testing.assert_allclose(found["p_value"], np.array(reference["Pr(>Chi)"][1:], float), rtol=1e-4)
    if name == "grouse":
        without = bank_fit(name).ranova().loc["(1 | LOCATION)", "loglik"]
        assert without == pytest.approx(STATISTICS[name]["without_location"], abs=1e-6)


def test_counts_with_an_offset_are_glmmtmbs():
    reference = STATISTICS["offset"]
    fit = fitted(
        "TICKS ~ YEAR + (1 | LOCATION)", table("grouse"), family="negativebinomial", exposure="HEIGHT"
    )
    assert fit.llf == pytest.approx(reference["loglik"], abs=1e-6)
    se = np.asarray(reference["se"])
    np.testing.assert_allclose((fit.fe_params - reference["beta"]) / se, 0.0, atol=1e-3)
    np.testing.assert_allclose(fit.bse_fe, se, rtol=1e-3)
    assert fit.family_params["size"] == pytest.approx(reference["size"], rel=1e-3)


def test_a_maximal_model_of_60_subjects_and_40_items_is_singular_and_at_the_best():
    model = interlace.CrossedGLMM.from_formula(
        "y ~ c + (1 + c | s) + (1 + c | i)", table("psych"), family="binomial"
    )
    with pytest.warns(SingularFitWarning, match=r"in \(1 \+ c \| i\) the correlation of") as caught:
        fit = model.fit()
    assert not [one for one in caught if issubclass(one.category, ConvergenceWarning)]
    reference = STATISTICS["psych"]
    assert fit.converged
    assert fit.objective <= min(reference[how] for how in ("bobyqa", "nlopt", "tmb")) + 1e-6
    np.testing.assert_allclose((fit.fe_params - reference["beta"]) / fit.bse_fe, 0.0, atol=1e-3)
    assert np.isfinite(fit.bse_fe).all()


def test_ordered_categories_are_clmms():
    fit, reference = ordinal(), STATISTICS["ordinal"]
    assert fit.llf == pytest.approx(reference["loglik"], abs=1e-6)
    se = np.asarray(reference["se"])
    ours = np.concatenate([fit.thresholds, fit.fe_params])
    theirs = np.concatenate([reference["alpha"], reference["beta"]])
    k = len(reference["alpha"])
    np.testing.assert_allclose((ours - theirs) / se[: len(ours)], 0.0, atol=1e-3)
    found = np.concatenate([fit.bse.iloc[-k:], fit.bse_fe])
    # clmm's Hessian is by differences of a criterion that is good to its modes.
    np.testing.assert_allclose(found, se[: len(ours)], rtol=5e-3)
    np.testing.assert_allclose(np.sqrt(fit.vcomp), reference["sd"], rtol=1e-3)
    probit = interlace.CrossedOrdinal.from_formula(
        "resp ~ Anger + btype + (1 | id)", table("verbagg"), distr="probit"
    ).fit()
    reference = STATISTICS["ordinal_probit"]
    # clmm stopped 0.003 below this maximum.
    assert reference["loglik"] < probit.llf < reference["loglik"] + 0.01
    np.testing.assert_allclose(probit.thresholds, reference["alpha"], atol=1e-2)
    np.testing.assert_allclose(probit.fe_params, reference["beta"], atol=1e-2)
