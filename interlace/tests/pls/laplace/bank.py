"""The models of ``reference/glmm`` as arrays."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from interlace.family import Binomial, Poisson
from interlace.pls import GroupingFactor, RandomTerm

from .small import Small

HERE = Path(__file__).parents[2] / "reference" / "glmm"
MODELS: dict[str, Any] = json.loads((HERE / "models.json").read_text(encoding="utf-8"))


def factor(values: pd.Series) -> GroupingFactor:
    levels, codes = np.unique(values.astype(str), return_inverse=True)
    return GroupingFactor(codes, len(levels))


def dummies(values: pd.Series) -> np.ndarray:
    codes = factor(values)
    return np.eye(codes.n_levels)[codes.codes][:, 1:]


def table(name: str) -> pd.DataFrame:
    return pd.read_csv(HERE / "data" / name)


def model(name: str) -> Small:
    """One of the bank's models, or "verbmax"."""
    if name == "verbmax":
        return _verbagg(maximal=True)
    kind = MODELS[name]["kind"]
    makers = {"max": _maximal, "rare": _maximal, "olre": _olre, "toenail": _toenail, "sep": _separated}
    if kind in makers:
        return makers[kind](table(f"{name}.csv"))
    return {"cbpp": _cbpp, "grouse": _grouse, "verbagg": _verbagg}[name]()


def _model(factors, terms, X, y, family=None, **options) -> Small:
    X = np.column_stack(X)
    return Small(
        tuple(factors),
        tuple(RandomTerm(f, np.column_stack(columns)) for f, columns in enumerate(terms)),
        X,
        np.asarray(y, dtype=float),
        Binomial() if family is None else family,
        options,
    )


def _maximal(d):
    one = np.ones(len(d))
    X = [one, d.c, d.x, d.c * d.x]
    return _model([factor(d.s), factor(d.i)], [[one, d.c, d.x], [one, d.c]], X, d.y)


def _olre(d):
    one = np.ones(len(d))
    return _model([factor(d.s), factor(d.o)], [[one, d.x], [one]], [one, d.x], d.y, Poisson())


def _toenail(d):
    one = np.ones(len(d))
    return _model([factor(d.s)], [[one]], [one, d.g, d.t, d.g * d.t], d.y)


def _separated(d):
    one = np.ones(len(d))
    return _model([factor(d.s), factor(d.i)], [[one, d.c], [one]], [one, d.c, d.g, d.c * d.g], d.y)


def _cbpp():
    d = table("cbpp.csv")
    one = np.ones(len(d))
    trials = d["size"].to_numpy(dtype=float)
    return _model([factor(d.herd)], [[one]], [one, dummies(d.period)], d.incidence, trials=trials)


def _grouse():
    d = table("grouse.csv")
    one = np.ones(len(d))
    factors = [factor(d.BROOD), factor(d.INDEX), factor(d.LOCATION)]
    return _model(factors, [[one]] * 3, [one, dummies(d.YEAR), d.cHEIGHT], d.TICKS, Poisson())


def _verbagg(*, maximal: bool = False):
    d = table("verbagg.csv.gz")
    one = np.ones(len(d))
    X = [one, d.Anger, dummies(d.Gender), dummies(d.btype), dummies(d.situ)]
    factors = [factor(d.id), factor(d.item)]
    if not maximal:
        return _model(factors, [[one], [one]], X, d.y)
    mode = dummies(d["mode"])
    terms = [[one, dummies(d.situ), mode], [one, dummies(d.Gender)]]
    return _model(factors, terms, [*X, mode], d.y)
