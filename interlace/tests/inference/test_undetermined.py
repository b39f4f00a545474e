"""Variances that the data do not determine: what is NaN, what is not, and that no search can tell.

The definition is dense: the REML criterion is the same for all values of the variance, and what is reported
as a number is the same at all of them.
"""

from __future__ import annotations

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import interlace
from interlace.errors import IdentificationWarning, InferenceError, SingularFitWarning

TOLD = "the data do not identify every variance"


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(7)
    rows = [(s, p, k) for s in "ABCD" for p in ("p1", "p2", "p3") for k in range(5)]
    frame = pd.DataFrame(rows, columns=["site", "pl", "rep"])
    frame["trt"] = frame["site"].map({"A": "ctl", "B": "t1", "C": "t2", "D": "t3"})
    frame["h"], frame["cell"] = frame["site"].str.lower(), frame["pl"] + frame["site"]
    frame["x"], frame["w"] = rng.normal(size=60), rng.uniform(0.5, 2.0, 60)
    plot = pd.factorize(frame["site"] + frame["pl"])[0]
    frame["y"] = 10.0 + rng.normal(0.0, 1.0, 12)[plot] + rng.normal(0.0, 0.7, 60)
    frame["y"] += rng.normal(0.0, 0.8, 3)[pd.factorize(frame["pl"])[0]]
    frame["steep"] = frame["y"] + frame["x"] * frame["site"].map({"A": -2.0, "B": 1.0, "C": 0.0, "D": 2.0})
    return frame


def told(formula, data, **options):
    with pytest.warns(IdentificationWarning, match=TOLD):
        return interlace.fit(formula, data, **options)


def dense(data, formula_columns, parts, s2):
    """Generalised least squares by definition: estimates, covariance, REML criterion."""
    X, y = formula_columns, data["y"].to_numpy()
    V = s2 * np.eye(len(y))
    for codes, variance in parts:
        V += variance * (codes.to_numpy()[:, None] == codes.to_numpy())
    W = np.linalg.inv(V)
    A = X.T @ W @ X
    beta = np.linalg.solve(A, X.T @ W @ y)
    e = y - X @ beta
    return beta, np.linalg.inv(A), np.linalg.slogdet(V)[1] + np.linalg.slogdet(A)[1] + e @ W @ e


def test_a_site_per_treatment(data):
    fit = told("y ~ trt + x + (1 | site/pl)", data)
    assert fit.undetermined == (
        "in (1 | site) the variance of (Intercept): the fixed effects span its columns",
    )
    assert not fit.is_singular
    assert np.isnan(fit.variance_components["site"])
    assert np.isnan(fit.bse).tolist() == [True] * 4 + [False] * 2 + [True]
    table = fit.coef_table()
    lost = table[["std_error", "df", "statistic", "p_value", "conf_low", "conf_high"]]
    assert lost.isna().all(axis=1).tolist() == [True] * 4 + [False]
    assert np.isnan(fit.anova()["p_value"]).tolist() == [True, False]
    assert np.isnan(fit.ranova()["p_value"]).tolist() == [True, False, True]
    assert np.isnan(fit.conf_int().to_numpy()).any(axis=1).tolist() == [True] * 4 + [False] * 2 + [True]
    assert np.isnan(fit.theta).tolist() == [False, True]
    assert np.isnan([*fit.r2(), *fit.icc()]).all()
    assert "Not determined by the data" in str(fit.summary())
    assert fit.converged


@pytest.mark.parametrize("ddf", ["satterthwaite", "kenward-roger", "normal"])
def test_what_is_reported_is_the_same_for_all_values_of_the_variance(data, ddf):
    fit = told("y ~ trt + x + (1 | site/pl)", data)
    plot = data["site"] + data["pl"]
    X = fit.model.exog
    v, s2 = fit.variance_components["site:pl"], fit.scale
    found = [dense(data, X, [(data["site"], tau), (plot, v)], s2) for tau in (0.0, 0.3, 20.0)]
    for beta, vcov, criterion in found:
        # Matrices of 60 rows and condition 1e3.
        assert_allclose(criterion, found[0][2], rtol=1e-10)
        assert_allclose(fit.fe_params, beta, rtol=1e-9)
        assert_allclose(fit.bse["x"], np.sqrt(vcov[4, 4]), rtol=1e-8)
    without = interlace.fit("y ~ trt + x + (1 | site:pl)", data)  # the same at a variance of 0
    ours, plain = fit.coef_table(ddf).loc["x"], without.coef_table(ddf).loc["x"]
    assert_allclose(ours, plain, rtol=1e-6)  # two searches
    assert_allclose(fit.t_test("x = 0").pvalue, fit.pvalues["x"])
    assert np.isnan(fit.t_test("trt[T.t1] - trt[T.t2] = 0", ddf=ddf).pvalue)
    assert np.isnan(fit.f_test("trt[T.t1] = 0, trt[T.t2] = 0", ddf=ddf).pvalue)
    assert np.isnan(fit.wald_test("trt[T.t1] = 0, trt[T.t2] = 0", ddf=ddf).pvalue)
    assert_allclose(
        fit.wald_test("x = 0", ddf=ddf).pvalue, without.wald_test("x = 0", ddf=ddf).pvalue, rtol=1e-6
    )


