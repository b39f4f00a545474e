"""Text that looks like numbers, and levels that look alike: seen, counted and said."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

import interlace
from interlace.errors import DataWarning, DesignError
from interlace.frames.readings import same_reading, text_numbers, warn_of_same_readings

ROWS = 60


def table(x, **more):
    """Rows with a text column ``x`` and a group of six levels."""
    rng = np.random.default_rng(1)
    return pd.DataFrame({"y": rng.normal(size=ROWS), "x": x, "g": np.arange(ROWS) % 6, **more})


def comma(value):
    return f"{value:.2f}".replace(".", ",")


MANY = {
    "decimal comma": ([comma(i / 7) for i in range(ROWS)], 'decimal=","'),
    "thousands": ([f"{1000 + 7.5 * i:,.1f}" for i in range(ROWS)], 'thousands=","'),
    "German": ([f"1.{i:03d},5" for i in range(ROWS)], 'decimal=",", thousands="."'),
    "French": ([f"1\N{NARROW NO-BREAK SPACE}{i:03d},5" for i in range(ROWS)], 'decimal=",", thousands=" "'),
    "Swiss": ([f"1'{i:03d}.5" for i in range(ROWS)], """thousands="'\""""),
    "strays": (["k.A.", "n/a", *(f"{i / 7:.3f}" for i in range(2, ROWS))], 'na_values=["k.A.", "n/a"]'),
    "spaces": ([f" {i}.5 " for i in range(ROWS - 1)] + ["-"], 'na_values=["-"]'),
    "exponents": ([f"{i}e-3" for i in range(ROWS - 1)] + ["<LOD"], 'na_values=["<LOD"]'),
    "mixed objects": ([*range(ROWS - 1), "missing"], 'na_values=["missing"]'),
}


@pytest.mark.parametrize("kind", MANY)
@pytest.mark.parametrize("formula", ["y ~ x + (1 | g)", "y ~ 1 + (x | g)", "y ~ x:g + (1 | g)"])
def test_many_numbers_as_text_are_refused(kind, formula):
    values, advice = MANY[kind]
    with pytest.raises(DesignError) as caught:
        interlace.fit(formula, table(values))
    assert '"x" is text that looks like numbers: of its ' in str(caught.value)
    assert (
        f"a category with {len(set(values))} levels. Read it as numbers, pd.read_csv(..., {advice})"
        in str(caught.value)
    )
    assert str(caught.value).endswith("or write C(x) if categories are meant")


def test_message_counts_and_shows_three_offending_values():
    with pytest.raises(DesignError) as caught:
        interlace.fit("y ~ x + (1 | g)", table(["k.A.", "?", *(comma(i / 7) for i in range(2, ROWS))]))
    assert str(caught.value) == (
        '"x" is text that looks like numbers: of its 60 different values 58 with a decimal comma '
        '("0,29", "0,43", "0,57", ...), 2 not a number ("?", "k.A."); it would become a category with '
        '60 levels. Read it as numbers, pd.read_csv(..., decimal=",", na_values=["?", "k.A."]), or write '
        "C(x) if categories are meant"
    )


@pytest.mark.parametrize("where", ["response", "offset", "weights", "weights by value"])
def test_numbers_as_text_are_refused_where_numbers_are_wanted(where):
    data = table([comma(1 + i % 4) for i in range(ROWS)], z=1.0)
    options = {"weights": {"weights": "x"}, "weights by value": {"weights": data["x"].to_numpy()}}.get(
        where, {}
    )
    formula = {"response": "x ~ 1 + (1 | g)", "offset": "y ~ offset(x) + (1 | g)"}.get(
        where, "y ~ 1 + (1 | g)"
    )
    with pytest.raises(DesignError, match=r"4 with a decimal comma .*read_csv\(\.\.\., decimal=\",\"\)$"):
        interlace.fit(formula, data, **options)


@pytest.mark.parametrize("code", ["np.log(x)", "I(x ** 2)", "poly(x, 2)"])
def test_functions_of_text_say_that_it_is_text(code):
    with pytest.raises(
        DesignError, match=r'"x" is text that looks like numbers: .*read_csv\(\.\.\., decimal=","\)$'
    ):
        interlace.fit(f"y ~ {code} + (1 | g)", table([comma(i) for i in range(ROWS)]))


def test_new_data_with_text_for_numbers():
    result = interlace.fit("Reaction ~ Days + (1 | Subject)", interlace.datasets.load_sleepstudy())
    with pytest.raises(DesignError, match=r'was 1 numeric .* in the fit and is not now. "Days" is text that'):
        result.predict({"Days": ["1,5"], "Subject": ["308"]})


