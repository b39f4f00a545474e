"""Dot plots from whatever holds the measure, and residuals by their type."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

import interlace
from interlace.diagnostics import dotplot_frame
from interlace.errors import DesignError
from interlace.tests.fits import fitted

mpl.use("agg")

FIT = fitted("pen").result
FRAME = interlace.hlm_influence(FIT, "sample")
DELETED = interlace.case_delete(FIT, "sample", progress=False)

NAMES = {
    "cooks.distance": "cooksd",
    "cooks_d": "cooksd",
    "mdffits": "mdffits",
    "covratio": "covratio",
    "covtrace": "covtrace",
    "leverage": "leverage.overall",
}


@pytest.mark.parametrize(("name", "column"), NAMES.items())
def test_a_fit_its_frame_and_the_measure_give_one_picture(name, column):
    wanted = dotplot_frame(FRAME[column], name)
    pd.testing.assert_frame_equal(dotplot_frame(FRAME, name), wanted)
    # Rounding: the measure is computed again.
    pd.testing.assert_frame_equal(dotplot_frame(FIT, name, level="sample"), wanted, rtol=1e-10)
    figure = interlace.dotplot_diag(FIT, name, level="sample")
    assert len(figure.axes) == 1
    assert interlace.dotplot_diag(FRAME, name).axes[0].get_xlabel() == figure.axes[0].get_xlabel()


def test_observations_are_the_default():
    assert len(dotplot_frame(FIT)) == FIT.nobs
    pd.testing.assert_frame_equal(dotplot_frame(FIT), dotplot_frame(interlace.cooks_distance(FIT)))


def test_changes_of_variances():
    wanted = dotplot_frame(DELETED.rvc["rvc.plate"], "rvc.plate")
    pd.testing.assert_frame_equal(dotplot_frame(DELETED, "rvc.plate"), wanted)
    pd.testing.assert_frame_equal(dotplot_frame(DELETED.rvc, "rvc.plate"), wanted)
    # The models without a case are fitted again.
    pd.testing.assert_frame_equal(dotplot_frame(FIT, "rvc.plate", level="sample"), wanted, rtol=1e-6)
    with pytest.raises(DesignError, match=r"name='rvc' is no column of the frame; wanted one of \['rvc\.Res"):
        dotplot_frame(DELETED, "rvc")


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(DesignError, match=r"name='dffits'; wanted one of \['cooks.distance'"):
        dotplot_frame(FIT, "dffits")
    with pytest.raises(
        DesignError, match=r"name='dffits' is no column of the frame; wanted one of .'cooksd'"
    ):
        dotplot_frame(FRAME, "dffits")
    for thing in (FRAME, DELETED, FRAME["cooksd"]):
        with pytest.raises(DesignError, match="level='sample' was given with "):
            dotplot_frame(thing, "mdffits", level="sample")


TYPES = {"conditional": (".resid", ".fitted"), "marginal": (".mar.resid", ".mar.fitted")}


@pytest.mark.parametrize(("type_", "columns"), TYPES.items())
def test_residuals_of_one_type(type_, columns):
    pd.testing.assert_frame_equal(
        interlace.hlm_resid(FIT, type=type_), interlace.hlm_resid(FIT)[list(columns)]
    )
    y = FIT.model.endog
    np.testing.assert_allclose(FIT.hlm_resid(type=type_).sum(axis=1), y, rtol=1e-12)


def test_standardized_residuals_of_one_type():
    whole = interlace.hlm_resid(FIT, standardize=True)
    for type_, resid in (("conditional", ".std.resid"), ("marginal", ".chol.mar.resid")):
        assert FIT.hlm_resid(type=type_, standardize=True).columns[0] == resid
        pd.testing.assert_series_equal(FIT.hlm_resid(type=type_, standardize=True)[resid], whole[resid])
    assert list(FIT.hlm_resid(type="ls", standardize="semi")) == [".semi.ls.resid", ".ls.fitted"]


def test_other_types_and_spellings_are_refused():
    with pytest.raises(DesignError, match=r"type='raw'; wanted one of \['conditional', 'marginal', 'ls'\]"):
        interlace.hlm_resid(FIT, type="raw")
    with pytest.raises(DesignError, match="type='marginal' chooses among residuals of observations"):
        interlace.hlm_resid(FIT, "sample", type="marginal")
    with pytest.raises(TypeError, match="for standardized= write standardize="):
        interlace.hlm_resid(FIT, standardized=True)
    with pytest.raises(TypeError, match=r"for full_data= write data\.join\(interlace\.hlm_resid\(result\)\)"):
        interlace.hlm_resid(FIT, full_data=True)
