"""A small data set with every kind of column, and designs made of it."""

from __future__ import annotations

import numpy as np
import pandas as pd

from interlace.design import Design, apply_design, build_design
from interlace.formula.grammar import parse_formula
from interlace.formula.variables import capture_environment

N = 80


def frame(seed: int = 0) -> pd.DataFrame:
    """Two crossed factors (g, h), one nested (k in h), two categorical covariates."""
    rng = np.random.default_rng(seed)
    h = rng.choice(["s1", "s2", "s10"], N)
    return pd.DataFrame(
        {
            "y": rng.normal(size=N),
            "x": rng.normal(loc=3.0, size=N),
            "z": rng.uniform(1.0, 2.0, N),
            "e": rng.uniform(1.0, 2.0, N),
            "w": rng.uniform(0.5, 2.0, N),
            "f": rng.choice(["a", "b", "c"], N),
            "c": rng.choice(["u", "v"], N),
            "g": rng.permutation(np.repeat([10, 9, 2, 30, 7, 8, 11, 1], 10)),
            "h": h,
            "k": [f"{a}.{b}" for a, b in zip(h, rng.integers(0, 3, N), strict=True)],
            "flag": rng.random(N) > 0.5,
        }
    )


DATA = frame()
FULL = "y ~ x + f + offset(e) + (z | g) + (1 | h)"


def build(text: str, data: object = DATA, **options: object) -> Design:
    """A design that sees the names of the test that asks for it."""
    return build_design(parse_formula(text), data, eval_env=capture_environment(1), **options)


def terms(design: Design) -> list[tuple[str, tuple[str, ...]]]:
    return [(design.factor_labels[t.factor].name, t.columns) for t in design.term_labels]


def dense_Z(design: Design) -> dict[tuple[str, str, str], bytes]:
    """Columns of Z by level, factor (its columns sorted) and name: the model, not how it is written."""
    columns = {}
    for term, labels in zip(design.terms, design.term_labels, strict=True):
        factor, names = design.factors[term.factor], design.factor_labels[term.factor]
        order = np.argsort(names.columns)
        for level, text in enumerate(map(str, names.levels)):
            parts = text.split(":") if len(names.columns) > 1 else [text]
            key = ":".join(parts[i] for i in order), ":".join(sorted(names.columns))
            for j, column in enumerate(labels.columns):
                values = np.where(factor.codes == level, term.Xi[:, j], 0.0)
                columns[(*key, column)] = values.tobytes()
    return columns


def holed() -> pd.DataFrame:
    data = DATA.copy()
    for row, column in enumerate(["y", "x", "z", "f", "h", "w", "e"]):
        data.loc[row * 3, column] = np.nan if data[column].dtype.kind == "f" else None
    return data


def assert_same_predictions(one: Design, other: Design) -> None:
    a, b = apply_design(one, DATA), apply_design(other, DATA)
    np.testing.assert_array_equal(a.X, b.X)
    np.testing.assert_array_equal(a.offset, b.offset)
    for x, z in zip((*a.Xi, *a.codes), (*b.Xi, *b.codes), strict=True):
        np.testing.assert_array_equal(x, z)
