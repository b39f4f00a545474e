"""How values read to people: text that looks like numbers, and levels that look alike."""

from __future__ import annotations

import re
import unicodedata
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from interlace.errors import DataWarning, DesignError, callers_level

# Different whole numbers, as text, that may well be names of categories: the points of a rating scale, say.
FEW = 12
# Values that a message shows.
SHOWN = 3

_SIGN, _EXPONENT = r"[+\-\u2212]?", r"(?:[eE][+\-]?\d+)?"
_WHOLE = re.compile(rf"{_SIGN}\d+")
_PLAIN = re.compile(rf"{_SIGN}(?:\d+\.?\d*|\.\d+){_EXPONENT}")
_COMMA = re.compile(rf"{_SIGN}\d*,\d+{_EXPONENT}")
# Thousands set apart by one kind of mark, and after them another mark for the decimals.
_GROUPED = re.compile(
    rf"{_SIGN}\d{{1,3}}(?:(?P<mark>[., '\u2019])\d{{3}})(?:(?P=mark)\d{{3}})*(?:(?!(?P=mark))[.,]\d+)?"
)


@dataclass(frozen=True)
class TextNumbers:
    """Text most of whose different values look like numbers.

    Attributes
    ----------
    levels : int
        How many different values there are.
    comma, grouped, strays : tuple of str
        Those with a decimal comma, with marks between thousands, and those that are no numbers.
    whole : bool
        Whether all of them are whole numbers without marks.
    marks : str
        Marks between thousands that occur.
    """

    levels: int
    comma: tuple[str, ...]
    grouped: tuple[str, ...]
    strays: tuple[str, ...]
    whole: bool
    marks: str

    def sentence(self) -> str:
        """What is wrong with the values, and how to read them as numbers."""
        kinds = (
            (self.comma, "with a decimal comma"),
            (self.grouped, "with marks between thousands"),
            (self.strays, "not a number"),
        )
        seen = [f"{len(own)} {what} ({_shown(own)})" for own, what in kinds if own]
        if not seen:
            return f"its {self.levels} different values are numbers written as text"
        return f"of its {self.levels} different values " + ", ".join(seen)

    def advice(self, code: str = "") -> str:
        """What to do about it; with a code, also how to say that categories are meant."""
        options = []
        if self.comma or ("," not in self.marks and any("," in t for t in self.grouped)):
            options.append('decimal=","')
        if self.marks:
            options.append(f'thousands="{self.marks[0]}"')
        if self.strays:
            options.append(f"na_values=[{', '.join(map(_quoted, self.strays[:SHOWN]))}]")
        how = (
            f"Read it as numbers, pd.read_csv(..., {', '.join(options)})"
            if options
            else "Convert it, .astype(float)"
        )
        return f"{how}, or write C({code}) if categories are meant" if code else how


def text_numbers(values: Iterable[Any]) -> TextNumbers | None:
    """Look for numbers in the different values of a column of text.

    Parameters
    ----------
    values : iterable
        The different values; all that are no text are read as they print.

    Returns
    -------
    TextNumbers or None
        None unless there is text and at least half of the values look like numbers.

    Examples
    --------
    >>> text_numbers(["1,5", "2,25", "k.A."]).advice()
    'Read it as numbers, pd.read_csv(..., decimal=",", na_values=["k.A."])'
    """
    found = list(values)
    if not any(isinstance(value, str) for value in found):
        return None
    texts = [text(value) for value in found]
    plain = [t for t in texts if _PLAIN.fullmatch(t)]
    grouped = [(t, match) for t in texts if (match := _GROUPED.fullmatch(t)) and not _PLAIN.fullmatch(t)]
    comma = [t for t in texts if _COMMA.fullmatch(t)]
    marks = {match["mark"] for _, match in grouped}
    if set(comma) - {t for t, _ in grouped}:  # "1,234" is a decimal if its neighbours are
        grouped = [(t, match) for t, match in grouped if match["mark"] != ","]
        marks -= {","}
    else:
        comma = []
    numbers = {*plain, *comma, *(t for t, _ in grouped)}
    if 2 * len(numbers) < len(texts) or not numbers:
        return None
    strays = [t for t in texts if t not in numbers]
    whole = not (comma or grouped or strays) and all(_WHOLE.fullmatch(t) for t in texts)
    return TextNumbers(
        len(texts), tuple(comma), tuple(t for t, _ in grouped), tuple(strays), whole, "".join(sorted(marks))
    )


def text(value: Any) -> str:
    """A value as people read it: without spaces around it, in Unicode's compatible form."""
    printed = str(value).strip()
    return printed if printed.isascii() else unicodedata.normalize("NFKC", printed).strip()


