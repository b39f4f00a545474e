"""Cross-products made some rows at a time against those made at once."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from interlace.errors import OptimizationError
from interlace.pls import GroupingFactor, RandomTerm, profiled_criterion
from interlace.pls.matrices import basis, crossproducts, products, streamed
from interlace.pls.matrices.basis import term_basis
from interlace.pls.matrices.products import model_products
from interlace.pls.matrices.relcov import relative_covariance

# Sums of a hundred products of numbers of order one, in another order.
EXACT = 1e-13

N = 120
DESIGNS = {
    "two intercepts": ((20, 9), (1, 1)),
    "slopes": ((20, 9), (2, 1)),
    "slopes on both": ((9, 7), (2, 3)),
    "a level larger than a piece": ((40, 2), (1, 2)),
    "one factor": ((15,), (2,)),
}


def problem(design, *, weighted, p=3):
    levels, K = DESIGNS[design]
    rng = np.random.default_rng(1)
    x = rng.normal(size=N)
    columns = np.column_stack([np.ones(N), x, x**2])
    factors = [GroupingFactor(rng.permutation(np.arange(N) % n), n) for n in levels]
    terms = [RandomTerm(f, columns[:, :k]) for f, k in enumerate(K)]
    given = {"weights": rng.uniform(0.1, 4.0, N), "offset": rng.normal(size=N)} if weighted else {}
    return factors, terms, columns[:, :p], 3.0 + x + rng.normal(size=N), given


def made(factors, terms, X, y, given):
    bases = [term_basis(term, given.get("weights")) for term in terms]
    layout = relative_covariance(factors, terms, bases).layout
    return *model_products(factors, terms, bases, X, y, layout, **given), bases


def as_array(A):
    return A if isinstance(A, np.ndarray) else A.toarray()


def in_pieces(monkeypatch, size):
    monkeypatch.setattr(products, "MANY_ROWS", 0)
    monkeypatch.setattr(streamed, "ROWS_AT_ONCE", size)
    monkeypatch.setattr(basis, "ROWS_AT_ONCE", size)


@pytest.mark.parametrize("size", [1, 50])
@pytest.mark.parametrize("sparse", [True, False])
@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize("design", DESIGNS)
def test_pieces_add_up(monkeypatch, design, weighted, sparse, size):
    whole, cp, bases = made(*problem(design, weighted=weighted))
    if sparse:
        monkeypatch.setattr(streamed, "DENSE_Q", 0)
    in_pieces(monkeypatch, size)
    own, found, own_bases = made(*problem(design, weighted=weighted))
    assert isinstance(found.A, np.ndarray) != sparse
    for one, other in zip(bases, own_bases, strict=True):
        assert other == pytest.approx(one, rel=0, abs=EXACT)
    assert np.abs(as_array(found.A) - as_array(cp.A)).max() < N * EXACT
    assert np.abs(found.B - cp.B).max() < N * EXACT
    assert np.abs(found.C - cp.C).max() < N * EXACT
    assert (found.n, found.sum_log_weights) == (cp.n, cp.sum_log_weights)
    for name in ("R", "shift", "scale"):
        assert getattr(own, name) == pytest.approx(getattr(whole, name), rel=N * EXACT)
    if sparse:
        assert found.A.has_sorted_indices


def test_without_fixed_effects(monkeypatch):
    _, cp, _ = made(*problem("slopes", weighted=False, p=0))
    in_pieces(monkeypatch, 50)
    own, found, _ = made(*problem("slopes", weighted=False, p=0))
    assert own.R.shape == (0, 0)
    assert np.abs(found.B - cp.B).max() < N * EXACT


def test_nearly_dependent_columns_are_orthogonalised_as_a_whole(monkeypatch):
    factors, terms, X, y, _ = problem("slopes", weighted=False)
    X = np.column_stack([X, X[:, 1] + 1e-5 * X[:, 2]])
    whole, cp, _ = made(factors, terms, X, y, {})
    in_pieces(monkeypatch, 50)
    own, found, _ = made(factors, terms, X, y, {})
    assert (own.R == whole.R).all()
    assert (found.C == cp.C).all()


def test_a_response_that_the_fixed_effects_reproduce(monkeypatch):
    factors, terms, X, _, _ = problem("slopes", weighted=False)
    in_pieces(monkeypatch, 50)
    with pytest.raises(OptimizationError, match="reproduce the response exactly"):
        profiled_criterion(factors, terms, X, X @ np.array([1.0, 2.0, 3.0]))


def test_many_rows_take_little_beside_the_result(monkeypatch):
    """At once it took 216 bytes a row (X's basis, Z, its transpose, their product); in pieces some 60."""
    n = 200_000
    rng = np.random.default_rng(2)
    levels = (4000, 500)
    factors = [GroupingFactor(rng.permutation(np.arange(n) % size), size) for size in levels]
    ones = np.broadcast_to(1.0, (n, 1))
    X, y = np.column_stack([np.ones(n), rng.normal(size=n)]), rng.normal(size=n)
    in_pieces(monkeypatch, n // 40)
    tracemalloc.start()
    _, cp, _ = made(factors, [RandomTerm(0, ones), RandomTerm(1, ones)], X, y, {})
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert cp.A.nnz > n
    assert peak < 70 * n


def test_both_ways_know_the_same_limit():
    assert streamed.DENSE_Q == crossproducts.DENSE_Q
