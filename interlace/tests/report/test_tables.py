"""Tables for papers: the numbers are lme4's, the layouts are what they were agreed to be."""

from __future__ import annotations

import html.parser

import numpy as np
import pandas as pd
import pytest

import interlace
from interlace.report import Part, Sheet
from interlace.tests.bank import MODELS, load
from interlace.tests.fits import fitted

# Two models of one data set, two crossed factors, a nested pair with a component of zero, one by ML.
COMPARED = ["ss_int", "ss_slope", "pen", "pastes_nested", "ss_slope_ml"]


def lme4_frame(name):
    """What lme4, lmerTest and performance say, under the names of summary_table."""
    model, figures = MODELS[name], MODELS[name].reference
    rows = {
        ("Fixed effects", n): v for n, v in zip(model.fixed_names, figures["fixef"]["values"], strict=True)
    }
    for term in figures["varcorr"]:
        group = ":".join(reversed(term["group"].split(":")))
        for column, sd in zip(term["terms"], term["sd"], strict=True):
            rows["Random effects", f"{group}: SD {column}"] = sd
    rows["Random effects", "Residual SD"] = figures["sigma"]
    rows["Sizes", "Observations"] = figures["nobs"]
    rows |= {
        ("Sizes", f"Levels of {':'.join(reversed(group.split(':')))}"): count
        for group, count in figures["ngrps"].items()
    }
    rows["Fit", "REML criterion" if model.reml else "Deviance"] = figures["criterion"]
    rows |= {("Fit", "AIC"): figures["AIC"], ("Fit", "BIC"): figures["BIC"]}
    return pd.Series(rows, dtype=float)


@pytest.mark.parametrize("name", COMPARED)
def test_frame_holds_the_figures_of_lme4(name):
    frame = interlace.summary_table([fitted(name).result], format="frame")
    reference = lme4_frame(name)
    found = frame["(1)", "estimate"].reindex(reference.index)
    # lme4's optimum is tight to 1e-8 in theta; standard deviations and fixed effects follow it to 1e-6.
    np.testing.assert_allclose(found, reference, rtol=1e-6)
    se = frame["(1)", "std_error"].loc["Fixed effects"]
    np.testing.assert_allclose(se, MODELS[name].reference["fixef"]["se"], rtol=1e-6)


def test_frame_holds_the_r2_of_performance():
    reference = load("inference", "ss_slope")["r2_icc"]
    found = interlace.summary_table(fitted("ss_slope").result, format="frame")["(1)", "estimate"].loc["Fit"]
    # Both are functions of estimates that agree to 1e-8.
    assert found["R² marginal"] == pytest.approx(reference["r2_marginal"], rel=1e-6)
    assert found["R² conditional"] == pytest.approx(reference["r2_conditional"], rel=1e-6)


def test_correlation_is_the_one_that_lme4_prints():
    found = interlace.summary_table(fitted("ss_slope").result, format="frame")["(1)", "estimate"]
    (term,) = MODELS["ss_slope"].reference["varcorr"]
    expected = term["cov"][1][0] / (term["sd"][0] * term["sd"][1])
    assert found["Random effects", "Subject: Cor (Intercept), Days"] == pytest.approx(expected, rel=1e-5)


def test_models_stand_side_by_side_in_text():
    pair = [fitted("ss_int").result, fitted("ss_slope").result]
    assert interlace.summary_table(pair, names=["parallel", "own lines"], stars=True) == SIDE_BY_SIDE.strip()


SIDE_BY_SIDE = """
Comparison of mixed models
--------------------------------------------------------------------
Fixed effects                           parallel         own lines
--------------------------------------------------------------------
Intercept                       251.41 (9.75)***  251.41 (6.82)***
Days                             10.47 (0.80)***   10.47 (1.55)***
--------------------------------------------------------------------
Random effects                          parallel         own lines
--------------------------------------------------------------------
Subject: SD (Intercept)                    37.12             24.74
Subject: SD Days                                              5.92
Subject: Cor (Intercept), Days                                 .07
Residual SD                                30.99             25.59
--------------------------------------------------------------------
Sizes                                   parallel         own lines
--------------------------------------------------------------------
Observations                                 180               180
Levels of Subject                             18                18
--------------------------------------------------------------------
Fit                                     parallel         own lines
--------------------------------------------------------------------
REML criterion                           1786.47           1743.63
AIC                                      1794.47           1755.63
BIC                                      1807.24           1774.79
R² marginal                                 .280              .279
R² conditional                              .704              .799
--------------------------------------------------------------------
Standard errors in parentheses.
* p < .05, ** p < .01, *** p < .001.
Degrees of freedom: Satterthwaite.
"""


def test_one_model_in_markdown():
    assert fitted("pen").result.to_markdown() == PENICILLIN.strip()


PENICILLIN = r"""
**REML fit of diameter ~ 1 + (1 | plate) + (1 | sample)**

| Fixed effects | Estimate | SE | 95% CI | df | t | p |
| :-- | --: | --: | --: | --: | --: | --: |
| Intercept | 22.97 | 0.81 | [20.95, 25.00] | 5.5 | 28.41 | <.001 |
| **Random effects** | **Estimate** |  |  |  |  |  |
| plate: SD (Intercept) | 0.847 |  |  |  |  |  |
| sample: SD (Intercept) | 1.93 |  |  |  |  |  |
| Residual SD | 0.550 |  |  |  |  |  |
| **Fit** | **Value** |  |  |  |  |  |
| Observations | 144 |  |  |  |  |  |
| Levels of plate | 24 |  |  |  |  |  |
| Levels of sample | 6 |  |  |  |  |  |
| REML criterion | 330.86 |  |  |  |  |  |
| AIC | 338.86 |  |  |  |  |  |
| BIC | 350.74 |  |  |  |  |  |
| R² marginal | .000 |  |  |  |  |  |
| R² conditional | .936 |  |  |  |  |  |

Degrees of freedom: Satterthwaite.
""".replace("(1 | plate)", r"(1 \| plate)").replace("(1 | sample)", r"(1 \| sample)")


