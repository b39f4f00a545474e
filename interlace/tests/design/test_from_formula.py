"""From a formula and a table to a design: which rows enter, and what is refused."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

from interlace.design import build_design
from interlace.errors import (
    DesignError,
    FormulaError,
    MissingValuesError,
    UnknownColumnError,
)
from interlace.formula.grammar import parse_formula
from interlace.tests.design.frames import DATA, FULL, N, build, dense_Z, holed


def test_rows_with_missing_values_go():
    data = holed()
    design = build(FULL, data, weights="w", offset="e")
    complete = build(FULL, data.dropna(), weights="w", offset="e")
    assert design.n_dropped == 7
    assert design.index.equals(complete.index)
    for name in ("y", "X", "weights", "offset"):
        np.testing.assert_array_equal(getattr(design, name), getattr(complete, name))
    assert dense_Z(design) == dense_Z(complete)
    # Only used columns count.
    assert build("y ~ x + (1 | g)", data).n_dropped == 2


def test_missing_values_are_named():
    for how in ("raise", "none"):
        with pytest.raises(MissingValuesError, match=re.escape("y (1), e (1)")) as caught:
            build("y ~ offset(e) + (1 | g)", holed(), missing=how)
        assert f"missing='{how}'" in str(caught.value)
    assert build("y ~ x + (1 | g)", missing="raise").n_dropped == 0
    with pytest.raises(MissingValuesError, match="none of the 80 rows is complete"):
        build("y ~ x + (1 | g)", DATA.assign(x=np.nan))
    with pytest.raises(DesignError, match="missing='dorp'; wanted 'drop', 'raise' or 'none'"):
        build("y ~ x + (1 | g)", missing="dorp")


def test_missing_after_a_transformation_goes_too():
    data = DATA.assign(x=DATA["x"].where(DATA.index != 5, -1.0))
    with np.errstate(invalid="ignore"):
        assert build("y ~ np.sqrt(x) + (1 | g)", data).n_dropped == 1


def test_centre_is_that_of_all_rows():
    """As in R and patsy: transformations see the rows that later go for another column's sake."""
    data = DATA.assign(z=DATA["z"].where(DATA.index != 0))
    design = build("y ~ center(x) + z + (1 | g)", data)
    np.testing.assert_allclose(
        design.X[:, 1], (DATA["x"] - DATA["x"].mean())[1:], rtol=1e-14
    )  # rounding only


@pytest.mark.parametrize(
    "subset",
    [
        "x > 3",
        "x > @limit",
        DATA["x"] > 3,
        (DATA["x"] > 3).to_numpy(),
        (DATA["x"] > 3).tolist(),
        (DATA["x"] > 3).astype("boolean"),
        (DATA["x"] > 3).sample(frac=1, random_state=0),
        DATA.index[DATA["x"] > 3],
        DATA.index[DATA["x"] > 3].tolist(),
        (DATA["x"] > 3).astype(object).where(DATA["x"] > 2.5, None),
        (DATA["x"] > 3).astype(object).sample(frac=1, random_state=0),
        (DATA["x"] > 3).astype(object).to_numpy(),
    ],
)
def test_subset(subset):
    limit = 3
    chosen = DATA[DATA["x"] > limit]
    design = build("y ~ x + (1 | g)", subset=subset, weights=DATA["w"].to_numpy(), offset=DATA["e"])
    expected = build("y ~ x + (1 | g)", chosen, weights="w", offset="e")
    assert design.index.equals(chosen.index)
    assert design.n_dropped == 0
    for name in ("y", "X", "weights", "offset"):
        np.testing.assert_array_equal(getattr(design, name), getattr(expected, name))