def check_text_numbers(code: str, values: pd.Categorical[Any], *, wanted: bool = False) -> None:
    """Warn of text that looks like numbers and would become categories, or refuse it.

    Parameters
    ----------
    code : str
        The variable.
    values : Categorical
        What it would become.
    wanted : bool, default False
        Whether numbers are the only thing that will do.

    Raises
    ------
    DesignError
        If numbers are wanted, or there are more than a few categories and not all are whole numbers.

    Warns
    -----
    DataWarning
        Otherwise, unless they are a few whole numbers.
    """
    found = text_numbers(values.categories)
    if found is None or (found.whole and found.levels <= FEW and not wanted):
        return
    if wanted:
        raise DesignError(f'"{code}" is text that looks like numbers: {found.sentence()}. {found.advice()}')
    message = f'"{code}" is text that looks like numbers: {found.sentence()}; '
    if found.levels > FEW and not found.whole:
        raise DesignError(
            f"{message}it would become a category with {found.levels} levels. {found.advice(code)}"
        )
    warnings.warn(
        f"{message}it is taken as a category with {found.levels} levels. {found.advice(code)}",
        DataWarning,
        stacklevel=callers_level(),
    )


def explain_text(columns: Any, names: Sequence[str]) -> str:
    """What to add to an error that arose where numbers were wanted and some columns are text.

    Parameters
    ----------
    columns : mapping of str to Series
        The data.
    names : sequence of str
        Columns used; others are passed over.

    Returns
    -------
    str
        Empty unless one of them is text.
    """
    for name in names:
        if name in columns and (column := columns[name]).dtype.kind == "O":
            values = pd.unique(np.asarray(column.dropna(), dtype=object))
            found = text_numbers(values)
            if found is not None:
                return f'. "{name}" is text that looks like numbers: {found.sentence()}. {found.advice()}'
            if any(isinstance(value, str) for value in values):
                return f'. "{name}" is text, such as {_shown(list(map(str, values)))}'
    return ""


# ---- levels that read the same ---------------------------------------------------------------


def warn_of_same_readings(name: str, levels: Iterable[Any]) -> None:
    """Warn if different levels of a column read the same: ``1`` and ``"1"``, ``"a"`` and ``"a "``.

    Parameters
    ----------
    name : str
        The column.
    levels : iterable
        Its levels.

    Warns
    -----
    DataWarning
        With the pairs, and what makes them one.
    """
    # Not list(levels): an index of text hands out its values one by one, each at the price of a hundred.
    found = np.asarray(levels, dtype=object).tolist()
    if str not in set(map(type, found)) or _plainly_different(found):
        return
    first: dict[str, Any] = {}
    firsts = [(first.setdefault(_reading(level), level), level) for level in found]
    pairs = [(other, level) for other, level in firsts if other is not level]
    if pairs:
        warnings.warn(
            f'"{name}" has levels that read the same and are taken as different: {_pairs(pairs)}. '
            f'To make them one: data["{name}"].astype(str).str.strip()',
            DataWarning,
            stacklevel=callers_level(),
        )


def _plainly_different(levels: list[Any]) -> bool:
    """Whether nothing but what tells levels apart is in them: no reading need be looked at."""
    if set(map(type, levels)) != {str}:
        return False
    lines = "\n".join(levels) + "\n"
    return lines.isascii() and ".0\n" not in lines and list(map(str.strip, levels)) == levels


def _reading(level: Any) -> str:
    read = text(level)
    return read[:-2] if read.endswith(".0") and _PLAIN.fullmatch(read) else read


def same_reading(label: Any, levels: Iterable[Any]) -> Any:
    """The level that reads as a label does, or None.

    Parameters
    ----------
    label : object
        A value that is none of the levels.
    levels : iterable
        Known levels.

    Returns
    -------
    object or None

    Examples
    --------
    >>> same_reading("308", [307, 308])
    308
    """
    wanted = _reading(label)
    return next((level for level in levels if _reading(level) == wanted), None)


def _pairs(pairs: Sequence[tuple[Any, Any]]) -> str:
    shown = ", ".join(f"{_quoted(a)} and {_quoted(b)}" for a, b in pairs[:SHOWN])
    return shown + (f" and {len(pairs) - SHOWN} more pairs" if len(pairs) > SHOWN else "")


def _shown(texts: Sequence[str]) -> str:
    return ", ".join(map(_quoted, texts[:SHOWN])) + (", ..." if len(texts) > SHOWN else "")


def _quoted(value: Any) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value)
