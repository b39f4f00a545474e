"""What statsmodels expects of any model and of any results."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import statsmodels
from statsmodels.base.model import LikelihoodModel, LikelihoodModelResults, LikelihoodResultsWrapper

import interlace
from interlace import CrossedLMM, CrossedLMMResults
from interlace.tests.fits import fitted

CASES = ["ss_slope", "pen", "ss_na", "simx_slope", "exam_rankdef", "dyestuff2", "ss_offset"]

cases = pytest.mark.parametrize("name", CASES)


def test_classes():
    result = fitted("ss_slope").result
    assert isinstance(result, LikelihoodResultsWrapper)
    assert isinstance(result._results, CrossedLMMResults)
    assert issubclass(CrossedLMMResults, LikelihoodModelResults)
    assert issubclass(CrossedLMM, LikelihoodModel)


@cases
def test_params_and_friends_carry_one_set_of_names(name):
    result = fitted(name).result
    names = [*result.fe_params.index, *result.bse_re.index]
    for series in (result.params, result.bse, result.tvalues, result.pvalues):
        assert isinstance(series, pd.Series)
        assert list(series.index) == names
    assert list(result.conf_int().index) == names
    assert list(result.conf_int().columns) == [0, 1]
    for frame in (result.cov_params(), result.normalized_cov_params):
        assert list(frame.index) == list(frame.columns) == names
    assert len(set(names)) == len(names)
    assert result.model.data.param_names == names


@cases
def test_plain_results_are_plain_arrays(name):
    plain = fitted(name).result._results
    for attribute in ("params", "bse", "tvalues", "pvalues", "fittedvalues", "resid", "fe_params", "bse_fe"):
        assert type(getattr(plain, attribute)) is np.ndarray


@cases
def test_identities(name):
    result = fitted(name).result
    # Rounding of one multiplication and one root.
    root = np.sqrt(np.diag(result.cov_params()))
    np.testing.assert_allclose(result.bse, root, rtol=1e-12)
    np.testing.assert_allclose(result.normalized_cov_params * result.scale, result.cov_params(), rtol=1e-12)
    np.testing.assert_allclose(result.tvalues, result.params / result.bse, rtol=1e-12)
    np.testing.assert_allclose(
        result.conf_int(0.1).mean(axis=1), result.params + 0 * result.bse, rtol=1e-9, atol=1e-9
    )
    k = result.k_fe
    np.testing.assert_allclose(
        np.squeeze(result.t_test(np.eye(k)).tvalue), np.squeeze(result.tvalues[:k]), rtol=1e-10
    )
    np.testing.assert_allclose(result.sigma**2, result.scale, rtol=1e-12)


@cases
def test_fitted_values_and_residuals_add_up_on_the_index(name):
    result = fitted(name).result
    data = result.model.data
    for fit, residual in (("fittedvalues", "resid"), ("fittedvalues_marginal", "resid_marginal")):
        total = getattr(result, fit) + getattr(result, residual)
        assert isinstance(total, pd.Series)
        assert total.index.equals(data.row_labels)
        np.testing.assert_allclose(total, result.model.endog, rtol=1e-12)


def test_missing_rows_leave_gaps_in_the_index():
    result = fitted("ss_na").result
    frame = result.model.data.frame
    assert len(result.resid) == result.nobs < len(frame)
    assert result.n_dropped == len(frame) - result.nobs
    aligned = frame.assign(resid=result.resid)
    assert aligned["resid"].isna().sum() == result.n_dropped


def test_confidence_intervals_of_chosen_columns():
    result = fitted("ss_slope").result
    assert result.conf_int(cols=[1]).index.tolist() == ["Days"]
    pd.testing.assert_frame_equal(result.conf_int(cols=[1]), result.conf_int().loc[["Days"]])


def test_contrast_covariances_pass_through_the_wrapper():
    result = fitted("ss_slope").result
    assert result.cov_params(r_matrix=np.eye(5)[:2]).shape == (2, 2)
    assert result.cov_params(column=[0, 1]).shape == (2, 2)
    with pytest.raises(ValueError, match="Column should be specified without other arguments"):
        result.cov_params(column=0, r_matrix=np.eye(5))


def test_dir_lists_the_public_names():
    listed = dir(fitted("ss_slope").result)
    for name in ("params", "random_effects", "variance_components", "certificate", "predict", "summary"):
        assert name in listed


@cases
def test_every_public_attribute_can_be_read(name):
    result = fitted(name).result
    # A property that raises AttributeError would pass for a missing one: ask for each by name.
    for attribute in dir(type(result._results)):
        if not attribute.startswith("_"):
            getattr(result, attribute)


def test_model_predict_is_the_fixed_part():
    result = fitted("ss_slope").result
    np.testing.assert_allclose(result.model.predict(result.params), result.fittedvalues_marginal, rtol=1e-12)
    np.testing.assert_allclose(
        result.model.predict(result.fe_params, [[1.0, 2.0]]), result.fe_params @ [1.0, 2.0]
    )


def test_the_other_formula_engine_changes_nothing(monkeypatch):
    options = getattr(statsmodels.formula, "options", None)
    if options is not None:  # statsmodels 0.14 has one engine
        monkeypatch.setattr(options, "formula_engine", "formulaic")
    result = interlace.fit("Reaction ~ Days + (Days | Subject)", interlace.datasets.load_sleepstudy())
    expected = fitted("ss_slope").result
    assert result.llf == pytest.approx(expected.llf, abs=1e-8)  # the same search
    assert result.t_test("Days = 10").effect == pytest.approx(expected.t_test([[0, 1]]).effect, rel=1e-6)
    assert list(result.wald_test_terms(scalar=True).table.index) == ["Intercept", "Days"]
