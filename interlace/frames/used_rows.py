"""Which rows a model uses: subset, missing values, and the vectors that go with the rows."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import pandas as pd

from interlace.arrays import BoolArray, FloatArray, IntArray
from interlace.errors import DesignError, MissingValuesError
from interlace.names import readable

from .columns import Columns, check_columns, plain, unmasked
from .readings import explain_text

Missing = Literal["drop", "raise", "none"]

# Sums of squares beyond these leave no room for what is computed from them.
LEAST_SQUARES, MOST_SQUARES = 1e-290, 1e290
LARGEST_WEIGHT = 1e200

# What pandas raises for a subset that does not fit (an unknown name in a query is a NameError).
_UNFIT = (KeyError, IndexError, ValueError, TypeError, SyntaxError, NameError, pd.errors.IndexingError)


def subset_rows(
    frame: pd.DataFrame, subset: Any, names: Any, *, may_be_empty: bool = False
) -> IntArray | None:
    """Positions of the rows that ``subset=`` asks for.

    Parameters
    ----------
    frame : DataFrame
        The data.
    subset : None, str, array or Series of bool, or labels of rows
        A text is a query, such as ``"age > 20 and site != @left_out"``; a Series of bool is
        aligned by its index; missing means False.
    names : mapping
        Values for the ``@names`` of a query.
    may_be_empty : bool, default False
        Whether it may leave no row, as of a part of the data.

    Returns
    -------
    ndarray of int or None
        None for all rows.

    Raises
    ------
    DesignError
        If it does not fit the data or leaves no row.
    """
    if subset is None:
        return None
    positions = pd.Series(np.arange(len(frame)), index=frame.index)
    try:
        wanted = _queried(frame, subset, names) if isinstance(subset, str) else _cleaned(subset)
        rows = positions.loc[wanted].to_numpy()
    except DesignError:
        raise
    except _UNFIT as error:
        raise DesignError(
            f"subset= does not fit the data ({type(error).__name__}: {error}); wanted a query, "
            f"{len(frame)} booleans, or labels of the index"
        ) from error
    if len(rows) == 0 and not may_be_empty:
        raise DesignError("subset= leaves no rows")
    if len(np.unique(rows)) < len(rows):
        raise DesignError(
            "subset= asks for some rows more than once; wanted each label once, "
            "or if it says yes or no for each row by 1 and 0, give booleans"
        )
    return np.asarray(rows, dtype=np.intp)


def _queried(frame: pd.DataFrame, query: str, names: Any) -> Any:
    local = {name: names[name] for name in re.findall(r"@([^\W\d]\w*)", query) if name in names}
    found = frame.eval(query, local_dict=local)
    if not (isinstance(found, pd.Series) and pd.api.types.is_bool_dtype(found.dtype)):
        raise DesignError(
            f'subset="{query}" is not true or false for each row; wanted a condition, such as "x > 0"'
        )
    return _cleaned(found)


def _cleaned(subset: Any) -> Any:
    """Booleans without gaps; anything else as it is."""
    if hasattr(subset, "to_pandas"):
        subset = np.asarray(subset)
    if not hasattr(subset, "dtype") or subset.dtype == object:
        if isinstance(subset, pd.Series) and any(isinstance(item, bool | np.bool_) for item in subset):
            return subset.isin([True])
        subset = list(subset)
        if any(isinstance(item, bool | np.bool_) for item in subset):
            return np.array([item is not None and bool(item) for item in subset])
        return subset
    if pd.api.types.is_bool_dtype(subset.dtype) and pd.api.types.is_extension_array_dtype(subset.dtype):
        return subset.fillna(value=False).astype(bool)
    return subset


def row_vector(
    given: Any, what: str, columns: Columns, index: pd.Index, rows: IntArray | None
) -> FloatArray | None:
    """Numbers, one per row, from a column's name or an array.

    Parameters
    ----------
    given : None, str, Series or array
        A Series is aligned by its index, an array goes by position in the whole data.
    what : str
        ``"weights"`` or ``"offset"``, for messages.
    columns : Columns
        The rows of the subset.
    index : Index
        That of the whole data.
    rows : ndarray of int or None
        The subset, as positions in the whole data.

    Returns
    -------
    ndarray of shape (n,) or None
        For the rows of the subset.

    Raises
    ------
    DesignError
        If the length or the index do not fit, or the values are not numbers.
    """
    if given is None:
        return None
    if isinstance(given, str):
        given = readable(given)
        check_columns([given], columns)
        return _numbers(columns[given], what)
    values = np.asarray(aligned(given, what, index) if isinstance(given, pd.Series) else unmasked(given))
    if values.shape != (len(index),):
        raise DesignError(
            f"{what}= has shape {values.shape}; wanted one number for each of {len(index)} rows"
        )
    return _numbers(values if rows is None else values[rows], what)


def aligned(given: pd.Series, what: str, index: pd.Index) -> Any:
    """Values of a Series in the order of an index.

    Parameters
    ----------
    given : Series
        With the same index, or one that has all its labels once.
    what : str
        Name of the argument, for messages.
    index : Index
        That of the data.

    Returns
    -------
    array
        One value per label.

    Raises
    ------
    DesignError
        If the labels do not fit.
    """
    if len(given) == len(index) and given.index.equals(index):
        return plain(given).array
    if given.index.is_unique and index.isin(given.index).all():
        return plain(given).reindex(index).array
    raise DesignError(
        f"the index of {what}= does not match that of the data; align them, or give {what}.to_numpy() "
        "if the rows are in the same order"
    )


def _numbers(values: Any, what: str) -> FloatArray:
    kind = pd.api.types.infer_dtype(values, skipna=True)
    if kind in ("string", "complex"):
        advice = explain_text({what: pd.Series(np.asarray(values, dtype=object))}, [what])
        told = {"string": "text", "complex": "complex numbers"}[kind]
        raise DesignError(f"{what}= holds values that are not numbers ({told}){advice}")
    try:
        return np.asarray(values, dtype=float)
    except (TypeError, ValueError, OverflowError) as error:
        advice = explain_text({what: pd.Series(np.asarray(values, dtype=object))}, [what])
        raise DesignError(f"{what}= holds values that are not numbers ({error}){advice}") from error


# ---- missing values --------------------------------------------------------------------------


def complete_rows(missing: Mapping[str, BoolArray], n: int, how: Missing) -> IntArray | None:
    """Positions of the rows in which nothing is missing.

    Parameters
    ----------
    missing : mapping of str to ndarray of bool, shape (n,)
        For every used column, the rows in which it is missing.
    n : int
        Rows.
    how : {"drop", "raise", "none"}
        Whether rows with missing values may go.

    Returns
    -------
    ndarray of int or None
        None if all rows are complete.

    Raises
    ------
    MissingValuesError
        If something is missing and ``how`` is not "drop", or no row is complete.
    """
    if how not in ("drop", "raise", "none"):
        raise DesignError(f"missing={how!r}; wanted 'drop', 'raise' or 'none'")
    counts = {name: int(rows.sum()) for name, rows in missing.items() if rows.any()}
    if not counts:
        return None
    listed = ", ".join(f"{name} ({count})" for name, count in counts.items())
    if how != "drop":
        raise MissingValuesError(
            f"missing values, with missing={how!r}, in: {listed}. Use missing='drop' to leave their rows out"
        )
    complete = ~np.any([missing[name] for name in counts], axis=0)
    if not complete.any():
        raise MissingValuesError(f"none of the {n} rows is complete: missing values in {listed}")
    return np.flatnonzero(complete)


# ---- what the numbers may be -----------------------------------------------------------------


def check_weights(weights: FloatArray | None) -> None:
    """Refuse weights that no residual variance sigma^2 / w can have.

    Parameters
    ----------
    weights : ndarray of shape (n,) or None
        Prior weights.

    Raises
    ------
    DesignError
        If one is zero, negative or infinite.
    """
    if weights is None:
        return
    wrong = ~(np.isfinite(weights) & (weights > 0))
    if wrong.any():
        raise DesignError(
            f"weights must be positive and finite; {int(wrong.sum())} are not, such as {weights[wrong][0]}. "
            "Use subset= to leave rows out"
        )
    if float(weights.max()) > LARGEST_WEIGHT:
        raise DesignError(
            f"weights reach {weights.max():.1e}, more than sums of squares can hold; only their ratios "
            "matter: divide them by their mean"
        )


def check_finite(values: FloatArray, names: tuple[str, ...], what: str) -> None:
    """Refuse infinite values, and numbers whose squares are infinite or zero.

    Parameters
    ----------
    values : ndarray of shape (n,) or (n, k)
        A vector or a model matrix.
    names : tuple of str
        Names of the columns.
    what : str
        For the message: ``"the response"``.

    Raises
    ------
    DesignError
        If any value is infinite, or a column is so large or so small that its squares cannot be told from
        infinity or zero.
    """
    # Squares tell all at once, without a copy: the closer look is for what they cannot.
    squares = np.einsum("i...,i...->...", values, values)
    if ((squares > LEAST_SQUARES) & (squares < MOST_SQUARES)).all():
        return
    if np.isfinite(values).all():
        _check_scale(values, names, what)
        return
    finite = np.atleast_1d(np.isfinite(values.reshape(len(values), -1)).all(axis=0))
    wrong = [name for name, good in zip(names, finite, strict=True) if not good]
    raise DesignError(f"infinite values in {what}: {wrong}. Leave those rows out, or transform the columns")


def _check_scale(values: FloatArray, names: tuple[str, ...], what: str) -> None:
    largest = np.abs(values.reshape(len(values), -1)).max(axis=0)
    for name, size in zip(names, largest, strict=True):
        if size > 0 and not np.sqrt(LEAST_SQUARES) < size < np.sqrt(MOST_SQUARES / len(values)):
            how, kind = ("large", "infinity") if size > 1 else ("small", "zero")
            raise DesignError(
                f'the numbers of "{name}" in {what} are too {how} (the largest is {size:.1e}): their squares '
                f"cannot be told from {kind}. Measure in other units, {name} / {size:.0e}"
            )
