"""Whatever is given: a fit, or an error of the package's own that names the cause."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import interlace
from interlace.errors import InterlaceError

F = "y ~ x + (1 | g) + (1 | h)"
E_ACUTE, E_AND_ACCENT = "\N{LATIN SMALL LETTER E WITH ACUTE}", "e\N{COMBINING ACUTE ACCENT}"


def data():
    rng = np.random.default_rng(5)
    i = np.arange(60)
    x, g = rng.normal(size=60), i % 6
    y = 2 + x + rng.normal(size=6)[g] + rng.normal(size=5)[(i // 3) % 5] + rng.normal(size=60)
    return pd.DataFrame({"y": y, "x": x, "g": g, "h": (i // 3) % 5, "k": rng.poisson(2, size=60)})


def fit(formula=F, changes=None, renamed=None, **options):
    return interlace.fit(formula, data().assign(**changes or {}).rename(columns=renamed or {}), **options)


def big(values):
    return pd.Series([10**400 * int(v) for v in values], dtype=object)


def nested(column):
    return [[value] for value in data()[column]]


REFUSED = {
    "slope of 1e200": (lambda: fit("y ~ 1 + (1 + x | g)", {"x": data().x * 1e200}), "x / 2e.200"),
    "covariate of 1e200": (lambda: fit(F, {"x": data().x * 1e200}), 'numbers of "x" .* too large'),
    "covariate of 1e-200": (lambda: fit(F, {"x": data().x * 1e-200}), 'numbers of "x" .* too small'),
    "response of 1e160": (lambda: fit(F, {"y": data().y * 1e160}), 'numbers of "y" in the response'),
    "response of 1e-200": (lambda: fit(F, {"y": data().y * 1e-200}), 'numbers of "y" in the response'),
    "offset of 1e200": (lambda: fit(F, {"o": 1e200}, offset="o"), "in the offset"),
    "weights of 1e308": (lambda: fit(F, {"w": 1e308}, weights="w"), "only their ratios matter"),
    "gamma response of 1e200": (
        lambda: fit("y ~ x + (1 | g)", {"y": 1e200 * np.exp(data().x)}, family="gamma"),
        "in the response",
    ),
    "lists as groups": (lambda: fit(F, {"g": nested("g")}), r'"g" holds objects such as \[.*\(list\)'),
    "lists as response": (lambda: fit(F, {"y": nested("y")}), '"y" holds objects'),
    "lists as covariate": (lambda: fit(F, {"x": nested("x")}), '"x" holds objects'),
    "lists as counts": (lambda: fit("k ~ x + (1 | g)", {"k": nested("k")}, family="poisson"), '"k" holds'),
    "integers beyond floats": (lambda: fit(F, {"y": big(range(60))}), "too large for arithmetic"),
    "weights beyond floats": (lambda: fit(F, {"w": big(range(1, 61))}, weights="w"), "weights= holds"),
    "many terms": (lambda: fit("y ~ " + " + ".join(["x"] * 3000) + " + (1 | g)"), "too long or too deeply"),
    "deep nesting": (lambda: fit("y ~ I(" + "-" * 5000 + "x) + (1 | g)"), "too long or too deeply"),
    "column Intercept": (
        lambda: fit("y ~ Intercept + (1 | g)", renamed={"x": "Intercept"}),
        'column "Intercept" in the fixed part has the name of the constant',
    ),
    "slope Intercept": (
        lambda: fit("y ~ 1 + (Intercept | g)", renamed={"x": "Intercept"}),
        r'column "Intercept" in the random-effects term \(Intercept \| g\)',
    ),
    "response as a slope": (lambda: fit("y ~ x + (y | g)"), r"random-effects term \(y \| g\) too"),
    "response as a factor": (lambda: fit("k ~ x + (1 | k)", family="poisson"), r"\(1 \| k\) too"),
    "response as a covariate": (lambda: fit("y ~ y + x + (1 | g)"), '"y" is in the fixed part too'),
    "comment": (lambda: fit("y ~ x # + (1 | g)"), "comments are no part of formulas"),
    "twins": (
        lambda: fit(f"y ~ caf{E_ACUTE} + (1 | g)", {f"caf{E_ACUTE}": 1.0}, {"x": f"caf{E_AND_ACCENT}"}),
        "2 columns named",
    ),
    "numbers as names": (lambda: fit("y ~ Q('0') + (1 | g)", renamed={"x": 0}), r"rename\(columns=str\)"),
    "start of 1e300": (lambda: fit(start_params=[1e300, 1e300]), "start_params holds 1e.300"),
    "start as text": (lambda: fit(start_params="a"), "start_params holds what is no number"),
    "start of a wrong length": (lambda: fit(start_params=[1.0]), r"start_params has shape \(1,\); give 2"),
    "generalised start": (
        lambda: fit("k ~ x + (1 | g)", family="poisson", start_params=[1e300] * 3),
        "start_params holds 1e.300",
    ),
    "theta of a wrong length": (lambda: fit().criterion([1.0]), r"theta has shape \(1,\); give 2"),
    "theta of 1e300": (lambda: fit().criterion([1e300, 1e300]), "theta holds 1e.300"),
    "gradient of a wrong length": (lambda: fit().criterion.gradient([1.0]), "theta has shape"),
    "params of a wrong length": (lambda: fit().model.loglike([1.0]), r"params has shape \(1,\); give 4"),
    "score of a wrong length": (lambda: fit().model.score([1.0]), "params has shape"),
    "generalised params": (
        lambda: fit("k ~ x + (1 | g)", family="poisson").model.loglike([1.0]),
        r"params has shape \(1,\); give 3",
    ),
    "hypothesis about a stranger": (lambda: fit().t_test("nope = 0"), "the hypotheses 'nope = 0'"),
    "position beyond the last": (lambda: fit().conf_int(parm=99), "there are 4"),
    "fewer than no draws": (lambda: fit().simulate(-1), "nsim=-1"),
    "half a draw": (lambda: fit().simulate(1.5), "nsim=1.5"),
    "draws as text": (lambda: fit().bootstrap("a"), "nsim='a'"),
    "steps below zero": (lambda: fit(maxiter=-1), "maxiter=-1"),
    "steps as text": (lambda: fit("k ~ x + (1 | g)", family="poisson", maxiter="5"), "maxiter='5'"),
    "steps that are no number": (lambda: fit(maxiter=np.nan), "maxiter=nan"),
    "nodes as text": (lambda: fit("k ~ x + (1 | g)", family="poisson", nagq="a"), "nagq='a'"),
    "too many nodes": (lambda: fit("k ~ x + (1 | g)", family="poisson", nagq=10**6), "beyond 100 nodes"),
    "alpha beyond 1": (lambda: fit().conf_int(alpha=2), "alpha=2"),
    "alpha of a profile": (
        lambda: fit("k ~ x + (1 | g)", family="poisson").conf_int(alpha=2, method="profile"),
        "alpha=2",
    ),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore::interlace.errors.SingularFitWarning")
@pytest.mark.parametrize("name", sorted(REFUSED))
def test_bad_input_ends_in_an_error_of_the_package_that_says_why(name):
    ask, match = REFUSED[name]
    with pytest.raises(InterlaceError, match=match):
        ask()


SAME = {
    "composed for decomposed": (f"y ~ caf{E_ACUTE} + (1 | g)", {"x": f"caf{E_AND_ACCENT}"}),
    "decomposed for composed": (f"y ~ caf{E_AND_ACCENT} + (1 | g)", {"x": f"caf{E_ACUTE}"}),
    "zero-width spaces": ("y ~ x\N{ZERO WIDTH SPACE} + (1 | \N{ZERO WIDTH SPACE}g)", {}),
    "byte-order mark in a header": ("y ~ x + (1 | g)", {"y": "\N{ZERO WIDTH NO-BREAK SPACE}y"}),
    "column C": ("y ~ C + (1 | g)", {"x": "C"}),
    "column np": ("y ~ np + (1 | g)", {"x": "np"}),
    "column offset": ("y ~ offset + (1 | g)", {"x": "offset"}),
    "column np beside the module": ("y ~ np.negative(np.negative(x)) + (1 | g)", {"h": "np"}),
    "column I beside the function": ("y ~ I(x) + (1 | g)", {"h": "I"}),
}


@pytest.mark.parametrize("name", sorted(SAME))
def test_names_may_be_anything(name):
    formula, renamed = SAME[name]
    # The same matrices, the same search.
    assert fit(formula, renamed=renamed).objective == fit("y ~ x + (1 | g)").objective


def test_a_column_and_a_function_may_have_one_name():
    both = fit("y ~ C(h) + C + (1 | g)", renamed={"x": "C"})
    assert both.objective == fit("y ~ C(h) + x + (1 | g)").objective
    new = data().rename(columns={"x": "C"}).iloc[:3]
    assert both.predict(new).equals(both.fittedvalues.iloc[:3].rename(both.predict(new).name))
