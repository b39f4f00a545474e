"""Small random designs and thetas for hypothesis: crossed or nested, unbalanced, with empty cells.

What is drawn is the structure and a seed; the numbers come from a generator, so that a failing
example shrinks to a small structure instead of to suspicious numbers.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import Any

import numpy as np
import pandas as pd
from hypothesis import settings
from hypothesis import strategies as st

from interlace.arrays import FloatArray, IntArray
from interlace.pls import GroupingFactor, PLSFit, ProfiledCriterion, RandomTerm, fit, profiled_criterion
from interlace.pls.factor.solvers import Solver
from interlace.pls.fit import fit_criterion, snapshot
from interlace.tests.nasty import Nasty, nasty

# What this machine can run. That CI has both is a test of its own (test_cholmod_is_present_where_promised).
SOLVERS: tuple[Solver, ...] = ("blocked", "cholmod") if find_spec("sksparse") else ("blocked",)

# The same examples in every run, lest the tests fail by chance; INTERLACE_EXPLORE=1000 looks at 1000 others.
EXPLORE = int(os.environ.get("INTERLACE_EXPLORE", "0"))
LAWS = settings(deadline=None, derandomize=not EXPLORE, max_examples=EXPLORE or 40)

MAX_ROWS = 40
# Rows left for the residual: with fewer the likelihood of a saturated model may be unbounded.
SPARE_ROWS = 4


@dataclass(frozen=True, eq=False, repr=False)
class SmallDesign:
    """The arguments of ``pls.fit``, and what laws do to them."""

    factors: tuple[GroupingFactor, ...]
    terms: tuple[RandomTerm, ...]
    X: FloatArray
    y: FloatArray
    weights: FloatArray | None
    offset: FloatArray | None
    reml: bool

    def __repr__(self) -> str:
        sizes = [f"{factor.n_levels} levels {factor.codes.tolist()}" for factor in self.factors]
        terms = [(term.factor, term.k) for term in self.terms]
        n, p = self.X.shape
        return f"SmallDesign(n={n}, p={p}, factors={sizes}, terms={terms}, reml={self.reml})"

    def changed(self, **fields: Any) -> SmallDesign:
        return replace(self, **fields)

    def take(self, rows: IntArray) -> SmallDesign:
        """Take other rows of the same model: a permutation, or each row twice."""
        return replace(
            self,
            factors=tuple(replace(factor, codes=factor.codes[rows]) for factor in self.factors),
            terms=tuple(replace(term, Xi=term.Xi[rows]) for term in self.terms),
            X=self.X[rows],
            y=self.y[rows],
            weights=None if self.weights is None else self.weights[rows],
            offset=None if self.offset is None else self.offset[rows],
        )

    @property
    def arrays(self) -> tuple[tuple[GroupingFactor, ...], tuple[RandomTerm, ...], FloatArray, FloatArray]:
        return self.factors, self.terms, self.X, self.y

    @property
    def options(self) -> dict[str, Any]:
        return {"weights": self.weights, "offset": self.offset, "reml": self.reml}

    def criterion(self, solver: Solver = "auto") -> ProfiledCriterion:
        return profiled_criterion(*self.arrays, **self.options, solver=solver)

    def fit(self) -> PLSFit:
        return fit(*self.arrays, **self.options)


def at_theta(criterion: ProfiledCriterion, theta: FloatArray) -> PLSFit:
    """Take the snapshot of a criterion at a given theta instead of at its optimum."""
    optimum = fit_criterion(criterion, start=theta, maxiter=1).optimum
    phi = criterion.relcov.to_basis @ theta
    at = criterion.decompose(phi)
    return snapshot(criterion, replace(optimum, at=at, phi=phi, derivatives=criterion.derivatives(at)))


@st.composite
def designs(draw: st.DrawFn, *, weighted: bool = True) -> SmallDesign:
    """One to three factors, crossed or nested; one or two terms each, of one to three columns."""
    n = draw(st.integers(14, MAX_ROWS))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    x = rng.normal(size=n)
    group = rng.integers(0, 2, size=n)
    p = draw(st.integers(1, 3))
    X = np.column_stack([np.ones(n), x, rng.normal(size=n)])[:, :p]
    columns = {"intercept": np.ones(n), "x": x, "first": 1.0 - group, "second": 1.0 * group}
    factors: list[GroupingFactor] = []
    terms: list[RandomTerm] = []
    budget = n - p - SPARE_ROWS
    for _ in range(draw(st.integers(1, 3))):
        nested = draw(st.booleans())
        parent = factors[-1].codes if factors and nested else None
        factor = _factor(rng, n, draw(st.integers(2, 5)), parent)
        # More columns than levels would leave a ridge: many covariances with the same likelihood.
        shapes = draw(st.sampled_from([s for s in SHAPES if sum(map(len, s)) < factor.n_levels]))
        size = factor.n_levels * sum(map(len, shapes))
        if size > budget:
            continue
        budget -= size
        terms += [RandomTerm(len(factors), np.column_stack([columns[c] for c in shape])) for shape in shapes]
        factors.append(factor)
    if not factors:
        factors.append(_factor(rng, n, 3, None))
        terms.append(RandomTerm(0, np.ones((n, 1))))
    weights = rng.uniform(0.3, 3.0, size=n) if weighted and draw(st.booleans()) else None
    offset = rng.normal(size=n) if draw(st.booleans()) else None
    y = X @ rng.normal(size=p) + rng.normal(size=n)
    for term in terms:
        b = rng.normal(size=(factors[term.factor].n_levels, term.k)) * rng.uniform(0.0, 2.0, size=term.k)
        y = y + np.einsum("nk,nk->n", term.Xi, b[factors[term.factor].codes])
    return SmallDesign(tuple(factors), tuple(terms), X, y, weights, offset, reml=draw(st.booleans()))


# Left sides of the bars on one factor: (1|g), (x|g), (x||g), and (0+f|g), (0+f+x|g) with a categorical f.
SHAPES = (
    (("intercept",),),
    (("intercept",),),
    (("intercept", "x"),),
    (("intercept",), ("x",)),
    (("first", "second"),),
    (("first", "second", "x"),),
)


def _factor(rng: np.random.Generator, n: int, levels: int, parent: IntArray | None) -> GroupingFactor:
    """Unbalanced codes; within a parent's levels if there is one; every level in at least one row."""
    shares = rng.dirichlet(np.full(levels, 2.0))
    codes = rng.choice(levels, size=n, p=shares)
    codes[:2] = (0, 1)  # never a factor with a single level
    if parent is not None:
        codes = parent * levels + codes
    occurring, codes = np.unique(codes, return_inverse=True)
    return GroupingFactor(codes=codes, n_levels=len(occurring))


