"""Updated formulas: text against text, and fits against fits of the formula written out."""

from __future__ import annotations

import numpy as np
import pytest

import interlace
from interlace.errors import DesignError, FormulaError
from interlace.formula.grammar import parse_formula
from interlace.formula.updating import updated
from interlace.tests.fits import fitted


@pytest.fixture(scope="module")
def sleep():
    return interlace.datasets.load_sleepstudy()


@pytest.fixture(scope="module")
def result(sleep):
    return interlace.fit("Reaction ~ Days + (Days | Subject)", sleep)


def bars_of(formula):
    from interlace.formula.bars import expand_double

    return [bar for raw in formula.random for bar in expand_double(raw)]


@pytest.mark.parametrize(
    ("old", "change", "expected"),
    [
        ("y ~ x + (1 | g)", ". ~ .", "y ~ x + (1 | g)"),
        ("y ~ x + z + (1 | g)", ". ~ . - x", "y ~ z + (1 | g)"),
        ("y ~ x * z + (1 | g)", ". ~ . - x:z", "y ~ x + z + (1 | g)"),
        ("y ~ x + (1 | g)", ". ~ . + z", "y ~ x + z + (1 | g)"),
        ("y ~ x + (1 | g)", "~ . + z", "y ~ x + z + (1 | g)"),
        ("y ~ x + (1 | g)", ". ~ . - 1", "y ~ 0 + x + (1 | g)"),
        ("y ~ x + (1 | g)", ". ~ . - x", "y ~ 1 + (1 | g)"),
        ("y ~ x + (1 | g)", ". ~ .:z", "y ~ x:z + (1 | g)"),
        ("y ~ x + (1 | g)", "np.log(.) ~ .", "np.log(y) ~ x + (1 | g)"),
        ("y ~ x + (1 | g)", "w ~ .", "w ~ x + (1 | g)"),
        ("y ~ x + (1 | g)", ". ~ . + (1 | h)", "y ~ x + (1 | g) + (1 | h)"),
        ("y ~ x + (x | g)", ". ~ . - (x | g) + (1 | g)", "y ~ x + (1 | g)"),
        ("y ~ x + (1 + x | g)", ". ~ . - (x | g) + (x || g)", "y ~ x + (1 | g) + (0 + x | g)"),
        ("y ~ x + (1 | a/b)", ". ~ . - (1 | a/b) + (1 | b)", "y ~ x + (1 | b)"),
        ("y ~ x + (1 | a/b)", ". ~ . - (1 | a)", "y ~ x + (1 | a:b)"),
        ("y ~ x + (1 | g)", ". ~ z + (1 | h)", "y ~ z + (1 | h)"),
        ("y ~ x + offset(o) + (1 | g)", ". ~ . - offset(o)", "y ~ x + (1 | g)"),
        ("y ~ x + offset(o) + (1 | g)", ". ~ . - x", "y ~ 1 + offset(o) + (1 | g)"),
        ("y ~ x + (1 | g)", ". ~ . + offset(o)", "y ~ x + offset(o) + (1 | g)"),
        ("y ~ x + (1 | g)", ". ~ . + (1 | g)", "y ~ x + (1 | g)"),
    ],
)
def test_formulas(old, change, expected):
    formula = parse_formula(old)
    assert str(updated(formula, bars_of(formula), change)) == expected


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (". ~ . - (1 | h)", "takes away (1 | h), which the model does not have"),
        (". ~ . -", "a term is missing at the end"),
        ("z", "cannot update by"),
        (". ~", "cannot update by"),
        (". ~ - .", "takes the whole formula away"),
        (". ~ . - offset(z)", 'no offset "z" to take away'),
    ],
)
def test_what_cannot_be_read_is_refused(change, complaint):
    formula = parse_formula("y ~ x + (1 | g)")
    with pytest.raises(FormulaError) as refused:
        updated(formula, bars_of(formula), change)
    assert complaint in str(refused.value)


def test_fits_are_those_of_the_formula_written_out(sleep, result):
    found = result.update(". ~ . + I(Days**2) - (Days | Subject) + (1 | Subject)")
    expected = interlace.fit("Reaction ~ Days + I(Days**2) + (1 | Subject)", sleep)
    assert found.objective == expected.objective
    assert list(found.params.index) == list(expected.params.index)
    assert found.model.formula == "Reaction ~ Days + I(Days ** 2) + (1 | Subject)"


def test_method_and_options_are_kept_or_changed(sleep, result):
    assert result.update(method="ML").objective == fitted("ss_slope_ml").result.objective
    ml = interlace.fit("Reaction ~ Days + (1 | Subject)", sleep, method="ML", ddf="normal")
    assert ml.update(". ~ . - Days").reml is False
    assert ml.update(". ~ . - Days").ddf == "normal"
    assert ml.update(ddf="satterthwaite").ddf == "satterthwaite"
    weighted = interlace.fit(
        "Reaction ~ Days + (1 | Subject)", sleep.assign(w=np.arange(1.0, 181)), weights="w"
    )
    assert (weighted.update(". ~ . - Days").model.design.weights == np.arange(1.0, 181)).all()
    assert weighted.update(weights=None).objective == pytest.approx(
        interlace.fit("Reaction ~ Days + (1 | Subject)", sleep).objective, rel=1e-12
    )
    subset = result.update(subset="Days > 1")
    assert subset.nobs == 144
    assert subset.update(". ~ . - Days").nobs == 144


def test_groups_given_beside_the_formula_are_kept():
    data = interlace.datasets.load_penicillin()
    result = interlace.fit("diameter ~ 1", data, groups=["plate", "sample"])
    found = result.update(". ~ . - (1 | sample)")
    assert found.objective == interlace.fit("diameter ~ 1 + (1 | plate)", data).objective


def test_other_data(sleep, result):
    half = sleep[sleep["Days"] < 5]
    found = result.update(data=half)
    assert found.objective == interlace.fit("Reaction ~ Days + (Days | Subject)", half).objective


def test_names_of_the_caller_are_seen(sleep, result):
    hours = 24.0
    found = result.update(". ~ . - Days + I(Days * hours)")
    assert found.fe_params.iloc[1] * hours == pytest.approx(result.fe_params["Days"], rel=1e-6)


def test_what_cannot_be_updated(sleep, result):
    with pytest.raises(TypeError, match="update does not know the keyword"):
        result.update(wieghts="w")
    with pytest.raises(DesignError, match="give data="):
        result.refit(sleep["Reaction"]).update(". ~ . - Days")
    arrays = interlace.CrossedLMM(sleep["Reaction"], np.ones((180, 1)), groups={"s": sleep["Subject"]}).fit()
    with pytest.raises(DesignError, match="built from arrays"):
        arrays.update(". ~ . - x")
    gone = interlace.fit("Reaction ~ Days + (1 | Subject)", sleep)
    gone.remove_data()
    with pytest.raises(DesignError, match="give data="):
        gone.update(". ~ . - Days")
    assert gone.update(". ~ . - Days", data=sleep).k_fe == 1
