"""The model: construction, options, what fit() refuses, says and leaves alone."""

from __future__ import annotations

import copy
import warnings

import numpy as np
import pandas as pd
import pytest
from statsmodels.tools.sm_exceptions import ConvergenceWarning

import interlace
from interlace import CrossedLMM
from interlace.errors import InterlaceError, SingularFitWarning
from interlace.tests.bank import MODELS
from interlace.tests.fits import fitted


@pytest.fixture(scope="module")
def sleep():
    return interlace.datasets.load_sleepstudy()


@pytest.fixture(scope="module")
def penicillin():
    return interlace.datasets.load_penicillin()


@pytest.fixture
def model(sleep):
    return CrossedLMM.from_formula("Reaction ~ Days + (Days | Subject)", sleep)


# ---- four spellings of one model ----------------------------------------------------------------


def test_spellings_of_crossed_intercepts_agree(penicillin):
    exog = pd.DataFrame({"Intercept": np.ones(len(penicillin))}, index=penicillin.index)
    fits = [
        CrossedLMM.from_formula("diameter ~ 1", penicillin, groups=["plate", "sample"]).fit(),
        CrossedLMM.from_formula("diameter ~ 1", penicillin, random=["(1 | plate)", "(1 | sample)"]).fit(),
        CrossedLMM.from_formula("diameter ~ 1 + (1 | plate) + (1 | sample)", penicillin).fit(),
        CrossedLMM(penicillin["diameter"], exog, groups=penicillin[["plate", "sample"]]).fit(),
        interlace.fit("diameter ~ 1", penicillin, groups=["plate", "sample"], method="REML"),
    ]
    for other in fits[1:]:
        assert list(other.params.index) == list(fits[0].params.index)
        assert other.params.to_numpy() == pytest.approx(
            fits[0].params.to_numpy(), rel=1e-12
        )  # the same arrays


def test_array_models_have_statsmodels_names(penicillin):
    y, codes = penicillin["diameter"].to_numpy(), penicillin["plate"].cat.codes.to_numpy()
    result = CrossedLMM(y, np.ones((len(y), 1)), groups=codes).fit()
    assert result.model.data.param_names == ["const", "group Var"]
    # Arrays in, arrays out: statsmodels labels what comes from pandas.
    assert [type(a) for a in (result.params, result.fittedvalues, result.conf_int())] == [np.ndarray] * 3
    labelled = CrossedLMM(penicillin["diameter"], np.ones((len(y), 1)), groups=codes).fit()
    assert list(labelled.params.index) == ["const", "group Var"]
    assert result.fittedvalues.shape == y.shape


def test_names_of_the_caller_are_visible(sleep):
    def double(x):
        return 2 * x

    three = 3.0
    assert three
    inside = CrossedLMM.from_formula("Reaction ~ double(Days) + (I(three * Days) | Subject)", sleep)
    assert inside.exog[:, 1] == pytest.approx(2 * sleep["Days"].to_numpy())
    assert interlace.fit("Reaction ~ double(Days) + (1 | Subject)", sleep).k_fe == 2
    given = CrossedLMM.from_formula(
        "Reaction ~ twice(Days) + (1 | Subject)", sleep, eval_env={"twice": double}
    )
    np.testing.assert_array_equal(given.exog, inside.exog)
    with pytest.raises((InterlaceError, NameError)):
        CrossedLMM.from_formula("Reaction ~ double(Days) + (1 | Subject)", sleep, eval_env=-1)


def test_mixedlms_spelling_is_translated(sleep, model):
    translated = CrossedLMM.from_formula("Reaction ~ Days", sleep, groups="Subject", re_formula="~Days")
    assert translated.fit().llf == pytest.approx(model.fit().llf, abs=1e-9)  # one model, one search


# ---- what a model knows -------------------------------------------------------------------------


