"""The iterative solver by definition: exact where nothing is sampled, and in the mean where it is."""

from __future__ import annotations

import numpy as np
import pytest

from interlace.errors import InterlaceError, OptimizationError
from interlace.pls.factor import iterative
from interlace.pls.factor.iterative import IterativeFactorization
from interlace.pls.matrices import crossproducts
from interlace.tests.pls.dense import KINDS, DenseFactorization, crossed_factors, lambdas, products

SHAPES = {
    "scalar, one scalar": ((14, 6), (1, 1)),
    "scalar, one vector": ((20, 4), (1, 3)),
    "vector, one scalar": ((10, 5), (2, 1)),
    "vector, one vector": ((10, 5), (3, 2)),
    "scalar, two scalars": ((14, 6, 3), (1, 1, 1)),
    "vector, vector and scalar": ((12, 5, 4), (2, 3, 1)),
}
# Solves are stopped at residuals of 1e-9; the largest Lambda of the kinds makes condition numbers of 1e6.
SOLVED = 1e-5
# Traces come of solves with residuals of 1e-6.
TRACED = 1e-4


@pytest.fixture(params=[False, True], ids=["dense A", "sparse A"])
def storage(request, monkeypatch):
    if request.param:
        monkeypatch.setattr(crossproducts, "DENSE_Z", 0)
        monkeypatch.setattr(crossproducts, "DENSE_Q", 0)


@pytest.mark.usefixtures("storage")
@pytest.mark.parametrize("shape", sorted(SHAPES))
def test_with_a_probe_for_every_column_nothing_is_left_to_chance(shape):
    rng = np.random.default_rng(len(shape))
    levels, K = SHAPES[shape]
    cp, layout = products(rng, crossed_factors(rng, 80, levels), K)
    found, expected = IterativeFactorization(cp, layout), DenseFactorization(cp, layout)
    B = rng.normal(size=(layout.q, 3))
    assert not found.sampled
    for kind in (*KINDS, "regular"):  # the same two objects throughout: nothing stale may remain
        Lambda = lambdas(rng, kind, K)
        found.update(Lambda)
        expected.update(Lambda)
        T = expected.conditional(B)
        np.testing.assert_allclose(found.conditional(B), T, rtol=SOLVED, atol=SOLVED * np.abs(T).max())
        assert found.logdet() == pytest.approx(expected.logdet(), rel=TRACED, abs=TRACED)
        for mine, theirs in zip(found.information(), expected.information(), strict=True):
            scale = np.abs(theirs).max()
            np.testing.assert_allclose(mine, theirs, rtol=TRACED, atol=TRACED * scale)
        columns = np.array([0, 2, layout.q - 1])
        among = expected.conditional_among(columns)
        found_among = found.conditional_among(columns)
        np.testing.assert_allclose(found_among, among, rtol=SOLVED, atol=SOLVED * np.abs(among).max())


def sampled_and_dense(levels, K, *, probes, seed=0):
    rng = np.random.default_rng(3)
    cp, layout = products(rng, crossed_factors(rng, 1_500, levels), K)
    found = IterativeFactorization(cp, layout, probes=probes, seed=seed)
    expected = DenseFactorization(cp, layout)
    Lambda = lambdas(rng, "regular", K)
    found.update(Lambda)
    expected.update(Lambda)
    return found, expected


@pytest.mark.parametrize(
    ("levels", "K"), [((120, 80), (1, 1)), ((100, 45, 40), (1, 1, 1)), ((90, 40), (2, 2))]
)
def test_the_mean_of_the_probes_is_the_trace_and_their_scatter_its_error(levels, K):
    found, expected = sampled_and_dense(levels, K, probes=64)
    sample = found.sample()
    assert found.sampled
    for f, (mine, theirs) in enumerate(zip(found.information(), expected.information(), strict=True)):
        error = sample.drawn[f].std(axis=0, ddof=1) / 8.0
        # Of some ten numbers each, none is off by four of its standard deviations, solves apart.
        assert (np.abs(mine - theirs) < 4.0 * error + TRACED * np.abs(theirs).max()).all()
    error = sample.logdets.std(ddof=1) / 8.0
    assert abs(found.logdet() - expected.logdet()) < 4.0 * error + 1e-5


def test_the_split_leaves_little_to_chance():
    """What a plain estimate of ``tr S^-1`` would leave: see the explanation of the iterative solver."""
    found, expected = sampled_and_dense((120, 80), (1, 1), probes=32)
    sample = found.sample()
    share = float(sample.drawn[1].std()) / float(expected.information()[1][0, 0])
    inverse = np.linalg.inv(expected.M)[120:, 120:]
    apart = inverse - np.diag(np.diag(inverse))
    plain = (
        np.sqrt(2.0) * np.linalg.norm(apart) / (80.0 - np.trace(inverse))
    )  # Hutchinson's standard deviation
    assert share < plain / 10.0


def test_one_seed_gives_one_answer_and_more_probes_keep_the_first():
    few, _ = sampled_and_dense((120, 80), (1, 1), probes=4)
    again, _ = sampled_and_dense((120, 80), (1, 1), probes=4)
    other, _ = sampled_and_dense((120, 80), (1, 1), probes=4, seed=1)
    assert few.logdet() == again.logdet()
    assert few.logdet() != other.logdet()
    more = few.with_probes(16)
    more.update(few._Lambda)
    # Solves for more columns at once sum in another order.
    np.testing.assert_allclose(more.sample().logdets[:4], few.sample().logdets, rtol=1e-6)
    assert few.with_probes(4) is few


def test_another_thread_works_on_a_factorization_apart():
    first, _ = sampled_and_dense((120, 80), (1, 1), probes=4)
    before = first.logdet()
    second = first.apart(None)
    second.update([2.0 * block for block in first._Lambda])
    assert first.logdet() == before
    assert second.logdet() != before


def test_what_takes_a_factor_is_refused():
    found, _ = sampled_and_dense((120, 80), (1, 1), probes=4)
    with pytest.raises(InterlaceError, match=r"all 200 random effects would take as many solves"):
        found.conditional_blocks()
    with pytest.raises(InterlaceError, match=r"pairs of levels are not available from the iterative solver"):
        found.conditional_pairs(0, 1, np.array([0]), np.array([0]))
    assert found.rough_information() is None


def test_levels_that_hang_together_too_loosely_are_said(monkeypatch):
    monkeypatch.setattr(iterative, "MOST_STEPS", 1)
    found, _ = sampled_and_dense((120, 80), (1, 1), probes=4)
    with pytest.raises(OptimizationError, match=r"did not converge in 1 steps"):
        found.conditional(np.ones((200, 1)))
