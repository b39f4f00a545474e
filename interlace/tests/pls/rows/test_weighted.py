"""Rows of a fit against the dense matrices that they stand for."""

from __future__ import annotations

import numpy as np
import pytest

from interlace.pls.rows.weighted import quadratics, whitened
from interlace.tests.pls.dense import DenseFactorization, assert_close
from interlace.tests.pls.dense_rows import standing
from interlace.tests.pls.designs import DESIGNS

# Some hundred rows and some sixty columns, well conditioned.
EXACT = 1e-11


@pytest.fixture(params=DESIGNS)
def here(request):
    return standing(DESIGNS[request.param]())


def as_array(A):
    return A if isinstance(A, np.ndarray) else A.toarray()


def test_cross_products_are_those_of_the_criterion(here):
    found, expected = here.rows.products(), here.criterion.cp
    assert_close(as_array(found.A), as_array(expected.A), EXACT)
    assert_close(found.B, expected.B, EXACT)
    assert_close(found.C, expected.C, EXACT)
    assert found.n == expected.n
    assert found.sum_log_weights == pytest.approx(expected.sum_log_weights, rel=1e-12)


def test_products_of_parts_add_up(here):
    n = here.rows.n
    parts = [here.rows.take(own).products() for own in (np.arange(0, n, 2), np.arange(1, n, 2))]
    assert_close(sum(as_array(part.A) for part in parts), as_array(here.rows.products().A), EXACT)
    assert_close(sum(part.B for part in parts), here.rows.products().B, EXACT)


def test_z_by_position_and_as_a_matrix(here):
    at, values = here.rows.nonzeros()
    Z = np.zeros((here.rows.n, here.rows.layout.q))
    np.put_along_axis(Z, at, values, axis=1)
    np.testing.assert_array_equal(here.rows.Z().toarray(), Z)
    V = np.random.default_rng(0).normal(size=(Z.shape[1], 2))
    assert_close(here.rows.times(V), Z @ V, EXACT)


def test_rows_of_each_level_are_counted(here):
    for codes, counts in zip(here.rows.codes, here.rows.counts, strict=True):
        np.testing.assert_array_equal(counts, np.bincount(codes, minlength=len(counts)))


def test_quadratic_forms(here):
    dense = DenseFactorization(here.criterion.cp, here.criterion.relcov.layout)
    dense.update(here.at.Lambda)
    Z = here.rows.Z().toarray()
    assert_close(quadratics(here.criterion.factorization, here.rows), ((Z @ dense.T) * Z).sum(axis=1), EXACT)


def test_whitened_rows(here):
    E, root = whitened(here.rows, here.at), np.ones(here.rows.n)
    root = root if here.design.weights is None else 1.0 / np.sqrt(here.design.weights)
    e = np.linalg.solve(here.V0, here.y - here.design.X @ here.beta) / here.criterion.basis.scale
    assert_close(E[:, -1], root * e, EXACT)
    # In any coordinates in which X' V0^-1 X is the identity the inner products are the same.
    XV = root[:, None] * np.linalg.solve(here.V0, here.design.X)
    assert_close(E[:, :-1] @ E[:, :-1].T, XV @ here.C @ XV.T, EXACT)
