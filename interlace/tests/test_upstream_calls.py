"""What the README of the distribution interlace-lme calls, on data of ours: the same, or our spelling."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from statsmodels.regression.mixed_linear_model import MixedLM

import interlace
from interlace import (
    CrossedLMMResults,
    dotplot_diag,
    fit,
    hlm_augment,
    hlm_influence,
    hlm_resid,
    leverage,
)

mpl.use("agg")

DATA = interlace.datasets.load_penicillin().assign(x=np.resize([0.0, 1.0, 3.0], 144))
GROUPS = ["plate", "sample"]


@pytest.fixture(scope="module")
def result():
    return fit(formula="diameter ~ x", data=DATA, groups=GROUPS)


def test_the_quick_start(result):
    assert list(result.fe_params.index) == ["Intercept", "x"]
    assert list(result.variance_components) == [*GROUPS, "Residual"]
    # lme4's figures for penicillin, which an effect of nothing hardly moves: JSS 67(1), section 2.
    assert result.scale == pytest.approx(0.55**2, rel=0.02)
    assert result.variance_components["plate"] == pytest.approx(0.847**2, rel=0.02)


def test_one_group_may_be_text():
    one, other = (fit("diameter ~ x", DATA, groups=groups) for groups in ("plate", ["plate"]))
    assert one.llf == other.llf


def test_methods_and_degrees_of_freedom():
    ml = fit("diameter ~ x", DATA, groups=GROUPS, method="ML")
    assert (ml.method, ml.reml) == ("ML", False)
    kr = fit("diameter ~ x", DATA, groups=GROUPS, method="REML", ddf="kenward-roger")
    # In a balanced design the two agree; here nearly.
    frame = pd.concat([kr.coef_table()["df"], kr.coef_table("satterthwaite")["df"]], axis=1)
    assert np.ptp(frame.to_numpy(), axis=1).max() < 1.0
    with pytest.raises(TypeError, match="for df_method= write ddf="):
        fit("diameter ~ x", DATA, groups=GROUPS, df_method="satterthwaite")
    for keyword, ours in (("theta0", "start_params="), ("optimizer", "leave optimizer= out: there is one")):
        with pytest.raises(TypeError, match=ours):
            fit("diameter ~ x", DATA, groups=GROUPS, **{keyword: "bobyqa"})
    with pytest.raises(TypeError, match="leave correlation= out: residuals are independent"):
        fit("diameter ~ x", DATA, groups=GROUPS, correlation="ar1")


@pytest.mark.parametrize(
    ("name", "ours"),
    [
        ("glmer", r"write interlace\.fit\(formula, data, family="),
        ("clmm", r"write interlace\.CrossedOrdinal"),
        ("coxme", "this package fits linear and generalised linear mixed models"),
        ("plot_resid", r'write result\.plot\("resid"\)'),
        ("plot_influence", r'write result\.plot\("influence"\)'),
    ],
)
def test_what_is_not_here_says_so(name, ours):
    with pytest.raises(ImportError, match=ours):
        exec(f"from interlace import {name}")


def test_diagnostics(result):
    assert list(hlm_resid(result, type="conditional")) == [".resid", ".fitted"]
    assert list(hlm_resid(result, type="marginal")) == [".mar.resid", ".mar.fitted"]
    assert leverage(result)["overall"].between(0.0, 1.0).all()
    # The trace of the part of the hat matrix that is the fixed effects' is their number.
    assert leverage(result)["fixef"].sum() == pytest.approx(2.0, abs=1e-8)
    influence = hlm_influence(result, level=1)
    assert {"cooksd", "mdffits", "covtrace", "covratio"} <= set(influence)
    augmented = hlm_augment(result, data=DATA)
    assert set(DATA) | set(hlm_resid(result)) | set(influence) == set(augmented)


def test_fits_of_mixedlm_are_to_be_fitted_here():
    theirs = MixedLM.from_formula("diameter ~ x", DATA, groups="plate").fit()
    for diagnose in (hlm_resid, hlm_influence, hlm_augment, leverage):
        with pytest.raises(TypeError, match=r"not MixedLMResultsWrapper; give what interlace\.fit or"):
            diagnose(theirs)


def test_pictures(result):
    influence = hlm_influence(result, level=1)
    with pytest.raises(TypeError, match=r"dotplot_diag does not know .* variable; for variable= write name="):
        dotplot_diag(influence, variable="cooks_d", cutoff="internal")
    for figure in (
        result.plot("resid"),
        result.plot("influence"),
        dotplot_diag(influence, "cooks_d", cutoff="internal"),
        dotplot_diag(result, "cooks_d", cutoff="internal", level="plate"),
    ):
        assert isinstance(figure, mpl.figure.Figure)


def test_a_drop_in_for_mixedlm(result):
    theirs = MixedLM.from_formula("diameter ~ x", DATA, groups="plate").fit()
    ours = fit("diameter ~ x", DATA, groups="plate")
    assert isinstance(ours._results, CrossedLMMResults)
    np.testing.assert_allclose(ours.fe_params, theirs.fe_params, rtol=1e-6)
    np.testing.assert_allclose(ours.scale, theirs.scale, rtol=1e-4)  # MixedLM's search stops earlier
    np.testing.assert_allclose(ours.resid, theirs.resid, atol=1e-3)
    np.testing.assert_allclose(ours.fittedvalues, theirs.fittedvalues, atol=1e-3)
    np.testing.assert_array_equal(ours.model.exog, theirs.model.exog)
    np.testing.assert_array_equal(ours.model.groups, theirs.model.groups)
    assert ours.model.data.frame is DATA
    np.testing.assert_allclose(ours.predict(DATA, random=False), theirs.predict(DATA), rtol=1e-6)
    effects = pd.concat(theirs.random_effects)
    np.testing.assert_allclose(ours.random_effects["plate"], effects, atol=1e-3)
    assert list(result.model.groups) == GROUPS
