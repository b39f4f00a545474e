"""The same model from every start, by every factorization: one optimum."""

from __future__ import annotations

import numpy as np
import pytest

import interlace
from interlace.tests.fits import fitted

NAMES = ["ss_slope", "pen", "dyestuff2", "simx_slope", "ss_offset"]


@pytest.mark.parametrize("name", NAMES)
def test_all_agree_with_the_fit(name):
    result = fitted(name).result
    found = interlace.all_fit(result, starts={"estimate": result.theta})
    assert set(found.index.get_level_values("solver")) == {"blocked", "cholmod"}
    assert list(found.loc["blocked"].index) == ["moments", "small", "unit", "large", "estimate"]
    assert found["converged"].all()
    # Certified optima are within 1e-6 of the least deviance.
    assert found["excess"].between(0.0, 1e-6).all()
    assert found["objective"].min() == pytest.approx(result.objective, abs=1e-6)
    # Which moves estimates by less than a thousandth of a standard error.
    k = result.k_fe
    gap = (found[list(result.params.index[:k])] - result.fe_params) / result.bse_fe
    assert np.abs(gap.to_numpy()).max() < 1e-3


def test_a_start_of_another_length_is_refused():
    with pytest.raises(ValueError, match=r"start_params has shape \(2,\); give 3 finite numbers"):
        interlace.all_fit(fitted("ss_slope").result, starts={"mine": [1.0, 0.0]})


def test_only_fits_are_fitted_again():
    with pytest.raises(TypeError, match="a fitted model was wanted, not CrossedLMM"):
        interlace.all_fit(fitted("ss_slope").result.model)
