"""Block elimination along a chain of nested factors, against the definition."""

from __future__ import annotations

from copy import deepcopy

import numpy as np
import pytest

from interlace.pls.factor import nested
from interlace.pls.factor.nested import NestedFactorization, absorbed_pairs
from interlace.pls.factor.solvers import nesting
from interlace.pls.matrices import crossproducts
from interlace.tests.pls.dense import (
    KINDS,
    DenseFactorization,
    assert_same_pairs,
    assert_same_verbs,
    crossed_factors,
    lambdas,
    nested_factors,
    part_of,
    products,
)

# M has condition numbers up to 1e6 at the largest Lambda; a chain of factors multiplies rounding errors.
VERB = 1e-8
# I - A H keeps what A H leaves of 1: where effects are 30 times the residual, half of the digits of the
# coarsest factor, which sees the data through all the finer ones.
INFORMATION = 1e-6

CHAINS = {
    "one scalar": ((8,), (1,)),
    "one vector": ((8,), (3,)),
    "two scalars": ((12, 4), (1, 1)),
    "vector in scalar": ((12, 4), (2, 1)),
    "scalar in vector": ((12, 3), (1, 2)),
    "three scalars": ((16, 6, 2), (1, 1, 1)),
    "three mixed": ((16, 6, 2), (2, 1, 3)),
    "four mixed": ((20, 9, 4, 2), (1, 3, 1, 2)),
}


@pytest.fixture(params=["dense A", "sparse A"])
def storage(request, monkeypatch):
    if request.param == "sparse A":
        monkeypatch.setattr(crossproducts, "DENSE_Z", 0)
        monkeypatch.setattr(crossproducts, "DENSE_Q", 0)
    return request.param


@pytest.mark.parametrize("chain", CHAINS)
def test_every_verb_is_what_the_definition_says(storage, chain):
    rng = np.random.default_rng(len(chain))
    levels, K = CHAINS[chain]
    factors = nested_factors(rng, 80, levels)
    cp, layout = products(rng, factors, K)
    assert isinstance(cp.A, np.ndarray) == (storage == "dense A")
    found, expected = NestedFactorization(cp, layout, nesting(factors)), DenseFactorization(cp, layout)
    for kind in (*KINDS, "regular"):  # the same two objects throughout: nothing stale may remain
        Lambda = lambdas(rng, kind, K)
        found.update(Lambda)
        expected.update(Lambda)
        assert_same_pairs(found, expected, tolerance=VERB)
        assert_same_verbs(found, expected, cp.B, tolerance=VERB, information=INFORMATION)


def test_portions_do_not_matter(monkeypatch):
    monkeypatch.setattr(nested, "SOLVED_AT_ONCE", 1)
    rng = np.random.default_rng(3)
    factors = nested_factors(rng, 60, (12, 4))
    cp, layout = products(rng, factors, (2, 1))
    found, expected = NestedFactorization(cp, layout, nesting(factors)), DenseFactorization(cp, layout)
    for factorization in (found, expected):
        factorization.update(lambdas(np.random.default_rng(4), "regular", layout.K))
    assert_same_pairs(found, expected, tolerance=VERB)


def test_other_rows_of_the_same_levels():
    rng = np.random.default_rng(5)
    factors = nested_factors(rng, 60, (12, 4))
    whole, part, layout = part_of(rng, factors, (2, 1), np.arange(20, 60))
    found = NestedFactorization(whole, layout, nesting(factors)).with_products(part)
    expected = DenseFactorization(part, layout)
    for factorization in (found, expected):
        factorization.update(lambdas(np.random.default_rng(4), "regular", layout.K))
    assert_same_verbs(found, expected, part.B, tolerance=VERB, information=INFORMATION)


def test_answers_outlive_the_next_update():
    rng = np.random.default_rng(2)
    factors = nested_factors(rng, 60, (12, 4))
    cp, layout = products(rng, factors, (2, 1))
    found = NestedFactorization(cp, layout, nesting(factors))
    found.update(lambdas(rng, "regular", layout.K))
    answers = [found.conditional(cp.B), *found.conditional_blocks(), *found.information()]
    kept = deepcopy(answers)
    twin = deepcopy(found)
    logdet = twin.logdet()
    found.update(lambdas(rng, "large", layout.K))
    found.conditional_blocks()
    for answer, before in zip(answers, kept, strict=True):
        np.testing.assert_array_equal(answer, before)
    assert twin.logdet() == logdet != found.logdet()


def test_factors_that_are_not_nested_are_refused(monkeypatch):
    monkeypatch.setattr(crossproducts, "DENSE_Z", 0)
    monkeypatch.setattr(crossproducts, "DENSE_Q", 0)
    rng = np.random.default_rng(3)
    cp, layout = products(rng, crossed_factors(rng, 60, (6, 3)), (1, 1))
    with pytest.raises(AssertionError, match="not nested"):
        NestedFactorization(cp, layout, [np.zeros(6, dtype=np.intp)])


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e4])
def test_pairs_written_out_are_the_inverse_by_definition(scale):
    rng = np.random.default_rng(5)
    root = rng.normal(size=(40, 2, 3))
    A = root @ root.transpose(0, 2, 1)
    A[0] = 0.0  # a level without rows
    Lambda = scale * rng.normal(size=(2, 2))
    H, determinants = absorbed_pairs(A, Lambda)
    M = Lambda.T @ A @ Lambda + np.eye(2)
    assert determinants == pytest.approx(np.linalg.det(M), rel=1e-6)
    # At the largest scale M's condition number is 1e8 and more: half of the digits.
    expected = Lambda @ np.linalg.inv(M) @ Lambda.T
    assert pytest.approx(expected, rel=1e-5, abs=1e-7 * np.abs(expected[1:]).max()) == H
    assert (H.transpose(0, 2, 1) == H).all()
    with pytest.raises(np.linalg.LinAlgError, match="not positive definite"):
        absorbed_pairs(-A, 1e3 * np.eye(2))
