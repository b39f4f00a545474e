"""Generalised models with two grouping factors that are one: what is NaN, and what is as with one of them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import interlace
from interlace.errors import IdentificationWarning

# Searches stop within 1e-4 standard errors of one another.
SAME = 1e-4


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(1)
    n = 240
    frame = pd.DataFrame({"s": rng.integers(0, 12, n), "x": rng.normal(size=n)})
    frame["h"] = "h" + frame["s"].astype(str)
    eta = rng.normal(size=12)[frame["s"]] + 0.5 * frame["x"]
    frame["k"] = rng.poisson(np.exp(0.4 * eta))
    frame["o"] = np.digitize(eta + rng.logistic(size=n), [-1.0, 1.0])
    return frame


def models(bars, data):
    yield interlace.CrossedGLMM.from_formula(f"k ~ x + {bars}", data, family="poisson")
    yield interlace.CrossedOrdinal.from_formula(f"o ~ x + {bars}", data)


def test_two_names_of_one_factor(data):
    pairs = zip(models("(1 | s) + (1 | h)", data), models("(1 | s)", data), strict=True)
    for model, plain in pairs:
        with pytest.warns(IdentificationWarning, match=r"\(1 \| s\) and \(1 \| h\) cannot be told apart"):
            fit = model.fit()
        one = plain.fit()
        assert np.isnan(fit.params[["s Var", "h Var"]]).all()
        assert np.isnan(fit.bse[["s Var", "h Var"]]).all()
        np.testing.assert_allclose(fit.fe_params, one.fe_params, rtol=SAME)
        np.testing.assert_allclose(fit.bse["x"], one.bse["x"], rtol=SAME)
        np.testing.assert_allclose(fit.predict(data.head(3)), one.predict(data.head(3)), rtol=SAME)
        assert np.isnan(np.asarray(fit.predict(data.head(3), random="s"))).all()
        assert fit.random_effects["h"].isna().all()
        assert fit.random_effects_se["h"].isna().all()
        assert not fit.is_singular
        assert "Not determined by the data" in str(fit.summary())
        assert not one.undetermined
