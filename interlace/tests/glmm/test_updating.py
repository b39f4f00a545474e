"""Update, groups drawn with replacement, robust errors, pictures, intervals of categories."""

from __future__ import annotations

import warnings

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

import interlace
from interlace.errors import DesignError, FormulaError, UndefinedError

from .fits import FORMULAS, bank_fit, cbpp, fitted, sample, table

matplotlib.use("Agg")


def test_an_update_is_a_fit():
    d = table("cbpp")
    smaller = cbpp().update(". ~ . - period")
    again = fitted("cbind(incidence, size - incidence) ~ 1 + (1 | herd)", d, family="binomial")
    assert smaller.objective == pytest.approx(again.objective, abs=1e-8)
    assert smaller.model.formula_text == "cbind(incidence, size - incidence) ~ 1 + (1 | herd)"
    probit = cbpp().update(family="binomial(probit)")
    assert probit.objective == pytest.approx(185.16667541, abs=1e-6)  # glmmTMB's
    nodes = cbpp().update(nagq=9)
    assert nodes.nagq == 9
    assert nodes.update(". ~ . - period").nagq == 9
    half = cbpp().update(data=d.iloc[:40])
    assert half.nobs == 40


def test_an_update_keeps_what_the_model_was_given():
    data = sample(2)
    fit = fitted("y ~ x", data, groups="g", family="poisson", exposure="hours", freq_weights="times")
    same = fit.update()
    assert same.objective == pytest.approx(fit.objective, abs=1e-8)
    bare = fit.update(exposure=None, freq_weights=None)
    assert bare.objective == pytest.approx(
        fitted("y ~ x + (1 | g)", data, family="poisson").objective, abs=1e-8
    )
    slopes = fit.update(". ~ . - (1 | g) + (x | g)")
    assert slopes.ngroups["g"] == 8
    assert len(slopes.theta) == 3
    shares = fitted(
        "p ~ x + (1 | g)", data.assign(p=data["y"].clip(0, 4) / 4), family="binomial", n_trials="n"
    )
    assert shares.update().objective == pytest.approx(shares.objective, abs=1e-8)


def test_an_ordinal_update():
    data = sample(2).assign(r=lambda d: d["y"].clip(0, 3))
    fit = interlace.CrossedOrdinal.from_formula("r ~ x + (1 | g)", data).fit()
    probit = fit.update(distr="probit")
    again = interlace.CrossedOrdinal.from_formula("r ~ x + (1 | g)", data, distr="probit").fit()
    assert probit.objective == pytest.approx(again.objective, abs=1e-8)
    assert list(fit.update(". ~ . - x").params.index) == ["g Var", "0/1", "1/2", "2/3"]


def test_updates_that_cannot_be():
    fit = fitted(FORMULAS["cbpp"], table("cbpp"), family="binomial")
    with pytest.raises(TypeError, match="ddf= has no meaning"):
        fit.update(ddf="satterthwaite")
    with pytest.raises(DesignError, match="exposure= is for the link log"):
        fit.update(exposure="size")
    fit.remove_data()
    with pytest.raises(DesignError, match="give data="):
        fit.update(". ~ . - period")
    assert fit.update(". ~ . - period", table("cbpp")).k_fe == 1
    arrays = interlace.CrossedGLMM([0, 1, 2, 5, 3, 1], groups={"g": [0, 0, 1, 1, 2, 2]}, family="poisson")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        plain = arrays.fit()
    with pytest.raises(DesignError, match="no formula to update"):
        plain.update(". ~ .")


def test_groups_drawn_with_replacement():
    fit = fitted("y ~ x + (1 | g)", sample(4), family="poisson")
    boot = fit.bootstrap(40, "cases", rng=2, progress=False)
    assert boot.kind == "cases"
    assert boot.n_failed == 0
    # 40 replicates of 8 groups: within a factor of two; slopes that the model lacks widen that of x.
    assert 0.5 < boot.bse["Intercept"] / fit.bse["Intercept"] < 2.0
    assert boot.bse["x"] > fit.bse["x"]
    by_hand = fit.bootstrap(3, "cases", statistic=lambda r: r.fe_params, rng=2, progress=False)
    np.testing.assert_allclose(by_hand.replicates, boot.replicates.iloc[:3, :2])
    shares = cbpp().bootstrap(2, "cases", groups="herd", rng=1, progress=False)
    assert np.isfinite(shares.replicates).all(axis=None)
    for kind, options, complaint in [
        ("residual", {}, "counts and categories do not have"),
        ("cases", {"use_u": True}, "keeps the random effects"),
        ("parametric", {"groups": "g"}, "names the levels to draw"),
    ]:
        with pytest.raises(ValueError, match=complaint):
            fit.bootstrap(2, kind, **options)


