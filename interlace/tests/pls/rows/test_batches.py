"""What is lost with each case, however the cases are put together."""

from __future__ import annotations

import numpy as np
import pytest

from interlace.pls.rows import batches
from interlace.pls.rows.batches import Partition
from interlace.pls.rows.weighted import whitened
from interlace.tests.pls.dense import assert_close
from interlace.tests.pls.dense_rows import standing
from interlace.tests.pls.designs import DESIGNS


@pytest.mark.parametrize("limits", [{}, {"COLUMNS_AT_ONCE": 3}, {"ELEMENTS_AT_ONCE": 1}])
@pytest.mark.parametrize("name", DESIGNS)
def test_lost_information_by_definition(monkeypatch, name, limits):
    """``N_I = E_I' (I - Z_I T Z_I')^-1 E_I`` for cases of very different size."""
    for constant, value in limits.items():
        monkeypatch.setattr(batches, constant, value)
    here = standing(DESIGNS[name]())
    n = here.rows.n
    cases = np.sort(np.random.default_rng(4).choice(6, p=[0.5, 0.3, 0.1, 0.05, 0.03, 0.02], size=n))
    partition, E = Partition.of(here.rows, cases, 6), whitened(here.rows, here.at)
    np.testing.assert_array_equal(partition.sizes[:, 0], np.bincount(cases, minlength=6))
    Z, q = here.rows.Z().toarray(), here.rows.layout.q
    T = here.criterion.factorization.conditional_among(np.arange(q))
    seen = []
    nonempty = np.flatnonzero(partition.sizes[:, 0])
    for batch in partition.batches(nonempty, here.criterion.factorization):
        seen += batch.cases.tolist()
        for case, N in zip(batch.cases, batch.lost(E), strict=True):
            own = cases == case
            kept = np.eye(own.sum()) - Z[own] @ T @ Z[own].T
            # Matrices of at most a hundred rows; the inverse of what little is kept costs some digits.
            assert_close(N, E[own].T @ np.linalg.solve(kept, E[own]), 1e-9)
    assert sorted(seen) == nonempty.tolist()
