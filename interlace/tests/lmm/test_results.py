"""Estimates, standard errors, random effects and tests of a fit, against lme4, lmerTest and MixedLM."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf

import interlace
from interlace import inference
from interlace.errors import SingularFitWarning
from interlace.tests.bank import MODELS, load
from interlace.tests.fits import fitted

# lmerTest differentiates numerically (Richardson): its covariance of (theta, sigma) has five to six digits.
LMERTEST = 1e-4
# MixedLM stops when its gradient is small: estimates agree to about 1e-5 of their standard errors.
MIXEDLM = 1e-4

WITH_SE = [
    name
    for name, model in MODELS.items()
    if model.entry["has_inference"]
    and "satterthwaite_internals" in load("inference", name)
    and not model.reference["isSingular"]
]


@pytest.fixture(scope="module")
def sleep():
    return interlace.datasets.load_sleepstudy()


@pytest.fixture(scope="module")
def slopes(sleep):
    return interlace.fit("Reaction ~ Days + (Days | Subject)", sleep)


@pytest.fixture(scope="module")
def crossed():
    return interlace.fit("diameter ~ 1 + (1 | plate) + (1 | sample)", interlace.datasets.load_penicillin())


@pytest.fixture(scope="module")
def mixedlm(sleep):
    return smf.mixedlm("Reaction ~ Days", sleep, groups="Subject", re_formula="~Days").fit()


@pytest.mark.parametrize("name", WITH_SE)
def test_standard_errors_of_variances_follow_lmertests_covariance(name):
    result = fitted(name).result
    internals = load("inference", name)["satterthwaite_internals"]
    theirs = np.array(internals["vcov_varpar"], float)
    jacobian = inference.natural_jacobian(result.pls_fit.Lambda, result.scale)
    expected = np.sqrt(np.diag(jacobian @ theirs @ jacobian.T))
    assert result.bse_re.to_numpy() == pytest.approx(expected, rel=LMERTEST)


def test_standard_error_of_the_subject_variance_is_the_natural_one(slopes):
    # Delta method on lmerTest's vcov_varpar; MixedLM prints 11.88 (its units are mixed up by sqrt(scale)).
    assert slopes.bse["Subject Var"] == pytest.approx(288.8, abs=0.05)


def test_standard_errors_of_crossed_variances(crossed):
    # Delta method on lmerTest's vcov_varpar for Penicillin.
    assert crossed.bse["plate Var"] == pytest.approx(0.226, abs=5e-4)
    assert crossed.bse["sample Var"] == pytest.approx(2.368, abs=5e-4)


def test_variance_parameters_are_on_the_natural_scale(slopes, mixedlm):
    assert list(slopes.params.index) == [
        "Intercept",
        "Days",
        "Subject Var",
        "Subject x Days Cov",
        "Subject Days Var",
    ]
    expected = mixedlm.cov_re.to_numpy()[np.tril_indices(2)]
    assert slopes.params.iloc[2:].to_numpy() == pytest.approx(expected, rel=1e-3)  # MixedLM's stopping rule
    assert slopes.cov_re.to_numpy() == pytest.approx(mixedlm.cov_re.to_numpy(), rel=1e-3)


def test_fixed_effects_agree_with_mixedlm(slopes, mixedlm):
    scale = mixedlm.bse_fe
    assert (slopes.fe_params / scale).to_numpy() == pytest.approx(
        (mixedlm.fe_params / scale).to_numpy(), abs=MIXEDLM
    )
    assert slopes.bse_fe.to_numpy() == pytest.approx(mixedlm.bse_fe.to_numpy(), rel=MIXEDLM)
    assert slopes.tvalues[:2].to_numpy() == pytest.approx(mixedlm.tvalues[:2].to_numpy(), rel=1e-3)
    normal = slopes.model.fit(ddf="normal")
    assert normal.pvalues["Days"] == pytest.approx(mixedlm.pvalues["Days"], rel=1e-2)
    limits = normal.conf_int().iloc[:2].to_numpy()
    assert limits == pytest.approx(mixedlm.conf_int().iloc[:2].to_numpy(), rel=MIXEDLM)


def test_no_p_values_for_variances(slopes):
    assert slopes.pvalues.iloc[2:].isna().all()
    assert slopes.pvalues.iloc[:2].notna().all()


@pytest.mark.parametrize("name", ["ss_slope", "ss_slope_ml", "pen", "pen_ml", "dyestuff2", "ss_weights"])
def test_information_criteria_are_lme4s(name):
    result, reference = fitted(name).result, MODELS[name].reference
    # The optima agree to 1e-7 deviance units and better.
    assert result.llf == pytest.approx(reference["logLik"], abs=1e-6)
    assert result.aic == pytest.approx(reference["AIC"], abs=1e-6)
    assert result.bic == pytest.approx(reference["BIC"], abs=1e-6)
    assert result.objective == -2.0 * result.llf
    assert result.npar == reference["npar"]


def test_sizes_and_degrees_of_freedom(slopes, crossed):
    assert (slopes.nobs, slopes.k_fe, slopes.k_re, slopes.df_resid, slopes.df_model) == (180, 2, 2, 178, 1)
    assert slopes.df_modelwc == len(slopes.params) == 5
    assert slopes.ngroups.to_dict() == {"Subject": 18}
    assert crossed.ngroups.to_dict() == {"plate": 24, "sample": 6}
    assert crossed.group_sizes.loc["sample"].tolist() == [24.0, 24.0, 24.0]
    assert (slopes.method, slopes.reml, slopes.converged, slopes.use_t) == ("REML", True, True, True)


def test_search_is_reported(slopes):
    found = slopes.mle_retvals
    assert found["converged"]
    assert found["warnflag"] == 0
    assert found["fopt"] == -slopes.llf
    assert len(found["allvecs"]) == found["iterations"] + 1
    assert slopes.hist == [found]
    assert slopes.certificate.certified


def test_path_is_left_out_on_request(sleep):
    result = interlace.fit("Reaction ~ Days + (1 | Subject)", sleep, full_output=False)
    assert "allvecs" not in result.mle_retvals


# ---- random effects -----------------------------------------------------------------------------


def test_intercepts_come_as_series(crossed):
    plate = crossed.random_effects["plate"]
    assert isinstance(plate, pd.Series)
    assert plate.index.name == "plate"
    # lme4: ranef(fm)$plate["a", ] of Penicillin.
    assert plate["a"] == pytest.approx(0.8045, abs=1e-3)
    assert crossed.variance_components == {
        "plate": crossed.params["plate Var"],
        "sample": crossed.params["sample Var"],
        "Residual": crossed.scale,
    }


def test_slopes_come_as_frames(slopes):
    modes = slopes.random_effects["Subject"]
    assert list(modes.columns) == ["(Intercept)", "Days"]
    # lme4: ranef(fm)$Subject["308", ] of sleepstudy.
    assert modes.loc["308"].tolist() == pytest.approx([2.2585, 9.1990], abs=1e-3)
    assert list(slopes.variance_components["Subject"].index) == ["(Intercept)", "Days"]
    assert slopes.vcomp.to_dict() == slopes.params[["Subject Var", "Subject Days Var"]].to_dict()


def test_conditional_covariances_and_standard_deviations(slopes, mixedlm):
    joint = slopes.random_effects_cov["Subject"]
    for level, expected in mixedlm.random_effects_cov.items():
        # MixedLM's stopping rule again.
        assert joint.loc[level].to_numpy() == pytest.approx(expected.to_numpy(), rel=1e-3, abs=1e-3)
    sd = slopes.random_effects_se["Subject"].loc["308"].to_numpy()
    assert sd**2 == pytest.approx(np.diag(joint.loc["308"]), rel=1e-12)  # rounding


def test_terms_of_one_factor_are_merged(sleep):
    result = interlace.fit("Reaction ~ Days + (Days || Subject)", sleep)
    assert list(result.random_effects["Subject"].columns) == ["(Intercept)", "Days"]
    assert list(result.params.index[2:]) == ["Subject Var", "Subject Days Var"]
    assert result.varcov["Subject"].iloc[0, 1] == 0.0
    # lme4: VarCorr of the same model (bank, ss_indep).
    expected = [block["variance"][0] for block in MODELS["ss_indep"].reference["varcorr"]]
    assert np.diag(result.varcov["Subject"]) == pytest.approx(expected, rel=1e-5)  # flat optimum


def test_by_group_as_mixedlm(slopes, crossed):
    by_group = slopes.random_effects_by_group()
    assert by_group["308"]["Days"] == slopes.random_effects["Subject"].loc["308", "Days"]
    assert (
        crossed.random_effects_by_group("sample")["A"]["(Intercept)"] == crossed.random_effects["sample"]["A"]
    )
    with pytest.raises(ValueError, match="several grouping factors"):
        crossed.random_effects_by_group()


def test_cov_re_of_several_factors_is_a_dict(crossed):
    assert list(crossed.cov_re) == ["plate", "sample"]
    for name, covariance in crossed.varcov.items():
        pd.testing.assert_frame_equal(crossed.cov_re[name], covariance)
    assert crossed.cov_re["plate"].shape == (1, 1)


# ---- hypotheses ---------------------------------------------------------------------------------


def test_t_test_of_fixed_effects_agrees_with_mixedlm(slopes, mixedlm):
    theirs, ours = mixedlm.t_test(np.eye(2)), slopes.t_test(np.eye(2))
    for name in ("effect", "sd", "tvalue"):
        assert getattr(ours, name) == pytest.approx(getattr(theirs, name), rel=MIXEDLM)
    assert slopes.t_test(np.eye(5)[:2]).tvalue == pytest.approx(ours.tvalue, rel=1e-12)  # same arithmetic


def test_t_test_takes_text_and_values(slopes):
    estimate, se = slopes.fe_params["Days"], slopes.bse_fe["Days"]
    for hypothesis in ("Days = 10", ([[0, 1]], [10.0]), (np.array([[0, 1, 0, 0, 0]]), [10.0])):
        test = slopes.t_test(hypothesis)
        assert float(np.squeeze(test.tvalue)) == pytest.approx((estimate - 10) / se, rel=1e-12)


def test_wald_test_is_the_quadratic_form(slopes):
    cov = slopes.cov_params().iloc[:2, :2].to_numpy()
    beta = slopes.fe_params.to_numpy()
    expected = beta @ np.linalg.solve(cov, beta)
    chi2 = slopes.wald_test(np.eye(2), scalar=True, use_f=False)
    assert chi2.statistic == pytest.approx(expected, rel=1e-10)
    assert slopes.wald_test(np.eye(2), ddf="normal").statistic == pytest.approx(expected, rel=1e-10)
    assert slopes.wald_test(np.eye(2)).statistic == pytest.approx(expected / 2, rel=1e-10)
    assert slopes.f_test("Intercept = 0, Days = 0").fvalue == pytest.approx(expected / 2, rel=1e-10)


def test_contrasts_of_another_width_are_refused(slopes):
    with pytest.raises(ValueError, match="3 columns; give 2, one per fixed effect"):
        slopes.t_test(np.ones((1, 3)))


@pytest.mark.parametrize("name", ["cake_int", "ergo", "simx_int"])
def test_wald_tests_of_terms_are_cars_type_three(name):
    table = load("inference", name)["car_Anova_III_chisq"]
    ours = fitted(name).result.wald_test_terms(scalar=True, ddf="normal").table
    theirs = dict(zip(table["rows"], table["columns"]["Chisq"], strict=True))
    for term, chisq in theirs.items():
        label = "Intercept" if term == "(Intercept)" else term
        # Chi-squared statistics inherit the relative accuracy of the fixed effects' covariance.
        assert ours.loc[label, "statistic"] == pytest.approx(chisq, rel=1e-5)


def test_wald_tests_of_combined_and_extra_terms():
    result = fitted("ergo").result
    table = result.wald_test_terms(
        skip_single=True, combine_terms=["Type"], extra_constraints=[("I", [[1, 0, 0, 0]])]
    )
    assert list(table.table.index) == ["Type", "Type", "I"]


def test_pairwise_comparisons():
    result = fitted("ergo").result
    frame = result.t_test_pairwise("Type").result_frame
    assert frame.loc["T2-T1", "coef"] == pytest.approx(result.fe_params["Type[T.T2]"], rel=1e-12)
    assert len(frame) == 6


def test_covariance_of_contrasts(slopes):
    cov = slopes.cov_params()
    row = np.array([1.0, 2.0, 0, 0, 0])
    assert slopes.cov_params(r_matrix=row) == pytest.approx(row @ cov.to_numpy() @ row, rel=1e-12)
    assert slopes.cov_params(column=1) == pytest.approx(cov.iloc[1, 1], rel=1e-12)
    assert slopes.bse.to_numpy() == pytest.approx(np.sqrt(np.diag(cov)), rel=1e-12)
    assert slopes.cov_params(scale=2 * slopes.scale).iloc[0, 0] == pytest.approx(
        2 * cov.iloc[0, 0], rel=1e-12
    )


# ---- singular fits ------------------------------------------------------------------------------


def test_a_variance_of_zero_has_no_standard_error():
    result = fitted("dyestuff2").result
    assert result.is_singular
    assert result.params["Batch Var"] == 0.0
    assert np.isnan(result.bse["Batch Var"])
    assert result.singular_directions == ("in (1 | Batch) the variance of (Intercept) is 0",)
    assert np.isfinite(result.bse["Intercept"])
    assert np.isfinite(result.t_test([[1.0, 0.0]]).sd).all()  # a weight of zero cancels the NaN
    assert "Singular fit" in result.summary().as_text()
    assert np.all(result.random_effects["Batch"] == 0.0)


@pytest.mark.parametrize(
    ("name", "phrase"),
    [
        ("cake_rawtemp", "in (1 + temp | rec_rep) the correlation of (Intercept) and temp is +1"),
        ("cake_cat6", "in (1 + temperature_f | replicate) the covariance matrix of 6 effects has rank 2"),
        ("exam_inter_ml", "in (1 + standLRT + sex | school) the combination +1*(Intercept) "),
    ],
)
def test_singular_directions_in_words(name, phrase):
    (found,) = fitted(name).result.singular_directions
    assert found.startswith(phrase)
    assert np.linalg.eigvalsh(MODELS[name].factors[0].covariance)[0] == pytest.approx(0.0, abs=1e-6)  # lme4's


def test_two_variances_of_zero_are_named_one_by_one():
    rng = np.random.default_rng(5)
    data = {"x": np.tile([-1.0, 1.0], 40), "g": np.repeat(np.arange(20), 4), "y": rng.permutation(80) * 1.0}
    # Within every group the responses add up to zero, alone and against x: no group differs from another.
    y = data["y"].reshape(20, 2, 2)
    y = y - y.mean(axis=1, keepdims=True)
    with pytest.warns(SingularFitWarning) as seen:
        result = interlace.fit("y ~ x + (x | g)", {**data, "y": y.ravel()})
    assert result.singular_directions == (
        "in (x | g) the variance of (Intercept) is 0",
        "in (x | g) the variance of x is 0",
    )
    assert len(seen) == 1
    assert np.isnan(result.bse_re).all()


def test_singular_fits_keep_the_standard_errors_of_the_rest():
    result = fitted("scots_slope").result  # singular in (verbal | primary), regular in (1 | second)
    assert result.is_singular
    assert np.isfinite(result.bse["second Var"])
    assert result.bse.filter(like="primary").isna().any()


@pytest.mark.parametrize(
    "name", [name for name, m in MODELS.items() if m.reference["isSingular"] and not m.big]
)
def test_everything_works_on_singular_fits(name):
    result = fitted(name).result
    assert len(result.singular_directions) >= 1
    assert str(result.summary())
    assert result.conf_int().shape == (len(result.params), 2)
    assert np.isfinite(result.bse_fe).all()
    assert np.isfinite(result.fittedvalues).all()
    assert all(np.isfinite(np.asarray(v)).all() for v in result.random_effects_se.values())


# ---- representation -----------------------------------------------------------------------------


def test_repr_says_what_it_is(slopes):
    assert repr(slopes) == (
        "<CrossedLMMResults REML: Reaction, 180 rows, groups Subject 18; "
        "-2 log-likelihood 1743.6283; regular>"
    )
