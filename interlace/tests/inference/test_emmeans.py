"""Marginal means against emmeans, and their averages and adjustments against definitions."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy import stats

import interlace
from interlace.errors import InferenceError, RankDeficiencyWarning
from interlace.inference.adjustment import adjusted
from interlace.inference.emmeans import contrast_weights
from interlace.tests.fits import fitted

from .tables import column, having, reference

DDF = {"asymptotic": "normal", "satterthwaite": "satterthwaite", "kenward-roger": "kenward-roger"}
# Standard errors follow theta, which agrees with lme4's to 1e-7 of its size.
SE, DF = 1e-6, 1e-6


def cases():
    return [(name, ddf) for name in having("emmeans") for ddf in reference(name, "emmeans")]


@pytest.mark.parametrize(("name", "ddf"), cases())
def test_means(name, ddf):
    known = reference(name, "emmeans")[ddf]
    table = known["means"]
    frame = fitted(name).result.emmeans(known["specs"], ddf=DDF[ddf]).frame
    low = next(key for key in table["columns"] if key.endswith("LCL") or key == "lower.CL")
    high = low.replace("LCL", "UCL").replace("lower", "upper")
    assert frame[known["specs"]].astype(str).tolist() == table["columns"][known["specs"]]
    assert_allclose(frame["emmean"], column(table, "emmean"), rtol=1e-8)
    assert_allclose(frame["std_error"], column(table, "SE"), rtol=SE)
    assert_allclose(frame["conf_low"], column(table, low), rtol=SE)
    assert_allclose(frame["conf_high"], column(table, high), rtol=SE)
    assert_allclose(frame["df"], np.inf if ddf == "asymptotic" else column(table, "df"), rtol=DF)


@pytest.mark.parametrize(("name", "ddf"), cases())
def test_pairs(name, ddf):
    known = reference(name, "emmeans")[ddf]
    table = known["pairs_unadjusted"]
    ours = fitted(name).result.emmeans(known["specs"], ddf=DDF[ddf]).contrasts("pairwise", adjust="none")
    assert list(ours.columns) == ["contrast", "estimate", "std_error", "df", "statistic", "p_value"]
    assert ours["contrast"].tolist() == table["columns"]["contrast"]
    assert_allclose(ours["estimate"], column(table, "estimate"), rtol=1e-7)
    assert_allclose(ours["std_error"], column(table, "SE"), rtol=SE)
    assert_allclose(ours["p_value"], column(table, "p.value"), rtol=1e-5)


@pytest.fixture(scope="module")
def unbalanced():
    rng = np.random.default_rng(4)
    n = 240
    data = pd.DataFrame({"g": np.arange(n) % 12, "x": rng.normal(2.0, 1.0, n)})
    data["a"] = pd.Categorical(rng.choice(["lo", "mid", "hi"], n), categories=["lo", "mid", "hi"])
    data["b"] = rng.choice(["u", "v"], n, p=[0.8, 0.2])
    data["y"] = rng.normal(size=12)[data.g] + data.x * (data.b == "u") + rng.normal(size=n)
    fit = interlace.fit("y ~ a * b + np.log(x + 10) + (1 | g)", data)
    return data, fit


@pytest.mark.parametrize("weights", ["equal", "proportional"])
def test_means_are_averages_of_predictions(unbalanced, weights):
    data, fit = unbalanced
    means = fit.emmeans("a", weights=weights).frame
    share = {"u": 0.5, "v": 0.5} if weights == "equal" else data["b"].value_counts(normalize=True)
    for _, row in means.iterrows():
        at = [{"a": row["a"], "b": b, "x": data["x"].mean()} for b in ("u", "v")]
        predicted = fit.predict(pd.DataFrame(at), random=False).to_numpy()
        assert_allclose(row["emmean"], predicted @ [share["u"], share["v"]], rtol=1e-12)


def test_by_and_at(unbalanced):
    _, fit = unbalanced
    means = fit.emmeans("a", by="b", at={"x": 5.0, "a": ["lo", "hi"]})
    assert means.frame[["b", "a"]].to_numpy().tolist() == [["u", "lo"], ["u", "hi"], ["v", "lo"], ["v", "hi"]]
    predicted = fit.predict({"b": ["u", "u", "v", "v"], "a": ["lo", "hi"] * 2, "x": [5.0] * 4}, random=False)
    assert_allclose(means.frame["emmean"], predicted, rtol=1e-12)
    table = means.contrasts("treatment")
    assert table[["b", "contrast"]].to_numpy().tolist() == [["u", "hi - lo"], ["v", "hi - lo"]]
    assert_allclose(table["estimate"], np.diff(predicted.to_numpy())[[0, 2]], rtol=1e-10)


def test_an_offset_enters_by_its_mean():
    fit = fitted("ss_offset").result
    days = fit.model.data.frame["Days"].mean()
    prediction = fit.fe_params @ [1.0, days] + fit.model.design.offset.mean()
    assert_allclose(fit.emmeans([]).frame["emmean"], prediction, rtol=1e-10)


def test_means_that_empty_cells_leave_undetermined_are_missing(unbalanced):
    data, _ = unbalanced
    data = data[~((data["a"] == "hi") & (data["b"] == "v"))]
    with pytest.warns(RankDeficiencyWarning):
        fit = interlace.fit("y ~ a * b + (1 | g)", data)
    with pytest.warns(RankDeficiencyWarning, match="1 of 6 means are NaN"):
        means = fit.emmeans(["a", "b"])
    lost = means.frame["emmean"].isna()
    assert means.frame.loc[lost, ["a", "b"]].to_numpy().tolist() == [["hi", "v"]]
    assert means.contrasts()["p_value"].isna().sum() == 5
    with pytest.warns(RankDeficiencyWarning, match="1 of 3 means are NaN"):
        assert fit.emmeans("a").frame["emmean"].isna().tolist() == [False, False, True]


def test_tukey_is_that_of_scipy():
    """One-way layout, equal groups: statistics and degrees of freedom as SciPy's tukey_hsd has them."""
    rng = np.random.default_rng(0)
    groups = [rng.normal(m, 1.0, 8) for m in (0.0, 0.5, 2.0)]
    known = stats.tukey_hsd(*groups).pvalue
    pooled = np.mean([group.var(ddof=1) for group in groups])
    pairs = [(0, 1), (0, 2), (1, 2)]
    t = np.array([(groups[i].mean() - groups[j].mean()) / np.sqrt(pooled / 4.0) for i, j in pairs])
    df = np.full(3, 21.0)
    ours = adjusted(2.0 * stats.t.sf(np.abs(t), df), t, df, "tukey", 3)
    assert_allclose(ours, [known[pair] for pair in pairs], rtol=1e-7)


