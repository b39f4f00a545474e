"""Tables of every kind as pandas frames, and their columns as plain arrays.

polars and pyarrow are recognised by the module their objects come from and not imported here.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pandas as pd
from pandas.api import types

from interlace.arrays import IntArray
from interlace.errors import DesignError, UnknownColumnError
from interlace.names import readable

from .foreign import collected, made_by

# What pandas.api.types.infer_dtype calls columns of Python objects that hold numbers.
_NUMBERS = {"integer", "floating", "mixed-integer-float", "decimal"}


def as_frame(data: Any) -> pd.DataFrame:
    """Turn any table into a pandas frame, without copying where nothing needs copying.

    Parameters
    ----------
    data : DataFrame, mapping of columns, polars or pyarrow table
        Also anything with a ``to_pandas`` method, DuckDB relations, objects with an Arrow C stream, Dask
        frames (which are computed, with a warning), and numpy record arrays.

    Returns
    -------
    DataFrame
        ``data`` itself if it is one.

    Raises
    ------
    DesignError
        If ``data`` is no table.

    Examples
    --------
    >>> as_frame({"x": [1, 2], "g": ["a", "b"]}).shape
    (2, 2)
    """
    return with_readable_names(data if isinstance(data, pd.DataFrame) else _as_frame(data))


def _as_frame(data: Any) -> pd.DataFrame:
    if isinstance(data, Mapping):
        return _from_mapping(data)
    if made_by(data, "polars"):
        return _from_polars(data)
    data = collected(data)
    if isinstance(data, pd.DataFrame):
        return data
    if made_by(data, "polars"):
        return _from_polars(data)
    if made_by(data, "pyarrow"):
        # Integers with gaps stay integers: they may be labels of groups.
        return data.to_pandas(integer_object_nulls=True)
    if hasattr(data, "to_pandas"):
        return data.to_pandas()
    if isinstance(data, np.ndarray) and data.dtype.names:
        return pd.DataFrame({name: data[name] for name in data.dtype.names})
    told = f"data is a {type(data).__name__}; wanted a table (pandas, polars, pyarrow) or a dict of columns"
    if isinstance(data, str | Path):
        told += ". Files are read by fit() and predict() of linear models; here read the table first"
    raise DesignError(told)


def with_readable_names(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with columns named as one reads them, so that formulas find them however they were typed.

    Parameters
    ----------
    frame : DataFrame
        The data; not changed.

    Returns
    -------
    DataFrame
        Itself if all names are readable. Two columns that look alike have one name, and `column_of` refuses
        them when it is used.
    """
    named = [readable(name) if isinstance(name, str) else name for name in frame.columns]
    if all(new is old for new, old in zip(named, frame.columns, strict=True)):
        return frame
    return frame.set_axis(pd.Index(named, name=frame.columns.name), axis=1)


def as_pandas(thing: Any) -> Any:
    """A column or table of polars as pandas', anything else as it is.

    Parameters
    ----------
    thing : object
        An array, a list, a column, a table.

    Returns
    -------
    object

    Raises
    ------
    DesignError
        For a lazy polars frame.
    """
    if not made_by(thing, "polars"):
        return thing
    if hasattr(thing, "get_columns") or hasattr(thing, "collect"):
        return _from_polars(thing)
    return pd.Series(_from_polars_series(thing), name=thing.name or None)


def column_of(frame: pd.DataFrame, name: str) -> pd.Series:
    """One column of a frame.

    Parameters
    ----------
    frame : DataFrame
        The data.
    name : str
        A column that is there.

    Returns
    -------
    Series

    Raises
    ------
    DesignError
        If several columns have the name.
    """
    found = frame[name]
    if isinstance(found, pd.DataFrame):
        raise DesignError(f'the data have {found.shape[1]} columns named "{name}"; rename them')
    return found


def _from_mapping(data: Mapping[str, Any]) -> pd.DataFrame:
    columns = {
        name: _from_polars_series(c) if made_by(c, "polars") else unmasked(c) for name, c in data.items()
    }
    try:
        return pd.DataFrame(columns, copy=False)
    except ValueError as error:
        raise DesignError(f"the columns of the data do not make a table: {error}") from error


