"""One measure per case, from whatever holds it: a fit, a frame of measures, a deletion, a Series."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from interlace.errors import DesignError

from .deletion import CaseDeletion
from .influence import cooks_distance, covratio, covtrace, mdffits, rvc
from .leverage import leverage

# HLMdiag's and upstream's spellings, and the columns of `hlm_influence`.
COLUMNS = {
    "cooks.distance": "cooksd",
    "cooks_distance": "cooksd",
    "cooks_d": "cooksd",
    "leverage": "leverage.overall",
}
OF_FIT = {"cooksd": cooks_distance, "mdffits": mdffits, "covratio": covratio, "covtrace": covtrace}


def measure_of(x: Any, name: str, *, level: Any = None) -> pd.Series | None:
    """The measure of each case, by its name.

    Parameters
    ----------
    x : CrossedLMMResults, CaseDeletion or DataFrame
        A fitted model, what `case_delete` returned for one, or the frame of `hlm_influence`,
        `hlm_augment`, `leverage` or `rvc`.
    name : str
        "cooks.distance", "mdffits", "covratio", "covtrace", "rvc", "leverage", or a column of the frame.
    level : 1, str, Series or array, optional
        The cases, for a fitted model: the observations by default.

    Returns
    -------
    Series or None
        None for anything else, such as a Series.

    Raises
    ------
    DesignError
        If there is no such measure, or a level is given where the cases are chosen already.
    """
    column = COLUMNS.get(name, name)
    if isinstance(x, pd.DataFrame):
        _refuse_level(level, "a frame")
        return _column(x, column, name)
    if isinstance(x, CaseDeletion):
        _refuse_level(level, "a deletion")
        return _column(x.measures.join(x.rvc), column, name)
    if not hasattr(x, "pls_fit") and not hasattr(x, "laplace_fit"):
        _refuse_level(level, "values")
        return None
    level = 1 if level is None else level
    if column in OF_FIT:
        return OF_FIT[column](x, level)
    if column.startswith("rvc"):
        return _column(rvc(x, level, progress=False), column, name)
    if column.startswith("leverage."):
        return _column(leverage(x, level).add_prefix("leverage."), column, name)
    raise DesignError(f"name={name!r}; wanted one of {sorted({*OF_FIT, 'leverage', 'rvc', *COLUMNS})}")


def _column(frame: pd.DataFrame, column: str, name: str) -> pd.Series:
    """A column by its name, by the one that HLMdiag has for it, or the only one with this prefix."""
    if name in frame.columns:
        return frame[name]
    if column in frame.columns:
        return frame[column]
    bare = column.removeprefix("leverage.")
    if column.startswith("leverage.") and bare in frame.columns:
        return frame[bare]
    own = [c for c in frame.columns if str(c).startswith(f"{name}.")]
    if len(own) == 1:
        return frame[own[0]]
    numbers = list(frame.columns[[np.issubdtype(dtype, np.number) for dtype in map(_numpy, frame.dtypes)]])
    raise DesignError(f"name={name!r} is no column of the frame; wanted one of {own or numbers}")


def _numpy(dtype: Any) -> np.dtype[Any]:
    return dtype if isinstance(dtype, np.dtype) else np.dtype(object)


def _refuse_level(level: Any, what: str) -> None:
    if level is not None:
        raise DesignError(
            f"level={level!r} was given with {what}, whose cases are chosen; give the fitted model instead, "
            "or leave level= out"
        )