@pytest.mark.parametrize(
    ("subset", "message"),
    [
        ([True, False], "subset= does not fit the data"),
        (["no such row"], "KeyError"),
        ("xx > 3", "xx"),
        ("x + 1", 'subset="x + 1" is not true or false for each row; wanted a condition'),
        ("x > 1e9", "subset= leaves no rows"),
        ([3, 5, 3], "subset= asks for some rows more than once"),
        ((DATA["x"] > 3).astype(int).to_numpy(), "for each row by 1 and 0, give booleans"),
        ("x >", "SyntaxError"),
    ],
)
def test_subset_that_does_not_fit(subset, message):
    with pytest.raises(DesignError, match=re.escape(message)):
        build("y ~ x + (1 | g)", subset=subset)


def test_weights_and_offsets_by_name_array_and_index():
    by_name = build("y ~ x + (1 | g)", weights="w", offset="e")
    for give in (np.asarray, list, lambda s: s, lambda s: s.sample(frac=1, random_state=1)):
        design = build("y ~ x + (1 | g)", weights=give(DATA["w"]), offset=give(DATA["e"]))
        np.testing.assert_array_equal(design.weights, by_name.weights)
        np.testing.assert_array_equal(design.offset, by_name.offset)
    added = build("y ~ x + offset(np.log(z)) + offset(e) + (1 | g)", offset="e")
    np.testing.assert_allclose(
        added.offset, 2 * DATA["e"] + np.log(DATA["z"]), rtol=1e-14
    )  # order of the sum


