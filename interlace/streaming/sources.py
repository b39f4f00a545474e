"""What can be read again and again in pieces: files, data sets, lazy frames, queries, functions.

pyarrow reads files; polars, DuckDB and Dask are recognised by the module their objects come from and never
imported here (DuckDB is, by name, for the text of a query).
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from glob import glob, has_magic
from pathlib import Path
from typing import Any, Protocol

import pandas as pd

from interlace.errors import DesignError, MissingPackageError
from interlace.frames.columns import as_frame
from interlace.frames.foreign import made_by

FORMATS = {".parquet": "parquet", ".pq": "parquet", ".csv": "csv", ".tsv": "csv"}
PACKED = {".gz", ".bz2", ".zst"}
_QUERY = re.compile(r"\s*\(?\s*(select|with|from)\s", re.IGNORECASE)


@dataclass(frozen=True, eq=False)
class Piece:
    """Some rows in the kind of table that a source yields, and the name of the place they come from."""

    table: Any
    origin: str


class Source(Protocol):
    """Rows in a fixed order that can be read any number of times."""

    @property
    def columns(self) -> list[str]:
        """Names of all columns."""

    @property
    def described(self) -> str:
        """What the source is, for messages."""

    @property
    def n_rows(self) -> int | None:
        """Rows, where that is known without reading them."""

    def pieces(self, columns: Sequence[str] | None, rows: int) -> Generator[Piece, None, None]:
        """One reading of some columns (None: all of them), in pieces of so many rows or fewer."""

    def fingerprint(self) -> object:
        """Something that changes if the data do, as far as that is known without reading them."""


# ---- Arrow -----------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class ArrowSource:
    """A ``pyarrow.dataset``, file by file.

    Attributes
    ----------
    dataset : pyarrow.dataset.Dataset
        The data.
    described : str
        Its name.
    paths : tuple of str
        The files that the user named; a stored model opens them again.
    """

    dataset: Any
    described: str
    paths: tuple[str, ...] = ()

    @property
    def columns(self) -> list[str]:
        """Names of all columns."""
        return [name for name in self.dataset.schema.names if not name.startswith("__index_level_")]

    @property
    def n_rows(self) -> int | None:
        """Rows, from the footers of Parquet files."""
        parquet = all(path.rpartition(".")[2] in ("parquet", "pq") for path in self.files)
        return int(self.dataset.count_rows()) if self.files and parquet else None

    @property
    def files(self) -> list[str]:
        """Paths of the files."""
        return list(getattr(self.dataset, "files", []))

    def pieces(self, columns: Sequence[str] | None, rows: int) -> Generator[Piece, None, None]:
        """Batches of one file after the other."""
        names = self.columns if columns is None else list(columns)
        for fragment in self.dataset.get_fragments():
            origin = str(getattr(fragment, "path", "") or self.described)
            _check_present(fragment, names, origin)
            batches = fragment.to_batches(schema=self.dataset.schema, columns=names, batch_size=rows)
            yield from (Piece(table, origin) for table in _gathered(batches, rows))

    def fingerprint(self) -> object:
        """Sizes and times of the files on this machine."""
        found = [Path(path) for path in self.files]
        stats = [path.stat() for path in found if path.exists()]
        return tuple(map(str, found)), tuple((s.st_size, s.st_mtime_ns) for s in stats)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "dataset": None if self.paths else self.dataset}

    def __setstate__(self, state: dict[str, Any]) -> None:
        again = _opened(state["paths"]) if state["paths"] else state["dataset"]
        self.__dict__.update(state | {"dataset": again})


def _check_present(fragment: Any, names: Sequence[str], origin: str) -> None:
    """Refuse a file without a column: Arrow would take all of its values as missing."""
    keys = importlib.import_module("pyarrow.dataset").get_partition_keys(fragment.partition_expression)
    absent = [name for name in names if name not in fragment.physical_schema.names and name not in keys]
    if absent:
        raise DesignError(f"{origin} lacks the columns {absent}; wanted the same ones in every file")


def _gathered(batches: Iterator[Any], rows: int) -> Iterator[Any]:
    """Batches put together to tables of so many rows or fewer, as long as their dictionaries are the same."""
    held: list[Any] = []
    for batch in batches:
        if not batch.num_rows:
            continue
        if held and (sum(b.num_rows for b in held) + batch.num_rows > rows or not _alike(held[-1], batch)):
            yield _table(held)
            held = []
        held.append(batch)
    if held:
        yield _table(held)


def _table(batches: list[Any]) -> Any:
    return importlib.import_module("pyarrow").Table.from_batches(batches)


def _alike(a: Any, b: Any) -> bool:
    pairs = zip(a.columns, b.columns, strict=True)
    return all(x.dictionary.equals(y.dictionary) for x, y in pairs if hasattr(x, "dictionary"))


def _opened(paths: Sequence[str]) -> Any:
    """The data set of some files or folders of one format."""
    arrow = wanted("pyarrow.dataset", "Parquet and CSV files are read by pyarrow", "interlace[stream]")
    formats = {_format(path) for path in paths}
    if len(formats) > 1 or None in formats:
        raise DesignError(
            f"the files {_some(paths)} are not all Parquet (.parquet, .pq) or all CSV (.csv, .tsv, also "
            ".gz); wanted files of one format, or a pyarrow.dataset of them"
        )
    reader = _reader(formats.pop(), paths)
    # Folders named "year=2020" hold a column, as everybody's readers have it.
    return arrow.dataset(list(paths) if len(paths) > 1 else paths[0], format=reader, partitioning="hive")


def _format(path: str) -> str | None:
    if Path(path).is_dir():
        inside = sorted({FORMATS[p.suffix] for p in Path(path).rglob("*") if p.suffix in FORMATS})
        return inside[0] if len(inside) == 1 else None
    suffixes = [suffix for suffix in Path(path).suffixes if suffix not in PACKED]
    return FORMATS.get(suffixes[-1].lower()) if suffixes else None


def _reader(name: str | None, paths: Sequence[str]) -> Any:
    if name != "csv":
        return name
    csv, dataset = importlib.import_module("pyarrow.csv"), importlib.import_module("pyarrow.dataset")
    delimiter = "\t" if any(".tsv" in Path(path).suffixes for path in paths) else ","
    return dataset.CsvFileFormat(
        parse_options=csv.ParseOptions(delimiter=delimiter),
        convert_options=csv.ConvertOptions(strings_can_be_null=True),
    )


# ---- polars, DuckDB, Dask, functions ---------------------------------------------------------


@dataclass(frozen=True, eq=False)
class LazyFrameSource:
    """A polars LazyFrame: its query runs once per pass, in polars' streaming engine."""

    frame: Any
    described: str = "the polars LazyFrame"
    n_rows: int | None = None

    @property
    def columns(self) -> list[str]:
        """Names of all columns."""
        return list(self.frame.collect_schema().names())

    def pieces(self, columns: Sequence[str] | None, rows: int) -> Generator[Piece, None, None]:
        """Batches of the query's result, in its order."""
        chosen = self.frame if columns is None else self.frame.select(list(columns))
        for batch in chosen.collect_batches(chunk_size=rows, maintain_order=True):
            yield Piece(batch, self.described)

    def fingerprint(self) -> object:
        """Nothing: a query may read anything."""
        return None


