"""Pupils in classes answer the same items: abilities, difficulties and classes from one model of a score.

The multilevel Rasch model of Doran, Bates, Bliese and Dowling (2007), for continuous scores: persons
are crossed with items and nested in classes. The data are simulated, so that the truth is known.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

import interlace

CLASSES, PUPILS, ITEMS = 20, 15, 12
CLASS_SD, PUPIL_SD, ITEM_SD, RESIDUAL_SD = 4.0, 8.0, 6.0, 10.0


def simulate(rng: np.random.Generator) -> tuple[pd.DataFrame, pd.Series]:
    """Scores in long form, one row per pupil and item, and the pupils' true abilities."""
    school_class = np.repeat(np.arange(CLASSES), PUPILS)
    names = [f"c{c:02d}p{i:03d}" for i, c in enumerate(school_class)]
    ability = pd.Series(rng.normal(0, PUPIL_SD, CLASSES * PUPILS), index=names)
    level, easiness = rng.normal(0, CLASS_SD, CLASSES), rng.normal(0, ITEM_SD, ITEMS)
    pupil, item = np.divmod(np.arange(CLASSES * PUPILS * ITEMS), ITEMS)
    mean = 50 + level[school_class[pupil]] + ability.to_numpy()[pupil] + easiness[item]
    frame = {
        "score": rng.normal(mean, RESIDUAL_SD),
        "school_class": [f"c{c:02d}" for c in school_class[pupil]],
        "pupil": [names[i] for i in pupil],
        "item": [f"item{j + 1:02d}" for j in item],
    }
    return pd.DataFrame(frame), ability


def main() -> None:
    """Fit, set the components beside the truth, and say how well abilities are measured."""
    scores, ability = simulate(np.random.default_rng(3))
    model = interlace.CrossedLMM.from_formula("score ~ 1 + (1 | school_class/pupil) + (1 | item)", scores)
    print(model.describe(), end="\n\n")
    result = model.fit()

    variance = result.variance_components
    pupils = "school_class:pupil"
    truth = {pupils: PUPIL_SD, "school_class": CLASS_SD, "item": ITEM_SD, "Residual": RESIDUAL_SD}
    found = pd.DataFrame({"put in": truth, "found": {name: variance[name] ** 0.5 for name in truth}})
    print(found.round(2).to_string())

    # Labels of the nested factor are "class:pupil"; pupils have names of their own here.
    estimated = result.random_effects[pupils].rename(lambda label: label.partition(":")[2])
    reliability = variance[pupils] / (variance[pupils] + variance["Residual"] / ITEMS)
    print(f"\nReliability of a pupil's score within the class: {reliability:.2f}")
    print(f"Correlation of estimated and true abilities:     {estimated.corr(ability):.2f}")
    print("\nEasiest and hardest items:")
    print(result.random_effects["item"].sort_values().iloc[[-1, 0]].round(1).to_string())


if __name__ == "__main__":
    main()