@pytest.mark.parametrize(
    ("text", "options", "error", "message"),
    [
        ("y ~ xx + (1 | g)", {}, UnknownColumnError, "columns not in the data: ['xx']. Did you mean 'x'?"),
        ("yy ~ x + (1 | g)", {}, UnknownColumnError, "columns not in the data: ['yy']. Did you mean 'y'?"),
        ("y ~ x + (xx | g)", {}, UnknownColumnError, "['xx']. Did you mean 'x'?"),
        ("y ~ x + (1 | gg)", {}, UnknownColumnError, "['gg']. Did you mean 'g'?"),
        ("y ~ x + (1 | g:hh)", {}, UnknownColumnError, "['hh']. Did you mean 'h'?"),
        ("y ~ x + offset(ee) + (1 | g)", {}, UnknownColumnError, "['ee']. Did you mean 'e'?"),
        ("y ~ x", {"groups": "flagg"}, UnknownColumnError, "['flagg']. Did you mean 'flag'?"),
        ("y ~ x", {"random": "(x | flagg)"}, UnknownColumnError, "['flagg']. Did you mean 'flag'?"),
        ("y ~ x + (1 | g)", {"weights": "ww"}, UnknownColumnError, "['ww']. Did you mean 'w'?"),
        ("y ~ x + (1 | g)", {"offset": "ee"}, UnknownColumnError, "['ee']. Did you mean 'e'?"),
        (
            "y ~ np.log(zz) + (1 | g)",
            {},
            UnknownColumnError,
            "['zz'] (used in \"np.log(zz)\"). Did you mean 'z'?",
        ),
        ("y ~ Q('zz') + (1 | g)", {}, UnknownColumnError, "['zz'] (used in \"Q('zz')\"). Did you mean 'z'?"),
        ("y ~ log(x) + (1 | g)", {}, UnknownColumnError, "import numpy as np there and write np.log(...)"),
        (
            "y ~ x",
            {},
            FormulaError,
            'no random effects in "y ~ x": add groups=[...] or a term such as (1 | subject)',
        ),
        ("~ x + (1 | g)", {}, FormulaError, 'has no response; write it left of "~"'),
        ("y + z ~ x + (1 | g)", {}, FormulaError, 'the response "y + z" is not one variable; write one'),
        ("f ~ x + (1 | g)", {}, DesignError, "the response \"f\" holds categories such as ['a', 'b', 'c']"),
        ("flag ~ x + (1 | g)", {}, DesignError, 'the response "flag" holds categories'),
        (
            "bs(y, df=4) ~ x + (1 | g)",
            {},
            DesignError,
            'the response "bs(y, df=4)" has 4 columns; wanted one',
        ),
        ("y ~ x + offset(f) + (1 | g)", {}, DesignError, 'the offset "f" holds categories'),
        ("y ~ x +* z + (1 | g)", {}, FormulaError, 'cannot read the fixed part "x + * z"'),
        (
            "y ~ np.mean(x) + (1 | g)",
            {},
            DesignError,
            '"np.mean(x)" gives one value for 80 rows; wanted one per row',
        ),
        ("y ~ x[:3] + (1 | g)", {}, DesignError, '"x[:3]" gives 3 values for 80 rows; wanted one per row'),
        (
            "y ~ np.linalg.inv(x) + (1 | g)",
            {},
            DesignError,
            'cannot evaluate "np.linalg.inv(x)": LinAlgError',
        ),
        (
            "y ~ day + (1 | g)",
            {},
            DesignError,
            '"day" holds dates; convert them to real numbers first, or write C(day)',
        ),
        ("y ~ noon + (1 | g)", {}, DesignError, '"noon" holds dates; convert them to real numbers first'),
        ("y ~ x + (1 | Residual)", {}, DesignError, '"Residual" has the name of the residual variance'),
        ("y ~ one + (1 | g)", {}, DesignError, 'the categorical variable "one" has one level'),
        ("y ~ 1 / big + (1 | g)", {}, DesignError, "infinite values"),
        (
            "y ~ I(1 / zero) + (1 | g)",
            {},
            DesignError,
            "infinite values in the fixed effects: ['I(1 / zero)']",
        ),
        ("I(y / zero) ~ x + (1 | g)", {}, DesignError, "infinite values in the response: ['I(y / zero)']"),
        ("y ~ (I(1 / zero) | g)", {}, DesignError, "infinite values in the random effects (I(1 / zero) | g)"),
        ("y ~ offset(1 / zero) + (1 | g)", {}, DesignError, "infinite values in the offset"),
        ("y ~ x + (0 | g)", {}, FormulaError, "(0 | g) has no random effects; write (1 | g)"),
        ("y ~ x + (-1 || g)", {}, FormulaError, "(-1 || g) has no random effects"),
        (
            "y ~ x + (1 | one)",
            {},
            DesignError,
            'grouping factor "one" must have > 1 level; it has one (only)',
        ),
        (
            "y ~ x + (1 | id)",
            {},
            DesignError,
            'grouping factor "id" has as many levels (80) as there are rows (80); a random intercept '
            "cannot be told from the residual. Drop (1 | id) or check the data",
        ),
        ("y ~ x + (0 + x | id)", {}, DesignError, "a random slope cannot be told from the residual"),
        ("y ~ (x | pair)", {}, DesignError, "(x | pair) has 80 random effects (40 levels x 2) for 80 rows"),
        (
            "y ~ x + (1 | g) + (1 | g)",
            {},
            FormulaError,
            "the random-effects term (1 | g) is there twice; give it once",
        ),
        ("y ~ (1 | h:c) + (1 | c:h)", {}, FormulaError, "(1 | c:h) is there twice (as (1 | h:c) too)"),
        ("y ~ (x + z | g) + (z + x | g)", {}, FormulaError, "is there twice (as (x + z | g) too)"),
        ("y ~ x + (1 | g)", {"groups": "g"}, FormulaError, "the random-effects term (1 | g) is there twice"),
        (
            "y ~ x + (x | g)",
            {"groups": ["g"]},
            FormulaError,
            'groups= gives "g" a random intercept and (x | g) has',
        ),
        ("y ~ x", {"groups": "(1 | g)"}, FormulaError, "a term with a bar belongs in random="),
        ("y ~ x", {"random": "g"}, FormulaError, '"g" is not a random-effects term; wanted one with a bar'),
        ("y ~ x", {"random": [1]}, FormulaError, "random= holds a int; wanted text"),
        ("y ~ x", {"groups": [3]}, FormulaError, "groups= holds a int; wanted text"),
        ("y ~ x", {"groups": 3}, FormulaError, "groups= holds a int; wanted text"),
        ("y ~ x", {"random": 3}, FormulaError, "random= holds a int; wanted text"),
        ("y ~ x", {"groups": DATA["h"].rename("g")}, DesignError, "with other values: ['g']; rename them"),
        (
            "y ~ (1 | g)",
            {"weights": -DATA["w"]},
            DesignError,
            "weights must be positive and finite; 80 are not",
        ),
        (
            "y ~ (1 | g)",
            {"weights": 0 * DATA["w"]},
            DesignError,
            "such as 0.0. Use subset= to leave rows out",
        ),
        ("y ~ (1 | g)", {"weights": np.inf * DATA["w"]}, DesignError, "weights must be positive and finite"),
        (
            "y ~ (1 | g)",
            {"weights": [1.0, 2.0]},
            DesignError,
            "weights= has shape (2,); wanted one number for each of 80 rows",
        ),
        ("y ~ (1 | g)", {"weights": "f"}, DesignError, "weights= holds values that are not numbers"),
        ("y ~ (1 | g)", {"offset": DATA["e"][:9]}, DesignError, "the index of offset= does not match"),
        ("y ~ (1 | g)", {"rank": "ignore"}, DesignError, "rank='ignore'; wanted 'drop' or 'error'"),
    ],
)
def test_refusals_say_what_to_do(text, options, error, message):
    data = DATA.assign(
        one="only",
        id=np.arange(N),
        pair=np.arange(N) // 2,
        zero=np.where(np.arange(N) == 3, 0.0, 1.0),
        big=1.0,
        day=pd.Timestamp("2024-01-01"),
        noon=pd.Timestamp("2024-01-01 12:00", tz="UTC"),
        Residual=DATA["g"],
    )
    if text == "y ~ 1 / big + (1 | g)":
        text, data = "y ~ big + (1 | g)", data.assign(big=np.where(np.arange(N) == 3, np.inf, 1.0))
    with np.errstate(divide="ignore"), pytest.raises(error, match=re.escape(message)):
        build(text, data, **options)