def _from_polars(data: Any) -> pd.DataFrame:
    """Column by column: polars' own conversion needs pyarrow."""
    if hasattr(data, "collect"):
        raise DesignError("data is a lazy polars frame; give data.collect()")
    return pd.DataFrame({series.name: _from_polars_series(series) for series in data.get_columns()})


def _from_polars_series(series: Any) -> Any:
    kind = str(series.dtype)
    if kind.startswith(("Categorical", "Enum")):
        return _from_polars_categories(series, declared=kind.startswith("Enum"))
    if kind == "Boolean" and series.null_count() == 0:
        return series.to_numpy()
    if kind in ("String", "Boolean", "Date", "Time", "Binary"):
        # A one-dimensional object array: pandas must not guess another type for it.
        values = np.empty(len(series), dtype=object)
        values[:] = series.to_list()
        return values
    if kind.startswith("Decimal"):
        return np.array(series.to_list(), dtype=float)
    if "Int" in kind and series.null_count():
        return pd.array(series.to_list(), dtype="Int64")
    return series.to_numpy()


def _from_polars_categories(series: Any, *, declared: bool) -> pd.Categorical:
    """Categories in their declared order (Enum), or sorted: polars' own order is that of its cache."""
    values = series.to_list()
    if declared:
        return pd.Categorical(values, categories=series.dtype.categories.to_list())
    return pd.Categorical(values, categories=sorted({value for value in values if value is not None}))


# ---- columns ---------------------------------------------------------------------------------


class Columns(Mapping[str, Any]):
    """Columns of a frame as formulas see them: numbers in numpy's own types.

    Nullable and Arrow numbers become numpy numbers (floats with NaN if something is missing), and
    so do numbers kept as Python objects; strings, categories and dates stay what they are.

    Parameters
    ----------
    frame : DataFrame
        The data.

    Examples
    --------
    >>> import pandas as pd
    >>> Columns(pd.DataFrame({"x": pd.array([1, None], dtype="Int64")}))["x"].tolist()
    [1.0, nan]
    """

    def __init__(self, frame: pd.DataFrame) -> None:
        self._frame = frame
        self._plain: dict[str, pd.Series] = {}

    def __getitem__(self, name: str) -> pd.Series:
        if name not in self._plain:
            self._plain[name] = plain(column_of(self._frame, name))
        return self._plain[name]

    def __contains__(self, name: object) -> bool:
        return name in self._frame.columns

    def __iter__(self) -> Iterator[str]:
        return iter(self._frame.columns)

    def __len__(self) -> int:
        return self._frame.shape[1]

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return len(self._frame)

    def of_rows(self, rows: IntArray) -> Columns:
        """The rows at some positions."""
        return Columns(self._frame.iloc[rows])


def plain(column: pd.Series) -> pd.Series:
    """Numbers in numpy's types; anything else as it is.

    Parameters
    ----------
    column : Series
        A column of any dtype.

    Returns
    -------
    Series
        The same object if nothing had to be changed.
    """
    dtype = column.dtype
    if isinstance(dtype, np.dtype) and dtype.kind != "O":
        return column
    if isinstance(dtype, pd.CategoricalDtype):
        return column
    values = _plain_numbers(column)
    return column if values is None else pd.Series(values, index=column.index, name=column.name)


def _plain_numbers(column: pd.Series) -> Any:
    """Array of numbers, booleans or categories that the column holds; None to leave it alone."""
    dtype = column.dtype
    if isinstance(dtype, np.dtype):
        numbers = types.infer_dtype(column, skipna=True) in _NUMBERS
        return _as_floats(column) if numbers else None
    if isinstance(dtype, pd.SparseDtype):
        return np.asarray(column)
    if types.is_bool_dtype(dtype):
        return column.astype(object).where(column.notna(), None) if column.hasnans else column.astype(bool)
    if types.is_numeric_dtype(dtype) or str(dtype).startswith("decimal"):
        return column.to_numpy(dtype=float, na_value=np.nan) if column.hasnans else _numpy_numbers(column)
    if str(dtype).startswith("dictionary"):
        return pd.Categorical(column.astype(object))
    return None


def _numpy_numbers(column: pd.Series) -> Any:
    values = np.asarray(column)
    return values.astype(float) if values.dtype.kind == "O" else values