@pytest.mark.parametrize(
    ("values", "levels"),
    [
        (["1", "2", "3", "4", "5", "k.A."], 6),  # a rating scale with one stray
        (["0,5", "1,0", "2,0"], 3),
        (["0.5", "1.0", "2.0"], 3),
        ([str(1990 + i) for i in range(20)], 20),
    ],
)
def test_few_numbers_as_text_are_categories_with_a_warning(values, levels):
    data = table(np.resize(values, ROWS))
    with pytest.warns(DataWarning, match=f"it is taken as a category with {levels} levels") as caught:
        model = interlace.CrossedLMM.from_formula("y ~ x + (1 | g)", data)
    assert model.exog.shape == (ROWS, levels)
    assert caught[0].filename == __file__


@pytest.mark.parametrize(
    "values",
    [
        ["1", "2", "3"],  # points of a scale, made text on purpose
        ["a1", "a2", "a3"],
        ["yes", "no", "1"],
        [True, False, True],
        ["2020-01-01", "2020-02-01", "2021-01-01"],
        ["v1.2", "v1.3", "v2.0"],
    ],
)
def test_categories_are_taken_in_silence(values):
    assert (
        interlace.CrossedLMM.from_formula("y ~ x + (1 | g)", table(np.resize(values, ROWS))).exog.shape[1]
        <= 3
    )


def test_categories_that_are_declared_are_taken_in_silence():
    data = table([comma(i % 20) for i in range(ROWS)])
    asked = interlace.CrossedLMM.from_formula("y ~ C(x) + (1 | g)", data)
    declared = interlace.CrossedLMM.from_formula("y ~ x + (1 | g)", data.astype({"x": "category"}))
    assert asked.exog.shape[1] == declared.exog.shape[1] == 20


def test_numbers_as_labels_of_groups_are_no_matter():
    data = table(0.5, h=[comma(i % 20) for i in range(ROWS)])
    assert interlace.CrossedLMM.from_formula("y ~ 1 + (1 | h)", data).design.factors[0].n_levels == 20


def test_three_digits_after_a_comma_are_decimals_beside_others():
    assert text_numbers(["1,234", "0,5", "2,25"]).comma == ("1,234", "0,5", "2,25")
    assert text_numbers(["1,234", "5,678"]).grouped == ("1,234", "5,678")
    assert text_numbers(["a", "b", "1"]) is None
    assert text_numbers([1, 2]) is None
    assert text_numbers([]) is None


# ---- levels that read the same ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("pair", "shown"),
    [
        ((1, "1"), '1 and "1"'),
        (("1", "1.0"), '"1" and "1.0"'),
        (("a", "a "), '"a" and "a "'),
        (("a", "a\N{NO-BREAK SPACE}"), '"a" and "a\N{NO-BREAK SPACE}"'),
        (("\N{LATIN SMALL LETTER E WITH ACUTE}", "e\N{COMBINING ACUTE ACCENT}"), None),
    ],
)
def test_levels_that_read_the_same_are_named(pair, shown):
    values = np.empty(ROWS, dtype=object)
    values[:] = [*pair, "c", "d", "e", "f"] * (ROWS // 6)
    for data, formula in ((table(0.5, h=values), "y ~ 1 + (1 | h)"), (table(values), "y ~ x + (1 | g)")):
        with pytest.warns(
            DataWarning, match="has levels that read the same and are taken as different: "
        ) as caught:
            interlace.CrossedLMM.from_formula(formula, data)
        assert shown is None or f"different: {shown}. To make them one" in str(caught[-1].message)


def test_advice_makes_them_one():
    values = [*[1, "1"] * (ROWS // 4), *["2", 2.0] * (ROWS // 4)]
    data = pd.DataFrame({"h": pd.Series(values, dtype=object)})
    with pytest.warns(DataWarning, match=r"1 and \"1\", 2.0 and \"2\""):
        warn_of_same_readings("h", data["h"].unique()[[0, 1, 3, 2]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_same_readings("h", data["h"].astype(str).str.strip().str.removesuffix(".0").unique())


def test_levels_that_differ_are_taken_in_silence():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_same_readings("h", ["a", "A", "b", "1", "01", 2])
        warn_of_same_readings("h", [1, 2])


def test_unseen_levels_that_read_like_known_ones():
    assert same_reading("3", [1, 3]) == 3
    assert same_reading("x", [1, 3]) is None
    result = interlace.fit("Reaction ~ Days + (1 | Subject)", interlace.datasets.load_sleepstudy())
    with pytest.raises(
        interlace.errors.LevelError, match="308 reads like the fit's '308' but is an int and not text"
    ):
        result.predict({"Days": [1], "Subject": [308]})
    with pytest.raises(
        interlace.errors.LevelError, match="reads like the fit's '308' but is an int and not text"
    ):
        result.get_prediction({"Days": [1], "Subject": [308]})
