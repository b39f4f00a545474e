"""Words of R, lme4 and statsmodels that mean something here under another name."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from interlace.errors import ArgumentError, ArgumentTypeError
from interlace.frames.columns import suggestion

# Functions that are written as if R's own were meant, and are NumPy's.
_NUMPY_FUNCTIONS = {"log", "log2", "log10", "log1p", "exp", "expm1", "sqrt", "sin", "cos", "tan"}
# Functions that R's formulas call, and what to write instead.
FUNCTIONS = {
    "factor": "C({0})",
    "as_factor": "C({0})",
    "ordered": "C({0}, Poly)",
    "ns": "cr({0}, df=3)",
    "s": "bs({0}, df=5)",
    "ifelse": "np.where(condition, yes, no)",
    "interaction": "a:b",
    "cut": "C(pd.cut({0}, ...)), or make a column of it in the data first",
    "relevel": "C({0}, Treatment('reference'))",
    "mean": "np.mean({0})",
    "lag": "a column made in the data first, data.groupby(...)['x'].shift()",
}
# What R calls with a dot in its name, which no Python name has.
DOTTED = {
    "as.factor": "C({0})",
    "as.numeric": "the column converted in the data first, .astype(float)",
    "as.character": "C({0})",
    "as.integer": "the column converted in the data first, .astype(int)",
}
# Keywords that users of lme4, lmerTest, MixedLM or upstream's package type, and the one that is known here.
KEYWORDS = {
    "REML": 'method="REML" or "ML" in interlace.fit, reml=True or False in CrossedLMM.fit',
    "reml": 'method="REML" or "ML" in interlace.fit, reml=True or False in CrossedLMM.fit',
    "control": "solver=, maxiter= and start_params=; the search needs no other settings",
    "start": "start_params=",
    "theta0": "start_params=",
    "family": "CrossedGLMM, or family= in interlace.fit; the response of CrossedLMM is normal",
    "na_action": 'missing="drop" or "raise"',
    "contrasts": "C(x, Sum), C(x, Treatment('reference')) in the formula",
    "verbose": "disp=True",
    "optimizer": "nothing: there is one search, and its optimum is certified",
    "re": "random=",
    "random_effects": "random=",
    "group": "groups=",
    "exog_re": "random=, or a bar in the formula",
    "exog_vc": "random=, or bars in the formula",
    "free": "bars: (1 | g) + (0 + x | g) has no covariance, and nor has (x || g)",
    "cov_type": "result.get_robustcov_results(...) after the fit",
    "do_cg": "nothing: there is one search, and its optimum is certified",
    "gtol": "nothing: the search ends when the optimum is certified",
    "niter_sa": "nothing: there is one search, and its optimum is certified",
    "correlation": "nothing: residuals are independent given the random effects",
    "hessian": "nothing: second derivatives are always exact",
    "skip_hessian": "nothing: second derivatives are exact and cheap",
    "use_sqrt": "nothing: there is one search, on Cholesky factors",
    "use_sparse": "nothing: matrices are sparse always",
    "fe_pen": "nothing: the likelihood is not penalised",
    "cov_pen": "nothing: the likelihood is not penalised",
    "df_method": "ddf=",
    "dispformula": "weights=, if the residual variances are known up to a factor",
    "full_data": "data.join(interlace.hlm_resid(result))",
    "standardized": "standardize=",
    "variable": "name=",
    "diag": "name=",
}


def function_advice(name: str, argument: str) -> str:
    """Sentence with the spelling of one of R's functions, or an empty text.

    Parameters
    ----------
    name : str
        What the formula calls.
    argument : str
        What it is called with first.

    Returns
    -------
    str

    Examples
    --------
    >>> function_advice("factor", "x")
    "factor(x) is R's; write C(x)"
    """
    known = FUNCTIONS.get(name) or DOTTED.get(name)
    return f"{name}({argument}) is R's; write {known.format(argument)}" if known else ""


def keyword_advice(names: Iterable[str]) -> str:
    """Sentence with our spelling of keywords that others know.

    Parameters
    ----------
    names : iterable of str
        Keywords that were given.

    Returns
    -------
    str
        Empty if nothing is known about them.

    Examples
    --------
    >>> keyword_advice(["verbose"])
    'for verbose= write disp=True'
    """
    return "; ".join(_advice(name, KEYWORDS[name]) for name in names if name in KEYWORDS)


def refuse_unknown(where: str, unknown: Mapping[str, object]) -> None:
    """Refuse keywords that nobody reads.

    Parameters
    ----------
    where : str
        What was called.
    unknown : mapping of str to object
        Keywords that were given.

    Raises
    ------
    TypeError
        With our spelling of those that others know.
    """
    if unknown:
        names = ", ".join(sorted(unknown))
        advice = keyword_advice(unknown) or "see its documentation for those it does"
        raise ArgumentTypeError(f"{where} does not know the keyword(s) {names}; {advice}")


def _advice(name: str, known: str) -> str:
    _, absent, reason = known.rpartition("nothing: ")
    return f"leave {name}= out: {reason}" if absent else f"for {name}= write {known}"


def check_method(method: object) -> None:
    """Refuse every method of fitting but the one there is.

    Parameters
    ----------
    method : object
        None or ``"newton"``.

    Raises
    ------
    ValueError
        With the keyword that was probably meant.
    """
    if method in (None, "newton"):
        return
    meant = "there is one search, so leave it out; its optimum is certified"
    if str(method).upper() in ("REML", "ML"):
        meant = f"that is for interlace.fit; here write reml={str(method).upper() == 'REML'}"
    raise ArgumentError(f"method={method!r} is not offered; give None or 'newton': {meant}")


# ---- code ------------------------------------------------------------------------------------


def unknown_message(absent: Sequence[str], code: str, columns: Mapping[str, Any]) -> str:
    """What to tell a user whose code names what is not there.

    Parameters
    ----------
    absent : sequence of str
        Names that are neither columns nor defined.
    code : str
        The expression.
    columns : mapping
        The data.

    Returns
    -------
    str
    """
    functions = [name for name in absent if name in _NUMPY_FUNCTIONS]
    if functions:
        return (
            f'"{code}" calls {functions[0]}, which is not defined where the model is called; '
            f"import numpy as np there and write np.{functions[0]}(...)"
        )
    advice = [function_advice(*call) for call in calls_in(code) if call[0] in absent]
    if any(advice):
        return next(filter(None, advice))
    called = [name for name, _ in calls_in(code) if name in absent]
    if called:
        return (
            f'"{code}" calls {called[0]}, which is not defined where the model is called; '
            "define or import it there"
        )
    if "np" in absent:
        return f'"{code}" uses np where the model is called without it; import numpy as np there'
    where = "" if list(absent) == [code] else f' (used in "{code}")'
    return f"columns not in the data: {list(absent)}{where}. {suggestion(absent, list(columns))}"


def _calls(code: str) -> Iterator[ast.Call]:
    """Every call in a Python expression."""
    return (node for node in ast.walk(ast.parse(code.strip(), mode="eval")) if isinstance(node, ast.Call))


def calls_in(code: str) -> list[tuple[str, str]]:
    """Functions that code calls by a plain name, each with its first argument.

    Parameters
    ----------
    code : str
        A Python expression.

    Returns
    -------
    list of tuple of str and str
    """
    return [
        (call.func.id, ast.unparse(call.args[0]) if call.args else "x")
        for call in _calls(code)
        if isinstance(call.func, ast.Name)
    ]


def quoted_names(code: str) -> list[str]:
    """Columns that code refers to as ``Q("name")``.

    Parameters
    ----------
    code : str
        A Python expression.

    Returns
    -------
    list of str

    Examples
    --------
    >>> quoted_names("np.log(Q('body weight'))")
    ['body weight']
    """
    quotes = (call.args[0] for call in _calls(code) if getattr(call.func, "id", "") == "Q" and call.args)
    return [str(name.value) for name in quotes if isinstance(name, ast.Constant)]


def column_coded(code: str) -> str | None:
    """The column that code takes as it is: ``x``, ``Q("x")``, ``C(x)`` and ``C(x, Sum)``.

    Parameters
    ----------
    code : str
        A Python expression.

    Returns
    -------
    str or None
        None if the column is changed or there are several.

    Examples
    --------
    >>> column_coded("C(dose, Sum)"), column_coded("I(dose > 0)")
    ('dose', None)
    """
    node = ast.parse(code.strip(), mode="eval").body
    if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "C" and node.args:
        node = node.args[0]
    if isinstance(node, ast.Name):
        return node.id
    names = quoted_names(code)
    is_quote = isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Q"
    return names[0] if is_quote and len(names) == 1 else None
