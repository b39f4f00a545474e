"""Which factorization a design gets, and what is said when it cannot get one."""

from __future__ import annotations

import re
import sys
from unittest.mock import Mock

import numpy as np
import pytest

from interlace.errors import MemoryLimitError
from interlace.pls import GroupingFactor
from interlace.pls.factor import solvers
from interlace.pls.factor.blocked import BlockedFactorization
from interlace.pls.factor.cholmod import CholmodFactorization
from interlace.pls.factor.fill import Fill
from interlace.pls.factor.nested import NestedFactorization
from interlace.pls.factor.solvers import choose, nesting
from interlace.tests.pls.dense import crossed_factors, nested_factors, products

from .sksparse_generations import stand_in
from .test_cholmod import replace_sksparse


def chosen(factors, solver="auto", K=None):
    cp, layout = products(np.random.default_rng(1), factors, K or [1] * len(factors))
    return choose(cp, layout, factors, solver)


@pytest.fixture
def crossed():
    return crossed_factors(np.random.default_rng(2), 60, (12, 5))


@pytest.fixture
def with_sksparse(monkeypatch):
    replace_sksparse(monkeypatch, stand_in("0.4"))


@pytest.fixture
def without_sksparse(monkeypatch):
    monkeypatch.setitem(sys.modules, "sksparse.cholmod", None)


@pytest.mark.parametrize("levels", [(9,), (9, 4), (12, 6, 2)])
@pytest.mark.parametrize("solver", ["auto", "blocked"])
def test_nested_designs_are_solved_by_blocks_alone(levels, solver):
    factors = nested_factors(np.random.default_rng(3), 60, levels)
    assert type(chosen(factors, solver)) is NestedFactorization


def test_one_crossed_factor_is_enough_for_a_schur_complement():
    rng = np.random.default_rng(4)
    chain = nested_factors(rng, 60, (12, 4))
    assert type(chosen((*chain, *crossed_factors(rng, 60, (3,))))) is BlockedFactorization


def test_small_crossed_designs_are_blocked(crossed):
    assert type(chosen(crossed)) is BlockedFactorization


def test_cholmod_when_asked(crossed, with_sksparse):
    assert type(chosen(crossed, "cholmod")) is CholmodFactorization
    assert type(chosen(crossed[:1], "cholmod")) is CholmodFactorization


def test_cholmod_where_it_is_cheaper(monkeypatch, crossed, with_sksparse):
    monkeypatch.setattr(solvers, "SURELY_DENSE", 4)
    monkeypatch.setattr(solvers, "FEW_NEIGHBOURS", np.inf)
    for cost, expected in ((0.0, CholmodFactorization), (np.inf, BlockedFactorization)):
        monkeypatch.setattr(solvers, "predicted_fill", Mock(return_value=Fill(1.0, cost, 1.0)))
        assert type(chosen(crossed)) is expected


def test_a_factor_that_is_not_used_is_not_built(monkeypatch, crossed, with_sksparse):
    monkeypatch.setattr(solvers, "SURELY_DENSE", 4)
    monkeypatch.setattr(solvers, "FEW_NEIGHBOURS", np.inf)
    monkeypatch.setattr(solvers, "predicted_fill", Mock(return_value=Fill(1.0, np.inf, 1.0)))
    monkeypatch.setattr(CholmodFactorization, "__init__", Mock(side_effect=AssertionError("built")))
    assert type(chosen(crossed)) is BlockedFactorization


def test_cholmod_is_not_asked_where_every_level_meets_every_other(monkeypatch, crossed, with_sksparse):
    monkeypatch.setattr(solvers, "SURELY_DENSE", 4)
    monkeypatch.setattr(solvers, "FEW_NEIGHBOURS", 1.0)
    monkeypatch.setattr(solvers, "predicted_fill", Mock(side_effect=AssertionError("asked")))
    assert type(chosen(crossed)) is BlockedFactorization


def test_blocked_where_cholmod_is_not_installed(monkeypatch, crossed, without_sksparse):
    monkeypatch.setattr(solvers, "SURELY_DENSE", 4)
    assert type(chosen(crossed)) is BlockedFactorization


