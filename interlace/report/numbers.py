"""Numbers as papers print them: as many decimals as the standard error makes meaningful."""

from __future__ import annotations

import math


def decimals(scale: float) -> int:
    """Decimals that show two digits of a standard error, and never fewer than two.

    Parameters
    ----------
    scale : float
        The standard error, or whatever says how exact a number is.

    Returns
    -------
    int

    Examples
    --------
    >>> decimals(6.8), decimals(0.0134)
    (2, 3)
    """
    if not (math.isfinite(scale) and scale > 0.0):
        return 2
    return min(max(2, 1 - math.floor(math.log10(scale))), 12)


def fixed(number: float, places: int = 2) -> str:
    """Number with so many decimals; nothing for NaN.

    Parameters
    ----------
    number : float
        Any.
    places : int, default 2
        Decimals.

    Returns
    -------
    str
    """
    if math.isnan(number):
        return ""
    text = f"{number:.{places}f}"
    # Minus zero is zero.
    return text.removeprefix("-") if float(text) == 0.0 else text


def significant(number: float) -> str:
    """Three significant digits or two decimals, whichever show more: for standard deviations.

    Parameters
    ----------
    number : float
        Not negative.

    Returns
    -------
    str

    Examples
    --------
    >>> significant(24.7407), significant(0.00123), significant(0.0)
    ('24.74', '0.00123', '0.00')
    """
    return fixed(number, decimals(number / 10.0))


def share(number: float, places: int = 2) -> str:
    """Number that cannot exceed 1, without the zero before the point, as APA style has it.

    Parameters
    ----------
    number : float
        A correlation, a probability, an R squared.
    places : int, default 2
        Decimals.

    Returns
    -------
    str

    Examples
    --------
    >>> share(0.0656), share(-0.5), share(1.0)
    ('.07', '-.50', '1.00')
    """
    text = fixed(number, places)
    return text.replace("0.", ".", 1) if text.startswith(("0.", "-0.")) else text


def p_value(p: float) -> str:
    """Probability with three decimals, ``<.001`` below.

    Parameters
    ----------
    p : float
        Between 0 and 1.

    Returns
    -------
    str

    Examples
    --------
    >>> p_value(0.00032), p_value(0.0421)
    ('<.001', '.042')
    """
    return "<.001" if p < 0.001 else share(p, 3)


def stars(p: float) -> str:
    """One to three of them, below .05, .01 and .001.

    Parameters
    ----------
    p : float
        Between 0 and 1.

    Returns
    -------
    str
    """
    return "*" * sum(p < level for level in (0.05, 0.01, 0.001))


def degrees(df: float) -> str:
    """Degrees of freedom with one decimal, none if whole.

    Parameters
    ----------
    df : float
        Positive; infinite for the normal distribution.

    Returns
    -------
    str

    Examples
    --------
    >>> degrees(17.000000002), degrees(88.87)
    ('17', '88.9')
    """
    if math.isnan(df):
        return "–"
    if math.isinf(df):
        return "∞"
    return f"{df:.0f}" if abs(df - round(df)) < 0.005 else f"{df:.1f}"
