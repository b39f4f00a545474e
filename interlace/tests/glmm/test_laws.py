"""Laws of generalised models on random designs: what must not matter does not."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st

import interlace

from .fits import fitted, sample

SEEDS = st.integers(0, 10_000)
FEW = settings(max_examples=2, deadline=None, derandomize=True)
FORMULA = "y ~ x + (1 + x | g)"
# Searches stop at a promise of 1e-10; likelihoods at optima agree to that and to rounding.
SAME = 1e-6


def response(family):
    return FORMULA.replace("y", "cbind(y, n - y)", 1) if family == "binomial" else FORMULA


def same(one, two, *, signs=1.0):
    assert one.llf == pytest.approx(two.llf, abs=SAME)
    np.testing.assert_allclose(one.fe_params, signs * np.asarray(two.fe_params), atol=2e-3)


@pytest.mark.parametrize("family", ["poisson", "binomial", "negativebinomial", "gamma"])
@FEW
@given(seed=SEEDS)
def test_a_weighted_row_is_a_repeated_one(family, seed):
    data = sample(seed, family)
    repeated = data.loc[data.index.repeat(data["times"])]
    one = fitted(response(family), data, family=family, freq_weights="times")
    two = fitted(response(family), repeated, family=family)
    same(one, two)
    assert one.bic == pytest.approx(two.bic, abs=1e-5)


@pytest.mark.parametrize("link", ["logit", "probit"])
@FEW
@given(seed=SEEDS)
def test_failures_for_successes_turn_the_signs(link, seed):
    data = sample(seed, "binomial")
    family = f"binomial({link})"
    one = fitted("cbind(y, n - y) ~ x + (1 + x | g)", data, family=family)
    two = fitted("cbind(n - y, y) ~ x + (1 + x | g)", data, family=family)
    same(one, two, signs=-1.0)


@FEW
@given(seed=SEEDS)
def test_one_node_is_laplaces_approximation(seed):
    data = sample(seed)
    same(
        fitted("y ~ x + (1 | g)", data, family="poisson", nagq=1),
        fitted("y ~ x + (1 | g)", data, family="poisson"),
    )


@pytest.mark.parametrize("family", ["poisson", "negativebinomial"])
@FEW
@given(seed=SEEDS)
def test_an_exposure_is_the_offset_of_its_logarithm(family, seed):
    data = sample(seed, family)
    one = fitted(FORMULA, data, family=family, exposure="hours")
    two = fitted(FORMULA, data, family=family, offset=np.log(data["hours"]))
    three = fitted(FORMULA.replace("x +", "x + offset(np.log(hours)) +"), data, family=family)
    same(one, two)
    same(one, three)


@pytest.mark.parametrize("family", ["poisson", "binomial", "gaussian(log)"])
@FEW
@given(seed=SEEDS)
def test_rows_and_labels_in_another_order_are_the_same_model(family, seed):
    data = sample(seed, family)
    other = data.sample(frac=1.0, random_state=seed).assign(g=lambda d: (5 * d["g"] + 3) % 8)
    one, two = fitted(response(family), data, family=family), fitted(response(family), other, family=family)
    same(one, two)
    moved = two.random_effects["g"].iloc[[(5 * k + 3) % 8 for k in range(8)]]
    np.testing.assert_allclose(np.asarray(one.random_effects["g"]), np.asarray(moved), atol=2e-3)


@FEW
@given(seed=SEEDS)
def test_a_covariate_in_other_units_is_the_same_model(seed):
    data = sample(seed)
    one = fitted(FORMULA, data, family="poisson")
    two = fitted("y ~ z + (1 + z | g)", data.assign(z=100 * data["x"] - 7), family="poisson")
    assert one.llf == pytest.approx(two.llf, abs=SAME)
    assert one.fe_params["x"] == pytest.approx(100 * two.fe_params["z"], abs=2e-3)


@FEW
@given(seed=SEEDS)
def test_categories_in_reverse_turn_the_signs(seed):
    data = sample(seed).assign(r=lambda d: d["y"].clip(0, 3))
    make = interlace.CrossedOrdinal.from_formula
    one = make("r ~ x + (1 | g)", data).fit()
    two = make("r ~ x + (1 | g)", data.assign(r=-data["r"])).fit()
    assert one.llf == pytest.approx(two.llf, abs=SAME)
    np.testing.assert_allclose(one.fe_params, -two.fe_params, atol=2e-3)
    np.testing.assert_allclose(one.thresholds, -two.thresholds[::-1], atol=2e-3)


def test_two_categories_are_successes_and_failures():
    data = sample(3, "binomial").assign(r=lambda d: (d["y"] > 2) * 1)
    binary = fitted("r ~ x + (1 | g)", data, family="binomial")
    ordered = interlace.CrossedOrdinal.from_formula("r ~ x + (1 | g)", data).fit()
    assert ordered.llf == pytest.approx(binary.llf, abs=SAME)
    assert ordered.fe_params["x"] == pytest.approx(binary.fe_params["x"], abs=1e-4)
    assert ordered.thresholds["0/1"] == pytest.approx(-binary.fe_params["Intercept"], abs=1e-4)
    new = pd.DataFrame({"x": [0.3, -1.0], "g": [2, 99]})
    for random in (True, False):
        keys = {"random": random, "new_levels": "population"}
        one, two = binary.get_prediction(new, **keys), ordered.get_prediction(new, **keys)
        np.testing.assert_allclose(two.predicted[1], one.predicted_mean, atol=1e-5)
        np.testing.assert_allclose(two.se[1], one.se_mean, rtol=1e-3)
        np.testing.assert_allclose(two.se[0], two.se[1], rtol=1e-9)
        limits = two.summary_frame().xs(1, level="category")[["mean_ci_lower", "mean_ci_upper"]]
        np.testing.assert_allclose(limits, one.conf_int(), atol=1e-4)


def test_a_gaussian_response_with_the_identity_is_the_linear_model():
    data = sample(5, "gaussian(log)")
    one = fitted("y ~ x + (1 | g)", data, family=sm.families.Gaussian(), method="ML")
    two = interlace.CrossedLMM.from_formula("y ~ x + (1 | g)", data).fit(reml=False)
    assert type(one) is type(two)
    assert one.llf == two.llf
