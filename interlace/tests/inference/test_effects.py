"""The tests as methods of the results: spellings, defaults, storage."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose
from statsmodels.iolib.summary2 import summary_col

import interlace
from interlace.errors import DesignError, InferenceError
from interlace.tests.fits import fitted


@pytest.fixture
def fit():
    return interlace.fit("Reaction ~ Days + (Days | Subject)", interlace.datasets.load_sleepstudy())


def test_t_test_spellings_agree(fit):
    by_text, by_row = fit.t_test("Days = 10"), fit.t_test(([[0.0, 1.0]], [10.0]))
    row = fit.coef_table().loc["Days"]
    t = (row["estimate"] - 10.0) / row["std_error"]
    for test in (by_text, by_row):
        assert_allclose([test.tvalue.item(), test.df_denom.item()], [t, row["df"]], rtol=1e-12)
        assert_allclose(test.conf_int()[0], [row["conf_low"], row["conf_high"]], rtol=1e-12)


def test_normal_is_statsmodels_z_test(fit):
    test = fit.t_test("Days", ddf="normal")
    plain = fit.t_test("Days", use_t=False)
    assert_allclose(test.pvalue, plain.pvalue, rtol=1e-10)
    assert_allclose(fit.coef_table("normal")["p_value"].iloc[1], plain.pvalue, rtol=1e-10)
    z = fit.model.fit(ddf="normal")
    assert_allclose(z.pvalues[:2], fit.coef_table("normal")["p_value"], rtol=1e-12)
    assert z.wald_test("Days").distribution == "chi2"


@pytest.mark.parametrize("ddf", ["satterthwaite", "kenward-roger", "normal"])
def test_every_way_to_ask_gives_one_answer(ddf):
    # Few groups: by the normal distribution p would be three times smaller, and the interval a third shorter.
    result = interlace.fit("diameter ~ 1 + (1 | sample)", interlace.datasets.load_penicillin(), ddf=ddf)
    summary = result.summary().tables[1].iloc[0]
    asked = {
        "p": [
            result.pvalues.iloc[0],
            result.t_test("Intercept").pvalue.item(),
            result.tidy()["p_value"].iloc[0],
        ],
        "low": [result.conf_int().iloc[0, 0], result.t_test("Intercept").conf_int()[0, 0]],
        "se": [result.bse.iloc[0], np.sqrt(result.cov_params().iloc[0, 0]), result.bse_fe.iloc[0]],
        "statistic": [result.tvalues.iloc[0], result.t_test("Intercept").statistic.item()],
    }
    told = result.coef_table().iloc[0]
    assert_allclose(asked["p"], told["p_value"], rtol=1e-9)  # far in the tail, where rounding shows
    assert_allclose(asked["low"], told["conf_low"], rtol=1e-12)
    assert_allclose(asked["se"], told["std_error"], rtol=1e-12)
    assert_allclose(asked["statistic"], told["statistic"], rtol=1e-12)
    assert_allclose(
        [float(summary["[0.025"]), float(summary["0.975]"])], result.conf_int().iloc[0], atol=5e-4
    )
    assert result.use_t == (ddf != "normal")


def test_tables_of_others_say_what_the_summary_says():
    # Four subjects: p is .068 by Satterthwaite (one star in statsmodels) and .006 by the normal distribution,
    # three stars.
    sleep = interlace.datasets.load_sleepstudy()
    few = interlace.fit(
        "Reaction ~ Days + (Days || Subject)", sleep[sleep["Subject"].isin(["308", "310", "331", "333"])]
    )
    table = summary_col([few], stars=True).tables[0]
    assert [text.count("*") for text in table.loc["Days"]] == [1]
    variances = [text for name in few.model.data.variance_names for text in table.loc[name]]
    assert len(variances) == 2
    assert not any("*" in text for text in variances)


def test_kenward_roger_of_maximum_likelihood_is_refused_before_fitting(fit, monkeypatch):
    monkeypatch.setattr("interlace.pls.fit", None)
    with pytest.raises(InferenceError, match="Kenward and Roger's method rests on REML estimates"):
        fit.model.fit(reml=False, ddf="kenward-roger")


def test_joint_tests_agree_with_anova(fit):
    table = fit.anova().loc["Days"]
    for test in (fit.f_test("Days"), fit.wald_test("Days", ddf="satterthwaite")):
        assert_allclose(
            [test.fvalue, test.df_denom, test.pvalue], table[["F", "den_df", "p_value"]], rtol=1e-10
        )


def test_variance_parameters_keep_the_normal_distribution(fit):
    assert fit.t_test("Subject Var").dist.name == "norm"
    with pytest.raises(InferenceError, match="variance parameters"):
        fit.t_test("Subject Var", ddf="kenward-roger")
    with pytest.raises(InferenceError, match="another covariance"):
        fit.t_test("Days", cov_p=np.eye(5), ddf="satterthwaite")


def test_an_unknown_method_is_refused(fit):
    with pytest.raises(ValueError, match="ddf='exact' is not offered"):
        fit.coef_table("exact")


def test_fit_says_which_method_is_the_default():
    sleep = interlace.datasets.load_sleepstudy()
    fit = interlace.fit("Reaction ~ Days + (Days | Subject)", sleep, ddf="normal")
    assert np.isinf(fit.coef_table()["df"]).all()
    assert "P>|z|" in fit.summary().as_text()


def test_summary_shows_degrees_of_freedom(fit):
    text = fit.summary().as_text()
    assert "P>|t|" in text
    assert "Satterthwaite" in text
    line = next(line.split() for line in text.splitlines() if line.startswith("Days"))
    # lmerTest: 10.467, 1.546, 17, 6.771, 3.26e-06; limits from t with 17 degrees of freedom.
    assert line == ["Days", "10.467", "1.546", "17.0", "6.771", "0.000", "7.206", "13.729"]


def test_after_storage_everything_can_be_asked(fit):
    again = pickle.loads(pickle.dumps(fit))
    for method in ("coef_table", "anova", "ranova", "drop1"):
        assert_allclose(getattr(again, method)(), getattr(fit, method)(), rtol=1e-8)
    assert_allclose(again.coef_table("kenward-roger"), fit.coef_table("kenward-roger"), rtol=1e-8)


def test_without_data_the_tables_of_coefficients_remain(fit):
    before, summary = fit.coef_table(), fit.summary().as_text()
    fit.remove_data()
    assert_allclose(fit.coef_table(), before)
    assert fit.summary().as_text() == summary
    for ask in (fit.ranova, fit.drop1, fit.r2, fit.anova, lambda: fit.coef_table("kenward-roger")):
        with pytest.raises(DesignError, match="rows of the data are gone"):
            ask()


def test_a_singular_fit_has_every_table():
    result = fitted("dyestuff2").result
    assert_allclose(result.coef_table()["df"], 29.0, rtol=1e-8)
    # Where the method of Kenward and Roger uses the information about the variance that is estimated as 0.
    assert_allclose(result.coef_table("kenward-roger")["df"], 5.0, rtol=1e-8)
    assert result.ranova()["p_value"].iloc[1] == 1.0
    assert len(result.anova()) == 0