@dataclass(frozen=True, eq=False)
class RelationSource:
    """A DuckDB relation: its query runs once per pass."""

    relation: Any
    described: str = "the DuckDB relation"
    n_rows: int | None = None

    @property
    def columns(self) -> list[str]:
        """Names of all columns."""
        return list(self.relation.columns)

    def pieces(self, columns: Sequence[str] | None, rows: int) -> Generator[Piece, None, None]:
        """Batches of the query's result."""
        names = self.columns if columns is None else columns
        quoted = ", ".join('"' + name.replace('"', '""') + '"' for name in names)
        chosen = self.relation.project(quoted)
        reader = getattr(chosen, "to_arrow_reader", None) or chosen.fetch_record_batch
        for table in _gathered(iter(reader(rows)), rows):
            yield Piece(table, self.described)

    def fingerprint(self) -> object:
        """Nothing: a query may read anything."""
        return None


@dataclass(frozen=True, eq=False)
class DaskSource:
    """A Dask frame: partitions are summed where they lie, and read one by one for results."""

    frame: Any
    described: str = "the Dask frame"
    n_rows: int | None = None

    @property
    def columns(self) -> list[str]:
        """Names of all columns."""
        return list(self.frame.columns)

    def parts(self, columns: Sequence[str]) -> list[Any]:
        """Delayed partitions."""
        return list(self.frame[list(columns)].to_delayed())

    def pieces(self, columns: Sequence[str] | None, rows: int) -> Generator[Piece, None, None]:
        """Partitions, one after the other."""
        for number, part in enumerate(self.parts(self.columns if columns is None else columns)):
            table, origin = part.compute(), f"partition {number} of {self.described}"
            yield from (Piece(table.iloc[a : a + rows], origin) for a in range(0, len(table), rows))

    def fingerprint(self) -> object:
        """Nothing: a graph may read anything."""
        return None


