"""Casks within batches: three spellings of one nested model, and why the fourth is another model."""

from __future__ import annotations

from interlace import CrossedLMM
from interlace.datasets import load_pastes

SAME = {
    "written as nested": "strength ~ 1 + (1 | batch/cask)",
    "written out": "strength ~ 1 + (1 | batch) + (1 | batch:cask)",
    "by a column of unique labels": "strength ~ 1 + (1 | batch) + (1 | sample)",
}
OTHER = "strength ~ 1 + (1 | batch) + (1 | cask)"


def main() -> None:
    """Fit all four and compare their criteria."""
    pastes = load_pastes()
    for title, formula in SAME.items():
        result = CrossedLMM.from_formula(formula, pastes).fit()
        print(f"{result.objective:10.4f}  {title}: {formula}")

    # The labels a, b, c come back in every batch: crossed, cask "a" would be one cask seen ten times.
    crossed = CrossedLMM.from_formula(OTHER, pastes).fit()
    print(f"{crossed.objective:10.4f}  crossed, which these data are not: {OTHER}\n")

    print(CrossedLMM.from_formula(SAME["written as nested"], pastes).fit().summary())


if __name__ == "__main__":
    main()
