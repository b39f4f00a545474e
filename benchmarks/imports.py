"""How long `import interlace` takes beside statsmodels' own import, each in fresh processes, in turn."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

ROUNDS = 9
STATEMENTS = {"interlace": "import interlace", "statsmodels": "import statsmodels.api"}


def seconds(statement: str) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", statement], check=True)
    return time.perf_counter() - start


def main() -> None:
    for statement in STATEMENTS.values():  # once without counting: files come from the disk
        seconds(statement)
    taken: dict[str, list[float]] = {name: [] for name in STATEMENTS}
    for _ in range(ROUNDS):
        for name, statement in STATEMENTS.items():
            taken[name].append(seconds(statement))
    for name, values in taken.items():
        print(f"{STATEMENTS[name]:24s} median {statistics.median(values):.2f} s, least {min(values):.2f} s")
    more = [ours - theirs for ours, theirs in zip(*taken.values(), strict=True)]
    print(f"difference, pair by pair  median {statistics.median(more):+.2f} s")


if __name__ == "__main__":
    main()
