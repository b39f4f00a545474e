"""Designs of arrays."""

from __future__ import annotations

import pickle
import re

import numpy as np
import pandas as pd
import polars as pl
import pytest

from interlace.design import apply_design, design_from_arrays
from interlace.errors import (
    DataWarning,
    DesignError,
    MissingValuesError,
    UnknownColumnError,
)
from interlace.tests.design.frames import DATA, N, assert_same_predictions, build, dense_Z, holed, terms


def test_arrays_give_what_a_formula_gives():
    by_formula = build("y ~ x + z + (1 | g) + (1 | h)", weights="w", offset="e")
    exog = DATA[["x", "z"]].assign(const=1.0)[["const", "x", "z"]]
    for endog, X, groups in (
        (DATA["y"], exog, DATA[["g", "h"]]),
        (DATA["y"].to_numpy(), exog.to_numpy(), DATA[["g", "h"]].to_dict("list")),
    ):
        design = design_from_arrays(endog, X, groups=groups, weights=DATA["w"].to_numpy(), offset=DATA["e"])
        np.testing.assert_array_equal(design.X, by_formula.X)
        np.testing.assert_array_equal(design.y, by_formula.y)
        np.testing.assert_array_equal(design.weights, by_formula.weights)
        np.testing.assert_array_equal(design.offset, by_formula.offset)
        assert dense_Z(design) == dense_Z(by_formula)


def test_arrays_of_any_kind_of_number_become_floats():
    counts, flags = np.round(DATA["y"] * 10).astype(int), DATA[["x"]] > 0
    for kind in (object, bool, int, "float32"):
        for exog in (flags.astype(kind), flags.astype(kind).to_numpy()):
            design = design_from_arrays(counts.astype(object).to_numpy(), exog, groups=DATA["g"])
            assert (design.y.dtype, design.X.dtype) == (float, float)
            np.testing.assert_array_equal(design.y, counts)
            np.testing.assert_array_equal(design.X, flags)


def test_names_of_arrays():
    design = design_from_arrays(DATA["y"], DATA[["x"]], groups=DATA["g"])
    assert (design.yname, design.xnames, design.factor_labels[0].name) == ("y", ("x",), "g")
    matrix = np.column_stack([DATA["z"], np.ones(N), DATA["x"]])
    design = design_from_arrays(DATA["y"].to_numpy(), matrix, groups=DATA[["g", "h"]].to_numpy())
    assert design.xnames == ("x1", "const", "x2")
    assert [labels.name for labels in design.factor_labels] == ["group1", "group2"]
    design = design_from_arrays(DATA["y"].to_numpy(), groups=DATA["g"].to_numpy())
    assert (design.xnames, design.yname, design.factor_labels[0].name) == (("const",), "y", "group")
    assert (design.X == 1).all()
    new = apply_design(design, {"group": [10, 99]})
    assert new.X.tolist() == [[1.0], [1.0]]
    assert new.unseen == ([99],)


def test_random_effects_of_arrays():
    exog = DATA[["x", "z"]]
    slopes = design_from_arrays(DATA["y"], exog, groups=DATA[["g", "h"]], random="(1 + x | g)")
    assert dense_Z(slopes) == dense_Z(build("y ~ x + (x | g) + (1 | h)"))
    nested = design_from_arrays(DATA["y"], exog, groups=DATA[["h", "c"]], random=["(1 | h/c)"])
    assert dense_Z(nested) == dense_Z(build("y ~ x + (1 | h/c)"))
    one = np.column_stack([np.ones(N), DATA["x"]])
    for matrix, columns in ((one, ("(Intercept)", "re1")), (exog[["x"]], ("x",))):
        design = design_from_arrays(DATA["y"], exog, groups=DATA[["g", "h"]], exog_re={"g": matrix})
        assert terms(design) == [("g", columns), ("h", ("(Intercept)",))]
        np.testing.assert_array_equal(design.terms[0].Xi, np.asarray(matrix))
    alone = design_from_arrays(DATA["y"], exog, groups=DATA["g"], exog_re=one)
    assert terms(alone) == [("g", ("(Intercept)", "re1"))]


def test_missing_values_of_arrays():
    data = holed()
    args = {"groups": data[["g", "h"]], "weights": data["w"]}
    design = design_from_arrays(data["y"], data[["x", "z"]], missing="drop", **args)
    complete = data[["y", "x", "z", "g", "h", "w"]].dropna()
    assert design.index.equals(complete.index)
    assert design.n_dropped == N - len(complete)
    np.testing.assert_array_equal(design.X, complete[["x", "z"]])
    with pytest.raises(MissingValuesError, match=re.escape("endog (1), exog (2), h (1), weights (1)")):
        design_from_arrays(data["y"], data[["x", "z"]], **args)


