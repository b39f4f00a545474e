"""lme4's ``update``: a formula in terms of another one, ``". ~ . - x + (1 | g)"``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from interlace.errors import FormulaError

from .bars import expand_bars
from .coding import parse_terms
from .grammar import Bar, MixedFormula, RawBar, parse_bars
from .tokens import Token, source, tokenize


@dataclass(frozen=True)
class _Summand:
    """A signed term of the new formula's right side."""

    sign: str
    tokens: tuple[Token, ...]

    @property
    def text(self) -> str:
        return source(self.tokens)

    @property
    def has_dot(self) -> bool:
        return any(t.text == "." for t in self.tokens)

    @property
    def is_bar(self) -> bool:
        return any(t.text in ("|", "||") and not t.in_call for t in self.tokens)

    @property
    def is_offset(self) -> bool:
        return [t.text for t in self.tokens[:2]] == ["offset", "("]


def updated(formula: MixedFormula, bars: Sequence[Bar], text: str) -> MixedFormula:
    """A formula with ``.`` standing for the parts of another one.

    Parameters
    ----------
    formula : MixedFormula
        The formula of the model.
    bars : sequence of Bar
        All its random-effects terms, those given outside the formula too.
    text : str
        ``". ~ . + z"``, ``". ~ . - x"``, ``". ~ . - (1 | g) + (1 + x | g)"``, ``"log(.) ~ ."``.

    Returns
    -------
    MixedFormula
        Its fixed part is written out term by term.

    Raises
    ------
    FormulaError
        If the text cannot be read, or takes away a random-effects term that is not there.

    Examples
    --------
    >>> from interlace.formula.grammar import parse_formula
    >>> old = parse_formula("y ~ x * z + (1 | g)")
    >>> print(updated(old, [Bar("1", ("g",))], ". ~ . - x:z + (1 | h)"))
    y ~ x + z + (1 | g) + (1 | h)
    """
    response, right = _sides(tokenize(text), text)
    fixed: list[str] = []
    kept: list[Bar] = []
    offsets: list[str] = []
    for summand in _summands(right, text):
        if summand.has_dot:
            _refuse_minus(summand, text)
            kept += [bar for bar in bars if bar not in kept]
            offsets += formula.offsets
        if summand.is_bar:
            kept = _with_bars(kept, summand, text)
        elif summand.is_offset:
            offsets = _with_offset(offsets, summand)
        else:
            old = _written(formula.fixed)
            fixed.append(f"{summand.sign} {_replaced(summand.tokens, f'({old})')}")
    return MixedFormula(
        response=_replaced(response, formula.response) if response else formula.response,
        fixed=_written(" ".join(fixed).removeprefix("+ ") or "1"),
        random=tuple(RawBar(bar.lhs, bar.factors) for bar in kept),
        offsets=tuple(offsets),
    )


def _sides(tokens: Sequence[Token], text: str) -> tuple[Sequence[Token], Sequence[Token]]:
    tildes = [i for i, token in enumerate(tokens) if token.text == "~"]
    if len(tildes) != 1 or tildes[0] == len(tokens) - 1:
        raise FormulaError(f'cannot update by "{text}"; write for instance ". ~ . - x" or ". ~ . + (1 | g)"')
    return tokens[: tildes[0]], tokens[tildes[0] + 1 :]


def _summands(tokens: Sequence[Token], text: str) -> list[_Summand]:
    found: list[_Summand] = []
    sign, current = "+", list[Token]()
    for token in tokens:
        if token.text not in ("+", "-") or token.depth > 0:
            current.append(token)
            continue
        if current:
            found.append(_Summand(sign, tuple(current)))
        sign, current = token.text, []
    if not current:
        raise FormulaError(f'a term is missing at the end of "{text}"')
    return [*found, _Summand(sign, tuple(current))]


def _refuse_minus(summand: _Summand, text: str) -> None:
    if summand.sign == "-":
        raise FormulaError(f'"{text}" takes the whole formula away; leave out the "." instead')


def _with_bars(kept: Sequence[Bar], summand: _Summand, text: str) -> list[Bar]:
    """The terms with those of a summand added or taken away."""
    bars = expand_bars(parse_bars(summand.text))
    keys = [_key(bar) for bar in bars]
    if summand.sign == "+":
        return [*kept, *(bar for bar in bars if _key(bar) not in map(_key, kept))]
    known = {_key(bar): bar for bar in kept}
    absent = [str(bar) for bar, key in zip(bars, keys, strict=True) if key not in known]
    if absent:
        raise FormulaError(
            f'"{text}" takes away {" and ".join(absent)}, which the model does not have; its random-effects '
            f"terms are {', '.join(map(str, kept)) or 'none'}"
        )
    return [bar for bar in kept if _key(bar) not in keys]


def _key(bar: Bar) -> tuple[frozenset[frozenset[str]], frozenset[str]]:
    """Terms that mean the same have the same key."""
    return frozenset(map(frozenset, parse_terms(bar.lhs))), frozenset(bar.factors)


def _with_offset(offsets: Sequence[str], summand: _Summand) -> list[str]:
    inside = source(summand.tokens[2:-1])
    if summand.sign == "+":
        return [*offsets, inside]
    if inside not in offsets:
        raise FormulaError(f'the model has no offset "{inside}" to take away; it has {list(offsets)!r}')
    return [offset for offset in offsets if offset != inside]


def _replaced(tokens: Sequence[Token], old: str) -> str:
    """Text of some words with ``.`` replaced."""
    return "".join(
        (" " if token.spaced and i else "") + (old if token.text == "." else token.text)
        for i, token in enumerate(tokens)
    )


def _written(fixed: str) -> str:
    """A fixed part term by term: ``a * b - a:b`` is ``a + b``."""
    terms = parse_terms(fixed)
    names = [":".join(codes) for codes in terms if codes]
    if () not in terms:
        return " + ".join(["0", *names])
    return " + ".join(names) or "1"
