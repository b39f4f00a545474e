"""Every covariance structure keeps the promises of the protocol; the unstructured one is the triangle."""

from __future__ import annotations

import numpy as np
import pytest

from interlace.pls.matrices.structures import unstructured

STRUCTURES = {f"unstructured {k}": unstructured(k) for k in (1, 2, 3, 5)}


@pytest.fixture(params=STRUCTURES)
def structure(request):
    return STRUCTURES[request.param]


@pytest.fixture
def theta(structure):
    return np.random.default_rng(structure.m).normal(size=structure.m)


def test_there_and_back(structure, theta):
    Lambda = structure.Lambda(theta)
    assert Lambda.shape == (structure.k, structure.k)
    np.testing.assert_array_equal(np.triu(Lambda, 1), 0.0)
    np.testing.assert_array_equal(structure.theta(Lambda), theta)


def test_jacobian_is_the_derivative(structure, theta):
    jacobian, h = structure.jacobian(theta), 1e-6
    assert jacobian.shape == (structure.m, structure.k, structure.k)
    for slope, unit in zip(jacobian, np.eye(structure.m), strict=True):
        ahead, behind = structure.Lambda(theta + h * unit), structure.Lambda(theta - h * unit)
        # Differences of numbers of order one, 1e-6 apart, lose six digits.
        np.testing.assert_allclose((ahead - behind) / (2.0 * h), slope, atol=1e-9)


def test_every_parameter_stands_for_one_entry(structure):
    places = list(zip(structure.rows.tolist(), structure.columns.tolist(), strict=True))
    assert len(set(places)) == structure.m
    assert all(column <= row < structure.k for row, column in places)
    assert structure.diagonal.tolist() == [row == column for row, column in places]
    matrices = np.arange(2.0 * structure.k**2).reshape(2, structure.k, structure.k)
    np.testing.assert_array_equal(
        structure.entries(matrices), [[M[place] for place in places] for M in matrices]
    )


def test_rows_in_order(structure):
    order = structure.row_by_row
    places = list(zip(structure.rows[order].tolist(), structure.columns[order].tolist(), strict=True))
    assert places == sorted(places)


def test_unstructured_is_the_lower_triangle_column_by_column():
    structure = unstructured(3)
    assert structure.m == 6
    np.testing.assert_array_equal(
        structure.Lambda(np.arange(1.0, 7.0)), [[1.0, 0.0, 0.0], [2.0, 4.0, 0.0], [3.0, 5.0, 6.0]]
    )
    assert structure.rows[structure.row_by_row].tolist() == [0, 1, 1, 2, 2, 2]
