"""Results with an entry per row, which are never there all at once: a pass over the source whenever asked."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from tempfile import mkstemp
from typing import Any

import numpy as np
import pandas as pd

from interlace.arrays import FloatArray, IntArray
from interlace.errors import ArgumentError, DesignError
from interlace.parallel import row_bar

from .passes import broken_off, chunks_of
from .sources import ArrowSource, Source, wanted

# The column that says where in the source a row stands.
ROW = "row"


@dataclass(frozen=True, eq=False)
class OfChunk:
    """What was computed for a chunk.

    Attributes
    ----------
    positions : ndarray of int or None
        Rows of the chunk that have an entry; None: all.
    values : dict of str to ndarray
        Columns.
    """

    positions: IntArray | None
    values: Mapping[str, FloatArray]


@dataclass(frozen=True, eq=False, repr=False)
class StreamedRows:
    """Columns with an entry per row of a source, computed by a pass whenever they are asked for.

    Iterating gives ``pyarrow.RecordBatch`` objects in the order of the source.

    Attributes
    ----------
    source : Source
        Where the rows are.
    work : callable
        Of a chunk as a frame; gives an `OfChunk`.
    names : tuple of str
        The columns that it computes.
    reads : tuple of str or None
        Columns of the source that it needs; None for all of them, which then stand before the computed ones.

    Examples
    --------
    >>> import interlace
    >>> sleep = interlace.datasets.load_sleepstudy()
    >>> fit = interlace.fit("Reaction ~ Days + (Days | Subject)", lambda: iter([sleep[:100], sleep[100:]]))
    >>> fit.resid
    <StreamedRows resid of the function <lambda>; a pass over it for .to_series(), .to_parquet(path), ...>
    >>> fit.resid.to_series().head(2).round(2).tolist()
    [-4.1, -14.63]
    """

    source: Source
    work: Callable[[pd.DataFrame], OfChunk]
    names: tuple[str, ...]
    reads: tuple[str, ...] | None

    def __repr__(self) -> str:
        what = ", ".join(self.names)
        return (
            f"<StreamedRows {what} of {self.source.described}; a pass over it for .to_series(), "
            ".to_parquet(path), ...>"
        )

    def __iter__(self) -> Iterator[Any]:
        return self.batches()

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return np.asarray(self.to_frame()[list(self.names)].to_numpy().squeeze(), dtype=dtype)

    def _chunks(self) -> Iterator[tuple[Any, pd.DataFrame, int, OfChunk]]:
        called = f"the pass for {', '.join(self.names)}"
        with row_bar(self.source.n_rows, called) as advance:
            for table, frame, place in chunks_of(self.source, self.reads, called):
                with broken_off(called, str(place)):
                    found = self.work(frame)
                advance(len(frame))
                yield table, frame, place.row, found

    def batches(self) -> Iterator[Any]:
        """Arrow batches in the order of the source.

        Yields
        ------
        pyarrow.RecordBatch
            The column ``row``, the position in the source, and the computed columns; or all columns of the
            source and then the computed ones.
        """
        arrow = wanted("pyarrow", "rows are streamed as Arrow batches", "interlace[stream]")
        schema = None
        for table, frame, first, found in self._chunks():
            at = np.arange(len(frame)) if found.positions is None else found.positions
            if self.reads is None:
                own = _as_arrow(arrow, table, schema).take(arrow.array(at))
                schema = own.schema if schema is None else schema
            else:
                own = arrow.table({ROW: first + at})
            for name, values in found.values.items():
                own = own.append_column(name, arrow.array(values, from_pandas=False))
            yield from own.combine_chunks().to_batches()

    def frames(self) -> Iterator[pd.DataFrame]:
        """Pandas frames in the order of the source, the row's position as index.

        Yields
        ------
        DataFrame
        """
        for _, frame, first, found in self._chunks():
            at = np.arange(len(frame)) if found.positions is None else found.positions
            computed = pd.DataFrame(dict(found.values), index=pd.Index(first + at, name=ROW))
            if self.reads is None:
                own = frame.iloc[at].set_axis(computed.index, axis=0)
                computed = pd.concat([own, computed], axis=1)
            yield computed

    def to_frame(self) -> pd.DataFrame:
        """All of it in memory.

        Returns
        -------
        DataFrame
            Indexed by the position in the source.
        """
        return pd.concat(list(self.frames()))

    def to_series(self) -> pd.Series:
        """The one column in memory.

        Returns
        -------
        Series
            Indexed by the position in the source.

        Raises
        ------
        ValueError
            If there are several columns.
        """
        if len(self.names) != 1 or self.reads is None:
            raise ArgumentError("there are several columns; use to_frame()")
        return self.to_frame()[self.names[0]]

    def to_parquet(self, path: str | Path) -> Path:
        """Write a Parquet file, in the order of the source.

        Parameters
        ----------
        path : str or Path
            Where; replaced if it is there, once the last row is written and not before.

        Returns
        -------
        Path

        Raises
        ------
        DesignError
            If the file belongs to the source that is being read.
        """
        target = Path(path)
        _refuse_own_file(self.source, target)
        parquet = wanted("pyarrow.parquet", "Parquet files are written by pyarrow", "interlace[stream]")
        handle, name = mkstemp(prefix=f".{target.name}.", dir=target.parent or Path())
        os.close(handle)
        try:
            self._write(parquet, name)
            Path(name).replace(target)
        finally:
            Path(name).unlink(missing_ok=True)
        return target

    def _write(self, parquet: Any, path: str) -> None:
        writer = None
        try:
            for batch in self.batches():
                if writer is None:
                    writer = parquet.ParquetWriter(path, batch.schema)
                writer.write_batch(batch.cast(writer.schema) if batch.schema != writer.schema else batch)
        finally:
            if writer is not None:
                writer.close()

    def describe(self) -> pd.DataFrame:
        """Count, mean, standard deviation, least and largest value of each column, in one pass.

        Returns
        -------
        DataFrame
            A row per column; missing entries are not counted.
        """
        n = np.zeros(len(self.names))
        mean, square = n.copy(), n.copy()
        low, high = np.full_like(n, np.inf), np.full_like(n, -np.inf)
        for _, _, _, found in self._chunks():
            for j, name in enumerate(self.names):
                own = found.values[name][~np.isnan(found.values[name])]
                if not len(own):
                    continue
                both, away = n[j] + len(own), float(own.mean()) - mean[j]
                square[j] += float(((own - own.mean()) ** 2).sum()) + away**2 * n[j] * len(own) / both
                mean[j] += away * len(own) / both
                n[j] = both
                low[j], high[j] = min(low[j], own.min()), max(high[j], own.max())
        with np.errstate(invalid="ignore", divide="ignore"):
            columns = {"count": n, "mean": mean, "std": np.sqrt(square / (n - 1)), "min": low, "max": high}
        return pd.DataFrame(columns, index=list(self.names))


def _as_arrow(arrow: Any, table: Any, schema: Any) -> Any:
    if isinstance(table, pd.DataFrame):
        return arrow.Table.from_pandas(table, schema=schema, preserve_index=False).replace_schema_metadata(
            None
        )
    found = arrow.table(table)
    # polars' views of strings are too new for most of what is done with a table.
    older = {arrow.string_view(): arrow.large_string(), arrow.binary_view(): arrow.large_binary()}
    fields = [field.with_type(older.get(field.type, field.type)) for field in found.schema]
    return found.cast(arrow.schema(fields))


def _refuse_own_file(source: Source, target: Path) -> None:
    if not isinstance(source, ArrowSource):
        return
    files = {Path(path).resolve() for path in source.files}
    own = target.resolve()
    inside = any(Path(path).is_dir() and Path(path).resolve() in own.parents for path in source.paths)
    if own in files or inside or fnmatch(str(target), source.described):
        raise DesignError(
            f'"{target}" belongs to the data that are being read, {source.described}; wanted a file elsewhere'
        )
