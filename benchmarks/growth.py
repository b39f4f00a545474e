"""How time and memory grow with the rows and with the levels: ours and the peers', as plots and JSON.

    python benchmarks/growth.py                         all sweeps, all engines found
    python benchmarks/growth.py --sweeps rows --engines interlace lme4 --timeout 30

An engine that breaks the time limit at one size is not asked for the larger ones.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from cases import CACHE, Case, crossed, nested, slopes
from children import Limits, run_worker
from peers import Engine, installed_engines
from run import RESULTS, chosen, machine

from interlace.diagnostics.plots import spread

CROSSED = (("1", "user"), ("1", "item"))


@dataclass(frozen=True)
class Sweep:
    """One model at growing sizes: `axis` says what `sizes` counts, `make(size)` draws the table."""

    name: str
    title: str
    axis: str
    random: tuple[tuple[str, str], ...]
    sizes: tuple[int, ...]
    make: Callable[[int], pd.DataFrame]

    def case(self, size: int) -> Case:
        return Case(
            f"growth-{self.name}-{size}", self.title, "y ~ x", self.random, make=lambda: self.make(size)
        )


SWEEPS = (
    Sweep(
        "rows",
        "crossed, 4 000 users × 800 items",
        "rows",
        CROSSED,
        (10_000, 30_000, 100_000, 300_000, 1_000_000),
        lambda rows: crossed(rows, 4_000, 800),
    ),
    Sweep(
        "levels",
        "crossed, 200 000 rows, ten users per item",
        "levels of both factors",
        CROSSED,
        (330, 1_100, 3_300, 11_000, 33_000),
        lambda levels: crossed(200_000, levels * 10 // 11, levels // 11),
    ),
    Sweep(
        "groups",
        "intercept and slope, 10 rows a group",
        "groups",
        (("1 + x", "g"),),
        (100, 1_000, 10_000, 100_000),
        slopes,
    ),
    Sweep(
        "nested",
        "ten classes a school, 20 pupils a class",
        "classes",
        (("1", "school"), ("1", "room")),
        (100, 1_000, 10_000, 50_000),
        lambda classes: nested(classes // 10, classes, 20 * classes),
    ),
)


def run_sweep(sweep: Sweep, engines: list[Engine], limits: Limits) -> dict[str, Any]:
    """All sizes, the engines in turn at each.

    Returns
    -------
    dict
        Engine → list of ``{size, status, seconds, peak_above_mb, ...}``.
    """
    points: dict[str, list[dict[str, Any]]] = {engine.name: [] for engine in engines}
    for size in sweep.sizes:
        case = sweep.case(size)
        for engine in engines:
            if _still_in(points[engine.name]) and engine.takes(list(sweep.random), case.rows()):
                outcome = {"size": size, **run_worker(engine, case, limits)}
                points[engine.name].append(outcome)
                print(f"{sweep.name:8} {size:9} {engine.name:14} {outcome.get('seconds', outcome['status'])}")
        _forget(case)
    return {"title": sweep.title, "axis": sweep.axis, "points": points}


def _still_in(points: list[dict[str, Any]]) -> bool:
    return not points or points[-1]["status"] == "ok"


def _forget(case: Case) -> None:
    """Remove a table: those of a whole sweep would fill a disk, and are drawn anew in no time."""
    for path in (CACHE / case.name).iterdir():
        path.unlink()
    (CACHE / case.name).rmdir()


# -- plots --------------------------------------------------------------------------------------------------

INKS = ("#c0392b", "#1f3a5f", "#2e8b57", "#d68910", "#7d3c98", "#5d6d7e", "#a04000")


def plot(sweep: dict[str, Any], limit: float, path: Path) -> None:
    """Draw time and memory, all axes logarithmic; triangles mark fits that were ended at the time limit."""
    figure, panels = plt.subplots(1, 2, figsize=(10.0, 4.2), layout="constrained")
    for panel, key, label in zip(
        panels, ("seconds", "peak_above_mb"), ("seconds", "peak memory above start, MiB"), strict=True
    ):
        panel.set(xscale="log", yscale="log", xlabel=sweep["axis"], ylabel=label)
        ends = {}
        for ink, (engine, points) in zip(INKS, sweep["points"].items(), strict=False):
            if (end := _curve(panel, points, key, engine, ink)) is not None:
                ends[engine] = (end, ink)
            if key == "seconds":
                _stop(panel, points, limit, ink)
        panel.yaxis.set_minor_formatter("")
        panel.grid(which="major", color="#dddddd", linewidth=0.6)
        panel.spines[["top", "right"]].set_visible(False)
        panel.margins(x=0.3)
        _name(panel, ends)
    figure.suptitle(sweep["title"])
    figure.savefig(path, dpi=150)
    plt.close(figure)


def _curve(
    panel: Any, points: list[dict[str, Any]], key: str, engine: str, ink: str
) -> tuple[float, float] | None:
    """Draw one engine's line and say where it ends."""
    # Below a tenth of a MiB there is only noise; a logarithmic axis would make it the picture.
    least = 0.1 if key == "peak_above_mb" else 0.0
    known = [(p["size"], max(p[key], least)) for p in points if p["status"] == "ok"]
    known = [(size, value) for size, value in known if math.isfinite(value)]
    if not known:
        return None
    sizes, values = zip(*known, strict=True)
    width = 2.4 if engine == "interlace" else 1.3
    panel.plot(sizes, values, color=ink, linewidth=width, marker="o", markersize=3.5)
    return sizes[-1], values[-1]


