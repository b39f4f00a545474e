"""Tests of linear hypotheses: spellings, degrees of freedom, what keeps the normal distribution."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

import interlace
from interlace.errors import InferenceError


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
