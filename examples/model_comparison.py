"""Which random effects, which fixed effects: likelihood ratios, AIC and BIC, one table for the paper."""

from __future__ import annotations

import interlace
from interlace.datasets import load_sleepstudy

RANDOM = {
    "one line": "(1 | Subject)",
    "independent": "(Days || Subject)",
    "correlated": "(Days | Subject)",
}


def main() -> None:
    """Compare three random parts, then a straight line with a curve."""
    sleepstudy = load_sleepstudy()
    fits = [interlace.fit(f"Reaction ~ Days + {bars}", sleepstudy) for bars in RANDOM.values()]
    print("Random part, by restricted likelihood:")
    print(interlace.anova(*fits, refit=None).round(4).to_string())

    print("\nThe same, term by term:")
    print(fits[-1].ranova().round(4).to_string())

    curve = fits[-1].update(". ~ . + I(Days**2)")
    print("\nStraight or curved, by maximum likelihood:")
    print(interlace.anova(fits[-1], curve).round(4).to_string())
    print("\nand by an F test with Satterthwaite's degrees of freedom:")
    print(curve.anova().round(4).to_string(), end="\n\n")

    print(interlace.summary_table([*fits, curve], names=[*RANDOM, "curved"], stars=True))


if __name__ == "__main__":
    main()