@pytest.mark.parametrize("family", ["poisson", "gamma", "ordinal"])
def test_robust_errors_are_the_sandwich_of_differences(family):
    data = sample(6, "gamma" if family == "gamma" else "poisson")
    rank = data.groupby("g")["x"].rank(method="first").astype(int)
    kinds = np.array([[0, 0, 0, 1, 2, 3, 1], [0, 0, 1, 3, 2, 3, 3]])
    data["r"] = kinds[data["g"] % 2, rank]  # every category in every group
    if family == "ordinal":
        fit = interlace.CrossedOrdinal.from_formula("r ~ x + (1 | g)", data).fit()
    else:
        fit = fitted("y ~ x + (1 | g)", data, family=family)
    params, steps = np.asarray(fit.params), 1e-5 * np.eye(len(fit.params))
    scores = []
    for g in range(8):
        rows = np.flatnonzero(data["g"] == g)
        part = fit.model.with_design(rows_of(fit, rows))
        scores.append([(part.loglike(params + h) - part.loglike(params - h)) / 2e-5 for h in steps])
    bread = np.asarray(fit.cov_params())
    wanted = bread @ (np.transpose(scores) @ scores) @ bread
    robust = fit.get_robustcov_results(groups="g", kind="CR0")
    # Central differences of the likelihood with this step are good to 1e-5.
    np.testing.assert_allclose(robust.cov_params(), wanted, rtol=2e-3, atol=1e-6)
    np.testing.assert_allclose(fit.get_robustcov_results(groups="g").bse, robust.bse * np.sqrt(8 / 7))
    np.testing.assert_allclose(robust.tvalues, fit.params / robust.bse)
    assert robust.cov_type == "cluster"
    np.testing.assert_array_equal(fit.cov_params(), bread)


def rows_of(fit, rows):
    from interlace.glmm.rows import without

    keep = np.zeros(fit.nobs, dtype=bool)
    keep[rows] = True
    return without(fit.record.design, keep)


def test_clusters_must_be_independent():
    with pytest.raises(UndefinedError, match="have rows in several clusters"):
        bank_fit("b00").get_robustcov_results(groups="s")
    farms = (table("cbpp")["herd"].astype(int) % 5).to_numpy()
    assert np.isfinite(cbpp().get_robustcov_results(groups=farms).bse_fe).all()


@pytest.mark.parametrize(
    ("kind", "options", "panels"),
    [
        ("resid", {"rng": 1}, 1),
        ("qq", {"rng": 1}, 1),
        ("scale-location", {"rng": 1}, 1),
        ("quantile", {"nsim": 19, "rng": 1}, 2),
        ("ranef", {}, 2),
        ("caterpillar", {}, 2),
        ("ranef-pairs", {}, 1),
        ("influence", {}, 1),
        ("profile", {"parm": "x"}, 1),
    ],
)
def test_every_picture_is_drawn(kind, options, panels):
    fit = fitted("y ~ x + (1 + x | g)", sample(4), family="poisson")
    figure = fit.plot(kind, **options)
    assert len(figure.axes) == panels
    plt.close(figure)


def test_pictures_that_are_not_there():
    with pytest.raises(DesignError, match=r"wanted one of.*caterpillar"):
        cbpp().plot("pie")
    with pytest.raises(DesignError, match=r"takes no.*factor"):
        cbpp().plot("resid", factor="herd")
    frame = interlace.diagnostics.ranef_frame(cbpp())
    np.testing.assert_allclose(frame.set_index("level").loc[3, "mode"], cbpp().random_effects["herd"][3])
    np.testing.assert_allclose(frame.set_index("level").loc[3, "sd"], cbpp().random_effects_se["herd"][3])


@pytest.mark.parametrize("distr", ["logit", "probit"])
def test_errors_of_probabilities_are_the_delta_methods(distr):
    data = sample(8).assign(r=lambda d: d["y"].clip(0, 3))
    fit = interlace.CrossedOrdinal.from_formula("r ~ x + (1 | g)", data, distr=distr).fit()
    new = pd.DataFrame({"x": [0.4]})
    found = fit.get_prediction(new, random=False)
    np.testing.assert_allclose(found.predicted, fit.predict(new, random=False))
    family, params = fit.family, np.asarray(fit.params)

    def probabilities(at):
        return family.probabilities(np.array([0.4 * at[0]]), at[2:])[0]

    slopes = np.array(
        [(probabilities(params + h) - probabilities(params - h)) / 2e-6 for h in 1e-6 * np.eye(len(params))]
    )
    wanted = np.sqrt(np.diag(slopes.T @ np.asarray(fit.cov_params()) @ slopes))
    np.testing.assert_allclose(found.se.iloc[0], wanted, rtol=1e-5)
    limits = found.conf_int(0.1)
    assert (limits["lower"] < found.predicted.to_numpy().ravel()).all()
    assert limits["upper"].between(0, 1).all()


def test_an_update_of_a_safe_model_is_safe():
    fit = fitted("y ~ x + (1 | g)", sample(2), family="poisson", safe_formula=True)
    with pytest.raises(FormulaError):
        fit.update(". ~ . + I(__import__('os').getpid() * x)")
    assert fit.update(". ~ . - x").k_fe == 1
