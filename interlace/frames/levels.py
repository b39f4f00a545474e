"""Grouping factors: columns of any kind as levels and codes."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from interlace.arrays import BoolArray, IntArray
from interlace.errors import DesignError
from interlace.pls.matrices.terms import GroupingFactor

from .columns import refuse_objects


@dataclass(frozen=True, eq=False)
class LevelCodes:
    """A column as codes into its levels, -1 where it is missing."""

    codes: IntArray
    levels: pd.Index

    def take(self, rows: IntArray | None) -> LevelCodes:
        """The column in some rows (None: all of them), without the levels that do not occur there."""
        codes = self.codes if rows is None else self.codes[rows]
        used = np.bincount(codes[codes >= 0], minlength=len(self.levels)) > 0
        if used.all():
            return LevelCodes(codes, self.levels)
        new = np.append(np.cumsum(used) - 1, -1)
        return LevelCodes(new[codes], self.levels[used])


@dataclass(frozen=True, eq=False)
class FactorLabels:
    """Names and levels of a grouping factor.

    Attributes
    ----------
    name : str
        ``"batch:cask"`` for the interaction of two columns.
    columns : tuple of str
        The columns it is made of.
    levels : Index
        The data's own values, sorted (categories: in their order); strings ``"A:b"`` for
        interactions, only combinations that occur, the first column slowest.
    column_levels : tuple of Index
        Levels of each column.
    combinations : ndarray of int, shape (n_levels,)
        Which combination of the columns' levels each level is, in mixed radix; increasing.
    """

    name: str
    columns: tuple[str, ...]
    levels: pd.Index
    column_levels: tuple[pd.Index, ...]
    combinations: IntArray


def factorise(column: Any) -> LevelCodes:
    """Levels of a column and the code of each row.

    Parameters
    ----------
    column : Series, Categorical, Index or array
        Strings, numbers, booleans, dates, categories.

    Returns
    -------
    LevelCodes
        Levels sorted; categories keep their order.

    Examples
    --------
    >>> import pandas as pd
    >>> factorise(pd.Series([10, 9, 10])).codes.tolist()
    [1, 0, 1]
    """
    dtype = getattr(column, "dtype", None)
    if isinstance(dtype, pd.CategoricalDtype):
        categories = pd.Categorical(column)
        return LevelCodes(categories.codes.astype(np.intp), categories.categories)
    if str(dtype).startswith("dictionary"):
        column = np.asarray(column, dtype=object)
    try:
        codes, levels = pd.factorize(column, sort=True)
    except TypeError:
        refuse_objects(str(getattr(column, "name", None) or "grouping factor"), column)
    return LevelCodes(codes.astype(np.intp, copy=False), pd.Index(levels))


def grouping_factor(
    columns: tuple[str, ...], coded: Mapping[str, LevelCodes]
) -> tuple[GroupingFactor, FactorLabels]:
    """One grouping factor from the columns it is made of.

    Parameters
    ----------
    columns : tuple of str
        One name, or several for an interaction.
    coded : mapping of str to LevelCodes
        The columns, in the rows used and without missing values.

    Returns
    -------
    GroupingFactor
        Codes for the numerical room.
    FactorLabels
        Their meaning.

    Raises
    ------
    DesignError
        If there is only one level.
    """
    parts = [coded[name] for name in columns]
    sizes = [len(part.levels) for part in parts]
    combined = _combine([part.codes for part in parts], sizes)
    if len(parts) == 1:
        codes, combinations, levels = combined, np.arange(sizes[0]), parts[0].levels
    else:
        combinations, codes = _occurring(combined, math.prod(sizes))
        levels = _interaction_levels(combinations, parts)
    name = ":".join(columns)
    if name == "Residual":
        raise DesignError(
            'the grouping factor "Residual" has the name of the residual variance; rename the column'
        )
    if len(levels) < 2:
        raise DesignError(
            f'grouping factor "{name}" must have > 1 level; it has one ({levels[0]!s}) in the rows used. '
            f"A variance between levels needs two or more: drop the term or check the data"
        )
    labels = FactorLabels(name, columns, levels, tuple(part.levels for part in parts), combinations)
    return GroupingFactor(codes, len(levels)), labels


def codes_of_new(labels: FactorLabels, columns: Sequence[Any]) -> tuple[IntArray, BoolArray]:
    """Codes of new rows in the levels of the fit.

    Parameters
    ----------
    labels : FactorLabels
        The factor.
    columns : sequence of Series
        Its columns in the new data.

    Returns
    -------
    codes : ndarray of int, shape (n,)
        -1 for levels that the fit has not seen, and where a column is missing.
    missing : ndarray of bool, shape (n,)
        Rows in which a column is missing.
    """
    found = [factorise(column) for column in columns]
    in_fit = [
        _positions(known, new.levels)[new.codes] if len(new.levels) else new.codes
        for known, new in zip(labels.column_levels, found, strict=True)
    ]
    missing = np.any([new.codes < 0 for new in found], axis=0)
    combined = _combine([np.maximum(c, 0) for c in in_fit], [len(known) for known in labels.column_levels])
    at = np.minimum(np.searchsorted(labels.combinations, combined), len(labels.combinations) - 1)
    known = np.all([c >= 0 for c in in_fit], axis=0) & ~missing & (labels.combinations[at] == combined)
    return np.where(known, at, -1), missing


def _combine(codes: Sequence[IntArray], sizes: Sequence[int]) -> IntArray:
    """Codes of the combination of several columns in mixed radix, the first column slowest."""
    combined = codes[0]
    for part, size in zip(codes[1:], sizes[1:], strict=True):
        combined = combined * size + part
    return combined


def _occurring(combined: IntArray, size: int) -> tuple[IntArray, IntArray]:
    """Combinations that occur, in order, and the position of each row's among them."""
    if size > np.iinfo(np.intp).max:
        raise DesignError(f"the grouping columns have {size:.1e} combinations of levels, too many to number")
    if size > 8 * len(combined):
        return np.unique(combined, return_inverse=True)
    # A table of all combinations is small: counting is ten times faster than sorting the rows.
    occurs = np.bincount(combined, minlength=size) > 0
    return np.flatnonzero(occurs), (np.cumsum(occurs) - 1)[combined]


