"""Undetermined covariance parameters against the definition: the null space of a dense map."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import linalg

from interlace.pls import GroupingFactor, RandomTerm, profiled_criterion
from interlace.pls.matrices.identified import changes_covariance, moved_along, undetermined

N = 48
RNG = np.random.default_rng(0)
X1 = RNG.normal(size=N)
ONES = np.ones(N)
SITE = np.repeat(np.arange(4), 12)
PLOT = np.repeat(np.arange(16), 3)
ITEM = np.tile(np.arange(6), 8)
TRT = SITE % 2  # two sites per treatment
HALF = np.arange(N) % 2


def dummies(codes):
    return (codes[:, None] == np.arange(codes.max() + 1)).astype(float)


def columns(*parts):
    return np.column_stack([ONES if p is None else p for p in parts])


CASES = {
    "ordinary": (columns(None, X1), [(SITE, columns(None)), (ITEM, columns(None))], 0),
    "ordinary slopes": (columns(None, X1), [(SITE, columns(None, X1)), (ITEM, columns(None))], 0),
    "nested": (columns(None, X1), [(PLOT, columns(None)), (SITE, columns(None))], 0),
    "two sites per treatment": (dummies(TRT), [(PLOT, columns(None)), (SITE, columns(None))], 0),
    "one site per treatment": (dummies(SITE), [(PLOT, columns(None)), (SITE, columns(None))], 1),
    "other coding of it": (columns(None, dummies(SITE)[:, 1:] * 3.0), [(SITE, columns(None))], 1),
    "slopes by site, both spanned": (
        columns(dummies(SITE), dummies(SITE) * X1[:, None]),
        [(SITE, columns(None, X1))],
        3,
    ),
    # The variance of the intercepts, and with it their covariance with the slopes.
    "slopes by site, one spanned": (columns(dummies(SITE), X1), [(SITE, columns(None, X1))], 2),
    "a column of zeros": (columns(None, X1), [(SITE, columns(None, np.zeros(N)))], 2),
    "two names of a factor": (columns(None, X1), [(ITEM, columns(None)), (5 - ITEM, columns(None))], 1),
    "three names": (
        columns(None),
        [(ITEM, columns(None)), (5 - ITEM, columns(None)), (ITEM, columns(None))],
        2,
    ),
    "the same up to the fixed effects": (
        columns(None, dummies(np.minimum(SITE, 2))[:, 2]),
        [(np.minimum(SITE, 2), columns(None)), ((SITE == 0).astype(int), columns(None))],
        1,
    ),
    "treatment does not vary within subjects": (
        columns(None, TRT.astype(float)),
        [(SITE, columns(None, TRT.astype(float)))],
        1,
    ),
    "pairs whose differences are fixed": (dummies(np.arange(N) // 2 % 8)[:, :0], [(PLOT, columns(None))], 0),
}


def setup(name, weights=None, reml=True):
    X, parts, count = CASES[name]
    factors = [GroupingFactor(codes, int(codes.max()) + 1) for codes, _ in parts]
    terms = [RandomTerm(f, Xi) for f, (_, Xi) in enumerate(parts)]
    y = np.random.default_rng(1).normal(size=N)
    return profiled_criterion(factors, terms, X, y, weights=weights, reml=reml), count


def dense_map(name, criterion, weights, reml):
    """Columns: what every parameter does to the projected covariance of the weighted rows, as a vector."""
    X, parts, _ = CASES[name]
    root = np.sqrt(np.ones(N) if weights is None else weights)[:, None]
    Q = linalg.orth(X * root) if reml else np.zeros((N, 0))
    M = np.eye(N) - Q @ Q.T
    relcov = criterion.relcov
    order = sorted(range(len(parts)), key=lambda f: -(parts[f][0].max() + 1) * parts[f][1].shape[1])
    maps = []
    for f, a, b in zip(relcov.factor, relcov.row, relcov.col, strict=True):
        codes, Xi = parts[order[f]]
        R = np.linalg.inv(relcov.term_inverses[order[f]])
        own = np.linalg.solve(R.T, Xi.T).T * root
        same = codes[:, None] == codes
        V = same * (np.outer(own[:, a], own[:, b]) + (a != b) * np.outer(own[:, b], own[:, a]))
        maps.append((M @ V @ M).ravel())
    return np.column_stack([*maps, M.ravel()])


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("name", sorted(CASES))
def test_directions_are_the_null_space_of_the_definition(name, reml, weighted):
    weights = np.random.default_rng(2).uniform(0.2, 4.0, N) if weighted else None
    criterion, count = setup(name, weights, reml)
    found = undetermined(criterion.cp, criterion.relcov, reml=reml)
    dense = dense_map(name, criterion, weights, reml)
    null = linalg.null_space(dense / np.linalg.norm(dense, axis=0).max(), rcond=1e-10)
    assert found.shape[1] == null.shape[1]
    if reml:
        assert found.shape[1] == count
    if null.shape[1]:
        assert (
            linalg.subspace_angles(found, null).max() < 1e-7
        )  # a null space of a matrix in double precision


def test_residual_variance_that_cannot_be_told_from_a_term():
    """Two rows per pair, and the difference within each pair is a fixed effect: sums of rows are left."""
    pair = np.repeat(np.arange(8), 2)
    X = np.column_stack([dummies(pair) * np.tile([1.0, -1.0], 8)[:, None], np.ones(16)])
    y = np.random.default_rng(3).normal(size=16)
    criterion = profiled_criterion([GroupingFactor(pair, 8)], [RandomTerm(0, np.ones((16, 1)))], X, y)
    found = undetermined(criterion.cp, criterion.relcov, reml=True)
    assert found.shape == (2, 1)
    np.testing.assert_allclose(
        found[1, 0] / found[0, 0], -2.0, rtol=1e-10
    )  # V is sigma^2 + 2 tau^2 on the sums
    assert not undetermined(criterion.cp, criterion.relcov, reml=False).shape[1]


@pytest.mark.parametrize("name", sorted(name for name, case in CASES.items() if case[2]))
def test_the_criterion_is_flat_along_them(name):
    criterion, count = setup(name)
    start = np.random.default_rng(4).uniform(0.3, 0.9, criterion.relcov.m)
    directions = undetermined(criterion.cp, criterion.relcov, reml=True)
    phi, open_, factor = moved_along(criterion.relcov, start, directions)
    assert open_.shape[1] == count
    here, there = criterion.decompose(start), criterion.decompose(phi)
    # Rounding, and the square roots of eigenvalues.
    np.testing.assert_allclose(there.objective, here.objective, rtol=1e-9)
    np.testing.assert_allclose(there.pwrss * 1.0, here.pwrss * factor, rtol=1e-8)
    assert np.abs(phi - start).max() > 0.1


def test_two_variances_of_zero_that_are_one_are_determined():
    """Their sum is 0 and neither can be negative."""
    criterion, _ = setup("two names of a factor")
    directions = undetermined(criterion.cp, criterion.relcov, reml=True)
    _, open_, _ = moved_along(criterion.relcov, np.zeros(2), directions)
    assert open_.shape == (3, 0)


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("one site per treatment", True),
        ("two names of a factor", False),
        ("treatment does not vary within subjects", False),
        ("the same up to the fixed effects", True),
    ],
)
def test_whether_the_covariance_of_the_rows_changes(name, changes):
    criterion, _ = setup(name)
    directions = undetermined(criterion.cp, criterion.relcov, reml=True)
    assert changes_covariance(criterion.cp, criterion.relcov, directions).tolist() == [changes]


def test_a_single_row_out_of_place_is_enough_to_determine_a_variance():
    codes = SITE.copy()
    codes[0] = 3
    y = np.random.default_rng(5).normal(size=N)
    criterion = profiled_criterion(
        [GroupingFactor(SITE, 4)], [RandomTerm(0, np.ones((N, 1)))], dummies(codes), y
    )
    assert not undetermined(criterion.cp, criterion.relcov, reml=True).shape[1]
