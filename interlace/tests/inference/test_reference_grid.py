"""Reference grids as R's emmeans lays them out, and joint tests in lmerTest's basis."""

from __future__ import annotations

import json
from functools import cache

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import interlace
from interlace.errors import InferenceError, RankDeficiencyWarning
from interlace.tests.bank import REFERENCE

BANK = json.loads((REFERENCE / "grids" / "means.json").read_text())
# lme4's default search stops within 1e-4 of the optimum (theta), and means move less than standard errors do;
# degrees of freedom rest on numerical derivatives there.
MEANS, SE, F, DF = 1e-6, 1e-5, 1e-4, 1e-4
OURS = {
    "y ~ f * factor(r) + (1 | g)": "y ~ f * C(r) + (1 | g)",
    "y ~ state / town + f + (1 | g)": "y ~ state + state:town + f + (1 | g)",
}


@cache
def data():
    return pd.DataFrame(BANK["data"])


@cache
def fit(formula):
    return interlace.fit(OURS.get(formula, formula), data())


def fitted(formula):
    if "town" not in formula:
        return fit(formula)
    with pytest.warns(RankDeficiencyWarning, match="rank deficient"):
        return interlace.fit(OURS.get(formula, formula), data())


def tables():
    return [(grid["formula"], means) for grid in BANK["grids"] for means in grid["means"]]


@pytest.mark.parametrize(
    ("formula", "means"), tables(), ids=lambda v: v if isinstance(v, str) else str(v["specs"])
)
def test_means_are_those_of_emmeans(formula, means):
    specs = [means["specs"]] if isinstance(means["specs"], str) else means["specs"]
    frame = fitted(formula).emmeans(specs).frame.set_index(specs).sort_index()
    known = pd.DataFrame(means["table"]).set_index(specs).sort_index()
    assert frame.index.tolist() == known.index.tolist()
    assert_allclose(frame["emmean"], known["emmean"], rtol=MEANS)
    assert_allclose(frame["std_error"], known["SE"], rtol=SE)
    assert_allclose(frame["df"], known["df"], rtol=DF)


def joint():
    codings = {
        "treatment": lambda formula: formula,
        "sum": lambda formula: formula.replace("f * h", "C(f, Sum) * C(h, Sum)"),
    }
    return [
        (codings[case["coding"]](case["formula"]), table)
        for case in BANK["joint"]
        for table in case["tables"]
    ]


@pytest.mark.parametrize(
    ("formula", "table"), joint(), ids=lambda v: v if isinstance(v, str) else str(v["type"])
)
def test_joint_tests_have_the_degrees_of_freedom_of_lmertest(formula, table):
    ours = fit(formula).anova(table["type"])
    assert ours["num_df"].tolist() == table["num_df"]
    assert_allclose(ours["F"], table["F"], rtol=F)
    assert_allclose(ours["den_df"], table["den_df"], rtol=DF)


def test_a_grid_does_not_grow_with_the_rows():
    """A number that the formula cuts is at its mean, not at each of its values."""
    wide = data().assign(z=np.linspace(0.0, 1.0, len(data())))
    fit = interlace.fit("y ~ f + I(z > 0.5) + I(x > 0) + (1 | g)", wide)
    means = fit.emmeans("f").frame["emmean"]
    at = {"z": [wide["z"].mean()] * 3, "x": [wide["x"].mean()] * 3, "f": ["u", "v", "w"]}
    assert_allclose(means, fit.predict(pd.DataFrame(at), random=False), rtol=1e-12)


def test_a_grid_of_millions_is_refused():
    many = data().assign(p=np.arange(len(data())) % 60, q=np.arange(len(data())) % 59)
    many["s"] = many["p"] * 7 % 53
    with pytest.warns(RankDeficiencyWarning):
        fit = interlace.fit("y ~ C(p) + C(q) + C(s) + C(r) + town + (1 | g)", many)
    with pytest.raises(InferenceError, match=r"the reference grid would have .* combinations"):
        fit.emmeans("town")


def test_values_given_for_a_covariate_with_two_values_are_taken():
    fit = interlace.fit("y ~ f + two + (1 | g)", data())
    assert fit.emmeans("two", at={"two": [1.0]}).frame["two"].tolist() == [1.0]


def test_a_quoted_column_is_a_variable():
    fit = interlace.fit("y ~ Q('kind of f') + x + (1 | g)", data().rename(columns={"f": "kind of f"}))
    plain = interlace.fit("y ~ f + x + (1 | g)", data())
    assert_allclose(fit.emmeans("kind of f").frame["emmean"], plain.emmeans("f").frame["emmean"], rtol=1e-12)
