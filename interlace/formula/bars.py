"""The random-effects terms of a model, from every place a user may write them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any

import pandas as pd

from interlace.errors import FormulaError
from interlace.frames.columns import check_columns, column_of, plain

from .coding import Terms, parse_terms
from .grammar import Bar, RawBar, parse_bars, parse_grouping


def collect_bars(
    written: Sequence[RawBar],
    columns: Iterable[Any],
    *,
    groups: str | Sequence[str] | None = None,
    random: str | Sequence[str] | None = None,
    formula: str = "",
) -> tuple[Bar, ...]:
    """Random-effects terms of the formula, of ``groups=`` and of ``random=``, in that order.

    Parameters
    ----------
    written : sequence of RawBar
        Those of the formula.
    columns : iterable
        Columns of the data.
    groups : str or sequence of str, optional
        Grouping factors that get a random intercept: ``"g"``, ``"a:b"``, ``"a/b"``.
    random : str or sequence of str, optional
        Further terms: ``"(1 + x | g)"``.
    formula : str, default ""
        The formula, for messages.

    Returns
    -------
    tuple of Bar
        ``||`` taken apart as lme4 does: one term per term of the left side, where a categorical
        variable f keeps one block ``(0 + f | g)`` with all its covariances.

    Raises
    ------
    FormulaError
        If there is no term, or the same one twice.
    UnknownColumnError
        If a grouping column is not in the data.

    Examples
    --------
    >>> print(*collect_bars([], ["g", "a", "b"], groups="a/b", random="(1 + x || g)"))
    (1 | a:b) (1 | a) (1 | g) (0 + x | g)
    """
    known = list(columns)
    intercepts = [bar for group in _listed(groups, "groups") for bar in _intercepts(group, known)]
    further = [bar for text in _listed(random, "random") for bar in parse_bars(text)]
    others = expand_bars((*written, *further))
    _refuse_covered(intercepts, others)
    first = expand_bars(written)
    bars = (*first, *intercepts, *others[len(first) :])
    if not bars:
        raise FormulaError(
            f'no random effects in "{formula}": add groups=[...] or a term such as (1 | subject), '
            "or use statsmodels' OLS"
        )
    check_columns([name for bar in bars for name in bar.factors], known)
    _refuse_repeated(bars)
    return bars


def expand_bars(raws: Iterable[RawBar]) -> list[Bar]:
    """Terms that some bars stand for, in lme4's order.

    Parameters
    ----------
    raws : iterable of RawBar
        As written.

    Returns
    -------
    list of Bar
        Of ``(x || a/b)`` the two intercepts and then the two slopes: lme4 takes ``||`` apart before ``/``.

    Examples
    --------
    >>> print(*expand_bars(parse_bars("(x || a/b)")))
    (1 | a:b) (1 | a) (0 + x | a:b) (0 + x | a)
    """
    bars: list[Bar] = []
    for _, nest in groupby(raws, key=lambda raw: raw.written or str(raw)):
        expanded = [expand_double(raw) for raw in nest]
        bars += [bar for term in zip(*expanded, strict=True) for bar in term]
    return bars


def expand_double(bar: RawBar) -> list[Bar]:
    """Terms that a bar stands for: itself, or for ``||`` one per term of its left side.

    Parameters
    ----------
    bar : RawBar
        As written.

    Returns
    -------
    list of Bar
        ``(1 + x || g)`` gives ``(1 | g)`` and ``(0 + x | g)``.
    """
    terms = parse_terms(bar.lhs, what="left side of a bar")
    if not terms:
        raise FormulaError(
            f"{bar} has no random effects; write (1 | {':'.join(bar.factors)}) for an intercept"
        )
    if not bar.double:
        return [Bar(bar.lhs, bar.factors)]
    return [Bar(f"0 + {':'.join(term)}" if term else "1", bar.factors) for term in terms]


def _listed(given: str | Sequence[str] | None, name: str) -> list[str]:
    if given is None:
        return []
    texts = list(given) if isinstance(given, Iterable) and not isinstance(given, str) else [given]
    wrong = next((text for text in texts if not isinstance(text, str)), None)
    if wrong is not None:
        raise FormulaError(
            f"{name}= holds a {type(wrong).__name__}; wanted text, or a list of texts. Columns whose names "
            "are no texts get them by data.rename(columns=str)"
        )
    return texts


def _intercepts(group: str, known: Sequence[Any]) -> list[Bar]:
    """Random intercepts of one entry of ``groups=``; a column's exact name comes before its reading."""
    if group in known:
        return [Bar("1", (group,))]
    if "|" in group:
        raise FormulaError(f'groups= holds "{group}"; a term with a bar belongs in random=')
    if not set(group) & set(":/*+()"):
        check_columns([group], known)
    return [Bar("1", factors) for factors in parse_grouping(group)]


def _key(bar: Bar) -> tuple[Any, ...]:
    return frozenset(map(frozenset, parse_terms(bar.lhs))), frozenset(bar.factors)


def _refuse_repeated(bars: Sequence[Bar]) -> None:
    seen: dict[tuple[Any, ...], Bar] = {}
    for bar in bars:
        if _key(bar) in seen:
            again = "" if str(bar) == str(seen[_key(bar)]) else f" (as {seen[_key(bar)]} too)"
            raise FormulaError(
                f"the random-effects term {bar} is there twice{again}; give it once: "
                "the variances of identical terms cannot be told apart"
            )
        seen[_key(bar)] = bar


