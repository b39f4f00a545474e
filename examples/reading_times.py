"""Subjects crossed with items, simulated, so that the fit can be held against what was put in."""

from __future__ import annotations

import pandas as pd

from interlace import CrossedLMM
from interlace.datasets import make_reading_times

TRUTH = {"intercept": 500.0, "effect": 30.0, "item_sd": 30.0, "residual_sd": 90.0}


def main() -> None:
    """Fit the model that made the data and set the estimates beside the truth."""
    trials = make_reading_times(rng=20260101, **TRUTH)
    random = ["(1 + condition | subject)", "(1 | item)"]
    model = CrossedLMM.from_formula("rt ~ condition", trials, random=random)
    print(model.describe(), end="\n\n")

    result = model.fit()
    print(result.summary())

    found = [*result.fe_params, result.variance_components["item"] ** 0.5, result.sigma]
    print(pd.DataFrame({"put in": TRUTH.values(), "found": found}, index=list(TRUTH)).round(1).to_string())

    # A new subject is expected to read as the average one does; a known subject as that subject has.
    new = trials.head(2).assign(subject=["s01", "somebody else"]).set_index("subject", drop=False)
    print("\nExpected for a known and for a new subject:")
    print(result.predict(new, new_levels="population").round(1).to_string())


if __name__ == "__main__":
    main()