def _interaction_levels(combinations: IntArray, parts: Sequence[LevelCodes]) -> pd.Index:
    texts: list[list[Any]] = []
    rest = combinations
    for part in reversed(parts):
        rest, position = np.divmod(rest, len(part.levels))
        texts.insert(0, [part.levels[i] for i in position])
    return pd.Index(_joined(list(zip(*texts, strict=True))), dtype=object)


def _joined(combinations: Sequence[tuple[Any, ...]]) -> list[str]:
    """``"A:b"``; with quotes, ``"'p:q':'r'"``, for those that would read as another does without."""
    plainly = [":".join(map(str, words)) for words in combinations]
    count = Counter(plainly)
    if len(count) == len(plainly):
        return plainly
    quoted = [":".join(map(repr, words)) for words in combinations]
    told = [q if count[text] > 1 else text for q, text in zip(quoted, plainly, strict=True)]
    return told if len(set(told)) == len(told) else quoted


def _positions(known: pd.Index, levels: pd.Index) -> IntArray:
    # As Python objects: the two frames may keep the same values in different dtypes.
    return known.astype(object).get_indexer(levels.astype(object))


def levels_in(columns: Sequence[Any], rows: BoolArray) -> list[Any]:
    """Levels in some rows, once each, in order of appearance.

    Parameters
    ----------
    columns : sequence of Series
        The columns of a factor, without missing values in these rows.
    rows : ndarray of bool, shape (n,)
        Which rows.

    Returns
    -------
    list
        The values of one column; texts of the combinations of several.
    """
    if not rows.any():
        return []
    found = [factorise(column) for column in columns]
    levels = [part.levels.astype(object).take(part.codes[rows]) for part in found]
    if len(levels) == 1:
        return list(dict.fromkeys(levels[0]))
    return list(dict.fromkeys(":".join(map(str, words)) for words in zip(*levels, strict=True)))
