"""Every sample on every plate: two crossed factors, and how much of the spread each of them makes."""

from __future__ import annotations

from interlace import CrossedLMM
from interlace.datasets import load_penicillin


def main() -> None:
    """Fit crossed intercepts by REML and by ML and show the shares of the variance."""
    model = CrossedLMM.from_formula("diameter ~ 1", load_penicillin(), groups=["plate", "sample"])
    print(model.describe(), end="\n\n")

    reml, ml = model.fit(), model.fit(reml=False)
    print(reml.summary())

    variance = reml.variance_components
    total = sum(variance.values())
    print("\nShares of the variance (REML):")
    for name, value in variance.items():
        print(f"  {name:10s} {value / total:6.1%}")
    print(f"Maximum likelihood makes the samples' variance {ml.variance_components['sample']:.3f}")
    print(f"where REML has {variance['sample']:.3f}: with six samples, one mean estimated matters.")


if __name__ == "__main__":
    main()