def test_sizes_and_names(model):
    assert (model.nobs, model.k_fe, model.k_params, model.df_model, model.df_resid) == (180, 2, 5, 1, 178)
    assert model.endog_names == "Reaction"
    assert model.exog_names == ["Intercept", "Days"]
    assert model.data.param_names == model.data.cov_names
    assert len(model.data.param_names) == model.k_params
    assert model.formula == "Reaction ~ Days + (Days | Subject)"
    assert model.data.orig_endog.name == "Reaction"
    assert list(model.data.orig_exog.columns) == model.exog_names


def test_constants_are_found(sleep):
    def constant(fixed):
        return CrossedLMM.from_formula(f"Reaction ~ {fixed} + (1 | Subject)", sleep).k_constant

    assert constant("Days") == 1
    assert constant("0 + Days") == 0
    assert constant("0 + C(Days)") == 1  # the indicators add up to one


def test_frame_is_kept_and_not_modified(sleep, model):
    assert model.data.frame is sleep
    before = sleep.copy(deep=True)
    model.fit()
    interlace.fit("np.log(Reaction) ~ Days + (Days | Subject)", sleep)
    pd.testing.assert_frame_equal(sleep, before)


def test_repr(model, penicillin):
    assert repr(model) == "<CrossedLMM: Reaction ~ Days + (Days | Subject); 180 rows>"
    by_groups = CrossedLMM.from_formula("diameter ~ 1", penicillin, groups=["plate", "sample"])
    assert repr(by_groups) == "<CrossedLMM: diameter ~ 1 + (1 | plate) + (1 | sample); 144 rows>"
    both = CrossedLMM.from_formula("diameter ~ 1 + (1|plate)", penicillin, random="1 | sample")
    assert repr(both) == "<CrossedLMM: diameter ~ 1 + (1|plate) + (1 | sample); 144 rows>"


def test_description_in_words(model, penicillin):
    assert model.describe() == (
        "Response: Reaction, 180 rows\n"
        "Fixed effects: Intercept, Days\n"
        "Random effects:\n"
        "  Subject: an intercept and a slope of Days, correlated (3 covariance parameters) for each of "
        "18 levels (10 rows each)\n"
        "To estimate: 2 fixed effects, 3 covariance parameters, the residual variance; "
        "to predict: 36 random effects"
    )
    crossed = CrossedLMM.from_formula("diameter ~ 1", penicillin, groups=["plate", "sample"]).describe()
    assert "plate and sample are fully crossed (144 combinations)" in crossed


