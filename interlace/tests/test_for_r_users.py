"""The page for R users, line by line: its cells run, and every line of its tables does what it says."""

from __future__ import annotations

import re

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

import interlace

from .test_how_to import CELL, PAGES

mpl.use("agg")

PAGE = (PAGES.parent / "for-r-users.md").read_text(encoding="utf-8")
S = interlace.datasets.load_sleepstudy().assign(
    w=np.tile([1.0, 2.0], 90), o=np.tile([0.0, 1.0, 2.0], 60), half=np.tile(list("uv"), 90)
)
FM = interlace.fit("Reaction ~ Days + (Days | Subject)", S)
SIMPLE = interlace.fit("Reaction ~ Days + (1 | Subject)", S)
PASTES = interlace.datasets.load_pastes()
CASKS = interlace.fit("strength ~ cask + (1 | batch)", PASTES)
NEW = S.iloc[[0, 30, 170]]


def test_cells_run():
    names = {}
    exec(compile("\n".join(CELL.findall(PAGE)), "for-r-users.md", "exec"), names)
    # The numbers that the page shows beside R's.
    assert round(names["fm"].objective, 1) == 1743.6
    assert {"fm1", "fm2", "pen", "past", "casks", "means"} <= set(names)


# ---- Formulas: the right side of "y ~", and a fit that it must equal -----------------------------------

# lme4's cell of the page: what is fitted, and another spelling of the same model.
FORMULAS = {
    "(1 | g)": ("Days + (1 | Subject)", "Days", {"groups": "Subject"}),
    "(1 | a) + (1 | b)": ("1 + (1 | Subject) + (1 | Days)", "1", {"groups": ["Subject", "Days"]}),
    "(x | g)": ("Days + (Days | Subject)", "Days + (1 + Days | Subject)", {}),
    "(1 + x | g)": ("Days + (1 + Days | Subject)", "Days", {"random": "(Days | Subject)"}),
    "(0 + x | g)": ("Days + (0 + Days | Subject)", "Days + (-1 + Days | Subject)", {}),
    "(-1 + x | g)": ("Days + (-1 + Days | Subject)", "Days + (Days - 1 | Subject)", {}),
    "(x || g)": ("Days + (Days || Subject)", "Days + (1 | Subject) + (0 + Days | Subject)", {}),
    "(1 | a/b)": ("1 + (1 | Subject/half)", "1 + (1 | Subject) + (1 | Subject:half)", {}),
    "(f | g)": ("half + (half | Subject)", "half + (1 + half | Subject)", {}),
    "(x * f | g)": ("Days + (Days * half | Subject)", "Days + (Days + half + Days:half | Subject)", {}),
    "(0 + f | g)": ("half + (0 + half | Subject)", "half + (half - 1 | Subject)", {}),
    "log(x)": ("np.log(Days + 1) + (1 | Subject)", "np.log(1 + Days) + (1 | Subject)", {}),
    "I(x^2)": ("I(Days**2) + (1 | Subject)", "I(Days * Days) + (1 | Subject)", {}),
    "poly(x, 2)": ("poly(Days, 2) + (1 | Subject)", "Days + I(Days**2) + (1 | Subject)", {}),
    'x^2 as "all interactions to order 2"': (
        "(Days + half)**2 + (1 | Subject)",
        "Days * half + (1 | Subject)",
        {},
    ),
    "factor(x)": ("C(Days) + (1 | Subject)", "C(Days, Treatment(0)) + (1 | Subject)", {}),
    'relevel(f, "b")': ('C(half, Treatment("v")) + (1 | Subject)', "half + (1 | Subject)", {}),
    "offset(o)": ("Days + offset(o) + (1 | Subject)", "Days + (1 | Subject)", {"offset": "o"}),
    "weights = w": ("Days + (1 | Subject)", "Days + (1 | Subject)", {"weights": S["w"]}),
}
# Lines of the page that are not formulas, or say that there is none.
OTHERS = {"y ~ .", "REML = FALSE", "subset =", "na.action ="}


