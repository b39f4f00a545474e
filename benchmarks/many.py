"""The same small model thousands of times: bootstrap, many responses, power, deletion; one run, one thread.

Prints processor seconds and ratios. What lme4 and lmerTest need is measured on fewer replicates (``--small``)
and scaled; so is the loop over glmm's fits, if ``--glmm`` names a Python that has it.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ[name] = "1"  # before NumPy is imported, and inherited by R

import interlace  # noqa: E402
from interlace.errors import SingularFitWarning  # noqa: E402

HERE = Path(__file__).parent
SLEEP = "Reaction ~ Days + (Days | Subject)"
READING = "rt ~ condition + (1 + condition | subject) + (1 | item)"
EFFECT = "condition[T.incongruent]"
ROUNDS = 2
# Fits of which each piece of work consists, and what it is to take, in seconds, on a machine of its own.
WORK = {
    "1 000 parametric bootstraps, sleepstudy": (1_000, 0.14),
    "1 000 parametric bootstraps, reading times": (1_000, 0.6),
    "10 000 responses of the reading times": (10_000, 5.0),
    "power: 10 designs x 1 000 studies, Satterthwaite": (10_000, 15.0),
    "deletion of each of 100 levels, reading times": (100, 0.1),
}
GLMM_LOOP = """
import sys, time, warnings
import pandas as pd, glmm
warnings.simplefilter("ignore")
frame, Y, formula = pd.read_csv(sys.argv[1]), pd.read_csv(sys.argv[2]), sys.argv[3]
labels = [c for c in ("Subject", "subject", "item", "condition") if c in frame]
frame = frame.astype(dict.fromkeys(labels, str)).astype(dict.fromkeys(labels, "category"))
response = formula.split("~")[0].strip()
glmm.fit(frame, formula, satterthwaite=False)
start = time.process_time()
for name in Y:
    frame[response] = Y[name].to_numpy()
    glmm.fit(frame, formula, satterthwaite=False)
print((time.process_time() - start) / Y.shape[1])
"""


def seconds(action: Callable[[], Any]) -> float:
    start = time.process_time()
    action()
    return time.process_time() - start


def ours(sleep: Any, reading: Any) -> dict[str, float]:
    """Seconds of each piece of work; the best of two rounds."""
    first, second = interlace.fit(SLEEP, sleep), interlace.fit(READING, reading)
    plan = interlace.design(subjects=60, items=40, within={"condition": ["congruent", "incongruent"]})
    study = plan.assume(
        READING,
        fixed={"Intercept": 500, EFFECT: 15},
        random={"subject": {"(Intercept)": 60, EFFECT: 20}, "item": 30},
        correlations={"subject": 0.4},
        sigma=90,
    )
    responses = second.simulate(10_000, rng=1).to_numpy()
    right = READING.partition("~")[2]
    sizes = list(range(24, 64, 4))

    def deletion() -> None:
        for factor in ("subject", "item"):
            interlace.case_delete(second, factor, progress=False)

    actions = [
        lambda: first.bootstrap(1_000, rng=1, progress=False),
        lambda: second.bootstrap(1_000, rng=1, progress=False),
        lambda: interlace.fit_many(f"~ {right}", reading, responses, progress=False),
        lambda: interlace.power(study, EFFECT, n=sizes, along="subject", nsim=1_000, rng=1, progress=False),
        deletion,
    ]
    return {
        work: min(seconds(action) for _ in range(ROUNDS)) for work, action in zip(WORK, actions, strict=True)
    }


def lme4(folder: Path, small: int) -> dict[str, float]:
    """Seconds of lme4 and lmerTest for the same work, scaled."""
    if shutil.which("Rscript") is None:
        return {}
    command = ["Rscript", str(HERE / "many.R"), str(folder), str(small)]
    found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    parts = ["bootstrap_sleepstudy", "bootstrap_reading", "refit_reading", "power"]
    scaled = [found[part] * count / small for part, (count, _) in zip(parts, WORK.values(), strict=False)]
    return dict(zip(WORK, [*scaled, found["deletion"]], strict=True))


def glmm(python: str | None, folder: Path) -> dict[str, float]:
    """Seconds of as many fits by glmm."""
    if python is None:
        return {}
    found = {}
    for work, name, formula in zip(WORK, ("sleepstudy", "reading"), (SLEEP, READING), strict=False):
        table, responses = folder / f"{name}.csv", folder / f"{name}-responses.csv"
        command = [python, "-c", GLMM_LOOP, str(table), str(responses), formula]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        found[work] = float(done.stdout) * WORK[work][0]
    return found


def table(mine: dict[str, float], *others: dict[str, float]) -> str:
    """A line per piece of work: seconds, what was wanted, and the ratios of others."""
    lines = ["| work | ours, s | wanted, s | lme4 | glmm |", "|---|--:|--:|--:|--:|"]
    for work, (_, wanted) in WORK.items():
        ratios = [
            f"{other[work]:.4g} s, {other[work] / mine[work]:.0f} x" if work in other else "-"
            for other in others
        ]
        lines.append(f"| {work} | {mine[work]:.3f} | {wanted} | {' | '.join(ratios)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", type=int, default=100, help="replicates by which R and glmm are timed")
    parser.add_argument("--glmm", help="a Python that has glmm 0.6.2")
    options = parser.parse_args()
    sleep = interlace.datasets.load_sleepstudy()
    reading = interlace.datasets.make_reading_times(60, 40, rng=0)
    with tempfile.TemporaryDirectory() as name, warnings.catch_warnings():
        warnings.simplefilter("ignore", SingularFitWarning)
        folder = Path(name)
        for frame, formula, file in ((sleep, SLEEP, "sleepstudy"), (reading, READING, "reading")):
            frame.to_csv(folder / f"{file}.csv", index=False)
            drawn = interlace.fit(formula, frame).simulate(options.small, rng=1)
            drawn.to_csv(folder / f"{file}-responses.csv", index=False)
        print(f"interlace {interlace.__version__}, Python {sys.version.split()[0]}; processor seconds")
        print(table(ours(sleep, reading), lme4(folder, options.small), glmm(options.glmm, folder)))


if __name__ == "__main__":
    main()
