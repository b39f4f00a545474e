"""Names of the random effects and of their variance parameters, the same everywhere."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence

from interlace.pls.matrices.structures import unstructured

INTERCEPT = "(Intercept)"


# Characters that nobody sees: zero-width space, word joiner, byte-order mark, soft hyphen.
_INVISIBLE = dict.fromkeys((0x200B, 0x2060, 0xFEFF, 0x00AD))


def readable(text: str) -> str:
    """A name or formula as one reads it: letters composed, without characters that nobody sees.

    Parameters
    ----------
    text : str
        Perhaps copied from elsewhere.

    Returns
    -------
    str
        In Unicode's form NFC.

    Examples
    --------
    >>> readable("cafe\N{COMBINING ACUTE ACCENT}") == "caf\N{LATIN SMALL LETTER E WITH ACUTE}"
    True
    """
    return text if text.isascii() else unicodedata.normalize("NFC", text).translate(_INVISIBLE)


def variance_names(terms: Sequence[tuple[str, Sequence[str]]]) -> tuple[str, ...]:
    """Names of the variance parameters: rows of the summary, entries of ``params``.

    Parameters
    ----------
    terms : sequence of (str, sequence of str)
        Grouping factor and columns of each random-effects term, in the model's order.

    Returns
    -------
    tuple of str
        One name per variance and covariance: lower triangles row by row, as MixedLM packs them.

    Notes
    -----
    Every name starts with the grouping factor. The variance of the intercepts is ``g Var`` and their
    covariance with a slope ``g x slope Cov``, as MixedLM writes them; the variance of a slope is ``g slope
    Var`` and a covariance of two slopes ``g slope1 x slope2 Cov``, so that the slopes of two factors stay
    apart. Where a second term would repeat a name, its factor is numbered as lme4 does: ``g.1 Var``.

    Examples
    --------
    >>> variance_names([("Subject", ["(Intercept)", "Days"])])
    ('Subject Var', 'Subject x Days Cov', 'Subject Days Var')
    >>> variance_names([("plate", ["(Intercept)"]), ("sample", ["(Intercept)"])])
    ('plate Var', 'sample Var')
    """
    used: list[str] = []
    for factor, columns in terms:
        used.extend(_unused(factor, columns, set(used)))
    return tuple(used)


def _unused(factor: str, columns: Sequence[str], used: set[str]) -> list[str]:
    candidates = (_term_names(prefix, columns) for prefix in _numbered(factor))
    return next(names for names in candidates if used.isdisjoint(names))


def _numbered(name: str) -> Iterator[str]:
    yield name
    number = 0
    while True:
        number += 1
        yield f"{name}.{number}"


def _term_names(factor: str, columns: Sequence[str]) -> list[str]:
    effects = [factor if column == INTERCEPT else f"{factor} {column}" for column in columns]
    structure = unstructured(len(columns))
    rows, others = (places[structure.row_by_row] for places in (structure.rows, structure.columns))
    return [
        f"{effects[i]} Var" if i == j else f"{effects[j]} x {columns[i]} Cov"
        for i, j in zip(rows, others, strict=True)
    ]


def merged_columns(columns: Sequence[str]) -> list[str]:
    """Column names of all the terms of one factor, repeated ones numbered as lme4 does.

    Parameters
    ----------
    columns : sequence of str
        Columns of the terms, one term after the other.

    Returns
    -------
    list of str
        As given, and ``x.1`` for the second ``x``.

    Examples
    --------
    >>> merged_columns(["(Intercept)", "(Intercept)", "Days"])
    ['(Intercept)', '(Intercept).1', 'Days']
    """
    unique: list[str] = []
    for column in columns:
        unique.append(next(name for name in _numbered(column) if name not in unique))
    return unique


def sd_cor_names(terms: Sequence[tuple[str, Sequence[str]]]) -> tuple[str, ...]:
    """Names of standard deviations and correlations, as lme4's ``confint`` has them.

    Parameters
    ----------
    terms : sequence of (str, sequence of str)
        Grouping factor and columns of each random-effects term, in the model's order.

    Returns
    -------
    tuple of str
        Lower triangles column by column, one term after the other: the order of theta.

    Examples
    --------
    >>> sd_cor_names([("Subject", ["(Intercept)", "Days"])])
    ('sd_(Intercept)|Subject', 'cor_Days.(Intercept)|Subject', 'sd_Days|Subject')
    """
    used: list[str] = []
    for factor, columns in terms:
        candidates = (_sd_cor(group, columns) for group in _numbered(factor))
        used += next(names for names in candidates if set(used).isdisjoint(names))
    return tuple(used)


def _sd_cor(group: str, columns: Sequence[str]) -> list[str]:
    structure = unstructured(len(columns))
    return [
        f"sd_{columns[j]}|{group}" if i == j else f"cor_{columns[i]}.{columns[j]}|{group}"
        for i, j in zip(structure.rows, structure.columns, strict=True)
    ]
