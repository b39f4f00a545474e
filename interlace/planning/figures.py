"""Power curves, by matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

# Power that studies are often planned for.
USUAL = 0.8


def draw(frame: pd.DataFrame, along: Sequence[str], effect: str, ax: Any) -> Any:
    """Draw power against the numbers of levels of the first factor, one line per size in the others.

    Parameters
    ----------
    frame : DataFrame
        Of a `Power`.
    along : sequence of str
        Its factors.
    effect : str
        For the title.
    ax : Axes or None
        Where to draw.

    Returns
    -------
    matplotlib.figure.Figure
    """
    import matplotlib.pyplot as plt

    if ax is None:
        _, ax = plt.subplots()
    first, others = (along[0], list(along[1:])) if along else (None, [])
    pieces = frame.groupby(others) if others else [((), frame)]
    for sizes, own in pieces:
        label = ", ".join(f"{size} {name}" for size, name in zip(sizes, others, strict=True)) or None
        x = own[first] if first else [0] * len(own)
        errors = [own["power"] - own["conf_low"], own["conf_high"] - own["power"]]
        ax.errorbar(x, own["power"], yerr=errors, marker="o", capsize=3, label=label)
    ax.axhline(USUAL, color="0.7", linewidth=0.8, linestyle="--")
    ax.set(xlabel=f"number of levels of {first}" if first else "", ylabel="power", ylim=(-0.02, 1.02))
    ax.set_title(effect)
    if others:
        ax.legend()
    return ax.figure
