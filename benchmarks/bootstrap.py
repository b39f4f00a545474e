"""1 000 parametric bootstrap refits of sleepstudy, here and in lme4, in one run on one core each.

Prints seconds, the ratio, and the time of a single refit. ``Rscript`` with lme4 must be on the path.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ[name] = "1"  # before NumPy is imported, and inherited by R

import interlace  # noqa: E402

HERE = Path(__file__).parent
ROUNDS = 3


def ours(nsim: int) -> dict[str, float]:
    result = interlace.fit("Reaction ~ Days + (Days | Subject)", interlace.datasets.load_sleepstudy())
    result.bootstrap(5, rng=1, progress=False)
    start, processor = time.perf_counter(), time.process_time()
    found = result.bootstrap(nsim, rng=1, progress=False)
    seconds = {"bootstrap": time.perf_counter() - start, "processor": time.process_time() - processor}
    assert found.n_failed == 0
    y = result.simulate(rng=1)["sim_1"]
    refits = []
    for _ in range(200):
        start = time.perf_counter()
        result.refit(y)
        refits.append(time.perf_counter() - start)
    return seconds | {"refit": min(refits)}


def lme4(nsim: int) -> dict[str, Any]:
    table = Path(interlace.__file__).parent / "datasets" / "sleepstudy.csv"
    command = ["Rscript", str(HERE / "bootstrap.R"), str(table), str(nsim)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nsim", type=int, default=1000)
    nsim = parser.parse_args().nsim
    print(f"interlace {interlace.__version__}, Python {sys.version.split()[0]}; {nsim} replicates")
    ratios = []
    for _ in range(ROUNDS):  # one after the other, so that both meet the same load
        a, b = ours(nsim), lme4(nsim)
        ratios.append(b["processor"] / a["processor"])
        print(
            f"interlace {a['bootstrap']:.2f} s ({a['processor']:.2f} s of processor), "
            f"lme4 {b['version']} {b['bootstrap']:.2f} s ({b['processor']:.2f} s): "
            f"{b['bootstrap'] / a['bootstrap']:.1f} times, {ratios[-1]:.1f} by processor time; "
            f"one refit {1e3 * a['refit']:.2f} ms against {1e3 * b['refit']:.2f} ms"
        )
    print(f"median ratio of processor seconds: {sorted(ratios)[len(ratios) // 2]:.1f}")


if __name__ == "__main__":
    main()
