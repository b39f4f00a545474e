"""The largest factor by blocks and a dense Schur complement, against the definition."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest

from interlace.errors import NotPositiveDefiniteError
from interlace.pls.factor import blocked
from interlace.pls.factor.blocked import BlockedFactorization
from interlace.pls.matrices import crossproducts
from interlace.tests.pls.dense import (
    KINDS,
    DenseFactorization,
    assert_same_pairs,
    assert_same_verbs,
    crossed_factors,
    lambdas,
    part_of,
    products,
)

# M and the oracle's inverse of it have condition numbers up to 1e6 at the largest Lambda.
VERB = 1e-9
# Where Lambda2 is small but regular, I - S^-1 has lost up to half of its digits.
INFORMATION = 1e-7

SHAPES = {
    "scalar, one scalar": ((14, 6), (1, 1)),
    "scalar, one vector": ((20, 4), (1, 3)),
    "vector, one scalar": ((10, 5), (2, 1)),
    "vector, one vector": ((10, 5), (3, 2)),
    "scalar, two scalars": ((14, 6, 3), (1, 1, 1)),
    "scalar, scalar and vector": ((25, 6, 3), (1, 1, 2)),
    "vector, vector and scalar": ((12, 5, 4), (2, 3, 1)),
}


@pytest.fixture(params=["all dense", "sparse A, dense A12", "sparse A12"])
def storage(request, monkeypatch):
    if request.param != "all dense":
        monkeypatch.setattr(crossproducts, "DENSE_Z", 0)
        monkeypatch.setattr(crossproducts, "DENSE_Q", 0)
    if request.param == "sparse A12":
        monkeypatch.setattr(blocked, "DENSE_SIZE", 0)
        monkeypatch.setattr(blocked, "DENSE_SHARE", 2.0)
    return request.param


@pytest.mark.parametrize("shape", SHAPES)
def test_every_verb_is_what_the_definition_says(storage, shape):
    rng = np.random.default_rng(len(shape))
    levels, K = SHAPES[shape]
    cp, layout = products(rng, crossed_factors(rng, 80, levels), K)
    found, expected = BlockedFactorization(cp, layout), DenseFactorization(cp, layout)
    for kind in (*KINDS, "regular"):  # the same two objects throughout: nothing stale may remain
        Lambda = lambdas(rng, kind, K)
        found.update(Lambda)
        expected.update(Lambda)
        assert_same_pairs(found, expected, tolerance=VERB)
        assert_same_verbs(found, expected, cp.B, tolerance=VERB, information=INFORMATION)


@pytest.mark.parametrize("verb", ["conditional_blocks", "information"])
@pytest.mark.parametrize("shape", ["scalar, one scalar", "vector, one vector"])
def test_verbs_do_not_depend_on_what_was_asked_before(storage, shape, verb):
    rng = np.random.default_rng(4)
    levels, K = SHAPES[shape]
    cp, layout = products(rng, crossed_factors(rng, 80, levels), K)
    found, fresh = BlockedFactorization(cp, layout), BlockedFactorization(cp, layout)
    Lambda = lambdas(rng, "regular", K)
    found.update(lambdas(rng, "large", K))
    found.conditional_blocks()
    found.information()
    for factorization in (found, fresh):
        factorization.update(Lambda)
    for ours, theirs in zip(getattr(found, verb)(), getattr(fresh, verb)(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("shape", SHAPES)
def test_rough_information_has_six_digits_and_leaves_the_factorization_alone(monkeypatch, storage, shape):
    monkeypatch.setattr(blocked, "SINGLE_PRECISION_FROM", 1)
    rng = np.random.default_rng(12)
    levels, K = SHAPES[shape]
    cp, layout = products(rng, crossed_factors(rng, 80, levels), K)
    found, fresh = BlockedFactorization(cp, layout), BlockedFactorization(cp, layout)
    Lambda = lambdas(rng, "regular", K)
    for factorization in (found, fresh):
        factorization.update(Lambda)
    rough = found.rough_information()
    assert rough is not None
    for ours, exact in zip(rough, fresh.information(), strict=True):
        # Single precision, less what I - S^-1 cancels; but not exact, or nothing was saved.
        np.testing.assert_allclose(ours, exact, rtol=0, atol=1e-4 * np.abs(exact).max())
        assert not np.array_equal(ours, exact)
    for ours, exact in zip(found.information(), fresh.information(), strict=True):
        np.testing.assert_array_equal(ours, exact)
    assert found.rough_information() is None  # the inverse is there: nothing would be quicker


@pytest.mark.parametrize(
    ("kind", "limits"),
    [
        ("all zero", {}),
        ("tiny", {}),
        ("zero column", {}),
        ("regular", {"LARGEST_PIVOT_RATIO": 1.0}),
        ("regular", {"SINGLE_PRECISION_FROM": 99}),
    ],
)
def test_no_rough_information_where_it_has_no_digits_left_or_is_no_quicker(
    monkeypatch, storage, kind, limits
):
    for name, value in ({"SINGLE_PRECISION_FROM": 1} | limits).items():
        monkeypatch.setattr(blocked, name, value)
    rng = np.random.default_rng(13)
    cp, layout = products(rng, crossed_factors(rng, 80, (12, 6)), (2, 2))
    found = BlockedFactorization(cp, layout)
    found.update(lambdas(rng, kind, layout.K))
    assert found.rough_information() is None


@pytest.mark.parametrize("shape", ["scalar, two scalars", "vector, vector and scalar"])
def test_portions_do_not_matter(monkeypatch, storage, shape):
    monkeypatch.setattr(blocked, "ELEMENTS_AT_ONCE", 1)
    rng = np.random.default_rng(8)
    levels, K = SHAPES[shape]
    cp, layout = products(rng, crossed_factors(rng, 80, levels), K)
    found, expected = BlockedFactorization(cp, layout), DenseFactorization(cp, layout)
    for factorization in (found, expected):
        factorization.update(lambdas(np.random.default_rng(9), "regular", K))
    assert_same_pairs(found, expected, tolerance=VERB)
    assert_same_verbs(found, expected, cp.B, tolerance=VERB, information=INFORMATION)


def test_other_rows_of_the_same_levels(storage):
    rng = np.random.default_rng(10)
    whole, part, layout = part_of(rng, crossed_factors(rng, 60, (12, 5)), (2, 1), np.arange(20, 60))
    found = BlockedFactorization(whole, layout).with_products(part)
    expected = DenseFactorization(part, layout)
    for factorization in (found, expected):
        factorization.update(lambdas(np.random.default_rng(4), "regular", layout.K))
    assert_same_verbs(found, expected, part.B, tolerance=VERB, information=INFORMATION)


def test_answers_outlive_the_next_update(storage):
    rng = np.random.default_rng(5)
    cp, layout = products(rng, crossed_factors(rng, 60, (12, 5)), (2, 2))
    found = BlockedFactorization(cp, layout)
    found.update(lambdas(rng, "regular", layout.K))
    answers = [found.conditional(cp.B), *found.conditional_blocks(), *found.information()]
    kept = deepcopy(answers)
    twin = deepcopy(found)
    logdet = twin.logdet()
    found.update(lambdas(rng, "large", layout.K))
    found.conditional_blocks()
    found.information()
    for answer, before in zip(answers, kept, strict=True):
        np.testing.assert_array_equal(answer, before)
    assert twin.logdet() == logdet != found.logdet()


def test_the_data_stay_as_they_are(storage):
    rng = np.random.default_rng(6)
    cp, layout = products(rng, crossed_factors(rng, 60, (12, 5)), (1, 1))
    before = deepcopy(cp)
    found = BlockedFactorization(cp, layout)
    for kind in ("regular", "all zero"):
        found.update(lambdas(rng, kind, layout.K))
        found.conditional(cp.B)
        found.conditional_blocks()
        found.information()
    np.testing.assert_array_equal(cp.B, before.B)
    assert abs(cp.A - before.A).max() == 0


def test_a_bad_pivot_is_reported():
    rng = np.random.default_rng(7)
    cp, layout = products(rng, crossed_factors(rng, 60, (12, 5)), (1, 1))
    impossible = cp.A.copy()
    impossible[12:, 12:] *= -1.0  # no cross-product of real data
    found = BlockedFactorization(replace(cp, A=impossible), layout)
    with pytest.raises(NotPositiveDefiniteError, match=r"^the Schur complement is not positive definite"):
        found.update([np.eye(1), np.eye(1)])
