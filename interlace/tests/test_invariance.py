"""Laws that a user can see, through formulas and on real data: units, labels, spellings, the boundary."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlace import CrossedLMM
from interlace.errors import SingularFitWarning

from .bank import MODELS
from .fits import as_table, criterion, fitted
from .strategies import LAWS, frames

OBJECTIVE = 1e-7  # the search stops when 1e-11 deviance units are left; a variance of exactly 0 may cost 1e-9
THETA = 1e-5  # the square root of that, in standard errors of theta

real_models = pytest.mark.parametrize("name", ["ss_slope", "pen", "simx_slope", "mach_slope", "scots_sub"])


def quietly(formula, data, *, reml=True, start=None, **keywords):
    """Fit without the warning about singular covariances, which random tables do have."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SingularFitWarning)
        return CrossedLMM.from_formula(formula, data, **keywords).fit(reml=reml, start_params=start)


def refit(name, change):
    """Fit a reference model to a changed copy of its data."""
    arguments = dict(MODELS[name].arguments)
    data = arguments.pop("data").copy()
    change(data)
    return quietly(arguments.pop("formula"), data, reml=MODELS[name].reml, **arguments)


def response(name):
    return MODELS[name].arguments["formula"].split("~")[0].strip()


@real_models
def test_a_large_mean_leaves_theta_alone(name):
    def change(data):
        data[response(name)] += 1e8

    expected, found = fitted(name).result, refit(name, change)
    # 1e8 takes 8 of the 16 digits of y: what is left allows 1e-7 in theta, and the search 1e-5.
    assert np.asarray(found.theta) == pytest.approx(np.asarray(expected.theta), rel=THETA, abs=THETA)
    assert found.sigma == pytest.approx(expected.sigma, rel=THETA)
    slopes = slice(1, None)
    se = expected.bse_fe.to_numpy()[slopes]
    assert found.fe_params.to_numpy()[slopes] / se == pytest.approx(
        expected.fe_params.to_numpy()[slopes] / se, abs=1e-5, rel=0
    )


@real_models
@pytest.mark.parametrize("factor", [1e-6, 1e6])
def test_units_of_the_response(name, factor):
    def change(data):
        data[response(name)] *= factor

    expected, found = fitted(name).result, refit(name, change)
    assert np.asarray(found.theta) == pytest.approx(np.asarray(expected.theta), rel=THETA, abs=THETA)
    assert found.sigma == pytest.approx(factor * expected.sigma, rel=THETA)
    assert found.fe_params.to_numpy() == pytest.approx(factor * expected.fe_params.to_numpy(), rel=1e-6)


@pytest.mark.parametrize(("name", "slope"), [("ss_slope", "Days"), ("simx_slope", "x"), ("milk", "Time")])
@pytest.mark.parametrize("factor", [1e-6, 1e6])
def test_units_of_a_slope(name, slope, factor):
    def change(data):
        data[slope] *= factor

    expected, found = fitted(name).result, refit(name, change)
    k = sum(slope in column for column in expected.fe_params.index)
    # REML: log |X'V^-1 X| gains 2 log(factor) for each fixed effect in the new unit.
    assert found.objective == pytest.approx(
        expected.objective + 2.0 * k * np.log(factor), abs=OBJECTIVE, rel=0
    )
    assert found.tvalues.iloc[: found.k_fe].to_numpy() == pytest.approx(
        expected.tvalues.iloc[: expected.k_fe].to_numpy(), rel=1e-5
    )
    for group, effects in expected.random_effects.items():
        scale = np.array([factor if c == slope else 1.0 for c in getattr(effects, "columns", [""])])
        sd = as_table(effects).std(0)
        changed = as_table(found.random_effects[group]) * scale
        assert changed / sd == pytest.approx(as_table(effects) / sd, abs=1e-5, rel=0)


@pytest.mark.parametrize("name", ["ss_slope", "pen", "cake_recslope", "scots_slope", "pastes_nested"])
def test_a_start_at_zero_is_left(name):
    # By symmetry the gradient in theta vanishes at theta = 0 whether or not that is a minimum.
    model = MODELS[name]
    zero = np.zeros(len(model.theta))
    assert np.abs(criterion(name, "auto").gradient(zero)).max() == 0.0
    arguments = dict(model.arguments)
    found = quietly(arguments.pop("formula"), arguments.pop("data"), reml=model.reml, start=zero, **arguments)
    assert found.objective <= model.reference["criterion"] + 1e-6


