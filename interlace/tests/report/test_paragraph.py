"""The paragraph in APA style, and the numbers in it."""

from __future__ import annotations

import math

import pytest

from interlace.report.numbers import decimals, degrees, fixed, p_value, share, significant, stars
from interlace.tests.fits import fitted

SLEEP = (
    "A linear mixed model of Reaction was fitted by restricted maximum likelihood to 180 observations "
    "from 18 levels of Subject: Reaction ~ Days + (1 + Days | Subject). Fixed effects, tested with "
    "Satterthwaite's degrees of freedom, were Intercept, b = 251.41, SE = 6.82, 95% CI [237.01, 265.80], "
    "t(17) = 36.84, p < .001; Days, b = 10.47, SE = 1.55, 95% CI [7.21, 13.73], t(17) = 6.77, p < .001. "
    "Standard deviations were 24.74 for (Intercept) by Subject, 5.92 for Days by Subject (correlation of "
    "(Intercept) and Days .07), and 25.59 for the residual. The fixed effects explained 27.9% of the "
    "variance (marginal R² = .28), fixed and random effects together 79.9% of the variance (conditional "
    "R² = .80)."
)


def test_paragraph_in_full():
    assert fitted("ss_slope").result.report() == SLEEP


def test_other_tests_and_levels():
    said = fitted("ss_slope").result.report(ddf="normal", alpha=0.1)
    # lme4's estimate and standard error, and the normal distribution's 95 % point: 10.467 ± 1.645 × 1.546.
    assert "tested by the normal distribution" in said
    assert "Days, b = 10.47, SE = 1.55, 90% CI [7.92, 13.01], z = 6.77, p < .001." in said


def test_maximum_likelihood_and_crossed_factors_are_named():
    assert "fitted by maximum likelihood to" in fitted("ss_slope_ml").result.report()
    assert "144 observations from 24 levels of plate and 6 levels of sample" in fitted("pen").result.report()


def test_dropped_rows_are_counted():
    result = fitted("ss_na").result
    assert f"({result.n_dropped} more had missing values)" in result.report()


def test_singular_fits_say_so():
    result = fitted("dyestuff2").result
    assert result.report().endswith(f"The fit is singular: {result.singular_directions[0]}.")


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (fixed(-0.001), "0.00"),
        (fixed(math.nan), ""),
        (fixed(1.007e-9, decimals(2e-10)), "0.00000000101"),
        (share(-0.0656), "-.07"),
        (share(-1.0), "-1.00"),
        (p_value(0.9999), "1.000"),
        (p_value(0.00099999), "<.001"),
        (degrees(math.inf), "∞"),
        (stars(0.05), ""),
        (stars(0.0009), "***"),
        (significant(1234.5), "1234.50"),
        (decimals(0.0), 2),
    ],
)
def test_numbers_are_printed_as_papers_do(written, expected):
    assert written == expected
