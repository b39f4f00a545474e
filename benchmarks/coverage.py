"""How often Wald's and profile intervals of generalised models hold the truth, in simulations.

    python benchmarks/coverage.py [--replicates 400] [--profiles 400] [--seed 1]

Two designs: Poisson counts with an offset, 40 groups of 8 rows; Bernoulli responses, 40 subjects x 30 items,
slopes for both. Prints a table and writes it to benchmarks/results/coverage.json; the documentation has it.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd

import interlace

RESULTS = Path(__file__).parent / "results" / "coverage.json"


def bernoulli(rng: np.random.Generator) -> tuple[pd.DataFrame, dict[str, float]]:
    """Accuracy of 40 subjects on 30 items in two conditions, everything varying."""
    s, i = np.divmod(np.arange(40 * 30), 30)
    c = np.where((s + i) % 2, 0.5, -0.5)
    of_s, of_i = rng.normal(0, [0.9, 0.7], (40, 2)), rng.normal(0, [0.7, 0.5], (30, 2))
    eta = 0.8 - 0.5 * c + of_s[s, 0] + of_s[s, 1] * c + of_i[i, 0] + of_i[i, 1] * c
    data = pd.DataFrame({"y": rng.binomial(1, 1 / (1 + np.exp(-eta))), "c": c, "s": s, "i": i})
    return data, {"Intercept": 0.8, "c": -0.5, "sd_(Intercept)|s": 0.9}


def poisson(rng: np.random.Generator) -> tuple[pd.DataFrame, dict[str, float]]:
    """Counts of 40 groups with exposures of their own."""
    g = np.repeat(np.arange(40), 8)
    data = pd.DataFrame({"x": rng.normal(size=320), "hours": rng.uniform(1, 10, 320), "g": g})
    eta = -0.5 + 0.3 * data["x"] + rng.normal(0, 0.5, 40)[g]
    data["y"] = rng.poisson(data["hours"] * np.exp(eta))
    return data, {"Intercept": -0.5, "x": 0.3, "sd_(Intercept)|g": 0.5}


DESIGNS = {
    "Poisson, offset": (poisson, "y ~ x + (1 | g)", {"family": "poisson", "exposure": "hours"}),
    "Bernoulli, maximal": (bernoulli, "y ~ c + (1 + c | s) + (1 + c | i)", {"family": "binomial"}),
}


def held(name: str, rng: np.random.Generator, *, profile: bool) -> dict[str, dict[str, bool]]:
    """Whether the intervals of one simulated data set hold the truth, by method and parameter."""
    make, formula, options = DESIGNS[name]
    data, truth = make(rng)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit = interlace.fit(formula, data, **options)
        tables = {"wald": fit.conf_int().loc[fit.fe_names]}
        if profile:
            tables["profile"] = fit.conf_int(method="profile", parm=list(truth))
    return {
        method: {p: bool(low <= truth[p] <= high) for p, low, high in table.itertuples()}
        for method, table in tables.items()
    }


def coverage(name: str, replicates: int, profiles: int, seed: int) -> list[dict[str, object]]:
    """Shares of data sets whose intervals hold the truth."""
    counts: dict[tuple[str, str], list[bool]] = {}
    for i, child in enumerate(np.random.SeedSequence(seed).spawn(replicates)):
        found_by = held(name, np.random.default_rng(child), profile=i < profiles)
        for method, found in found_by.items():
            for parameter, inside in found.items():
                counts.setdefault((method, parameter), []).append(inside)
    return [
        {
            "design": name,
            "method": m,
            "parameter": p,
            "coverage": float(np.mean(inside)),
            "replicates": replicates,
        }
        for (m, p), inside in counts.items()
    ]


def main() -> None:
    """Simulate, print and store."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--replicates", type=int, default=400)
    parser.add_argument("--profiles", type=int, default=400, help="of these many replicates, profiles too")
    parser.add_argument("--design", choices=DESIGNS, action="append", help="only these")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    rows = []
    for name in given.design or DESIGNS:
        begun = time.process_time()
        rows += coverage(name, given.replicates, given.profiles, given.seed)
        print(f"{name}: {time.process_time() - begun:.0f} s of processor time")
        print(pd.DataFrame(rows).to_string(index=False), flush=True)
        RESULTS.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
