"""The text of formulas: what is read, and what is refused in which words."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interlace.errors import FormulaError
from interlace.formula.grammar import Bar, MixedFormula, RawBar, parse_bars, parse_formula, parse_grouping


def bars(text):
    return [(bar.lhs, bar.factors, bar.double) for bar in parse_formula(text).random]


@pytest.mark.parametrize(
    ("text", "fixed", "random"),
    [
        ("y ~ x + (1|g)", "x", [("1", ("g",), False)]),
        ("y~x+(x|g)", "x", [("x", ("g",), False)]),
        ("y ~ (1 | g)", "1", [("1", ("g",), False)]),
        ("y ~ 0 + (1 | g)", "0", [("1", ("g",), False)]),
        ("y ~ -1 + x + (1 | g)", "-1 + x", [("1", ("g",), False)]),
        ("y ~ (1 | g) + x - 1", "x - 1", [("1", ("g",), False)]),
        ("y ~ (1 | g) - 1 + x", "-1 + x", [("1", ("g",), False)]),
        ("y ~ x + (0 + x | g)", "x", [("0 + x", ("g",), False)]),
        ("y ~ x + (-1+x|g)", "x", [("-1+x", ("g",), False)]),
        ("y ~ x + (x || g)", "x", [("x", ("g",), True)]),
        ("y ~ x + ((1 | g))", "x", [("1", ("g",), False)]),
        ("y ~ (1 | a:b)", "1", [("1", ("a", "b"), False)]),
        ("y ~ (1 | a/b)", "1", [("1", ("a", "b"), False), ("1", ("a",), False)]),
        ("y ~ (x || a/b)", "1", [("x", ("a", "b"), True), ("x", ("a",), True)]),
        (
            "y ~ (1 | a/b/c)",
            "1",
            [("1", ("a", "b", "c"), False), ("1", ("a", "b"), False), ("1", ("a",), False)],
        ),
        # R's precedence: ":" binds before "/".
        ("y ~ (1 | a:b/c)", "1", [("1", ("a", "b", "c"), False), ("1", ("a", "b"), False)]),
        ("y ~ (1 | a/b:c)", "1", [("1", ("a", "b", "c"), False), ("1", ("a",), False)]),
        ("y ~ (1 | (a:b))", "1", [("1", ("a", "b"), False)]),
        ("y ~ (x*f | g)", "1", [("x*f", ("g",), False)]),
        ("y ~ (I(x**2) | g)", "1", [("I(x**2)", ("g",), False)]),
        ("y ~ (np.log(x) | g)", "1", [("np.log(x)", ("g",), False)]),
        ("y ~ f(x, (a, b)) + (1 | g)", "f(x, (a, b))", [("1", ("g",), False)]),
        ("y ~ (a + b)**2 + (1 | g)", "(a + b)**2", [("1", ("g",), False)]),
        ("y ~ Q('a|b') + (1 | Q('my g'))", "Q('a|b')", [("1", ("my g",), False)]),
        ('y ~ Q("~ (1|h)") + (1 | g)', 'Q("~ (1|h)")', [("1", ("g",), False)]),
        ("y ~ x[0] + d['(1|g)'] + (1 | g)", "x[0] + d['(1|g)']", [("1", ("g",), False)]),
        ("y ~ np.where((a > 1) | (b > 2), 1, 0) + (1 | g)", "np.where((a > 1) | (b > 2), 1, 0)", None),
        ("y ~ I(a | b) + (1 | g)", "I(a | b)", None),
        ("y ~ I(-x) - 1e-5:x + (1 | g)", "I(-x) - 1e-5:x", None),
        ("y ~ x\n  + z\n  + (1 | g)\n", "x + z", None),
        ("  y ~ x + + z + (1 | g)", "x + z", None),
    ],
)
def test_formula_is_taken_apart(text, fixed, random):
    formula = parse_formula(text)
    assert formula.response == "y"
    assert formula.fixed == fixed
    assert bars(text) == (random or [("1", ("g",), False)])


def test_response_and_offsets_are_text():
    formula = parse_formula("np.log(y) ~ offset(np.log(e)) + x + offset(z) + (1 | g)")
    assert formula == MixedFormula(
        response="np.log(y)",
        fixed="x",
        random=(RawBar("1", ("g",)),),
        offsets=("np.log(e)", "z"),
    )
    assert parse_formula("~ x + (1 | g)").response == ""
    assert parse_formula("y ~ offset(z) + (1 | g)").fixed == "1"


def test_formula_without_bars_is_read():
    # groups= and random= may bring them.
    assert parse_formula("rt ~ condition") == MixedFormula("rt", "condition")


def test_an_exclusive_or_of_two_columns_is_left_to_python():
    assert parse_formula("y ~ I(a ^ b) + (1|g)").fixed == "I(a ^ b)"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("y ~ x*(1|g)", 'the random-effects term (1|g) is part of "x*(1|g)"; it must be a term of its own'),
        ("y ~ x:(1|g)", 'the random-effects term (1|g) is part of "x:(1|g)"; it must be'),
        ("y ~ ((1|g) + x)", 'the random-effects term (1|g) is part of "((1|g) + x)"; it must be'),
        ("y ~ ((1|g) + (1|h))", 'is part of "((1|g) + (1|h))"; it must be a term of its own'),
        ("y ~ ((1|g)|h)", 'the random-effects term (1|g) is part of "(1|g)"'),
        ("y ~ log((1|g))", 'the random-effects term (1|g) is inside a function in "log((1|g))"; take it out'),
        ("y ~ f(x, (x|g))", 'the random-effects term (x|g) is inside a function in "f(x, (x|g))"'),
        ("y ~ log(1|g)", "inside a function"),
        ("y ~ log(0 || g)", "inside a function"),
        ("y ~ x - (1|g)", '"- (1|g)" would take a term away; leave it out of the formula instead'),
        ("y ~ x - offset(z) + (1|g)", '"- offset(z)" would take a term away'),
        ("y ~ x + 1|g", 'bar without parentheses in "1|g"; write the term as (1|g)'),
        ("y ~ (1|g1+g2)", 'the grouping factor "g1+g2" has a "+"; write (1 | g1) + (1 | g2)'),
        ("y ~ (x|g*h)", 'the grouping factor "g*h" has a "*"; write (x | g) + (x | h) + (x | g:h)'),
        (
            "y ~ (1|C(g))",
            'the grouping factor "C(g)" is not made of columns joined by ":" or "/": saw "C(g)"',
        ),
        ("y ~ (1|np.floor(g))", "Make a column of it in the data first"),
        ("y ~ (1|a.b)", 'write Q("...") around a name with special characters'),
        ("y ~ (1|1)", 'saw "1"'),
        ("y ~ (1|(a/b):c)", 'saw "a/b"'),
        ("y ~ (1|g/)", 'a column is missing in the grouping factor "g/"'),
        ("y ~ (1|g:)", 'a column is missing in the grouping factor "g:"'),
        ("y ~ (1|g//h)", "not made of columns"),
        ("y ~ (1|a/a)", 'a column occurs twice in the grouping factor "a/a"'),
        ("y ~ (|g)", 'nothing stands left of the bar in "(|g)"; write (1 | g) for an intercept'),
        ("y ~ (1|)", 'nothing stands right of the bar in "(1|)"'),
        ("y ~ (1|g|h)", '"(1|g|h)" has 2 bars; write one term per bar'),
        ("y ~ (x + |g)", 'a term is missing at the end of "x +"'),
        ("y ~ (offset(x)|g)", 'offset(...) stands left of a bar in "(offset(x)|g)"; offsets are not random'),
        ("y ~ (.|g)", 'the formula has a "." (in R: all other columns); write the names of the columns'),
        ("y ~ . + (1|g)", 'the formula has a "." (in R: all other columns)'),
        ("y ~ . - x + (1|g)", 'the formula has a "." (in R: all other columns)'),
        ("y ~ x*offset(z) + (1|g)", 'offset(...) is part of "x*offset(z)"; it must be a term of its own'),
        ("y ~ (x + offset(z)) + (1|g)", "it must be a term of its own"),
        ("y ~ x^2 + (1|g)", '"x^2" has a "^", to Python an exclusive or; write I(x**2) for the square of x'),
        ("y ~ I(x ^ 2) + (1|g)", '"I(x ^ 2)" has a "^"'),
        ("y ~ x + (I(x^2) | g)", '"I(x^2)" has a "^"'),
        ("y ~ (a + b)^2 + (1|g)", "and (a + b)**2 for main effects and interactions"),
        ("I(y^2) ~ x + (1|g)", '"I(y^2)" has a "^"'),
        ("y ~ x +", 'a term is missing at the end of "y ~ x +"'),
        ("y ~ - - x", 'two signs in a row in "y ~ - - x"; write one'),
        ("y ~ ", 'the formula "y ~ " has nothing after "~"; write at least "1"'),
        ("y x", 'the formula "y x" has 0 "~"; wanted "response ~ terms", with one'),
        ("", 'the formula "" has 0 "~"'),
        ("y ~ x ~ z", 'has 2 "~"'),
        ("y ~ (x ~ z)", 'wanted "response ~ terms"'),
        ("(1|g) ~ x", '"|" stands left of "~" in "(1|g) ~ x"; random effects go to its right'),
        ("y ~ x + (1|g", '"(" is never closed'),
        ("y ~ x + 1|g)", '")" closes nothing'),
        ("y ~ x + (1|g]", '"]" closes nothing'),
        ("y ~ x + 'abc + (1|g)", "unexpected ' in the formula"),
        ("y ~ (1|`my g`)", 'write Q("my column")'),
    ],
)
def test_what_is_not_understood_is_refused(text, message):
    with pytest.raises(FormulaError, match=re.escape(message)):
        parse_formula(text)


def test_formula_must_be_text():
    with pytest.raises(FormulaError, match='wanted a formula as text, such as "y ~ x'):
        parse_formula(3)


@pytest.mark.parametrize("text", ["(1 + x | g)", "1 + x | g", " ( (1 + x|g) ) "])
def test_bars_may_stand_alone(text):
    (bar,) = parse_bars(text)
    assert (bar.lhs, bar.factors, bar.double) == ("1 + x", ("g",), False)


def test_sum_of_bars_is_several():
    found = parse_bars("(1 | a) + (x || b/c)")
    assert [str(bar) for bar in found] == ["(1 | a)", "(x || b:c)", "(x || b)"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("~ 1 | g", 'random effects "~ 1 | g" have a "~"; write a term such as (1 + x | g)'),
        ("subject", '"subject" is not a random-effects term; wanted one with a bar, such as (1 | g)'),
        ("(1 | a) + x", '"x" is not a random-effects term'),
        ("(1 | a) - (1 | b)", "would take a term away"),
        ("", "a term is missing"),
    ],
)
def test_only_bars_stand_alone(text, message):
    with pytest.raises(FormulaError, match=re.escape(message)):
        parse_bars(text)


def test_grouping_factors():
    assert parse_grouping("g") == (("g",),)
    assert parse_grouping("a:b") == (("a", "b"),)
    assert parse_grouping("Q('x y')/b") == (("x y", "b"), ("x y",))


def test_records_print_as_lme4_writes_them():
    assert str(Bar("1 + x", ("a", "b"))) == "(1 + x | a:b)"
    assert Bar("1", ("a", "b")).group == "a:b"
    formula = parse_formula("y~x+offset(z)+(x||g)")
    assert str(formula) == "y ~ x + offset(z) + (x || g)"


# ---- laws ------------------------------------------------------------------------------------

WORDS = st.sampled_from(["x", "z", "f", "np.log(x)", "I(x ** 2)", "x:f", "bs(x, df=4)", "Q('a|b')"])
GROUPS = st.sampled_from(["g", "h", "a/b", "a:b", "a/b/c"])
LEFT = st.lists(WORDS, min_size=1, max_size=3, unique=True).map(" + ".join)
BAR = st.tuples(LEFT, st.sampled_from(["|", "||"]), GROUPS).map(lambda t: f"({t[0]} {t[1]} {t[2]})")
TERMS = st.lists(WORDS, min_size=1, max_size=4, unique=True)


@settings(deadline=None, derandomize=True)
@given(terms=TERMS, random=st.lists(BAR, min_size=1, max_size=3), data=st.data())
def test_bars_may_stand_anywhere_in_the_sum(terms, random, data):
    order = data.draw(st.permutations([*terms, *random]))
    formula = parse_formula("y ~ " + " + ".join(order))
    assert formula.fixed == " + ".join(term for term in order if term in terms)
    assert formula.random == tuple(bar for text in order if text in random for bar in parse_bars(text))


@settings(deadline=None, derandomize=True)
@given(
    terms=TERMS, random=st.lists(BAR, min_size=1, max_size=3), gap=st.sampled_from([" ", "  ", "\n", "\t "])
)
def test_spaces_do_not_matter(terms, random, gap):
    text = "y ~ " + " + ".join([*terms, *random])
    spread = gap.join(["y", "~", f"{gap}+{gap}".join([*terms, *random])])
    assert parse_formula(spread) == parse_formula(text)
    tight = "+".join([*terms, *random])
    assert len(parse_formula(f"y~{tight}").random) == len(parse_formula(text).random)


@settings(deadline=None, derandomize=True)
@given(terms=TERMS, random=st.lists(BAR, min_size=1, max_size=3))
def test_printed_formula_reads_as_itself(terms, random):
    formula = parse_formula("y ~ " + " + ".join([*terms, *random]))
    assert parse_formula(str(formula)) == formula


@settings(deadline=None, derandomize=True, max_examples=300)
@given(st.text(alphabet="yxg12 ~+-*/:|()[]'\".,\\\n", max_size=25))
def test_any_text_is_read_or_refused(text):
    """Nothing but a FormulaError comes out, however broken the text."""
    try:
        formula = parse_formula(text)
    except FormulaError:
        return
    assert "||" not in formula.fixed
    assert formula.fixed
