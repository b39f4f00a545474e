"""Keywords of models: those that are not known and values that are not offered are refused."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np


def check_choice(keyword: str, given: object, choices: Sequence[object]) -> None:
    """Refuse a value that a keyword does not offer.

    Parameters
    ----------
    keyword : str
        Its name.
    given : object
        The value.
    choices : sequence
        What it offers.

    Raises
    ------
    ValueError
        If the value is none of them.
    """
    if given not in choices:
        offered = " or ".join(repr(choice) for choice in choices)
        raise ValueError(f"{keyword}={given!r} is not offered; give {offered}")


def step_count(maxiter: object) -> int:
    """A number of Newton steps.

    Parameters
    ----------
    maxiter : object
        As a user gave it.

    Returns
    -------
    int

    Raises
    ------
    ValueError
        If it is no whole number from 0 on.

    Examples
    --------
    >>> step_count("5")
    Traceback (most recent call last):
    ...
    ValueError: maxiter='5'; wanted a whole number of Newton steps, 0 or more, or None for as many as it takes
    """
    if isinstance(maxiter, bool) or not isinstance(maxiter, int | np.integer) or maxiter < 0:
        raise ValueError(
            f"maxiter={maxiter!r}; wanted a whole number of Newton steps, 0 or more, or None for as many as "
            "it takes"
        )
    return int(maxiter)


def printer() -> Callable[[Any], None]:
    """Make a callback that prints one line per iteration.

    Returns
    -------
    callable
        Of an iteration of a search.
    """
    count = 0

    def show(iteration: Any) -> None:
        nonlocal count
        print(
            f"iteration {count:3d}: -2 log-likelihood {iteration.objective:.6f}, "
            f"gradient {iteration.gradient_norm:.1e}, still to gain {iteration.expected_decrease:.1e}"
        )
        count += 1

    return show
