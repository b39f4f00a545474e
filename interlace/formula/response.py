"""What stands left of ``~`` in a generalised model: one variable, or successes and failures."""

from __future__ import annotations

import ast

from interlace.errors import FormulaError

from .coding import parse_terms


def parse_responses(text: str) -> tuple[str, ...]:
    """Codes of the variables left of ``~``.

    Parameters
    ----------
    text : str
        ``"y"``, ``"successes + failures"`` as statsmodels has it, or ``"cbind(y, n - y)"`` as R does.

    Returns
    -------
    tuple of str
        One or two.

    Raises
    ------
    FormulaError
        If there are more, or none.

    Examples
    --------
    >>> parse_responses("up + down"), parse_responses("cbind(up, n - up)")
    (('up', 'down'), ('up', 'I(n - up)'))
    """
    bound = _bound_columns(text)
    if bound:
        return bound
    found = [term for term in parse_terms(text, what="response") if term]
    if len(found) not in (1, 2) or any(len(term) != 1 for term in found):
        raise FormulaError(
            f'the response "{text}" is neither one variable nor two; write one left of "~", or '
            '"successes + failures"'
        )
    return tuple(term[0] for term in found)


def _bound_columns(text: str) -> tuple[str, ...]:
    """Arguments of ``cbind(a, b)``."""
    try:
        call = ast.parse(text.strip(), mode="eval").body
    except SyntaxError:
        return ()
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name) or call.func.id != "cbind":
        return ()
    if len(call.args) != 2 or call.keywords:
        raise FormulaError(f'the response "{text}" does not bind two columns; wanted successes, failures')
    return tuple(_variable(argument) for argument in call.args)


def _variable(argument: ast.expr) -> str:
    """Code of one variable: arithmetic would be read as terms of a formula, ``n - y`` as n without y."""
    code = ast.unparse(argument)
    return f"I({code})" if isinstance(argument, ast.BinOp | ast.UnaryOp | ast.Compare | ast.BoolOp) else code
