"""The text of a mixed model: cuts the random-effects bars out of a formula.

The bars go before patsy sees the text: to Python, and so to patsy, ``(1 | g)`` is bitwise-or
and would be fitted as a covariate.  What remains of the formula is handed on unread.  Nothing
here knows the data.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise

from interlace.errors import FormulaError

from .tokens import CLOSING, Token, check_text, opens_call, source, tokenize

_BARS = ("|", "||")


@dataclass(frozen=True)
class Bar:
    """One random-effects term: a left side and the grouping factor it varies over.

    Attributes
    ----------
    lhs : str
        Left side, as patsy reads it: ``"1"``, ``"1 + Days"``, ``"0 + x"``.
    factors : tuple of str
        Grouping columns in the order written: ``("batch",)`` or ``("batch", "cask")``.

    Examples
    --------
    >>> print(Bar("1 + Days", ("Subject",)))
    (1 + Days | Subject)
    """

    lhs: str
    factors: tuple[str, ...]

    @property
    def group(self) -> str:
        """Name of the grouping factor: ``"batch:cask"``."""
        return ":".join(self.factors)

    def __str__(self) -> str:
        return f"({self.lhs} | {self.group})"


@dataclass(frozen=True)
class RawBar:
    """A bar as written, ``a/b`` already taken apart and ``||`` not yet.

    Attributes
    ----------
    lhs : str
        Left side.
    factors : tuple of str
        Grouping columns.
    double : bool
        Whether the bar was ``||``: no correlation between the terms of the left side.
    written : str
        The bar that it is a part of: those of one ``a/b`` have it in common.
    """

    lhs: str
    factors: tuple[str, ...]
    double: bool = False
    written: str = field(default="", repr=False, compare=False)

    def __str__(self) -> str:
        return f"({self.lhs} {'||' if self.double else '|'} {':'.join(self.factors)})"


@dataclass(frozen=True)
class MixedFormula:
    """A formula taken apart.

    Attributes
    ----------
    response : str
        Left of ``~``; empty if there is none.
    fixed : str
        Right of ``~`` without bars and offsets; ``"1"`` if nothing else is there.
    random : tuple of RawBar
        The bars, in lme4's order: as written, ``a/b`` giving ``a:b`` and then ``a``.
    offsets : tuple of str
        What stands inside each ``offset(...)``.
    """

    response: str
    fixed: str
    random: tuple[RawBar, ...] = ()
    offsets: tuple[str, ...] = ()

    def __str__(self) -> str:
        offsets = [f"offset({expression})" for expression in self.offsets]
        return f"{self.response} ~ " + " + ".join([self.fixed, *offsets, *map(str, self.random)])


def parse_formula(text: str) -> MixedFormula:
    """Take a formula in lme4's notation apart.

    Parameters
    ----------
    text : str
        For instance ``"rt ~ condition + (1 + condition | subject) + (1 | item)"``.

    Returns
    -------
    MixedFormula
        Response, fixed part, bars and offsets, as text.

    Raises
    ------
    FormulaError
        If the text is not the sum of a fixed part, offsets and bars.

    Examples
    --------
    >>> formula = parse_formula("rt ~ x + (x || subject) + (1 | list/item) + offset(base)")
    >>> formula.fixed, formula.offsets
    ('x', ('base',))
    >>> print(*formula.random)
    (x || subject) (1 | list:item) (1 | list)
    """
    check_text(text)
    return _taken_apart(text)


@lru_cache(maxsize=512)
def _taken_apart(text: str) -> MixedFormula:
    response, right = _sides(tokenize(text), text)
    fixed: list[str] = []
    random: list[RawBar] = []
    offsets: list[str] = []
    for sign, tokens in _summands(right, text):
        bar = _unwrapped_bar(tokens)
        if bar is not None:
            _refuse_minus(sign, tokens)
            random.extend(_read_bar(bar))
        elif _is_offset(tokens):
            _refuse_minus(sign, tokens)
            offsets.append(source(tokens[2:-1]))
        else:
            _check_fixed(tokens)
            fixed.append(_signed(sign, tokens, first=not fixed))
    return MixedFormula(source(response), " ".join(fixed) or "1", tuple(random), tuple(offsets))


def parse_bars(text: str) -> tuple[RawBar, ...]:
    """Read random-effects terms that stand alone, with or without their parentheses.

    Parameters
    ----------
    text : str
        ``"(1 + x | g)"``, ``"x | g"`` or a sum ``"(1 | a) + (1 | b)"``.

    Returns
    -------
    tuple of RawBar
        One bar, or several: a sum, or a grouping factor such as ``a/b``.

    Raises
    ------
    FormulaError
        If there is anything but bars.

    Examples
    --------
    >>> parse_bars("x | g")
    (RawBar(lhs='x', factors=('g',), double=False),)
    """
    tokens = tokenize(text)
    if any(t.text == "~" for t in tokens):
        raise FormulaError(f'random effects "{text}" have a "~"; write a term such as (1 + x | g)')
    if any(t.text in _BARS and t.depth == 0 for t in tokens):
        return _read_bar(tokens)
    bars: list[RawBar] = []
    for sign, summand in _summands(tokens, text):
        bar = _unwrapped_bar(summand)
        if bar is None:
            raise FormulaError(
                f'"{source(summand)}" is not a random-effects term; wanted one with a bar, such as (1 | g)'
            )
        _refuse_minus(sign, summand)
        bars.extend(_read_bar(bar))
    return tuple(bars)


def parse_grouping(text: str) -> tuple[tuple[str, ...], ...]:
    """Grouping factors that the right side of a bar stands for, finest first.

    Parameters
    ----------
    text : str
        ``"g"``, ``"a:b"``, ``"a/b"``, ``"a/b/c"``; a name that is no Python name as ``Q("my col")``.

    Returns
    -------
    tuple of tuple of str
        The columns of each factor.

    Raises
    ------
    FormulaError
        If the text is not made of columns, ``:`` and ``/``.

    Examples
    --------
    >>> parse_grouping("a/b")
    (('a', 'b'), ('a',))
    """
    return _nested(tokenize(text), text, lhs="1")


# ---- sums ------------------------------------------------------------------------------------


def _sides(tokens: list[Token], text: str) -> tuple[list[Token], list[Token]]:
    tildes = [i for i, t in enumerate(tokens) if t.text == "~"]
    if len(tildes) != 1 or tokens[tildes[0]].depth:
        raise FormulaError(f'the formula "{text}" has {len(tildes)} "~"; wanted "response ~ terms", with one')
    response, right = tokens[: tildes[0]], tokens[tildes[0] + 1 :]
    if not right:
        raise FormulaError(f'the formula "{text}" has nothing after "~"; write at least "1"')
    bar = next((t for t in response if t.text in _BARS and not t.in_call), None)
    if bar is not None:
        raise FormulaError(f'"{bar.text}" stands left of "~" in "{text}"; random effects go to its right')
    if response:
        _check_powers(response)
    return response, right


def _summands(tokens: list[Token], text: str) -> Iterator[tuple[str, list[Token]]]:
    """Signed terms of a sum; a sign after another operator belongs to the operand."""
    base = tokens[0].depth if tokens else 0
    sign, current = "+", list[Token]()
    started = False
    for token in tokens:
        if token.text in ("+", "-") and token.depth == base and not _wants_operand(current):
            if current:
                yield sign, current
                sign, current = "+", []
            elif started and tokens[0] is not token and sign == "-":
                raise FormulaError(f'two signs in a row in "{text}"; write one')
            sign = token.text
        else:
            current.append(token)
        started = True
    if not current:
        raise FormulaError(f'a term is missing at the end of "{text}"')
    yield sign, current


def _wants_operand(tokens: Sequence[Token]) -> bool:
    return bool(tokens) and tokens[-1].kind == "op" and tokens[-1].text not in (*CLOSING, ".")


def _signed(sign: str, tokens: Sequence[Token], *, first: bool) -> str:
    text = source(tokens)
    if first:
        return f"-{text}" if sign == "-" else text
    return f"{sign} {text}"


def _is_offset(tokens: Sequence[Token]) -> bool:
    depth = tokens[0].depth
    return (
        len(tokens) > 3
        and [t.text for t in tokens[:2]] == ["offset", "("]
        and all(t.depth > depth for t in tokens[2:-1])
    )


def _refuse_minus(sign: str, tokens: Sequence[Token]) -> None:
    if sign == "-":
        raise FormulaError(
            f'"- {source(tokens)}" would take a term away; leave it out of the formula instead'
        )


def _check_fixed(tokens: Sequence[Token]) -> None:
    """Refuse what patsy would read as something else."""
    _check_stray_bars(tokens)
    _check_powers(tokens)
    for i, token in enumerate(tokens):
        if token.text == "." and not token.in_call:
            raise FormulaError(
                'the formula has a "." (in R: all other columns); write the names of the columns, '
                "or let Python: "
                """f"y ~ {' + '.join(set(data.columns) - {'y', 'g'})} + (1 | g)\""""
            )
        called = i + 1 < len(tokens) and tokens[i + 1].text == "("
        if token.text == "offset" and called and not token.in_call:
            raise FormulaError(
                f'offset(...) is part of "{source(tokens)}"; it must be a term of its own: y ~ x + offset(z)'
            )


