"""Does any one sample or plate decide the result? Each is left out in turn, everything estimated again."""

from __future__ import annotations

from pathlib import Path

import interlace
from interlace.datasets import load_penicillin

PLOT = Path("influence_report.png")


def main() -> None:
    """Screen by one step, refit exactly, and draw the estimate without each group."""
    result = interlace.fit("diameter ~ 1 + (1 | plate) + (1 | sample)", load_penicillin())

    for factor in ("sample", "plate"):
        distance = interlace.cooks_distance(result, factor)
        print(f"Largest Cook's distances by {factor}, variances held:")
        print(distance.nlargest(3).round(3).to_string(), end="\n\n")

    deletion = interlace.case_delete(result, "sample", progress=False)
    print("Variances without each sample, everything estimated again:")
    print(deletion.variance_components.round(3).to_string())
    worst = deletion.rvc["rvc.sample"].abs().idxmax()
    change = deletion.rvc.loc[worst, "rvc.sample"]
    print(f"\nWithout sample {worst} the samples' variance changes by {change:+.0%}.")

    moved = interlace.compare_influence_frame(result, "Intercept", level="sample")
    low, high = moved["estimate"].agg(["min", "max"])
    print(f"The mean stays between {low:.2f} and {high:.2f}.")

    interlace.compare_influence(result, "Intercept").savefig(PLOT, dpi=150)
    print(f"plot: {PLOT.resolve()}")


if __name__ == "__main__":
    main()
