"""Sums over pairs of levels of two factors against the dense ``N0 = A - A T A``."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from interlace.pls.factor import level_sums as module
from interlace.pls.factor.level_sums import level_sums
from interlace.pls.matrices.crossproducts import CrossProducts
from interlace.tests.pls.dense import (
    DenseFactorization,
    assert_close,
    crossed_factors,
    lambdas,
    nested_factors,
    products,
)

# Sums of squares of matrices of some forty columns.
EXACT = 1e-11


def by_definition(dense):
    """S[a, c, b, d]: sum over levels l, m of N_lm[a, c] N_lm[b, d]."""
    layout, found = dense.layout, {}
    for f in range(len(layout.K)):
        for g in range(f, len(layout.K)):
            N = dense._between(dense.ZtVZ, f, g)
            found[f, g] = np.einsum("lamc,lbmd->acbd", N, N)
    return found


@pytest.mark.parametrize("kind", ["regular", "zero column", "all zero"])
@pytest.mark.parametrize("making", [crossed_factors, nested_factors])
@pytest.mark.parametrize("way", ["dense", "sparse, probed", "sparse, eliminated", "one level at a time"])
def test_sums_by_definition(monkeypatch, way, making, kind):
    rng = np.random.default_rng(8)
    cp, layout = products(rng, making(rng, 90, (14, 6)), (2, 1))
    Lambda = lambdas(rng, kind, layout.K)
    dense = DenseFactorization(cp, layout)
    dense.update(Lambda)
    if way != "dense":
        A = cp.A if sparse.issparse(cp.A) else sparse.csr_array(cp.A)
        cp = CrossProducts(A=A, B=cp.B, C=cp.C, n=cp.n, sum_log_weights=cp.sum_log_weights)
    monkeypatch.setattr(module, "MOST_ELEMENTS", 0 if way == "sparse, probed" else 300_000_000)
    if way == "sparse, eliminated":
        monkeypatch.setattr(module, "SPARSE_COST", 1.0)
    if way == "one level at a time":
        monkeypatch.setattr(module, "ELEMENTS_AT_ONCE", 1)
    found = level_sums(cp, layout, Lambda, lambda B: dense.ZtVZ @ B)
    expected = by_definition(dense)
    assert found.keys() == expected.keys()
    for pair, sums in expected.items():
        assert_close(found[pair], sums, EXACT)
