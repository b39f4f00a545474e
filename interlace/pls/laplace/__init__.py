"""Generalised linear mixed models: the Laplace criterion, its exact gradient and its minimum.

From equation to function, in the order of a fit:

1. rows that are equal become cells; eta to Z'WZ, Z's: `aggregate`, `cells`
2. conditional modes: `pirls.find_modes`
3. ``d(theta, beta, psi)``: `criterion.LaplaceCriterion`; gradient, scores, Hessian: `slopes.slopes`
4. the start, the search, the proof: `start`, `search.minimize`, `certificate`, `separation`
5. the snapshot: `fit.fit_laplace`, which returns a `LaplaceFit`
"""

from __future__ import annotations

from .fit import LaplaceFit, fit_laplace, fit_problem
from .problem import Problem, laplace_problem
from .search import LaplaceIteration, LaplaceOptimum
from .separation import Separation

__all__ = [
    "LaplaceFit",
    "LaplaceIteration",
    "LaplaceOptimum",
    "Problem",
    "Separation",
    "fit_laplace",
    "fit_problem",
    "laplace_problem",
]
