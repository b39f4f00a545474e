"""One BLAS thread for small fits, the user's number for large ones."""

from __future__ import annotations

import importlib

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from interlace.pls import GroupingFactor, RandomTerm, fit
from interlace.pls.matrices import threads
from interlace.pls.matrices.threads import suitable_threads


def blas_threads(*, numpys=None):
    """Threads of the BLAS pools: of all, of NumPy's own or of the others."""
    pools = [pool for pool in threadpool_info() if pool["user_api"] == "blas"]
    return {
        pool["num_threads"]
        for pool in pools
        if numpys is None or numpys == bool(threads.NUMPYS_BLAS.search(pool["filepath"]))
    }


@pytest.fixture(autouse=True)
def two_threads():
    threads._blas_pools.cache_clear()
    with threadpool_limits(2, user_api="blas"):
        yield
    threads._blas_pools.cache_clear()


def test_all_threads_of_scipy_for_a_large_dense_part():
    with suitable_threads(threads.TWO_THREADS_FROM):
        assert blas_threads(numpys=False) == {2}
        assert blas_threads(numpys=True) <= {1}  # none, where NumPy and SciPy share a library
    assert blas_threads() == {2}


def test_one_thread_for_a_small_dense_part():
    with suitable_threads(10):
        assert blas_threads() == {1}
    assert blas_threads() == {2}


@pytest.mark.parametrize(
    ("path", "own"),
    [
        ("/x/site-packages/numpy.libs/libscipy_openblas64_-1.so", True),
        (r"C:\x\site-packages\numpy.libs\libscipy_openblas64_-1.dll", True),
        ("/x/site-packages/numpy/.dylibs/libscipy_openblas64_.dylib", True),
        ("/x/site-packages/scipy.libs/libscipy_openblas-1.so", False),
        ("/envs/numpy/lib/libopenblas.so.0", False),
    ],
)
def test_numpys_own_library_is_known_by_its_place(path, own):
    assert bool(threads.NUMPYS_BLAS.search(path)) == own


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
    with suitable_threads(5):
        assert blas_threads() == {2}
