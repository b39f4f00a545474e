"""A design applied to rows that the fit has not seen."""

from __future__ import annotations

import re

import numpy as np
import pytest

from interlace.design import apply_design
from interlace.errors import (
    DesignError,
    RankDeficiencyWarning,
    UnknownColumnError,
)
from interlace.tests.design.frames import DATA, FULL, build


def dropping(formula, data):
    with pytest.warns(RankDeficiencyWarning, match="dropped"):
        return build(formula, data=data)


def test_new_rows_are_coded_as_the_fit():
    design = build(FULL + " + (1 | h:c)")
    rows = DATA.iloc[[5, 1, 7]]
    new = apply_design(design, rows)
    np.testing.assert_array_equal(new.X, design.X[[5, 1, 7]])
    np.testing.assert_array_equal(new.offset, design.offset[[5, 1, 7]])
    for found, term in zip(new.Xi, design.terms, strict=True):
        np.testing.assert_array_equal(found, term.Xi[[5, 1, 7]])
    for found, factor in zip(new.codes, design.factors, strict=True):
        np.testing.assert_array_equal(found, factor.codes[[5, 1, 7]])
    assert new.index.equals(rows.index)


def test_new_levels_are_listed():
    design = build("y ~ x + (1 | g) + (1 | h:c)")
    new = apply_design(design, {"x": [0.0] * 4, "g": [99, 10, 98, 99], "h": list("abab"), "c": ["u"] * 4})
    assert dict(zip((f.name for f in design.factor_labels), new.unseen, strict=True)) == {
        "g": [99, 98],
        "h:c": ["a:u", "b:u"],
    }
    codes = new.codes[[f.name for f in design.factor_labels].index("g")]
    assert codes.tolist() == [-1, list(design.factor_labels[0].levels).index(10), -1, -1]
    # Known levels in a combination that did not occur.
    lone = build("y ~ (1 | h:k)")
    crossed = apply_design(lone, {"h": ["s1", "s2"], "k": ["s2.0", "s2.0"]})
    assert crossed.unseen == (["s1:s2.0"],)
    assert crossed.codes[0].tolist() == [-1, list(lone.factor_labels[0].levels).index("s2:s2.0")]


def test_columns_of_factors_that_are_not_asked_for_may_be_absent():
    design = build("y ~ x + (z | g) + (1 | h)")
    new = apply_design(design, {"x": [1.0], "h": ["s1"]}, factors=["h"])
    assert [len(codes) for codes in new.codes] == [0, 1]
    assert [Xi.shape for Xi in new.Xi] == [(0, 2), (1, 1)]
    with pytest.raises(UnknownColumnError, match=re.escape("['g']")):
        apply_design(design, {"x": [1.0], "z": [1.0], "h": ["s1"]})
    with pytest.raises(UnknownColumnError, match=re.escape("columns not in the data: ['x']")):
        apply_design(design, {"z": [1.0]}, factors=())


def test_missing_values_in_new_rows_give_nan():
    design = build("y ~ x + f + (1 | g)")
    new = apply_design(
        design, {"x": [1.0, np.nan, 1.0, 1.0], "f": ["a", "a", None, "b"], "g": [10, 10, 10, None]}
    )
    mean = new.X.sum(axis=1) + (0 if new.offset is None else new.offset)
    assert np.isnan(mean).tolist() == [False, True, True, True]
    assert new.unseen == ([],)


def test_new_level_of_a_fixed_effect_is_refused():
    message = re.escape("\"f\" has levels that the fit has not seen: ['q']; it knows ['a', 'b', 'c']")
    with pytest.raises(DesignError, match=message):
        apply_design(build("y ~ f + (1 | g)"), {"f": ["a", "q"], "g": [10, 9]})
    with pytest.raises(DesignError, match='"x" was 1 numeric'):
        apply_design(build("y ~ x + (1 | g)"), {"x": ["a", "q"], "g": [10, 9]})


def test_offset_of_new_rows_needs_a_name():
    with_name = apply_design(build("y ~ x + offset(z) + (1 | g)", offset="e"), DATA)
    np.testing.assert_array_equal(with_name.offset, DATA["e"] + DATA["z"])
    with pytest.raises(DesignError, match="offset= was an array, which 80 new rows do not have"):
        apply_design(build("y ~ x + (1 | g)", offset=DATA["e"]), DATA)


def test_transformations_remember_the_fit():
    design = build("y ~ center(x) + bs(z, df=4) + standardize(e) + (center(x) | g)")
    rows = DATA.iloc[:5]
    new = apply_design(design, rows)
    np.testing.assert_array_equal(new.X, design.X[:5])
    np.testing.assert_array_equal(new.Xi[0], design.terms[0].Xi[:5])


def test_levels_of_rows_that_are_nan_anyway_need_not_be_known():
    """All rows of a level were dropped for a missing covariate, and are in the new data with it."""
    new = {"x": [np.nan, 1.0, 1.0], "f": ["q", "a", "b"], "g": [99, 10, 10], "z": [0.0, 0.0, np.nan]}
    found = apply_design(build("y ~ x + f + offset(z) + (1 | g)"), new)
    assert found.unseen == ([],)
    assert np.isnan(found.X).any(axis=1).tolist() == [True, False, False]
    late = {"x": [1.0, 1.0], "f": ["q", "a"], "g": [10, 10], "z": [np.nan, 0.0]}
    assert np.isnan(apply_design(build("y ~ x + f + offset(z) + (1 | g)"), late).offset).tolist() == [
        True,
        False,
    ]
    slope = apply_design(build("y ~ x + (z | g)"), {"x": [1.0, 1.0], "z": [np.nan, 1.0], "g": [99, 98]})
    assert slope.unseen == ([98],)
    absent = apply_design(build("y ~ x + f + (1 | g)"), {"x": [1.0], "f": ["q"], "g": [None]})
    assert absent.unseen == ([],)


def test_rows_that_the_data_do_not_determine_are_nan():
    data = DATA[~((DATA["f"] == "c") & (DATA["h"] == "s2"))]
    design = dropping("y ~ f * h + x + (1 | g)", data)
    new = {"f": ["c", "c", "a"], "h": ["s2", "s1", "s2"], "x": [0.0] * 3, "g": [10] * 3}
    with pytest.warns(RankDeficiencyWarning, match=r"1 of 3 rows have no prediction \(NaN\)"):
        found = apply_design(design, new)
    assert np.isnan(found.X).any(axis=1).tolist() == [True, False, False]
    np.testing.assert_array_equal(apply_design(design, data).X, design.X)


def test_a_collinearity_of_the_fit_must_hold_in_new_rows():
    twice = DATA.assign(x2=2.0 * DATA["x"] + 1.0)
    design = dropping("y ~ x + x2 + (1 | g)", twice)
    with pytest.warns(RankDeficiencyWarning, match=r"the columns \['x2'\]"):
        found = apply_design(design, {"x": [1.0, 1e9, np.nan], "x2": [9.0, 2e9 + 1.0, 0.0], "g": [10] * 3})
    assert np.isnan(found.X).any(axis=1).tolist() == [True, False, True]