def test_data_without_rows_are_refused():
    with pytest.raises(DesignError, match="the data have no rows"):
        build("y ~ f + (1 | g)", DATA[:0])


def test_names_of_the_caller_are_seen():
    shift = 2.0

    def doubled(values):
        return 2 * values

    design = build("y ~ doubled(x) + I(z - shift) + (1 | g)")
    np.testing.assert_array_equal(design.X[:, 1], 2 * DATA["x"])
    np.testing.assert_array_equal(design.X[:, 2], DATA["z"] - shift)
    blind = parse_formula("y ~ doubled(x) + (1 | g)")
    with pytest.raises(UnknownColumnError, match="doubled"):
        build_design(blind, DATA)
    named = build_design(blind, DATA, eval_env={"doubled": np.negative})
    np.testing.assert_array_equal(named.X[:, 1], -DATA["x"])


def test_nothing_is_modified_and_nothing_can_be():
    data, weights = holed(), DATA["w"].to_numpy(copy=True)
    before = data.copy(deep=True)
    design = build(FULL, data, weights=weights, subset="x > 2")
    pd.testing.assert_frame_equal(data, before)
    np.testing.assert_array_equal(weights, DATA["w"])
    assert weights.flags.writeable
    arrays = [design.y, design.X, design.weights, design.offset]
    arrays += [f.codes for f in design.factors] + [t.Xi for t in design.terms]
    assert not any(array.flags.writeable for array in arrays)
    plain = build("y ~ x + (1 | g)", weights=weights, offset=data["e"].fillna(0.0))
    assert not np.shares_memory(plain.y, DATA["y"].to_numpy())
    assert weights.flags.writeable
