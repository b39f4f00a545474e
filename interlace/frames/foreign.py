"""Tables of other libraries: Dask, DuckDB, and whatever speaks Arrow's C stream.

Dask and DuckDB are never imported here; an Arrow stream is read by pyarrow or polars, if one is installed.
"""

from __future__ import annotations

import importlib
import warnings
from typing import Any

import pandas as pd

from interlace.errors import DataWarning, DesignError, callers_level


def made_by(thing: Any, package: str) -> bool:
    """Whether an object's class, or one that it inherits from, was defined in a package.

    Parameters
    ----------
    thing : object
        Anything.
    package : str
        The first word of the module's name.

    Returns
    -------
    bool
    """
    return any(kind.__module__.partition(".")[0] == package for kind in type(thing).__mro__)


def collected(data: Any) -> Any:
    """Bring a table that lives elsewhere into memory, as a kind that `as_frame` knows.

    Parameters
    ----------
    data : object
        A Dask frame, a DuckDB relation, an Arrow data set or an object with ``__arrow_c_stream__``.

    Returns
    -------
    object
        A pandas frame, a pyarrow table or a polars frame; ``data`` itself if it is none of these.

    Warns
    -----
    DataWarning
        For Dask frames, which may be larger than the memory.

    Raises
    ------
    DesignError
        If an Arrow stream is given and neither pyarrow nor polars is installed.
    """
    if made_by(data, "dask") and hasattr(data, "compute"):
        return _computed(data)
    if made_by(data, "pyarrow") and hasattr(data, "to_table"):  # a data set on disk
        return data.to_table()
    if hasattr(data, "to_pandas"):
        return data
    if hasattr(data, "__arrow_c_stream__"):
        return _from_stream(data)
    if made_by(data, "duckdb") or made_by(data, "_duckdb"):
        return data.df()
    return data


def _computed(data: Any) -> Any:
    warnings.warn(
        f"the Dask frame was computed: all of its {len(data.columns)} columns are in memory now. Choose the "
        "columns of the model first to save some, and call data.compute() yourself to silence this",
        DataWarning,
        stacklevel=callers_level(),
    )
    return data.compute()


def _from_stream(data: Any) -> Any:
    pyarrow, polars = _if_installed("pyarrow"), _if_installed("polars")
    if pyarrow is not None:
        return pyarrow.table(data)
    if polars is not None:
        return polars.DataFrame(data)
    if hasattr(data, "df") and isinstance(found := data.df(), pd.DataFrame):  # DuckDB's own conversion
        return found
    raise DesignError(
        f"data is a {type(data).__name__}, an Arrow stream, which pyarrow or polars must read and neither is "
        "installed. Install one (pip install pyarrow), or give a pandas frame"
    )


def _if_installed(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        return None
