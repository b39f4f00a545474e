"""How models are built, and what is refused before anything is fitted."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

import interlace
from interlace import CrossedGLMM
from interlace.errors import DesignError, FormulaError

from .fits import FORMULAS, cbpp, fitted, table

TICKS = {"y": [2, 3, 1, 8, 9, 6, 0, 1, 1, 4, 3, 5], "x": [0, 1, 2] * 4, "g": list("aaabbbcccddd")}
FLIPS = {"y": [1, 1, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0], "g": list("aaabbbcccddd"), "row": range(12)}


@pytest.mark.parametrize(
    ("formula", "options"),
    [
        ("incidence + I(size - incidence) ~ period + (1 | herd)", {}),
        ("np.column_stack([incidence, size - incidence]) ~ period + (1 | herd)", {}),
        ("p ~ period + (1 | herd)", {"n_trials": "size"}),
        ("p ~ period", {"n_trials": "size", "groups": "herd"}),
        ("p ~ period", {"n_trials": "size", "groups": "herd", "re_formula": "1"}),
        ("p ~ period", {"n_trials": "size", "random": "(1 | herd)"}),
    ],
)
def test_ways_to_write_one_model(formula, options):
    data = table("cbpp").assign(p=lambda d: d["incidence"] / d["size"])
    fit = interlace.fit(formula, data, family=sm.families.Binomial(), **options)
    # The search stops at a promise of 1e-9 of deviance.
    assert fit.objective == pytest.approx(cbpp().objective, abs=1e-7)
    np.testing.assert_allclose(fit.params, cbpp().params, rtol=1e-5)
    np.testing.assert_allclose(fit.model.endog, data["p"])


def test_arrays_are_the_formula():
    d = table("cbpp")
    X = pd.get_dummies(d["period"], drop_first=True, dtype=float)
    X.insert(0, "const", 1.0)
    endog = np.column_stack([d["incidence"], d["size"] - d["incidence"]])
    fit = CrossedGLMM(endog, X, groups={"herd": d["herd"]}, family="binomial").fit()
    np.testing.assert_allclose(fit.params, cbpp().params, rtol=1e-5)
    by_proportion = CrossedGLMM(
        d["incidence"] / d["size"], X, groups={"herd": d["herd"]}, family="binomial", n_trials=d["size"]
    ).fit()
    assert by_proportion.objective == pytest.approx(fit.objective, abs=1e-7)


def test_booleans_and_comparisons_are_zeros_and_ones():
    one = interlace.fit("y ~ 1 + (1 | g)", FLIPS, family="binomial")
    words = pd.DataFrame(FLIPS).assign(
        y=["yes" if y else "no" for y in FLIPS["y"]], b=np.array(FLIPS["y"]) > 0
    )
    assert fitted("(y == 'yes') ~ 1 + (1 | g)", words, family="binomial").llf == pytest.approx(one.llf)
    assert fitted("b ~ 1 + (1 | g)", words, family="binomial").llf == pytest.approx(one.llf)
    with pytest.raises(DesignError, match=r"holds categories such as \['no', 'yes'\].*y == 'yes'"):
        CrossedGLMM.from_formula("y ~ 1 + (1 | g)", words, family="binomial")


def test_exposure_is_the_offset_of_its_logarithm():
    data = pd.DataFrame(TICKS).assign(e=np.arange(1.0, 13.0))
    exposed = interlace.fit("y ~ x + (1 | g)", data, family="poisson", exposure="e")
    shifted = interlace.fit("y ~ x + (1 | g)", data, family="poisson", offset=np.log(data["e"]))
    written = interlace.fit("y ~ x + offset(np.log(e)) + (1 | g)", data, family="poisson")
    assert exposed.llf == shifted.llf == written.llf
    # New rows have exposures of their own.
    new = data.head(2).assign(e=[10.0, 20.0])
    np.testing.assert_allclose(exposed.predict(new), written.predict(new))
    with pytest.raises(DesignError, match="was an array"):
        shifted.predict(new)


def test_frequencies_are_repeated_rows():
    data = pd.DataFrame(TICKS).assign(w=[1, 2, 3] * 4)
    weighted = interlace.fit("y ~ x + (1 | g)", data, family="poisson", freq_weights="w")
    repeated = interlace.fit("y ~ x + (1 | g)", data.loc[data.index.repeat(data["w"])], family="poisson")
    for name in ("llf", "aic", "bic", "deviance", "df_resid"):
        assert getattr(weighted, name) == pytest.approx(getattr(repeated, name), rel=1e-9)
    np.testing.assert_allclose(weighted.bse, repeated.bse, rtol=1e-5)
    np.testing.assert_allclose(weighted.r2(), repeated.r2(), rtol=1e-5)
    with pytest.raises(DesignError, match="freq_weights make rows stand for several"):
        weighted.simulate()


def test_fit_and_data_are_pure():
    data = table("cbpp")
    before = data.copy()
    model = CrossedGLMM.from_formula(FORMULAS["cbpp"], data, family="binomial")
    state = {name: id(value) for name, value in vars(model).items()}
    first, second = model.fit(), model.fit(nagq=5)
    assert {name: id(value) for name, value in vars(model).items()} == state
    assert first.llf != second.llf
    pd.testing.assert_frame_equal(data, before)


def test_fit_of_a_gaussian_family_is_the_linear_model():
    sleep = interlace.datasets.load_sleepstudy()
    formula = "Reaction ~ Days + (1 | Subject)"
    fit = interlace.fit(formula, sleep, family=sm.families.Gaussian(), method="ML")
    assert fit.llf == interlace.fit(formula, sleep, method="ML").llf


def test_description_and_repr():
    model = CrossedGLMM.from_formula("y ~ x + (1 | g)", TICKS, family="negativebinomial")
    assert repr(model) == "<CrossedGLMM: y ~ x + (1 | g); NegativeBinomial, log; 12 rows>"
    assert model.describe().splitlines()[-1] == (
        "To estimate: 2 fixed effects, 1 covariance parameter, log size; to predict: 4 random effects"
    )


def test_loglike_is_llf_at_the_estimates_and_its_maximum():
    fit = cbpp()
    params = np.asarray(fit.params)
    assert fit.model.loglike(params) == pytest.approx(fit.llf, abs=1e-8)
    for j, step in enumerate(0.1 * np.asarray(fit.bse)):
        moved = params.copy()
        moved[j] += step
        # A tenth of a standard error costs 0.005 at least.
        assert fit.model.loglike(moved) < fit.llf - 4e-3
    assert fit.model.loglike(np.append(params[:-1], -1.0)) == -np.inf


@pytest.mark.parametrize(
    ("options", "error", "complaint"),
    [
        ({"family": None}, ValueError, "family= is needed"),
        ({"weights": "w"}, TypeError, "n_trials=.*freq_weights=.*exposure="),
        ({"var_weights": "w"}, TypeError, "freq_weights="),
        ({"whatever": 1}, TypeError, "does not know the keyword.*whatever"),
        ({"n_trials": [1] * 12}, DesignError, "n_trials= is for a binomial response; the family is poisson"),
        ({"family": "binomial"}, DesignError, "does not suit binomial: there are more successes than trials"),
        ({"exposure": "y", "family": "binomial"}, DesignError, "exposure= is for the link log"),
        ({"exposure": [0.0] * 12}, DesignError, "exposure holds numbers that are not positive"),
        ({"freq_weights": [0.5] * 12}, DesignError, "how often a row occurs: wanted 1, 2"),
        ({"offset": [np.inf] * 12}, DesignError, "offset"),
        ({"family": "gamma"}, DesignError, "does not suit gamma"),
    ],
)
def test_refusals_before_fitting(options, error, complaint):
    with pytest.raises(error, match=complaint):
        CrossedGLMM.from_formula("y ~ x + (1 | g)", TICKS, **{"family": "poisson", **options})


@pytest.mark.parametrize(
    ("formula", "family", "options", "error", "complaint"),
    [
        ("y ~ 1 + (1 | g)", "poisson", {}, DesignError, "does not suit poisson: .*not made of counts"),
        (
            "a + b ~ 1 + (1 | g)",
            "poisson",
            {},
            DesignError,
            "successes and failures, for binomial: not poisson",
        ),
        ("a + b ~ 1 + (1 | g)", "binomial", {"n_trials": "b"}, DesignError, "a second time"),
        ("a + b + y ~ 1 + (1 | g)", "binomial", {}, FormulaError, "neither one variable nor two"),
        ("cbind(a) ~ 1 + (1 | g)", "binomial", {}, FormulaError, "does not bind two columns"),
        ("a + g ~ 1 + (1 | g)", "binomial", {}, DesignError, "not one column of successes"),
        ("a ~ 1 + (1 | g)", "binomial", {"n_trials": "b"}, DesignError, "proportions between 0 and 1"),
        ("y ~ 1 + (1 | g)", "binomial", {"n_trials": "b"}, DesignError, "whole numbers of successes"),
        ("np.column_stack([z, z]) ~ 1 + (1 | g)", "binomial", {}, DesignError, "have no trials"),
        ("f ~ 1 + (1 | row)", "binomial", {}, DesignError, "a level per row of a response of 0 and 1"),
        ("a ~ 1 + (1 | row)", "negativebinomial", {}, DesignError, "cannot be told from the residual"),
        ("g ~ 1 + (1 | row)", "poisson", {}, DesignError, "holds categories.*CrossedOrdinal"),
    ],
)
def test_refused_responses(formula, family, options, error, complaint):
    data = {
        "y": np.linspace(0.05, 0.9, 12),
        "a": np.arange(12) + 2,
        "b": np.arange(12) + 7,
        "z": np.zeros(12),
        "f": [0, 1] * 6,
        "g": list("aaabbbcccddd"),
        "row": range(12),
    }
    with pytest.raises(error, match=complaint):
        CrossedGLMM.from_formula(formula, data, family=family, **options)


def test_an_effect_per_row_of_counts_is_a_model():
    data = {**TICKS, "row": range(12)}
    fit = fitted("y ~ 1 + (1 | row)", data, family="poisson")
    assert fit.converged
    assert fit.ngroups["row"] == 12


@pytest.mark.parametrize(
    ("options", "error", "complaint"),
    [
        ({"method": "REML"}, ValueError, "no residual likelihood"),
        ({"method": "newton"}, ValueError, "method='newton' is not offered"),
        ({"reml": False}, TypeError, "no residual likelihood"),
        ({"ddf": "satterthwaite"}, TypeError, "Tests are z tests"),
        ({"solver": "lu"}, ValueError, "solver='lu' is not offered"),
        ({"banana": 1}, TypeError, "fit does not know the keyword.*banana"),
        ({"start_params": [1.0]}, ValueError, "give 3 finite numbers"),
    ],
)
def test_refused_keywords_of_fit(options, error, complaint):
    model = CrossedGLMM.from_formula("y ~ x + (1 | g)", TICKS, family="poisson")
    with pytest.raises(error, match=complaint):
        model.fit(**options)


def test_one_call_refuses_reml_and_nodes_for_two_terms():
    with pytest.raises(ValueError, match="no residual likelihood"):
        interlace.fit("y ~ x + (1 | g)", TICKS, family="poisson", method="REML")
    with pytest.raises(TypeError, match="n_trials="):
        interlace.fit("y ~ x + (1 | g)", TICKS, family="poisson", weights="x")
    with pytest.raises(ValueError, match=r"nagq=5 nodes are for one scalar random effect.*\(x \| g\)"):
        interlace.fit("y ~ x + (x | g)", TICKS, family="poisson", nagq=5)


@pytest.mark.parametrize("pair", ["size - incidence, incidence", "(size - incidence) * 1, +incidence"])
def test_arithmetic_among_successes_is_arithmetic(pair):
    fit = fitted(f"cbind({pair}) ~ period + (1 | herd)", table("cbpp"), family="binomial")
    # Failures for successes: the same likelihood, the other signs.
    assert fit.objective == pytest.approx(cbpp().objective, abs=1e-7)
    np.testing.assert_allclose(fit.fe_params, -cbpp().fe_params, atol=1e-5)