def _check_powers(tokens: Sequence[Token]) -> None:
    """Refuse R's ``x^2``, to Python an exclusive or, which whole numbers would let pass."""
    for token, following in pairwise([*tokens, tokens[-1]]):
        if token.text == "^" and (not token.in_call or following.kind == "number"):
            raise FormulaError(
                f'"{source(tokens)}" has a "^", to Python an exclusive or; write I(x**2) for the square of x '
                "and (a + b)**2 for main effects and interactions"
            )


# ---- bars ------------------------------------------------------------------------------------


def _matches(tokens: Sequence[Token]) -> bool:
    """Whether the first token opens a parenthesis that the last one closes."""
    return tokens[0].text == "(" and all(t.depth > tokens[0].depth for t in tokens[1:-1])


def _unwrapped_bar(tokens: Sequence[Token]) -> Sequence[Token] | None:
    """What is inside the parentheses of a bar (redundant ones too), or None if it is no bar."""
    while len(tokens) > 2 and _matches(tokens):
        tokens = tokens[1:-1]
        if any(t.text in _BARS and t.depth == tokens[0].depth for t in tokens):
            return tokens
    return None


def _check_stray_bars(tokens: Sequence[Token]) -> None:
    for i, token in enumerate(tokens):
        if token.text not in _BARS:
            continue
        whole = source(tokens)
        if token.depth == tokens[0].depth:
            raise FormulaError(f'bar without parentheses in "{whole}"; write the term as ({whole})')
        group = _enclosing(tokens, i)
        if not token.in_call:
            raise FormulaError(
                f'the random-effects term {source(group)} is part of "{whole}"; it must be a term of its '
                "own, added with +. For a random slope of x write (x | g)"
            )
        if _meant_as_bar(tokens, group, token):
            raise FormulaError(
                f'the random-effects term {source(group)} is inside a function in "{whole}"; take it out, '
                f"and put the transformation on the left of the bar: (np.log(x) | g)"
            )


