"""The eight cases of the benchmark, and the generators that scale them.

Four are published data sets: sleepstudy, Penicillin and InstEval come with interlace, ScotsSec with R's
mlmRev (without R a simulated table of the same size stands in, and says so in its title). The others are
simulated by seed, so that every machine fits the same numbers.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from exchange import write_table

import interlace.datasets as datasets

CACHE = Path(__file__).parent / "cache"


@dataclass(frozen=True)
class Case:
    """A model and the recipe for its table.

    Parameters
    ----------
    name : str
        Short name, also that of the folder in the cache.
    title : str
        What the table of results calls it.
    fixed : str
        Response and fixed effects, ``"y ~ x"``.
    random : tuple of (str, str)
        Left side and grouping column of each bar, ``("1 + x", "g")``.
    make : callable
        Draws the table; grouping columns are categorical, all others numeric.
    family : str
        "gaussian" stands for a linear model by REML; "binomial" and "poisson" have their canonical links.
    """

    name: str
    title: str
    fixed: str
    random: tuple[tuple[str, str], ...]
    make: Callable[[], pd.DataFrame] = field(repr=False)
    family: str = "gaussian"

    @property
    def formula(self) -> str:
        """The whole model in lme4's spelling."""
        return " + ".join([self.fixed, *(f"({lhs} | {group})" for lhs, group in self.random)])

    def folder(self) -> Path:
        """Where the table lies for the engines to read; made on first use."""
        folder = CACHE / self.name
        if not (folder / "model.json").exists():
            write_table(folder, self.make(), self.model())
        return folder

    def rows(self) -> int:
        """Count the rows of the table."""
        record = json.loads((self.folder() / "model.json").read_text())
        return int(record["rows"])

    def model(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "formula": self.formula,
            "fixed": self.fixed,
            "random": self.random,
            "family": self.family,
        }


def labels(codes: np.ndarray, n_levels: int) -> pd.Categorical:
    """Make a grouping column with the labels 1 … n_levels (text, as in R)."""
    return pd.Categorical.from_codes(codes, categories=[str(level + 1) for level in range(n_levels)])


# -- simulated ----------------------------------------------------------------------------------------------


def maximal(subjects: int = 56, items: int = 32, *, seed: int = 20) -> pd.DataFrame:
    """Every subject reads every item once; three crossed two-level conditions (±½) in a Latin square.

    Reading times in milliseconds, with intercepts and three slopes by subject and by item, correlated at 0.3.
    The items' slopes are small, as they mostly are: the estimated covariances are close to singular.
    """
    rng = np.random.default_rng(seed)
    s, i = (level.ravel() for level in np.divmod(np.arange(subjects * items), items))
    condition = (s + i) % 8
    a, b, c = ((condition >> bit) % 2 - 0.5 for bit in range(3))
    x = np.column_stack([np.ones(s.size), a, b, c])
    by_subject = correlated(rng, subjects, np.array([100.0, 35.0, 30.0, 40.0]))
    by_item = correlated(rng, items, np.array([50.0, 20.0, 15.0, 25.0]))
    fixed = x @ np.array([600.0, 40.0, -25.0, 15.0])
    y = fixed + ((by_subject[s] + by_item[i]) * x).sum(axis=1) + rng.normal(0.0, 170.0, s.size)
    return pd.DataFrame({"y": y, "a": a, "b": b, "c": c, "s": labels(s, subjects), "i": labels(i, items)})


def correlated(rng: np.random.Generator, levels: int, sd: np.ndarray, correlation: float = 0.3) -> np.ndarray:
    shape = np.full((sd.size, sd.size), correlation) + (1.0 - correlation) * np.eye(sd.size)
    return rng.normal(size=(levels, sd.size)) @ np.linalg.cholesky(shape * np.outer(sd, sd)).T


def slopes(groups: int = 10_000, per_group: int = 10, *, seed: int = 21) -> pd.DataFrame:
    """Growth curves: an intercept and a slope for each of many small groups."""
    rng = np.random.default_rng(seed)
    g = np.repeat(np.arange(groups), per_group)
    x = rng.uniform(0.0, 4.0, g.size)
    b = correlated(rng, groups, np.array([1.0, 0.4]))
    y = 2.0 + 0.5 * x + b[g, 0] + b[g, 1] * x + rng.normal(0.0, 1.0, g.size)
    return pd.DataFrame({"y": y, "x": x, "g": labels(g, groups)})


def nested(
    schools: int = 1_000, classes: int = 10_000, pupils: int = 200_000, *, seed: int = 22
) -> pd.DataFrame:
    """Pupils in classes in schools; a class has its own label, so that the nesting is in the data alone."""
    rng = np.random.default_rng(seed)
    school_of = np.sort(np.concatenate([np.arange(schools), rng.integers(0, schools, classes - schools)]))
    c = np.concatenate([np.arange(classes), rng.integers(0, classes, pupils - classes)])
    x = rng.normal(size=pupils)
    by_school, by_class = rng.normal(0.0, 0.5, schools), rng.normal(0.0, 0.7, classes)
    y = 10.0 + 0.3 * x + by_school[school_of[c]] + by_class[c] + rng.normal(0.0, 1.0, pupils)
    return pd.DataFrame(
        {"y": y, "x": x, "school": labels(school_of[c], schools), "class": labels(c, classes)}
    ).rename(columns={"class": "room"})  # `class` is a keyword of Python: no formula could name it


