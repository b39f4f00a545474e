"""Who is rated, who rates, and where: 73 421 lecture ratings with three crossed factors.

Prints the model in words, the progress of the fit and its summary, and draws a caterpillar plot of the
departments and of the lecturers at both ends, in the current folder; `make demo` runs it in `demo/`.
"""

from __future__ import annotations

from pathlib import Path
from time import perf_counter

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from interlace import CrossedLMM
from interlace.datasets import load_insteval

NORMAL_95 = 1.96
ENDS = 15  # lecturers shown from each end of the ranking
PLOT = Path("instructor_evaluations.png")


def caterpillar(axes: Axes, mode: pd.Series, sd: pd.Series) -> None:
    """Draw conditional modes in order, each with the interval that 95 % of its distribution fills."""
    mode = mode.sort_values()
    place = np.arange(len(mode))
    axes.errorbar(mode, place, xerr=NORMAL_95 * sd[mode.index], fmt="o", ms=3, lw=1, color="#30507a")
    axes.axvline(0, color="0.6", lw=0.8, zorder=0)
    axes.set_yticks(place, mode.index, fontsize=7)
    axes.set_xlabel("points above or below the average")


def draw(modes: dict[str, pd.Series], sds: dict[str, pd.Series]) -> Figure:
    """Departments on the left, the lowest and the highest lecturers on the right."""
    ranking = modes["d"].sort_values()
    ends = pd.concat([ranking.head(ENDS), ranking.tail(ENDS)])
    figure = Figure(figsize=(10, 6), layout="constrained")
    left, right = figure.subplots(1, 2)
    caterpillar(left, modes["dept"], sds["dept"])
    caterpillar(right, ends, sds["d"])
    left.set_title(f"{len(modes['dept'])} departments")
    right.set_title(f"the {ENDS} lowest and {ENDS} highest of {len(ranking)} lecturers")
    return figure


def main() -> None:
    """Fit, print and draw."""
    evaluations = load_insteval()
    model = CrossedLMM.from_formula("y ~ service + (1 | s) + (1 | d) + (1 | dept)", evaluations)
    print(model.describe(), end="\n\n")

    begin = perf_counter()
    result = model.fit(disp=True)
    print(f"\nfitted in {perf_counter() - begin:.1f} s by {result.solver}\n")
    print(result.summary())

    draw(result.random_effects, result.random_effects_se).savefig(PLOT, dpi=150)
    print(f"\ncaterpillar plot: {PLOT.resolve()}")


if __name__ == "__main__":
    main()
