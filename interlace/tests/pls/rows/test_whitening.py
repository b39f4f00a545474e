"""Residuals made uncorrelated, against the Cholesky factor of the dense covariance."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import linalg

from interlace.pls.rows import whitening
from interlace.tests.pls.dense import assert_close
from interlace.tests.pls.dense_rows import standing
from interlace.tests.pls.designs import DESIGNS


@pytest.mark.parametrize("size", [800, 7])
@pytest.mark.parametrize("name", DESIGNS)
def test_solved_by_the_cholesky_factor_in_the_order_of_the_rows(monkeypatch, name, size):
    monkeypatch.setattr(whitening, "DENSE_ROWS", size)
    here = standing(DESIGNS[name]())
    e = here.y - here.design.X @ here.beta
    expected = linalg.solve_triangular(np.linalg.cholesky(here.V0), e, lower=True)
    found = whitening.uncorrelated(here.criterion, here.at, here.rows) * here.criterion.basis.scale
    # Products of some hundred well conditioned steps.
    assert_close(found, expected, 1e-9)
