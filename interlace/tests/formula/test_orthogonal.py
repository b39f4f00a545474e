"""``poly(x, k)`` in formulas: R's figures, the defining laws, and new data."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest

import interlace
from interlace.errors import DesignError
from interlace.formula.orthogonal import Poly


def learned(x, degree, **options):
    transform = Poly()
    transform.memorize_chunk(x, degree, **options)
    transform.memorize_finish()
    return transform


def test_textbook_contrasts_of_five_equally_spaced_values():
    """-2 -1 0 1 2, 2 -1 -2 -1 2 and -1 2 0 -2 1, divided by their lengths: what R's poly(1:5, 3) prints."""
    expected = np.array([[-2, -1, 0, 1, 2], [2, -1, -2, -1, 2], [-1, 2, 0, -2, 1]]) / np.sqrt(
        [[10], [14], [10]]
    )
    x = np.arange(1, 6)
    # rounding errors of sums of five
    np.testing.assert_allclose(learned(x, 3).transform(x, 3), expected.T, atol=1e-14)


@pytest.mark.parametrize("shift", [0.0, 2000.0])
def test_columns_are_orthonormal_and_span_the_powers(shift):
    x = np.random.default_rng(3).normal(size=50) + shift
    P = learned(x, 4).transform(x, 4)
    # sums of 50 products of numbers of order 1; centring takes the shift out
    np.testing.assert_allclose(P.T @ P, np.eye(4), atol=1e-11)
    np.testing.assert_allclose(P.sum(axis=0), 0.0, atol=1e-11)
    powers = (x - shift)[:, None] ** np.arange(5)
    basis = np.column_stack([np.ones(50), P])
    fitted = powers @ np.linalg.lstsq(powers, basis, rcond=None)[0]
    np.testing.assert_allclose(fitted, basis, atol=1e-9)
    # the leading coefficients are positive
    assert (np.linalg.lstsq(powers, basis, rcond=None)[0].diagonal() > 0).all()


def test_new_values_lie_on_the_same_polynomials():
    x = np.array([0.0, 1.0, 2.0, 4.0, 7.0])
    new = np.array([3.0, 10.0, np.nan])
    found = learned(x, 2).transform(new, 2)
    curve = np.polynomial.polynomial.polyfit(x, learned(x, 2).transform(x, 2), 2)
    expected = np.polynomial.polynomial.polyval(new[:2], curve).T
    np.testing.assert_allclose(found[:2], expected, rtol=1e-10)
    assert np.isnan(found[2]).all()


def test_raw_are_powers():
    x = np.array([1.0, 2.0, 3.0])
    np.testing.assert_array_equal(learned(x, 2, raw=True).transform(x, 2), [[1, 1], [2, 4], [3, 9]])


def test_fit_is_that_of_the_raw_powers():
    """The same space of means: the same ML criterion and predictions, for new data and after storing."""
    data = interlace.datasets.load_sleepstudy()
    orthogonal = interlace.fit("Reaction ~ poly(Days, 2) + (Days | Subject)", data, method="ML")
    powers = interlace.fit("Reaction ~ Days + I(Days**2) + (Days | Subject)", data, method="ML")
    assert orthogonal.fe_params.index.tolist() == ["Intercept", "poly(Days, 2)[0]", "poly(Days, 2)[1]"]
    # two optima of one function, each certified far below this
    assert orthogonal.llf == pytest.approx(powers.llf, abs=1e-8)
    new = {"Days": [0.5, 12.0], "Subject": ["308", "335"]}
    expected = powers.predict(new).to_numpy()
    np.testing.assert_allclose(orthogonal.predict(new).to_numpy(), expected, rtol=1e-7)
    again = pickle.loads(pickle.dumps(orthogonal))
    np.testing.assert_allclose(again.predict(new).to_numpy(), expected, rtol=1e-7)


def test_gaps_are_left_out_when_it_learns():
    data = interlace.datasets.load_sleepstudy()
    gappy = data.assign(Days=data["Days"].where(np.arange(len(data)) % 7 > 0))
    whole = interlace.fit("Reaction ~ poly(Days, 2) + (1 | Subject)", gappy.dropna())
    found = interlace.fit("Reaction ~ poly(Days, 2) + (1 | Subject)", gappy)
    np.testing.assert_allclose(
        found.fe_params, whole.fe_params, rtol=1e-9
    )  # the same numbers in the same order


def test_own_function_of_the_caller_comes_first():
    def poly(x, power):
        return x**power

    data = interlace.datasets.load_sleepstudy()
    model = interlace.CrossedLMM.from_formula("Reaction ~ poly(Days, 2) + (1 | Subject)", data)
    np.testing.assert_array_equal(model.exog[:, 1], data["Days"] ** 2)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("poly(Days, 12)", "poly of degree 12 of 10 different values; wanted a degree below their number"),
        ("poly(Days, 0)", "poly(x, 0): wanted a degree of 1 or more, as in poly(x, 2)"),
        ("poly(Days, True)", "poly(x, True): wanted a degree of 1 or more, as in poly(x, 2)"),
        (
            "poly(Subject, 2)",
            "poly wants one column of numbers: poly(x, 2); for two variables write poly(x, 2):poly(z, 2). "
            '"Subject" is text that looks like numbers: its 18 different values are numbers written as text. '
            "Convert it, .astype(float)",
        ),
    ],
)
def test_what_is_no_polynomial_is_refused(code, message):
    data = interlace.datasets.load_sleepstudy()
    with pytest.raises(DesignError) as caught:
        interlace.fit(f"Reaction ~ {code} + (1 | Subject)", data)
    assert str(caught.value) == message


def test_slopes_may_be_polynomials():
    data = interlace.datasets.load_sleepstudy()
    model = interlace.CrossedLMM.from_formula("Reaction ~ poly(Days, 2) + (poly(Days, 2) | Subject)", data)
    assert isinstance(data, pd.DataFrame)
    assert model.design.terms[0].Xi.shape == (180, 3)
