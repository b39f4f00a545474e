"""Designs: what the columns, levels and rows of a model are."""

import copy
import pickle
import re
import subprocess
import sys
import warnings
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import patsy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.regression.mixed_linear_model import MixedLM

import interlace
from interlace.design import Design, apply_design, build_design, design_from_arrays
from interlace.errors import (
    DesignError,
    FormulaError,
    MissingValuesError,
    RankDeficiencyError,
    RankDeficiencyWarning,
    UnknownColumnError,
)
from interlace.formula.bars import bars_from_statsmodels
from interlace.formula.grammar import parse_formula
from interlace.formula.variables import capture_environment

N = 80


def frame(seed: int = 0) -> pd.DataFrame:
    """Two crossed factors (g, h), one nested (k in h), two categorical covariates."""
    rng = np.random.default_rng(seed)
    h = rng.choice(["s1", "s2", "s10"], N)
    return pd.DataFrame(
        {
            "y": rng.normal(size=N),
            "x": rng.normal(loc=3.0, size=N),
            "z": rng.uniform(1.0, 2.0, N),
            "e": rng.uniform(1.0, 2.0, N),
            "w": rng.uniform(0.5, 2.0, N),
            "f": rng.choice(["a", "b", "c"], N),
            "c": rng.choice(["u", "v"], N),
            "g": rng.permutation(np.repeat([10, 9, 2, 30, 7, 8, 11, 1], 10)),
            "h": h,
            "k": [f"{a}.{b}" for a, b in zip(h, rng.integers(0, 3, N), strict=True)],
            "flag": rng.random(N) > 0.5,
        }
    )


DATA = frame()


def build(text: str, data: object = DATA, **options: object) -> Design:
    """A design that sees the names of the test that asks for it."""
    return build_design(parse_formula(text), data, eval_env=capture_environment(1), **options)


def terms(design: Design) -> list[tuple[str, tuple[str, ...]]]:
    return [(design.factor_labels[t.factor].name, t.columns) for t in design.term_labels]


def dense_Z(design: Design) -> dict[tuple[str, str, str], bytes]:
    """Columns of Z by level, factor (its columns sorted) and name: the model, not how it is written."""
    columns = {}
    for term, labels in zip(design.terms, design.term_labels, strict=True):
        factor, names = design.factors[term.factor], design.factor_labels[term.factor]
        order = np.argsort(names.columns)
        for level, text in enumerate(map(str, names.levels)):
            parts = text.split(":") if len(names.columns) > 1 else [text]
            key = ":".join(parts[i] for i in order), ":".join(sorted(names.columns))
            for j, column in enumerate(labels.columns):
                values = np.where(factor.codes == level, term.Xi[:, j], 0.0)
                columns[(*key, column)] = values.tobytes()
    return columns


# ---- fixed effects ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fixed", "names"),
    [
        ("1", "Intercept"),
        ("0", ""),
        ("0 + f", "f[a] f[b] f[c]"),
        # lme4: by degree, then as written; patsy would put the numeric variable last.
        ("x + f", "Intercept x f[T.b] f[T.c]"),
        ("x * f", "Intercept x f[T.b] f[T.c] x:f[T.b] x:f[T.c]"),
        ("f * x", "Intercept f[T.b] f[T.c] x f[T.b]:x f[T.c]:x"),
        ("x:c + z + c", "Intercept z c[T.v] x:c[u] x:c[v]"),
        # R's model.matrix(~ c + f:c): the variable that comes first in the formula varies fastest.
        ("c + f:c", "Intercept c[T.v] f[T.b]:c[u] f[T.b]:c[v] f[T.c]:c[u] f[T.c]:c[v]"),
        ("f * c", "Intercept f[T.b] f[T.c] c[T.v] f[T.b]:c[T.v] f[T.c]:c[T.v]"),
        ("flag + I(x ** 2)", "Intercept flag[T.True] I(x ** 2)"),
        ("C(f, Sum) + Q('z')", "Intercept C(f, Sum)[S.a] C(f, Sum)[S.b] Q('z')"),
    ],
)
def test_columns_are_in_lme4_order_with_patsys_names(fixed, names):
    assert " ".join(build(f"y ~ {fixed} + (1 | g)").xnames).replace(" ** ", "**").split() == (
        names.replace(" ** ", "**").split()
    )


SIDE = st.lists(
    st.sampled_from(["x", "z", "f", "c", "flag", "np.log(z)", "center(x)", "C(c, Sum)", "x:f", "f:c", "z*c"]),
    min_size=1,
    max_size=5,
    unique=True,
).map(" + ".join)


