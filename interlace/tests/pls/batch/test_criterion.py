"""The criterion of a stack, its derivatives, and what exchangeable levels leave of a design."""

from __future__ import annotations

import numpy as np
import pytest

from interlace.pls.batch.criterion import evaluated, in_principal_axes, points, ungauged
from interlace.pls.batch.derivatives import differentiated
from interlace.pls.batch.exchangeable import reduction
from interlace.tests.pls.batch.stacks import STACKED, latin_square, stacked
from interlace.tests.pls.dense_rows import standing


def somewhere(problems, count, seed=0):
    """Parameters of order one, one of them zero."""
    phi = np.random.default_rng(seed).normal(size=(count, problems.relcov.m))
    phi[0, np.flatnonzero(problems.relcov.diagonal)[-1]] = 0.0
    return ungauged(problems.relcov, phi)


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("name", sorted(STACKED))
def test_criterion_and_gradient_are_those_of_each_problem(name, reml):
    here = stacked(name, reml=reml)
    at = somewhere(here.problems, 3)
    found = evaluated(here.problems, at)
    slopes, scores = differentiated(here.problems, at, found)
    for j in range(3):
        criterion = here.block.criterion(j)
        alone = criterion.decompose(at.phi[j])
        expected = criterion.derivatives(alone)
        # The same sums in another order; criteria of some hundreds, gradients of some tens.
        assert found.objective[j] == pytest.approx(alone.objective, rel=1e-11)
        assert slopes.gradient[j] == pytest.approx(expected.gradient, rel=1e-8, abs=1e-9)
        for own, S in zip(scores, expected.scores, strict=True):
            assert own[j] == pytest.approx(S, rel=1e-8, abs=1e-9)


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("name", sorted(STACKED))
def test_hessian_is_the_exact_one(name, reml):
    """Against central differences of the gradients of single criteria."""
    here = stacked(name, reml=reml)
    at = somewhere(here.problems, 3, seed=5)
    slopes, _ = differentiated(here.problems, at, evaluated(here.problems, at))
    criterion, phi, h = here.block.criterion(1), at.phi[1], 1e-5

    def gradient(x):
        return criterion.derivatives(criterion.decompose(x)).gradient

    differences = [
        (gradient(phi + h * unit) - gradient(phi - h * unit)) / (2.0 * h) for unit in np.eye(len(phi))
    ]
    # Truncation of h^2 and rounding of 1e-14 / h, relative to the largest curvature.
    assert slopes.hessian[1] == pytest.approx(
        np.array(differences), abs=1e-7 * np.abs(slopes.hessian[1]).max()
    )


@pytest.mark.parametrize("name", sorted(STACKED))
def test_the_same_parameters_for_all_are_factorised_once(name):
    here = stacked(name)
    at = somewhere(here.problems, 1, seed=2)
    each = ungauged(here.problems.relcov, np.repeat(at.phi, 3, axis=0))
    shared, own = evaluated(here.problems, at), evaluated(here.problems, each)
    assert len(shared.V) == 1
    assert shared.objective == pytest.approx(own.objective, rel=1e-13)
    for one, other in zip(
        vars(differentiated(here.problems, at, shared)[0]).values(),
        vars(differentiated(here.problems, each, own)[0]).values(),
        strict=True,
    ):
        assert one == pytest.approx(other, rel=1e-9, abs=1e-9)


def test_a_gauge_changes_the_coordinates_and_nothing_else():
    here = stacked("singular")
    relcov = here.problems.relcov
    at = somewhere(here.problems, 3, seed=4)
    axes = in_principal_axes(relcov, at.Lambda)
    for a, b in zip(at.Lambda, axes.Lambda, strict=True):
        assert b @ b.transpose(0, 2, 1) == pytest.approx(a @ a.transpose(0, 2, 1), abs=1e-13)
    slopes, _ = differentiated(here.problems, axes, evaluated(here.problems, axes))
    h = 1e-6
    for j in range(relcov.m):
        ahead, behind = (
            evaluated(here.problems, points(relcov, axes.phi + s * h * np.eye(relcov.m)[j], axes.gauge))
            for s in (1.0, -1.0)
        )
        # Rounding of some hundreds in double precision, divided by h.
        difference = (ahead.objective - behind.objective) / (2.0 * h)
        assert slopes.gradient[:, j] == pytest.approx(difference, rel=1e-5, abs=1e-5)


# ---- exchangeable levels -----------------------------------------------------------------------


def test_a_balanced_design_has_a_small_core():
    """Two groups of subjects and two of items, two columns each; the others are contrasts."""
    here = standing(latin_square())
    found = reduction(here.criterion.cp.A, here.criterion.relcov.layout)
    assert found.core.n_levels == (2, 2)
    assert [own.counts.tolist() for own in found.groups] == [[5.0, 5.0], [3.0, 3.0]]


def test_unbalanced_levels_stay_apart_and_single_factors_leave_no_core():
    crossed = standing(STACKED["crossed"]())
    assert reduction(crossed.criterion.cp.A, crossed.criterion.relcov.layout).core.q == 37
    growth = standing(STACKED["growth"]())
    assert reduction(growth.criterion.cp.A, growth.criterion.relcov.layout).core.q == 0


def test_what_is_reduced_is_an_orthogonal_change_of_columns():
    here = standing(latin_square())
    A = here.criterion.cp.A
    found = reduction(A, here.criterion.relcov.layout)
    blocks = found.block_products(A)
    spectrum = [np.linalg.eigvalsh(found.core_products(A))]
    for own, block in zip(found.groups, blocks, strict=True):
        spectrum += [
            np.repeat(np.linalg.eigvalsh(one), int(count))
            for one, count in zip(block, own.counts, strict=True)
        ]
    # Eigenvalues are what an orthogonal change keeps.
    assert np.sort(np.concatenate(spectrum)) == pytest.approx(np.linalg.eigvalsh(A), abs=1e-10)