def _refuse_covered(intercepts: Sequence[Bar], others: Sequence[Bar]) -> None:
    """Refuse an intercept from ``groups=`` that another term of the same factor has already."""
    for intercept in intercepts:
        for bar in others:
            terms = parse_terms(bar.lhs)
            if () in terms and len(terms) > 1 and set(bar.factors) == set(intercept.factors):
                raise FormulaError(
                    f'groups= gives "{intercept.group}" a random intercept and {bar} has one already; leave '
                    f'"{intercept.group}" out of groups=, or write the other term without its intercept'
                )


# ---- statsmodels' spelling -------------------------------------------------------------------


def bars_from_statsmodels(
    groups: str, re_formula: str | None, vc_formula: Mapping[str, str] | None, data: pd.DataFrame
) -> tuple[str, ...]:
    """Translate ``groups=``, ``re_formula=``, ``vc_formula=`` of MixedLM into bars.

    Parameters
    ----------
    groups : str
        Column of the groups.
    re_formula : str or None
        Random effects per group; with neither formula, a random intercept.
    vc_formula : mapping of str to str, or None
        Variance components, by name.
    data : DataFrame
        To see whether the groups are one constant group and which columns are categorical.

    Returns
    -------
    tuple of str
        Bars for ``random=``.

    Raises
    ------
    FormulaError
        Where no bar means the same; the message gives the bar to write.

    Notes
    -----
    ============================================== =====================
    MixedLM                                        bar
    ============================================== =====================
    ``groups="g"``                                 ``(1 | g)``
    ``groups="g", re_formula="~x"``                ``(x | g)``
    ``groups="g", re_formula="~0 + x"``            ``(0 + x | g)``
    ``groups="g", vc_formula={"a": "0 + C(a)"}``   ``(1 | g:a)``
    the same, ``g`` constant                       ``(1 | a)``
    ``groups="g", vc_formula={"x": "0 + x"}``      ``(0 + x | g)``
    ============================================== =====================

    Examples
    --------
    >>> import pandas as pd
    >>> frame = pd.DataFrame({"g": [1, 1, 2], "x": [0.0, 1.0, 2.0], "item": ["a", "b", "a"]})
    >>> bars_from_statsmodels("g", "~x", {"item": "0 + C(item)"}, frame)
    ('(x | g)', '(1 | g:item)')
    """
    if not isinstance(groups, str):
        raise FormulaError(
            f"groups= is a {type(groups).__name__}; with re_formula= or vc_formula= wanted the name of one "
            "column. Several grouping factors are written as bars: (1 | g) + (1 | h)"
        )
    check_columns([groups], data.columns)
    constant = len(column_of(data, groups).dropna().unique()) == 1
    quoted = _quoted(groups)
    bars: list[str] = []
    if re_formula is not None or vc_formula is None:
        bars.append(_from_re_formula(re_formula, quoted, constant=constant))
    for name in sorted(vc_formula or {}):
        text = (vc_formula or {})[name]
        bars.append(_from_component(name, text, "" if constant else quoted, data))
    return tuple(bars)


def _quoted(name: str) -> str:
    return name if name.isidentifier() else f"Q({name!r})"


def _from_re_formula(re_formula: str | None, group: str, *, constant: bool) -> str:
    lhs = "1" if re_formula is None else re_formula.strip().removeprefix("~").strip()
    if constant:
        raise FormulaError(
            f'"{group}" holds one group: random effects of one group cannot be told from the fixed effects. '
            "Leave re_formula= out, or write bars for the factors within it: (1 | a) + (1 | b)"
        )
    return f"({lhs} | {group})"


def _from_component(name: str, text: str, group: str, data: pd.DataFrame) -> str:
    """The bar of one variance component; ``group`` is empty when all rows are one group."""
    terms = parse_terms(text.strip().removeprefix("~"), what=f"variance component {name!r}")
    if len(terms) == 1:
        factors, slopes = _factors_and_slopes(terms, data)
        inside = ":".join(filter(None, [group, *factors]))
        if inside and len(slopes) <= 1:
            lhs = f"0 + {slopes[0]}" if slopes else "1"
            return f"({lhs} | {inside})"
    g, within = group or "g", f"{group}:a" if group else "a"
    raise FormulaError(
        f'the variance component {name!r}: "{text}" gives several kinds of columns one variance, which no '
        f"bar says; write (1 | {g}) for intercepts, (0 + x | {g}) for the slopes of x, or (1 | {within}) for "
        "the levels of a within groups"
    )


def _factors_and_slopes(terms: Terms, data: pd.DataFrame) -> tuple[list[str], list[str]]:
    factors: list[str] = []
    slopes: list[str] = []
    for code in terms[0]:
        column = _category(code, data)
        if column is not None:
            factors.append(_quoted(column))
        else:
            slopes.append(code)
    return factors, slopes


def _category(code: str, data: pd.DataFrame) -> str | None:
    """The column whose levels a variable of a variance component codes, or None for numbers."""
    match = re.fullmatch(r"""C\(\s*(?:(\w+)|Q\((['"])(.*)\2\))\s*\)""", code)
    if match:
        name = match.group(1) or match.group(3)
        check_columns([name], data.columns)
        return name
    if code not in data.columns:
        return None
    column = plain(column_of(data, code))
    return None if pd.api.types.is_numeric_dtype(column) and column.dtype != bool else code