def _enclosing(tokens: Sequence[Token], i: int) -> Sequence[Token]:
    """The innermost bracketed group around token i, brackets included."""
    depth = tokens[i].depth - 1
    start = max(j for j in range(i) if tokens[j].depth == depth and tokens[j].text in "([{")
    stop = min(j for j in range(i, len(tokens)) if tokens[j].depth == depth and tokens[j].text in CLOSING)
    return tokens[start : stop + 1]


def _meant_as_bar(tokens: Sequence[Token], group: Sequence[Token], bar: Token) -> bool:
    """Tell ``log((1 | g))`` from Python's own or, as in ``np.where((a > 1) | (b > 2), 1, 0)``."""
    left = [t for t in group[1 : group.index(bar)] if t.depth == bar.depth]
    if bar.text == "||" or [t.text for t in left] in (["0"], ["1"], ["-", "1"]):
        return True
    start = next(j for j, t in enumerate(tokens) if t is group[0])
    stop = next(j for j, t in enumerate(tokens) if t is group[-1])
    argument = tokens[start - 1].text in "(," and tokens[stop + 1].text in "),"
    return group[0].text == "(" and not opens_call(tokens[: start + 1]) and argument


def _read_bar(tokens: Sequence[Token]) -> tuple[RawBar, ...]:
    """The bars that ``lhs | grouping`` stands for (tokens without the outer parentheses)."""
    depth, whole = min(t.depth for t in tokens), source(tokens)
    bars = [i for i, t in enumerate(tokens) if t.text in _BARS and t.depth == depth]
    if len(bars) > 1:
        raise FormulaError(f'"({whole})" has {len(bars)} bars; write one term per bar: (1 | g) + (1 | h)')
    lhs, grouping = tokens[: bars[0]], tokens[bars[0] + 1 :]
    if not lhs:
        raise FormulaError(f'nothing stands left of the bar in "({whole})"; write (1 | g) for an intercept')
    if not grouping:
        raise FormulaError(
            f'nothing stands right of the bar in "({whole})"; write the column that groups the rows'
        )
    left = source(lhs)
    if any(t.text == "offset" and not t.in_call for t in lhs):
        raise FormulaError(f'offset(...) stands left of a bar in "({whole})"; offsets are not random')
    for _, summand in _summands(list(lhs), left):
        _check_fixed(summand)
    double = tokens[bars[0]].text == "||"
    nested = _nested(grouping, source(grouping), lhs=left)
    return tuple(RawBar(left, factors, double, whole) for factors in nested)


