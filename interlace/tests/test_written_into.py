"""Writing into what a fit hands out changes nothing of the fit."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
import pandas as pd
import pytest

import interlace

NAMES = [
    "params", "fe_params", "bse", "bse_fe", "bse_re", "tvalues", "pvalues", "theta", "random_effects",
    "vcomp", "random_effects_se", "random_effects_cov", "varcov", "ngroups", "group_sizes",
    "fittedvalues", "resid",
    "normalized_cov_params",
]  # fmt: skip
LINEAR = ["cov_re", "variance_components", "fittedvalues_marginal"]


def scribble(value):
    """Write into it, or be refused."""
    if isinstance(value, dict):
        for part in value.values():
            scribble(part)
    if isinstance(value, dict | float):
        return
    target = value.iloc if isinstance(value, pd.DataFrame | pd.Series) else value
    with suppress(ValueError):  # numpy's refusal, "read-only"
        target[(0,) * np.ndim(value)] = -999


def flat(value):
    parts = value.values() if isinstance(value, dict) else [value]
    return np.concatenate([np.asarray(part, dtype=float).ravel() for part in parts])


@pytest.fixture(params=["linear", "generalised"])
def fit(request):
    sleep = interlace.datasets.load_sleepstudy()
    if request.param == "linear":
        return interlace.fit("Reaction ~ Days + (Days | Subject)", sleep)
    counts = sleep.assign(k=(sleep["Reaction"] // 40).astype(int))
    return interlace.fit("k ~ Days + (1 | Subject)", counts, family="gaussian(log)")


@pytest.mark.parametrize("plain", [False, True])
def test_nothing_of_a_fit_can_be_written_to(fit, plain):
    kind = LINEAR if isinstance(fit, interlace.CrossedLMMResults) or hasattr(fit, "cov_re") else []
    results = fit._results if plain else fit
    for name in [*NAMES, *kind]:
        before = flat(getattr(results, name)).copy()
        scribble(getattr(results, name))
        np.testing.assert_array_equal(flat(getattr(results, name)), before, err_msg=name)
    before = np.array(results.cov_params())
    scribble(results.cov_params())
    np.testing.assert_array_equal(np.array(results.cov_params()), before)
