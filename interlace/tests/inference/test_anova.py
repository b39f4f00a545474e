"""Analysis of variance against lmerTest, and type III against the definition by sum-to-zero coding."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import interlace
from interlace.errors import InferenceError
from interlace.inference.fixed_terms import fixed_terms
from interlace.tests.fits import fitted

from .tables import NAMES, column, having, reference

TYPES = [(1, "I"), (2, "II"), (3, "III")]
# F is exact; df of lmerTest rest on its differences (see test_satterthwaite).
F, DF, P = 1e-6, 1e-6, 1e-5


def compare(ours, table):
    assert list(ours.columns) == ["sum_sq", "mean_sq", "num_df", "den_df", "F", "p_value"]
    assert len(ours) == len(table["rows"])
    for mine, theirs, tolerance in (
        ("sum_sq", "Sum Sq", F),
        ("mean_sq", "Mean Sq", F),
        ("den_df", "DenDF", DF),
        ("F", "F value", F),
        ("p_value", "Pr(>F)", P),
    ):
        assert_allclose(ours[mine], column(table, theirs), rtol=tolerance, atol=1e-12)
    assert_allclose(ours["num_df"], np.nan_to_num(column(table, "NumDF")))


@pytest.mark.parametrize(("anova_type", "roman"), TYPES)
@pytest.mark.parametrize("name", NAMES)
def test_satterthwaite(name, anova_type, roman):
    compare(fitted(name).result.anova(anova_type), reference(name, f"anova_{roman}_satterthwaite"))


@pytest.mark.parametrize("name", having("anova_III_kenward_roger"))
def test_kenward_roger(name):
    compare(fitted(name).result.anova(ddf="kenward-roger"), reference(name, "anova_III_kenward_roger"))


@pytest.mark.parametrize("name", [name for name in having("car_Anova_II_chisq") if name != "exam_rankdef"])
def test_normal_is_the_chi_squared_test_of_car(name):
    """Car adjusts by cov(beta), lmerTest by X'X: the same hypothesis where no term contains another."""
    result = fitted(name).result
    terms = fixed_terms(result.model.design)
    plain = [not any(term.factors < other.factors for other in terms) for term in terms]
    table, ours = reference(name, "car_Anova_II_chisq"), result.anova(2, ddf="normal")
    assert np.isinf(ours["den_df"]).all()
    assert_allclose((ours["F"] * ours["num_df"])[plain], column(table, "Chisq")[plain], rtol=F)
    assert_allclose(ours["p_value"][plain], column(table, "Pr(>Chisq)")[plain], rtol=P, atol=1e-12)


@pytest.fixture(scope="module")
def unbalanced():
    rng = np.random.default_rng(1)
    n = 300
    data = pd.DataFrame({"g": rng.integers(0, 20, n), "x": rng.normal(3.0, 1.0, n)})
    data["a"] = pd.Categorical(rng.choice(list("abc"), n, p=[0.6, 0.3, 0.1]))
    data["b"] = pd.Categorical(rng.choice(list("uv"), n))
    data["y"] = rng.normal(size=20)[data.g] + rng.normal(size=n) + data.x * (data.a == "b")
    return data


@pytest.mark.parametrize("fixed", ["a * b * x", "a * b + x", "a * x + b", "0 + a + a:b + x", "a:b + x"])
def test_type_three_is_marginal_in_sum_to_zero_coding(unbalanced, fixed):
    """With no empty cells the coefficients in sum-to-zero coding *are* the hypotheses of type III."""
    plain = interlace.fit(f"y ~ {fixed} + (1 | g)", unbalanced)
    summed = fixed.replace("a", "C(a, Sum)").replace("b", "C(b, Sum)")
    coded = interlace.fit(f"y ~ {summed} + (1 | g)", unbalanced)
    assert_allclose(plain.anova()["F"], coded.anova()["F"], rtol=1e-8)
    if "0" in fixed or fixed.startswith("a:b"):
        return  # without the marginal terms patsy codes interactions in full
    assert_allclose(plain.anova()["den_df"], coded.anova()["den_df"], rtol=1e-6)
    rows = np.eye(coded.k_fe)
    for term in fixed_terms(coded.model.design):
        marginal = coded.f_test(rows[list(term.columns)], ddf="normal")
        assert_allclose(plain.anova()["F"].iloc[list(coded.anova().index).index(term.name)], marginal.fvalue)


