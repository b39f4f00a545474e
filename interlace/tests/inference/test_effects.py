"""The tests as methods of the results: spellings, defaults, storage."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose

import interlace
from interlace.errors import DesignError, InferenceError
from interlace.tests.fits import fitted


@pytest.fixture
def fit():
    return interlace.fit("Reaction ~ Days + (Days | Subject)", interlace.datasets.load_sleepstudy())


def test_kenward_roger_of_maximum_likelihood_is_refused_before_fitting(fit, monkeypatch):
    monkeypatch.setattr("interlace.pls.fit", None)
    with pytest.raises(InferenceError, match="Kenward and Roger's method rests on REML estimates"):
        fit.model.fit(reml=False, ddf="kenward-roger")


def test_an_unknown_method_is_refused(fit):
    with pytest.raises(ValueError, match="ddf='exact' is not offered"):
        fit.coef_table("exact")


def test_fit_says_which_method_is_the_default():
    sleep = interlace.datasets.load_sleepstudy()
    fit = interlace.fit("Reaction ~ Days + (Days | Subject)", sleep, ddf="normal")
    assert np.isinf(fit.coef_table()["df"]).all()
    assert "P>|z|" in fit.summary().as_text()


def test_summary_shows_degrees_of_freedom(fit):
    text = fit.summary().as_text()
    assert "P>|t|" in text
    assert "Satterthwaite" in text
    line = next(line.split() for line in text.splitlines() if line.startswith("Days"))
    # lmerTest: 10.467, 1.546, 17, 6.771, 3.26e-06; limits from t with 17 degrees of freedom.
    assert line == ["Days", "10.467", "1.546", "17.0", "6.771", "0.000", "7.206", "13.729"]


def test_after_storage_everything_can_be_asked(fit):
    again = pickle.loads(pickle.dumps(fit))
    for method in ("coef_table", "anova", "ranova", "drop1"):
        assert_allclose(getattr(again, method)(), getattr(fit, method)(), rtol=1e-8)
    assert_allclose(again.coef_table("kenward-roger"), fit.coef_table("kenward-roger"), rtol=1e-8)


def test_without_data_the_tables_of_coefficients_remain(fit):
    before, summary = fit.coef_table(), fit.summary().as_text()
    fit.remove_data()
    assert_allclose(fit.coef_table(), before)
    assert fit.summary().as_text() == summary
    for ask in (fit.ranova, fit.drop1, fit.r2, fit.anova, lambda: fit.coef_table("kenward-roger")):
        with pytest.raises(DesignError, match="rows of the data are gone"):
            ask()


def test_a_singular_fit_has_every_table():
    result = fitted("dyestuff2").result
    assert_allclose(result.coef_table()["df"], 29.0, rtol=1e-8)
    # Where the method of Kenward and Roger uses the information about the variance that is estimated as 0.
    assert_allclose(result.coef_table("kenward-roger")["df"], 5.0, rtol=1e-8)
    assert result.ranova()["p_value"].iloc[1] == 1.0
    assert len(result.anova()) == 0