def test_description_of_partial_crossing_and_missing_rows(sleep):
    data = sleep.assign(site=np.arange(len(sleep)) // 25, w=1.0)
    data.loc[[1, 2], "Reaction"] = np.nan
    text = CrossedLMM.from_formula(
        "Reaction ~ 1 + (0 + Days | Subject) + (1 | site)", data, weights="w"
    ).describe()
    assert "178 rows, after 2 rows with missing values, with weights" in text
    assert "Subject: a slope of Days for each of 18 levels (8 to 10 rows each)" in text
    assert "partially crossed (" in text


@pytest.mark.parametrize(
    ("groups", "relation"),
    [
        (["cask", "batch"], "cask is nested in batch"),
        (["batch", "twin"], "batch and twin group the rows alike"),
    ],
)
def test_description_of_nesting(groups, relation):
    batch = np.repeat(np.arange(5), 6)
    data = pd.DataFrame(
        {"y": np.arange(30.0) % 7, "batch": batch, "twin": -batch, "cask": np.arange(30) // 2}
    )
    text = CrossedLMM.from_formula("y ~ 1", data, groups=groups).describe()
    assert relation in text
    # The order in which the factors are asked for does not change what they are.
    assert "nested" not in CrossedLMM.from_formula("y ~ 1", data, groups=["batch", "twin"]).describe()


def test_description_of_nesting_the_other_way_round():
    # Three occasions with five levels within the two of "half": the larger factor comes first in lme4's
    # order.
    data = pd.DataFrame({"y": np.arange(24.0) % 5, "half": np.arange(24) // 12, "part": np.arange(24) // 4})
    text = CrossedLMM.from_formula("y ~ 1", data, groups=["half", "part"]).describe()
    assert "part is nested in half" in text


def test_a_model_without_fixed_effects(sleep):
    data = sleep.assign(centred=sleep["Reaction"] - sleep["Reaction"].mean())
    result = interlace.fit("centred ~ 0 + (1 | Subject)", data)
    assert (result.k_fe, result.df_model, list(result.params.index)) == (0, 0, ["Subject Var"])
    assert "Subject Var" in result.summary().as_text()
    assert result.model.describe().splitlines()[1] == "Fixed effects: none"
    np.testing.assert_array_equal(result.fittedvalues_marginal, np.zeros(180))


# ---- fit() --------------------------------------------------------------------------------------


def test_fit_changes_nothing_on_the_model(model):
    before = {name: copy.copy(value) for name, value in vars(model).items()}
    y, X = model.endog.copy(), model.exog.copy()
    reml = model.fit()
    llf, text, se = reml.llf, reml.summary().as_text(), reml.bse.copy()
    ml = model.fit(reml=False)
    assert vars(model).keys() == before.keys()
    np.testing.assert_array_equal(model.endog, y)
    np.testing.assert_array_equal(model.exog, X)
    assert ml.llf != llf
    assert (reml.reml, reml.llf, reml.summary().as_text()) == (True, llf, text)
    assert reml.bse.equals(se)


def test_standard_errors_do_not_depend_on_later_fits(model):
    # The Hessian is computed when asked for: another fit in between must not move the point where.
    asked_at_once = model.fit().bse
    first = model.fit()
    model.fit(reml=False)
    assert first.bse.equals(asked_at_once)


def test_fit_repeats_itself(model):
    assert model.fit().params.equals(model.fit().params)


def test_any_start_finds_the_optimum(model):
    expected = model.fit()
    for theta in ([1.0, 0.0, 1.0], [0.01, 0.0, 3.0], expected.theta):
        # The search ends where at most 1e-11 of deviance is to be gained.
        assert model.fit(start_params=theta).objective == pytest.approx(expected.objective, abs=1e-8)


@pytest.mark.parametrize("theta", [[1.0], [1.0, np.nan, 1.0], [[1.0, 0.0, 1.0]]])
def test_bad_starts_are_refused(model, theta):
    with pytest.raises(ValueError, match=r"start_params (has shape|holds) .*; give 3 finite numbers"):
        model.fit(start_params=theta)


def test_progress_is_printed_line_by_line(model, capsys):
    result = model.fit(disp=True)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == result.mle_retvals["iterations"] + 1
    assert lines[0].startswith("iteration   0: -2 log-likelihood ")
    assert "still to gain" in lines[-1]
    model.fit()
    assert capsys.readouterr().out == ""


def test_unknown_keywords_are_refused(model, sleep):
    with pytest.raises(TypeError, match=r"fit does not know the keyword\(s\) cov_type"):
        model.fit(cov_type="HC0")
    with pytest.raises(TypeError, match=r"from_formula does not know the keyword\(s\) family"):
        CrossedLMM.from_formula("Reaction ~ Days + (1 | Subject)", sleep, family="poisson")
    with pytest.raises(TypeError, match=r"CrossedLMM does not know the keyword\(s\) exog_vc, family"):
        CrossedLMM(sleep["Reaction"], groups=sleep["Subject"], family=1, exog_vc=2)
    with pytest.raises(TypeError, match=r"interlace.fit does not know the keyword\(s\) reml"):
        interlace.fit("Reaction ~ Days + (1 | Subject)", sleep, reml=True)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"reml": "ML"}, "reml='ML' is not offered; give True or False"),
        ({"method": "bfgs"}, "method='bfgs' is not offered; give None or 'newton'"),
        ({"ddf": "exact"}, "ddf='exact' is not offered; give 'satterthwaite' or 'kenward-roger' or 'normal'"),
        ({"solver": "dense"}, "solver='dense' is not offered; give 'auto' or 'cholmod' or 'blocked'"),
    ],
)
def test_unknown_choices_are_refused(model, option, message):
    with pytest.raises(ValueError, match=message):
        model.fit(**option)


