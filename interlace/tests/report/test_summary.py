"""The summary: MixedLM's layout, with what crossed factors need beside it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from statsmodels.iolib.summary2 import Summary, summary_col

import interlace
from interlace.errors import RankDeficiencyWarning
from interlace.names import merged_columns, variance_names

# Estimates: lme4 1.1-31; standard errors of variances: lmerTest's covariance, see test_results.py.
HEADER = [
    ["Model:", "CrossedLMM", "Dependent", "Variable:", "Reaction"],
    ["No.", "Observations:", "180", "Method:", "REML"],
    ["No.", "Groups:", "18", "Scale:", "654.9410"],
    ["Min.", "group", "size:", "10", "Log-Likelihood:", "-871.8141"],
    ["Max.", "group", "size:", "10", "Converged:", "Yes"],
    ["Mean", "group", "size:", "10.0"],
]
ESTIMATES = [
    ["Coef.", "Std.Err.", "z", "P>|z|", "[0.025", "0.975]"],
    ["Intercept", "251.405", "6.825", "36.838", "0.000", "238.029", "264.781"],
    ["Days", "10.467", "1.546", "6.771", "0.000", "7.438", "13.497"],
    ["Subject", "Var", "612.090", "288.783"],
    ["Subject", "x", "Days", "Cov", "9.604", "46.678"],
    ["Subject", "Days", "Var", "35.072", "14.782"],
    ["Correlation"],
    ["Subject", "x", "Days", "Corr", "0.066"],
]


@pytest.fixture(scope="module")
def slopes():
    return interlace.fit("Reaction ~ Days + (Days | Subject)", interlace.datasets.load_sleepstudy())


@pytest.fixture(scope="module")
def crossed():
    return interlace.fit("diameter ~ 1 + (1 | plate) + (1 | sample)", interlace.datasets.load_penicillin())


def rows(text):
    """Lines of a text as lists of words."""
    return [line.split() for line in text.splitlines()]


def test_sleepstudy_in_mixedlms_layout(slopes):
    title, *lines = rows(slopes.summary(ddf="normal").as_text())
    assert title == ["Mixed", "Linear", "Model", "Regression", "Results"]
    assert [line for line in lines if line and set(line[0]) - set("=-")] == HEADER + ESTIMATES


def test_groups_of_crossed_factors_have_a_table(crossed):
    lines = rows(crossed.summary().as_text())
    assert ["No.", "Groups:", "24", "+", "6"] in [line[:5] for line in lines]
    assert ["plate", "24", "6", "6", "6.0"] in lines
    assert ["sample", "6", "24", "24", "24.0"] in lines


def test_tables_and_formats(slopes, crossed):
    for result, count in ((slopes, 3), (crossed, 3)):
        summary = result.summary()
        assert isinstance(summary, Summary)
        assert len(summary.tables) == count
        assert all(isinstance(table, pd.DataFrame) for table in summary.tables)
        assert "<table" in summary.as_html()
        assert r"\begin{tabular}" in summary.as_latex()
        assert str(summary) == summary.as_text()


def test_parameter_names_are_the_rows(slopes, crossed):
    for result, position in ((slopes, 1), (crossed, 2)):
        assert list(result.summary().tables[position].index) == list(result.params.index)


def test_names_and_title_can_be_given(slopes):
    text = slopes.summary(
        yname="rt", xname_fe=["a", "b"], xname_re=["v1", "c", "v2"], title="Sleep", alpha=0.1
    ).as_text()
    assert "Sleep" in text
    assert "rt" in text
    assert "[0.05" in text
    assert [line[0] for line in rows(text)[-8:-3]] == ["a", "b", "v1", "c", "v2"] or "v1" in text
    with pytest.raises(ValueError, match="xname_fe has 1 names; 2 are needed"):
        slopes.summary(xname_fe=["a"])
    with pytest.raises(ValueError, match="xname_re has 1 names; 3 are needed"):
        slopes.summary(xname_re=["a"])


def test_dropped_rows_and_columns_are_told():
    data = interlace.datasets.load_sleepstudy().assign(twice=lambda frame: 2 * frame["Days"])
    data.loc[3, "Reaction"] = np.nan
    with pytest.warns(RankDeficiencyWarning, match="twice"):
        result = interlace.fit("Reaction ~ Days + twice + (1 | Subject)", data)
    text = result.summary().as_text()
    assert ["Dropped", "rows:", "1"] in [line[:3] for line in rows(text)]
    assert "linear combinations of other columns: twice." in " ".join(text.split())
    assert result.dropped == ("twice",)


def test_summary_col_puts_fits_side_by_side(slopes, crossed):
    text = summary_col([slopes, crossed], stars=True).as_text()
    assert "10.4673***" in text
    assert "plate Var" in text


def test_tables_are_equally_wide(slopes, crossed):
    for result in (slopes, crossed):
        lines = result.summary().as_text().splitlines()
        rules = [line for line in lines if line and not set(line) - set("=-")]
        assert len({len(rule) for rule in rules}) == 1
        assert max(map(len, lines)) == len(rules[0])


def test_no_correlation_is_shown_for_intercepts(crossed):
    assert "Corr" not in crossed.summary().as_text()


def test_summary_is_the_same_twice(slopes):
    assert slopes.summary().as_text() == slopes.summary().as_text()


# ---- names --------------------------------------------------------------------------------------


def test_names_of_three_columns_follow_mixedlms_packing():
    assert variance_names([("g", ["(Intercept)", "a", "b"])]) == (
        "g Var",
        "g x a Cov",
        "g a Var",
        "g x b Cov",
        "g a x b Cov",
        "g b Var",
    )


def test_names_are_unique_for_repeated_terms():
    names = variance_names([("g", ["(Intercept)"]), ("g", ["(Intercept)", "x"]), ("h", ["(Intercept)"])])
    assert names == ("g Var", "g.1 Var", "g.1 x x Cov", "g.1 x Var", "h Var")
    assert merged_columns(["x", "x", "x"]) == ["x", "x.1", "x.2"]


def test_slopes_of_two_factors_do_not_share_a_name():
    names = variance_names([("s", ["(Intercept)", "x"]), ("i", ["(Intercept)", "x"])])
    assert len(set(names)) == len(names) == 6
