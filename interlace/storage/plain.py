"""Values as plain data: what JSON can say, and arrays of numbers beside it."""

from __future__ import annotations

import datetime
import math
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from interlace.errors import StorageError

# Marks a dictionary that stands for something else than itself.
KIND = "$"


class Packer:
    """Turns values into what JSON can say; arrays of numbers are put aside under a name.

    Attributes
    ----------
    arrays : dict of str to ndarray
        Those put aside.
    """

    def __init__(self) -> None:
        self.arrays: dict[str, NDArray[Any]] = {}

    def pack(self, value: Any) -> Any:
        """The plain form of a value.

        Parameters
        ----------
        value : object
            Numbers, texts, dates, arrays, indexes, and containers of these.

        Returns
        -------
        object
            For :class:`Unpacker`.

        Raises
        ------
        StorageError
            If it is anything else.
        """
        if value is None or isinstance(value, bool | str) or type(value) is int:
            return value
        if isinstance(value, float) and not isinstance(value, np.generic):
            return value if math.isfinite(value) else {KIND: "float", "value": repr(value)}
        if isinstance(value, list):
            return [self.pack(part) for part in value]
        if isinstance(value, tuple):
            return {KIND: "tuple", "value": [self.pack(part) for part in value]}
        if isinstance(value, dict):
            pairs = [[self.pack(key), self.pack(part)] for key, part in value.items()]
            return {KIND: "dict", "value": pairs}
        if isinstance(value, np.ndarray):
            return self._array(value)
        if isinstance(value, pd.Index):
            return self._index(value)
        return self._scalar(value)

    def _aside(self, array: NDArray[Any]) -> str:
        name = f"a{len(self.arrays)}"
        self.arrays[name] = array
        return name

    def _array(self, array: NDArray[Any]) -> dict[str, Any]:
        if array.dtype.kind == "f" and array.dtype.itemsize > 8:
            # Long doubles differ between machines: as the sum of two doubles.
            high = array.astype(float)
            parts = [self._aside(high), self._aside((array - high).astype(float))]
            return {KIND: "longdouble", "value": parts}
        if array.dtype.kind in "biuf":
            return {KIND: "array", "value": self._aside(array)}
        if array.dtype.kind in "mM":
            return {KIND: "times", "value": self._aside(array.astype(np.int64)), "dtype": array.dtype.str}
        if array.dtype.kind in "OUT":
            values = [self.pack(part) for part in array.ravel().tolist()]
            return {KIND: "objects", "value": values, "shape": list(array.shape)}
        raise StorageError(f"an array of {array.dtype} cannot be stored; convert it to numbers or text")

    def _index(self, index: pd.Index) -> dict[str, Any]:
        told = {KIND: "index", "name": self.pack(index.name), "dtype": str(index.dtype)}
        if isinstance(index, pd.MultiIndex):
            parts = [self.pack(index.get_level_values(level)) for level in range(index.nlevels)]
            return {KIND: "multiindex", "value": parts, "names": self.pack(list(index.names))}
        if isinstance(index, pd.RangeIndex):
            return {**told, KIND: "range", "value": [index.start, index.stop, index.step]}
        if isinstance(index.dtype, np.dtype) and index.dtype.kind in "biuf":
            return {**told, "value": self._array(index.to_numpy())}
        return {**told, "value": [self.pack(value) for value in index.astype(object)]}

    def _scalar(self, value: Any) -> dict[str, Any]:
        if value is pd.NaT or value is pd.NA:
            return {KIND: "missing", "value": "NaT" if value is pd.NaT else "NA"}
        for kind, (cls, apart, _) in SCALARS.items():
            if isinstance(value, cls):
                return {KIND: kind, "value": self.pack(apart(value))}
        raise StorageError(
            f"{str(value)[:40]!r}, a {type(value).__name__}, cannot be stored; convert it to a number or a "
            "text"
        )