def test_without_an_intercept_the_means_are_tested(unbalanced):
    """Type III of a factor coded in full: that all its means are zero, whatever the type."""
    fit = interlace.fit("y ~ 0 + a + x + (1 | g)", unbalanced)
    direct = fit.f_test(np.eye(4)[:3])
    for anova_type in (2, 3):
        row = fit.anova(anova_type).loc["a"]
        assert_allclose(row[["F", "den_df"]], [direct.fvalue, direct.df_denom], rtol=1e-10)


def test_sequential_tests_split_the_wald_statistic_of_all_terms(unbalanced):
    """Rows of R for different terms are uncorrelated when V is a multiple of the identity."""
    unbalanced = unbalanced.assign(y=unbalanced["x"] * 0.1 + np.random.default_rng(5).normal(size=300))
    with pytest.warns(interlace.errors.SingularFitWarning):
        fit = interlace.fit("y ~ a * b + x + (1 | g)", unbalanced.assign(g=np.arange(300) % 2))
    table = fit.anova(1, ddf="normal")
    joint = fit.f_test(np.eye(fit.k_fe)[1:], ddf="normal")
    assert_allclose((table["F"] * table["num_df"]).sum(), joint.fvalue * joint.df_num, rtol=1e-8)


def test_models_from_arrays_have_a_term_per_column():
    rng = np.random.default_rng(0)
    X = np.column_stack([np.ones(60), rng.normal(size=(60, 2))])
    y = rng.normal(size=10)[np.arange(60) % 10] + rng.normal(size=60)
    fit = interlace.CrossedLMM(y, X, groups=np.arange(60) % 10).fit()
    table = fit.anova()
    assert list(table.index) == ["x1", "x2"]
    assert_allclose(table["F"], fit.coef_table()["statistic"].to_numpy()[1:] ** 2, rtol=1e-10)


def test_data_that_changed_since_the_fit_are_refused(unbalanced):
    data = unbalanced.copy()
    fit = interlace.fit("y ~ a * b + (1 | g)", data)
    data.loc[:, "b"] = data["b"].to_numpy()[::-1]
    with pytest.raises(InferenceError, match="changed since the fit"):
        fit.anova()


def test_another_type_is_refused():
    with pytest.raises(ValueError, match="give 1, 2 or 3"):
        fitted("ss_slope").result.anova(type="III")


CODINGS = ("b", "C(b, Treatment('v'))", "C(b, Sum)")


@pytest.mark.parametrize("rest", ["a + {b}", "a * {b}", "a + {b} + x", "a + {b} + x:a"])
def test_hypotheses_do_not_depend_on_the_coding_or_on_an_intercept(unbalanced, rest):
    """Goodnight's definition: functions that involve a term, and not those that do not contain it."""
    data = unbalanced.assign(b=np.where(np.arange(300) % 5 == 0, "w", unbalanced["b"].astype(str)))
    known = interlace.fit(f"y ~ {rest.format(b='b')} + (1 | g)", data)
    for coding in CODINGS:
        for start in ("0 + ", "1 + "):
            fit = interlace.fit(f"y ~ {start}{rest.format(b=coding)} + (1 | g)", data)
            for kind in (2, 3):
                ours, right = (f.anova(kind)[["num_df", "F"]] for f in (fit, known))
                # Two searches for the same optimum; degrees of freedom depend on the basis, as in lmerTest.
                assert_allclose(ours, right, rtol=1e-5)
                assert_allclose(fit.anova(kind)["den_df"], known.anova(kind)["den_df"], rtol=5e-3)
            assert_allclose(fit.drop1()[["df", "chisq"]][1:], known.drop1()[["df", "chisq"]][1:], rtol=1e-5)


def test_without_an_intercept_and_other_factors_all_means_are_tested(unbalanced):
    fit = interlace.fit("y ~ 0 + a + x + (1 | g)", unbalanced)
    test = fit.f_test(np.eye(4)[:3])
    for kind in (2, 3):
        assert fit.anova(kind).loc["a", "num_df"] == 3
        assert_allclose(fit.anova(kind).loc["a", "F"], float(test.fvalue), rtol=1e-10)
