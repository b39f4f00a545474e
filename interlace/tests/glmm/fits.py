"""Fits of the bank's models that several tests look at, made once."""

from __future__ import annotations

import json
import warnings
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import interlace

BANK = Path(__file__).parents[1] / "reference" / "glmm"
MODELS: dict[str, Any] = json.loads((BANK / "models.json").read_text(encoding="utf-8"))
STATISTICS: dict[str, Any] = json.loads((BANK / "statistics.json").read_text(encoding="utf-8"))
FORMULAS = {
    "cbpp": "cbind(incidence, size - incidence) ~ period + (1 | herd)",
    "grouse": "TICKS ~ YEAR + cHEIGHT + (1 | BROOD) + (1 | INDEX) + (1 | LOCATION)",
    "verbagg": "y ~ Anger + Gender + btype + situ + (1 | id) + (1 | item)",
}
CATEGORIES = ["no", "perhaps", "yes"]


@lru_cache
def table(name: str) -> pd.DataFrame:
    """Data of the bank, codes of factors as text."""
    found = pd.read_csv(next((BANK / "data").glob(f"{name}.csv*")))
    texts = {"cbpp": ["period"], "grouse": ["YEAR"]}.get(name, [])
    found = found.astype({column: str for column in texts})
    if name == "verbagg":
        found["resp"] = pd.Categorical(found["resp"], CATEGORIES, ordered=True)
    return found


def fitted(formula: str, data: pd.DataFrame, **options: Any) -> Any:
    """A fit whose warnings are not the matter."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return interlace.fit(formula, data, **options)


@lru_cache
def bank_fit(name: str) -> Any:
    """Fit of a model of the bank by its formula."""
    formula = FORMULAS.get(name) or MODELS[name]["formula"]
    return fitted(formula, table(name), family=MODELS[name]["family"])


@lru_cache
def cbpp() -> Any:
    """Fit of the contagious pleuropneumonia data."""
    return bank_fit("cbpp")


@lru_cache
def ordinal() -> Any:
    """Fit of the three categories of VerbAgg."""
    formula = "resp ~ Anger + Gender + btype + situ + (1 | id) + (1 | item)"
    return interlace.CrossedOrdinal.from_formula(formula, table("verbagg")).fit()


def sample(seed: int, family: str = "poisson") -> pd.DataFrame:
    """Simulated responses of eight groups with random slopes."""
    rng = np.random.default_rng(seed)
    g = np.repeat(np.arange(8), 6)
    x = np.round(rng.normal(size=48), 1)
    eta = 0.4 + 0.5 * x + rng.normal(0, 0.7, 8)[g] + rng.normal(0, 0.4, 8)[g] * x
    data = pd.DataFrame({"x": x, "g": g, "hours": rng.uniform(1, 4, 48), "times": rng.integers(1, 4, 48)})
    draws = {
        "poisson": lambda: rng.poisson(np.exp(eta)),
        "binomial": lambda: rng.binomial(4, 1 / (1 + np.exp(-eta))),
        "negativebinomial": lambda: rng.negative_binomial(3, 3 / (3 + np.exp(eta))),
        "gamma": lambda: rng.gamma(3.0, np.exp(eta) / 3),
        "gaussian(log)": lambda: np.exp(eta) + rng.normal(0, 0.3, 48),
    }
    return data.assign(y=draws[family](), n=4)