def test_blocked_when_asked(monkeypatch, crossed, with_sksparse):
    monkeypatch.setattr(solvers, "SURELY_DENSE", 4)
    assert type(chosen(crossed, "blocked")) is BlockedFactorization


def test_unknown_solver(crossed):
    with pytest.raises(ValueError, match="solver") as caught:
        chosen(crossed, "sparse")
    assert (
        str(caught.value)
        == 'solver=\'sparse\' is not known; wanted "auto", "cholmod", "blocked" or "iterative".'
    )


def test_cholmod_that_is_not_installed(crossed, without_sksparse):
    with pytest.raises(ValueError, match=r'^solver="cholmod" needs scikit-sparse, which is not installed\.'):
        chosen(crossed, "cholmod")


def large(levels, K=(1, 1), cells=3000):
    """Cross-products of a design that has no dense A, every level of one factor tied to every other."""
    rng = np.random.default_rng(5)
    factors = [GroupingFactor(rng.permutation(np.arange(cells) % n), n) for n in levels]
    return products(rng, factors, list(K)), factors


@pytest.mark.parametrize("solver", ["auto", "blocked", "cholmod"])
def test_what_does_not_fit_is_refused_before_it_is_built(monkeypatch, with_sksparse, solver):
    monkeypatch.setattr(solvers, "SURELY_DENSE", 4)
    monkeypatch.setattr(solvers, "SURELY_FITS", 4)
    for built in (BlockedFactorization, CholmodFactorization):
        monkeypatch.setattr(built, "__init__", Mock(side_effect=AssertionError("built")))
    (cp, layout), factors = large((900, 600))
    with pytest.raises(MemoryLimitError) as caught:
        choose(cp, layout, factors, solver, max_memory=1_000_000)
    what = (
        "The sparse factor of 1,500 columns of random effects fills in."
        if solver == "cholmod"
        else "The grouping factors other than the largest have 600 columns of random effects, and "
        "observations tie nearly all of them together."
    )
    assert re.sub(r"about \d+\.\d MB", "about N MB", str(caught.value)) == (
        f'the fit needs about N MB of memory, and max_memory allows 1.0 MB. {what} solver="iterative" '
        "fits it without a factor. Or fit a part of the rows "
        "(subset=) with fewer levels, group by something coarser, leave a term out, or give factors with few "
        'levels to the fixed effects. If more can be had (from swap, say), allow it by max_memory="...GB".'
    )


def test_the_solver_that_fits_is_taken_although_it_is_slower(monkeypatch, with_sksparse):
    monkeypatch.setattr(solvers, "SURELY_DENSE", 4)
    (cp, layout), factors = large((900, 600))
    monkeypatch.setattr(solvers, "predicted_fill", Mock(return_value=Fill(1.0, np.inf, 1.0)))
    assert type(choose(cp, layout, factors, max_memory=100_000)) is CholmodFactorization
    monkeypatch.setattr(solvers, "predicted_fill", Mock(return_value=Fill(1.0, 0.0, 1e9)))
    assert type(choose(cp, layout, factors, max_memory=100_000_000)) is BlockedFactorization


def test_small_sparse_factors_are_not_measured(monkeypatch, crossed, with_sksparse):
    monkeypatch.setattr(solvers, "predicted_fill", Mock(side_effect=AssertionError("asked")))
    assert type(chosen(crossed, "cholmod")) is CholmodFactorization


def test_nesting():
    fine = GroupingFactor(np.array([0, 1, 2, 3, 0, 1]), 4)
    coarse = GroupingFactor(np.array([0, 1, 1, 0, 0, 1]), 2)
    (parents,) = nesting([fine, coarse])
    assert list(parents) == [0, 1, 1, 0]
    assert nesting([coarse, fine]) is None
    assert nesting([fine]) == []
    assert nesting([fine, coarse, GroupingFactor(np.array([0, 1, 1, 1, 0, 1]), 2)]) is None