@st.composite
def thetas(draw: st.DrawFn, design: SmallDesign) -> FloatArray:
    """Lower triangles from tiny to large, on the boundary now and then."""
    theta = []
    for term in design.terms:
        for column in range(term.k):
            pivot = draw(st.sampled_from((0.0, 0.05)) | st.floats(0.1, 3.0))
            theta += [
                pivot,
                *draw(st.lists(OFF_DIAGONAL, min_size=term.k - 1 - column, max_size=term.k - 1 - column)),
            ]
    return np.array(theta)


OFF_DIAGONAL = st.just(0.0) | st.floats(-2.0, 2.0)


@st.composite
def frames(draw: st.DrawFn) -> pd.DataFrame:
    """Draw a table: rooms inside schools (their labels repeat across schools), crossed with teachers."""
    n = draw(st.integers(24, MAX_ROWS))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    school, room, teacher = rng.integers(0, 4, n), rng.integers(0, 2, n), rng.integers(0, 3, n)
    effects = rng.normal(size=4)[school] + rng.normal(size=8)[2 * school + room] + rng.normal(size=3)[teacher]
    x = rng.normal(size=n)
    return pd.DataFrame(
        {
            "y": 2.0 + x + effects + rng.normal(size=n),
            "x": x,
            "school": np.array(["north", "east", "south", "west"])[school],
            "room": np.array(["a", "b"])[room],
            "teacher": 100 + teacher,
        },
        index=rng.permutation(n) + 1000,
    )


def nasty_designs(family: str | None = None) -> st.SearchStrategy[Nasty]:
    """Designs at their worst, see `nasty`; a failing one is made again by its number."""
    return st.integers(0, 1_000_000).map(lambda number: nasty(2, number, family=family))