@pytest.mark.parametrize("start", [None, 0.0, 0.5, 4.0])
def test_no_answer_depends_on_the_start(data, start):
    model = interlace.CrossedLMM.from_formula("y ~ trt + x + (1 | site/pl)", data)
    given = None if start is None else np.array([0.7, start])
    with pytest.warns(IdentificationWarning, match=TOLD):
        fit = model.fit(start_params=given)
    plain = interlace.fit("y ~ trt + x + (1 | site:pl)", data)
    assert np.isnan(fit.params["site Var"])
    assert_allclose(fit.coef_table().loc["x"], plain.coef_table().loc["x"], rtol=1e-5)
    assert_allclose(fit.fittedvalues, plain.fittedvalues, rtol=1e-6)
    assert_allclose(fit.bse_re["site:pl Var"], plain.bse_re["site:pl Var"], rtol=1e-4)


def test_predictions(data):
    """The mean of a site that was seen is known, that of another site of the treatment is not."""
    fit = told("y ~ trt + x + (1 | site/pl)", data)
    plain = interlace.fit("y ~ trt + x + (1 | site:pl)", data)
    seen, ours = plain.get_prediction(data.head(3)), fit.get_prediction(data.head(3))
    assert_allclose(ours.summary_frame(), seen.summary_frame(), rtol=1e-5)
    population = fit.get_prediction(data.head(3), random=False).summary_frame()
    assert np.isfinite(population["mean"]).all()
    assert population.drop(columns="mean").isna().all(axis=None)
    new = fit.get_prediction(data.head(1).assign(site="Z"), new_levels="population")
    assert np.isnan(new.se_obs).all()
    assert_allclose(fit.predict(random="site"), fit.fittedvalues_marginal, atol=1e-10)  # its modes are 0


def test_two_names_of_one_factor(data):
    fit, one = told("y ~ x + (1 | site) + (1 | h)", data), interlace.fit("y ~ x + (1 | site)", data)
    assert "(1 | site) and (1 | h) cannot be told apart" in fit.undetermined[0]
    assert np.isnan(fit.params[["site Var", "h Var"]]).all()
    # The sum is determined, and with it everything else.
    assert_allclose(fit.coef_table(), one.coef_table(), rtol=1e-5)
    assert_allclose(fit.r2(), one.r2(), rtol=1e-5)
    assert_allclose(fit.fittedvalues, one.fittedvalues, rtol=1e-6)
    assert fit.random_effects["site"].isna().all()
    assert fit.predict(random="h").isna().all()
    assert_allclose(fit.predict(data), one.predict(data), rtol=1e-6)
    frames = [f.get_prediction(data.head(4)).summary_frame() for f in (fit, one)]
    assert_allclose(frames[0], frames[1], rtol=1e-5)
    assert fit.simulate(2, rng=1).shape == (60, 2)  # their sum is all that a simulation needs


@pytest.mark.parametrize(
    ("formula", "lost"),
    [
        ("y ~ trt + (1 | site)", ["site Var"]),
        ("y ~ 0 + trt + (1 | site)", ["site Var"]),
        ("y ~ C(site) + (1 | pl) + (1 | site)", ["site Var"]),
        ("y ~ trt * x + (x | site)", ["site Var", "site x x Cov", "site x Var"]),
        ("y ~ trt * x + (x || site)", ["site Var", "site x Var"]),
        ("y ~ trt + x + (x | site)", ["site Var"]),  # the slopes have no variance, so no covariance either
        ("steep ~ trt + x + (x | site)", ["site Var", "site x x Cov"]),
        ("y ~ trt + x + offset(w) + (1 | site) + (1 | pl)", ["site Var"]),
        ("y ~ x + (1 | site:pl) + (1 | cell)", ["site:pl Var", "cell Var"]),
    ],
)
def test_terms_are_named(data, formula, lost):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SingularFitWarning)
        fit = told(formula, data)
    values = fit.params[fit.k_fe :]
    assert values.index[values.isna()].tolist() == lost
    assert_allclose(fit.fittedvalues + fit.resid, data[fit.model.endog_names], rtol=1e-12)