def test_tukey_with_infinite_degrees_of_freedom():
    """R: ptukey(2.5 * sqrt(2), 3, Inf, lower.tail = FALSE)."""
    ours = adjusted(np.array([0.0124]), np.array([2.5]), np.array([np.inf]), "tukey", 3)
    # The range of three independent normals, by quadrature.
    x = np.linspace(-9.0, 9.0, 20001)
    inside = 3.0 * stats.norm.pdf(x) * (stats.norm.cdf(x) - stats.norm.cdf(x - 2.5 * np.sqrt(2.0))) ** 2
    assert_allclose(ours, 1.0 - np.trapezoid(inside, x), rtol=1e-5)


@pytest.mark.parametrize(
    ("adjust", "expected"),
    [
        ("none", [0.01, 0.04, 0.03]),
        ("holm", [0.03, 0.06, 0.06]),
        ("bonferroni", [0.03, 0.12, 0.09]),
        ("fdr", [0.03, 0.04, 0.04]),
        ("sidak", 1.0 - (1.0 - np.array([0.01, 0.04, 0.03])) ** 3),
    ],
)
def test_adjustments_by_hand(adjust, expected):
    p = np.array([0.01, 0.04, 0.03])
    assert_allclose(adjusted(p, p, p, adjust, 3), expected, rtol=1e-12)


def test_orthogonal_polynomials_are_those_of_the_tables():
    """Fisher & Yates, table XXIII."""
    names, weights = contrast_weights("polynomial", list("abcd"))
    assert names == ["linear", "quadratic", "cubic"]
    assert weights.tolist() == [[-3, -1, 1, 3], [1, -1, -1, 1], [-1, 3, -3, 1]]
    assert contrast_weights("polynomial", list("abcde"))[1][2].tolist() == [-1, 2, 0, -2, 1]


def test_consecutive_differences(unbalanced):
    _, fit = unbalanced
    means = fit.emmeans("a")
    table = means.contrasts("consecutive", adjust="none")
    assert table["contrast"].tolist() == ["mid - lo", "hi - mid"]
    assert_allclose(table["estimate"], np.diff(means.frame["emmean"]), rtol=1e-10)


def test_what_is_not_there_is_refused(unbalanced):
    _, fit = unbalanced
    with pytest.raises(InferenceError, match=r"\['g'\] are no variables of the fixed part"):
        fit.emmeans("g")
    with pytest.raises(InferenceError, match="no categories of 'a'"):
        fit.emmeans("a", at={"a": ["low"]})
    with pytest.raises(ValueError, match="weights='cells'"):
        fit.emmeans("a", weights="cells")
    with pytest.raises(ValueError, match="kind='all'"):
        fit.emmeans("a").contrasts("all")
    with pytest.raises(ValueError, match="adjust='magic'"):
        fit.emmeans("a").contrasts(adjust="magic")
    groups = np.arange(20) % 5
    arrays = interlace.CrossedLMM(groups + np.arange(20.0) % 3, np.ones(20), groups=groups).fit()
    with pytest.raises(InferenceError, match="built from arrays"):
        arrays.emmeans("x1")