@settings(deadline=None, derandomize=True, max_examples=60)
@given(side=SIDE, sign=st.sampled_from(["", "0 + ", "-1 + "]))
def test_columns_are_patsys(side, sign):
    """Same columns as patsy makes by itself, and its description of ours makes ours."""
    assert np.log  # the formula finds it here
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RankDeficiencyWarning)
        design = build(f"y ~ {sign}{side} + (1 | g)")
    theirs = patsy.dmatrix(f"{sign}{side}", DATA, return_type="dataframe")
    assert set(design.coding.names) == set(theirs.columns)
    ours = pd.DataFrame(design.X, columns=design.xnames)
    pd.testing.assert_frame_equal(ours, theirs[list(design.xnames)].reset_index(drop=True))
    info = design.coding.design_info()
    again = np.asarray(patsy.build_design_matrices([info], DATA)[0])
    np.testing.assert_array_equal(again[:, list(design.kept_columns)], design.X)
    np.testing.assert_array_equal(apply_design(design, DATA, factors=()).X, design.X)


def test_unused_levels_are_dropped():
    data = DATA.assign(f=pd.Categorical(DATA["f"], categories=["zero", "c", "b", "a", "last"]))
    assert build("y ~ f + (f | g)", data).xnames == ("Intercept", "f[T.b]", "f[T.a]")
    # A level that goes with the rows that lack something else goes too.
    data.loc[data["f"] == "b", "x"] = np.nan
    design = build("y ~ f + x + (0 + f | g)", data)
    assert design.xnames == ("Intercept", "f[T.a]", "x")
    assert terms(design) == [("g", ("f[c]", "f[a]"))]


def test_ordered_categories_are_coded_as_patsy_does():
    data = DATA.assign(f=pd.Categorical(DATA["f"], categories=["c", "a", "b"], ordered=True))
    assert build("y ~ f + (1 | g)", data).xnames == ("Intercept", "f[T.a]", "f[T.b]")


def test_dependent_columns_go_last_first():
    with pytest.warns(RankDeficiencyWarning, match=re.escape("dropped ['I(2 * x)']")) as caught:
        design = build("y ~ x + f + I(2 * x) + (1 | g)")
    assert caught[0].filename == __file__
    assert design.dropped_columns == ("I(2 * x)",)
    assert design.xnames == ("Intercept", "x", "f[T.b]", "f[T.c]")
    assert list(design.design_info.term_name_slices) == ["Intercept", "x", "f"]
    assert design.design_info.term_name_slices["f"] == slice(2, 4)
    assert apply_design(design, DATA).X.shape == (N, 4)
    with pytest.raises(RankDeficiencyError, match=re.escape("['I(2 * x)']. Leave them out")):
        build("y ~ x + f + I(2 * x) + (1 | g)", rank="error")


# ---- random effects --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bar", "columns"),
    [
        ("(1 | g)", ["(Intercept)"]),
        ("(x | g)", ["(Intercept)", "x"]),
        ("(0 + x | g)", ["x"]),
        ("(-1 + x | g)", ["x"]),
        ("(f | g)", ["(Intercept)", "f[T.b]", "f[T.c]"]),
        ("(0 + f | g)", ["f[a]", "f[b]", "f[c]"]),
        ("(x * c | g)", ["(Intercept)", "x", "c[T.v]", "x:c[T.v]"]),
        ("(I(x**2) | g)", ["(Intercept)", "I(x ** 2)"]),
        ("(np.log(z) | g)", ["(Intercept)", "np.log(z)"]),
    ],
)
def test_left_sides(bar, columns):
    assert np.log
    assert terms(build(f"y ~ x + {bar}")) == [("g", tuple(columns))]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("(x | g)", "(1 + x | g)"),
        ("(0 + x | g)", "(-1 + x | g)"),
        ("(x || g)", "(1 | g) + (0 + x | g)"),
        ("(0 + x || g)", "(0 + x | g)"),
        ("(x + z || g)", "(1 | g) + (0 + x | g) + (0 + z | g)"),
        ("(x * z || g)", "(1 | g) + (0 + x | g) + (0 + z | g) + (0 + x:z | g)"),
        # lme4 does not split a factor: its block keeps all covariances.
        ("(f || g)", "(1 | g) + (0 + f | g)"),
        ("(1 | h/c)", "(1 | h:c) + (1 | h)"),
        ("(1 | h/c)", "(1 | c:h) + (1 | h)"),
        ("(x | h/c)", "(x | h:c) + (x | h)"),
        ("(x || h/c)", "(1 | h:c) + (0 + x | h:c) + (1 | h) + (0 + x | h)"),
        ("(1 | h/c/f)", "(1 | h:c:f) + (1 | h:c) + (1 | h)"),
    ],
)
def test_bars_are_their_expansions(written, meant):
    one, other = build(f"y ~ x + {written}"), build(f"y ~ x + {meant}")
    assert dense_Z(one) == dense_Z(other)
    assert sorted(t.columns for t in one.term_labels) == sorted(t.columns for t in other.term_labels)


