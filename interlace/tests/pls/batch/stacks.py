"""Stacks of problems to try the batch on, and the same problems one by one."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from interlace.pls import GroupingFactor, PLSFit, RandomTerm, fit_criterion
from interlace.pls.batch.exchangeable import reduction
from interlace.pls.batch.problems import Problems, of_responses
from interlace.pls.polish import polished
from interlace.pls.rows.other_responses import Responses, TakenIn, responses
from interlace.tests.pls.dense import design
from interlace.tests.pls.dense_rows import standing
from interlace.tests.pls.designs import DESIGNS
from interlace.tests.strategies import SmallDesign


@cache
def latin_square(*, reml: bool = True) -> SmallDesign:
    """Balanced: 12 subjects read 8 items in one of two conditions; slopes on both."""
    rng = np.random.default_rng(21)
    subject, item = (codes.ravel() for codes in np.indices((12, 8)))
    Xi = np.column_stack([np.ones(96), (subject + item) % 2 - 0.5])
    factors = (GroupingFactor(subject, 12), GroupingFactor(item, 8))
    roots = [np.array([[1.0, 0.0], [0.3, 0.6]]), np.diag([0.7, 0.4])]
    return design(rng, factors, [RandomTerm(0, Xi), RandomTerm(1, Xi)], roots, reml=reml)


@cache
def no_fixed_effects(*, reml: bool = True) -> SmallDesign:
    """Random intercepts and slopes, and no fixed part."""
    whole = DESIGNS["growth"](reml=reml)
    return whole.changed(X=np.empty((len(whole.y), 0)))


@cache
def meeting_in_part(*, reml: bool = True) -> SmallDesign:
    """Subjects and items meet; the slopes of a third factor, balanced within each cell, meet neither."""
    rng = np.random.default_rng(22)
    subject, item, x = (codes.ravel() for codes in np.indices((10, 6, 2)))
    factors = (GroupingFactor(subject, 10), GroupingFactor(item, 6), GroupingFactor((subject + item) % 5, 5))
    terms = [
        RandomTerm(0, np.ones((120, 1))),
        RandomTerm(1, np.ones((120, 1))),
        RandomTerm(2, x[:, None] - 0.5),
    ]
    return design(rng, factors, terms, [1.0, 0.6, 0.8], reml=reml)


STACKED = {
    **DESIGNS,
    "latin_square": latin_square,
    "no_fixed_effects": no_fixed_effects,
    "meeting_in_part": meeting_in_part,
}


@dataclass(frozen=True, eq=False)
class Stacked:
    """Responses of one design, together and one by one."""

    ready: Responses
    block: TakenIn
    problems: Problems
    Y: np.ndarray

    def alone(self, j: int) -> PLSFit:
        """The fit to one response, to its last digits."""
        return polished(fit_criterion(self.block.criterion(j)))


@cache
def stacked(name: str, *, reml: bool = True, count: int = 3) -> Stacked:
    """Some responses around that of a named design, from nearly the same to pure noise."""
    here = standing(STACKED[name](reml=reml))
    noise = np.random.default_rng(3).normal(size=(here.rows.n, count)) * np.std(here.design.y)
    Y = here.design.y[:, None] * np.linspace(1.0, 0.0, count) + noise
    weighting = {"weights": here.design.weights, "offset": here.design.offset}
    ready = responses(here.criterion, here.rows, here.design.X, **weighting)
    block = ready.take_in(Y)
    reduced = reduction(here.criterion.cp.A, here.criterion.relcov.layout)
    return Stacked(ready, block, of_responses(reduced, block), Y)
