"""Profiles: lme4's and glmmTMB's limits, the definition by a general optimiser, the ends of a range."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import optimize, stats

import interlace

from .fits import STATISTICS, bank_fit, cbpp, fitted, table

QUANTILE = stats.chi2.ppf(0.95, 1)


def test_limits_are_lme4s_and_glmmtmbs():
    found = cbpp().conf_int(method="profile")
    assert list(found.index[:2]) == ["sd_(Intercept)|herd", "Intercept"]
    # lme4 interpolates its profile by splines, and so does glmmTMB: they agree with each other to 1e-3.
    lme4 = STATISTICS["cbpp"]["profile_lme4"]
    np.testing.assert_allclose(found, np.column_stack([lme4["2.5 %"], lme4["97.5 %"]]), atol=2e-3)
    tmb = STATISTICS["cbpp"]["profile_tmb"]
    np.testing.assert_allclose(found.iloc[1:], np.column_stack([tmb["2.5 %"], tmb["97.5 %"]]), atol=2e-3)
    tmb = STATISTICS["grouse"]["profile_tmb"]
    found = bank_fit("grouse").conf_int(method="profile", parm="beta_")
    se = np.asarray(bank_fit("grouse").bse_fe)[:, None]
    np.testing.assert_allclose((found - np.column_stack([tmb["2.5 %"], tmb["97.5 %"]])) / se, 0, atol=5e-3)


def small(seed=4):
    rng = np.random.default_rng(seed)
    g, x = np.repeat(np.arange(12), 8), np.tile(np.linspace(-1, 1, 8), 12)
    b = rng.normal(0, [0.6, 0.8], (12, 2))
    y = rng.poisson(np.exp(0.8 + b[g, 0] + (0.3 + b[g, 1]) * x))
    return pd.DataFrame({"y": y, "x": x, "g": g})


def lost_by_definition(fit, start, raw):
    """Deviance lost where a function of (theta, beta) is held, by a quasi-Newton method on the criterion."""
    problem = fit.model.problem()

    def deviance(free):
        return problem.criterion.evaluate(problem.from_raw @ np.asarray(raw(free))).objective

    found = optimize.minimize(deviance, start, method="BFGS", options={"gtol": 1e-4})
    return found.fun - fit.objective


def test_a_limit_of_a_variance_loses_the_quantile():
    fit = cbpp()
    limits = fit.conf_int(method="profile", parm="herd Var").loc["herd Var"]
    np.testing.assert_allclose(
        limits, fit.conf_int(method="profile", parm="sd_(Intercept)|herd").iloc[0] ** 2, rtol=1e-12
    )
    for limit in limits:
        lost = lost_by_definition(fit, fit.fe_params, lambda b, v=limit: np.append(np.sqrt(v), b))
        # The root is found to 1e-6 of the interval.
        assert lost == pytest.approx(QUANTILE, abs=1e-4)


def test_limits_of_slopes_and_correlations_lose_the_quantile():
    fit = fitted("y ~ x + (x | g)", small(), family="poisson")
    limits = fit.conf_int(method="profile", parm="theta_")
    a, b, c = fit.theta
    for sd in limits.loc["sd_x|g"]:

        def of_slope(free, sd=sd):
            return [free[0], sd * np.sin(free[1]), sd * np.cos(free[1]), *free[2:]]

        lost = lost_by_definition(fit, [a, np.arctan2(b, c), *fit.fe_params], of_slope)
        assert lost == pytest.approx(QUANTILE, abs=1e-4)
    for rho in limits.loc["cor_x.(Intercept)|g"]:

        def of_correlation(free, rho=rho):
            return [free[0], rho * free[1], np.sqrt(1 - rho**2) * free[1], *free[2:]]

        lost = lost_by_definition(fit, [a, np.hypot(b, c), *fit.fe_params], of_correlation)
        assert lost == pytest.approx(QUANTILE, abs=1e-4)


def test_thresholds_and_sizes_have_profiles():
    fit = interlace.CrossedOrdinal.from_formula(
        "z ~ x + (1 | g)", small().assign(z=lambda d: d["y"].clip(0, 4))
    )
    fit = fit.fit()
    found = fit.conf_int(method="profile", parm=["1/2", "2/3"])
    # 96 rows, an intercept in all but name: Wald's limits are near.
    np.testing.assert_allclose(found, fit.conf_int().loc[found.index], atol=0.2)
    size = fitted("TICKS ~ YEAR + (1 | LOCATION)", table("grouse"), family="negativebinomial")
    held = size.conf_int(method="profile", parm="log size")
    assert held.loc["log size", 0] < size.params["log size"] < held.loc["log size", 1]


def test_nodes_of_quadrature_are_kept():
    fit = fitted(cbpp().model.formula, table("cbpp"), family="binomial", nagq=9)
    low, high = fit.conf_int(method="profile", parm="Intercept").loc["Intercept"]
    d = table("cbpp").assign(const=1.0)
    formula = "cbind(incidence, size - incidence) ~ 0 + p2 + p3 + p4 + (1 | herd)"
    for k in "234":
        d[f"p{k}"] = (d["period"] == k) * 1.0
    for limit in (low, high):
        held = fitted(formula, d, family="binomial", nagq=9, offset=np.full(len(d), limit))
        assert held.objective - fit.objective == pytest.approx(QUANTILE, abs=1e-4)


def test_a_separated_effect_has_one_limit():
    fit = bank_fit("b04")
    found = fit.conf_int(method="profile", parm=["g", "c:g", "c"])
    assert np.isfinite(found.loc["g", 0])
    assert found.loc["g", 1] == np.inf
    assert found.loc["c:g"].isna().all()
    assert np.isfinite(found.loc["c"]).all()


def test_table_and_pictures():
    profile = fitted("y ~ x + (1 | g)", small(), family="poisson").profile()
    assert list(profile.walks) == ["sd_(Intercept)|g", "Intercept", "x"]
    own = profile.table[profile.table["parameter"] == "x"]
    assert own["zeta"].is_monotonic_increasing
    np.testing.assert_allclose(own["zeta"] ** 2, own["deviance"] - profile.deviance, atol=1e-6)
    for kind in ("zeta", "density", "pairs"):
        assert profile.plot(kind).axes


def test_an_estimate_of_zero_is_the_end_of_the_range():
    fit = bank_fit("b20")
    found = fit.conf_int(method="profile", parm="sd_c|i")
    assert found.loc["sd_c|i", 0] == 0.0
    assert "the end of the parameter's range" in found.attrs["notes"][0]
    assert interlace.CrossedGLMM is type(fit.model)
