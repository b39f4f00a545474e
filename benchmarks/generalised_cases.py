"""The generalised cases: accuracy, item responses, counts.

Three are published: grouseticks and VerbAgg (read from the tests' references) and InstEval with ratings above
three as successes. The others are simulated by seed.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from cases import Case, correlated, labels

import interlace.datasets as datasets

REFERENCE = Path(__file__).parents[1] / "interlace/tests/reference/glmm/data"


def _categories(frame: pd.DataFrame, groups: list[str]) -> pd.DataFrame:
    texts = {group: frame[group].astype(str) for group in groups}
    return frame.assign(**{group: pd.Categorical(text) for group, text in texts.items()})


def grouse() -> pd.DataFrame:
    """Ticks on grouse chicks, with an effect per row; years as indicators."""
    frame = pd.read_csv(REFERENCE / "grouse.csv")
    years = frame["YEAR"].astype(str)
    table = pd.DataFrame({"ticks": frame["TICKS"].astype(float), "height": frame["cHEIGHT"].astype(float)})
    table["y96"], table["y97"] = ((years == year).astype(float) for year in ("96", "97"))
    groups = ["BROOD", "INDEX", "LOCATION"]
    return _categories(table.assign(**{group: frame[group] for group in groups}), groups)


def verbagg() -> pd.DataFrame:
    """Verbal aggression: 316 persons, 24 items; factors as indicators."""
    frame = pd.read_csv(REFERENCE / "verbagg.csv.gz")
    second = {name: sorted(frame[name].unique().tolist())[1:] for name in ("Gender", "btype", "situ", "mode")}
    table = pd.DataFrame({"y": frame["y"].astype(float), "anger": frame["Anger"].astype(float)})
    for name, levels in second.items():
        for k, level in enumerate(levels):
            table[f"{name.lower()}{k + 1}"] = (frame[name] == level).astype(float)
    return _categories(table.assign(id=frame["id"], item=frame["item"]), ["id", "item"])


def insteval() -> pd.DataFrame:
    """Ratings above three of lectures."""
    frame = datasets.load_insteval()
    table = pd.DataFrame(
        {
            "good": (frame["y"].astype(float) > 3).astype(float),
            "service": frame["service"].astype(str).astype(float),
        }
    )
    return _categories(
        table.assign(**{group: frame[group] for group in ("s", "d", "dept")}), ["s", "d", "dept"]
    )


def accuracy(subjects: int = 60, items: int = 40, *, seed: int = 3) -> pd.DataFrame:
    """One condition within subjects and items; the items' slopes are so small that the fit is singular."""
    rng = np.random.default_rng(seed)
    s, i = (level.ravel() for level in np.divmod(np.arange(subjects * items), items))
    c = (s + i) % 2 - 0.5
    by_subject = correlated(rng, subjects, np.array([0.8, 0.3]))
    by_item = correlated(rng, items, np.array([0.6, 0.05]))
    eta = 1.0 + 0.4 * c + by_subject[s, 0] + by_item[i, 0] + c * (by_subject[s, 1] + by_item[i, 1])
    return pd.DataFrame({"y": _drawn(rng, eta), "c": c, "s": labels(s, subjects), "i": labels(i, items)})


def rasch(persons: int, items: int, *, seed: int = 4) -> pd.DataFrame:
    """Every person answers every item."""
    rng = np.random.default_rng(seed)
    p, i = (level.ravel() for level in np.divmod(np.arange(persons * items), items))
    eta = 0.5 + rng.normal(size=persons)[p] + rng.normal(size=items)[i]
    return pd.DataFrame({"y": _drawn(rng, eta), "person": labels(p, persons), "item": labels(i, items)})


def trials(rows: int = 200_000, *, seed: int = 5) -> pd.DataFrame:
    """Many trials in 100 subjects x 20 items x 2 conditions."""
    rng = np.random.default_rng(seed)
    s, i, c = rng.integers(0, 100, rows), rng.integers(0, 20, rows), rng.integers(0, 2, rows) - 0.5
    eta = 0.5 + 0.3 * c + 0.8 * rng.normal(size=100)[s] + 0.5 * rng.normal(size=20)[i]
    return pd.DataFrame({"y": _drawn(rng, eta), "c": c, "s": labels(s, 100), "i": labels(i, 20)})


def _drawn(rng: np.random.Generator, eta: np.ndarray) -> np.ndarray:
    return (rng.random(eta.size) < 1.0 / (1.0 + np.exp(-eta))).astype(float)


def generalised_cases() -> list[Case]:
    """List them, smallest first."""
    covariates = "y ~ anger + gender1 + btype1 + btype2 + situ1"
    rest = (("1", "person"), ("1", "item"))
    return [
        Case(
            "grouse",
            "grouseticks, counts, 3 nested",
            "ticks ~ y96 + y97 + height",
            (("1", "BROOD"), ("1", "INDEX"), ("1", "LOCATION")),
            grouse,
            "poisson",
        ),
        Case(
            "accuracy",
            "accuracy, maximal, 60 subjects × 40 items, singular",
            "y ~ c",
            (("1 + c", "s"), ("1 + c", "i")),
            accuracy,
            "binomial",
        ),
        Case(
            "verbagg",
            "VerbAgg, Rasch with covariates",
            covariates,
            (("1", "id"), ("1", "item")),
            verbagg,
            "binomial",
        ),
        Case(
            "verbagg-maximal",
            "VerbAgg, maximal (9 covariance parameters)",
            f"{covariates} + mode1",
            (("1 + situ1 + mode1", "id"), ("1 + gender1", "item")),
            verbagg,
            "binomial",
        ),
        Case(
            "trials",
            "200 000 trials of 100 subjects × 20 items",
            "y ~ c",
            (("1", "s"), ("1", "i")),
            trials,
            "binomial",
        ),
        Case(
            "insteval-binary",
            "InstEval above 3, 3 crossed",
            "good ~ service",
            (("1", "s"), ("1", "d"), ("1", "dept")),
            insteval,
            "binomial",
        ),
        Case("rasch", "Rasch, 5 000 × 60", "y ~ 1", rest, lambda: rasch(5_000, 60), "binomial"),
        Case("rasch2m", "Rasch, 20 000 × 100", "y ~ 1", rest, lambda: rasch(20_000, 100), "binomial"),
    ]