@pytest.mark.parametrize("name", ["dyestuff2", "dyestuff2_ml"])
def test_a_variance_of_zero_is_exactly_zero(name):
    # Box & Tiao's data: less variation between the batches than within would give by chance.
    result = fitted(name).result
    assert list(result.theta) == [0.0]
    assert result.variance_components["Batch"] == 0.0
    assert not result.random_effects["Batch"].any()
    # And there the model is ordinary least squares.
    y = MODELS[name].frame["Yield"]
    assert result.fe_params["Intercept"] == pytest.approx(y.mean(), rel=1e-12)
    assert result.scale == pytest.approx(y.var(ddof=1 if result.reml else 0), rel=1e-12)


@LAWS
@given(frames(), st.integers(0, 2**32 - 1))
def test_rows_may_come_in_any_order(data, seed):
    shuffled = data.iloc[np.random.default_rng(seed).permutation(len(data))]
    formula = "y ~ x + (1 | school) + (1 | teacher)"
    expected, found = quietly(formula, data), quietly(formula, shuffled)
    assert found.objective == pytest.approx(expected.objective, abs=OBJECTIVE)
    assert list(found.fittedvalues.index) == list(shuffled.index)
    pd.testing.assert_series_equal(
        found.fittedvalues.loc[data.index], expected.fittedvalues, atol=1e-4 * expected.sigma, rtol=0
    )


@LAWS
@given(frames())
def test_labels_do_not_matter(data):
    renamed = data.assign(school=data["school"].map({"north": 4, "east": 3, "south": 2, "west": 1}))
    formula = "y ~ x + (1 | school) + (1 | teacher)"
    expected, found = quietly(formula, data), quietly(formula, renamed)
    assert found.objective == pytest.approx(expected.objective, abs=OBJECTIVE)
    back = found.random_effects["school"].rename({4: "north", 3: "east", 2: "south", 1: "west"})
    modes = expected.random_effects["school"]
    assert back.loc[modes.index].to_numpy() == pytest.approx(modes.to_numpy(), abs=1e-4 * expected.sigma)


@LAWS
@given(frames())
def test_a_slash_is_two_terms(data):
    nested = quietly("y ~ x + (1 | school/room)", data)
    spelled = quietly("y ~ x + (1 | school) + (1 | school:room)", data)
    assert nested.objective == pytest.approx(spelled.objective, abs=1e-12, rel=1e-12)
    assert list(nested.random_effects) == list(spelled.random_effects) == ["school:room", "school"]
    for group, modes in spelled.random_effects.items():
        pd.testing.assert_series_equal(nested.random_effects[group], modes, rtol=1e-12)


@LAWS
@given(frames())
def test_groups_are_bars(data):
    listed = quietly("y ~ x", data, groups=["school", "teacher"])
    written = quietly("y ~ x + (1 | school) + (1 | teacher)", data)
    assert listed.objective == pytest.approx(written.objective, rel=1e-12)
    assert list(listed.theta) == pytest.approx(list(written.theta), rel=1e-12)


@LAWS
@given(frames())
def test_order_of_terms_does_not_matter(data):
    one = quietly("y ~ x + (1 | school) + (1 + x | teacher)", data)
    other = quietly("y ~ x + (1 + x | teacher) + (1 | school)", data)
    assert one.objective == pytest.approx(other.objective, abs=OBJECTIVE)
    assert one.random_effects.keys() == other.random_effects.keys()


def test_the_better_of_two_minima_is_found():
    # One level has a single row. lme4 1.1-31: deviance 62.8056 at theta = 1.03, a minimum; 62.2512 at 0.
    y = [2.9, 0.3, 0.8, -1.3, 0.4, -1.2, -0.4, -1.5, -0.4, -0.5, 0.4, 0.6]
    y += [-2.3, -0.6, -0.9, -0.2, -0.6, 0.7, 0.5, 0.5, 0.1, 1.1, -2.1, -0.3]
    x = [-1.7, 0.3, -0.8, 0.5, 0.0, 0.0, 0.6, 0.8, 0.0, -1.0, 0.3, -1.2]
    x += [-0.5, 0.4, 0.7, 0.5, 0.1, -1.1, -1.1, 0.1, -0.8, -1.4, -0.1, -0.5]
    data = pd.DataFrame({"y": y, "x": x, "g": ["a"] + 23 * ["b"]})
    result = quietly("y ~ x + (1 | g)", data, reml=False)
    assert result.objective == pytest.approx(62.25119223304, abs=1e-9)
    assert list(result.theta) == [0.0]
