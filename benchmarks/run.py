"""Fit every case with every engine present, in turn, in one run, with the same number of threads.

    python benchmarks/run.py                            all cases, all engines found
    python benchmarks/run.py --generalised              the generalised models, results/generalised.md
    python benchmarks/run.py --ours                     interlace alone
    python benchmarks/run.py --cases sleepstudy nested --engines interlace lme4 --rounds 1

Every fit has its own process. A round goes through the engines one after the other, so that a machine that
slows down slows all of them; the figure is the least of the rounds, the one that others' work disturbed
least. Writes ``results/NAME.json`` and ``results/NAME.md``.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from cases import Case, all_cases
from children import Limits, run_worker
from generalised_cases import generalised_cases
from peers import Engine, installed_engines
from report import markdown

RESULTS = Path(__file__).parent / "results"
SLOW = 15.0  # seconds; slower fits are run in the first round only


def run_case(
    case: Case,
    engines: Iterable[Engine],
    *,
    rounds: int,
    limits: Limits,
    say: Callable[[str], None],
) -> dict[str, Any]:
    """All engines on one case.

    Returns
    -------
    dict
        ``case`` (name, title, formula, rows), ``fits``: engine → summary over the rounds.
    """
    rows = case.rows()
    runs: dict[str, list[dict[str, Any]]] = {
        engine.name: [] for engine in engines if engine.takes(list(case.random), rows)
    }
    takers = [engine for engine in engines if engine.name in runs]
    for _ in range(rounds):
        for engine in takers:
            if _worth_another(runs[engine.name]):
                outcome = run_worker(engine, case, limits)
                runs[engine.name].append(outcome)
                say(f"{case.name:12} {engine.name:14} {_in_words(outcome)}")
    return {
        "case": {"name": case.name, "title": case.title, "formula": case.formula, "rows": rows},
        "fits": {name: summarize(outcomes) for name, outcomes in runs.items()},
    }


def _worth_another(outcomes: list[dict[str, Any]]) -> bool:
    return not outcomes or (outcomes[-1]["status"] == "ok" and outcomes[-1]["first_seconds"] < SLOW)


def _in_words(outcome: dict[str, Any]) -> str:
    if outcome["status"] != "ok":
        return f"{outcome['status']} {outcome['note']}"
    seconds, peak = outcome["seconds"], outcome["peak_above_mb"]
    return (
        f"{seconds:9.4f} s  {peak:7.0f} MiB  {outcome['criterion']:.7f}  {outcome['evaluations']} evaluations"
    )


def summarize(outcomes: list[dict[str, Any]]) -> dict[str, Any]:
    """Medians over the rounds that ended well; if none did, the first outcome."""
    good = [outcome for outcome in outcomes if outcome["status"] == "ok"]
    if not good:
        return outcomes[0]
    seconds = [outcome["seconds"] for outcome in good]
    return {
        "status": "ok",
        "seconds": min(seconds),
        "seconds_rounds": seconds,
        "first_seconds": min(outcome["first_seconds"] for outcome in good),
        "cpu_seconds": min(outcome["cpu_seconds"] for outcome in good),
        "peak_mb": statistics.median(outcome["peak_mb"] for outcome in good),
        "peak_above_mb": statistics.median(outcome["peak_above_mb"] for outcome in good),
        "criterion": good[0]["criterion"],
        "evaluations": good[0]["evaluations"],
    }


def machine(limits: Limits) -> dict[str, Any]:
    """Say what the numbers depend on."""
    names = [line.split(":", 1)[1].strip() for line in _cpuinfo() if line.startswith("model name")]
    return {
        "processor": names[0] if names else platform.processor(),
        "cores": os.cpu_count(),
        "memory_gb": round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30, 1),
        "system": platform.platform(),
        "python": platform.python_version(),
        "threads": limits.threads,
        "load": round(os.getloadavg()[0], 1),
        "time_limit": limits.seconds,
        "date": time.strftime("%Y-%m-%d"),
    }


def _cpuinfo() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text().split("\n") if path.exists() else []


def write(results: dict[str, Any], name: str) -> None:
    """Write JSON for programs and Markdown for readers; after every case, so that a broken run counts."""
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(results, indent=1, allow_nan=True) + "\n")
    (RESULTS / f"{name}.md").write_text(markdown(results))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--cases", nargs="*", help="names of cases (default: all)")
    parser.add_argument("--engines", nargs="*", help="names of engines (default: all that are installed)")
    parser.add_argument("--ours", action="store_true", help="interlace alone")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--timeout", type=float, default=120.0, help="seconds per fit")
    parser.add_argument(
        "--generalised", action="store_true", help="the generalised cases in place of the linear"
    )
    parser.add_argument(
        "--clock",
        choices=["wall", "processor"],
        default="wall",
        help="what the table counts: on a machine that others use, too, processor seconds mislead less",
    )
    parser.add_argument("--name", help="results are written to results/NAME.json and .md")
    return parser.parse_args()


def chosen(things: Iterable[Any], names: list[str] | None) -> list[Any]:
    """Those with the given names, in their own order; all of them without names."""
    things = list(things)
    unknown = set(names or []) - {thing.name for thing in things}
    if unknown:
        known = ", ".join(thing.name for thing in things)
        raise SystemExit(f"not found: {', '.join(sorted(unknown))}; there are: {known}")
    return [thing for thing in things if names is None or thing.name in names]


def main() -> None:
    arguments = _arguments()
    limits = Limits(seconds=arguments.timeout, threads=arguments.threads)
    cases = generalised_cases() if arguments.generalised else all_cases()
    name = arguments.name or ("generalised" if arguments.generalised else "table")
    installed = installed_engines(generalised=arguments.generalised)
    engines = chosen(installed, ["interlace"] if arguments.ours else arguments.engines)
    results: dict[str, Any] = {
        "machine": {**machine(limits), "clock": arguments.clock},
        "engines": {engine.name: engine.version for engine in engines},
        "cases": [],
    }
    for case in chosen(cases, arguments.cases):
        results["cases"].append(run_case(case, engines, rounds=arguments.rounds, limits=limits, say=print))
        write(results, name)
    print(f"\n{markdown(results)}\nwritten to {RESULTS / name}.md and .json")


if __name__ == "__main__":
    main()