def _name(panel: Any, ends: dict[str, tuple[tuple[float, float], str]]) -> None:
    """Write the engines' names beside the ends of their lines, far enough apart to be read."""
    panel.autoscale_view()
    to_axes = panel.transData + panel.transAxes.inverted()
    spots = np.array([to_axes.transform(end) for end, _ in ends.values()])
    for (engine, (_, ink)), x, y in zip(
        ends.items(), spots[:, 0], spread(spots[:, 1], gap=0.05), strict=True
    ):
        panel.text(x + 0.02, y, engine, color=ink, fontsize=8, va="center", transform=panel.transAxes)


def _stop(panel: Any, points: list[dict[str, Any]], limit: float, ink: str) -> None:
    """Lead the line up to the size at which the engine was ended."""
    last = points[-1] if points else {"status": "ok"}
    if last["status"] != "time":
        return
    reached = [(p["size"], p["seconds"]) for p in points if p["status"] == "ok"][-1:]
    sizes, values = zip(*reached, (last["size"], limit), strict=True)
    panel.plot(sizes, values, color=ink, linewidth=0.8, linestyle=":")
    panel.plot(sizes[-1], values[-1], color=ink, marker="^", markersize=6, markerfacecolor="white")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--sweeps", nargs="*", help=f"of {', '.join(sweep.name for sweep in SWEEPS)}")
    parser.add_argument("--engines", nargs="*", help="names of engines (default: all that are installed)")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--timeout", type=float, default=60.0, help="seconds per fit")
    parser.add_argument("--redraw", action="store_true", help="plot results/growth.json again, fit nothing")
    return parser.parse_args()


def main() -> None:
    mpl.use("Agg")
    arguments, record = _arguments(), RESULTS / "growth.json"
    RESULTS.mkdir(exist_ok=True)
    if arguments.redraw:
        results = json.loads(record.read_text())
    else:
        limits = Limits(seconds=arguments.timeout, threads=arguments.threads)
        engines = chosen(installed_engines(), arguments.engines)
        results = {"machine": machine(limits), "sweeps": {}}
        for sweep in chosen(list(SWEEPS), arguments.sweeps):
            results["sweeps"][sweep.name] = run_sweep(sweep, engines, limits)
            record.write_text(json.dumps(results, indent=1) + "\n")
    for name, sweep in results["sweeps"].items():
        plot(sweep, results["machine"]["time_limit"], RESULTS / f"growth-{name}.png")
    print(f"plots and growth.json are in {RESULTS}")


if __name__ == "__main__":
    main()
