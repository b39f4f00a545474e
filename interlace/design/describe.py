"""The parsed model in words: terms, levels, crossed or nested, sizes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from interlace.arrays import IntArray
from interlace.names import INTERCEPT
from interlace.pls.matrices.structures import unstructured

from . import Design


def describe(design: Design, also: str = "the residual variance") -> str:
    """Text that says what will be fitted.

    Parameters
    ----------
    design : Design
        The matrices of the model and their labels.
    also : str
        What is estimated beside fixed effects and covariance parameters; may be empty.

    Returns
    -------
    str
        A few lines, without a newline at the end.
    """
    lines = [_rows(design), _fixed(design), "Random effects:"]
    lines += [f"  {_term(design, position)}" for position in range(len(design.term_labels))]
    pairs = [f"  {_pair(design, a, b)}" for a, b in combinations(range(len(design.n_levels)), 2)]
    lines += (["Grouping factors:", *pairs] if pairs else []) + [_size(design, also)]
    return "\n".join(lines)


def _rows(design: Design) -> str:
    lost = f", after {_count(design.n_dropped, 'row')} with missing values" if design.n_dropped else ""
    with_extras = f", with {' and '.join(design.extras)}" if design.extras else ""
    return f"Response: {design.yname}, {_count(design.n_rows, 'row')}{lost}{with_extras}"


def _fixed(design: Design) -> str:
    names = ", ".join(design.xnames) if design.xnames else "none"
    dropped = design.dropped_columns
    left_out = f" (left out, linearly dependent: {', '.join(dropped)})" if dropped else ""
    return f"Fixed effects: {names}{left_out}"


def _term(design: Design, position: int) -> str:
    labels = design.term_labels[position]
    name = design.factor_labels[labels.factor].name
    sizes = design.counts[labels.factor]
    levels = f"{_count(len(sizes), 'level')} ({_sizes(sizes)})"
    return f"{name}: {_effects(labels.columns)} for each of {levels}"


def _effects(columns: Sequence[str]) -> str:
    slopes = [column for column in columns if column != INTERCEPT]
    words = ["an intercept"] if len(slopes) < len(columns) else []
    if slopes:
        words.append(f"{'a slope' if len(slopes) == 1 else 'slopes'} of {', '.join(slopes)}")
    m = unstructured(len(columns)).m
    together = f", correlated ({_count(m, 'covariance parameter')})" if m > 1 else ""
    return " and ".join(words) + together


def _sizes(sizes: IntArray) -> str:
    low, high = int(sizes.min()), int(sizes.max())
    return f"{_count(low, 'row')} each" if low == high else f"{low} to {high} rows each"


def _pair(design: Design, first: int, second: int) -> str:
    """How two grouping factors lie to one another; the first has at least as many levels as the second."""
    a, b = design.n_levels[first], design.n_levels[second]
    name_a, name_b = design.factor_labels[first].name, design.factor_labels[second].name
    occurring = design.cells(first, second)
    possible = a * b
    if occurring == a == b:
        return f"{name_a} and {name_b} group the rows alike"
    if occurring == a:
        return f"{name_a} is nested in {name_b}"
    if occurring == possible:
        return f"{name_a} and {name_b} are fully crossed ({possible} combinations)"
    return f"{name_a} and {name_b} are partially crossed ({occurring} of {possible} combinations occur)"


def _size(design: Design, also: str) -> str:
    q = sum(len(term.columns) * design.n_levels[term.factor] for term in design.term_labels)
    n_theta = sum(unstructured(len(term.columns)).m for term in design.term_labels)
    p = len(design.xnames)
    estimated = [
        _count(p, "fixed effect"),
        _count(n_theta, "covariance parameter"),
    ]
    estimated += [also] if also else []
    return f"To estimate: {', '.join(estimated)}; to predict: {_count(q, 'random effect')}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
