"""Where many responses come from: arrays, files, or a function, read some columns at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from os import PathLike, fspath
from typing import Any

import numpy as np
import pandas as pd

from interlace.arrays import FloatArray
from interlace.errors import FormulaError, MissingPackageError

Read = Callable[[int, int], Any]


@dataclass(frozen=True, eq=False)
class Stream:
    """Columns of responses that need not be in memory.

    Attributes
    ----------
    names : sequence of str
        One per response.
    rows : int
        Numbers in each.
    read : callable
        From two positions, start and stop, to an array of shape (rows, stop - start).
    """

    names: Sequence[str]
    rows: int
    read: Read

    def columns(self, start: int, stop: int) -> FloatArray:
        """Some of the responses, as floats."""
        found = np.asarray(self.read(start, stop), dtype=float)
        if found.shape != (self.rows, stop - start):
            raise FormulaError(
                f"responses {start} to {stop - 1} came with the shape {found.shape}; wanted "
                f"{(self.rows, stop - start)}: the rows of the data, and one column per response"
            )
        return found


def is_streamed(responses: Any) -> bool:
    """Whether responses are numbers to be read, and neither names of columns nor a frame."""
    return (
        callable(responses)
        or isinstance(responses, PathLike)
        or (isinstance(responses, str) and responses.endswith((".parquet", ".npy")))
        or (len(getattr(responses, "shape", ())) == 2 and not isinstance(responses, pd.DataFrame))
    )


def stream_of(responses: Any, rows: int, names: Sequence[str] | None = None) -> Stream:
    """Responses as something to read from.

    Parameters
    ----------
    responses : array_like of shape (rows, r), path or callable
        An array, in memory or not; a ``.npy`` or ``.parquet`` file; a function of two positions.
    rows : int
        Rows of the data.
    names : sequence of str, optional
        Names of the responses; a function must come with them, since nothing else says how many there are.

    Returns
    -------
    Stream

    Raises
    ------
    FormulaError
        If shapes or numbers of names do not fit.
    ImportError
        For a Parquet file without pyarrow.
    """
    if isinstance(responses, str | PathLike):
        responses, names = _opened(fspath(responses), names)
    if callable(responses):
        if names is None:
            raise FormulaError("responses= is a function; names= must say how its responses are called")
        return Stream([str(name) for name in names], rows, responses)
    shape = tuple(responses.shape)
    if len(shape) != 2 or shape[0] != rows:
        raise FormulaError(
            f"responses= has the shape {shape}; wanted {(rows, 'r')}: the rows of the data, and one column "
            "per response"
        )
    given = _numbered(shape[1]) if names is None else [str(name) for name in names]
    if len(given) != shape[1]:
        raise FormulaError(f"names= has {len(given)} names for {shape[1]} responses")
    return Stream(given, rows, lambda start, stop: responses[:, start:stop])


def _numbered(count: int) -> Sequence[str]:
    width = len(str(count))
    return [f"y{j + 1:0{width}d}" for j in range(count)]


def _opened(path: str, names: Sequence[str] | None) -> tuple[Any, Sequence[str] | None]:
    """A file as an array or as a function."""
    if path.endswith(".npy"):
        return np.load(path, mmap_mode="r"), names
    if not path.endswith(".parquet"):
        raise FormulaError(f"responses={path!r} is no .npy or .parquet file; read it into an array")
    try:
        from pyarrow import parquet, types
    except ImportError as error:
        raise MissingPackageError(
            "Parquet files need pyarrow, which is not installed: pip install pyarrow"
        ) from error
    schema = parquet.read_schema(path)
    odd = [field.name for field in schema if not _numeric(types, field.type)]
    if odd:
        raise FormulaError(
            f"columns {odd[:5]!r} of {path!r} are not numbers; keep responses in their own file"
        )
    columns = schema.names

    def read(start: int, stop: int) -> FloatArray:
        table = parquet.read_table(path, columns=columns[start:stop])
        return np.column_stack([column.to_numpy() for column in table.columns])

    return read, columns if names is None else names


def _numeric(types: Any, kind: Any) -> bool:
    return bool(types.is_floating(kind) or types.is_integer(kind) or types.is_boolean(kind))
