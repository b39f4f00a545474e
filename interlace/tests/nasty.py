"""Random designs at their worst: tables and formulas, each of a seed and a number, to be made again by them.

One to four grouping factors, crossed, nested, partly crossed, disconnected or duplicated; one to four columns
for each; units of 1e-12 to 1e12, weights over ten decades, as few rows as there can be.  The script
`benchmarks/torture.py` fits thousands of them, and `make test` a few.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from interlace.arrays import FloatArray, IntArray

# At most so many rows; most designs have far fewer.
MOST_ROWS = 150
FAMILIES = ("poisson", "binomial", "negativebinomial", "gamma", "ordinal")
# The fixed part of every formula is cut from this one.
COVARIATES = ("x0", "x1", "x2")


@dataclass(frozen=True, eq=False)
class Nasty:
    """A table, a model of it, and what is nasty about both.

    Attributes
    ----------
    frame : DataFrame
        Columns y, x0, x1, x2, g0, g1, ..., and w where there are weights.
    formula : str
        A mixed model.
    reml : bool
        REML or ML.
    family : str or None
        Of a generalised model.
    kinds : tuple of str
        For the tables of counts.
    """

    frame: pd.DataFrame
    formula: str
    reml: bool
    family: str | None
    kinds: tuple[str, ...]

    @property
    def weights(self) -> str | None:
        return "w" if "w" in self.frame else None

    @property
    def factors(self) -> list[str]:
        return [name for name in self.frame if name.startswith("g")]

    @property
    def fixed(self) -> list[str]:
        """Covariates of the fixed part."""
        left = self.formula.partition("(")[0]
        return [name for name in COVARIATES if name in left]

    def permuted(self, rng: np.random.Generator) -> Nasty:
        """The same rows in another order."""
        return replace(self, frame=self.frame.iloc[rng.permutation(len(self.frame))].reset_index(drop=True))

    def renamed(self, rng: np.random.Generator) -> Nasty:
        """The same groups under other names, so that their levels come in another order."""
        frame = self.frame.copy()
        for name in self.factors:
            levels = frame[name].unique()
            texts = [f"level {k}" for k in rng.permutation(len(levels))]
            frame[name] = frame[name].map(dict(zip(levels, texts, strict=True)))
        return replace(self, frame=frame)

    def rescaled(self, rng: np.random.Generator) -> tuple[Nasty, float]:
        """Other units of y and the covariates, powers of two, and what they add to the criterion."""
        frame, shift, p = self.frame.copy(), 0.0, 1 + len(self.fixed)
        for name in COVARIATES:
            power = float(rng.integers(-12, 13))
            frame[name] *= 2.0**power
            if self.reml and name in self.fixed:
                shift += 2.0 * power * np.log(2.0)
        if self.family is None:
            power = float(rng.integers(-12, 13))
            frame["y"] *= 2.0**power
            shift += 2.0 * power * np.log(2.0) * (len(frame) - (p if self.reml else 0))
        return replace(self, frame=frame), shift


def nasty(seed: int, number: int, *, family: str | None = None) -> Nasty:
    """Design ``number`` of a seed.

    Parameters
    ----------
    seed, number : int
        Which.
    family : str, optional
        One of `FAMILIES`, or "any" for one of them by chance: a generalised model.

    Returns
    -------
    Nasty
    """
    rng = np.random.default_rng([seed, number])
    factors, kinds = _factors(rng, _rows(rng))
    n = len(factors[0])
    columns, of_columns = _covariates(rng, n, factors)
    left = ["1", *(name for name in COVARIATES if rng.random() < 0.5)]
    bars, structure = zip(*(_bar(rng, f"g{f}") for f in range(len(factors))), strict=True)
    formula = f"y ~ {' + '.join([*left, *bars])}"
    chosen = str(rng.choice(FAMILIES)) if family == "any" else family
    y, of_response = _response(rng, columns, factors, chosen)
    frame = pd.DataFrame({"y": y, **columns, **{f"g{f}": codes for f, codes in enumerate(factors)}})
    if chosen is None and rng.random() < 0.25:
        frame["w"] = 10.0 ** rng.uniform(-5.0, 5.0, n)
        kinds.append("weights over ten decades")
    if n <= len(left) + 4:
        kinds.append("hardly more rows than coefficients")
    if rng.random() < 0.1:
        frame = pd.concat([frame, frame], ignore_index=True)
        kinds.append("every row twice")
    own = dict.fromkeys([*kinds, *of_columns, *structure, *of_response])
    return Nasty(frame, formula, bool(rng.random() < 0.6), chosen, tuple(own))


def _rows(rng: np.random.Generator) -> int:
    """From as few as there can be, most often some tens."""
    return 7 + int(np.exp(rng.uniform(0.0, np.log(MOST_ROWS - 7.0))))


# ---- grouping factors --------------------------------------------------------------------------------------


def _factors(rng: np.random.Generator, n: int) -> tuple[list[IntArray], list[str]]:
    factors, kinds = [], []
    for f in range(int(rng.choice([1, 2, 3, 4], p=[0.35, 0.4, 0.17, 0.08]))):
        last = factors[-1] if f else None
        kind = "crossed" if last is None else str(rng.choice(list(WAYS)))
        codes = WAYS[kind](rng, n, last)
        if len(np.unique(codes)) < 2 or len(np.unique(codes)) >= n:
            codes = np.arange(n) % 2 + 1  # one level, or one for each row, is refused
        factors.append(codes)
        kinds.append(kind if f else "first")
    kinds = [f"{len(factors)} factors", *(kind for kind in kinds if kind != "first")]
    return factors, kinds


def _levels(rng: np.random.Generator, n: int) -> int:
    """Few, or up to nearly one for each row."""
    return int(np.clip(np.exp(rng.uniform(np.log(2.0), np.log(n - 1.0))), 2, n - 1))


def _crossed(rng: np.random.Generator, n: int, _last: IntArray | None) -> IntArray:
    levels = _levels(rng, n)
    if rng.random() < 0.3:  # one level has nearly all rows
        return np.where(rng.random(n) < 0.85, 0, rng.integers(0, levels, n))
    return rng.integers(0, levels, n)


def _nested(rng: np.random.Generator, n: int, last: IntArray | None) -> IntArray:
    """Whole levels of the one before are put together."""
    assert last is not None
    return rng.integers(0, max(2, len(np.unique(last)) // 3), int(last.max()) + 1)[last]


def _inside(rng: np.random.Generator, n: int, last: IntArray | None) -> IntArray:
    """Each level of the one before is divided."""
    assert last is not None
    return last * 3 + rng.integers(0, 3, n)


def _partly(rng: np.random.Generator, n: int, last: IntArray | None) -> IntArray:
    """Nested but for a few rows."""
    away = rng.random(n) < 0.1
    return np.where(away, rng.integers(0, 3, n), _nested(rng, n, last))


def _disconnected(rng: np.random.Generator, n: int, last: IntArray | None) -> IntArray:
    """Crossed within halves that share no level."""
    assert last is not None
    half = last % 2
    return half * 100 + rng.integers(0, max(2, _levels(rng, n) // 2), n)


def _duplicated(rng: np.random.Generator, n: int, last: IntArray | None) -> IntArray:
    """The one before under other names."""
    assert last is not None
    return rng.permutation(int(last.max()) + 1)[last]


WAYS: dict[str, Callable[[np.random.Generator, int, IntArray | None], IntArray]] = {
    "crossed": _crossed,
    "nested": _nested,
    "finer": _inside,
    "partly crossed": _partly,
    "disconnected": _disconnected,
    "duplicated": _duplicated,
}


# ---- columns and terms -------------------------------------------------------------------------------------


def _covariates(
    rng: np.random.Generator, n: int, factors: list[IntArray]
) -> tuple[dict[str, FloatArray], list[str]]:
    kinds = rng.choice(list(COLUMNS), len(COVARIATES))
    made = [COLUMNS[kind](rng, n, factors) for kind in kinds]
    found = [f"covariate: {kind}" for kind in kinds]
    for j in range(len(made)):
        if rng.random() < 0.15:
            made[j] = made[j] * 10.0 ** rng.uniform(-12.0, 12.0)
            found.append("units of 1e-12 to 1e12")
    return dict(zip(COVARIATES, made, strict=True)), found


COLUMNS: dict[str, Callable[[np.random.Generator, int, list[IntArray]], FloatArray]] = {
    "normal": lambda rng, n, _: rng.normal(size=n),
    "years": lambda rng, n, _: 2000.0 + rng.integers(0, 20, n),
    "indicator": lambda rng, n, _: 1.0 * (rng.random(n) < 0.3),
    "counts with zeros": lambda rng, n, _: 1.0 * rng.poisson(0.7, n),
    "constant within groups": lambda rng, _, factors: rng.normal(size=int(factors[0].max()) + 1)[factors[0]],
    "heavy tails": lambda rng, n, _: rng.standard_t(1.2, n),
    "large mean": lambda rng, n, _: 1e5 + rng.normal(size=n),
}


def _bar(rng: np.random.Generator, name: str) -> tuple[str, str]:
    """A term of one to four columns, and what kind it is."""
    k = int(rng.choice([0, 1, 2, 3], p=[0.55, 0.28, 0.12, 0.05]))
    slopes = " + ".join(sorted(rng.choice(COVARIATES, k, replace=False)))
    if not k:
        return f"(1 | {name})", "intercepts"
    if rng.random() < 0.15:
        return f"(0 + {slopes} | {name})", "slopes without intercepts"
    if rng.random() < 0.35:
        return f"(1 + {slopes} || {name})", "uncorrelated slopes"
    return f"(1 + {slopes} | {name})", "correlated slopes"


# ---- responses ---------------------------------------------------------------------------------------------


def _response(
    rng: np.random.Generator, columns: dict[str, FloatArray], factors: list[IntArray], family: str | None
) -> tuple[FloatArray, list[str]]:
    """Effects of groups from none to overwhelming, a residual from next to nothing to all there is."""
    n = len(factors[0])
    standard = {name: (x - x.mean()) / (x.std() or 1.0) for name, x in columns.items()}
    eta = sum(rng.normal() * x for x in standard.values())
    largest = 0.0
    for codes in factors:
        sd = float(rng.choice([0.0, 0.1, 1.0, 30.0] if family is None else [0.0, 0.5, 1.0, 2.0]))
        effects = rng.normal(size=(int(codes.max()) + 1, 2)) * sd
        eta = eta + effects[codes, 0] + 0.5 * effects[codes, 1] * standard["x0"]
        largest = max(largest, sd)
    if family is not None:
        return OUTCOMES[family](rng, np.clip(eta / 2.0, -4.0, 4.0)), [family]
    kinds = ["no variance between groups"] if largest == 0.0 else []
    sigma = float(rng.choice([1e-6, 0.05, 1.0], p=[0.05, 0.2, 0.75]))
    kinds += ["hardly any residual"] if sigma == 1e-6 else []
    y = eta + sigma * (rng.normal(size=n) if rng.random() < 0.8 else rng.standard_t(2.0, n))
    if rng.random() < 0.2:
        y = np.round(y, 1)
        kinds.append("rounded response")
    if rng.random() < 0.15:
        y = (y + 1e4) * 10.0 ** rng.uniform(-12.0, 12.0)
        kinds.append("response in odd units")
    return y, kinds


OUTCOMES: dict[str, Callable[[np.random.Generator, FloatArray], Any]] = {
    "poisson": lambda rng, eta: rng.poisson(np.exp(eta)),
    "binomial": lambda rng, eta: (rng.random(len(eta)) < 1.0 / (1.0 + np.exp(-eta))) * 1,
    "negativebinomial": lambda rng, eta: rng.poisson(np.exp(eta) * rng.gamma(0.7, 1 / 0.7, len(eta))),
    "gamma": lambda rng, eta: np.exp(eta) * rng.gamma(2.0, 0.5, len(eta)) + 1e-6,
    "ordinal": lambda rng, eta: np.digitize(eta + rng.logistic(size=len(eta)), [-1.0, 0.5, 2.0]),
}
