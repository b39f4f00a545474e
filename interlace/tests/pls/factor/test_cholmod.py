"""CHOLMOD behind the seam: both generations of scikit-sparse, against the definition."""

from __future__ import annotations

import pickle
import sys
from copy import deepcopy
from dataclasses import replace
from importlib.util import find_spec
from types import ModuleType

import numpy as np
import pytest
from scipy import sparse

from interlace.errors import MemoryLimitError, NotPositiveDefiniteError
from interlace.pls import profiled_criterion
from interlace.pls.factor import cholmod
from interlace.pls.factor.cholmod import CholmodFactorization
from interlace.pls.matrices.terms import GroupingFactor, RandomTerm
from interlace.pls.rows.weighted import quadratics, rows_of
from interlace.tests.pls.dense import (
    KINDS,
    DenseFactorization,
    assert_close,
    assert_same_pairs,
    assert_same_verbs,
    crossed_factors,
    lambdas,
    part_of,
    products,
)

from .sksparse_generations import CholmodNotPositiveDefiniteError, stand_in

# M and the oracle's inverse of it have condition numbers up to 1e6 at the largest Lambda.
VERB = 1e-9
# Z'V0^-1Z is read off I - M^-1: by design half of the digits go where Lambda is nearly singular.
INFORMATION = 1e-6

GENERATIONS = ("0.4", "0.5", *(("installed",) if find_spec("sksparse") else ()))
SHAPES = {
    "one factor": ((9,), (2,)),
    "two factors": ((9, 6), (1, 1)),
    "three factors": ((9, 5, 3), (2, 1, 3)),
}


def replace_sksparse(monkeypatch, module):
    package = ModuleType("sksparse")
    package.__path__ = []
    monkeypatch.setitem(sys.modules, "sksparse", package)
    monkeypatch.setitem(sys.modules, "sksparse.cholmod", module)


@pytest.fixture(params=GENERATIONS)
def generation(request, monkeypatch):
    if request.param != "installed":
        replace_sksparse(monkeypatch, stand_in(request.param))
    return request.param


@pytest.fixture(params=SHAPES)
def problem(request):
    rng = np.random.default_rng(len(request.param))
    levels, K = SHAPES[request.param]
    cp, layout = products(rng, crossed_factors(rng, 60, levels), K)
    return cp, layout, rng


def test_every_verb_is_what_the_definition_says(generation, problem):
    cp, layout, rng = problem
    found, expected = CholmodFactorization(cp, layout), DenseFactorization(cp, layout)
    for kind in (*KINDS, "regular"):  # the same two objects throughout: nothing stale may remain
        Lambda = lambdas(rng, kind, layout.K)
        found.update(Lambda)
        expected.update(Lambda)
        assert_same_pairs(found, expected, tolerance=VERB)
        assert_same_verbs(found, expected, cp.B, tolerance=VERB, information=INFORMATION)
        # Where Lambda is singular the information is computed elsewhere; the factor must have come back.
        assert_same_verbs(found, expected, cp.B, tolerance=VERB, information=INFORMATION)


@pytest.mark.parametrize("stored", ["dense A", "sparse A"])
def test_other_rows_of_the_same_levels(generation, stored):
    rng = np.random.default_rng(10)
    whole, part, layout = part_of(rng, crossed_factors(rng, 60, (12, 5)), (2, 1), np.arange(20, 60))
    original = CholmodFactorization(whole, layout)
    expected = DenseFactorization(part, layout)
    if stored == "sparse A":
        pattern = sparse.csr_array(whole.A)
        pattern.data = part.A[pattern.tocoo().coords]  # zeros stay where rows were
        found = original.with_products(replace(part, A=pattern))
    else:
        found = original.with_products(part)
    for factorization in (found, expected):
        factorization.update(lambdas(np.random.default_rng(4), "regular", layout.K))
    assert_same_verbs(found, expected, part.B, tolerance=VERB, information=INFORMATION)
    for factorization, cp in ((original, whole), (found, part)):  # the last one updated may be asked
        factorization.update([np.eye(K) for K in layout.K])
        by_definition = DenseFactorization(cp, layout)
        by_definition.update([np.eye(K) for K in layout.K])
        assert_same_verbs(factorization, by_definition, cp.B, tolerance=VERB, information=INFORMATION)


def test_answers_outlive_the_next_update(generation, problem):
    cp, layout, rng = problem
    found = CholmodFactorization(cp, layout)
    found.update(lambdas(rng, "regular", layout.K))
    answers = [found.conditional(cp.B), *found.conditional_blocks(), *found.information()]
    kept = deepcopy(answers)
    found.update(lambdas(rng, "large", layout.K))
    found.conditional_blocks()
    for answer, before in zip(answers, kept, strict=True):
        np.testing.assert_array_equal(answer, before)


def test_what_is_passed_in_is_not_modified(generation, problem):
    cp, layout, rng = problem
    Lambda, B = lambdas(rng, "regular", layout.K), cp.B.copy()
    before = deepcopy((Lambda, B, cp.A))
    found = CholmodFactorization(cp, layout)
    found.update(Lambda)
    found.conditional(B)
    found.information()
    np.testing.assert_array_equal(B, before[1])
    np.testing.assert_array_equal(cp.A, before[2])
    for block, kept in zip(Lambda, before[0], strict=True):
        np.testing.assert_array_equal(block, kept)