def test_weights_groups_and_arrays(data):
    told("y ~ trt + (1 | site)", data, weights="w")
    with pytest.warns(IdentificationWarning, match=TOLD):
        interlace.CrossedLMM.from_formula("y ~ trt", data, groups="site").fit()
    with pytest.warns(IdentificationWarning, match=TOLD):
        interlace.CrossedLMM.from_formula(
            "y ~ trt", data, groups="site", re_formula="1", vc_formula={"pl": "0 + C(pl)"}
        ).fit()
    exog = pd.get_dummies(data["trt"]).to_numpy(float)
    with pytest.warns(IdentificationWarning, match=TOLD):
        interlace.CrossedLMM(data["y"].to_numpy(), exog, groups=data["site"].to_numpy()).fit()


def test_what_would_need_the_variance_is_refused(data):
    fit = told("y ~ trt + x + (1 | site/pl)", data)
    for call in (
        lambda: fit.profile("sigma"),
        lambda: fit.bootstrap(2, rng=1),
        lambda: fit.simulate(1, rng=1),
    ):
        with pytest.raises(InferenceError, match=r"do not determine: in \(1 \| site\) the variance"):
            call()


def test_tables_and_texts_show_what_is_known(data):
    fit = told("y ~ trt + x + (1 | site/pl)", data)
    assert fit.tidy().loc[lambda t: t["group"] == "site", "estimate"].isna().all()
    for text in (fit.to_markdown(), fit.to_latex(), fit.to_html(), fit.report()):
        assert "0.000" not in text.replace("10.000", "")
    assert fit.random_effects_se["site"].isna().all()
    robust = fit.get_robustcov_results("cluster", groups="site:pl", kind="CR0")
    assert np.isfinite(robust.bse["x"]) or np.isnan(robust.bse["x"])


def test_stored_fits_know_it_too(data, tmp_path):
    fit = told("y ~ trt + x + (1 | site/pl)", data)
    fit.save(tmp_path / "fit.interlace")
    emptied = pickle.loads(pickle.dumps(fit))
    emptied.remove_data()
    for other in (pickle.loads(pickle.dumps(fit)), interlace.load(tmp_path / "fit.interlace"), emptied):
        assert other.undetermined == fit.undetermined
        assert_allclose(other.params, fit.params)
        assert_allclose(other.coef_table(), fit.coef_table())
        assert_allclose(other.predict(data.head(2)), fit.fittedvalues.head(2), rtol=1e-10)


def test_maximum_likelihood_puts_it_at_zero_and_says_why(data):
    with pytest.warns(SingularFitWarning, match=r"span the columns of \(1 \| site\): by maximum likelihood"):
        fit = interlace.fit("y ~ trt + x + (1 | site/pl)", data, method="ML")
    assert fit.variance_components["site"] == 0.0
    assert not fit.undetermined
    with pytest.warns(IdentificationWarning, match="cannot be told apart"):
        interlace.fit("y ~ x + (1 | site) + (1 | h)", data, method="ML")


@pytest.mark.parametrize(
    "formula",
    [
        "y ~ x + (1 | site/pl)",
        "y ~ x + (x | site)",
        "y ~ trt + (1 | site:pl)",
        "y ~ C(site) * x + (1 | pl)",
        "y ~ x + (1 | site) + (1 | pl)",
    ],
)
def test_ordinary_and_merely_singular_fits_are_left_alone(data, formula):
    rng = np.random.default_rng(0)
    with warnings.catch_warnings():
        warnings.simplefilter("error", IdentificationWarning)
        warnings.simplefilter("ignore", SingularFitWarning)
        for response in (data["y"], rng.normal(size=60), 1e8 + rng.normal(size=60), data["y"] * 1e-9):
            assert np.isfinite(
                interlace.fit(formula, data.assign(y=response)).coef_table()["std_error"]
            ).all()
