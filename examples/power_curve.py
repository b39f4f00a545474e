"""How many subjects does a reading study need? Power by simulation, from assumptions alone."""

from __future__ import annotations

import interlace

CONDITION = "condition[T.incongruent]"


def main() -> None:
    """Lay out a Latin square, assume parameters, and draw it a few hundred times in several sizes."""
    plan = interlace.design(subjects=48, items=24, within={"condition": ["congruent", "incongruent"]})
    study = plan.assume(
        "rt ~ condition + (1 + condition | subject) + (1 | item)",
        fixed={"Intercept": 500, CONDITION: 20},
        random={"subject": {"(Intercept)": 60, CONDITION: 20}, "item": 30},
        correlations={"subject": 0.4},
        sigma=90,
    )
    print(study)
    sizes = {"subject": [12, 24, 48], "item": [12, 24]}
    power = interlace.power(study, CONDITION, n=sizes, nsim=400, rng=20260101, progress=False)
    print(power.frame.round(3).to_string(index=False))

    enough = power.frame.query("power >= 0.8").sort_values(["subject", "item"])
    smallest = enough.iloc[0]
    subjects, items = int(smallest["subject"]), int(smallest["item"])
    print(f"\nThe smallest with a power of 0.8: {subjects} subjects, {items} items")
    null = interlace.power(study, CONDITION, value=0, nsim=400, rng=1, progress=False).frame.iloc[0]
    low, high = null["conf_low"], null["conf_high"]
    print(f"Without an effect {null['power']:.3f} of the tests are significant ({low:.3f} to {high:.3f})")


if __name__ == "__main__":
    main()
