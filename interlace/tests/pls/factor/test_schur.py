"""Weighted Gram matrices of sparse rows against the dense product."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from interlace.pls.factor import schur
from interlace.pls.factor.schur import WeightedGram

# Sums of at most 200 products of numbers of order one.
TOLERANCE = 1e-13


def rows_of_lengths(rng, lengths, q):
    A = np.zeros((len(lengths), q))
    for row, length in zip(A, lengths, strict=True):
        row[rng.choice(q, size=length, replace=False)] = rng.normal(size=length)
    return A


LENGTHS = {
    "short": lambda rng: rng.integers(1, 4, size=50),
    "long": lambda rng: rng.integers(20, 21, size=50),
    "mixed": lambda rng: rng.integers(0, 21, size=200),
    "all empty": lambda rng: 0 * rng.integers(1, 4, size=5),
    "no rows": lambda rng: rng.integers(1, 4, size=0),
}
LIMITS = {
    "predicted": {},
    "nothing full": {"BLAS_TERM": 1e9},
    "all rows full": {"PAIR_TERM": 1e9, "ROW_TERM": 1e9},
    "half of the columns full": {"PAIR_TERM": 1e3, "ROW_TERM": 1e-3, "BLAS_TERM": 1e-3},
    "full rows are few": {"PAIR_TERM": 1e9, "ROW_TERM": 1e9, "FEW_FULL_ROWS": 1e9},
    "full rows are many": {"PAIR_TERM": 1e9, "ROW_TERM": 1e9, "FEW_FULL_ROWS": 0.0},
    "no room for columns": {"PAIR_TERM": 1e3, "ROW_TERM": 1e-3, "BLAS_TERM": 1e-3, "POPULAR_BUDGET": -1},
    "no room for pairs": {"BLAS_TERM": 1e9, "PAIR_BUDGET": 0},
    "few columns of products at a time": {"BLAS_TERM": 1e9, "PAIR_BUDGET": 0, "ELEMENTS_AT_ONCE": 60},
    "long rows beside products": {"PAIR_BUDGET": 0, "PRODUCT_TERM": 0.2, "WHOLE_TERM": -1e9},
    "long rows kept sparse": {"PAIR_TERM": 1e9, "ROW_TERM": 1e9, "POPULAR_BUDGET": 1, "ELEMENTS_AT_ONCE": 60},
    "columns full, a few rows at a time": {
        "PAIR_TERM": 1e3,
        "ROW_TERM": 1e-3,
        "BLAS_TERM": 1e-3,
        "ELEMENTS_AT_ONCE": 30,
    },
}


@pytest.mark.parametrize("limit", LIMITS)
@pytest.mark.parametrize("lengths", LENGTHS)
def test_sums_are_those_of_the_dense_product(monkeypatch, lengths, limit):
    for name, value in LIMITS[limit].items():
        monkeypatch.setattr(schur, name, value)
    rng = np.random.default_rng(len(lengths))
    A = rows_of_lengths(rng, LENGTHS[lengths](rng), 20)
    gram = WeightedGram(sparse.csr_array(A))
    T = rng.normal(size=(20, 20))
    T = np.asfortranarray(np.tril(T + T.T))
    full = T + np.tril(T, -1).T
    for _ in range(2):
        w = rng.uniform(0.0, 2.0, size=len(A))
        w[::7] = 0.0
        found, expected = gram(w), A.T @ (w[:, None] * A)
        assert found.flags.f_contiguous
        assert np.tril(found) == pytest.approx(np.tril(expected), rel=0, abs=200 * TOLERANCE)
        assert not np.triu(found, 1).any()
        # A sum of 400 such sums.
        assert gram.inner(w, T) == pytest.approx(np.vdot(expected, full), rel=0, abs=1e5 * TOLERANCE)


def test_order_of_the_indices_does_not_matter():
    rng = np.random.default_rng(1)
    A = sparse.csr_array(rows_of_lengths(rng, [3, 5, 2], 20))
    backwards = sparse.csr_array(
        (
            np.concatenate([A.data[a:b][::-1] for a, b in zip(A.indptr[:-1], A.indptr[1:], strict=True)]),
            np.concatenate([A.indices[a:b][::-1] for a, b in zip(A.indptr[:-1], A.indptr[1:], strict=True)]),
            A.indptr,
        ),
        shape=A.shape,
    )
    kept = backwards.copy()
    weights = np.ones(3)
    np.testing.assert_array_equal(WeightedGram(backwards)(weights), WeightedGram(A)(weights))
    np.testing.assert_array_equal(backwards.indices, kept.indices)
