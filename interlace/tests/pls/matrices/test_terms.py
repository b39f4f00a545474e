"""What a term says of itself."""

from __future__ import annotations

import numpy as np
import pytest

from interlace.pls import RandomTerm


@pytest.mark.parametrize(("k", "n_theta"), [(1, 1), (2, 3), (4, 10)])
def test_covariance_parameters_are_those_of_the_structure(k, n_theta):
    term = RandomTerm(0, np.ones((5, k)))
    assert (term.k, term.n_theta) == (k, n_theta)
    assert (term.structure.k, term.structure.m) == (k, n_theta)
