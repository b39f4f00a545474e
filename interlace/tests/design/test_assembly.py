"""Columns and levels of a design: coding, order, what depends on what."""

from __future__ import annotations

import re
import warnings
from itertools import pairwise

import numpy as np
import pandas as pd
import patsy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interlace.design import apply_design
from interlace.errors import (
    DataWarning,
    DesignError,
    RankDeficiencyError,
    RankDeficiencyWarning,
)
from interlace.tests.design.frames import DATA, N, build, dense_Z, frame, terms


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
    assert caught[0].filename == build.__code__.co_filename
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


def test_combinations_that_read_the_same_are_told_apart():
    """("p:q", "r") and ("p", "q:r"); the others keep their plain labels."""
    data = {"y": np.arange(8.0), "a": ["p:q", "p", "p", "s"] * 2, "b": ["r", "q:r", "r", "r"] * 2}
    levels = build("y ~ 1 + (1 | a:b)", data=data).factor_labels[0].levels
    assert levels.tolist() == ["'p':'q:r'", "p:r", "'p:q':'r'", "s:r"]


def test_a_column_named_as_an_interaction_is_told_from_it():
    data = {"y": np.arange(12.0), "a": list("uuvvww") * 2, "b": list("st") * 6, "a:b": list("klm") * 4}
    design = build("y ~ 1 + (1 | a:b)", data=data, groups=["a:b"])
    assert sorted(design.factor_names) == ["a:b", "a:b.1"]
    assert sorted(map(len, (f.columns for f in design.factor_labels))) == [1, 2]


def test_categories_that_read_the_same_are_refused_in_the_fixed_part():
    kinds = np.array([0, 1, "1", 2] * 3, dtype=object)
    data = {"y": np.arange(12.0), "kind": kinds, "g": list("abc") * 4}
    refused = pytest.raises(DesignError, match=r"different levels that read the same: \[1, '1'\]")
    with pytest.warns(DataWarning, match="read the same"), refused:
        build("y ~ kind + (1 | g)", data=data)
