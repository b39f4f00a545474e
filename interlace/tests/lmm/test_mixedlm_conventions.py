"""What MixedLM promises of models like ours, with MixedLM itself beside it as the reference.

Estimates are compared in units of their standard errors: MixedLM's search stops at gradients of about 1e-4,
and what it leaves to gain moves estimates by a thousandth of one.
"""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import optimize, stats
from statsmodels.iolib.summary2 import Summary, summary_col
from statsmodels.regression.mixed_linear_model import MixedLM, MixedLMParams

import interlace
from interlace import CrossedLMM
from interlace.errors import DesignError, InferenceError, MissingValuesError, SingularFitWarning

SHARE = 1e-3  # of a standard error; see above
# MixedLM's standard errors are of the observed information of all parameters at once, whose cross terms of
# fixed effects and variances vanish in expectation only; lme4's, and ours, leave them out: here up to 1.6 %.
ERRORS = 0.03


def data(n_groups=25, size=6, seed=5, slope=0.8):
    """Rows in groups: x1, x2 with fixed effects, z with a random slope, and items within the groups."""
    rng = np.random.default_rng(seed)
    g = np.repeat(np.arange(n_groups), size)
    frame = pd.DataFrame(rng.normal(size=(len(g), 3)), columns=["x1", "x2", "z"])
    frame["g"], frame["item"] = g, np.tile(np.arange(size) // 2, n_groups)
    of_group = rng.normal(size=(n_groups, 2))[g] * [1.0, slope]
    of_item = 0.9 * rng.normal(size=n_groups * size)[g * size + frame["item"]]
    mean = 1.0 + frame["x1"] - frame["x2"]
    frame["y"] = mean + of_group[:, 0] + of_group[:, 1] * frame["z"] + of_item + rng.normal(size=len(g))
    return frame


FRAME = data()


def both(formula="y ~ x1 + x2", frame=FRAME, reml=True, **terms):
    """MixedLM's fit and ours of the same call."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MixedLM's own, of its search
        theirs = MixedLM.from_formula(formula, frame, **terms).fit(reml=reml)
    return theirs, CrossedLMM.from_formula(formula, frame, **terms).fit(reml=reml, ddf="normal")


def agree(theirs, ours):
    k, se = ours.k_fe, np.asarray(ours.bse)
    np.testing.assert_array_less(np.abs(np.asarray(theirs.fe_params) - ours.fe_params) / se[:k], SHARE)
    np.testing.assert_allclose(np.asarray(theirs.bse_fe), ours.bse_fe, rtol=ERRORS)
    np.testing.assert_allclose(theirs.scale, ours.scale, rtol=SHARE)
    # The optimum is flat: an error of 1e-3 standard errors costs 1e-6; ours may be higher, not lower.
    assert theirs.llf - 1e-8 * abs(theirs.llf) <= ours.llf <= theirs.llf + 1e-4
    # Predictions, in units of the residual standard deviation.
    gap = np.asarray(theirs.fittedvalues) - np.asarray(ours.fittedvalues)
    np.testing.assert_array_less(np.abs(gap), SHARE * ours.sigma)
    np.testing.assert_allclose(ours.resid + ours.fittedvalues, np.asarray(theirs.model.endog), rtol=1e-12)


TERMS = {
    "intercept": {"groups": "g"},
    "slope": {"groups": "g", "re_formula": "~z"},
    "slope alone": {"groups": "g", "re_formula": "0 + z"},
    "groups as values": {"groups": FRAME["g"], "re_formula": "~z"},
    "component alone": {"groups": "g", "vc_formula": {"a": "0 + z"}},
    "nested": {"groups": "g", "re_formula": "1", "vc_formula": {"item": "0 + C(item)"}},
}


@pytest.mark.parametrize("terms", TERMS.values(), ids=list(TERMS))
@pytest.mark.parametrize("reml", [True, False])
def test_one_call_two_packages(terms, reml):
    agree(*both(reml=reml, **terms))


def test_covariances_and_random_effects():
    theirs, ours = both(groups="g", re_formula="~z")
    se = ours.bse_re.to_numpy()
    gap = (theirs.cov_re.to_numpy() - ours.cov_re.to_numpy())[np.tril_indices(2)]
    np.testing.assert_array_less(np.abs(gap) / se, 2 * SHARE)
    np.testing.assert_allclose(ours.cov_re_unscaled * ours.scale, ours.cov_re, rtol=1e-12)
    np.testing.assert_allclose(theirs.cov_re_unscaled, ours.cov_re_unscaled, rtol=20 * SHARE, atol=SHARE)
    effects, spread = ours.random_effects_by_group(), ours.random_effects_cov["g"]
    assert isinstance(effects, dict)
    for level in (0, 7, 24):
        assert isinstance(effects[level], pd.Series)
        np.testing.assert_allclose(effects[level], theirs.random_effects[level], atol=SHARE * ours.sigma)
        np.testing.assert_allclose(
            spread.loc[level], theirs.random_effects_cov[level], rtol=20 * SHARE, atol=SHARE
        )


def test_free_covariances_are_bars():
    """``free=`` with a diagonal is two independent terms, and so are two variance components."""
    frame = data(slope=1.5, n_groups=40)
    exog, z = np.ones((len(frame), 1)), np.column_stack([np.ones(len(frame)), frame["z"]])
    free = MixedLMParams(1, 2, 0)
    free.fe_params, free.cov_re, free.vcomp = np.ones(1), np.eye(2), np.zeros(0)
    theirs = MixedLM(frame["y"].to_numpy(), exog, frame["g"].to_numpy(), exog_re=z).fit(free=free)
    ours = interlace.fit("y ~ 1 + (z || g)", frame)
    np.testing.assert_allclose(np.diag(theirs.cov_re), ours.vcomp, rtol=0.01)  # MixedLM's search of this kind
    with pytest.raises(TypeError, match=r"for free= write bars: \(1 \| g\) \+ \(0 \+ x \| g\)"):
        CrossedLMM.from_formula("y ~ 1", frame, groups="g").fit(free=free)


def test_matrices_and_formulas_are_one_model():
    endog, exog = FRAME["y"].to_numpy(), np.column_stack([np.ones(len(FRAME)), FRAME[["x1", "x2"]]])
    exog_re = np.column_stack([np.ones(len(FRAME)), FRAME["z"]])
    groups = FRAME["g"].to_numpy()
    from_arrays = CrossedLMM(endog, exog, groups, exog_re)
    from_text = CrossedLMM.from_formula("y ~ x1 + x2", FRAME, re_formula="1 + z", groups=groups)
    assert from_arrays.data.xnames == MixedLM(endog, exog, groups).data.xnames == ["const", "x1", "x2"]
    assert from_text.data.xnames == ["Intercept", "x1", "x2"]
    one, other = from_arrays.fit(), from_text.fit()
    # The same search, rounding apart.
    np.testing.assert_allclose(one.params, other.params, rtol=1e-8)
    np.testing.assert_allclose(one.bse, other.bse, rtol=1e-8)
    assert one.fe_params[0] == other.fe_params["Intercept"]
    agree(MixedLM(endog, exog, groups, exog_re).fit(), one)


def test_a_column_of_ones_is_the_default():
    endog, exog, groups = (FRAME[c].to_numpy() for c in ("y", "x1", "g"))
    default = CrossedLMM(endog, exog, groups).fit()
    written = CrossedLMM(endog, exog, groups, np.ones(len(endog))).fit()
    np.testing.assert_allclose(default.params, written.params, rtol=1e-10)
    agree(MixedLM(endog, exog, groups).fit(), default)


@pytest.mark.parametrize("terms", [{}, {"re_formula": "~z"}], ids=["intercept", "slope"])
def test_models_hold_what_mixedlm_holds(terms):
    theirs = MixedLM.from_formula("y ~ x1 + x2", FRAME, groups="g", **terms)
    ours = CrossedLMM.from_formula("y ~ x1 + x2", FRAME, groups="g", **terms)
    np.testing.assert_array_equal(theirs.groups, ours.groups)
    assert (theirs.n_groups, list(theirs.group_labels)) == (ours.n_groups, ours.group_labels)
    np.testing.assert_array_equal(theirs.exog_re, ours.exog_re)
    np.testing.assert_array_equal(theirs.exog, ours.exog)
    assert (theirs.k_re, theirs.k_fe, theirs.nobs) == (ours.k_re, ours.k_fe, ours.nobs)
    fit = ours.fit()
    assert fit.k_re == fit.k_vc == len(fit.vcomp) == ours.k_vc


def test_models_with_several_factors_hold_tables():
    model = CrossedLMM.from_formula("y ~ x1 + (z | g) + (1 | item)", FRAME)
    assert list(model.groups) == ["g", "item"]
    np.testing.assert_array_equal(model.groups, FRAME[["g", "item"]])
    assert (model.n_groups, model.k_re) == ({"g": 25, "item": 3}, 3)
    assert {name: matrix.shape[1] for name, matrix in model.exog_re.items()} == {"g": 2, "item": 1}
    assert model.group_labels["item"] == [0, 1, 2]


@pytest.mark.parametrize("reml", [True, False])
def test_likelihood_and_scale_away_from_the_optimum(reml):
    rng = np.random.default_rng(3)
    theirs = MixedLM.from_formula("y ~ x1 + x2", FRAME, groups="g", re_formula="~z")
    ours = CrossedLMM.from_formula("y ~ x1 + x2", FRAME, groups="g", re_formula="~z")
    theirs.reml, theirs.cov_pen = reml, None  # as its fit() sets them
    for _ in range(5):
        beta, root = rng.normal(size=3), rng.normal(size=(2, 2))
        cov_re = root @ root.T
        at = MixedLMParams.from_components(beta, cov_re=cov_re)
        scale = ours.get_scale(beta, cov_re, reml=reml)
        # Two ways to one closed form, both in double precision.
        assert scale == pytest.approx(theirs.get_scale(beta, cov_re, np.empty(0)), rel=1e-9)
        natural = np.concatenate([beta, scale * cov_re[np.tril_indices(2)]])
        wanted = theirs.loglike(at, profile_fe=False)
        assert ours.loglike(natural, scale, reml=reml) == pytest.approx(wanted, rel=1e-10)


def test_scale_refuses_what_is_no_covariance():
    model = CrossedLMM.from_formula("y ~ x1 + (z || g)", FRAME)
    with pytest.raises(DesignError, match="covariances between independent terms of 'g'"):
        model.get_scale([0.0, 1.0], [[1.0, 0.5], [0.5, 1.0]])
    with pytest.raises(DesignError, match="not positive semidefinite"):
        model.get_scale([0.0, 1.0], [[-1.0, 0.0], [0.0, 1.0]])
    with pytest.raises(DesignError, match=r"has shape \(1, 1\); wanted \(2, 2\)"):
        model.get_scale([0.0, 1.0], [[1.0]])
    with pytest.raises(DesignError, match=r"fe_params has shape \(3,\); wanted \(2,\)"):
        model.get_scale([0.0, 1.0, 2.0], np.eye(2))
    with pytest.raises(DesignError, match="all variances stand in cov_re="):
        model.get_scale([0.0, 1.0], np.eye(2), [1.0])


def test_score_vanishes_at_the_estimates_and_not_elsewhere():
    ours = CrossedLMM.from_formula("y ~ x1 + x2", FRAME, groups="g", re_formula="~z").fit(reml=False)
    score = ours.model.score(ours.params, ours.scale, reml=False)
    # Central differences of a likelihood of 1e2 in steps of 6e-6 of the parameters.
    assert np.abs(score * np.asarray(ours.bse)).max() < 1e-4
    away = ours.params + ours.bse
    assert np.abs(ours.model.score(away, ours.scale, reml=False) * np.asarray(ours.bse)).max() > 0.1


def test_profile_of_a_variance_is_greatest_at_the_estimate():
    theirs, ours = both(groups="g", reml=False)
    curve = ours.profile_re(0, vtype="re", num_low=2, dist_low=0.4, num_high=3, dist_high=0.4)
    assert curve.shape == (6, 2)
    np.testing.assert_allclose(curve[2], [ours.vcomp.iloc[0], ours.llf], rtol=1e-12)
    assert curve[2, 0] == pytest.approx(theirs.cov_re.iloc[0, 0], rel=20 * SHARE)
    assert (curve[[0, 1, 3, 4, 5], 1] < curve[2, 1]).all()
    np.testing.assert_allclose(np.diff(curve[:, 0]), [0.2, 0.2, 0.4 / 3, 0.4 / 3, 0.4 / 3])
    np.testing.assert_array_equal(curve, ours.profile_re("g Var", "vc", 2, 0.4, 3, 0.4))
    for variance, value in curve[[0, 4]]:
        assert value == pytest.approx(greatest_likelihood(variance), abs=1e-7)  # two searches


def test_profile_begins_at_a_variance_of_zero():
    frame = FRAME.assign(y=FRAME["y"] - FRAME.groupby("g")["y"].transform("mean"))
    with pytest.warns(SingularFitWarning):
        ours = CrossedLMM.from_formula("y ~ x1", frame, groups="g").fit(reml=False)
    curve = ours.profile_re(0, vtype="re", num_low=0, num_high=3, dist_high=0.3)
    assert curve[0].tolist() == [0.0, ours.llf]
    assert (np.diff(curve[:, 1]) < 0.0).all()


def greatest_likelihood(variance):
    """Dense, by definition: the normal density of y with one variance given."""
    X = np.column_stack([np.ones(len(FRAME)), FRAME[["x1", "x2"]]])
    Z = pd.get_dummies(FRAME["g"]).to_numpy(dtype=float)

    def loss(log_scale):
        V = variance * Z @ Z.T + np.exp(log_scale) * np.eye(len(X))
        beta = np.linalg.solve(X.T @ np.linalg.solve(V, X), X.T @ np.linalg.solve(V, FRAME["y"]))
        return -stats.multivariate_normal(X @ beta, V).logpdf(FRAME["y"])

    return -optimize.minimize_scalar(loss, bracket=(0.0, 1.0), tol=1e-10).fun


def test_profile_of_a_variance_refuses():
    ours = CrossedLMM.from_formula("y ~ x1", FRAME, groups="g").fit(reml=False)
    with pytest.raises(ValueError, match="vtype='fe' is not offered; give 're' or 'vc'"):
        ours.profile_re(0, vtype="fe")
    with pytest.raises(ValueError, match=r"re_ix='h' is none of the variances; give a position or one of"):
        ours.profile_re("h", vtype="vc")
    with pytest.raises(ValueError, match="dist_low=100 reaches below 0 from the estimate"):
        ours.profile_re(0, vtype="re", dist_low=100)
    with pytest.raises(InferenceError, match="the fit is by REML, and profiles are those of maximum"):
        ours.model.fit().profile_re(0, vtype="re")


def test_history_is_kept():
    assert len(CrossedLMM.from_formula("y ~ x1", FRAME, groups="g").fit(full_output=True).hist) == 1


# ---- Names, summaries, tables -----------------------------------------------------------------------


def test_one_set_of_names_everywhere():
    ours = CrossedLMM.from_formula("y ~ 0 + x1 + x2", FRAME, groups="g", re_formula="~ z").fit()
    fixed, variances = ["x1", "x2"], ["g Var", "g x z Cov", "g z Var"]
    for labelled in (ours.params, ours.bse, ours.tvalues, ours.cov_params(), ours.cov_params().T):
        assert list(labelled.index) == fixed + variances
    assert list(ours.fe_params.index) == list(ours.bse_fe.index) == fixed
    assert list(ours.bse_re.index) == variances
    for matrix in (ours.cov_re, ours.cov_re_unscaled):
        assert list(matrix.index) == list(matrix.columns) == ["(Intercept)", "z"]


def test_summary_takes_names_and_a_title():
    endog, exog = FRAME["y"].to_numpy(), np.column_stack([np.ones(len(FRAME)), FRAME[["x1", "x2"]]])
    ours = CrossedLMM(endog, exog, groups=FRAME["g"].to_numpy()).fit()
    theirs = MixedLM(endog, exog, groups=FRAME["g"].to_numpy()).fit()
    rows = list(ours.summary().tables[1].index)
    assert rows[:3] == list(theirs.summary().tables[1].index)[:3] == ["const", "x1", "x2"]
    assert rows[3] == "group Var"
    named = ours.summary(xname_fe=["Constant", "Age", "Weight"], xname_re=["Between"], title="Growth")
    assert (list(named.tables[1].index), named.title) == (["Constant", "Age", "Weight", "Between"], "Growth")


def test_summary_outlives_the_data():
    ours = CrossedLMM.from_formula("y ~ x1", FRAME, groups="g").fit()
    before = str(ours.summary())
    ours.remove_data()
    assert isinstance(ours.summary(), Summary)
    assert str(ours.summary()) == before


def test_summary_col_agrees_with_summary_table():
    one, other = both(groups="g")[1], both("x2 ~ y", groups="g", reml=False)[1]
    order = ["g Var", "Intercept", "x1", "y"]
    text = str(summary_col([one, other], stars=True, regressor_order=order))
    rows = [line.split()[0] for line in text.splitlines() if line and not line.startswith(("=", "-", " "))]
    assert rows[:2] == ["g", "Intercept"]  # "g Var"
    table = interlace.summary_table([one, other], format="frame", names=["y", "x2"])
    for fit, column in ((one, "y"), (other, "x2")):
        for name in fit.fe_params.index:
            estimate = table.loc[("Fixed effects", name), (column, "estimate")]
            error = table.loc[("Fixed effects", name), (column, "std_error")]
            assert f"{estimate:.4f}" in text
            assert f"({error:.4f})" in text
            assert (estimate, error) == (fit.params[name], fit.bse[name])


@pytest.mark.parametrize("ddf", ["satterthwaite", "normal"])
def test_stars_are_those_of_one_p_value(ddf):
    fit = CrossedLMM.from_formula("y ~ x1 + x2 + z", FRAME, groups="g").fit(ddf=ddf)
    theirs = str(summary_col([fit], stars=True))
    ours = str(interlace.summary_table([fit], stars=True))
    for name in fit.fe_params.index:
        p = fit.pvalues[name]
        assert row(theirs, name).count("*") == sum(p < limit for limit in (0.1, 0.05, 0.01))
        assert row(ours, name).count("*") == sum(p < limit for limit in (0.05, 0.01, 0.001))
    assert row(theirs, "g Var").count("*") == row(ours, "g").count("*") == 0


def row(text, name):
    return next(line for line in text.splitlines() if line.strip().startswith(name))


# ---- Data -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("terms", [{}, {"re_formula": "~z"}, {"vc_formula": {"a": "0 + z"}}], ids=str)
def test_missing_rows_are_dropped_in_every_column_used(terms):
    holes = FRAME.astype(float)
    for row, column in enumerate(["y", "g", "x1", "z"], start=1):
        holes.loc[row, column] = np.nan
    used = ["y", "g", "x1", *(["z"] if terms else [])]
    outside = CrossedLMM.from_formula("y ~ x1", holes[used].dropna(), groups="g", **terms).fit()
    inside = CrossedLMM.from_formula("y ~ x1", holes, groups="g", missing="drop", **terms).fit()
    np.testing.assert_allclose(outside.params, inside.params, rtol=1e-10)
    np.testing.assert_allclose(outside.bse, inside.bse, rtol=1e-10)
    assert len(inside.fittedvalues) == inside.nobs == inside.model.exog.shape[0] == len(FRAME) - len(used)
    for missing in ("none", "raise"):
        with pytest.raises(MissingValuesError, match="missing values, with missing='"):
            CrossedLMM.from_formula("y ~ x1", holes, groups="g", missing=missing, **terms)


def test_functions_of_the_caller_are_seen():
    def times_two(x):
        return 2 * x

    assert times_two(1) == 2
    plain = CrossedLMM.from_formula("y ~ x1 + x2", FRAME, groups="g").fit()
    doubled = CrossedLMM.from_formula("y ~ times_two(x1) + x2", FRAME, groups="g").fit()
    assert "times_two(x1)" in doubled.model.exog_names
    assert plain.params["x1"] == pytest.approx(2 * doubled.params["times_two(x1)"], rel=1e-8)


def test_a_variance_of_zero_is_an_answer():
    rng = np.random.default_rng(3423)
    frame = pd.DataFrame(rng.normal(size=(99, 2)), columns=["Y", "X"]).assign(g=np.arange(99) % 3)
    with pytest.warns(SingularFitWarning, match="the variance of .Intercept. is 0"):
        ours = CrossedLMM.from_formula("Y ~ X", frame, groups=frame["g"]).fit()
    assert "Singular fit" in str(ours.summary())
    assert (ours.random_effects["g"] == 0.0).all()


def test_draws_have_the_variance_of_the_model():
    model = CrossedLMM.from_formula("y ~ 0 + x1 + x2", FRAME, groups="g", re_formula="~z")
    cov_re, scale = np.array([[1.0, 0.5], [0.5, 2.0]]), 1.5
    params = np.r_[1.0, -2.0, 1.0, 0.5, 2.0]
    drawn = model.get_distribution(params, scale).rvs(2_000, rng=1)
    wanted = np.einsum("ni,ij,nj->n", model.exog_re, cov_re, model.exog_re) + scale
    assert drawn.shape == (2_000, model.nobs)
    # A variance from 2 000 draws has a relative error of 0.032, the mean of those of 25 groups a fifth of it.
    ratio = (drawn - model.exog @ params[:2]).var(axis=0) / wanted
    assert np.mean(ratio) == pytest.approx(1.0, abs=0.03)


# ---- Tests and predictions --------------------------------------------------------------------------


def test_t_tests_are_of_fixed_effects():
    theirs, ours = both(groups="g")
    identity = ours.t_test(np.eye(ours.k_fe))
    np.testing.assert_allclose(identity.effect, ours.fe_params, rtol=1e-12)
    np.testing.assert_allclose(identity.sd, ours.bse_fe, rtol=1e-12)
    np.testing.assert_allclose(identity.tvalue, ours.fe_params / ours.bse_fe, rtol=1e-12)
    contrast = np.array([[0.0, 1.0, -1.0]])
    np.testing.assert_allclose(
        ours.t_test(contrast).effect, ours.fe_params["x1"] - ours.fe_params["x2"], rtol=1e-12
    )
    np.testing.assert_allclose(ours.t_test(contrast).sd, theirs.t_test(contrast).sd[0], rtol=ERRORS)
    with pytest.raises(ValueError, match="columns"):
        ours.t_test(np.eye(ours.k_fe + 2))


def test_predictions_of_exog_are_the_fixed_part():
    theirs, ours = both(groups="g")
    model, X = ours.model, ours.model.exog
    np.testing.assert_allclose(model.predict(ours.params), X @ ours.fe_params, rtol=1e-12)
    new = np.random.default_rng(2).normal(size=(5, 3))
    np.testing.assert_allclose(model.predict(ours.params, new), new @ ours.fe_params, rtol=1e-12)
    np.testing.assert_allclose(ours.predict(exog=new), new @ ours.fe_params, rtol=1e-12)
    np.testing.assert_allclose(ours.predict(exog=new[0]), new[:1] @ ours.fe_params, rtol=1e-12)
    frame = FRAME[["x1", "x2"]].head(4)
    np.testing.assert_allclose(ours.predict(exog=frame), theirs.predict(exog=frame), atol=1e-3)
    pd.testing.assert_series_equal(ours.predict(exog=frame), ours.predict(frame, random=False))


def test_predictions_of_exog_refuse():
    ours = interlace.fit("y ~ x1 + (1 | g)", FRAME, offset="x2")
    with pytest.raises(DesignError, match=r"exog has shape \(2, 3\); wanted a column for"):
        ours.predict(exog=np.ones((2, 3)))
    with pytest.raises(DesignError, match="the model has an offset, which an array does not"):
        ours.predict(exog=np.ones((2, 2)))
    with pytest.raises(DesignError, match="takes no data or factors beside it"):
        ours.predict(FRAME, exog=np.ones((2, 2)))
    with pytest.raises(DesignError, match="takes no data or factors beside it"):
        ours.predict(exog=FRAME, random="g")
    with pytest.raises(DesignError, match=r"data is an array without names; give a table, or"):
        ours.predict(np.ones((2, 2)))
