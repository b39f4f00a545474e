"""broom's frames: their columns, and where their numbers come from."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import interlace
from interlace.tests.bank import MODELS, load
from interlace.tests.fits import fitted


def test_tidy_has_a_row_per_parameter():
    result = fitted("ss_slope").result
    frame = result.tidy()
    assert list(frame.columns) == [
        "effect",
        "group",
        "term",
        "estimate",
        "std_error",
        "statistic",
        "df",
        "p_value",
    ]
    assert frame["effect"].tolist() == ["fixed"] * 2 + ["ran_pars"] * 4
    assert frame["group"].tolist() == ["", "", "Subject", "Subject", "Subject", "Residual"]
    assert frame["term"].tolist() == [
        "Intercept",
        "Days",
        "sd__(Intercept)",
        "cor__(Intercept).Days",
        "sd__Days",
        "sd__Observation",
    ]
    known = load("results", "ss_slope")["varcorr"][0]
    assert frame["estimate"].iloc[[2, 4]].to_numpy() == pytest.approx(np.array(known["sd"]), rel=1e-6)
    assert frame["estimate"].iloc[3] == pytest.approx(known["corr"][0][1], rel=1e-5)
    table = result.coef_table()
    for column in ("estimate", "std_error", "statistic", "df", "p_value"):
        assert frame[column].iloc[:2].to_numpy() == pytest.approx(table[column].to_numpy())


def test_tidy_with_intervals():
    result = fitted("ss_slope").result
    wald = result.tidy(conf_int=True)
    table = result.coef_table()
    assert wald["conf_low"].iloc[:2].to_numpy() == pytest.approx(table["conf_low"].to_numpy())
    assert wald["conf_low"].iloc[2:].isna().all()
    profile = result.tidy(conf_int=True, method="profile").set_index("term")
    limits = result.conf_int(method="profile")
    assert profile.loc["sd__Observation", "conf_high"] == limits.loc["sigma", 1]
    assert profile.loc["Days", "conf_low"] == limits.loc["Days", 0]
    assert profile.loc["cor__(Intercept).Days", "conf_low"] == limits.loc["cor_Days.(Intercept)|Subject", 0]


@pytest.mark.parametrize(("name", "criterion"), [("ss_slope", "remlcrit"), ("ss_slope_ml", "deviance")])
def test_glance_has_one_row(name, criterion):
    frame, known = fitted(name).result.glance(), load("results", name)
    assert len(frame) == 1
    row = frame.iloc[0]
    assert row[criterion] == pytest.approx(known["criterion"], abs=1e-6)
    assert row["aic"] == pytest.approx(known["AIC"], abs=1e-6)
    assert row["sigma"] == pytest.approx(known["sigma"], rel=1e-6)
    assert row["df_residual"] == known["df_residual"]
    assert not row["is_singular"]


@pytest.mark.parametrize("name", ["ss_slope", "pen", "ss_na"])
def test_augment_adds_to_the_rows_used(name):
    result = fitted(name).result
    frame = result.augment()
    data = MODELS[name].frame.iloc[MODELS[name].rows]
    pd.testing.assert_frame_equal(frame[list(data.columns)], data)
    assert frame[".fitted"].to_numpy() == pytest.approx(result.fittedvalues.to_numpy())
    assert (frame[".fitted"] + frame[".resid"]).to_numpy() == pytest.approx(result.model.endog)
    assert frame[".fixed"].to_numpy() == pytest.approx(result.fittedvalues_marginal.to_numpy())


def test_augment_has_lme4s_diagnostics():
    known = load("diagnostics", "ss_slope")["lme4"]
    frame = fitted("ss_slope").result.augment()
    assert frame[".hat"].to_numpy() == pytest.approx(np.array(known["hatvalues"]), rel=1e-5)
    assert frame[".cooksd"].to_numpy() == pytest.approx(
        np.array(known["cooks_distance"], float), rel=1e-4, abs=1e-8
    )


def test_augment_of_new_rows():
    result = fitted("ss_slope").result
    new = pd.DataFrame({"Days": [1.0, 2.0], "Subject": ["308", "309"]}, index=["a", "b"])
    frame = result.augment(new)
    assert list(frame.columns) == ["Days", "Subject", ".fitted", ".fixed"]
    assert frame[".fitted"].tolist() == result.predict(new).tolist()
    assert list(new.columns) == ["Days", "Subject"]


def test_augment_of_arrays():
    data = interlace.datasets.load_penicillin()
    model = interlace.CrossedLMM(data["diameter"], np.ones((144, 1)), groups=data[["plate", "sample"]])
    frame = model.fit().augment()
    assert list(frame["plate"]) == list(data["plate"])
    assert frame["diameter"].tolist() == data["diameter"].tolist()