def _as_floats(column: pd.Series) -> Any:
    """Floats; left alone where a number is too large to be one: it may be a label."""
    try:
        return column.astype(float).to_numpy()
    except OverflowError:
        return None


def unmasked(values: Any) -> Any:
    """A masked array with NaN (objects: None) where it is masked; anything else as it is.

    Parameters
    ----------
    values : object
        Anything array-like.

    Returns
    -------
    object

    Examples
    --------
    >>> import numpy as np
    >>> unmasked(np.ma.masked_array([1, 2], mask=[False, True])).tolist()
    [1.0, nan]
    """
    if not isinstance(values, np.ma.MaskedArray):
        return values
    if not np.ma.is_masked(values):
        return values.data
    if values.dtype.kind in "biuf":
        return np.ma.filled(values.astype(float), np.nan)
    objects = np.array(values.data, dtype=object)
    objects[np.ma.getmaskarray(values)] = None
    return objects


def refuse_objects(what: str, values: Any) -> NoReturn:
    """Refuse a column whose values are neither numbers nor labels.

    Parameters
    ----------
    what : str
        Name of the column.
    values : array_like
        Its values, some of which cannot be compared.

    Raises
    ------
    DesignError
        With one of them.
    """
    kinds = (value for value in values if not isinstance(value, Hashable))
    found = next(kinds, None)
    raise DesignError(
        f'"{what}" holds objects such as {str(found)[:60]} ({type(found).__name__}); wanted one number or '
        "label per row. Make columns of their parts in the data first"
    )


def missing_rows(values: Any) -> np.ndarray:
    """Rows in which a column, or any column of a matrix, is missing.

    Parameters
    ----------
    values : array, Series or Categorical
        One or two dimensions.

    Returns
    -------
    ndarray of bool, shape (n,)
        True where something is missing.
    """
    missing = np.asarray(pd.isna(values))
    return np.asarray(missing.any(axis=1)) if missing.ndim == 2 else missing


# ---- unknown names ---------------------------------------------------------------------------


def check_columns(wanted: Iterable[str], known: Iterable[Any], *, where: str = "the data") -> None:
    """Refuse names that are not among the columns, with what may have been meant.

    Parameters
    ----------
    wanted : iterable of str
        Names that are needed.
    known : iterable
        Names that there are.
    where : str, default "the data"
        What is being searched, for the message.

    Raises
    ------
    UnknownColumnError
        If any is missing.

    Examples
    --------
    >>> check_columns(["rtt"], ["rt", "subject"])
    Traceback (most recent call last):
    ...
    interlace.errors.UnknownColumnError: columns not in the data: ['rtt']. Did you mean 'rt'?
    """
    names = list(known)
    absent = list(dict.fromkeys(name for name in wanted if name not in names))
    if absent:
        raise UnknownColumnError(f"columns not in {where}: {absent}. {suggestion(absent, names)}")


def suggestion(absent: Sequence[str], known: Sequence[Any]) -> str:
    """Sentence with the names that come nearest, or with all of them.

    Parameters
    ----------
    absent : sequence of str
        Names that were not found.
    known : sequence
        Names that there are.

    Returns
    -------
    str
        "Did you mean ...?" or "There are ...".
    """
    numbered = [name for name in known if not isinstance(name, str) and str(name) in map(str, absent)]
    if numbered:
        return (
            f"There is a column {numbered[0]!r}, a {type(numbered[0]).__name__}: name the columns by texts, "
            "data.rename(columns=str)."
        )
    names = [str(name) for name in known]
    near = [match for name in absent for match in _near(str(name), names)]
    if near:
        return f"Did you mean {' and '.join(repr(name) for name in dict.fromkeys(near))}?"
    return f"There are {', '.join(names[:20])}{', ...' if len(names) > 20 else ''}."


def _near(name: str, known: Sequence[str]) -> list[str]:
    by_lower = {k.lower(): k for k in known}
    dotted = [f'Q("{k}")' for k in known if k.startswith(f"{name}.")]
    return dotted[:1] or [by_lower[m] for m in get_close_matches(name.lower(), by_lower, n=1, cutoff=0.6)]
