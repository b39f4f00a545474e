"""Comparisons, means, shares of variance, profile, bootstrap, deletion, checks."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import special, stats

import interlace
from interlace.errors import InferenceError, UndefinedError

from .fits import FORMULAS, bank_fit, cbpp, fitted, table


def test_anova_of_models_is_the_difference_of_deviances():
    small = fitted("cbind(incidence, size - incidence) ~ 1 + (1 | herd)", table("cbpp"), family="binomial")
    found = interlace.anova(cbpp(), small)
    assert list(found["npar"]) == [2, 5]
    chisq = small.objective - cbpp().objective
    assert found["chisq"].iloc[1] == pytest.approx(chisq)
    assert found["p_value"].iloc[1] == pytest.approx(stats.chi2.sf(chisq, 3))
    dropped = cbpp().drop1()
    assert dropped.loc["period", "chisq"] == pytest.approx(chisq, abs=1e-6)
    # Wald's test of the same hypothesis, by hand.
    b, V = cbpp().params.iloc[1:4], cbpp().cov_params().iloc[1:4, 1:4]
    assert cbpp().anova().loc["period", "chisq"] == pytest.approx(b @ np.linalg.solve(V, b))


def test_without_random_effects_the_likelihood_is_the_glms():
    import statsmodels.api as sm
    import statsmodels.formula.api as smf

    d = table("cbpp").assign(failures=lambda d: d["size"] - d["incidence"])
    glm = smf.glm("incidence + failures ~ period", d, family=sm.families.Binomial()).fit(tol=1e-12)
    assert cbpp().ranova().loc["(1 | herd)", "loglik"] == pytest.approx(glm.llf, abs=1e-7)
    grouse = bank_fit("grouse").ranova()
    assert list(grouse["df"].iloc[1:]) == [1.0, 1.0, 1.0]
    reduced = FORMULAS["grouse"].replace(" + (1 | LOCATION)", "")
    without = fitted(reduced, table("grouse"), family="poisson")
    assert grouse.loc["(1 | LOCATION)", "loglik"] == pytest.approx(without.llf, abs=1e-7)


def test_what_cannot_be_compared_is_refused():
    d = table("cbpp")
    probit = fitted(FORMULAS["cbpp"], d, family="binomial(probit)")
    nodes = fitted(FORMULAS["cbpp"], d, family="binomial", nagq=5)
    fewer = fitted(FORMULAS["cbpp"], d.iloc[1:], family="binomial")
    sleep = interlace.fit("Reaction ~ Days + (1 | Subject)", interlace.datasets.load_sleepstudy())
    for other, complaint in [
        (probit, "the family or its link.*compare their aic"),
        (nodes, "the quadrature"),
        (fewer, "the number of rows"),
        (sleep, "not one with the other"),
    ]:
        with pytest.raises(InferenceError, match=complaint):
            interlace.anova(cbpp(), other)


def test_poisson_is_nested_in_negative_binomial():
    formula = "TICKS ~ YEAR + cHEIGHT + (1 | BROOD) + (1 | LOCATION)"
    pair = [fitted(formula, table("grouse"), family=family) for family in ("poisson", "negativebinomial")]
    assert list(interlace.anova(*pair)["npar"]) == [6, 7]


def test_emmeans_on_both_scales():
    fit = cbpp()
    link, response = fit.emmeans("period"), fit.emmeans("period", type="response")
    beta = fit.fe_params
    expected = beta["Intercept"] + np.append(0.0, beta.iloc[1:])
    np.testing.assert_allclose(link.frame["emmean"], expected)
    np.testing.assert_allclose(response.frame["emmean"], special.expit(expected))
    np.testing.assert_allclose(response.frame["conf_low"], special.expit(link.frame["conf_low"]))
    mu = special.expit(expected)
    np.testing.assert_allclose(response.frame["std_error"], mu * (1 - mu) * link.frame["std_error"])
    contrast = response.contrasts("treatment", adjust="none")
    np.testing.assert_allclose(contrast["odds_ratio"], np.exp(beta.iloc[1:]))
    np.testing.assert_allclose(contrast["p_value"], fit.pvalues.iloc[1:4])
    np.testing.assert_allclose(contrast[["conf_low", "conf_high"]], np.exp(fit.conf_int().iloc[1:4]))
    assert list(contrast["contrast"]) == ["2 / 1", "3 / 1", "4 / 1"]
    with pytest.raises(ValueError, match="are no ratios"):
        response.contrasts("polynomial")


def test_shares_of_variance_by_definition():
    fit, d = cbpp(), table("cbpp")
    fixed = np.var(fit.predict(d, which="linear", random=False), ddof=1)
    random = fit.params["herd Var"]
    own = np.pi**2 / 3
    assert fit.r2()["marginal"] == pytest.approx(fixed / (fixed + random + own))
    assert fit.r2()["conditional"] == pytest.approx((fixed + random) / (fixed + random + own))
    assert fit.icc()["adjusted"] == pytest.approx(random / (random + own))
    # Counts: the effect of every row belongs to the residual (Nakagawa, Johnson & Schielzeth 2017).
    grouse = bank_fit("grouse")
    variances = grouse.vcomp
    mu = grouse.predict(which="marginal").mean()
    shares = grouse.variance_shares()
    assert shares.residual == pytest.approx(variances["INDEX Var"] + np.log1p(1 / mu))
    assert shares.random == pytest.approx(variances["BROOD Var"] + variances["LOCATION Var"])


def test_profile_limits_lose_the_quantile_of_chi_squared():
    fit, d = cbpp(), table("cbpp")
    limits = fit.conf_int(method="profile", parm="period[T.2]")
    d = d.assign(p2=(d["period"] == "2") * 1.0, p3=(d["period"] == "3") * 1, p4=(d["period"] == "4") * 1)
    for limit in limits.loc["period[T.2]"]:
        held = fitted(
            "cbind(incidence, size - incidence) ~ p3 + p4 + (1 | herd)",
            d,
            family="binomial",
            offset=limit * d["p2"],
        )
        # The root is found to 1e-4 standard errors.
        assert held.objective - fit.objective == pytest.approx(stats.chi2.ppf(0.95, 1), abs=2e-3)


def test_bootstrap_reproduces_and_finds_the_standard_errors():
    fit = cbpp()
    first = fit.bootstrap(60, rng=1, progress=False)
    again = fit.bootstrap(60, rng=1, progress=False, n_jobs=2)
    pd.testing.assert_frame_equal(first.replicates, again.replicates)
    assert first.n_failed == 0
    # 60 replicates: a standard deviation is known to 9%.
    np.testing.assert_allclose(first.bse[:4], fit.bse_fe, rtol=0.35)
    chosen = fit.bootstrap(5, statistic=lambda r: r.params["herd Var"], rng=1, progress=False)
    np.testing.assert_allclose(chosen.replicates["statistic"], first.replicates["herd Var"].iloc[:5])
    with pytest.raises(ValueError, match="bca"):
        first.conf_int(kind="bca")
    interval = fit.conf_int(method="bootstrap", nsim=5, rng=1, progress=False, interval="basic")
    assert list(interval.index) == list(fit.params.index)


def test_refit_to_the_same_response_is_the_fit():
    fit = cbpp()
    again = fit.refit(table("cbpp")["incidence"])
    np.testing.assert_allclose(again.params, fit.params, rtol=1e-5)
    with pytest.raises(ValueError, match="more successes than trials"):
        fit.refit(table("cbpp")["size"] + 1)


def overdispersed(seed, extra):
    rng = np.random.default_rng(seed)
    g = np.repeat(np.arange(15), 12)
    eta = 1.0 + rng.normal(0, 0.5, 15)[g] + rng.normal(0, extra, len(g))
    return pd.DataFrame({"y": rng.poisson(np.exp(eta)), "g": g})


def test_checks_see_what_was_put_in_and_nothing_else():
    good = fitted("y ~ 1 + (1 | g)", overdispersed(1, 0.0), family="poisson")
    bad = fitted("y ~ 1 + (1 | g)", overdispersed(1, 0.8), family="poisson")
    assert good.check_dispersion(99, rng=1).p_value > 0.05
    found = bad.check_dispersion(99, rng=1)
    assert found.p_value <= 0.02
    assert found.ratio > 1.5
    assert good.check_zeros(199, rng=1).p_value > 0.05
    zeros = overdispersed(1, 0.0)
    zeros.loc[::3, "y"] = 0
    inflated = fitted("y ~ 1 + (1 | g)", zeros, family="poisson").check_zeros(199, rng=1)
    assert inflated.p_value <= 0.02
    assert inflated.observed == (zeros["y"] == 0).sum()
    for call in (bank_fit("b00").check_dispersion, bank_fit("b00").simulated_residuals):
        if call.__name__ == "check_dispersion":
            with pytest.raises(UndefinedError, match="cannot be overdispersed"):
                call(9)


def test_simulated_residuals_are_ranks():
    fit = fitted("y ~ 1 + (1 | g)", overdispersed(2, 0.0), family="poisson")
    found = fit.simulated_residuals(199, rng=3)
    assert found.scaled.between(0, 1).all()
    pd.testing.assert_series_equal(found.scaled, fit.simulated_residuals(199, rng=3).scaled)
    np.testing.assert_allclose(found.fitted, fit.predict(which="marginal"))
    np.testing.assert_allclose(special.ndtr(found.normal), found.scaled)
    assert found.uniformity()["p_value"] > 0.01
    figure = found.plot()
    assert [axes.get_ylabel() for axes in figure.axes] == ["scaled residual"] * 2


def test_simulated_responses_have_the_models_moments():
    fit = cbpp()
    drawn = fit.simulate(400, rng=1)
    assert drawn.shape == (56, 400)
    mean = drawn.mean(axis=1) / table("cbpp")["size"]
    # 400 draws of a proportion with standard deviation 0.2 at most: 4 standard errors.
    np.testing.assert_allclose(mean, fit.predict(which="marginal"), atol=0.04)
    kept = fit.simulate(400, rng=1, use_u=True).mean(axis=1) / table("cbpp")["size"]
    np.testing.assert_allclose(kept, fit.fittedvalues, atol=0.04)


@pytest.mark.parametrize("kind", [2, 3])
def test_wald_tests_of_terms_do_not_depend_on_the_coding(kind):
    rng = np.random.default_rng(1)
    n = 240
    data = pd.DataFrame({"s": rng.integers(0, 12, n), "a": rng.choice(["a1", "a2", "a3"], n)})
    data["b"] = rng.choice(["b1", "b2"], n, p=[0.7, 0.3])
    eta = rng.normal(size=12)[data["s"]] + 0.5 * (data["a"] == "a2")
    data["k"] = rng.poisson(np.exp(0.4 * eta))
    data["o"] = np.digitize(eta + rng.logistic(size=n), [-1.0, 1.0])
    counts = [
        interlace.fit(f"k ~ {start}a * {b} + (1 | s)", data, family="poisson")
        for start in ("1 + ", "0 + ")
        for b in ("b", "C(b, Sum)")
    ]
    ordered = [
        interlace.CrossedOrdinal.from_formula(f"o ~ a * {b} + (1 | s)", data).fit()
        for b in ("b", "C(b, Sum)")
    ]
    for fits in (counts, ordered):
        known = fits[0].anova(kind)
        assert known["df"].tolist() == [2, 1, 2]
        for fit in fits[1:]:  # searches stop within 1e-4 standard errors of one another
            np.testing.assert_allclose(fit.anova(kind), known, rtol=1e-3)
            np.testing.assert_allclose(fit.drop1()["chisq"], fits[0].drop1()["chisq"], rtol=1e-4, atol=1e-6)
