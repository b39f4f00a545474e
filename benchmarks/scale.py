"""Fits of millions of simulated ratings from Parquet files by the iterative solver, a process for each.

    python benchmarks/scale.py                        1, 10 and 25 million rows: results/scale.md
    python benchmarks/scale.py --cases 1M "1M, exact"

Time is from the path to the fitted object, by the clock and the processor; peak memory is that of the whole
process, imports included.  Ratings are drawn with Zipf-like popularity; their standard deviations are 0.45
between users, 0.55 between items and 0.85 within.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import interlace

HERE = Path(__file__).parent
RESULTS, CACHE = HERE / "results", HERE / "cache"
TRUE_SDS = {"user": 0.45, "item": 0.55}
CHUNK = 1_000_000


@dataclass(frozen=True)
class Case:
    """So many rows of so many users and items, a formula and a solver."""

    rows: int
    users: int
    items: int
    formula: str = "y ~ x + (1 | user) + (1 | item)"
    solver: str = "iterative"

    @property
    def path(self) -> Path:
        return CACHE / f"ratings-{self.rows}-{self.users}-{self.items}.parquet"


CASES = {
    "1M": Case(1_000_000, 20_000, 2_000),
    "1M, exact": Case(1_000_000, 20_000, 2_000, solver="auto"),
    "slopes, 5M": Case(5_000_000, 60_000, 6_000, formula="y ~ x + (1 + x | user) + (1 | item)"),
    "10M": Case(10_000_000, 100_000, 10_000),
    "25M": Case(25_000_000, 160_000, 59_000),
}


def popular(rng: np.random.Generator, levels: int, rows: int, exponent: float) -> np.ndarray:
    """Levels with Zipf-like popularity."""
    ends = np.cumsum(np.arange(1, levels + 1) ** -exponent)
    return np.searchsorted(ends, rng.random(rows) * ends[-1]).astype(np.int32)


def write(case: Case) -> None:
    """Draw the ratings and write them in row groups."""
    case.path.parent.mkdir(exist_ok=True)
    rng = np.random.default_rng(1)
    effects = {
        "user": TRUE_SDS["user"] * rng.normal(size=case.users),
        "item": TRUE_SDS["item"] * rng.normal(size=case.items),
    }
    writer = None
    for start in range(0, case.rows, CHUNK):
        n = min(CHUNK, case.rows - start)
        user, item = popular(rng, case.users, n, 0.7), popular(rng, case.items, n, 1.0)
        x = rng.normal(size=n)
        y = 3.0 + 0.1 * x + effects["user"][user] + effects["item"][item] + 0.85 * rng.normal(size=n)
        table = pa.table({"y": y, "x": x, "user": user, "item": item})
        writer = writer or pq.ParquetWriter(case.path, table.schema)
        writer.write_table(table)
    if writer is not None:
        writer.close()


def measured(case: Case) -> dict[str, Any]:
    """Fit in this process."""
    clock, processor = time.perf_counter(), time.process_time()
    result = interlace.fit(case.formula, str(case.path), solver=case.solver)
    seconds = {"clock": time.perf_counter() - clock, "processor": time.process_time() - processor}
    clock = time.perf_counter()
    result.summary()
    sampled = result.pls_fit.monte_carlo
    return seconds | {
        "summary": time.perf_counter() - clock,
        "peak GB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
        "variances": [float(value) for value in result.params[result.k_fe :]],
        "scale": float(result.scale),
        "error": None if sampled is None else sampled.worst,
        "evaluations": result.pls_fit.optimum.nfev,
        "certified": bool(result.certificate.certified),
    }


def in_a_process(name: str) -> dict[str, Any]:
    """Fit in a new process, so that its peak of memory is its own."""
    done = subprocess.run(
        [sys.executable, __file__, "--one", name], check=True, capture_output=True, text=True
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def table(found: dict[str, dict[str, Any]]) -> str:
    """Markdown."""
    lines = [
        "| case | rows | users × items | solver | seconds | processor | summary, s | peak, GB | "
        "Monte-Carlo error, SE |",
        "|---|--:|--:|---|--:|--:|--:|--:|--:|",
    ]
    for name, one in found.items():
        case = CASES[name]
        error = "–" if one["error"] is None else f"{one['error']:.1e}"
        shape = f"{case.rows:,} | {case.users:,} × {case.items:,} | {case.solver}"
        lines.append(
            f"| {name} | {shape} | {one['clock']:.1f} "
            f"| {one['processor']:.1f} | {one['summary']:.1f} | {one['peak GB']:.2f} | {error} |"
        )
    return "\n".join(lines) + "\n"


def main(given: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", nargs="*", choices=list(CASES), default=list(CASES))
    parser.add_argument("--one", choices=list(CASES), help=argparse.SUPPRESS)
    chosen = parser.parse_args(given)
    if chosen.one:
        print(json.dumps(measured(CASES[chosen.one])))
        return
    found = {}
    for name in chosen.cases:
        if not CASES[name].path.exists():
            write(CASES[name])
        found[name] = in_a_process(name)
        print(name, found[name], flush=True)
    (RESULTS / "scale.md").write_text(table(found), encoding="utf-8")
    (RESULTS / "scale.json").write_text(json.dumps(found, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
