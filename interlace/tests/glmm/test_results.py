"""What a fit says: figures of glmmTMB and glmer, statsmodels' conventions, words."""

from __future__ import annotations

import copy
import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from statsmodels.iolib.summary2 import summary_col
from statsmodels.tools.sm_exceptions import ConvergenceWarning, PerfectSeparationWarning

import interlace
from interlace import CrossedGLMM
from interlace.errors import DesignError, LaplaceWarning, SingularFitWarning, UndefinedError

from .fits import FORMULAS, MODELS, bank_fit, cbpp, fitted, ordinal, table


@pytest.mark.parametrize("name", FORMULAS)
def test_estimates_and_errors_are_glmmtmbs(name):
    fit, reference = bank_fit(name), MODELS[name]["fits"]["tmb"]
    p = fit.k_fe
    # The bank's figures have ten digits; glmmTMB itself stops at 1e-8 of deviance.
    assert fit.objective <= MODELS[name]["best"] + 1e-6
    se = np.asarray(reference["se"])
    np.testing.assert_allclose((fit.fe_params - reference["beta"]) / se, 0.0, atol=1e-4)
    np.testing.assert_allclose(fit.bse_fe, se, rtol=1e-4)
    sds = np.sqrt(np.asarray(fit.vcomp))
    np.testing.assert_allclose(np.sort(np.log(sds)), np.sort(reference["theta"][p:]), atol=1e-4)


@pytest.mark.parametrize("name", ["cbpp", "verbagg"])
def test_working_covariance_is_glmers(name):
    fit = bank_fit(name)
    found = np.sqrt(np.diag(fit.cov_params(kind="working")))[: fit.k_fe]
    # glmer's own, of its tighter fit: its modes are good to 1e-5.
    np.testing.assert_allclose(found, MODELS[name]["fits"]["bobyqa"]["se"], rtol=1e-3)


@pytest.mark.parametrize("name", ["b00", "b01", "b02", "b10", "b13", "b20"])
def test_simulated_sets_by_formula_reach_the_best(name):
    fit = bank_fit(name)
    assert fit.objective <= MODELS[name]["best"] + 1e-6
    assert fit.converged


