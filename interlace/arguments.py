"""Arguments that are numbers: how many, how large, how many of them."""

from __future__ import annotations

import operator

import numpy as np
from numpy.typing import ArrayLike

from interlace.arrays import FloatArray
from interlace.errors import ArgumentError

# Larger covariance parameters than this have squares that no search can tell from infinity.
LARGEST = 1e100
STEPS_WANTED = "the number of Newton steps, or None for as many as it takes"


def whole_number(keyword: str, given: object, *, least: int = 0, wanted: str) -> int:
    """A whole number that an argument must be.

    Parameters
    ----------
    keyword : str
        The argument's name.
    given : object
        What a user gave.
    least : int, default 0
        The smallest there may be.
    wanted : str
        What it counts, for the message.

    Returns
    -------
    int

    Raises
    ------
    ArgumentError
        If it is anything else.

    Examples
    --------
    >>> whole_number("nsim", 1.5, least=1, wanted="the number of replicates")
    Traceback (most recent call last):
    ...
    interlace.errors.ArgumentError: nsim=1.5; give the number of replicates, a whole number, at least 1
    """
    try:
        number = -1 if isinstance(given, bool | np.bool_) else operator.index(given)  # type: ignore[arg-type]
    except TypeError:
        number = least - 1
    if number < least or isinstance(given, bool | np.bool_):
        raise ArgumentError(f"{keyword}={given!r}; give {wanted}, a whole number, at least {least}")
    return number


def numbers(what: str, given: ArrayLike, size: int, *, are: str, largest: float = np.inf) -> FloatArray:
    """So many finite numbers.

    Parameters
    ----------
    what : str
        The argument's name.
    given : array_like
        What a user gave.
    size : int
        How many there must be.
    are : str
        What they are, for the message.
    largest : float
        The largest absolute value there may be.

    Returns
    -------
    ndarray of shape (size,)

    Raises
    ------
    ArgumentError
        If they are anything else.

    Examples
    --------
    >>> numbers("theta", [1.0], 2, are="covariance parameters")
    Traceback (most recent call last):
    ...
    interlace.errors.ArgumentError: theta has shape (1,); give 2 finite numbers, covariance parameters
    """
    try:
        values = np.asarray(given, dtype=float)
    except (TypeError, ValueError, OverflowError) as error:
        raise ArgumentError(
            f"{what} holds what is no number ({error}); give {size} numbers, {are}"
        ) from error
    if values.shape != (size,):
        raise ArgumentError(f"{what} has shape {values.shape}; give {size} finite numbers, {are}")
    wrong = values[~(np.abs(values) <= largest) | ~np.isfinite(values)]
    if len(wrong):
        most = f" of at most {largest:g} in absolute value" if np.isfinite(largest) else ""
        raise ArgumentError(f"{what} holds {wrong[0]:g}; give {size} finite numbers{most}, {are}")
    return values
