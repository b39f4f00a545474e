"""The words of a formula, with the brackets around them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache

from interlace.errors import FormulaError
from interlace.names import readable

_TOKEN = re.compile(
    r"""(?P<space>\s+)
      | (?P<string>[rbuRBU]{0,2}(?:"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'))
      | (?P<number>(?:\d[\d_]*\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)
      | (?P<name>[^\W\d]\w*(?:\.[^\W\d]\w*)*)
      | (?P<op>\*\*|\|\||//|==|!=|<=|>=|<<|>>|.)""",
    re.VERBOSE | re.DOTALL,
)
CLOSING = {")": "(", "]": "[", "}": "{"}


@dataclass(frozen=True)
class Token:
    """A word of the formula.

    Attributes
    ----------
    text : str
        The word.
    kind : str
        ``"name"`` (dots included), ``"number"``, ``"string"`` or ``"op"``.
    depth : int
        Brackets around it.
    in_call : bool
        Whether one of them holds the arguments of a function, or is no parenthesis.
    spaced : bool
        Whether there is a space before it.
    """

    text: str
    kind: str
    depth: int
    in_call: bool
    spaced: bool


def tokenize(text: str) -> list[Token]:
    """Split a formula into words.

    Parameters
    ----------
    text : str
        The formula, or a part of one.

    Returns
    -------
    list of Token
        Its words, without the spaces between them.

    Raises
    ------
    FormulaError
        If brackets or quotation marks do not match.

    Examples
    --------
    >>> [token.text for token in tokenize("x + (1 | g)")]
    ['x', '+', '(', '1', '|', 'g', ')']
    """
    check_text(text)
    return list(_tokens(text))


def check_text(text: object) -> None:
    """Refuse a formula that is no text."""
    if not isinstance(text, str):
        raise FormulaError(f'wanted a formula as text, such as "y ~ x + (1 | g)"; got {type(text).__name__}')


@contextmanager
def no_deeper_than_python(text: str) -> Iterator[None]:
    """Refuse what is too long or too deeply nested for Python's own limits, while it is parsed.

    Parameters
    ----------
    text : str
        The formula, or a part of one.

    Raises
    ------
    FormulaError
        Instead of a RecursionError.
    """
    try:
        yield
    except (RecursionError, MemoryError) as error:
        raise FormulaError(
            f'"{text[:60]}..." is too long or too deeply nested to be read ({len(text)} characters). Give '
            "the fixed effects as a matrix, CrossedLMM(endog, exog, ...), or make columns in the data first"
        ) from error


@lru_cache(maxsize=512)
def _tokens(text: str) -> tuple[Token, ...]:
    tokens: list[Token] = []
    stack: list[tuple[str, bool]] = []
    spaced = False
    for match in _TOKEN.finditer(readable(text)):
        kind, word = str(match.lastgroup), match.group()
        if kind == "space":
            spaced = True
            continue
        if word in CLOSING:
            _close(stack, word, text)
        in_call = bool(stack) and stack[-1][1]
        tokens.append(Token(word, kind, len(stack), in_call, spaced))
        if word in "([{":
            stack.append((word, in_call or word != "(" or opens_call(tokens)))
        elif word == "#":
            raise FormulaError(
                f'the formula {text!r} has a "#", and comments are no part of formulas; leave it out, or '
                'write Q("a#b") for a column of that name'
            )
        elif word in "\"'`":
            raise FormulaError(f"unexpected {word} in the formula {text!r}; {_quote_advice(word)}")
        spaced = False
    if stack:
        raise FormulaError(f'"{stack[-1][0]}" is never closed in the formula {text!r}')
    return tuple(tokens)


def _quote_advice(word: str) -> str:
    return 'write Q("my column")' if word == "`" else "close the quotation"


def _close(stack: list[tuple[str, bool]], word: str, text: str) -> None:
    if not stack or stack[-1][0] != CLOSING[word]:
        raise FormulaError(f'"{word}" closes nothing in the formula {text!r}')
    stack.pop()


def opens_call(tokens: Sequence[Token]) -> bool:
    """Whether the bracket that is the last token opens the arguments of a function.

    Parameters
    ----------
    tokens : sequence of Token
        Words up to and with the bracket.

    Returns
    -------
    bool
        True after a name, a string or another closed bracket.
    """
    return len(tokens) > 1 and (tokens[-2].kind in ("name", "string") or tokens[-2].text in ")]}")


def source(tokens: Sequence[Token]) -> str:
    """Text of some words, with single spaces where there were any.

    Parameters
    ----------
    tokens : sequence of Token
        Neighbouring words.

    Returns
    -------
    str
        The text between the first and the last of them.
    """
    return "".join((" " if t.spaced and i else "") + t.text for i, t in enumerate(tokens))