@settings(deadline=None, derandomize=True, max_examples=60)
@given(
    left=st.lists(st.sampled_from(["x", "z", "np.log(z)", "x:z", "c"]), min_size=1, max_size=3, unique=True),
    outer=st.sampled_from(["g", "h"]),
    inner=st.sampled_from(["c", "f", "flag"]),
    intercept=st.sampled_from(["1", "0"]),
    seed=st.integers(0, 5),
)
def test_double_bars_and_slashes_expand(left, outer, inner, intercept, seed):
    assert np.log
    data = frame(seed)
    single = [f"(1 | {outer})"] * (intercept == "1") + [f"(0 + {term} | {outer})" for term in left]
    lhs = " + ".join([intercept, *left])
    split, whole = build("y ~ x", data, random=single), build("y ~ x", data, random=f"{lhs} || {outer}")
    assert dense_Z(split) == dense_Z(whole)
    crossed = build("y ~ x", data, random=[f"(1 | {outer}:{inner})", f"(1 | {outer})"])
    assert dense_Z(build("y ~ x", data, groups=f"{outer}/{inner}")) == dense_Z(crossed)


def test_places_to_write_a_term_are_equal():
    written = build("y ~ x + (1 | g) + (1 | h:c) + (0 + x | h)")
    given = build("y ~ x", groups=["g", "h:c"], random="(0 + x | h)")
    mixed = build("y ~ x + (1 | g)", groups="h:c", random=["0 + x | h"])
    assert dense_Z(written) == dense_Z(given) == dense_Z(mixed)
    arrays = build("y ~ x", groups=DATA[["g", "h"]])
    assert dense_Z(arrays) == dense_Z(build("y ~ x + (1 | g) + (1 | h)"))
    renamed = build("y ~ x", groups=DATA["h"].rename("subject"))
    assert renamed.factor_labels[0].name == "subject"
    for values in (DATA["h"].to_numpy(dtype=object), DATA["h"].astype("string").array):
        assert build("y ~ x", groups=values).factor_labels[0].name == "group"


def test_terms_are_in_lme4_order():
    # Numbers of levels: h 3, c 2, g 8.  Not increasing as written: left alone, ties too.
    assert [name for name, _ in terms(build("y ~ (1 | g) + (1 | h) + (0 + x | h) + (1 | c)"))] == list("ghhc")
    # Increasing somewhere: R's rev(order(n)), which turns ties around.
    found = terms(build("y ~ (1 | h) + (0 + x | h) + (1 | g)"))
    assert found == [("g", ("(Intercept)",)), ("h", ("x",)), ("h", ("(Intercept)",))]
    # lme4 takes || apart before /, so that the numbers of levels are 6, 3, 6, 3: turned around.
    found = terms(build("y ~ (x || h/c)"))
    assert found == [(name, (column,)) for name in ("h:c", "h") for column in ("x", "(Intercept)")]


def test_factors_are_there_once():
    design = build("y ~ x + (1 | g) + (0 + x | g) + (1 | h)")
    assert [labels.name for labels in design.factor_labels] == ["g", "h"]
    assert [term.factor for term in design.terms] == [0, 0, 1]


def test_levels_are_the_datas_own_values_in_order():
    data = DATA.assign(
        day=pd.Timestamp("2024-01-01") + pd.to_timedelta(DATA["g"], unit="D"),
        cat=pd.Categorical(DATA["h"], categories=["s2", "never", "s10", "s1"]),
    )
    design = build("y ~ (1 | g) + (1 | h) + (1 | flag) + (1 | day) + (1 | cat)", data)
    levels = {labels.name: list(labels.levels) for labels in design.factor_labels}
    assert levels["g"] == sorted(set(DATA["g"]))
    assert levels["h"] == ["s1", "s10", "s2"]
    assert levels["flag"] == [False, True]
    assert levels["cat"] == ["s2", "s10", "s1"]
    assert levels["day"] == sorted(set(data["day"]))
    for labels, factor in zip(design.factor_labels, design.factors, strict=True):
        assert list(labels.levels[factor.codes]) == list(data[labels.name])
        assert factor.n_levels == len(labels.levels)


