"""Passes over a source: chunks in order, sums in a tree, a bar, and where it broke off."""

from __future__ import annotations

import importlib
import operator
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pandas as pd

from interlace.errors import SourceError
from interlace.frames.columns import as_frame
from interlace.parallel import row_bar

from .sources import DaskSource, Source

# Rows that are held as arrays at a time.
ROWS = 2**18

Partial = TypeVar("Partial")
Work = Callable[[pd.DataFrame], Partial]


@dataclass(frozen=True, eq=False)
class Place:
    """Where a chunk stands.

    Attributes
    ----------
    origin : str
        File, partition or table.
    chunk : int
        Its number, from 1.
    row, rows : int
        The number of its first row in the source, from 0, and how many rows it has.
    """

    origin: str
    chunk: int
    row: int
    rows: int

    def __str__(self) -> str:
        return f"{self.origin}, chunk {self.chunk}, rows {self.row} to {self.row + self.rows - 1}"

    @property
    def after(self) -> str:
        """What was read last."""
        if not self.chunk:
            return f"{self.origin}, before its first chunk"
        return f"{self.origin}, after chunk {self.chunk}, {self.row + self.rows} rows read"


@contextmanager
def broken_off(called: str, where: str) -> Iterator[None]:
    """Say where it happened if something goes wrong.

    Parameters
    ----------
    called : str
        The pass.
    where : str
        The place.

    Yields
    ------
    None

    Raises
    ------
    SourceError
        In place of any exception; an interruption keeps its kind and gets a note.
    """
    try:
        yield
    except Exception as error:
        raise SourceError(f"{error} [{called} broke off: {where}]") from error
    except KeyboardInterrupt as error:
        error.add_note(f"{called} broke off: {where}")
        raise


def chunks_of(
    source: Source, columns: Sequence[str] | None, called: str
) -> Iterator[tuple[Any, pd.DataFrame, Place]]:
    """Chunks of a source in its order.

    Parameters
    ----------
    source : Source
        The data.
    columns : sequence of str or None
        What is read.
    called : str
        The pass, for messages.

    Yields
    ------
    tuple of table, DataFrame and Place
        The chunk as the source gives it and as a pandas frame, and where it stands.
    """
    place = Place(source.described, 0, 0, 0)
    with closing(source.pieces(columns, ROWS)) as pieces:
        while True:
            with broken_off(called, place.after):
                piece = next(pieces, None)
                frame = None if piece is None else as_frame(piece.table)
            if piece is None or frame is None:
                return
            place = Place(piece.origin, place.chunk + 1, place.row + place.rows, len(frame))
            yield piece.table, frame, place


@dataclass(eq=False)
class Passes:
    """A number of passes over a source, and the refusal of one that changes between them.

    Attributes
    ----------
    source : Source
        The data.
    columns : sequence of str
        What is read.
    total : int
        Passes that are planned.
    done : int
        Passes that are over.
    """

    source: Source
    columns: Sequence[str]
    total: int
    done: int = 0
    _known: Any = field(default=None, init=False)
    _rows: int | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self._known = self.source.fingerprint()
        self._rows = self.source.n_rows

    def reduce(self, work: Work[Partial]) -> Partial:
        """The sum of some work over all chunks: one pass."""
        self._begin()
        if isinstance(self.source, DaskSource):
            return _on_workers(self.source, self.columns, work, self._called)
        return _pairwise(self._worked(work), self._called)

    def each(self, see: Callable[[pd.DataFrame], None]) -> None:
        """Show every chunk to something: one pass."""
        self._begin()
        for _ in self._worked(see):
            pass

    def _begin(self) -> None:
        if self.done and self.source.fingerprint() != self._known:
            raise SourceError(
                f"the data changed while they were read: files of {self.source.described} were added, "
                f"removed or written after pass {self.done}. Wanted the same rows in every pass"
            )
        self.done += 1
        self.total = max(self.total, self.done)

    @property
    def _called(self) -> str:
        return f"pass {self.done} of {self.total}"

    def _worked(self, work: Work[Partial]) -> Iterator[Partial]:
        rows = 0
        with row_bar(self._rows, self._called) as advance:
            for _, frame, place in chunks_of(self.source, self.columns, self._called):
                with broken_off(self._called, str(place)):
                    part = work(frame)
                rows += len(frame)
                advance(len(frame))
                yield part
        self._rows = rows


def _pairwise(parts: Iterable[Partial], called: str) -> Partial:
    """Sum in a tree: few additions of small numbers to large ones, and few large sums at a time."""
    held: list[tuple[int, Any]] = []
    for part in parts:
        size, total = 1, part
        while held and held[-1][0] == size:
            with broken_off(called, "putting chunks together"):
                total = held.pop()[1] + total
            size *= 2
        held.append((size, total))
    if not held:
        raise SourceError("the data have no rows; wanted one per observation")
    whole: Any = held.pop()[1]
    while held:
        with broken_off(called, "putting chunks together"):
            whole = held.pop()[1] + whole
    return whole


# ---- Dask ------------------------------------------------------------------------------------


def _on_workers(source: DaskSource, columns: Sequence[str], work: Work[Partial], called: str) -> Partial:
    """Partitions worked on where they lie; the sums travel, two by two."""
    dask = importlib.import_module("dask")
    shared = dask.delayed(work, traverse=False)
    parts = [
        dask.delayed(_of_partition)(part, shared, f"partition {number} of {source.described}", called)
        for number, part in enumerate(source.parts(columns))
    ]
    while len(parts) > 1:
        pairs = [dask.delayed(_added)(a, b, called) for a, b in zip(parts[::2], parts[1::2], strict=False)]
        parts = pairs + (parts[-1:] if len(parts) % 2 else [])
    total = parts[0].compute() if parts else None
    if total is None:
        raise SourceError("the data have no rows; wanted one per observation")
    return total


def _added(a: Any, b: Any, called: str) -> Any:
    present = [x for x in (a, b) if x is not None]
    with broken_off(called, "putting partitions together"):
        return operator.add(*present) if len(present) == 2 else present[0] if present else None


def _of_partition(table: Any, work: Work[Any], origin: str, called: str) -> Any:
    with broken_off(called, origin):
        frame = as_frame(table)
    parts = []
    for number, start in enumerate(range(0, len(frame), ROWS), start=1):
        own = frame.iloc[start : start + ROWS]
        with broken_off(called, str(Place(origin, number, start, len(own)))):
            parts.append(work(own))
    return _pairwise(parts, called) if parts else None