def test_method_of_the_one_call_is_the_likelihood(sleep, model):
    ml = interlace.fit("Reaction ~ Days + (Days | Subject)", sleep, method="ML", solver="blocked", maxiter=50)
    assert (ml.reml, ml.solver) == (False, "blocked")
    assert ml.llf == pytest.approx(MODELS["ss_slope_ml"].reference["logLik"], abs=1e-6)
    with pytest.raises(ValueError, match="method='newton' is not offered; give 'REML' or 'ML'"):
        interlace.fit("Reaction ~ Days + (Days | Subject)", sleep, method="newton")


def test_one_singular_warning_names_term_and_direction():
    data = MODELS["dyestuff2"].frame
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        interlace.fit("Yield ~ 1 + (1 | Batch)", data)
    assert [warning.category for warning in seen] == [SingularFitWarning]
    assert "in (1 | Batch) the variance of (Intercept) is 0" in str(seen[0].message)
    assert seen[0].filename == __file__


def test_an_early_end_is_no_convergence(sleep):
    unbalanced = sleep[sleep["Reaction"] < 350]  # the start would be the optimum of balanced data
    model = CrossedLMM.from_formula("Reaction ~ Days + (Days | Subject)", unbalanced)
    with pytest.warns(ConvergenceWarning, match="Not a certified optimum"):
        result = model.fit(maxiter=1)
    assert not result.converged
    assert "not converged" in repr(result)
    assert "No" in result.summary().as_text()


# ---- the likelihood -----------------------------------------------------------------------------

REGULAR = ["ss_slope", "ss_slope_ml", "ss_weights", "ss_offset", "pen", "pastes_explicit_ml"]


@pytest.mark.parametrize("name", REGULAR)
def test_loglike_at_the_estimates_is_llf(name):
    result = fitted(name).result
    params, reml = result.params.to_numpy(), result.reml
    assert result.model.loglike(params, result.scale, reml=reml) == pytest.approx(result.llf, rel=1e-12)
    # The residual variance is found to 1e-10 of its logarithm; the error in the likelihood is its square.
    assert result.model.loglike(params, reml=reml) == pytest.approx(result.llf, rel=1e-12)


@pytest.mark.parametrize("name", REGULAR)
def test_loglike_is_the_normal_density(name):
    result = fitted(name).result
    design = result.model.design
    # Away from the optimum: other fixed effects, other variances, another scale.
    params, scale = result.params.to_numpy() * 1.1, result.scale * 0.9
    expected = dense_loglike(design, params, scale, reml=result.reml)
    assert result.model.loglike(params, scale, reml=result.reml) == pytest.approx(expected, rel=1e-10)


def dense_loglike(design, params, scale, *, reml):
    """Evaluate the normal log density by definition, n by n; for REML less half of log |X'V^-1 X|."""
    n, p = design.X.shape
    V = np.diag(scale / (np.ones(n) if design.weights is None else design.weights))
    position = p
    for term in design.terms:
        Sigma = np.zeros((term.k, term.k))
        rows, columns = np.tril_indices(term.k)
        Sigma[rows, columns] = Sigma[columns, rows] = params[position : position + len(rows)]
        position += len(rows)
        codes = design.factors[term.factor].codes
        V += (codes[:, None] == codes) * (term.Xi @ Sigma @ term.Xi.T)
    r = design.y - design.X @ params[:p] - (0.0 if design.offset is None else design.offset)
    deviance = n * np.log(2 * np.pi) + np.linalg.slogdet(V)[1] + r @ np.linalg.solve(V, r)
    if reml:
        deviance += np.linalg.slogdet(design.X.T @ np.linalg.solve(V, design.X))[1] - p * np.log(2 * np.pi)
    return -0.5 * deviance