def test_one_model_in_latex():
    assert fitted("ss_slope").result.to_latex(ddf="normal") == LATEX.strip()


LATEX = r"""
\begin{table}
\centering
\caption{REML fit of Reaction \textasciitilde{} Days + (1 + Days \textbar{} Subject)}
\begin{tabular}{lrrrrr}
\toprule
Fixed effects & Estimate & SE & 95\% CI & z & p \\
\midrule
Intercept & 251.41 & 6.82 & {[}238.03, 264.78] & 36.84 & $<$.001 \\
Days & 10.47 & 1.55 & {[}7.44, 13.50] & 6.77 & $<$.001 \\
\midrule
Random effects & Estimate &  &  &  &  \\
\midrule
Subject: SD (Intercept) & 24.74 &  &  &  &  \\
Subject: SD Days & 5.92 &  &  &  &  \\
Subject: Cor (Intercept), Days & .07 &  &  &  &  \\
Residual SD & 25.59 &  &  &  &  \\
\midrule
Fit & Value &  &  &  &  \\
\midrule
Observations & 180 &  &  &  &  \\
Levels of Subject & 18 &  &  &  &  \\
REML criterion & 1743.63 &  &  &  &  \\
AIC & 1755.63 &  &  &  &  \\
BIC & 1774.79 &  &  &  &  \\
R$^2$ marginal & .279 &  &  &  &  \\
R$^2$ conditional & .799 &  &  &  &  \\
\bottomrule
\end{tabular}
\par\smallskip\footnotesize Tests by the normal distribution.
\end{table}
"""


def test_latex_escapes_names_and_signs_numbers():
    sheet = Sheet(
        "50% & more", (Part("a_b", ("x",), (("c[T.d]", "-0.5 (1.2)"), ("cost in $", "[-1, 2]"))),), ()
    )
    written = sheet.to_latex()
    assert r"\caption{50\% \& more}" in written
    assert r"a\_b & x \\" in written
    assert r"c{[}T.d] & $-$0.5 (1.2) \\" in written
    assert r"cost in \$ & {[}$-$1, 2] \\" in written


class Collector(html.parser.HTMLParser):
    """Cells of a table, and whether every tag that opens is closed."""

    def __init__(self, text):
        super().__init__()
        self.open, self.cells = [], []
        self.feed(text)

    def handle_starttag(self, tag, _attrs):
        self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] in ("th", "td"):
            self.cells.append(data)


def test_html_is_well_formed_and_escaped():
    sheet = Sheet("a < b", (Part("P & Q", ("x",), (("<row>", "1"), ("second", "2"))),), ("Note.",))
    parsed = Collector(sheet.to_html())
    assert not parsed.open
    assert parsed.cells == ["P & Q", "x", "<row>", "1", "second", "2", "Note."]


def test_html_of_a_fit_has_a_row_for_every_number():
    parsed = Collector(fitted("pen").result.to_html())
    assert {"Intercept", "22.97", "plate: SD (Intercept)", "330.86", "<.001"} <= set(parsed.cells)


def test_formats_say_the_same():
    pair = [fitted("ss_int").result, fitted("ss_slope").result]
    for form in ("text", "markdown", "latex", "html"):
        written = interlace.summary_table(pair, format=form)
        assert all(number in written for number in ("251.41 (6.82)", "10.47 (0.80)", "37.12", "1743.63"))


def test_kenward_roger_changes_standard_errors_and_the_note():
    result = fitted("ss_slope").result
    assert "Degrees of freedom: Kenward and Roger." in result.to_markdown(ddf="kenward-roger")


def test_default_degrees_of_freedom_are_those_of_the_fit():
    model = interlace.CrossedLMM.from_formula(**MODELS["ss_slope"].arguments)
    assert "Tests by the normal distribution." in model.fit(ddf="normal").to_markdown()


def test_without_rows_there_is_no_r2():
    model = interlace.CrossedLMM.from_formula(**MODELS["ss_slope"].arguments)
    result = model.fit()
    whole = result.to_markdown()
    result.remove_data()
    kept = [line for line in whole.splitlines() if not line.startswith("| R²")]
    assert result.to_markdown().splitlines() == kept


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"results": []}, r"there is no fit to tabulate; give a list of results, summary_table([m1, m2])"),
        ({"results": ["m1"]}, "summary_table tabulates results of CrossedLMM.fit(); a str was given"),
        ({"names": ["a", "b"]}, "names=['a', 'b']; give 1 different names, one for each fit"),
        (
            {"format": "word"},
            "format='word' is not offered; give one of ['html', 'latex', 'markdown', 'text']",
        ),
    ],
)
def test_refusals_say_what_to_give(arguments, message):
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        interlace.summary_table(**{"results": [fitted("pen").result], **arguments})
    assert str(caught.value) == message