def rows(title):
    """Cells of the table under a heading."""
    text = PAGE.partition(f"## {title}\n")[2].partition("\n## ")[0]
    lines = [line for line in text.splitlines() if line.startswith("|")][2:]
    return [
        [cell.replace("\\|", "|").strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines
    ]


def test_every_formula_of_the_page_is_here():
    written = {code for line in rows("Formulas") for code in re.findall(r"`([^`]+)`", line[0])}
    assert {"x^2" if "x^2 as" in key else key for key in FORMULAS} | OTHERS >= written


@pytest.mark.parametrize(("right", "same", "options"), FORMULAS.values(), ids=list(FORMULAS))
@pytest.mark.filterwarnings("ignore::interlace.errors.SingularFitWarning")
def test_formula_means_what_the_page_says(right, same, options):
    weights = {"weights": "w"} if "weights" in options else {}
    one = interlace.fit(f"Reaction ~ {right}", S, method="ML", **weights)
    other = interlace.fit(f"Reaction ~ {same}", S, method="ML", **options)
    # The same likelihood at its maximum, whatever the coding; certified to 1e-6.
    assert one.objective == pytest.approx(other.objective, abs=2e-6)
    np.testing.assert_allclose(one.fittedvalues, other.fittedvalues, atol=0.05 * one.sigma)


def test_what_the_page_says_of_estimation_and_rows():
    model = interlace.CrossedLMM.from_formula("Reaction ~ Days + (1 | Subject)", S)
    ml = interlace.fit("Reaction ~ Days + (1 | Subject)", S, method="ML")
    assert model.fit(reml=False).objective == ml.objective
    few = interlace.fit("Reaction ~ Days + (1 | Subject)", S, subset=S["Days"] > 1)
    assert few.nobs == (S["Days"] > 1).sum()
    holes = S.assign(Days=S["Days"].where(S["Days"] > 0))
    assert interlace.fit("Reaction ~ Days + (1 | Subject)", holes, missing="drop").n_dropped == 18
    with pytest.raises(interlace.errors.MissingValuesError):
        interlace.fit("Reaction ~ Days + (1 | Subject)", holes, missing="raise")


# ---- Functions: every piece of code in the right column ------------------------------------------------

CODE = [code for line in rows("Functions") for code in re.findall(r"`([^`]+)`", line[1]) if code != "condVar"]
# What stands for something else in the page's shorthand.
NAMES = {
    "fm": FM,
    "fm1": SIMPLE,
    "fm2": FM,
    "f": "Reaction ~ Days + (Days | Subject)",
    "d": S,
    "new": NEW,
    "nsim": 3,
    "seed": 1,
    "y": S["Reaction"] + 1.0,
    "FUN": lambda fit: fit.fe_params,
    "CrossedLMM": interlace.CrossedLMM,
    "interlace": interlace,
    "case_delete": interlace.case_delete,
}
# The same with the names and the numbers of these data.
INSTEAD = {
    'fm.emmeans("f")': 'casks.emmeans("cask")',
    '.contrasts("pairwise", adjust="tukey")': 'casks.emmeans("cask").contrasts("pairwise", adjust="tukey")',
    'ddf="kenward-roger"': 'fm.coef_table(ddf="kenward-roger")',
    'interlace.case_delete(fm, "g")': 'interlace.case_delete(fm, "Subject", progress=False)',
    'fm.get_robustcov_results(groups="g", kind="CR2")': (
        'fm.get_robustcov_results(groups="Subject", kind="CR2")'
    ),
    'fm.update(". ~ . - x")': 'fm.update(". ~ . - Days")',
    'fm.conf_int(method="bootstrap")': 'fm.conf_int(method="bootstrap", nsim=5, rng=1, progress=False)',
    "fm.bootstrap(nsim, statistic=FUN)": "fm.bootstrap(nsim, statistic=FUN, rng=1, progress=False)",
    'fm.predict(new, new_levels="population")': (
        'fm.predict(new.assign(Subject="new"), new_levels="population")'
    ),
}


@pytest.mark.parametrize("code", CODE)
@pytest.mark.filterwarnings("ignore::interlace.errors.SingularFitWarning")
def test_code_of_the_page_runs(code):
    value = eval(INSTEAD.get(code, code), {**NAMES, "casks": CASKS} | vars(interlace))
    assert value is not None


def test_functions_of_hlmdiag_have_their_names():
    line = next(line for line in rows("Functions") if line[0].startswith("HLMdiag"))
    named = re.findall(r"`([\w.]+)`", line[0])
    assert [name for name in named if not hasattr(interlace, name.replace(".", "_"))] == []


def test_what_the_functions_return():
    """Pairs of lines of the page that must be the same, and R's figures where it prints them."""
    assert FM.fe_params.round(3).tolist() == [251.405, 10.467]  # sleepstudy.txt
    pd.testing.assert_series_equal(
        FM.predict(NEW, random=False),
        FM.get_prediction(NEW, random=False).summary_frame()["mean"],
        check_names=False,
    )
    assert interlace.summary_table([SIMPLE, FM]) is not None
    assert interlace.hlm_resid(FM, kind="quantile", rng=1).shape[0] == FM.nobs
