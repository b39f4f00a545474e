"""What a notebook shows of a fit and of many."""

from __future__ import annotations

import numpy as np

import interlace
from interlace.tests.fits import fitted

SLEEP = interlace.datasets.load_sleepstudy()


def test_a_fit_is_shown_as_its_table():
    result = fitted("ss_slope").result
    assert result._repr_html_() == result.to_html()
    assert "<td" in result._repr_html_()
    # IPython asks any object for this name first, and shows nothing of one that has every name.
    assert not hasattr(result, "_ipython_canary_method_should_not_exist_")


def test_a_fit_without_its_rows_is_shown_too():
    result = interlace.fit("Reaction ~ Days + (1 | Subject)", SLEEP)
    before = result._repr_html_()
    result.remove_data()
    # Explained shares of the variance need the rows.
    left = [line for line in before.splitlines() if ">R² " not in line]
    assert result._repr_html_().splitlines() == left


def test_many_fits_are_a_row_each():
    assert np.log(1.0) == 0.0  # the formula's np is that of the caller
    data = SLEEP.assign(constant=1.0)
    fits = interlace.fit_many("~ Days + (1 | Subject)", data, ["Reaction", "np.log(Reaction)", "constant"])
    shown = fits._repr_html_()
    for response in fits:
        assert f"<th>{response}</th>" in shown
    assert "&lt;ManyResults: 2 fitted, 0 singular, 1 failed&gt;" in shown
    assert "<li>constant: " in shown


def test_no_fit_at_all_is_shown():
    fits = interlace.fit_many("~ Days + (1 | Subject)", SLEEP.assign(a=1.0), ["a"])
    assert "0 fitted" in fits._repr_html_()
    assert "<table" not in fits._repr_html_()