@dataclass(frozen=True, eq=False)
class FunctionSource:
    """A function that opens the data anew and returns an iterator of tables.

    Attributes
    ----------
    open : callable
        Called once per pass.
    """

    open: Callable[[], Any]
    n_rows: int | None = None

    @property
    def described(self) -> str:
        """What the source is, for messages."""
        return f"the function {getattr(self.open, '__name__', 'that gives the data')}"

    @property
    def columns(self) -> list[str]:
        """Names of the columns of the first table."""
        with closing(self._tables()) as tables:
            first = next(tables, None)
        if first is None:
            raise DesignError(f"{self.described} gives no table; wanted an iterator of frames, opened anew")
        return [str(name) for name in as_frame(first).columns]

    def _tables(self) -> Generator[Any, None, None]:
        given = self.open()
        if _is_table(given):
            given = [given]
        try:
            tables = iter(given)
        except TypeError as error:
            raise DesignError(
                f"{self.described} returned a {type(given).__name__}; wanted an iterator of frames"
            ) from error
        try:
            yield from tables
        finally:  # a reader that is left half-way has a file open
            if callable(close := getattr(given, "close", None)):
                close()

    def pieces(self, columns: Sequence[str] | None, rows: int) -> Generator[Piece, None, None]:
        """The tables, large ones in slices."""
        with closing(self._tables()) as tables:
            for number, table in enumerate(tables):
                frame, origin = self._frame(table, number, columns)
                yield from (Piece(frame.iloc[a : a + rows], origin) for a in range(0, len(frame), rows))

    def _frame(self, table: Any, number: int, columns: Sequence[str] | None) -> tuple[pd.DataFrame, str]:
        frame, origin = as_frame(table), f"table {number} of {self.described}"
        absent = [name for name in columns or () if name not in frame.columns]
        if absent:
            raise DesignError(f"{origin} lacks the columns {absent}; wanted the same ones in every table")
        return (frame if columns is None else frame[list(columns)]), origin

    def fingerprint(self) -> object:
        """Nothing: a function may read anything."""
        return None


def _is_table(thing: Any) -> bool:
    tabular = isinstance(thing, Mapping | pd.DataFrame) or hasattr(thing, "__arrow_c_stream__")
    return tabular and not hasattr(thing, "__next__")


# ---- recognition -----------------------------------------------------------------------------


def source_of(data: Any) -> Source | None:
    """The source that an object stands for, or None if it is a table in memory.

    Parameters
    ----------
    data : object
        A path, a glob, a list of paths, the text of a query, a ``pyarrow.dataset``, a polars LazyFrame, a
        DuckDB relation, a Dask frame, or a function that returns an iterator of tables.

    Returns
    -------
    Source or None

    Raises
    ------
    DesignError
        For what can be read only once, and for paths where nothing is.
    """
    if isinstance(data, str | Path):
        return _from_text(data)
    if isinstance(data, list | tuple) and data and all(isinstance(item, str | Path) for item in data):
        paths = tuple(str(item) for item in data)
        return ArrowSource(_opened(paths), _some(paths), paths)
    if made_by(data, "polars") and hasattr(data, "collect"):
        return _lazy_frame(data)
    if made_by(data, "pyarrow") and hasattr(data, "get_fragments"):
        return ArrowSource(data, "the data set")
    if made_by(data, "duckdb") or made_by(data, "_duckdb"):
        wanted("pyarrow", "a DuckDB relation is read through pyarrow", "interlace[stream]")
        return RelationSource(data)
    if made_by(data, "dask") and hasattr(data, "to_delayed"):
        return DaskSource(data)
    if isinstance(data, Iterator) and not made_by(data, "pyarrow"):
        raise DesignError(
            f"data is a {type(data).__name__}, which can be read only once, and a fit reads its data twice "
            "or more; give a function that opens it anew, lambda: pd.read_csv(path, chunksize=100_000)"
        )
    if callable(data) and not hasattr(data, "columns") and not isinstance(data, type):
        return FunctionSource(data)
    return None


def _lazy_frame(frame: Any) -> Source:
    if not hasattr(frame, "collect_batches"):
        raise DesignError(
            "this polars has no LazyFrame.collect_batches, by which a lazy frame is read in pieces; install "
            "a newer one, or give frame.collect()"
        )
    return LazyFrameSource(frame)


def _from_text(data: str | Path) -> Source:
    text = str(data)
    text = str(Path(text).expanduser()) if text.startswith("~") else text
    found = [text] if _exists(text) else sorted(glob(text, recursive=True)) if has_magic(text) else []
    paths = tuple(found)
    if not paths and _QUERY.match(text):
        duckdb = wanted("duckdb", "a query in SQL is run by DuckDB", "duckdb pyarrow")
        return RelationSource(duckdb.sql(text), "the query")
    if not paths:
        raise DesignError(
            f'no file is at "{text}"; wanted a path or pattern of Parquet or CSV files, such as '
            '"ratings/*.parquet", or a query that begins with SELECT'
        )
    return ArrowSource(_opened(paths), text, paths)


def _exists(text: str) -> bool:
    try:
        return Path(text).exists()
    except (OSError, ValueError):  # a query may be too long for a name, or hold what no name can
        return False


def wanted(module: str, why: str, package: str) -> Any:
    """Import a package by name, or say what it is for and how to install it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        sentence = f'{why}, which is not installed. Install it (pip install "{package}")'
        raise MissingPackageError(sentence) from error


def _some(paths: Sequence[str]) -> str:
    return paths[0] if len(paths) == 1 else f"{paths[0]} and {len(paths) - 1} more"
