"""Deletion against the time of the fit, and exact deletion against lme4's influence(groups =) in one run.

    python benchmarks/deletion.py

Single-threaded BLAS is wanted (OPENBLAS_NUM_THREADS=1); R with lme4 is used if it is there.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import interlace
from interlace.errors import SingularFitWarning

INSTEVAL = "y ~ service + (1 | s) + (1 | d) + (1 | dept)"
READING = "rt ~ condition + (1 + condition | subject) + (1 | item)"


def seconds(action: Callable[[], Any], *, rounds: int = 3) -> tuple[float, Any]:
    """Least time of several rounds, and the result."""
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        result = action()
        times.append(time.perf_counter() - start)
    return min(times), result


def insteval() -> None:
    """Ratios to the time of the fit for 73 421 rows, three crossed factors."""
    frame = interlace.datasets.load_insteval()
    fit, result = seconds(lambda: interlace.fit(INSTEVAL, frame))
    cases = {
        "73 421 rows, one-step and leverage": (20, lambda: interlace.hlm_influence(result)),
        "1 128 lecturers, one-step and leverage": (5, lambda: interlace.hlm_influence(result, "d")),
        "14 departments, exact": (10, lambda: interlace.case_delete(result, "dept", progress=False)),
    }
    print(f"InstEval: fit {fit:.2f} s")
    for what, (wanted, action) in cases.items():
        taken, _ = seconds(action, rounds=2)
        print(f"  {what}: {taken:.2f} s, {taken / fit:.1f} x the fit (wanted: {wanted} x)")


def reading_times() -> None:
    """Exact deletion of every subject and item of 60 x 40 reading times, against lme4."""
    frame = interlace.datasets.make_reading_times(60, 40, rng=0)
    result = interlace.fit(READING, frame)
    ours = {
        factor: seconds(lambda factor=factor: interlace.case_delete(result, factor, progress=False))[0]
        for factor in ("subject", "item")
    }
    theirs = _lme4(frame, list(ours))
    for factor, taken in ours.items():
        text = f"Reading times, exact deletion of every {factor}: {taken:.3f} s"
        if factor in theirs:
            text += f"; lme4 {theirs[factor]:.1f} s, {theirs[factor] / taken:.0f} x"
        print(text)


def _lme4(frame: Any, factors: list[str]) -> dict[str, float]:
    if shutil.which("Rscript") is None:
        return {}
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "reading.csv"
        frame.to_csv(table, index=False)
        script = Path(__file__).with_name("deletion.R")
        command = ["Rscript", str(script), str(table), READING, *factors]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    lines = [line.split() for line in done.stdout.splitlines() if line.split()[:1]]
    return {line[0]: float(line[1]) for line in lines if line[0] in factors}


if __name__ == "__main__":
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SingularFitWarning)
        reading_times()
        insteval()
