"""What is deleted at a time: a row, a level of a factor, a combination of levels, a part of a partition."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from interlace.arrays import FloatArray, IntArray
from interlace.design import Design
from interlace.errors import DesignError
from interlace.frames.columns import column_of
from interlace.frames.levels import LevelCodes, factorise


@dataclass(frozen=True, eq=False)
class Cases:
    """A partition of the rows.

    Attributes
    ----------
    name : str
        ``"row"``, the factor, or ``"case"``.
    codes : ndarray of int, shape (n,)
        Case of each row; -1 for rows that always stay.
    labels : Index
        Label of each case.
    single : bool
        Whether every row is a case of its own.
    """

    name: str
    codes: IntArray
    labels: pd.Index
    single: bool = False

    @property
    def n(self) -> int:
        """Number of cases."""
        return len(self.labels)

    def rows(self) -> list[IntArray]:
        """Rows of each case."""
        order = np.argsort(self.codes, kind="stable")
        return np.split(order, np.searchsorted(self.codes[order], np.arange(self.n + 1)))[1:-1]

    def mean(self, values: FloatArray) -> FloatArray:
        """Mean over the rows of each case."""
        if self.single:
            return values
        inside = self.codes >= 0
        total = np.bincount(self.codes[inside], weights=values[inside], minlength=self.n)
        return np.asarray(total / np.bincount(self.codes[inside], minlength=self.n))

    def joined(self, delete: Any) -> Cases:
        """One case: all rows of those with the labels in ``delete``."""
        single = np.isscalar(delete) or (isinstance(delete, tuple) and delete in self.labels)
        wanted = [delete] if single else list(delete)
        position = self.labels.get_indexer_for(pd.Index(wanted))
        if (position < 0).any():
            unknown = [label for label, at in zip(wanted, position, strict=False) if at < 0]
            raise DesignError(
                f"delete= names {unknown[:5]!r}, which are no cases of {self.name!r}; "
                f"wanted labels such as {self.labels[:3].tolist()!r}"
            )
        codes = np.where(np.isin(self.codes, position), 0, -1)
        label = wanted[0] if len(wanted) == 1 else ", ".join(str(label) for label in wanted)
        return Cases(self.name, codes, pd.Index([label], name=self.labels.name))


def cases_of(design: Design, level: Any = 1, frame: Any = None) -> Cases:
    """The cases that ``level`` means.

    Parameters
    ----------
    design : Design
        The rows used and their grouping factors.
    level : 1, str, Series or array
        1 for the observations; a grouping factor, a column of the data, or an interaction such as
        ``"subject:item"``; or the case of each row used, missing for rows that are never deleted.
    frame : DataFrame, optional
        The data, for columns that are no grouping factors.

    Returns
    -------
    Cases
        Levels in their order; combinations with the first factor slowest, those that occur only.

    Raises
    ------
    DesignError
        If there is no such factor or column, or the array has another length.

    Examples
    --------
    >>> import interlace
    >>> r = interlace.fit("diameter ~ 1 + (1 | plate) + (1 | sample)", interlace.datasets.load_penicillin())
    >>> cases_of(r.model.design, "sample").labels.tolist()
    ['A', 'B', 'C', 'D', 'E', 'F']
    """
    if isinstance(level, str) and level != "1":
        return _named(design, level, frame)
    if np.ndim(level) == 0:
        if level in (1, "1"):
            return Cases("row", np.arange(len(design.y)), design.index, single=True)
        raise DesignError(f"level={level!r}; wanted 1 for the observations or {_known(design)}")
    return _partition(design, level)


def _known(design: Design) -> str:
    return f"a grouping factor such as {[labels.name for labels in design.factor_labels]!r}"


def _named(design: Design, level: str, frame: Any) -> Cases:
    names = [labels.name for labels in design.factor_labels]
    reverse = ":".join(reversed(level.split(":")))
    found = next((names.index(name) for name in (level, reverse) if name in names), None)
    if found is not None:
        labels = design.factor_labels[found]
        return Cases(labels.name, design.factors[found].codes, labels.levels.rename(labels.name))
    parts = [_column(design, part, frame) for part in level.split(":")]
    if any(part is None for part in parts):
        raise DesignError(
            f"level={level!r} is neither a grouping factor nor made of columns of the data; wanted 1 for the "
            f"observations or {_known(design)}"
        )
    return _combined(level, [part for part in parts if part is not None])


def _column(design: Design, name: str, frame: Any) -> LevelCodes | None:
    for labels, factor in zip(design.factor_labels, design.factors, strict=True):
        if labels.name == name:
            return LevelCodes(factor.codes, labels.levels)
    if not isinstance(frame, pd.DataFrame) or name not in frame.columns:
        return None
    if len(frame) == len(design.y):
        return factorise(column_of(frame, name))
    return factorise(column_of(frame, name).loc[design.index]) if frame.index.is_unique else None


def _combined(name: str, parts: Sequence[LevelCodes]) -> Cases:
    codes = parts[0].codes.astype(np.int64)
    for part in parts[1:]:
        codes = np.where((codes < 0) | (part.codes < 0), -1, codes * len(part.levels) + part.codes)
    occurring, inverse = np.unique(codes, return_inverse=True)
    shift = int(occurring[0] < 0)
    left, columns = occurring[shift:], []
    for part in reversed(parts):
        left, own = np.divmod(left, len(part.levels))
        columns.append(part.levels[own])
    columns.reverse()
    labels = columns[0] if len(parts) == 1 else [":".join(map(str, x)) for x in zip(*columns, strict=True)]
    return Cases(name, inverse.reshape(-1) - shift, pd.Index(labels, name=name))


def _partition(design: Design, level: Any) -> Cases:
    if isinstance(level, pd.Series) and not level.index.equals(design.index):
        level = level.reindex(design.index)
    if len(level) != len(design.y):
        raise DesignError(
            f"level= has {len(level)} entries; wanted one for each of the {len(design.y)} rows used"
        )
    coded = factorise(level)
    name = getattr(level, "name", None) or "case"
    return Cases(str(name), coded.codes, coded.levels.rename(str(name)))
