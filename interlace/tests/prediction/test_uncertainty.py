"""Standard errors of predictions: Henderson's matrix inverted as it stands, and the delta method."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import linalg, stats

import interlace
from interlace.design import apply_design
from interlace.errors import DesignError, LevelError
from interlace.tests.bank import MODELS, load
from interlace.tests.fits import fitted
from interlace.tests.oracle import by_definition

from .test_expected import PREDICTED, new_data

# Both sides invert a matrix of condition 1e4 to 1e6.
DENSE = dict(rel=1e-8, abs=1e-10)

DESIGNS = ["ss_slope", "ss_weights", "ss_indep", "pastes_nested", "simx_slope", "pen", "dyestuff2"]


def henderson(result, rows):
    """Variances of x'beta + z'b for given rows of the fit: s2 x' C^-1 x, C the mixed-model matrix."""
    design, fit = result.model.design, result.pls_fit
    W = np.ones(len(design.y)) if design.weights is None else design.weights
    Z, G_inverse = [], []
    for term, Lambda in zip(design.terms, fit.Lambda, strict=True):
        codes, levels = design.factors[term.factor].codes, design.factors[term.factor].n_levels
        columns = np.einsum("nl,nk->nlk", np.eye(levels)[codes], term.Xi @ Lambda)
        Z.append(columns.reshape(len(W), -1))
        G_inverse.append(np.eye(levels * term.k))
    whole = np.hstack([design.X, *Z])  # in u rather than b: no inverse of a singular Lambda
    penalty = linalg.block_diag(np.zeros((fit.p, fit.p)), *G_inverse)
    C = (whole.T * W) @ whole + penalty
    own = whole[rows]
    return fit.sigma2 * np.einsum("ni,ni->n", own, np.linalg.solve(C, own.T).T)


@pytest.mark.parametrize("name", DESIGNS)
def test_rows_of_the_fit_have_hendersons_variance(name):
    result = fitted(name).result
    found = result.get_prediction()
    rows = np.arange(len(found.predicted_mean))
    assert found.var_pred_mean.to_numpy() == pytest.approx(henderson(result, rows), **DENSE)
    pd.testing.assert_series_equal(found.predicted_mean, result.fittedvalues, check_names=False)
    weights = result.model.design.weights
    residual = result.scale / (1.0 if weights is None else weights)
    assert found.var_obs.to_numpy() == pytest.approx(found.var_pred_mean + residual, rel=1e-12)


@pytest.mark.parametrize("name", ["ss_slope", "pastes_nested", "simx_slope", "pen"])
def test_new_rows_with_known_levels_are_like_those_of_the_fit(name):
    result, frame = fitted(name).result, MODELS[name].frame
    rows = np.arange(0, len(frame), 7)
    found = result.get_prediction(frame.iloc[rows])
    assert found.var_pred_mean.to_numpy() == pytest.approx(henderson(result, rows), **DENSE)


def test_levels_that_do_not_occur_together():
    """A pair of levels without a row in the data: no entry of the sparse inverse holds its covariance."""
    result, frame = fitted("simx_slope").result, MODELS["simx_slope"].frame
    design = result.model.design
    names = [labels.name for labels in design.factor_labels]
    together = set(zip(*(factor.codes for factor in design.factors), strict=True))
    pair = next(
        (a, b)
        for a in range(design.factors[0].n_levels)
        for b in range(design.factors[1].n_levels)
        if (a, b) not in together
    )
    row = frame.iloc[[0]].copy()
    for name, labels, code in zip(names, design.factor_labels, pair, strict=True):
        row[name] = pd.Series([labels.levels[code]], index=row.index).astype(frame[name].dtype)
    found = result.get_prediction(row)
    new = apply_design(design, row)
    fit = result.pls_fit
    Z = np.zeros((1, 0))
    for labels, Xi, Lambda in zip(design.term_labels, new.Xi, fit.Lambda, strict=True):
        unit = np.eye(design.factors[labels.factor].n_levels)[new.codes[labels.factor]]
        Z = np.hstack([Z, np.einsum("nl,nk->nlk", unit, Xi @ Lambda).reshape(1, -1)])
    assert found.var_pred_mean.iloc[0] == pytest.approx(
        dense_variance(result, np.hstack([new.X, Z])), **DENSE
    )