@pytest.mark.parametrize("twin_of", [deepcopy, lambda original: pickle.loads(pickle.dumps(original))])
def test_a_stored_factorization_analyses_anew(generation, problem, twin_of):
    cp, layout, rng = problem
    original = CholmodFactorization(cp, layout)
    here, there = lambdas(rng, "regular", layout.K), lambdas(rng, "large", layout.K)
    original.update(here)
    logdet = original.logdet()
    twin = twin_of(original)
    twin.update(there)
    assert original.logdet() == logdet
    original.update(there)
    assert_same_verbs(twin, original, cp.B, tolerance=1e-14, information=1e-14)  # the same operations


def test_a_bad_pivot_is_reported(generation, problem):
    cp, layout, _ = problem
    negative = replace(cp, A=-cp.A)  # rounding errors alone do not get M >= I that far
    with pytest.raises(NotPositiveDefiniteError, match=r"^CHOLMOD met a pivot that is not positive\.$"):
        CholmodFactorization(negative, layout)


def test_without_scikit_sparse(monkeypatch, problem):
    cp, layout, _ = problem
    monkeypatch.setitem(sys.modules, "sksparse.cholmod", None)  # importing it now raises ImportError
    assert not cholmod.available()
    message = (
        'solver="cholmod" needs scikit-sparse, which is not installed. '
        'Install it (pip install "interlace[cholmod]"), or use solver="auto" or "blocked".'
    )
    with pytest.raises(ValueError, match="needs scikit-sparse") as caught:
        CholmodFactorization(cp, layout)
    assert str(caught.value) == message


def test_with_scikit_sparse(generation):
    assert cholmod.available()


def test_stand_ins_solve(problem):
    """The stand-ins themselves against numpy."""
    cp, _, _ = problem
    A = cp.A + np.eye(len(cp.A))
    sparse_A = sparse.csc_matrix(A)
    old = stand_in("0.4").analyze(sparse_A)
    old.cholesky_inplace(sparse_A)
    new = stand_in("0.5").CholeskyFactor(sparse_A).factorize(sparse_A, ldl=False)
    expected = np.linalg.solve(A, cp.B)
    assert_close(old.solve_A(cp.B), expected, VERB)
    for L, perm in ((old.L(), old.P()), (new.L, new.get_perm())):
        assert_close((L @ L.T).toarray(), A[np.ix_(perm, perm)], VERB)
    with pytest.raises(CholmodNotPositiveDefiniteError):
        old.cholesky_inplace(-sparse_A)


@pytest.mark.usefixtures("generation")
def test_products_that_cancel_keep_their_place():
    # Rows of +x and -x in every cell: Z'Z is zero between the factors, its inverse is not.
    cells = [(g, h, s) for g in range(4) for h in range(4) for s in (1.0, -1.0) if (g + h) % 3]
    g, h, x = (
        np.array(column) for column in zip(*[*cells, (0, 3, 0.5), (1, 2, 0.5), (3, 3, 0.5)], strict=True)
    )
    factors = [GroupingFactor(g.astype(int), 4), GroupingFactor(h.astype(int), 4)]
    terms = [RandomTerm(0, x[:, None]), RandomTerm(1, np.ones((len(x), 1)))]
    X, y = np.ones((len(x), 1)), np.sin(np.arange(len(x)))
    found = []
    for solver in ("blocked", "cholmod"):
        criterion = profiled_criterion(factors, terms, X, y, solver=solver)
        criterion.decompose(np.array([0.7, 1.3]))
        found.append(quadratics(criterion.factorization, rows_of(criterion, factors, terms, X, y)))
    # Two factorizations of one matrix: equal but for rounding.
    np.testing.assert_allclose(found[1], found[0], rtol=1e-12)


@pytest.mark.usefixtures("generation")
def test_levels_whose_columns_are_zero_are_fitted():
    g = np.repeat(np.arange(4), 3)
    x = np.where(g == 0, 0.0, np.arange(12.0))
    factors = [GroupingFactor(g, 4), GroupingFactor(np.arange(12) % 3, 3)]
    terms = [RandomTerm(0, x[:, None]), RandomTerm(1, np.ones((12, 1)))]
    X, y = np.ones((12, 1)), np.sin(np.arange(12.0))
    both = [profiled_criterion(factors, terms, X, y, solver=solver) for solver in ("blocked", "cholmod")]
    assert both[0]([0.7, 1.3]) == pytest.approx(both[1]([0.7, 1.3]), abs=1e-11)  # rounding


@pytest.mark.parametrize("generation", ["0.4", "0.5"])
def test_limits_of_cholmod_are_told(monkeypatch, generation):
    module = stand_in(generation)
    module.CholmodTooLargeError = type("CholmodTooLargeError", (Exception,), {})

    def too_large(*_, **__):
        raise module.CholmodTooLargeError("problem too large")

    monkeypatch.setattr(module, "analyze" if generation == "0.4" else "CholeskyFactor", too_large)
    replace_sksparse(monkeypatch, module)
    with pytest.raises(MemoryLimitError, match="CHOLMOD cannot hold the factor"):
        profiled_criterion(
            [GroupingFactor(np.arange(6) % 3, 3)],
            [RandomTerm(0, np.ones((6, 1)))],
            np.ones((6, 1)),
            np.arange(6.0),
            solver="cholmod",
        )
