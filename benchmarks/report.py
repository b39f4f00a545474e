"""Tables from the results of ``run.py``.

python benchmarks/report.py [results/table.json]      prints Markdown
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

SAME = 1e-6  # of the criterion (−2 log likelihood): within this of the best, the engine has found the optimum


def markdown(results: dict[str, Any]) -> str:
    """Write times with ratios, then one row per fit with memory, evaluations and criterion."""
    return "\n".join([_machine(results), "", *_times(results), "", *_details(results), ""])


def best_criterion(case: dict[str, Any]) -> float:
    """Return the lowest criterion that any engine reached."""
    reached = [fit["criterion"] for fit in case["fits"].values() if fit["status"] == "ok"]
    return min((value for value in reached if math.isfinite(value)), default=math.nan)


def _machine(results: dict[str, Any]) -> str:
    machine = results["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in results["engines"].items())
    return (
        f"{machine['date']}; {machine['processor']}, {machine['cores']} cores, {machine['memory_gb']} GiB; "
        f"{machine['threads']} thread{'s' if machine['threads'] > 1 else ''} for every engine; "
        f"Python {machine['python']}; {versions}. Seconds are {_clock_in_words(machine)}."
    )


def _clock_in_words(machine: dict[str, Any]) -> str:
    busy = f" (load when the run began: {machine['load']:g})" if "load" in machine else ""
    return f"processor seconds{busy}" if _key(machine) == "cpu_seconds" else f"wall seconds{busy}"


def _key(machine: dict[str, Any]) -> str:
    return "cpu_seconds" if machine.get("clock") == "processor" else "seconds"


def _times(results: dict[str, Any]) -> list[str]:
    """Seconds per engine; in brackets, how many times our own."""
    limit, key = results["machine"]["time_limit"], _key(results["machine"])

    def cell(case: dict[str, Any], engine: str) -> str:
        return _time_cell(case, engine, limit, key)

    return _grid(results, cell)


def _grid(results: dict[str, Any], cell: Callable[[dict[str, Any], str], str]) -> list[str]:
    engines = list(results["engines"])
    head = ["case", "rows", *engines]
    lines = [_row(head), _row(["---", *["--:"] * (len(head) - 1)])]
    for case in results["cases"]:
        title, rows = case["case"]["title"].replace("|", "\\|"), f"{case['case']['rows']:,}"
        lines.append(_row([title, rows.replace(",", " "), *(cell(case, engine) for engine in engines)]))
    return lines


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _time_cell(case: dict[str, Any], engine: str, limit: float, key: str) -> str:
    fit = case["fits"].get(engine)
    if fit is None:
        return "–"
    if fit["status"] != "ok":
        return {"time": f"> {limit:g}", "memory": "memory"}.get(fit["status"], "fails")
    ours = case["fits"].get("interlace", {})
    ratio = f" ({fit[key] / ours[key]:.3g}×)" if key in ours and engine != "interlace" else ""
    wrong = "" if _same(fit, case) else " †"
    return f"{_seconds(fit[key])}{ratio}{wrong}"


def _same(fit: dict[str, Any], case: dict[str, Any]) -> bool:
    return bool(fit["criterion"] <= best_criterion(case) + SAME)


def _seconds(seconds: float) -> str:
    return f"{seconds:.3g}" if seconds >= 0.001 else f"{seconds:.4f}"


def _details(results: dict[str, Any]) -> list[str]:
    head = [
        "case",
        "engine",
        "seconds",
        "times ours",
        "processor s",
        "peak above start, MiB",
        "peak, MiB",
        "evaluations",
        "criterion",
        "above the best",
    ]
    lines = [f"† stopped more than {SAME:g} above the best criterion.", "", _row(head)]
    lines.append(_row(["---", "---", *["--:"] * (len(head) - 2)]))
    for case in results["cases"]:
        lines += [_row([case["case"]["name"], engine, *_detail(case, engine)]) for engine in case["fits"]]
    return lines


def _detail(case: dict[str, Any], engine: str) -> list[str]:
    fit, ours = case["fits"][engine], case["fits"].get("interlace", {})
    if fit["status"] != "ok":
        return [
            f"{fit['status']}: {fit['note']}" if fit["note"] else f"over the {fit['status']} limit",
            *["–"] * 7,
        ]
    ratio = f"{fit['seconds'] / ours['seconds']:.3g}" if "seconds" in ours else "–"
    count = "–" if fit["evaluations"] is None else str(fit["evaluations"])
    return [
        _seconds(fit["seconds"]),
        ratio,
        _seconds(fit["cpu_seconds"]),
        f"{fit['peak_above_mb']:.0f}",
        f"{fit['peak_mb']:.0f}",
        count,
        f"{fit['criterion']:.7f}",
        f"{fit['criterion'] - best_criterion(case):.1e}",
    ]


if __name__ == "__main__":
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "results/table.json"
    print(markdown(json.loads(path.read_text())))
