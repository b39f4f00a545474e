"""Designs without data: who sees what under which condition."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from interlace.arrays import IntArray
from interlace.errors import DesignError

from .assumed import AssumedModel, assumed

Levels = int | Sequence[Any]


@dataclass(frozen=True, eq=False)
class StudyDesign:
    """The rows of a study that has no responses yet.

    Attributes
    ----------
    frame : DataFrame
        One row per response to be observed.

    Examples
    --------
    >>> import interlace
    >>> interlace.design(subjects=4, within={"condition": ["a", "b"]})
    <StudyDesign: 8 rows; subject 4, condition 2>
    """

    frame: pd.DataFrame

    def __repr__(self) -> str:
        counts = ", ".join(f"{name} {self.frame[name].nunique()}" for name in self.frame)
        return f"<StudyDesign: {len(self.frame)} rows; {counts}>"

    def assume(
        self,
        formula: str,
        *,
        fixed: Mapping[str, float],
        random: Mapping[str, Any],
        sigma: float,
        correlations: Mapping[str, Any] | None = None,
    ) -> AssumedModel:
        """A model of the study with assumed parameters.

        Parameters
        ----------
        formula : str
            As for `interlace.fit`; the left side is a name of your choice.
        fixed : dict of str to float
            Fixed effects by name; those that are not named are 0.
        random : dict
            Per grouping factor the standard deviation of its intercepts, or a dict with one per random
            effect: ``{"subject": {"(Intercept)": 60, "condition[T.b]": 20}, "item": 30}``.
        sigma : float
            Residual standard deviation.
        correlations : dict, optional
            Per grouping factor the correlation of any two random effects, or their matrix; 0 by default.

        Returns
        -------
        AssumedModel

        Raises
        ------
        DesignError
            If a name is unknown, or a number cannot be what it stands for.

        Examples
        --------
        >>> import interlace
        >>> plan = interlace.design(subjects=20, items=8, within={"condition": ["a", "b"]})
        >>> plan.assume(
        ...     "rt ~ condition + (1 | subject) + (1 | item)",
        ...     fixed={"Intercept": 500, "condition[T.b]": 30},
        ...     random={"subject": 60, "item": 30},
        ...     sigma=90,
        ... )
        <AssumedModel: rt ~ condition + (1 | subject) + (1 | item); 160 rows>
        """
        return assumed(self.frame, formula, fixed, random, sigma, correlations)


def design(
    subjects: int,
    items: int | None = None,
    *,
    within: Mapping[str, Levels] | None = None,
    between: Mapping[str, Levels] | None = None,
    between_items: Mapping[str, Levels] | None = None,
    repeats: int = 1,
    counterbalanced: bool = True,
    subject: str = "subject",
    item: str = "item",
) -> StudyDesign:
    """Lay out a study of subjects, and perhaps items, under several conditions.

    Parameters
    ----------
    subjects : int
        How many.
    items : int, optional
        How many each subject sees.
    within : dict, optional
        Conditions that vary within subjects, and within items if there are any: by name their levels, or how
        many. Numbers make a numeric column.
    between : dict, optional
        Conditions of whole subjects, who take turns.
    between_items : dict, optional
        Conditions of whole items, which take turns.
    repeats : int, default 1
        Responses per subject, item and condition.
    counterbalanced : bool, default True
        With items: each subject sees each item in one of the conditions only, in turn (a Latin square); if
        False, in all of them.
    subject, item : str
        Names of the columns.

    Returns
    -------
    StudyDesign
        ``.frame`` are its rows, ``.assume(...)`` makes it a model with assumed parameters.

    See Also
    --------
    interlace.power : Power of a test in such a study.

    Examples
    --------
    >>> import interlace
    >>> plan = interlace.design(subjects=40, items=24, within={"condition": ["a", "b"]}, between={"group": 2})
    >>> plan
    <StudyDesign: 960 rows; subject 40, item 24, condition 2, group 2>
    >>> plan.frame.groupby(["group", "condition"], observed=True).size().tolist()
    [240, 240, 240, 240]
    """
    for name, count in (
        ("subjects", subjects),
        ("items", 1 if items is None else items),
        ("repeats", repeats),
    ):
        if count < 1:
            raise DesignError(f"{name}={count!r}; at least 1 is needed")
    cells = list(product(*(_levels(own) for own in (within or {}).values())))
    s, i, c = _rows(subjects, items, len(cells), repeats, counterbalanced=counterbalanced)
    columns: dict[str, Any] = {subject: _labels("s", subjects)[s]}
    if items is not None:
        columns[item] = _labels("i", items)[i]
    columns |= _conditions(within or {}, cells, c)
    # Subjects change their list from one to the next, and their group when all lists have been used.
    lists = len(cells) if items is not None and counterbalanced else 1
    columns |= _turns(between or {}, s // lists)
    if between_items and items is None:
        raise DesignError("between_items= describes items; say how many there are with items=")
    columns |= _turns(between_items or {}, i // lists)
    return StudyDesign(pd.DataFrame(columns))


def _rows(
    subjects: int, items: int | None, cells: int, repeats: int, *, counterbalanced: bool
) -> tuple[IntArray, IntArray, IntArray]:
    """Subject, item and condition of each row."""
    square = items is not None and counterbalanced
    shape = (subjects, items or 1, 1 if square else cells, repeats)
    s, i, c, _ = (codes.ravel() for codes in np.indices(shape))
    return s, i, (s + i) % cells if square else c


def _levels(given: Levels) -> list[Any]:
    if isinstance(given, int):
        return [chr(ord("a") + j) if given <= 26 else f"level{j + 1}" for j in range(given)]
    levels = list(given)
    if len(set(levels)) != len(levels) or not levels:
        raise DesignError(f"levels {levels!r} are empty or not distinct")
    return levels


def _column(levels: list[Any], codes: IntArray) -> Any:
    """Numbers as numbers, anything else as categories."""
    if all(isinstance(level, int | float | np.number) for level in levels):
        return np.array(levels)[codes]
    return pd.Categorical.from_codes(codes, categories=pd.Index(levels))


def _conditions(within: Mapping[str, Levels], cells: list[Any], c: IntArray) -> dict[str, Any]:
    columns = {}
    for place, (name, given) in enumerate(within.items()):
        levels = _levels(given)
        codes = np.array([levels.index(cell[place]) for cell in cells])
        columns[name] = _column(levels, codes[c])
    return columns


def _turns(conditions: Mapping[str, Levels], turn: IntArray) -> dict[str, Any]:
    """Conditions of whole units, which take turns through all combinations."""
    columns = {}
    for name, given in conditions.items():
        levels = _levels(given)
        columns[name] = _column(levels, turn % len(levels))
        turn = turn // len(levels)
    return columns


def _labels(prefix: str, count: int) -> Any:
    """Labels that sort as text in the order of their numbers."""
    width = len(str(count))
    names = [f"{prefix}{j + 1:0{width}d}" for j in range(count)]
    return pd.Categorical.from_codes(np.arange(count), categories=pd.Index(names))
