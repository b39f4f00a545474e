"""Eighteen people, ten days with little sleep, and how much each of them slows down.

A random intercept and a random slope for one grouping factor, and what each person's line becomes.
"""

from __future__ import annotations

import interlace
from interlace.datasets import load_sleepstudy


def main() -> None:
    """Fit the model with correlated slopes and show the people's own lines."""
    sleepstudy = load_sleepstudy()
    result = interlace.fit("Reaction ~ Days + (Days | Subject)", sleepstudy)
    print(result.summary())

    # A person's line is the common one plus that person's deviations, drawn towards zero where data are few.
    deviations = result.random_effects["Subject"]
    lines = deviations.rename(columns={"(Intercept)": "Intercept"}) + result.fe_params
    print("\nEach person's line: milliseconds on day 0, milliseconds more per day")
    print(lines.round(1).to_string())


if __name__ == "__main__":
    main()
