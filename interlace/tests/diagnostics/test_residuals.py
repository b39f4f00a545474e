"""Least squares by groups, quantile residuals, and what is refused."""

import numpy as np
import pytest
from scipy import stats

import interlace
from interlace.diagnostics.least_squares import groupwise_ols
from interlace.errors import DesignError

SLEEP = interlace.datasets.load_sleepstudy()
FORMULA = "Reaction ~ Days + (Days | Subject)"


@pytest.mark.parametrize("weighted", [False, True])
def test_groupwise_least_squares_is_lstsq_in_every_group(weighted):
    rng = np.random.default_rng(0)
    codes = rng.permutation(np.repeat(np.arange(40), rng.integers(1, 12, 40)))
    n = len(codes)
    # A constant, a slope, a column that is constant within groups, and twice the slope.
    X = np.column_stack([np.ones(n), rng.normal(size=n), codes, np.zeros(n)])
    X[:, 3] = 2.0 * X[:, 1] + 1.0
    y, w = rng.normal(size=n), rng.uniform(0.5, 2.0, n)
    ols = groupwise_ols(X, y, codes, 40, w if weighted else None)
    root = np.sqrt(w) if weighted else np.ones(n)
    for g in range(40):
        own = codes == g
        A = np.column_stack([np.ones(own.sum()), X[own]]) * root[own, None]
        fitted = A @ np.linalg.lstsq(A, y[own] * root[own], rcond=1e-9)[0]
        # Gram-Schmidt twice against an SVD: rounding only.
        assert np.abs(ols.resid[own] - (y[own] * root[own] - fitted)).max() < 1e-10
        assert np.abs(ols.hat[own] - np.diag(A @ np.linalg.pinv(A, rcond=1e-9))).max() < 1e-10
        slopes = min(1, int(own.sum()) - 1)
        assert np.isnan(ols.coef[g]).sum() == 4 - slopes


def test_model_without_an_intercept_keeps_its_predictor():
    result = interlace.fit("Reaction ~ 0 + Days + (1 | Subject)", SLEEP)
    with_intercept = interlace.fit("Reaction ~ Days + (1 | Subject)", SLEEP)
    ours, theirs = (interlace.hlm_resid(r)[".ls.resid"] for r in (result, with_intercept))
    assert np.abs(ours - theirs).max() < 1e-9  # one OLS with intercept and Days per subject in both


def test_offset_belongs_to_the_fitted_values():
    frame = SLEEP.assign(known=SLEEP["Days"] * 3.0, less=SLEEP["Reaction"] - SLEEP["Days"] * 3.0)
    moved = interlace.hlm_resid(interlace.fit(FORMULA, frame, offset="known"))
    plain = interlace.hlm_resid(interlace.fit("less ~ Days + (Days | Subject)", frame))
    for column in (".resid", ".mar.resid", ".ls.resid"):
        assert np.abs(moved[column] - plain[column]).max() < 1e-6  # two fits: theta to 1e-7
    for column in (".fitted", ".mar.fitted", ".ls.fitted"):
        assert np.abs(moved[column] - frame["known"] - plain[column]).max() < 1e-6


def test_quantile_residuals_are_uniform_under_the_model():
    frame = interlace.datasets.make_reading_times(60, 30, rng=8)
    result = interlace.fit("rt ~ condition + (condition | subject) + (1 | item)", frame)
    found = interlace.hlm_resid(result, kind="quantile", rng=1)[".quantile.resid"]
    assert found.between(0, 1).all()
    # 1800 rows, correlated within 60 subjects: of 200 seeds the largest distance was below this.
    assert stats.kstest(found, "uniform").statistic < 0.08


def test_quantile_residuals_are_the_marginal_distribution_function():
    result = interlace.fit(FORMULA, SLEEP)
    simulated = interlace.hlm_resid(result, kind="quantile", nsim=4000, rng=3)[".quantile.resid"]
    exact = stats.norm.cdf(interlace.diagnostics.resid_marginal(result, "pearson"))
    # Five standard errors of a proportion from 4000 draws.
    assert np.abs(simulated - exact).max() < 5 * 0.5 / np.sqrt(4000)
    again = interlace.hlm_resid(result, kind="quantile", nsim=4000, rng=3)[".quantile.resid"]
    assert (simulated == again).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"standardize": "full"}, "standardize='full'"),
        ({"kind": "pearson"}, "kind='pearson'"),
        ({"level": "Subjekt"}, "neither a grouping factor"),
        ({"level": 2}, "level='2'"),
        ({"kind": "quantile", "nsim": 0}, "nsim=0"),
        ({"kind": "quantile", "level": "Subject"}, "belong to observations"),
    ],
)
def test_refusals(options, message):
    with pytest.raises(DesignError, match=message):
        interlace.hlm_resid(interlace.fit(FORMULA, SLEEP), **options)


def test_a_frame_is_no_fitted_model():
    with pytest.raises(TypeError, match="not DataFrame"):
        interlace.hlm_resid(SLEEP)
