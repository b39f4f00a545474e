"""Predictions for rows of the fit, for new rows and for levels that the fit has not seen."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import interlace
from interlace.errors import LevelError
from interlace.tests.bank import MODELS, load
from interlace.tests.fits import fitted

# lme4's predictions inherit the accuracy of fixed effects and modes: 1e-6 of quantities of the size of the
# response.
LME4 = dict(rel=1e-6, abs=1e-6)

PREDICTED = [n for n, m in MODELS.items() if m.entry["has_inference"] and load("inference", n).get("predict")]


def new_data(name):
    """Read the bank's new rows with the levels of the data."""
    frame, rows = MODELS[name].frame, pd.DataFrame(load("inference", name)["predict"]["newdata"])
    kinds = {c: frame[c].dtype for c in rows.columns if not pd.api.types.is_numeric_dtype(frame[c])}
    return rows.astype(kinds)


@pytest.fixture(scope="module")
def crossed():
    return interlace.fit("diameter ~ 1 + (1 | plate) + (1 | sample)", interlace.datasets.load_penicillin())


@pytest.fixture(scope="module")
def slopes():
    return interlace.fit("Reaction ~ Days + (Days | Subject)", interlace.datasets.load_sleepstudy())


@pytest.mark.parametrize("name", PREDICTED)
def test_new_rows_as_lme4(name):
    result, expected = fitted(name).result, load("inference", name)["predict"]
    rows = new_data(name)
    assert result.predict(rows).to_numpy() == pytest.approx(np.array(expected["re_form_NULL"], float), **LME4)
    fixed = result.predict(rows, random=False).to_numpy()
    assert fixed == pytest.approx(np.array(expected["re_form_NA"], float), **LME4)


@pytest.mark.parametrize("name", [n for n in PREDICTED if "new_levels" in load("inference", n)["predict"]])
def test_new_levels_as_lme4(name):
    result, expected = fitted(name).result, load("inference", name)["predict"]["new_levels"]
    rows, factor = new_data(name), expected["factor"]
    rows[factor] = rows[factor].astype(object)
    rows.loc[np.atleast_1d(expected["rows_zero_based"]), factor] = expected["level"]
    with pytest.raises(LevelError, match=str(expected["level"])):
        result.predict(rows)
    found = result.predict(rows, new_levels="population").to_numpy()
    assert found == pytest.approx(np.array(expected["re_form_NULL"], float), **LME4)


def test_without_data_it_is_the_fitted_values(slopes, crossed):
    for result in (slopes, crossed):
        pd.testing.assert_series_equal(result.predict(), result.fittedvalues)
        pd.testing.assert_series_equal(result.predict(random=False), result.fittedvalues_marginal)


def test_the_data_of_the_fit_give_the_fitted_values(slopes):
    again = slopes.predict(interlace.datasets.load_sleepstudy())
    assert again.to_numpy() == pytest.approx(
        slopes.fittedvalues.to_numpy(), rel=1e-12
    )  # same sums, other order


def test_random_effects_of_some_factors_add_up(crossed):
    rows = interlace.datasets.load_penicillin()
    plate = crossed.predict(rows, random="plate")
    sample = crossed.predict(rows, random=["sample"])
    fixed = crossed.predict(rows, random=False)
    assert (plate + sample - fixed).to_numpy() == pytest.approx(crossed.predict(rows).to_numpy(), rel=1e-12)
    assert (plate - fixed).to_numpy() == pytest.approx(
        crossed.random_effects["plate"][rows["plate"]].to_numpy()
    )


def test_index_of_new_data_is_kept(slopes):
    rows = pd.DataFrame({"Days": [1.0, 2.0], "Subject": ["308", "309"]}, index=["first", "second"])
    assert list(slopes.predict(rows).index) == ["first", "second"]


def test_group_columns_are_not_needed_for_the_fixed_part(slopes):
    expected = slopes.fe_params["Intercept"] + 3 * slopes.fe_params["Days"]
    assert slopes.predict({"Days": [3.0]}, random=False).iloc[0] == pytest.approx(expected, rel=1e-12)


def test_missing_values_predict_nan(slopes):
    rows = pd.DataFrame({"Days": [1.0, np.nan], "Subject": ["308", "309"]})
    assert slopes.predict(rows).isna().tolist() == [False, True]


def test_new_data_are_not_modified(slopes):
    rows = pd.DataFrame({"Days": [1.0, 2.0], "Subject": ["308", "309"]})
    before = rows.copy(deep=True)
    slopes.predict(rows)
    pd.testing.assert_frame_equal(rows, before)


def test_transformations_are_those_of_the_fit():
    data = interlace.datasets.load_sleepstudy()
    centred = interlace.fit("Reaction ~ center(Days) + (1 | Subject)", data)
    plain = interlace.fit("Reaction ~ Days + (1 | Subject)", data)
    rows = data.iloc[[0, 9]]  # their mean is not the mean of the data
    assert centred.predict(rows).to_numpy() == pytest.approx(plain.predict(rows).to_numpy(), rel=1e-8)


def test_unseen_levels_are_named(crossed):
    rows = pd.DataFrame({"plate": ["a", "zz"], "sample": ["A", "Q"]})
    with pytest.raises(LevelError) as refused:
        crossed.predict(rows)
    assert str(refused.value) == (
        "levels of 'plate' that the fit has not seen: 'zz'. Use new_levels='population' to predict them with "
        "random effects of zero, or leave 'plate' out of random=."
    )
    assert np.isfinite(crossed.predict(rows.iloc[:1], random="plate")).all()


def test_wrong_options_are_refused(slopes):
    with pytest.raises(LevelError, match=r"\['subject'\], which the model does not group by"):
        slopes.predict(random="subject")
    with pytest.raises(ValueError, match="new_levels='allow'; give 'error'"):
        slopes.predict(new_levels="allow")
    with pytest.raises(TypeError, match="random is None"):
        slopes.predict(random=None)
    with pytest.raises(ValueError, match="transform=False"):
        slopes.predict(transform=False)
    with pytest.raises(TypeError):
        slopes.predict(levels="new")