# Kinds of single values: class, its plain form, and back. Subclasses come before their bases.
SCALARS: dict[str, tuple[type, Callable[[Any], Any], Callable[[Any], Any]]] = {
    "timestamp": (
        pd.Timestamp,
        lambda t: [int(t.asm8.astype(np.int64)), t.unit, None if t.tz is None else str(t.tz)],
        lambda v: _timestamp(*v),
    ),
    "timedelta": (
        pd.Timedelta,
        lambda t: [int(t.asm8.astype(np.int64)), t.unit],
        lambda v: pd.Timedelta(np.timedelta64(v[0], v[1])),
    ),
    "period": (pd.Period, lambda p: [p.ordinal, p.freqstr], lambda v: pd.Period(ordinal=v[0], freq=v[1])),
    "interval": (
        pd.Interval,
        lambda i: [i.left, i.right, i.closed],
        lambda v: pd.Interval(*v),
    ),
    "datetime": (datetime.datetime, datetime.datetime.isoformat, datetime.datetime.fromisoformat),
    "date": (datetime.date, datetime.date.isoformat, datetime.date.fromisoformat),
    "time": (datetime.time, datetime.time.isoformat, datetime.time.fromisoformat),
    "decimal": (Decimal, str, Decimal),
    "bytes": (bytes, bytes.hex, bytes.fromhex),
    "number": (np.generic, lambda v: _number_apart(v), lambda v: _number(*v)),
}


def _number_apart(value: Any) -> list[Any]:
    if value.dtype.kind not in "biuf" or value.dtype.itemsize > 8:
        raise StorageError(f"{value!r} cannot be stored; convert it to a number of Python's")
    return [value.dtype.str, value.item()]


def _number(dtype: str, value: Any) -> Any:
    if np.dtype(dtype).kind not in "biuf":
        raise ValueError(f"{dtype} is no type of numbers")
    return np.dtype(dtype).type(value)


def _timestamp(value: int, unit: Any, zone: str | None) -> pd.Timestamp:
    stamp = pd.Timestamp(np.datetime64(value, unit))
    return stamp if zone is None else stamp.tz_localize("UTC").tz_convert(zone)


class Unpacker:
    """Turns plain data back into values.

    Parameters
    ----------
    arrays : dict of str to ndarray
        Those that were put aside.
    """

    def __init__(self, arrays: dict[str, NDArray[Any]]) -> None:
        self.arrays = arrays

    def unpack(self, told: Any) -> Any:
        """The value.

        Parameters
        ----------
        told : object
            From :meth:`Packer.pack`.

        Returns
        -------
        object
        """
        if isinstance(told, list):
            return [self.unpack(part) for part in told]
        if not isinstance(told, dict):
            return told
        kind, value = told[KIND], told.get("value")
        if kind in SCALARS:
            return SCALARS[kind][2](self.unpack(value))
        return getattr(self, f"_of_{kind}")(value, told)

    def _of_float(self, value: str, _: Any) -> float:
        return float(value)

    def _of_missing(self, value: str, _: Any) -> Any:
        return {"NaT": pd.NaT, "NA": pd.NA}[value]

    def _of_tuple(self, value: list[Any], _: Any) -> tuple[Any, ...]:
        return tuple(self.unpack(part) for part in value)

    def _of_dict(self, value: list[Any], _: Any) -> dict[Any, Any]:
        return {self.unpack(key): self.unpack(part) for key, part in value}

    def _of_array(self, value: str, _: Any) -> NDArray[Any]:
        return self.arrays[value]

    def _of_longdouble(self, value: list[str], _: Any) -> NDArray[Any]:
        high, low = (self.arrays[name] for name in value)
        return high.astype(np.longdouble) + low

    def _of_times(self, value: str, told: Any) -> NDArray[Any]:
        dtype = np.dtype(str(told["dtype"]))
        if dtype.kind not in "mM":
            raise ValueError(f"{dtype} is no type of times")
        return self.arrays[value].astype(np.int64).view(dtype)

    def _of_objects(self, value: list[Any], told: Any) -> NDArray[Any]:
        array = np.empty(len(value), dtype=object)
        array[:] = [self.unpack(part) for part in value]
        return array.reshape([int(size) for size in told["shape"]])

    def _of_range(self, value: list[int], told: Any) -> pd.Index:
        return pd.RangeIndex(int(value[0]), int(value[1]), int(value[2]), name=self.unpack(told["name"]))

    def _of_multiindex(self, value: list[Any], told: Any) -> pd.Index:
        return pd.MultiIndex.from_arrays(
            [self.unpack(part) for part in value], names=self.unpack(told["names"])
        )

    def _of_index(self, value: Any, told: Any) -> pd.Index:
        values, name = self.unpack(value), self.unpack(told["name"])
        if isinstance(values, np.ndarray):
            return pd.Index(values, name=name)
        try:
            return pd.Index(values, dtype=str(told["dtype"]), name=name)
        except (TypeError, ValueError, ImportError):
            # A dtype of categories, or of a library that is not here: the values are the same.
            return pd.Index(values, name=name)
