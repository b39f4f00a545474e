"""theta to and from the blocks of Lambda, in every coordinate system."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import linalg

from interlace.pls import GroupingFactor, RandomTerm
from interlace.pls.matrices.basis import term_basis
from interlace.pls.matrices.relcov import Layout, lower_factor, relative_covariance
from interlace.tests.oracle import lower_triangles
from interlace.tests.pls.dense import assert_close

# Products and factors of matrices of at most four columns.
EXACT = 1e-12

rng = np.random.default_rng(1)
n = 40
factors = (GroupingFactor(np.arange(n) % 8, 8), GroupingFactor(np.arange(n) % 3, 3))
# Two terms on the first factor around one on the second: positions in theta and in Lambda differ.
terms = (
    RandomTerm(0, rng.normal(size=(n, 2))),
    RandomTerm(1, rng.normal(size=(n, 3))),
    RandomTerm(0, rng.normal(size=(n, 1))),
)
bases = [term_basis(term, None) for term in terms]
relcov = relative_covariance(factors, terms, bases)


def test_layout():
    layout = Layout((8, 3), (3, 2))
    assert layout.starts == (0, 24, 30)
    assert layout.q == 30
    assert layout.slices == (slice(0, 24), slice(24, 30))
    columns = np.arange(60.0).reshape(30, 2)
    assert layout.by_level(columns, 1).shape == (3, 2, 2)
    np.testing.assert_array_equal(layout.by_level(columns, 1)[2], columns[28:30])


def test_parameters():
    assert relcov.m == 3 + 6 + 1
    assert relcov.layout == Layout((8, 3), (3, 3))
    assert relcov.term_slices == (slice(0, 3), slice(3, 9), slice(9, 10))
    assert [list(own) for own in relcov.of_factor] == [[0, 1, 2, 9], [3, 4, 5, 6, 7, 8]]
    assert list(np.flatnonzero(relcov.diagonal)) == [0, 2, 3, 6, 8, 9]
    same = relcov.same_column
    np.testing.assert_array_equal(same, same.T)
    assert [list(np.flatnonzero(row)) for row in same[[0, 2, 3, 6, 9]]] == [
        [0, 1],
        [2],
        [3, 4, 5],
        [6, 7],
        [9],
    ]


def test_theta_is_the_lower_triangle_column_by_column():
    theta = rng.normal(size=10)
    for ours, expected in zip(relcov.term_blocks(theta), lower_triangles(terms, theta), strict=True):
        np.testing.assert_array_equal(ours, expected)
    np.testing.assert_array_equal(relcov.pack(relcov.term_blocks(theta)), theta)


def test_blocks_of_terms_lie_on_the_diagonal_of_their_factor():
    theta = rng.normal(size=10)
    first, second, third = relcov.term_blocks(theta)
    blocks = relcov.Lambda(theta)
    np.testing.assert_array_equal(blocks[0], linalg.block_diag(first, third))
    np.testing.assert_array_equal(blocks[1], second)
    for there, back in zip(blocks, relcov.of_factors(relcov.of_terms(blocks)), strict=True):
        np.testing.assert_array_equal(there, back)


def test_phi_is_theta_on_orthonormal_columns():
    theta = rng.normal(size=10)
    phi = relcov.to_basis @ theta
    for R, on_basis, raw in zip(bases, relcov.term_blocks(phi), relcov.term_blocks(theta), strict=True):
        assert on_basis == pytest.approx(R @ raw, abs=EXACT)
    assert relcov.from_basis @ phi == pytest.approx(theta, abs=EXACT)


def test_triangle_forgets_the_rotation_and_the_signs():
    phi = rng.normal(size=10)
    blocks = relcov.Lambda(phi)
    turned = relcov.of_factors(
        [block @ linalg.qr(rng.normal(size=block.shape))[0] for block in relcov.of_terms(blocks)]
    )
    found = relcov.triangle(turned)
    assert (found[relcov.diagonal] >= 0).all()
    for ours, expected in zip(relcov.Lambda(found), blocks, strict=True):
        assert ours @ ours.T == pytest.approx(expected @ expected.T, abs=EXACT)


@pytest.mark.parametrize("shape", [(1, 1), (3, 3), (3, 1), (2, 5), (3, 0)])
def test_lower_factor(shape):
    root = rng.normal(size=shape)
    L = lower_factor(root)
    np.testing.assert_array_equal(L, np.tril(L))
    assert (np.diagonal(L) >= 0).all()
    assert_close(L @ L.T, root @ root.T, EXACT)