def crossed(
    rows: int = 1_000_000, users: int = 20_000, items: int = 2_000, *, seed: int = 23
) -> pd.DataFrame:
    """Ratings: heavy-tailed activity of users (lognormal) and popularity of items (Zipf–Mandelbrot)."""
    rng = np.random.default_rng(seed)
    u = _skewed(rng, rows, rng.lognormal(0.0, 1.0, users))
    i = _skewed(rng, rows, rng.permutation(1.0 / (np.arange(items) + 10.0)))
    x = rng.normal(size=rows)
    by_user, by_item = rng.normal(0.0, 0.5, users), rng.normal(0.0, 0.4, items)
    y = 3.5 + 0.2 * x + by_user[u] + by_item[i] + rng.normal(0.0, 1.0, rows)
    return pd.DataFrame({"y": y, "x": x, "user": labels(u, users), "item": labels(i, items)})


def _skewed(rng: np.random.Generator, rows: int, weight: np.ndarray) -> np.ndarray:
    """Codes drawn in proportion to `weight`; every level at least once."""
    drawn = rng.choice(weight.size, rows - weight.size, p=weight / weight.sum())
    return rng.permutation(np.concatenate([np.arange(weight.size), drawn]))


# -- published ----------------------------------------------------------------------------------------------


def sleepstudy() -> pd.DataFrame:
    return _published(datasets.load_sleepstudy(), {"Reaction": "Reaction", "Days": "Days"}, ["Subject"])


def penicillin() -> pd.DataFrame:
    return _published(datasets.load_penicillin(), {"diameter": "diameter"}, ["plate", "sample"])


def insteval() -> pd.DataFrame:
    return _published(datasets.load_insteval(), {"y": "y", "service": "service"}, ["s", "d", "dept"])


def scotssec() -> pd.DataFrame:
    """Attainment of 3 435 pupils by primary and secondary school."""
    with tempfile.TemporaryDirectory() as folder:
        csv = Path(folder) / "ScotsSec.csv"
        subprocess.run(
            ["Rscript", "-e", f'write.csv(mlmRev::ScotsSec, "{csv}", row.names = FALSE)'],
            check=True,
            capture_output=True,
        )
        pupils = pd.read_csv(csv)
    pupils["girl"] = (pupils["sex"] == "F").astype(float)
    return _published(pupils, {"attain": "attain", "girl": "girl"}, ["primary", "second"])


def scotssec_stand_in() -> pd.DataFrame:
    """Simulate a table of ScotsSec's size, for machines without R's mlmRev."""
    table = crossed(3_435, 148, 19, seed=24).rename(
        columns={"y": "attain", "user": "primary", "item": "second"}
    )
    table["girl"] = (table.pop("x") > 0.0).astype(float)
    return table


def _published(frame: pd.DataFrame, numbers: dict[str, str], groups: list[str]) -> pd.DataFrame:
    """Numbers as floats (two-level factors 0/1), groups as categories with text labels."""
    columns: dict[str, Any] = {new: frame[old].astype(str).astype(float) for old, new in numbers.items()}
    for group in groups:
        labels = frame[group].astype(str)
        columns[group] = pd.Categorical(labels, categories=list(dict.fromkeys(labels)))
    return pd.DataFrame(columns)


def _has_mlmrev() -> bool:
    if shutil.which("Rscript") is None:
        return False
    probe = ["Rscript", "-e", 'quit(status = !requireNamespace("mlmRev", quietly = TRUE))']
    return subprocess.run(probe, check=False, capture_output=True).returncode == 0


# -- the list -----------------------------------------------------------------------------------------------


def all_cases() -> list[Case]:
    """List the eight cases, smallest first."""
    scots, stand_in = (scotssec, "") if _has_mlmrev() else (scotssec_stand_in, " (simulated stand-in)")
    maximal_bar = "1 + a + b + c"
    return [
        Case(
            "sleepstudy",
            "sleepstudy `(Days | Subject)`",
            "Reaction ~ Days",
            (("1 + Days", "Subject"),),
            sleepstudy,
        ),
        Case(
            "penicillin",
            "Penicillin, 2 crossed",
            "diameter ~ 1",
            (("1", "plate"), ("1", "sample")),
            penicillin,
        ),
        Case(
            f"scotssec{'-stand-in' if stand_in else ''}",
            f"ScotsSec, 2 crossed{stand_in}",
            "attain ~ girl",
            (("1", "primary"), ("1", "second")),
            scots,
        ),
        Case(
            "maximal",
            "maximal, 56 subjects × 32 items",
            "y ~ a + b + c",
            ((maximal_bar, "s"), (maximal_bar, "i")),
            maximal,
        ),
        Case("slopes", "slopes, 10 000 groups × 10", "y ~ x", (("1 + x", "g"),), slopes),
        Case(
            "nested",
            "nested, 1 000 schools / 10 000 classes",
            "y ~ x",
            (("1", "school"), ("1", "room")),
            nested,
        ),
        Case(
            "insteval",
            "InstEval, 3 crossed",
            "y ~ service",
            (("1", "s"), ("1", "d"), ("1", "dept")),
            insteval,
        ),
        Case(
            "crossed1m",
            "crossed, 20 000 users × 2 000 items",
            "y ~ x",
            (("1", "user"), ("1", "item")),
            crossed,
        ),
    ]
