"""Intervals from 500 simulated data sets, on two cores, beside those of the likelihood profile."""

from __future__ import annotations

import pandas as pd

import interlace
from interlace.datasets import load_sleepstudy

NSIM = 500


def slowing_in_percent(fit: interlace.CrossedLMMResults) -> float:
    """How much slower nine days make the average person."""
    return float(100 * 9 * fit.fe_params["Days"] / fit.fe_params["Intercept"])


def main() -> None:
    """Bootstrap all parameters, then a statistic of our own."""
    result = interlace.fit("Reaction ~ Days + (Days | Subject)", load_sleepstudy())

    # The numbers do not depend on n_jobs: every replicate has its own random numbers.
    boot = result.bootstrap(NSIM, n_jobs=2, rng=20260101)
    print(boot)
    intervals = {"bootstrap": boot.conf_int(), "profile": result.conf_int(method="profile")}
    print(pd.concat(intervals, axis=1).round(2).to_string())

    own = result.bootstrap(NSIM, statistic=slowing_in_percent, n_jobs=2, rng=20260101)
    low, high = own.conf_int(kind="bca").iloc[0]
    print(f"\nNine days slow people by {slowing_in_percent(result):.0f} % (95 %: {low:.0f} to {high:.0f})")


if __name__ == "__main__":
    main()