@pytest.mark.parametrize("name", ["ss_slope", "ss_slope_ml", "pen"])
def test_score_vanishes_and_information_gives_the_standard_errors(name):
    result = fitted(name).result
    params, reml = result.params.to_numpy(), result.reml
    se = result.bse.to_numpy()
    # A central difference with a step of 6e-6 of the parameter: 1e-4 of a standard error is its rounding.
    assert result.model.score(params, reml=reml) * se == pytest.approx(np.zeros(len(se)), abs=1e-4)
    covariance = np.linalg.inv(result.model.information(params, reml=reml))
    k = result.k_fe
    # approx_hess has about five digits.
    assert np.sqrt(np.diag(covariance))[k:] == pytest.approx(se[k:], rel=1e-3)


def test_loglike_outside_the_parameter_space():
    result = fitted("ss_slope").result
    params = result.params.to_numpy().copy()
    params[3] = 1e6  # a correlation above one
    assert result.model.loglike(params, result.scale) == -np.inf


def test_criterion_is_lme4s_deviance_function():
    for label, theta, expected in MODELS["ss_slope"].points:
        criterion = fitted("ss_slope").result.model.criterion(reml=True)
        assert criterion(theta) == pytest.approx(expected, rel=1e-10), label  # algebra, not arithmetic


# ---- the marginal distribution ------------------------------------------------------------------


def test_marginal_distribution_has_the_right_moments():
    result = fitted("ss_weights").result
    distribution = result.model.get_distribution(result.params, result.scale)
    design = result.model.design
    assert distribution.mean() == pytest.approx(result.fittedvalues_marginal.to_numpy(), rel=1e-12)
    Sigma = result.cov_re.to_numpy()
    Xi = design.terms[0].Xi
    expected = np.einsum("rj,jk,rk->r", Xi, Sigma, Xi) + result.scale / design.weights
    assert distribution.var() == pytest.approx(expected, rel=1e-12)
    draws = distribution.rvs(4000, rng=1)
    # Four standard errors of a mean and of a standard deviation over 4000 draws.
    assert np.abs((draws.mean(axis=0) - distribution.mean()) / distribution.std()).max() < 5 / np.sqrt(4000)
    assert draws.std(axis=0) / distribution.std() == pytest.approx(np.ones(len(Xi)), abs=5 / np.sqrt(8000))


def test_draws_share_random_effects_within_levels():
    result = fitted("pen").result
    draws = result.model.get_distribution(result.params, result.scale).rvs(4000, rng=2)
    codes = result.model.design.factors[0].codes
    first, second = np.flatnonzero(codes == 0)[:2]
    covariance = np.cov(draws[:, first], draws[:, second])[0, 1]
    variance = result.varcov[result.ngroups.index[0]].iloc[0, 0]
    total = result.model.get_distribution(result.params, result.scale).var()[0]
    assert covariance == pytest.approx(
        variance, abs=5 * total / np.sqrt(4000)
    )  # standard error of a covariance


def test_draws_repeat_with_the_seed():
    result = fitted("pen").result
    distribution = result.model.get_distribution(result.params, result.scale)
    np.testing.assert_array_equal(distribution.rvs(rng=3), distribution.rvs(rng=3))
    assert distribution.rvs(2, rng=3).shape == (2, 144)


def test_a_variance_of_zero_draws_no_random_effects():
    result = fitted("dyestuff2").result
    distribution = result.model.get_distribution(result.params, result.scale)
    assert distribution.var() == pytest.approx(np.full(result.nobs, result.scale), rel=1e-12)
    assert np.isfinite(distribution.rvs(rng=4)).all()


def test_impossible_covariances_are_refused():
    result = fitted("pen").result
    with pytest.raises(ValueError, match="not positive semidefinite"):
        result.model.get_distribution(-result.params, result.scale)
