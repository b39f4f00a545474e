"""Cross-products against the products they are, and their arithmetic."""

from __future__ import annotations

import numpy as np
import pytest

from interlace.pls import GroupingFactor
from interlace.pls.matrices import crossproducts
from interlace.pls.matrices.crossproducts import cross_products
from interlace.pls.matrices.relcov import Layout
from interlace.tests.pls.dense import assert_close, columns_of, crossed_factors

# Sums of 50 products of numbers of order one.
EXACT = 1e-12

STORAGES = {
    "dense Z": (10**9, 10**9),
    "sparse Z, dense A": (0, 10**9),
    "sparse Z, sparse A": (0, 0),
}


@pytest.fixture(params=STORAGES)
def storage(request, monkeypatch):
    dense_Z, dense_q = STORAGES[request.param]
    monkeypatch.setattr(crossproducts, "DENSE_Z", dense_Z)
    monkeypatch.setattr(crossproducts, "DENSE_Q", dense_q)
    return request.param


def as_array(A):
    return A if isinstance(A, np.ndarray) else A.toarray()


def problem(rng):
    factors = crossed_factors(rng, 50, (7, 4))
    layout = Layout((7, 4), (2, 1))
    return factors, columns_of(rng, 50, layout.K), rng.normal(size=(50, 3)), layout


def by_definition(factors, columns, layout):
    """Z in the layout's order: by factor, within a factor by level."""
    parts = [
        np.einsum("nl,nk->nlk", np.eye(factor.n_levels)[factor.codes], values).reshape(len(values), -1)
        for factor, values in zip(factors, columns, strict=True)
    ]
    return np.hstack(parts)


def part(factors, columns, Qy, layout, rows, log_weights):
    own = [GroupingFactor(factor.codes[rows], factor.n_levels) for factor in factors]
    return cross_products(own, [values[rows] for values in columns], Qy[rows], layout, log_weights)


def test_products(storage):
    factors, columns, Qy, layout = problem(np.random.default_rng(1))
    Z = by_definition(factors, columns, layout)
    cp = cross_products(factors, columns, Qy, layout, 1.5)
    assert isinstance(cp.A, np.ndarray) == (storage != "sparse Z, sparse A")
    assert_close(as_array(cp.A), Z.T @ Z, EXACT)
    assert_close(cp.B, Z.T @ Qy, EXACT)
    assert_close(cp.C, Qy.T @ Qy, EXACT)
    assert (cp.n, cp.p, cp.sum_log_weights) == (50, 2, 1.5)


def test_parts_add_up_to_the_whole(storage):
    data = problem(np.random.default_rng(2))
    whole = part(*data, np.arange(50), 3.0)
    first, second = part(*data, np.arange(20), 1.0), part(*data, np.arange(20, 50), 2.0)
    for found, expected in ((first + second, whole), (whole - second, first)):
        assert_close(as_array(found.A), as_array(expected.A), EXACT)
        assert_close(found.B, expected.B, EXACT)
        assert_close(found.C, expected.C, EXACT)
        assert (found.n, found.sum_log_weights) == (expected.n, expected.sum_log_weights)


def test_parts_of_different_models_do_not_add():
    rng = np.random.default_rng(3)
    factors, columns, Qy, layout = problem(rng)
    one = cross_products(factors, columns, Qy, layout)
    other = cross_products(factors, columns, Qy[:, :2], layout)
    with pytest.raises(ValueError, match=r"^cross-products of shapes \(18, 3\) and \(18, 2\) do not belong"):
        one + other
    with pytest.raises(ValueError, match="do not belong to one model"):
        one - other


def test_indices_are_short_while_they_suffice(monkeypatch):
    monkeypatch.setattr(crossproducts, "DENSE_Z", 0)
    monkeypatch.setattr(crossproducts, "DENSE_Q", 0)
    factors, columns, Qy, layout = problem(np.random.default_rng(4))
    A = cross_products(factors, columns, Qy, layout).A
    assert A.indices.dtype == A.indptr.dtype == np.int32