def test_designs_of_arrays_are_stored_and_applied():
    design = design_from_arrays(DATA["y"], DATA[["x", "z"]], groups=DATA[["g", "h"]], random="(z | g)")
    again = pickle.loads(pickle.dumps(design))
    assert_same_predictions(design, again)
    np.testing.assert_array_equal(apply_design(again, DATA).X, design.X)
    assert again.design_info.column_names == ["x", "z"]
    with pytest.raises(UnknownColumnError, match=re.escape("['z']")):
        apply_design(design, {"x": [1.0], "g": [10], "h": ["s1"]})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"groups": None}, "groups=None; wanted the grouping columns"),
        ({"groups": "g"}, "groups='g'; wanted the grouping columns"),
        ({"groups": DATA[[]]}, "groups has no columns"),
        ({"groups": [list(DATA["g"]), list(DATA["h"])]}, "groups has 80 columns, as many as endog has rows"),
        ({"groups": {"g": DATA["g"].iloc[::-1]}}, "the indices of endog, exog and groups differ"),
        ({"exog_re": {"g": DATA[["x"]].iloc[::-1]}}, "the indices of endog, exog and groups differ"),
        ({"endog": np.array([]), "exog": None}, "endog has no rows"),
        ({"endog": DATA["y"].to_numpy() + 1j}, "endog holds complex numbers"),
        (
            {"groups": DATA["g"][:5].to_numpy()},
            "columns of groups have other lengths than endog (80): {'group': 5}",
        ),
        ({"groups": np.zeros((N, 1, 1))}, "groups has 3 dimensions"),
        ({"exog": DATA[["f"]]}, "exog holds values that are not numbers"),
        ({"exog": np.ones((3, 2))}, "exog has 3 rows and endog has 80"),
        ({"endog": DATA[["y", "x"]]}, "endog has 2 columns; wanted one"),
        ({"exog": DATA[["x"]].iloc[::-1]}, "the indices of endog, exog and groups differ"),
        ({"exog_re": DATA[["x"]]}, "exog_re is one matrix for 2 factors; wanted a dict: {'g': ...}"),
        ({"exog_re": {"gg": DATA[["x"]]}}, "columns not in groups: ['gg']. Did you mean 'g'?"),
        (
            {"exog_re": {"g": DATA[["x"]]}, "random": "(x | g)"},
            "exog_re and (x | g) both give random effects of g",
        ),
        ({"random": "(q | g)"}, "columns not in the data: ['q']"),
    ],
)
def test_arrays_that_do_not_fit(options, message):
    given = {"endog": DATA["y"], "exog": DATA[["x"]], "groups": DATA[["g", "h"]], **options}
    with pytest.raises(DesignError, match=re.escape(message)):
        design_from_arrays(given.pop("endog"), given.pop("exog"), **given)


def test_levels_that_read_the_same_are_warned_of():
    y, odd = np.arange(6.0), [1, "1", 2, 1, "1", 2]
    for groups in (odd, {"g": odd}, pd.Series(odd), np.array(odd, dtype=object)):
        with pytest.warns(DataWarning, match='has levels that read the same and are .* different: 1 and "1"'):
            assert design_from_arrays(y, groups=groups).n_levels == (3,)


def test_polars_columns_keep_their_names():
    table = pl.DataFrame({"y": [1.0, 2.0, 4.0, 3.0], "x": [0.0, 1.0, 0.0, 1.0], "g": ["a", "a", "b", "b"]})
    design = design_from_arrays(table["y"], table[["x"]], groups=table["g"], exog_re=table["x"])
    assert (design.yname, design.xnames, design.factor_names) == ("y", ("x",), ["g"])
    assert design.term_labels[0].columns == ("x",)


@pytest.mark.parametrize("place", [0, 1, 2])
def test_lazy_polars_frames_are_to_be_collected(place):
    table = pl.DataFrame({"y": [1.0, 2.0, 4.0, 3.0], "x": [0.0, 1.0, 0.0, 1.0], "g": ["a", "a", "b", "b"]})
    endog, exog, groups = (
        table[[name]].lazy() if place == at else table[[name]] for at, name in enumerate(["y", "x", "g"])
    )
    with pytest.raises(DesignError, match=r"data is a lazy polars frame; give data\.collect\(\)"):
        design_from_arrays(endog, exog, groups=groups)