def _nested(tokens: Sequence[Token], text: str, *, lhs: str) -> tuple[tuple[str, ...], ...]:
    """``a/b/c`` as lme4 reads it: a:b:c, a:b, a."""
    _check_grouping(tokens, text, lhs)
    nested: list[tuple[str, ...]] = []
    path: tuple[str, ...] = ()
    for piece in _split(tokens, "/", text):
        path = path + tuple(name for part in _split(piece, ":", text) for name in _column(part, text))
        nested.append(path)
        if len(set(path)) < len(path):
            raise FormulaError(f'a column occurs twice in the grouping factor "{text}"')
    return tuple(reversed(nested))


def _check_grouping(tokens: Sequence[Token], text: str, lhs: str) -> None:
    top = [t.text for t in tokens if not t.in_call]
    names = [t.text for t in tokens if t.kind == "name" and not t.in_call]
    if "*" in top:
        terms = [*(f"({lhs} | {name})" for name in names), f"({lhs} | {':'.join(names)})"]
        raise FormulaError(f'the grouping factor "{text}" has a "*"; write {" + ".join(terms)}')
    if "+" in top:
        terms = [f"({lhs} | {name})" for name in names]
        raise FormulaError(f'the grouping factor "{text}" has a "+"; write {" + ".join(terms)}')


def _split(tokens: Sequence[Token], separator: str, text: str) -> list[Sequence[Token]]:
    pieces: list[list[Token]] = [[]]
    base = min((t.depth for t in tokens), default=0)
    for token in tokens:
        if token.text == separator and token.depth == base:
            pieces.append([])
        else:
            pieces[-1].append(token)
    if not all(pieces):
        raise FormulaError(f'a column is missing in the grouping factor "{text}"')
    return list(pieces)


def _column(tokens: Sequence[Token], text: str) -> tuple[str, ...]:
    """The column (or, in parentheses, the columns a:b) that one part of a grouping factor names."""
    words = [t.text for t in tokens]
    if len(words) == 1 and tokens[0].kind == "name" and "." not in words[0]:
        return (words[0],)
    if len(words) == 4 and words[:2] == ["Q", "("] and tokens[2].kind == "string":
        return (str(ast.literal_eval(words[2])),)
    if len(words) > 2 and _matches(tokens):
        return tuple(name for part in _split(tokens[1:-1], ":", text) for name in _column(part, text))
    raise FormulaError(
        f'the grouping factor "{text}" is not made of columns joined by ":" or "/": saw "{source(tokens)}". '
        'Make a column of it in the data first, and write Q("...") around a name with special characters'
    )