def dense_variance(result, x):
    design, fit = result.model.design, result.pls_fit
    Z = []
    for term, Lambda in zip(design.terms, fit.Lambda, strict=True):
        unit = np.eye(design.factors[term.factor].n_levels)[design.factors[term.factor].codes]
        Z.append(np.einsum("nl,nk->nlk", unit, term.Xi @ Lambda).reshape(len(unit), -1))
    whole = np.hstack([design.X, *Z])
    C = whole.T @ whole + np.diag(np.r_[np.zeros(fit.p), np.ones(whole.shape[1] - fit.p)])
    return fit.sigma2 * float(x[0] @ np.linalg.solve(C, x[0]))


@pytest.mark.parametrize("name", PREDICTED)
def test_means_are_those_of_predict(name):
    result, rows = fitted(name).result, new_data(name)
    for random in (True, False):
        found = result.get_prediction(rows, random=random).predicted_mean
        pd.testing.assert_series_equal(found, result.predict(rows, random=random), check_names=False)
    expected = load("inference", name)["predict"]
    se = result.get_prediction(rows).se_mean.to_numpy()
    # lme4's predictions inherit its theta, accurate to 1e-8 in the deviance: far below 1e-7 of the response.
    scale = np.abs(result.model.endog).max()
    assert result.get_prediction(rows).predicted_mean.to_numpy() / scale == pytest.approx(
        np.array(expected["re_form_NULL"], float) / scale, abs=1e-7
    )
    assert (se > 0).all()


def test_the_fixed_part_has_the_covariance_of_the_fixed_effects():
    result = fitted("ss_slope").result
    found = result.get_prediction({"Days": [0.0, 4.0]}, random=False)
    x = np.array([[1.0, 0.0], [1.0, 4.0]])
    assert found.var_pred_mean.to_numpy() == pytest.approx(
        np.einsum("ni,ij,nj->n", x, result.pls_fit.vcov_beta, x), rel=1e-12
    )
    # A new observation has random effects of its own.
    Sigma = result.varcov["Subject"].to_numpy()
    prior = np.einsum("ni,ij,nj->n", x, Sigma, x)
    assert (found.var_obs - found.var_pred_mean).to_numpy() == pytest.approx(prior + result.scale, rel=1e-12)


def test_unseen_levels_add_their_prior_variance():
    result = fitted("ss_slope").result
    rows = {"Days": [4.0], "Subject": ["nobody"]}
    with pytest.raises(LevelError, match="'nobody'"):
        result.get_prediction(rows)
    found = result.get_prediction(rows, new_levels="population")
    fixed = result.get_prediction({"Days": [4.0]}, random=False)
    x = np.array([1.0, 4.0])
    prior = x @ result.varcov["Subject"].to_numpy() @ x
    assert found.var_pred_mean.iloc[0] == pytest.approx(fixed.var_pred_mean.iloc[0] + prior, rel=1e-10)
    assert found.var_obs.iloc[0] == pytest.approx(fixed.var_obs.iloc[0], rel=1e-10)
    assert found.predicted_mean.iloc[0] == pytest.approx(fixed.predicted_mean.iloc[0], rel=1e-12)


def test_random_effects_of_one_factor():
    result = fitted("pen").result
    rows = MODELS["pen"].frame.iloc[:3]
    one, all_of_them = result.get_prediction(rows, random="plate"), result.get_prediction(rows)
    other = result.variance_components["sample"]
    unknown = (one.var_obs - one.var_pred_mean).to_numpy()
    assert unknown == pytest.approx(other + result.scale, rel=1e-12)
    # The effect of a sample known exactly would leave the error of the intercept only: more is known with it.
    assert (all_of_them.var_obs < one.var_obs).all()