def test_interaction_levels_are_the_combinations_that_occur():
    design = build("y ~ (1 | h:k)")
    (labels,), (factor,) = design.factor_labels, design.factors
    assert labels.columns == ("h", "k")
    pairs = list(zip(DATA["h"], DATA["k"], strict=True))
    assert list(labels.levels) == [":".join(pair) for pair in sorted(set(pairs))]
    assert [labels.levels[i] for i in factor.codes] == [":".join(pair) for pair in pairs]
    numbers = build("y ~ (1 | g:c)").factor_labels[0].levels
    assert list(numbers[:3]) == ["1:u", "1:v", "2:u"]
    assert all(int(a.split(":")[0]) <= int(b.split(":")[0]) for a, b in pairwise(numbers))


def test_names_that_are_no_python_names():
    data = DATA.rename(columns={"g": "the group", "x": "a|b", "h": "p/q"})
    design = build("y ~ Q('a|b') + (1 + Q('a|b') | Q('the group'))", data, groups=["p/q"])
    assert {labels.name for labels in design.factor_labels} == {"the group", "p/q"}
    assert design.xnames == ("Intercept", "Q('a|b')")


# ---- rows ------------------------------------------------------------------------------------


def holed() -> pd.DataFrame:
    data = DATA.copy()
    for row, column in enumerate(["y", "x", "z", "f", "h", "w", "e"]):
        data.loc[row * 3, column] = np.nan if data[column].dtype.kind == "f" else None
    return data


FULL = "y ~ x + f + offset(e) + (z | g) + (1 | h)"


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


# ---- refusals --------------------------------------------------------------------------------


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


# ---- new data --------------------------------------------------------------------------------


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


# ---- storing ---------------------------------------------------------------------------------

STORED = "y ~ center(x) * f + bs(z, df=4) + np.log(e) + C(c, Sum) + offset(w) + (f | g) + (1 | h:c)"


def assert_same_predictions(one: Design, other: Design) -> None:
    a, b = apply_design(one, DATA), apply_design(other, DATA)
    np.testing.assert_array_equal(a.X, b.X)
    np.testing.assert_array_equal(a.offset, b.offset)
    for x, z in zip((*a.Xi, *a.codes), (*b.Xi, *b.codes), strict=True):
        np.testing.assert_array_equal(x, z)


def test_design_is_stored_and_copied():
    design = build(STORED)
    for again in (pickle.loads(pickle.dumps(design)), copy.deepcopy(design), copy.copy(design)):
        assert_same_predictions(design, again)
        assert again.xnames == design.xnames
        assert again.design_info.column_names == design.design_info.column_names
        np.testing.assert_array_equal(
            np.asarray(patsy.build_design_matrices([again.design_info], DATA)[0]), design.X
        )
    twice = pickle.loads(pickle.dumps(pickle.loads(pickle.dumps(design))))
    assert_same_predictions(design, twice)


def test_stored_design_works_in_a_fresh_process(tmp_path):
    design = build(STORED)
    (tmp_path / "design.pickle").write_bytes(pickle.dumps(design))
    DATA.to_pickle(tmp_path / "data.pickle")
    code = (
        "import pickle, pandas as pd, sys, pathlib\n"
        "from interlace.design import apply_design\n"
        "folder = pathlib.Path(sys.argv[1])\n"
        "design = pickle.loads((folder / 'design.pickle').read_bytes())\n"
        "new = apply_design(design, pd.read_pickle(folder / 'data.pickle'))\n"
        "assert (new.X == design.X).all() and (new.codes[0] == design.factors[0].codes).all()\n"
    )
    root = Path(interlace.__file__).parents[1]
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, cwd=root)


def test_functions_that_cannot_be_stored_do_not_lose_the_design():
    def shifted(values):
        return values + 1

    design = pickle.loads(pickle.dumps(build("y ~ shifted(x) + (1 | g)")))
    assert design.xnames == ("Intercept", "shifted(x)")
    with pytest.raises(DesignError, match=re.escape('"shifted(x)" needs shifted, which could not be stored')):
        apply_design(design, DATA)
    again = pickle.loads(pickle.dumps(design))
    with pytest.raises(DesignError, match="define it in a module that can be imported"):
        apply_design(again, DATA)


@pytest.mark.parametrize("code", ["center(x)", "standardize(x)", "bs(x, df=4)", "center(x) * f"])
def test_transformations_learn_from_the_rows_that_have_values(code):
    gaps = DATA.assign(x=DATA["x"].mask(np.arange(N) % 9 == 4))
    formula = f"y ~ {code} + (0 + {code} | h)"
    design, complete = build(formula, gaps), build(formula, gaps.dropna(subset="x"))
    np.testing.assert_array_equal(design.X, complete.X)
    np.testing.assert_array_equal(design.terms[0].Xi, complete.terms[0].Xi)
    assert np.isnan(apply_design(design, gaps, factors=()).X).any(axis=1).sum() == design.n_dropped > 0


