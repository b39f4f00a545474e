"""One engine, one case, one process: read the table, warm up, fit, report one line of JSON.

Runs under the interpreter of the engine's own environment, so it needs nothing but numpy, pandas and the
engine. The clock runs from formula and frame to the fitted object; imports, reading and a warm-up fit on a
tiny table come before it. Prints ``ready`` when the clock starts: the time limit counts from there.
"""

from __future__ import annotations

import ctypes
import gc
import json
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from exchange import read_table
from generalised_peers import GENERALISED
from peers import ADAPTERS

REPEAT_BELOW = 1.0  # seconds; a fit that takes longer is timed once per process
REPEAT_FOR = 1.0  # seconds spent on repeats
MOST_REPEATS = 50
PAGE_KB = 1024.0


def memory_mb(key: str) -> float:
    """Read ``VmRSS`` (now) or ``VmHWM`` (highest since the last reset), in MiB; nan where unknown."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return float("nan")
    return float(status.split(f"{key}:")[1].split()[0]) / PAGE_KB


def reset_peak() -> None:
    """Give back what reading left behind, and start the high-water mark from here."""
    gc.collect()
    try:
        ctypes.CDLL("libc.so.6").malloc_trim(0)
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return


def warm_up(prepare: Callable[..., Callable[[], Any]], *family: str) -> None:
    """Fit 18 × 10 simulated rows: imports on first use, caches and thread pools are then behind us."""
    rng = np.random.default_rng(1)
    g = np.repeat(np.arange(18), 10)
    x = np.tile(np.arange(10.0), 18)
    y = 250.0 + 10.0 * x + rng.normal(0, 25, 18)[g] + rng.normal(0, 6, 18)[g] * x + rng.normal(0, 25, g.size)
    if family:
        y = (y > 300.0).astype(float)
    frame = pd.DataFrame({"y": y, "x": x, "g": pd.Categorical.from_codes(g, [str(k) for k in range(18)])})
    prepare(frame, "y ~ x", [("1" if family else "1 + x", "g")], *family)()


def timed(fit: Callable[[], Any]) -> tuple[Any, float, float]:
    """Return the fitted object, wall seconds and processor seconds (all threads)."""
    cpu, wall = time.process_time(), time.perf_counter()
    fitted = fit()
    return fitted, time.perf_counter() - wall, time.process_time() - cpu


def repeats(fit: Callable[[], Any], first: tuple[float, float]) -> list[tuple[float, float]]:
    """Time a short fit again and again, wall and processor; a long one counts as it is."""
    again: list[tuple[float, float]] = []
    while (
        first[0] < REPEAT_BELOW and sum(wall for wall, _ in again) < REPEAT_FOR and len(again) < MOST_REPEATS
    ):
        again.append(timed(fit)[1:])
    return again or [first]


def measure(engine: str, folder: Path) -> dict[str, Any]:
    frame, model = read_table(folder)
    family = () if model["family"] == "gaussian" else (model["family"],)
    adapter = (GENERALISED if family else ADAPTERS)[engine]()
    warm_up(adapter.prepare, *family)
    fit = adapter.prepare(frame, model["fixed"], [tuple(bar) for bar in model["random"]], *family)
    reset_peak()
    before = memory_mb("VmRSS")
    print("ready", flush=True)
    fitted, wall, cpu = timed(fit)
    peak = memory_mb("VmHWM")
    criterion, evaluations = adapter.outcome(fitted)
    times = repeats(fit, (wall, cpu))
    return {
        "seconds": statistics.median(time[0] for time in times),
        "cpu_seconds": statistics.mean(time[1] for time in times),  # its clock may tick in milliseconds
        "first_seconds": wall,
        "n_timed": len(times),
        "peak_mb": peak,
        "peak_above_mb": peak - before,
        "criterion": criterion,
        "evaluations": evaluations,
    }


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    print(json.dumps(measure(sys.argv[1], Path(sys.argv[2]))), flush=True)
