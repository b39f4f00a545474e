"""Right or wrong: people crossed with items, and whether the condition matters.

Simulated answers with known odds; the model gives the odds ratio back, the probabilities of a typical
person, and those averaged over people and items.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

import interlace

PEOPLE, ITEMS = 60, 40
LOG_ODDS_RATIO = -0.7


def simulate(rng: np.random.Generator) -> pd.DataFrame:
    """One row per person and item."""
    person, item = np.divmod(np.arange(PEOPLE * ITEMS), ITEMS)
    hard = (person + item) % 2
    ability, ease = rng.normal(0, 1.0, PEOPLE), rng.normal(0, 0.7, ITEMS)
    eta = 1.0 + ability[person] + ease[item] + LOG_ODDS_RATIO * hard
    return pd.DataFrame(
        {
            "correct": rng.binomial(1, 1 / (1 + np.exp(-eta))),
            "condition": np.where(hard, "hard", "easy"),
            "person": person,
            "item": item,
        }
    )


def main() -> None:
    """Fit, test, average."""
    trials = simulate(np.random.default_rng(1))
    fit = interlace.fit("correct ~ condition + (1 | person) + (1 | item)", trials, family="binomial")
    print(fit.summary())
    print(f"\nOdds ratio put in: {np.exp(LOG_ODDS_RATIO):.2f}")
    print(fit.tidy(conf_int=True, exponentiate=True).round(3).to_string(index=False))

    print("\nProbabilities of a typical person on a typical item, and averaged over both")
    both = pd.DataFrame({"condition": ["easy", "hard"]})
    typical, average = fit.predict(both, random=False), fit.predict(both, which="marginal")
    print(both.assign(typical=typical, average=average).round(3).to_string(index=False))

    print("\nWithout the condition:")
    print(fit.drop1().round(3).to_string())


if __name__ == "__main__":
    main()
