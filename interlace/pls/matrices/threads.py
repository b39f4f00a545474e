"""BLAS threads where they help, and one where they would only wait for each other.

On matrices of a few hundred columns a second thread gains nothing, and on a busy machine the
threads of one product spend their time waiting for one another.  On larger ones the threads of one
library help, but NumPy and SciPy from PyPI bring a BLAS each, and after every product the threads of
one hold the cores for a while that those of the other need.  threadpoolctl, if installed, holds BLAS to
one thread for small fits; for larger ones NumPy's alone, since the factorizations are SciPy's.
"""

from __future__ import annotations

import importlib
import re
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import Any

# Columns outside the largest factor from which on a second thread pays.
TWO_THREADS_FROM = 800
# Where wheels put a BLAS that only NumPy uses, on Linux and Windows, and on macOS.
NUMPYS_BLAS = re.compile(r"[/\\]numpy(\.libs|[/\\]\.dylibs)[/\\]")


def suitable_threads(columns: int) -> AbstractContextManager[Any]:
    """Context in which to fit a design.

    Parameters
    ----------
    columns : int
        Columns of Z outside the largest factor.

    Returns
    -------
    context manager
        Restores the number of threads at its end. Does nothing without threadpoolctl, nor for large designs
        where NumPy and SciPy share a BLAS.
    """
    everything, numpy_alone = _blas_pools()
    pools = everything if columns < TWO_THREADS_FROM else numpy_alone
    return nullcontext() if pools is None else pools.limit(limits=1)


@cache
def _blas_pools() -> tuple[Any, Any]:
    """Controllers of every BLAS loaded, and of one that is NumPy's alone; None without threadpoolctl.

    Found once: it takes some milliseconds.
    """
    try:
        module = importlib.import_module("threadpoolctl")
    except ImportError:
        return None, None
    everything = module.ThreadpoolController().select(user_api="blas")
    paths = [pool.filepath for pool in everything.lib_controllers if NUMPYS_BLAS.search(pool.filepath)]
    return everything, everything.select(filepath=paths) if paths else None
