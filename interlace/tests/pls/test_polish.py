"""The last digits: searches that ended apart agree after polishing, and the gradient vanishes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from interlace.pls import fit
from interlace.pls.polish import polished
from interlace.tests.pls.designs import crossed, growth, nested, one_way, uncorrelated

REGULAR = (one_way, growth, crossed, uncorrelated, nested)


@pytest.mark.parametrize("maker", REGULAR)
def test_two_searches_agree_to_more_digits_than_the_criterion_has(maker):
    design = maker()
    first = design.fit()
    other = fit(*design.arrays, **design.options, start=1.3 * first.theta)
    found, again = polished(first), polished(other)
    # 1e-16 of deviance are 1e-8 of a standard error.
    np.testing.assert_allclose(found.theta, again.theta, rtol=1e-7, atol=1e-8)
    assert found.objective == pytest.approx(first.objective, abs=1e-8)
    assert found.certificate is first.certificate


@pytest.mark.parametrize("maker", REGULAR)
def test_the_gradient_vanishes(maker):
    found = polished(maker().fit())
    now = found.optimum.derivatives
    assert now.gradient @ np.linalg.solve(now.hessian, now.gradient) / 2.0 < 1e-15


def test_an_end_that_is_no_optimum_is_returned_as_it_is():
    stopped = fit(*crossed().arrays, **crossed().options, start=np.array([3.0, 0.0, 3.0, 3.0]), maxiter=1)
    assert not stopped.certificate.certified
    assert polished(stopped) is stopped
    assert polished(replace(stopped)).theta is stopped.theta
