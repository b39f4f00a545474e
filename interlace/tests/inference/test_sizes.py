"""Do tests at 5 % reject 5 % of true hypotheses? On a small design where z tests do not."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from interlace import pls
from interlace.inference import approximation

SIMULATIONS = 600


@pytest.fixture(scope="module")
def p_values():
    """P-values of a true hypothesis about a treatment of subjects: 8 subjects x 5 items, by each method."""
    rng = np.random.default_rng(20)
    subject, item = np.repeat(np.arange(8), 5), np.tile(np.arange(5), 8)
    X = np.column_stack([np.ones(40), subject % 2])
    factors = [pls.GroupingFactor(subject, 8), pls.GroupingFactor(item, 5)]
    terms = [pls.RandomTerm(0, np.ones((40, 1))), pls.RandomTerm(1, np.ones((40, 1)))]
    contrast = np.array([0.0, 1.0])
    found = {name: np.empty(SIMULATIONS) for name in ("normal", "satterthwaite", "kenward-roger")}
    for k in range(SIMULATIONS):
        y = rng.normal(size=8)[subject] + rng.normal(size=5)[item] + rng.normal(size=40)
        fit = pls.fit(factors, terms, X, y)
        for name, p in found.items():
            method = approximation(fit, name)
            t = fit.beta[1] / np.sqrt(contrast @ method.covariance @ contrast)
            p[k] = 2.0 * stats.t.sf(abs(t), method.df(contrast))
    return found


@pytest.mark.parametrize("ddf", ["satterthwaite", "kenward-roger"])
def test_size_is_nominal(p_values, ddf):
    # Three standard errors of a share of 5 % among 600 are 2.7 points.
    assert abs(np.mean(p_values[ddf] < 0.05) - 0.05) < 0.027


def test_z_tests_reject_too_often(p_values):
    assert np.mean(p_values["normal"] < 0.05) > 0.08
