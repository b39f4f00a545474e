"""Studies without data: balance, conditions, assumed parameters."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import interlace
from interlace.errors import DesignError, RankDeficiencyError


def test_a_latin_square_is_balanced():
    plan = interlace.design(
        subjects=12, items=8, within={"c": ["a", "b"]}, between={"g": 3}, between_items={"t": 2}
    )
    frame = plan.frame
    assert len(frame) == 96
    assert frame.groupby(["subject", "c"], observed=True).size().unique().tolist() == [4]
    assert frame.groupby(["item", "c"], observed=True).size().unique().tolist() == [6]
    assert frame.groupby(["g", "c", "t"], observed=True).size().unique().tolist() == [8]
    assert len(frame[["subject", "g"]].drop_duplicates()) == 12
    assert len(frame[["item", "t"]].drop_duplicates()) == 8


def test_every_condition_of_every_item():
    plan = interlace.design(
        subjects=3, items=2, within={"c": 2, "d": ["x", "y", "z"]}, counterbalanced=False, repeats=2
    )
    assert plan.frame.groupby(["subject", "item", "c", "d"], observed=True).size().unique().tolist() == [2]
    assert repr(plan) == "<StudyDesign: 72 rows; subject 3, item 2, c 2, d 3>"


def test_numbers_make_a_covariate():
    frame = interlace.design(subjects=2, within={"days": range(4)}).frame
    assert frame["days"].tolist() == [0, 1, 2, 3, 0, 1, 2, 3]
    assert pd.api.types.is_numeric_dtype(frame["days"])


def test_assumed_parameters_are_those_of_the_simulated_data():
    plan = interlace.design(subjects=8, within={"days": range(10)})
    study = plan.assume(
        "y ~ days + (days | subject)",
        fixed={"Intercept": 250.0, "days": 10.0},
        random={"subject": {"(Intercept)": 25.0, "days": 6.0}},
        correlations={"subject": 0.3},
        sigma=26.0,
    )
    Y = study.simulate(4000, rng=1).to_numpy()
    x = np.arange(10.0)
    V = 25.0**2 + 0.3 * 150.0 * (x[:, None] + x) + 36.0 * np.outer(x, x) + 26.0**2 * np.eye(10)
    # 32 000 series of ten days: means within 4 standard errors, variances within four times sqrt(2 / n).
    own = Y.reshape(8, 10, -1).transpose(0, 2, 1).reshape(-1, 10)
    assert np.abs((own.mean(axis=0) - 250.0 - 10.0 * x) / np.sqrt(np.diag(V) / 32_000)).max() < 4.0
    assert np.cov(own.T) == pytest.approx(V, rel=0.05)
    assert study.theta == pytest.approx([25 / 26, 0.3 * 6 / 26, np.sqrt(1 - 0.09) * 6 / 26])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"fixed": {"condition": 1.0}}, r"fixed= names \['condition'\], which the model does not have"),
        ({"random": {"subject": 1.0, "item": 1.0, "x": 1.0}}, r"random= names \['x'\]"),
        ({"random": {"subject": {"(Intercept)": 1.0}}}, r"random= says nothing of \['item'\]"),
        ({"random": {"subject": 1.0, "item": 1.0}}, "is one number for the random effects"),
        ({"random": {"subject": {"c": 1.0}, "item": 1.0}}, r"random\['subject'\]= names \['c'\]"),
        ({"random": {"subject": {"(Intercept)": -1.0}, "item": 1.0}}, "standard deviations are 0 or more"),
        ({"correlations": {"subject": 1.5}}, "is no correlation matrix of 2 random effects"),
        ({"correlations": {"subject": np.eye(3)}}, "is no correlation matrix of 2 random effects"),
        ({"sigma": 0.0}, "sigma=0.0; the residual standard deviation"),
    ],
)
def test_assumptions_that_mean_nothing_are_refused(changes, message):
    plan = interlace.design(subjects=6, items=4, within={"c": ["a", "b"]})
    given = {
        "fixed": {"c[T.b]": 1.0},
        "random": {"subject": {"(Intercept)": 1.0, "c[T.b]": 0.5}, "item": 1.0},
        "sigma": 1.0,
    }
    with pytest.raises(DesignError, match=message):
        plan.assume("y ~ c + (c | subject) + (1 | item)", **(given | changes))


def test_layouts_that_mean_nothing_are_refused():
    with pytest.raises(DesignError, match="subjects=0"):
        interlace.design(subjects=0)
    with pytest.raises(DesignError, match="between_items= describes items"):
        interlace.design(subjects=2, between_items={"t": 2})
    with pytest.raises(DesignError, match="empty or not distinct"):
        interlace.design(subjects=2, within={"c": ["a", "a"]})
    plan = interlace.design(subjects=4, within={"c": 2}, between={"g": 2})
    with pytest.raises(RankDeficiencyError):
        plan.assume("y ~ c + I(c == 'a') + (1 | subject)", fixed={}, random={"subject": 1.0}, sigma=1.0)
