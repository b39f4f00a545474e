"""Refits: the fit that would have been made from scratch, and what a response must be."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import interlace
from interlace.errors import DesignError, MissingValuesError, OptimizationError
from interlace.tests.bank import MODELS
from interlace.tests.fits import fitted

# Two searches of one criterion end within 3e-13 of its minimum each, but cross-products rounded in another
# order move it by 1e-12 of its size.
OBJECTIVE = dict(rel=1e-11, abs=1e-9)
# What is left of the deviance leaves the estimates within 1e-5 of their standard errors.
OF_STANDARD_ERROR = 1e-5

NAMES = ["ss_slope", "ss_indep", "ss_offset", "ss_weights", "pen", "pastes_nested", "simx_slope", "cake_poly"]


def again(result, y):
    """The same arrays with another response, fitted from the beginning."""
    design = result.model.design
    return interlace.pls.fit(
        design.factors,
        design.terms,
        design.X,
        np.asarray(y, float),
        weights=design.weights,
        offset=design.offset,
        reml=result.pls_fit.reml,
    )


@pytest.mark.parametrize("name", NAMES)
def test_it_is_the_fit_from_scratch(name):
    result = fitted(name).result
    for seed in range(3):
        y = result.simulate(rng=seed)["sim_1"]
        found, expected = result.refit(y), again(result, y)
        assert found.objective == pytest.approx(expected.objective, **OBJECTIVE)
        se = np.sqrt(np.diag(expected.vcov_beta))
        assert found.fe_params.to_numpy() / se == pytest.approx(expected.beta / se, abs=OF_STANDARD_ERROR)
        assert found.scale == pytest.approx(expected.sigma2, rel=OF_STANDARD_ERROR)
        assert found.converged


def test_the_same_response_gives_the_same_fit():
    result = fitted("ss_slope").result
    found = result.refit(MODELS["ss_slope"].frame["Reaction"])
    assert found.objective == pytest.approx(result.objective, **OBJECTIVE)
    assert found.bse.to_numpy() == pytest.approx(result.bse.to_numpy(), rel=1e-4)
    assert found.summary().as_text() == result.summary().as_text()


def test_everything_belongs_to_the_new_response():
    result = fitted("ss_slope").result
    y = pd.Series(result.model.endog + np.arange(180), index=result.fittedvalues.index, name="later")
    found = result.refit(y)
    assert found.model.endog_names == "later"
    assert (found.resid + found.fittedvalues).to_numpy() == pytest.approx(y.to_numpy(), rel=1e-12)
    assert (result.resid + result.fittedvalues).to_numpy() != pytest.approx(y.to_numpy())
    assert found.coef_table()["df"].notna().all()
    assert interlace.leverage(found)["overall"].sum() > 0
    assert found.refit(result.model.endog).objective == pytest.approx(result.objective, **OBJECTIVE)


def test_a_singular_fit_is_left_and_found():
    result = fitted("dyestuff2").result
    batch = result.model.design.factors[0].codes
    found = result.refit(np.random.default_rng(1).normal(size=30) + 5.0 * batch)
    assert not found.is_singular
    assert found.objective == pytest.approx(again(result, found.model.endog).objective, **OBJECTIVE)
    assert found.refit(result.model.endog).is_singular


def test_far_from_zero_and_in_other_units():
    result = fitted("ss_slope").result
    y = np.asarray(result.model.endog)
    # Adding 1e8 leaves 8 of 16 digits of the response.
    assert result.refit(y + 1e8).theta == pytest.approx(result.theta, rel=1e-5)
    assert result.refit(1e-6 * y).theta == pytest.approx(result.theta, rel=1e-5)


def test_a_series_is_aligned():
    result = fitted("ss_slope").result
    y = result.simulate(rng=1)["sim_1"]
    shuffled = y.sample(frac=1.0, random_state=3)
    assert (result.refit(shuffled).params == result.refit(y).params).all()
    more = pd.concat([y, pd.Series([1.0], index=[9999])])
    assert (result.refit(more).params == result.refit(y).params).all()
    with pytest.raises(DesignError, match="label of every row"):
        result.refit(y.iloc[:-1])


def test_what_is_no_response_is_refused():
    result = fitted("ss_slope").result
    y = np.array(result.model.endog)
    with pytest.raises(DesignError, match=r"shape \(179,\); the fit used 180 rows"):
        result.refit(y[1:])
    with pytest.raises(DesignError, match="infinite"):
        result.refit(np.where(np.arange(180) == 3, np.inf, y))
    with pytest.raises(MissingValuesError, match="missing in 1 rows"):
        result.refit(np.where(np.arange(180) == 3, np.nan, y))
    with pytest.raises(OptimizationError, match="reproduce the response exactly"):
        result.refit(np.ones(180))


def test_nothing_is_modified():
    result = fitted("ss_slope").result
    y = result.simulate(rng=1)["sim_1"]
    before, objective = y.copy(), result.objective
    result.refit(y)
    pd.testing.assert_series_equal(y, before)
    assert result.objective == objective
    assert result.criterion(result.theta) == pytest.approx(objective, **OBJECTIVE)


def test_after_storage_and_without_rows(tmp_path):
    result = interlace.fit("Reaction ~ Days + (1 | Subject)", interlace.datasets.load_sleepstudy())
    y = result.simulate(rng=1)["sim_1"]
    expected = result.refit(y).objective
    result.save(tmp_path / "fit", rows=True)
    loaded = interlace.load(tmp_path / "fit")
    assert loaded.refit(y).objective == pytest.approx(expected, **OBJECTIVE)
    result.remove_data()
    with pytest.raises(ValueError, match="the rows of the data are gone"):
        result.refit(y)


def test_models_of_arrays():
    data = interlace.datasets.load_penicillin()
    model = interlace.CrossedLMM(data["diameter"], np.ones((144, 1)), groups=data[["plate", "sample"]])
    result = model.fit()
    y = result.simulate(rng=2)["sim_1"].to_numpy()
    assert result.refit(y).objective == pytest.approx(again(result, y).objective, **OBJECTIVE)
