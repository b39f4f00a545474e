"""The reference fits of lme4 (folder reference/) in this package's vocabulary.

The bank speaks R: names such as ``recipeB``, groups such as ``cask:batch`` for ``(1 | batch/cask)``.
Everything a test compares is translated here, once, so that the tests hold numbers and tolerances only.
"""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import linalg

from interlace.arrays import FloatArray, IntArray

REFERENCE = Path(__file__).parent / "reference"
# The bank spells the fixed part for formulaic; patsy wants a real function and its own contrast class.
TO_PATSY = (("log(", "np.log("), ("contr.poly", "Poly"))
POLYNOMIALS = {"[.L]": ".Linear", "[.Q]": ".Quadratic", "[.C]": ".Cubic", "[^4]": "^4", "[^5]": "^5"}


@dataclass(frozen=True, eq=False)
class ReferenceFactor:
    """What lme4 says about one grouping factor; rows and columns in the order we promise."""

    name: str
    levels: tuple[str, ...]
    columns: tuple[str, ...]
    covariance: FloatArray
    modes: FloatArray
    sds: FloatArray


@dataclass(frozen=True, eq=False)
class BankModel:
    """One of the 55 fits: what to ask for and what should come out."""

    entry: dict[str, Any]

    @property
    def id(self) -> str:
        return str(self.entry["id"])

    @property
    def reml(self) -> bool:
        return bool(self.entry["method"] == "REML")

    @property
    def big(self) -> bool:
        return "big" in self.entry["tags"]

    @property
    def frame(self) -> pd.DataFrame:
        return read_frame(self.entry["data"])

    @property
    def arguments(self) -> dict[str, Any]:
        """Arguments of ``CrossedLMM.from_formula``, the frame included."""
        formula = self.entry["formula"]
        for theirs, ours in TO_PATSY:
            formula = formula.replace(theirs, ours)
        used = {name: self.entry[name] for name in ("weights", "offset") if self.entry[name]}
        return {"formula": formula, "data": self.frame, "random": list(self.entry["random"]), **used}

    @cached_property
    def reference(self) -> dict[str, Any]:
        """The figures of lme4's tight fit, as in results/ID.json."""
        return dict(load("results", self.id))

    @cached_property
    def rows(self) -> IntArray:
        """Positions of the rows that are used."""
        return np.delete(np.arange(len(self.frame)), np.array(self.reference["rows_dropped"], int) - 1)

    @cached_property
    def fixed_names(self) -> tuple[str, ...]:
        """Names of the fixed effects: lme4's order, patsy's spelling."""
        return tuple(_polynomial(name) for name in load("columns")[self.id]["formulaic"])

    @cached_property
    def theta(self) -> FloatArray:
        return np.array(self.reference["theta"]["values"], float)

    @cached_property
    def points(self) -> list[tuple[str, FloatArray, float]]:
        """Label, theta and lme4's criterion at the four recorded thetas."""
        found = self.reference["criterion_points"]
        return [(point["label"], np.array(point["theta"], float), point["criterion"]) for point in found]

    @cached_property
    def factors(self) -> list[ReferenceFactor]:
        """Random effects of lme4, factor by factor, in lme4's order of factors."""
        return [self._factor(group) for group in self.reference["ranef"]]

    @cached_property
    def _nested(self) -> dict[str, str]:
        """lme4's name of each inner factor of an ``a/b`` (``b:a``) and ours (``a:b``)."""
        written = [term.strip("()").split("|")[-1].strip() for term in self.entry["random"]]
        return {":".join(reversed(g.split("/"))): g.replace("/", ":") for g in written if "/" in g}

    def _factor(self, group: str) -> ReferenceFactor:
        ranef = self.reference["ranef"][group]
        blocks = [block for block in self.reference["varcorr"] if block["group"] == group]
        intercept = "(Intercept)" in ranef["terms"]
        name = self._nested.get(group, group)
        levels, order = ranef["levels"], np.arange(len(ranef["levels"]))
        if group in self._nested:
            levels = [":".join(reversed(level.split(":"))) for level in levels]
            order = self._slowest_first(name, levels)
        return ReferenceFactor(
            name=name,
            levels=tuple(levels[i] for i in order),
            columns=tuple(self._column(term, intercept=intercept) for term in ranef["terms"]),
            covariance=linalg.block_diag(*(np.array(block["cov"], float) for block in blocks)),
            modes=np.array(ranef["values"], float).T[order],
            sds=np.array(ranef["condsd"], float).T[order],
        )

    def _slowest_first(self, name: str, levels: list[str]) -> IntArray:
        """Order of the levels of ``a:b``: by a, then by b, each in the order of the data's levels."""
        ranks = [{str(v): i for i, v in enumerate(self.frame[c].cat.categories)} for c in name.split(":")]
        parts = [level.split(":") for level in levels]
        keys = [tuple(rank[part] for rank, part in zip(ranks, own, strict=True)) for own in parts]
        return np.array(sorted(range(len(levels)), key=keys.__getitem__))

    def _column(self, term: str, *, intercept: bool) -> str:
        """``recipeB`` is ``recipe[T.B]`` beside an intercept and ``recipe[B]`` without."""
        for column, kind in self.frame.dtypes.items():
            level = term.removeprefix(str(column))
            if isinstance(kind, pd.CategoricalDtype) and level != term and level in kind.categories:
                return f"{column}[T.{level}]" if intercept else f"{column}[{level}]"
        return term


def _polynomial(name: str) -> str:
    for theirs, ours in POLYNOMIALS.items():
        name = name.replace(f"contr.poly){theirs}", f"Poly){ours}")
    return name


@cache
def read_frame(name: str) -> pd.DataFrame:
    """Read a data set of the bank: strings where levels are strings, categories in their order."""
    schema = load("data", name)
    text = {c["name"]: str for c in schema["columns"] if c["type"] in ("factor", "ordered", "string")}
    path = REFERENCE / "data" / schema["file"]
    frame = pd.read_csv(path, dtype=text, na_values=["NA"], keep_default_na=False)
    for column in schema["columns"]:
        if column["type"] in ("factor", "ordered"):
            kind = pd.CategoricalDtype(column["levels"], ordered=column["type"] == "ordered")
            frame[column["name"]] = frame[column["name"]].astype(kind)
    return frame


def load(*parts: str) -> Any:
    """Read a JSON file of the bank by its folder and name, gzipped or not."""
    path = REFERENCE.joinpath(*parts)
    packed = path.with_name(path.name + ".json.gz")
    if packed.exists():
        return json.loads(gzip.decompress(packed.read_bytes()))
    return json.loads(path.with_name(path.name + ".json").read_text(encoding="utf-8"))


MODELS = {entry["id"]: BankModel(entry) for entry in load("models")}
SMALL = [name for name, model in MODELS.items() if not model.big]
