"""Ordered categories: statsmodels' OrderedModel, ordinal's clmm, and laws."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import special
from statsmodels.miscmodels.ordinal_model import OrderedModel

import interlace
from interlace import CrossedOrdinal
from interlace.errors import DesignError, UndefinedError

from .fits import CATEGORIES, fitted, ordinal, table


def test_the_deviance_is_clmms():
    # ordinal::clmm and the prototype of the notes: 12732.00068947.
    assert ordinal().objective == pytest.approx(12732.00068947, abs=1e-6)
    assert list(ordinal().thresholds.index) == ["no/perhaps", "perhaps/yes"]


@pytest.mark.parametrize("distr", ["logit", "probit"])
def test_without_variance_it_is_statsmodels(distr):
    rng = np.random.default_rng(5)
    n = 240
    data = pd.DataFrame({"x": rng.standard_normal(n)})
    latent = 0.7 * data["x"] + rng.logistic(size=n)
    data["y"] = pd.cut(latent, [-np.inf, -1, 1, np.inf], labels=["low", "mid", "high"])
    data["g"] = data.sort_values(["y", "x"]).assign(g=np.tile([0, 1, 2, 3, 3, 2, 1, 0], n // 8))["g"]
    model = CrossedOrdinal.from_formula("y ~ x + (1 | g)", data, distr=distr)
    with pytest.warns(interlace.errors.SingularFitWarning):
        fit = model.fit()
    other = OrderedModel(data["y"], data[["x"]], distr=distr)
    reference = other.fit(method="bfgs", disp=0, gtol=1e-6)
    assert fit.llf == pytest.approx(reference.llf, abs=1e-6)
    assert fit.params["x"] == pytest.approx(reference.params["x"], abs=1e-4)
    assert fit.bse["x"] == pytest.approx(reference.bse["x"], rel=1e-3)
    assert list(fit.thresholds.index) == list(reference.params.index[1:])
    thresholds = other.transform_threshold_params(np.asarray(reference.params))[1:-1]
    np.testing.assert_allclose(fit.thresholds, thresholds, atol=1e-4)
    np.testing.assert_allclose(fit.predict(), reference.predict(), atol=1e-4)


def test_two_categories_are_a_binomial_model():
    d = table("verbagg")
    formula = "r2 ~ Anger + situ + (1 | id)"
    binary = fitted("(r2 == 'Y') ~ Anger + situ + (1 | id)", d, family="binomial")
    own = d.assign(r2=pd.Categorical(d["r2"], ["N", "Y"], ordered=True))
    two = CrossedOrdinal.from_formula(formula, own).fit()
    assert two.llf == pytest.approx(binary.llf, abs=1e-7)
    np.testing.assert_allclose(two.fe_params, binary.fe_params[["Anger", "situ[T.self]"]], atol=1e-5)
    assert two.thresholds["N/Y"] == pytest.approx(-binary.params["Intercept"], abs=1e-5)
    np.testing.assert_allclose(two.predict()["Y"], binary.predict(), atol=1e-6)
    np.testing.assert_allclose(
        two.predict(which="marginal")["Y"], binary.predict(which="marginal"), atol=1e-5
    )


def test_probabilities():
    fit, d = ordinal(), table("verbagg").head(5)
    found = fit.predict(d)
    assert list(found.columns) == CATEGORIES
    np.testing.assert_allclose(found.sum(axis=1), 1.0)
    eta = fit.predict(d, which="linear")
    np.testing.assert_allclose(found["no"], special.expit(fit.thresholds["no/perhaps"] - eta))
    np.testing.assert_allclose(fit.predict(d, which="cumulative")["perhaps"], found["no"] + found["perhaps"])
    np.testing.assert_allclose(fit.predict().head(5), found)
    probit = CrossedOrdinal.from_formula("resp ~ Anger + (1 | id)", table("verbagg"), distr="probit").fit()
    spread = np.sqrt(1.0 + probit.params["id Var"])
    eta = probit.predict(d, which="linear", random=False)
    np.testing.assert_allclose(
        probit.predict(d, which="marginal")["no"],
        special.ndtr((probit.thresholds["no/perhaps"] - eta) / spread),
        rtol=1e-8,
    )
    assert list(fit.augment().filter(like=".prob_")) == [f".prob_{name}" for name in CATEGORIES]


def test_numbers_are_categories_and_absent_ones_have_no_threshold():
    data = {"y": [1, 1, 2, 5, 5, 2, 1, 1, 1, 5, 2, 5], "g": list("aaabbbcccddd")}
    fit = CrossedOrdinal.from_formula("y ~ 1 + (1 | g)", data).fit()
    assert list(fit.params.index) == ["g Var", "1/2", "2/5"]
    words = {**data, "y": pd.Categorical([f"{v}" for v in data["y"]], list("12345"), ordered=True)}
    again = CrossedOrdinal.from_formula("y ~ 1 + (1 | g)", words).fit()
    assert again.llf == fit.llf
    assert fit.simulate(2, rng=1).isin([0, 1, 2]).all().all()


@pytest.mark.parametrize(
    ("formula", "options", "complaint"),
    [
        ("y ~ 0 + x + (1 | g)", {}, "must not leave out the intercept"),
        ("w ~ x + (1 | g)", {}, "without an order"),
        ("one ~ x + (1 | g)", {}, "1 category"),
    ],
)
def test_refused_models(formula, options, complaint):
    data = {
        "y": [1, 2, 5, 2, 5, 5, 1, 1, 2, 2, 1, 5],
        "w": list("abcabcabcabc"),
        "one": [1] * 12,
        "x": range(12),
        "g": list("aaabbbcccddd"),
    }
    with pytest.raises(DesignError, match=complaint):
        CrossedOrdinal.from_formula(formula, data, **options)


def test_other_refusals():
    fit = ordinal()
    with pytest.raises(TypeError, match="from a formula"):
        CrossedOrdinal([1, 2], groups=[0, 1])
    with pytest.raises(ValueError, match="distr='cauchit' is not offered"):
        CrossedOrdinal.from_formula("resp ~ 1 + (1 | id)", table("verbagg"), distr="cauchit")
    with pytest.raises(TypeError, match=r"does not know .* family"):
        CrossedOrdinal.from_formula("resp ~ 1 + (1 | id)", table("verbagg"), family="binomial")
    for call in (
        lambda: fit.fittedvalues,
        lambda: fit.resid,
        fit.check_dispersion,
        fit.check_zeros,
    ):
        with pytest.raises(UndefinedError):
            call()
    with pytest.raises(ValueError, match="have no mean"):
        fit.emmeans("btype", type="response")