def test_uncertainty_of_theta_is_the_delta_method():
    """The gradient of the mean by differences of a dense model, the covariance from its Hessian."""
    design, result = fitted("simx_slope").design, fitted("simx_slope").result
    theta, h = result.theta, 1e-5

    def mean(theta):
        known = by_definition(
            design.factors,
            design.terms,
            design.X,
            design.y,
            theta,
            weights=design.weights,
            offset=design.offset,
        )
        total = design.X @ known.beta
        for term, b in zip(design.terms, known.b, strict=True):
            total = total + np.einsum("nk,nk->n", term.Xi, b[design.factors[term.factor].codes])
        return total

    gradient = np.column_stack(
        [(mean(theta + h * e) - mean(theta - h * e)) / (2 * h) for e in np.eye(len(theta))]
    )
    H = result.pls_fit.hessian_varpar()
    expected = np.einsum("ni,ij,nj->n", gradient, 2.0 * np.linalg.inv(H)[:-1, :-1], gradient)
    with_it, without = (result.get_prediction(theta_uncertainty=flag) for flag in (True, False))
    added = (with_it.var_pred_mean - without.var_pred_mean).to_numpy()
    # Central differences with steps of 1e-5 have seven digits.
    assert added == pytest.approx(expected, rel=1e-4, abs=1e-6 * expected.max())


def test_a_variance_of_zero_adds_no_uncertainty():
    result = fitted("dyestuff2").result
    with_it, without = (result.get_prediction(theta_uncertainty=flag) for flag in (True, False))
    pd.testing.assert_series_equal(with_it.var_pred_mean, without.var_pred_mean)


def test_summary_frame_is_that_of_statsmodels():
    result = fitted("ss_slope").result
    frame = result.get_prediction({"Days": [1.0], "Subject": ["308"]}).summary_frame(alpha=0.1)
    assert list(frame.columns) == [
        "mean",
        "mean_se",
        "mean_ci_lower",
        "mean_ci_upper",
        "obs_ci_lower",
        "obs_ci_upper",
    ]
    row = frame.iloc[0]
    reach = stats.norm.ppf(0.95)
    assert row["mean_ci_upper"] - row["mean"] == pytest.approx(reach * row["mean_se"])
    assert row["obs_ci_upper"] - row["mean"] == pytest.approx(
        reach * np.sqrt(row["mean_se"] ** 2 + result.scale)
    )


def test_weights_of_new_observations():
    result = fitted("ss_weights").result
    rows = MODELS["ss_weights"].frame.iloc[:4].copy()
    rows["w2"] = [0.5, 1.0, 2.0, 4.0]
    one, own = result.get_prediction(rows), result.get_prediction(rows, weights="w2")
    assert (one.var_obs - one.var_pred_mean).to_numpy() == pytest.approx(result.scale)
    assert (own.var_obs - own.var_pred_mean).to_numpy() == pytest.approx(result.scale / rows["w2"].to_numpy())
    with pytest.raises(DesignError, match="must be positive"):
        result.get_prediction(rows, weights=[1.0, 0.0, 1.0, 1.0])
    with pytest.raises(ValueError, match="weights= belongs to new data"):
        result.get_prediction(weights="w2")


def test_missing_values_have_no_interval():
    result = fitted("ss_slope").result
    rows = pd.DataFrame({"Days": [1.0, np.nan], "Subject": ["308", "309"]}, index=["a", "b"])
    frame = result.get_prediction(rows).summary_frame()
    assert frame.isna().all(axis=1).tolist() == [False, True]
    assert list(frame.index) == ["a", "b"]


def test_without_rows_the_fixed_part_remains():
    result = interlace.fit("Reaction ~ Days + (Days | Subject)", interlace.datasets.load_sleepstudy())
    rows = {"Days": [3.0], "Subject": ["308"]}
    before = result.get_prediction(rows, random=False).summary_frame()
    result.remove_data()
    pd.testing.assert_frame_equal(result.get_prediction(rows, random=False).summary_frame(), before)
    with pytest.raises(ValueError, match="the rows of the data are gone"):
        result.get_prediction(rows)


def test_models_of_arrays():
    data = interlace.datasets.load_penicillin()
    X = np.ones((len(data), 1))
    arrays = interlace.CrossedLMM(data["diameter"], X, groups=data[["plate", "sample"]]).fit()
    formula = interlace.fit("diameter ~ 1 + (1 | plate) + (1 | sample)", data)
    # Two searches of the same criterion: standard errors agree as far as the variances do.
    assert arrays.get_prediction().se_mean.to_numpy() == pytest.approx(
        formula.get_prediction().se_mean.to_numpy(), rel=1e-6
    )
