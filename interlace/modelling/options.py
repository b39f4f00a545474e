"""Keywords of models: those that are not known and values that are not offered are refused."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from interlace.arguments import whole_number
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
    ArgumentError
        If they are no whole numbers, or too small: an error cannot be told from fewer than four probes.

    Examples
    --------
    >>> drawing(probes=2, seed=0)
    Traceback (most recent call last):
    ...
    interlace.errors.ArgumentError: probes=2; give the number of random probes, a whole number, at least 4
    """
    return {
        "probes": whole_number("probes", probes, least=LEAST_PROBES, wanted="the number of random probes"),
        "seed": whole_number("seed", seed, wanted="a seed"),
    }


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
    ArgumentError
        If it is neither a whole number from 1 on nor None.

    Examples
    --------
    >>> start_count(0)
    Traceback (most recent call last):
    ...
    interlace.errors.ArgumentError: starts=0; give the number of searches, or None for as many as it takes, a
    whole number, at least 1
    """
    if starts is None:
        return None
    wanted = "the number of searches, or None for as many as it takes"
    return whole_number("starts", starts, least=1, wanted=wanted)


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
