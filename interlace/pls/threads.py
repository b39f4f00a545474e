"""BLAS threads where they help, and one where they would only wait for each other.

On matrices of a few hundred columns a second thread gains nothing, and on a busy machine the
threads of one product spend their time waiting for one another.  threadpoolctl, if installed,
holds BLAS to one thread for such fits; larger ones use whatever the user has allowed.
"""

from __future__ import annotations

import importlib
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import Any

from .relcov import Layout

# Columns outside the largest factor from which on a second thread pays.
WORTH_THREADS = 800


def suitable_threads(layout: Layout) -> AbstractContextManager[Any]:
    """Context in which to fit a design of this layout.

    Parameters
    ----------
    layout : Layout
        Columns of Z.

    Returns
    -------
    context manager
        Restores the number of threads at its end. Does nothing for large designs or without
        threadpoolctl.
    """
    pools = _blas_pools() if layout.q - layout.starts[1] < WORTH_THREADS else None
    return nullcontext() if pools is None else pools.limit(limits=1)


@cache
def _blas_pools() -> Any:
    """Controller of the loaded BLAS libraries, found once (some milliseconds); None without threadpoolctl."""
    try:
        module = importlib.import_module("threadpoolctl")
    except ImportError:
        return None
    return module.ThreadpoolController().select(user_api="blas")
