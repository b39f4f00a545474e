"""How far a fit is from what this machine could do: operations of the factorizations over its dgemm rate.

    OPENBLAS_NUM_THREADS=1 python benchmarks/floor.py

With the largest factor eliminated first (q₁ levels, level l meeting d_l levels of the others, q₂ = all other
levels), one evaluation of criterion and gradient of intercept terms takes, in multiplications and additions,

* forming the Schur complement            Σ d_l²      (one triangle)
* weights for the traces of the inverse   Σ d_l²      (the same sum, once more)
* its Cholesky factor                     q₂³ / 3
* its inverse                             2 q₂³ / 3

The floor is their sum, times the evaluations of our fit (read from ``results/table.json``), over the rate of
a large matrix product: a bound that nobody reaches, since the first two are scattered sums and the last two
triangular.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from cases import Case, all_cases
from scipy.linalg import lapack

RESULTS = Path(__file__).parent / "results"


def rate(work: Callable[[], Any], operations: float, *, repeats: int = 5) -> float:
    """Return operations per second, in the quickest of the repeats (others may have been disturbed)."""
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return operations / min(seconds)


def machine_rates(size: int = 2_000) -> dict[str, float]:
    """Time a matrix product, a Cholesky factorization and an inverse from it: 1e9 operations a second."""
    rng = np.random.default_rng(0)
    a = np.asfortranarray(rng.normal(size=(size, size)))
    spd = np.asfortranarray(a @ a.T / size + np.eye(size))
    factor = lapack.dpotrf(spd, lower=1)[0]
    cube = float(size) ** 3
    return {
        "dgemm": rate(lambda: a @ a, 2.0 * cube) / 1e9,
        "dpotrf": rate(lambda: lapack.dpotrf(spd, lower=1), cube / 3.0) / 1e9,
        "dpotri": rate(lambda: lapack.dpotri(factor, lower=1), 2.0 * cube / 3.0) / 1e9,
    }


def operations(frame: pd.DataFrame, groups: list[str]) -> dict[str, float]:
    """Count one evaluation, by stage (see the head of this file)."""
    first, *others = sorted(groups, key=lambda group: -len(frame[group].cat.categories))
    met = sum(_partners(frame[first].cat, frame[other].cat) for other in others)
    forming = float((np.asarray(met, dtype=float) ** 2).sum())
    q2 = float(sum(len(frame[other].cat.categories) for other in others))
    return {"form": forming, "traces": forming, "cholesky": q2**3 / 3.0, "inverse": 2.0 * q2**3 / 3.0}


def _partners(first: Any, other: Any) -> np.ndarray:
    """How many levels of `other` each level of `first` occurs with."""
    width = len(other.categories)
    pairs = np.unique(first.codes.to_numpy().astype(np.int64) * width + other.codes.to_numpy())
    return np.bincount(pairs // width, minlength=len(first.categories))


def floor(case: Case, dgemm: float, fitted: dict[str, Any] | None) -> dict[str, Any]:
    """Floor of one evaluation and, where our fit is on record, of the whole fit, in seconds."""
    counts = operations(case.make(), [group for _, group in case.random])
    each = sum(counts.values()) / (dgemm * 1e9)
    found: dict[str, Any] = {"case": case.name, "operations": counts, "seconds_per_evaluation": each}
    if fitted and fitted["status"] == "ok" and fitted["evaluations"]:
        whole = each * fitted["evaluations"]
        found |= {"evaluations": fitted["evaluations"], "floor": whole, "seconds": fitted["seconds"]}
        found["times_floor"] = fitted["seconds"] / whole
    return found


def _on_record() -> dict[str, dict[str, Any]]:
    path = RESULTS / "table.json"
    cases = json.loads(path.read_text())["cases"] if path.exists() else []
    return {case["case"]["name"]: case["fits"].get("interlace") for case in cases}


def markdown(results: dict[str, Any]) -> str:
    rates = ", ".join(f"{name} {value:.1f}" for name, value in results["rates"].items())
    head = [
        "case",
        "form",
        "traces",
        "Cholesky",
        "inverse",
        "s per evaluation",
        "evaluations",
        "floor, s",
        "fit, s",
        "fit / floor",
    ]
    lines = [
        f"10⁹ operations per second at 2 000 × 2 000, {results['threads']} thread(s): {rates}.",
        "",
        f"| {' | '.join(head)} |",
        f"| --- {'| --: ' * (len(head) - 1)}|",
    ]
    return "\n".join([*lines, *map(_line, results["cases"])])


def _line(found: dict[str, Any]) -> str:
    counts = [f"{count / 1e9:.3f}" for count in found["operations"].values()]
    keys = ("seconds_per_evaluation", "evaluations", "floor", "seconds", "times_floor")
    return f"| {' | '.join([found['case'], *counts, *(_figure(found.get(key)) for key in keys)])} |"


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}"


def main() -> None:
    rates, record = machine_rates(), _on_record()
    studied = [case for case in all_cases() if case.name in ("insteval", "crossed1m")]
    results = {
        "rates": rates,
        "threads": os.environ.get("OPENBLAS_NUM_THREADS", "all"),
        "cases": [floor(case, rates["dgemm"], record.get(case.name)) for case in studied],
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "floor.json").write_text(json.dumps(results, indent=1) + "\n")
    (RESULTS / "floor.md").write_text(markdown(results) + "\n")
    print(markdown(results))


if __name__ == "__main__":
    main()
