"""Formulas and options of models that are read in chunks, and the reasons of those that are not."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from patsy import Sum  # noqa: F401 - formulas look it up here

import interlace
from interlace.errors import (
    DataWarning,
    DesignError,
    MissingValuesError,
    OptimizationError,
    RankDeficiencyError,
    RankDeficiencyWarning,
)
from interlace.streaming import passes

from .chunks import assert_same_fit, fitted, pieces, ratings

FORMULAS = [
    "y ~ x * kind + (1 | user) + (1 | item)",
    "y ~ C(kind, Sum) + (1 + x | user) + (1 | item)",
    "y ~ C(kind, levels=['game', 'film', 'book']) + (1 | user)",
    "y ~ x + (0 + kind | user) + (1 | item)",
    "y ~ x + (1 | user:item) + (1 | user)",
    "y ~ x + (1 | school/user)",
    "y ~ x + (x || user) + (1 | item)",
    "y ~ center(x) + I(x ** 2) + (1 | user)",
    "y ~ standardize(x) + (1 + standardize(x) | user)",
    "y ~ center(np.log(standardize(x) ** 2)) + (1 | user)",
    "y ~ bs(x, knots=(1.0, 3.0)) + (1 | user)",
    "y ~ poly(x, 2, raw=True) + (1 | user)",
    "np.exp(y / 10) ~ np.sqrt(x) + offset(shift) + (1 | user)",
    "y ~ C(school) + (1 | item)",
    "y ~ 0 + kind + (1 | user)",
    "y ~ 1 + (1 | user)",
    "y ~ 0 + (1 | user)",
    "y ~ x + I(2 * x) + kind + (1 | user)",
]


@pytest.mark.parametrize("formula", FORMULAS)
def test_formulas_mean_what_they_mean_in_memory(formula, monkeypatch):
    monkeypatch.setattr(passes, "ROWS", 64)
    frame = ratings()
    streamed = fitted(formula, pieces(frame, 64))
    whole = fitted(formula, frame)
    assert_same_fit(streamed, whole)
    new = frame.iloc[:40]
    # The rows are predicted from the same numbers: a few roundings apart.
    np.testing.assert_allclose(streamed.predict(new), whole.predict(new), rtol=1e-9)


OPTIONS = [
    {"weights": "w"},
    {"offset": "shift"},
    {"weights": "w", "offset": "shift", "subset": "x > 0.5 and kind != @left_out"},
    {"groups": ["item"]},
    {"random": "(0 + x | item)"},
    {"subset": "`w` < 1.2"},
]


@pytest.mark.parametrize("options", OPTIONS, ids=lambda options: " ".join(options))
def test_options_mean_what_they_mean_in_memory(options):
    left_out = "book"  # noqa: F841 - named in a query
    frame = ratings()
    how = {"eval_env": 0, **options}
    # Called here and not through `fitted`, so that the query finds this function's names.
    streamed = interlace.CrossedLMM.from_formula("y ~ x + (1 | user)", pieces(frame, 90), **how).fit()
    whole = interlace.CrossedLMM.from_formula("y ~ x + (1 | user)", frame, **how).fit()
    assert_same_fit(streamed, whole)
    assert streamed.model.describe() == whole.model.describe()


@pytest.mark.parametrize("reml", [True, False])
def test_chunks_without_a_complete_row_are_passed_over(reml):
    frame = ratings(200)
    frame.loc[40:79, ["x", "kind"]] = None
    assert_same_fit(
        fitted("y ~ x + kind + (1 | user)", pieces(frame, 20), reml=reml),
        fitted("y ~ x + kind + (1 | user)", frame, reml=reml),
    )


def test_sorted_data_are_read_once_more_in_better_coordinates(monkeypatch):
    """By the time of the last rows x is a million times what the sample of the first pass can have seen."""
    monkeypatch.setattr("interlace.streaming.seen.SAMPLE", 2)
    frame = ratings(400).dropna().sort_values("x")
    frame["t"] = np.exp(np.linspace(0.0, 20.0, len(frame)))
    calls = []

    def source():
        calls.append(1)
        return pieces(frame, 50)()

    streamed = fitted("y ~ t + x + (1 | user)", source)
    assert_same_fit(streamed, fitted("y ~ t + x + (1 | user)", frame))
    assert len(calls) >= 3


def test_text_that_looks_like_numbers_is_told_as_in_memory():
    frame = ratings(200)
    frame["dose"] = [str(i % 3) + ".5" for i in range(len(frame))]
    with pytest.warns(DataWarning, match='"dose" is text that looks like numbers'):
        interlace.fit("y ~ dose + (1 | user)", pieces(frame, 30))


def test_the_iterative_solver_goes_by_the_same_products():
    frame = ratings(400).dropna()
    how = {"solver": "iterative", "seed": 3}
    streamed = interlace.fit("y ~ x + (1 | user) + (1 | item)", pieces(frame, 90), **how)
    whole = interlace.fit("y ~ x + (1 | user) + (1 | item)", frame, **how)
    assert streamed.solver == whole.solver == "iterative"
    # The same probes; conjugate gradients stop at 1e-7 of their right sides.
    assert (np.abs(streamed.params - whole.params) < 1e-5 * whole.bse).all()


def ranked(x):
    return x.rank()


REFUSED = {
    "y ~ bs(x, df=4) + (1 | user)": "places its knots by the quantiles of all rows",
    "y ~ cr(x, df=3) + (1 | user)": "needs all rows at once for knots and constraints",
    "y ~ poly(x, 2) + (1 | user)": "makes polynomials orthogonal over all rows at once",
    "y ~ ranked(x) + (1 | user)": r'"ranked\(x\)" takes other values when half of the rows are looked at',
    "y ~ I(x - x.mean()) + (1 | user)": r"takes other values when half .*center, standardize",
    "y ~ pd.cut(x, 3) + (1 | user)": "takes other values when half",
    "y ~ x + offset(shift - np.mean(shift)) + (1 | user)": "takes other values when half",
    "y ~ nothing + (1 | user)": r"columns not in the data: \['nothing'\]. There are y, x, kind",
    "y ~ x + (1 | usr)": r"columns not in the data: \['usr'\]. Did you mean 'user'\?",
    "kind ~ x + (1 | user)": 'the response "kind" holds categories',
    "y ~ x": "no random effects",
    "y ~ x + y + (1 | user)": 'the response "y" is in the fixed part too, and cannot explain itself',
    "y ~ x + (1 | ones)": r'grouping factor "ones" must have > 1 level',
    "y ~ x + (1 | row)": r'grouping factor "row" has as many levels \(\d+\) as there are rows',
    "y ~ one + (1 | user)": 'the categorical variable "one" has one level',
}


@pytest.mark.parametrize("formula", REFUSED)
def test_what_cannot_be_read_in_chunks_is_refused_with_its_reason(formula):
    assert pd is not None  # named in a formula
    frame = ratings(200)
    frame = frame.assign(ones=1, one="a", row=np.arange(len(frame)))
    with pytest.raises((DesignError, interlace.errors.FormulaError), match=REFUSED[formula]):
        interlace.fit(formula, pieces(frame, 40))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (
            {"weights": np.ones(200)},
            r"weights= is a ndarray, and the rows of a source are not in memory .*name a",
        ),
        ({"offset": np.ones(200)}, "offset= is a ndarray"),
        ({"subset": np.ones(200, bool)}, 'subset= is a ndarray, .*write a query, "x > 0"'),
        ({"groups": {"g": np.ones(200)}}, "groups= is a dict, .*name columns"),
        ({"subset": "x > x.mean()"}, "chooses other rows when half of the rows are looked at"),
        ({"subset": "x > 1000"}, "subset= leaves no rows"),
        ({"subset": "nothing > 1"}, "subset= does not fit the data"),
        ({"weights": "shift"}, "weights must be positive and finite"),
        (
            {"groups": "user", "re_formula": "~x"},
            r"re_formula= and vc_formula= look at all rows.*\(1 \+ x \| g\)",
        ),
        ({"missing": "sometimes"}, "missing='sometimes'; wanted"),
    ],
)
def test_options_that_need_all_rows_are_refused(options, sentence):
    with pytest.raises(DesignError, match=sentence):
        interlace.fit("y ~ x + (1 | item)", pieces(ratings(200), 50), **options)


def test_missing_values_are_refused_where_that_is_asked_for():
    frame = ratings(200)
    counts = frame[["x", "user"]].isna().sum()
    listed = rf"in: x \({counts['x']}\), user \({counts['user']}\). Use missing='drop'"
    with pytest.raises(MissingValuesError, match=listed):
        interlace.fit("y ~ x + (1 | user)", pieces(frame, 50), missing="raise")
    with pytest.raises(MissingValuesError, match="none of the 200 rows is complete"):
        interlace.fit("y ~ x + (1 | user)", pieces(frame.assign(x=np.nan), 50))


def test_dependent_columns_are_refused_where_that_is_asked_for():
    with pytest.raises(RankDeficiencyError, match=r"depend on those before them: \['I\(2 \* x\)'\]"):
        interlace.fit("y ~ x + I(2 * x) + (1 | user)", pieces(ratings(200), 50), rank="error")
    with pytest.warns(RankDeficiencyWarning, match=r"dropped \['I\(2 \* x\)'\]"):
        interlace.fit("y ~ x + I(2 * x) + (1 | user)", pieces(ratings(200), 50))


def test_a_response_without_residual_variation_is_refused():
    frame = ratings(200).assign(y=lambda d: 2.0 * d["x"])
    with pytest.raises(OptimizationError, match="the fixed effects reproduce the response exactly"):
        interlace.fit("y ~ x + (1 | user)", pieces(frame, 50))
