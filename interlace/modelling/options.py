"""Keywords of models: those that are not known and values that are not offered are refused."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from interlace.errors import ArgumentError

# Fewer random probes say too little about their own scatter.
LEAST_PROBES = 4


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
        raise ArgumentError(f"{keyword}={given!r} is not offered; give {offered}")


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
    interlace.errors.ArgumentError: maxiter='5'; wanted a whole number of Newton steps, 0 or more, or None
    for as many as it takes
    """
    if isinstance(maxiter, bool) or not isinstance(maxiter, int | np.integer) or maxiter < 0:
        raise ArgumentError(
            f"maxiter={maxiter!r}; wanted a whole number of Newton steps, 0 or more, or None for as many as "
            "it takes"
        )
    return int(maxiter)


def drawing(*, probes: Any, seed: Any) -> dict[str, Any]:
    """What the iterative solver draws.

    Parameters
    ----------
    probes, seed : object
        As a user gave them.

    Returns
    -------
    dict
        Both as whole numbers, for `interlace.pls.fit`.

    Raises
    ------
    ValueError
        If they are no whole numbers, or too small: an error cannot be told from fewer than four probes.

    Examples
    --------
    >>> drawing(probes=2, seed=0)
    Traceback (most recent call last):
    ...
    ValueError: probes=2; wanted a whole number, 4 or more
    """
    given = {"probes": (probes, LEAST_PROBES), "seed": (seed, 0)}
    for name, (value, least) in given.items():
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
            raise ArgumentError(f"{name}={value!r}; wanted a whole number, {least} or more")
    return {name: int(value) for name, (value, _) in given.items()}


def start_count(starts: object) -> int | None:
    """A number of searches.

    Parameters
    ----------
    starts : object
        As a user gave it.

    Returns
    -------
    int or None

    Raises
    ------
    ValueError
        If it is neither a whole number from 1 on nor None.

    Examples
    --------
    >>> start_count(0)
    Traceback (most recent call last):
    ...
    ValueError: starts=0; wanted a whole number of searches, 1 or more, or None for as many as it takes
    """
    if starts is None:
        return None
    if isinstance(starts, bool) or not isinstance(starts, int | np.integer) or starts < 1:
        raise ValueError(
            f"starts={starts!r}; wanted a whole number of searches, 1 or more, or None for as many as it "
            "takes"
        )
    return int(starts)


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
