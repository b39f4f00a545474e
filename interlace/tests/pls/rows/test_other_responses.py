"""Other responses of one design: each is fitted as if it came alone."""

from __future__ import annotations

import numpy as np
import pytest

from interlace.errors import OptimizationError
from interlace.pls.matrices import crossproducts
from interlace.pls.rows import other_responses
from interlace.pls.rows.other_responses import estimates, responses
from interlace.tests.pls.dense import assert_close
from interlace.tests.pls.dense_rows import standing
from interlace.tests.pls.designs import DESIGNS, growth


def taken_in(here, Y):
    weighting = {"weights": here.design.weights, "offset": here.design.offset}
    return responses(here.criterion, here.rows, here.design.X, **weighting).take_in(Y)


@pytest.mark.parametrize("dense", [crossproducts.DENSE_Z, 0])
@pytest.mark.parametrize("name", DESIGNS)
def test_criterion_is_that_of_the_response(monkeypatch, name, dense):
    monkeypatch.setattr(other_responses, "DENSE_Z", dense)
    here = standing(DESIGNS[name]())
    Y = here.design.y[:, None] + np.random.default_rng(3).normal(size=(here.rows.n, 3)) * [0.0, 1.0, 50.0]
    found = taken_in(here, Y)
    for j, y in enumerate(Y.T):
        alone = here.design.changed(y=y).criterion()
        # Set up in another order; a criterion of some hundreds.
        assert found.criterion(j)(here.theta) == pytest.approx(alone(here.theta), rel=1e-10)


def test_estimates_are_those_of_the_fit():
    here = standing(growth())
    y = here.design.y + np.random.default_rng(3).normal(size=here.rows.n)
    found = estimates(taken_in(here, y[:, None]).criterion(0), here.theta)
    expected = here.design.changed(y=y).fit()
    # Both searches end within 1e-11 of deviance: parameters agree to some 1e-6 of their standard errors.
    assert_close(found.beta, expected.beta, 1e-5)
    assert_close(found.Sigma[0], expected.Sigma[0], 1e-5)
    assert found.sigma2 == pytest.approx(expected.sigma2, rel=1e-5)
    assert found.certified
    assert found.is_singular == expected.is_singular


def test_a_response_that_x_reproduces_is_refused():
    here = standing(growth())
    y = here.design.X @ [1.0, 2.0] + here.design.offset
    with pytest.raises(OptimizationError, match="reproduce the response exactly"):
        taken_in(here, y[:, None]).criterion(0)
