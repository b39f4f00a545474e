"""Counts over unequal times: rates by an exposure, and what to do about overdispersion."""

from __future__ import annotations

import numpy as np
import pandas as pd

import interlace

SITES, VISITS = 30, 8


def simulate(rng: np.random.Generator) -> pd.DataFrame:
    """Events at every visit of every site; the rate varies from visit to visit too."""
    site = np.repeat(np.arange(SITES), VISITS)
    wet, hours = rng.binomial(1, 0.4, len(site)), rng.uniform(5, 60, len(site))
    rate = np.exp(-2.5 + 0.5 * wet + rng.normal(0, 0.5, SITES)[site] + rng.normal(0, 0.4, len(site)))
    return pd.DataFrame({"events": rng.poisson(rate * hours), "wet": wet, "hours": hours, "site": site})


def main() -> None:
    """Poisson, its check, and two models with room for more variation."""
    data = simulate(np.random.default_rng(4)).assign(visit=lambda d: range(len(d)))
    base = "events ~ wet + (1 | site)"
    fits = {
        "Poisson": interlace.fit(base, data, family="poisson", exposure="hours"),
        "negative binomial": interlace.fit(base, data, family="negativebinomial", exposure="hours"),
        "effect per visit": interlace.fit(f"{base} + (1 | visit)", data, family="poisson", exposure="hours"),
    }
    check = fits["Poisson"].check_dispersion(99, rng=1)
    print(f"The data vary {check.ratio:.2f} times as much as Poisson's (p = {check.p_value:.2f})")
    print(f"Rate ratio put in: {np.exp(0.5):.2f}")
    for name, fit in fits.items():
        row = fit.tidy(conf_int=True, exponentiate=True).set_index("term").loc["wet"]
        interval = f"[{row['conf_low']:.2f}, {row['conf_high']:.2f}]"
        print(f"{name:18} aic {fit.aic:8.1f}, rate ratio {row['estimate']:.2f} {interval}")

    new = pd.DataFrame({"wet": [0, 1], "hours": [100.0, 100.0], "site": [3, 3]})
    print("\nEvents expected at site 3 in 100 hours")
    print(fits["effect per visit"].predict(new.assign(visit=-1), new_levels="integrate").round(1).to_string())


if __name__ == "__main__":
    main()
