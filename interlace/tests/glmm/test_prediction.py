"""Means, linear predictors, means over random effects, and their intervals."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, special, stats

import interlace
from interlace.errors import DesignError, LevelError

from .fits import FORMULAS, bank_fit, cbpp, fitted, table

NEW = pd.DataFrame({"period": ["1", "2"], "herd": [1, 99]})


def test_scales_and_levels():
    fit = cbpp()
    b = fit.random_effects["herd"]
    linear = fit.predict(NEW.head(1), which="linear").item()
    assert linear == pytest.approx(fit.params["Intercept"] + b[1])
    assert fit.predict(NEW.head(1)).item() == pytest.approx(special.expit(linear))
    assert fit.predict(NEW.head(1), random=False).item() == pytest.approx(
        special.expit(fit.params["Intercept"])
    )
    with pytest.raises(LevelError, match="has not seen: 99"):
        fit.predict(NEW)
    population = fit.predict(NEW, new_levels="population")
    assert population[1] == pytest.approx(special.expit(fit.params[["Intercept", "period[T.2]"]].sum()))
    integrated = fit.predict(NEW, new_levels="integrate")
    assert integrated[1] == pytest.approx(fit.predict(NEW, which="marginal")[1])
    assert integrated[0] == pytest.approx(population[0])
    # Neither needs the herds.
    for options in ({"random": False}, {"which": "marginal"}):
        fit.predict(NEW[["period"]], **options)


def test_marginal_mean_is_the_integral():
    fit = cbpp()
    sd = np.sqrt(fit.params["herd Var"])
    eta = fit.params["Intercept"]
    expected, _ = integrate.quad(lambda b: special.expit(eta + b) * stats.norm.pdf(b, scale=sd), -8, 8)
    assert fit.predict(NEW.head(1), which="marginal").item() == pytest.approx(expected, rel=1e-8)
    probit = fitted(FORMULAS["cbpp"], table("cbpp"), family="binomial(probit)")
    exact = special.ndtr(probit.params["Intercept"] / np.sqrt(1 + probit.params["herd Var"]))
    assert probit.predict(NEW.head(1), which="marginal").item() == pytest.approx(exact, rel=1e-10)
    grouse = bank_fit("grouse")
    half = 0.5 * grouse.vcomp.sum()
    np.testing.assert_allclose(
        grouse.predict(which="marginal"), np.exp(grouse.predict(which="linear", random=False) + half)
    )


def test_some_factors_enter_and_the_others_are_integrated_over():
    fit = bank_fit("grouse")
    rows = table("grouse").head(3)
    own = fit.predict(rows, which="linear", random="BROOD")
    b = fit.random_effects["BROOD"]
    fixed = fit.predict(rows, which="linear", random=False)
    np.testing.assert_allclose(own - fixed, [b[brood] for brood in rows["BROOD"]])
    rest = fit.vcomp["INDEX Var"] + fit.vcomp["LOCATION Var"]
    np.testing.assert_allclose(fit.predict(rows, which="marginal", random="BROOD"), np.exp(own + rest / 2))


def test_missing_values_give_nan():
    rows = table("cbpp").head(3).assign(period=["1", None, "2"])
    found = cbpp().predict(rows)
    assert found.isna().tolist() == [False, True, False]
    assert cbpp().get_prediction(rows).se_mean.isna().tolist() == [False, True, False]


def test_intervals_go_through_the_link():
    fit = cbpp()
    X = np.array([[1.0, 0, 0, 0], [1.0, 1, 0, 0]])
    V = fit.cov_params().to_numpy()[:4, :4]
    found = fit.get_prediction(NEW, random=False)
    se = np.sqrt(np.einsum("ij,jk,ik->i", X, V, X))
    np.testing.assert_allclose(found.se_linear, se, rtol=1e-6)
    eta = X @ fit.fe_params
    limits = found.conf_int(0.1)
    z = stats.norm.isf(0.05)
    np.testing.assert_allclose(limits["lower"], special.expit(eta - z * se), rtol=1e-6)
    np.testing.assert_allclose(limits["upper"], special.expit(eta + z * se), rtol=1e-6)
    mu = special.expit(eta)
    np.testing.assert_allclose(found.se_mean, mu * (1 - mu) * se, rtol=1e-6)
    assert list(found.summary_frame()) == ["mean", "mean_se", "mean_ci_lower", "mean_ci_upper"]


def test_unseen_levels_widen_intervals_by_their_variance():
    fit = cbpp()
    known, unseen = fit.get_prediction(NEW, new_levels="population").var_linear
    alone = fit.get_prediction(NEW, random=False).var_linear
    assert unseen == pytest.approx(alone[1] + fit.params["herd Var"], rel=1e-6)
    assert known < alone[0] + fit.params["herd Var"]


def test_effects_that_do_not_enter_do_not_widen_intervals():
    fit = bank_fit("grouse")
    rows = table("grouse").head(2)
    none = fit.get_prediction(rows, random=[]).var_linear
    np.testing.assert_allclose(none, fit.get_prediction(rows, random=False).var_linear)
    some, every = (fit.get_prediction(rows, random=r).var_linear for r in ("BROOD", True))
    assert (some > 0).all()
    assert (every > 0).all()


def test_refusals():
    fit = cbpp()
    with pytest.raises(ValueError, match="which='prob' is not offered"):
        fit.predict(which="prob")
    with pytest.raises(ValueError, match='give "population"'):
        fit.predict(which="linear", new_levels="integrate")
    with pytest.raises(ValueError, match="transform=False is not offered"):
        fit.predict(NEW, transform=False)
    with pytest.raises(ValueError, match="new_levels='integrate' is not offered"):
        fit.get_prediction(NEW, new_levels="integrate")
    offset = interlace.fit(
        "y ~ 1 + (1 | g)", {"y": [1, 2, 3, 4, 5, 9], "g": list("aabbcc")}, family="poisson", offset=[0.0] * 6
    )
    with pytest.raises(DesignError, match="offset= was an array"):
        offset.predict({"g": ["a"]})


def test_quantile_residuals_are_uniform_within_the_jump():
    fit, d = cbpp(), table("cbpp")
    u = special.ndtr(fit.resid_quantile(rng=1))
    low = stats.binom.cdf(d["incidence"] - 1, d["size"], fit.fittedvalues)
    high = stats.binom.cdf(d["incidence"], d["size"], fit.fittedvalues)
    assert ((u >= low - 1e-12) & (u <= high + 1e-12)).all()