@pytest.mark.parametrize(
    "family",
    ["binomial", "binomial(probit)", "poisson", "negativebinomial", "gamma"],
)
def test_without_variance_between_groups_it_is_statsmodels_glm(family):
    # Groups that differ less than chance would have it: the variance is estimated as 0.
    rng = np.random.default_rng(3)
    n = 240
    data = pd.DataFrame({"x": rng.standard_normal(n), "g": np.tile(np.arange(4), n // 4)})
    eta = 0.3 + 0.5 * data["x"]
    data["y"] = {
        "binomial": lambda: rng.binomial(1, 1 / (1 + np.exp(-eta))),
        "binomial(probit)": lambda: rng.binomial(1, 1 / (1 + np.exp(-eta))),
        "poisson": lambda: rng.poisson(np.exp(eta)),
        "negativebinomial": lambda: rng.negative_binomial(2.0, 2.0 / (2.0 + np.exp(eta))),
        "gamma": lambda: rng.gamma(2.0, np.exp(eta) / 2.0),
    }[family]()
    # Take out what the groups have: equal shares of every response.
    data["g"] = data.sort_values(["y", "x"]).assign(g=np.tile([0, 1, 2, 3, 3, 2, 1, 0], n // 8))["g"]
    fit = fitted("y ~ x + (1 | g)", data, family=family)
    assert fit.is_singular
    X = sm.add_constant(data[["x"]])
    families = sm.families
    if family == "negativebinomial":
        glm = sm.NegativeBinomial(data["y"], X).fit(disp=0, method="newton", maxiter=100, tol=1e-12)
        assert fit.alpha == pytest.approx(glm.params["alpha"], rel=1e-4)
        # statsmodels' is on the scale of alpha: fixed effects have the same covariance.
        np.testing.assert_allclose(fit.bse_fe, glm.bse[:2], rtol=1e-3)
    else:
        kind = {
            "binomial": families.Binomial(),
            "binomial(probit)": families.Binomial(families.links.Probit()),
            "poisson": families.Poisson(),
            "gamma": families.Gamma(families.links.Log()),
        }[family]
        glm = sm.GLM(data["y"], X, family=kind).fit(tol=1e-12)
        np.testing.assert_allclose(fit.fittedvalues, glm.fittedvalues, rtol=1e-5)
        np.testing.assert_allclose(fit.resid, glm.resid_response, atol=1e-5)
    np.testing.assert_allclose(fit.fe_params, glm.params[:2], rtol=1e-4, atol=1e-6)
    if family in ("binomial", "binomial(probit)", "poisson"):
        assert fit.llf == pytest.approx(glm.llf, abs=1e-6)
        assert fit.deviance == pytest.approx(glm.deviance, abs=1e-5)
        np.testing.assert_allclose(fit.resid_pearson, glm.resid_pearson, atol=1e-5)
        np.testing.assert_allclose(fit.resid_deviance, glm.resid_deviance, atol=1e-5)
    if family in ("binomial", "poisson"):  # canonical: observed and expected information are one
        np.testing.assert_allclose(fit.bse_fe, glm.bse, rtol=1e-4)


@pytest.mark.parametrize("make", [cbpp, lambda: bank_fit("grouse"), lambda: bank_fit("b00"), ordinal])
def test_conventions(make):
    fit = make()
    cov = fit.cov_params()
    np.testing.assert_array_equal(fit.bse, np.sqrt(np.diag(cov)))
    assert list(cov.index) == list(fit.params.index) == fit.model.data.param_names
    np.testing.assert_array_equal(fit.tvalues, fit.params / fit.bse)
    test = fit.t_test(np.eye(fit.k_fe))
    np.testing.assert_allclose(test.tvalue, fit.tvalues.iloc[: fit.k_fe])
    np.testing.assert_allclose(test.pvalue, fit.pvalues.iloc[: fit.k_fe])
    np.testing.assert_allclose(test.conf_int(), fit.conf_int().iloc[: fit.k_fe])
    assert fit.aic == -2 * fit.llf + 2 * len(fit.params)
    assert list(fit.conf_int(parm=fit.fe_names[0]).index) == [fit.fe_names[0]]
    assert fit.random_effects.keys() == fit.random_effects_se.keys() == fit.varcov.keys()


def test_fitted_values_are_predictions():
    fit = cbpp()
    pd.testing.assert_series_equal(fit.fittedvalues, fit.predict(), check_names=False)
    np.testing.assert_allclose(fit.predict(table("cbpp")), fit.fittedvalues, rtol=1e-12)
    np.testing.assert_allclose(fit.resid, fit.model.endog - fit.fittedvalues)


def test_random_effects_are_glmers():
    # lme4 1.1-31, ranef(glmer(..., tolPwrss = 1e-13)) of the first herds is not in the bank; by definition:
    # the score of each herd's rows equals b over the variance.
    fit, d = cbpp(), table("cbpp")
    b, variance = fit.random_effects["herd"], fit.varcov["herd"].iloc[0, 0]
    score = (d["incidence"] - d["size"] * fit.fittedvalues).groupby(d["herd"]).sum()
    np.testing.assert_allclose(b / variance, score, atol=1e-6)
    w = (d["size"] * fit.fittedvalues * (1 - fit.fittedvalues)).groupby(d["herd"]).sum()
    np.testing.assert_allclose(fit.random_effects_se["herd"] ** 2, 1 / (w + 1 / variance), rtol=1e-6)


def test_pickled_and_copied_fits_say_the_same():
    for fit in (cbpp(), ordinal()):
        again = pickle.loads(pickle.dumps(fit))
        assert again.summary().as_text() == fit.summary().as_text()
        assert copy.deepcopy(fit).llf == fit.llf
    np.testing.assert_array_equal(
        pickle.loads(pickle.dumps(cbpp())).get_prediction().se_mean, cbpp().get_prediction().se_mean
    )


def test_without_data_what_is_left_is_the_same_and_the_rest_is_refused():
    fit = fitted(FORMULAS["cbpp"], table("cbpp"), family="binomial")
    before = fit.summary().as_text(), fit.predict(table("cbpp")), fit.conf_int(), fit.bic
    fit.remove_data()
    size = len(pickle.dumps(fit))
    assert fit.summary().as_text() == before[0]
    pd.testing.assert_series_equal(fit.predict(table("cbpp")), before[1])
    pd.testing.assert_frame_equal(fit.conf_int(), before[2])
    assert fit.bic == before[3]
    assert fit.cov_params(kind="working").shape == (5, 5)
    assert size < len(pickle.dumps(cbpp()))
    for name in ("fittedvalues", "resid_pearson"):
        with pytest.raises(DesignError, match="remove_data was called"):
            getattr(fit, name)
    for call in (fit.get_prediction, fit.drop1, fit.simulate, fit.simulated_residuals, fit.r2):
        with pytest.raises(DesignError, match="remove_data was called"):
            call()


def test_summary_text():
    assert cbpp().summary().as_text().splitlines()[:20] == SUMMARY.splitlines()


SUMMARY = """\
                 Generalized Linear Mixed Model Regression Results
====================================================================================
Model:            CrossedGLMM Dependent Variable: cbind(incidence, size - incidence)
Family:           Binomial    Method:             ML (Laplace)                      
Link:             logit       Scale:              1.0000                            
No. Observations: 56          Log-Likelihood:     -92.0263                          
No. Groups:       15          AIC:                194.0526                          
Min. group size:  1           Converged:          Yes                               
Max. group size:  4                                                                 
Mean group size:  3.7                                                               
------------------------------------------------------------------------------------
                                          Coef.  Std.Err.   z    P>|z| [0.025 0.975]
------------------------------------------------------------------------------------
Intercept                                 -1.399    0.232 -6.016 0.000 -1.854 -0.943
period[T.2]                               -0.992    0.307 -3.236 0.001 -1.593 -0.391
period[T.3]                               -1.129    0.327 -3.455 0.001 -1.769 -0.488
period[T.4]                               -1.580    0.427 -3.697 0.000 -2.418 -0.743
herd Var                                   0.412    0.229                           
===================================================================================="""  # noqa: W291


def test_tables_and_words():
    fit = cbpp()
    assert "-1.3985" in str(summary_col([fit]))
    assert "-2 log-likelihood" in interlace.summary_table([fit])
    assert "| herd: SD (Intercept) | 0.642 |" in fit.to_markdown()
    assert "herd: SD (Intercept)" in fit.to_html()
    assert r"\begin{tabular}{lrrrrr}" in fit.to_latex()
    text = fit.report(exponentiate=True)
    # exp of -0.9923 and of its limits
    assert "Fixed effects as odds ratios" in text
    assert "period[T.2], OR = 0.37, 95% CI [0.20, 0.68], z = -3.24, p = .001" in text
    assert "period[T.2], b = -0.99, SE = 0.31, 95% CI [-1.59, -0.39]" in fit.report()
    tidy = fit.tidy(conf_int=True, exponentiate=True).set_index("term")
    assert tidy.loc["period[T.2]", "estimate"] == pytest.approx(np.exp(fit.params["period[T.2]"]))
    assert tidy.loc["period[T.2]", "conf_low"] == pytest.approx(np.exp(fit.conf_int().loc["period[T.2]", 0]))
    assert tidy.loc["sd__(Intercept)", "estimate"] == pytest.approx(np.sqrt(fit.params["herd Var"]))
    assert fit.glance()["bic"].item() == fit.bic
    np.testing.assert_allclose(fit.augment()[".fitted"], fit.fittedvalues)
    assert list(fit.augment(table("cbpp"))[".fitted"]) == list(fit.predict(table("cbpp")))


def test_dispersion_parameters():
    d = table("grouse")
    fit = fitted("TICKS ~ YEAR + cHEIGHT + (1 | BROOD) + (1 | LOCATION)", d, family="negativebinomial")
    assert fit.objective == pytest.approx(1777.81685178, abs=1e-6)  # glmmTMB's
    assert fit.params.index[-1] == "log size"
    assert fit.alpha == pytest.approx(np.exp(-fit.params["log size"]))
    assert fit.scale == 1.0
    rng = np.random.default_rng(1)
    times = pd.DataFrame({"g": np.repeat(np.arange(20), 10)})
    times["y"] = rng.gamma(4.0, np.exp(rng.normal(0, 0.3, 20))[times["g"]] / 4.0)
    gamma = fitted("y ~ 1 + (1 | g)", times, family="gamma")
    assert gamma.scale == pytest.approx(1 / gamma.family_params["shape"])
    gauss = fitted("y ~ 1 + (1 | g)", times, family="gaussian(log)")
    assert gauss.sigma**2 == pytest.approx(gauss.scale)


def test_singular_fits_warn_once_and_are_ordinary():
    with pytest.warns(
        SingularFitWarning, match=r"the fit is singular: in \(1\+c \| i\) the correlation"
    ) as caught:
        fit = CrossedGLMM.from_formula(MODELS["b20"]["formula"], table("b20"), family="binomial").fit()
    assert [one.filename for one in caught] == [__file__]
    assert fit.converged
    assert np.isfinite(fit.bse_fe).all()
    assert fit.bse_re.isna().any()
    assert "Singular fit" in fit.summary().as_text()


def test_separation_is_named():
    model = CrossedGLMM.from_formula(MODELS["b04"]["formula"], table("b04"), family="binomial")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fit = model.fit()
    assert [one.category for one in caught] == [SingularFitWarning, PerfectSeparationWarning]
    assert "g, c:g have no finite maximum-likelihood estimate" in str(caught[1].message)
    assert fit.separation.columns == ("g", "c:g")
    assert not fit.converged
    assert fit.bse_fe[["g", "c:g"]].isna().all()
    assert fit.pvalues[["g", "c:g"]].isna().all()
    assert np.isfinite(fit.bse_fe[["Intercept", "c"]]).all()
    estimates = fit.coef_table()["estimate"]
    # Every response with g = 1 is a success: infinite there, and its difference by c is not known.
    assert estimates["g"] == np.inf
    assert np.isnan(estimates["c:g"])
    text = fit.summary().as_text()
    assert "Separation: no finite estimate and no test of g, c:g." in text
    assert "inf" in text
    assert "There is no finite estimate of g, c:g (separation)." in fit.report()
    assert "separated" in repr(fit)


def test_stopping_early_is_said():
    model = CrossedGLMM.from_formula(FORMULAS["grouse"], table("grouse"), family="poisson")
    with pytest.warns(ConvergenceWarning, match="Not a certified optimum"):
        fit = model.fit(maxiter=1)
    assert not fit.converged


def test_laplace_is_checked_where_quadrature_is_to_be_had():
    formula, d = MODELS["b03"]["formula"], table("b03")
    with pytest.warns(LaplaceWarning, match=r"move by about 0.8 standard errors. Use fit\(nagq=25\)"):
        fit = interlace.fit(formula, d, family="binomial")
    assert fit.laplace_check.poor
    exact = interlace.fit(formula, d, family="binomial", nagq=25)
    assert exact.laplace_check is None
    # One Newton step's promise is of the size of what quadrature gains.
    difference = fit.objective + fit.laplace_check.difference - exact.objective
    assert 0.3 * fit.laplace_check.promise < difference < 3 * fit.laplace_check.promise
    assert not cbpp().laplace_check.poor


def test_of_several_terms_the_worst_is_named():
    found = bank_fit("grouse").laplace_check
    assert not found.poor
    assert (found.term, found.alone) == ("(1 | INDEX)", False)
    # Few answers of people who differ a lot: quadrature over them, items given, finds larger variances.
    rng = np.random.default_rng(1)
    d = pd.DataFrame({"s": np.repeat(np.arange(150), 4), "i": np.tile(np.arange(4), 150)})
    eta = 6.0 * rng.normal(size=150)[d["s"]] + rng.normal(size=4)[d["i"]]
    d["y"] = rng.binomial(1, 1.0 / (1.0 + np.exp(-eta)))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fit = interlace.fit("y ~ 1 + (1 | s) + (1 | i)", d, family="binomial")
    assert fit.laplace_check.term == "(1 | s)"
    assert fit.laplace_check.poor
    assert any("by quadrature over (1 | s), the other random effects given" in str(w.message) for w in caught)


@pytest.mark.parametrize(
    ("call", "error", "complaint"),
    [
        (lambda f: f.sigma, UndefinedError, "no residual standard deviation"),
        (lambda f: f.alpha, UndefinedError, "negative binomial"),
        (lambda f: f.f_test(np.eye(4)), UndefinedError, "no residual mean square. Use wald_test"),
        (lambda f: f.coef_table("satterthwaite"), ValueError, "no meaning for a generalised model.*drop1"),
        (lambda f: f.summary(ddf="kenward-roger"), ValueError, "no meaning for a generalised model"),
        (lambda f: f.emmeans("period", ddf="satterthwaite"), ValueError, "no meaning"),
        (lambda f: f.anova(ddf="satterthwaite"), ValueError, "no meaning"),
        (lambda f: f.t_test(np.eye(4), use_t=True), ValueError, "no meaning"),
        (lambda f: f.wald_test(np.eye(4), use_f=True), ValueError, "no meaning"),
        (lambda f: f.cov_params(kind="sandwich"), ValueError, "kind='sandwich' is not offered"),
        (lambda f: f.cov_params(scale=2.0), ValueError, "scale= is not a divisor"),
        (lambda f: f.conf_int(method="boot"), ValueError, "is not offered"),
        (lambda f: f.conf_int(method="profile", parm="herd Cov"), KeyError, "not a parameter of the model"),
        (lambda f: interlace.hlm_resid(f), TypeError, "for linear models, and CrossedGLMMResults is"),
    ],
)
def test_refusals_give_the_reason(call, error, complaint):
    with pytest.raises(error, match=complaint):
        call(cbpp())
