"""Fits nasty random designs for as long as is wished, and counts what goes wrong.

    python benchmarks/torture.py --minutes 30 --seed 1            linear models
    python benchmarks/torture.py --minutes 30 --family any        generalised ones
    python benchmarks/torture.py --seed 1 --design 1234           one of them again, in words

Each design is fitted from several starts, with its rows in another order, its levels under other names, its
columns in other units, by both solvers, and its criterion is evaluated in longer arithmetic (few rows).
Written: `results/torture.json` and `.md`, or other names by --name.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from trials import ILL, Trial, model_of, quietly, try_design

from interlace.tests.nasty import FAMILIES, nasty

RESULTS = Path(__file__).parent / "results"
# Examples kept of each kind of finding.
EXAMPLES = 5


def main() -> None:
    args = arguments()
    if args.design is not None:
        return print_design(args.seed, args.design, args.family)
    began, trials = time.monotonic(), []
    for number in range(args.start, args.start + args.designs):
        if time.monotonic() - began > 60.0 * args.minutes:
            break
        trials.append(try_design(args.seed, number, family=args.family))
        for kind, seen in trials[-1].findings.items():
            print(f"{number}: {kind}: {seen}", flush=True)
    write(args, trials, time.monotonic() - began)
    return None


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--designs", type=int, default=10**9, help="at most so many")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--start", type=int, default=0, help="number of the first design")
    parser.add_argument("--design", type=int, help="this one alone")
    parser.add_argument("--family", choices=[*FAMILIES, "any"], help="a generalised model")
    parser.add_argument("--name", default="torture", help="of the files in results/")
    return parser.parse_args()


def print_design(seed: int, number: int, family: str | None) -> None:
    design = nasty(seed, number, family=family)
    print(
        f"{design.formula}  {design.family or ('REML' if design.reml else 'ML')}  {', '.join(design.kinds)}"
    )
    print(design.frame.to_string(max_rows=30))
    trial = try_design(seed, number, family=family)
    if trial.outcome in ("certified", "not certified"):
        print(quietly(lambda: model_of(design).fit()))
    print(f"{trial.outcome}; condition {trial.condition:.1e}")
    for kind, seen in trial.findings.items():
        print(f"{kind}: {seen}")


def write(args: argparse.Namespace, trials: list[Trial], seconds: float) -> None:
    head = f"{len(trials)} designs, seed {args.seed}, from number {args.start}; {seconds / 60.0:.0f} minutes"
    options = f" --family {args.family}" if args.family else ""
    which = f"--seed {args.seed} --start {args.start} --designs {len(trials)}"
    command = f"python benchmarks/torture.py {which} --minutes 1e9{options}"
    lines = [head, "", f"    {command}", "", *outcome_table(trials), "", *finding_table(trials), ""]
    lines += kind_table(trials)
    (RESULTS / f"{args.name}.md").write_text("\n".join(lines) + "\n")
    found = [asdict(trial) for trial in trials if trial.findings]
    told = {"command": command, "designs": len(trials), "minutes": seconds / 60.0, "findings": found}
    (RESULTS / f"{args.name}.json").write_text(json.dumps(told, indent=1) + "\n")
    print("\n".join(lines))


def outcome_table(trials: list[Trial]) -> list[str]:
    counts = Counter(trial.outcome for trial in trials)
    return table(("outcome", "designs"), [(name, count) for name, count in counts.most_common()])


def finding_table(trials: list[Trial]) -> list[str]:
    kinds = sorted({kind for trial in trials for kind in trial.findings})
    rows = []
    for kind in kinds:
        own = [trial for trial in trials if kind in trial.findings]
        good = [trial for trial in own if trial.well_conditioned]
        examples = ", ".join(str(trial.number) for trial in (good or own)[:EXAMPLES])
        rows.append((kind, len(own), len(good), examples))
    return table(("finding", "designs", f"of them below condition {ILL:.0e}", "such as"), rows)


def kind_table(trials: list[Trial]) -> list[str]:
    """What the designs were made of, and how many of each kind had a finding below the condition."""
    rows = []
    for kind in sorted({kind for trial in trials for kind in trial.kinds}):
        own = [trial for trial in trials if kind in trial.kinds]
        wrong = sum(bool(trial.findings) and trial.well_conditioned for trial in own)
        rows.append((kind, len(own), sum(trial.outcome == "certified" for trial in own), wrong))
    return table(("kind", "designs", "certified", f"with a finding below condition {ILL:.0e}"), rows)


def table(head: Iterable[object], rows: Iterable[Iterable[object]]) -> list[str]:
    lines = [list(map(str, head)), *(list(map(str, row)) for row in rows)]
    text = [f"| {' | '.join(line)} |" for line in lines]
    return [text[0], "|" + "|".join(["---"] + ["--:"] * (len(lines[0]) - 1)) + "|", *text[1:]]


if __name__ == "__main__":
    main()
