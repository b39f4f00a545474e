"""One BLAS thread for small fits, the user's number for large ones."""

from __future__ import annotations

import importlib

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from interlace.pls import GroupingFactor, RandomTerm, fit, threads
from interlace.pls.relcov import Layout
from interlace.pls.threads import suitable_threads


def blas_threads():
    return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}


@pytest.fixture(autouse=True)
def two_threads():
    threads._blas_pools.cache_clear()
    with threadpool_limits(2, user_api="blas"):
        yield
    threads._blas_pools.cache_clear()


@pytest.mark.parametrize(("levels", "expected"), [(10, {1}), (threads.WORTH_THREADS, {2})])
def test_threads_by_the_size_of_the_dense_part(levels, expected):
    with suitable_threads(Layout((5000, levels), (1, 1))):
        assert blas_threads() == expected
    assert blas_threads() == {2}


def test_a_small_fit_runs_on_one_thread_and_gives_the_others_back():
    rng = np.random.default_rng(0)
    codes = np.repeat(np.arange(8), 5)
    y = rng.normal(size=40) + rng.normal(size=8)[codes]
    seen = []
    fit(
        [GroupingFactor(codes, 8)],
        [RandomTerm(0, np.ones((40, 1)))],
        np.ones((40, 1)),
        y,
        callback=lambda _: seen.append(blas_threads()),
    )
    assert seen
    assert all(found == {1} for found in seen)
    assert blas_threads() == {2}


def test_without_threadpoolctl_nothing_changes(monkeypatch):
    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", missing)
    with suitable_threads(Layout((50, 5), (1, 1))):
        assert blas_threads() == {2}