def test_transformations_learn_from_what_their_argument_is_not_what_its_columns_are():
    gaps = DATA.assign(x=DATA["x"].mask(np.arange(N) % 9 == 4))
    filled = gaps["x"].fillna(0)
    design = build("y ~ center(x.fillna(0)) + (1 | g)", gaps)
    # Only the rounding of the mean differs.
    np.testing.assert_allclose(design.X[:, 1], filled - filled.mean(), rtol=0, atol=1e-14)


# ---- arrays ----------------------------------------------------------------------------------


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


# ---- statsmodels' spelling -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("groups", "re_formula", "vc_formula", "bars"),
    [
        ("g", None, None, ["(1 | g)"]),
        ("g", "1", None, ["(1 | g)"]),
        ("g", "~x", None, ["(x | g)"]),
        ("g", "~ 0 + x", None, ["(0 + x | g)"]),
        ("g", None, {"a": "0 + C(h)"}, ["(1 | g:h)"]),
        ("g", None, {"a": "0 + h"}, ["(1 | g:h)"]),
        ("g", "~x", {"a": "0 + C(h)", "s": "0 + z"}, ["(x | g)", "(1 | g:h)", "(0 + z | g)"]),
        ("g", None, {"a": "0 + C(h):x"}, ["(0 + x | g:h)"]),
        ("all", None, {"a": "0 + C(g)", "b": "0 + C(h)"}, ["(1 | g)", "(1 | h)"]),
        ("all", None, {"a": "0 + C(g):C(h)"}, ["(1 | g:h)"]),
        ("the group", None, {"a": "0 + C(Q('g'))"}, ["(1 | Q('the group'):g)"]),
    ],
)
def test_statsmodels_spelling_is_translated(groups, re_formula, vc_formula, bars):
    data = DATA.assign(**{"all": 1, "the group": DATA["h"]})
    assert list(bars_from_statsmodels(groups, re_formula, vc_formula, data)) == bars


@pytest.mark.parametrize(
    ("groups", "re_formula", "vc_formula", "message"),
    [
        (
            "g",
            None,
            {"a": "C(h)"},
            "the variance component 'a': \"C(h)\" gives several kinds of columns one variance",
        ),
        (
            "g",
            None,
            {"a": "0 + x + z"},
            "(0 + x | g) for the slopes of x, or (1 | g:a) for the levels of a within",
        ),
        ("all", "1", {"a": "0 + C(h)"}, '"all" holds one group: random effects of one group cannot be told'),
        ("gg", None, None, "columns not in the data: ['gg']. Did you mean 'g'?"),
        (
            DATA["g"],
            "~x",
            None,
            "groups= is a Series; with re_formula= or vc_formula= wanted the name of one column",
        ),
    ],
)
def test_statsmodels_spelling_without_a_bar_is_refused(groups, re_formula, vc_formula, message):
    with pytest.raises((FormulaError, UnknownColumnError), match=re.escape(message)):
        bars_from_statsmodels(groups, re_formula, vc_formula, DATA.assign(all=1))


@pytest.mark.parametrize(
    ("groups", "vc_formula"),
    [("g", {"a": "0 + C(h)"}), ("g", {"a": "0 + x"}), ("all", {"a": "0 + C(g)"}), ("g", {"a": "0 + C(h):x"})],
)
def test_translated_components_have_the_covariance_of_statsmodels(groups, vc_formula):
    """Z Z' of the bar equals the sum over groups of MixedLM's own matrices."""
    data = DATA.assign(all=1)
    model = MixedLM.from_formula("y ~ x", data, groups=groups, vc_formula=vc_formula)
    theirs = np.zeros((N, N))
    for label, matrix in zip(model.group_labels, model.exog_vc.mats[0], strict=True):
        rows = model.row_indices[label]
        theirs[np.ix_(rows, rows)] = np.asarray(matrix) @ np.asarray(matrix).T
    design = build("y ~ x", data, random=bars_from_statsmodels(groups, None, vc_formula, data))
    (term,), (factor,) = design.terms, design.factors
    Z = (factor.codes[:, None] == np.arange(factor.n_levels)) * term.Xi
    np.testing.assert_allclose(Z @ Z.T, theirs, rtol=1e-14)  # the same products, each once
