"""Named designs with known structure, each drawn from its own seed."""

from __future__ import annotations

from functools import cache

import numpy as np

from interlace.pls import GroupingFactor, RandomTerm
from interlace.tests.strategies import SmallDesign

from .dense import crossed_factors, design, nested_factors


@cache
def one_way(*, reml: bool = True) -> SmallDesign:
    """One factor, random intercepts."""
    rng = np.random.default_rng(11)
    factors = crossed_factors(rng, 60, (10,))
    return design(rng, factors, [RandomTerm(0, np.ones((60, 1)))], [1.0], reml=reml)


@cache
def growth(*, reml: bool = True) -> SmallDesign:
    """Correlated intercepts and slopes on one factor; weights and an offset."""
    rng = np.random.default_rng(12)
    factors = crossed_factors(rng, 120, (15,))
    terms = [RandomTerm(0, np.column_stack([np.ones(120), rng.normal(size=120)]))]
    root = np.array([[1.0, 0.0], [0.5, 0.7]])
    return design(rng, factors, terms, [root], weighted=True, offset=True, reml=reml)


@cache
def crossed(*, reml: bool = True) -> SmallDesign:
    """Two crossed factors: intercept and slope on one, an intercept on the other."""
    rng = np.random.default_rng(13)
    factors = crossed_factors(rng, 150, (14, 9))
    terms = [
        RandomTerm(0, np.column_stack([np.ones(150), rng.normal(size=150)])),
        RandomTerm(1, np.ones((150, 1))),
    ]
    return design(rng, factors, terms, [np.array([[1.0, 0.0], [-0.4, 0.6]]), 0.8], weighted=True, reml=reml)


@cache
def uncorrelated(*, reml: bool = True) -> SmallDesign:
    """Three terms, two of them on one factor: ``(x || g) + (1 | h)``."""
    rng = np.random.default_rng(14)
    x = rng.normal(size=(100, 1))
    factors = crossed_factors(rng, 100, (12, 7))
    terms = [RandomTerm(0, np.ones((100, 1))), RandomTerm(1, np.ones((100, 1))), RandomTerm(0, 3.0 + x)]
    return design(rng, factors, terms, [1.0, 0.7, 0.5], offset=True, reml=reml)


@cache
def nested(*, reml: bool = True) -> SmallDesign:
    """Rooms in schools, a slope on the schools."""
    rng = np.random.default_rng(15)
    factors = nested_factors(rng, 120, (20, 6))
    terms = [
        RandomTerm(0, np.ones((120, 1))),
        RandomTerm(1, np.column_stack([np.ones(120), rng.normal(size=120)])),
    ]
    return design(rng, factors, terms, [0.9, np.array([[1.0, 0.0], [0.3, 0.5]])], reml=reml)


@cache
def singular(*, reml: bool = True) -> SmallDesign:
    """Three random columns whose true covariance has rank one, and a factor without variance."""
    rng = np.random.default_rng(16)
    factors = crossed_factors(rng, 160, (16, 8))
    terms = [
        RandomTerm(0, np.column_stack([np.ones(160), rng.normal(size=(160, 2))])),
        RandomTerm(1, np.ones((160, 1))),
    ]
    return design(rng, factors, terms, [np.array([[1.0], [0.5], [-0.5]]), 0.0], reml=reml)


@cache
def maximal(*, reml: bool = True) -> SmallDesign:
    """Subjects by items, the largest covariance that a 2 x 2 experiment allows on both: 20 parameters."""
    rng = np.random.default_rng(17)
    subject, item = (codes.ravel() for codes in np.indices((30, 24)))
    a, b = rng.choice([-0.5, 0.5], size=(2, 720))
    Xi = np.column_stack([np.ones(720), a, b, a * b])
    factors = (GroupingFactor(subject, 30), GroupingFactor(item, 24))
    roots = [np.diag([1.0, 0.5, 0.4, 0.3]), np.diag([0.7, 0.3, 0.3, 0.2])]
    return design(rng, factors, [RandomTerm(0, Xi), RandomTerm(1, Xi)], roots, reml=reml)


DESIGNS = {maker.__name__: maker for maker in (one_way, growth, crossed, uncorrelated, nested, singular)}
