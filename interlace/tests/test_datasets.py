"""The data sets against what is known from elsewhere: counts and sums taken in R from lme4's copies."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from interlace import datasets
from interlace.errors import DesignError

# R prints 15 significant digits; the sum of 180 floats may differ from R's in the last two.
SUM_RTOL = 1e-13

LOADERS: dict[str, tuple[Callable[[], pd.DataFrame], int, dict[str, int], dict[str, float]]] = {
    "sleepstudy": (datasets.load_sleepstudy, 180, {"Subject": 18}, {"Reaction": 53731.4205, "Days": 810}),
    "penicillin": (datasets.load_penicillin, 144, {"plate": 24, "sample": 6}, {"diameter": 3308}),
    "pastes": (datasets.load_pastes, 60, {"batch": 10, "cask": 3, "sample": 30}, {"strength": 3603.2}),
    "insteval": (
        datasets.load_insteval,
        73421,
        {"s": 2972, "d": 1128, "studage": 4, "lectage": 6, "service": 2, "dept": 14},
        {"y": 235369},
    ),
}


@pytest.mark.parametrize("name", LOADERS)
def test_rows_levels_and_sums(name):
    load, n_rows, n_levels, sums = LOADERS[name]
    frame = load()
    assert len(frame) == n_rows
    assert {column: len(frame[column].cat.categories) for column in n_levels} == n_levels
    assert {*frame.columns} == {*n_levels, *sums}
    for column, total in sums.items():
        assert frame[column].sum() == pytest.approx(total, rel=SUM_RTOL)


@pytest.mark.parametrize("name", LOADERS)
def test_factors_have_string_labels_and_nothing_is_missing(name):
    load, _, n_levels, _ = LOADERS[name]
    frame = load()
    assert not frame.isna().any(axis=None)
    for column in n_levels:
        assert all(isinstance(label, str) for label in frame[column].cat.categories)


@pytest.mark.parametrize("name", LOADERS)
def test_each_call_gives_a_fresh_frame(name):
    load = LOADERS[name][0]
    spoiled = load()
    spoiled.iloc[:, 0] = spoiled.iloc[0, 0]
    pd.testing.assert_frame_equal(load(), load())
    assert not load().equals(spoiled)


def test_extremes_and_first_rows():
    assert datasets.load_sleepstudy()["Reaction"].agg(["min", "max"]).tolist() == [194.3322, 466.3535]
    assert datasets.load_sleepstudy().iloc[0].tolist() == [249.56, 0, "308"]
    assert datasets.load_insteval().iloc[0].tolist() == ["1", "1002", "2", "2", "0", "2", 5]


def test_levels_stand_in_the_order_of_lme4():
    evaluations = datasets.load_insteval()
    assert " ".join(evaluations["dept"].cat.categories) == "15 5 10 12 6 7 4 8 9 14 1 3 11 2"
    assert [*evaluations["d"].cat.categories[:5]] == ["1", "6", "7", "8", "12"]
    assert evaluations["d"].cat.categories[-1] == "2160"
    assert [*evaluations["s"].cat.categories[[0, 1, 9, -1]]] == ["1", "2", "10", "2972"]
    assert evaluations["studage"].cat.ordered
    assert evaluations["lectage"].cat.ordered
    assert not evaluations["service"].cat.ordered


def test_pastes_samples_are_casks_within_batches():
    pastes = datasets.load_pastes()
    labels = pastes.astype(str)
    assert (labels["sample"] == labels["batch"] + ":" + labels["cask"]).all()


def test_reading_times_are_the_same_for_the_same_seed():
    pd.testing.assert_frame_equal(datasets.make_reading_times(rng=3), datasets.make_reading_times(rng=3))
    assert not datasets.make_reading_times(rng=3).equals(datasets.make_reading_times(rng=4))
    from_generator = datasets.make_reading_times(rng=np.random.default_rng(3))
    pd.testing.assert_frame_equal(from_generator, datasets.make_reading_times(rng=3))


def test_reading_times_are_crossed_and_balanced():
    trials = datasets.make_reading_times(n_subjects=6, n_items=10, rng=1)
    assert len(trials) == 60
    assert (pd.crosstab(trials["subject"], trials["item"]) == 1).all(axis=None)
    assert (pd.crosstab(trials["subject"], trials["condition"]) == 5).all(axis=None)
    assert (pd.crosstab(trials["item"], trials["condition"]) == 3).all(axis=None)


def test_reading_times_without_spread_are_the_cell_means():
    trials = datasets.make_reading_times(
        rng=1, subject_sd=0, subject_slope_sd=0, item_sd=0, residual_sd=0, intercept=400, effect=-25
    )
    assert trials.groupby("condition", observed=True)["rt"].unique().map(list).tolist() == [[400.0], [375.0]]


def test_reading_times_have_the_spreads_asked_for():
    """Without items and residuals, the subjects show draws from the covariance asked for."""
    trials = datasets.make_reading_times(4000, 2, rng=5, item_sd=0, residual_sd=0)
    means = trials.pivot_table(index="subject", columns="condition", values="rt", observed=True)
    slope = means["incongruent"] - means["congruent"]
    # 4000 draws give a standard deviation to 1/sqrt(8000) = 1.1 %, a correlation to 0.013: four of each.
    assert means["congruent"].std() == pytest.approx(60, rel=0.045)
    assert slope.std() == pytest.approx(20, rel=0.045)
    assert slope.corr(means["congruent"]) == pytest.approx(0.4, abs=0.053)
    items = datasets.make_reading_times(
        2, 4000, rng=5, effect=0, subject_sd=0, subject_slope_sd=0, residual_sd=0
    )
    assert items.groupby("item", observed=True)["rt"].mean().std() == pytest.approx(30, rel=0.045)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_subjects": 0}, "n_subjects is 0; at least 1 is needed to simulate a trial."),
        ({"item_sd": -1.0}, "item_sd is -1.0; a standard deviation is 0 or more."),
        ({"residual_sd": float("nan")}, "residual_sd is nan; a standard deviation is 0 or more."),
        ({"correlation": 1.5}, "correlation is 1.5; give a number from -1 to 1."),
    ],
)
def test_impossible_arguments_are_refused(arguments, message):
    with pytest.raises(DesignError) as caught:
        datasets.make_reading_times(**arguments)
    assert str(caught.value) == message
