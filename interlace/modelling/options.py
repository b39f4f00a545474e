"""Keywords of models: those that are not known and values that are not offered are refused."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any


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
