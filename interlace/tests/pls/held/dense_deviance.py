"""Minus twice the log-likelihood by definition, and points around a conditional minimum."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from scipy.stats import multivariate_normal

from interlace.pls.held.fixed import Conditional
from interlace.tests.strategies import SmallDesign


def deviance(design: SmallDesign, found: Conditional) -> float:
    """Of ``N(X beta + offset, sigma^2 (W^-1 + Z Lambda Lambda' Z'))``."""
    n = len(design.y)
    V = np.diag(np.ones(n) if design.weights is None else 1.0 / design.weights)
    for term, root in zip(design.terms, found.Lambda, strict=True):
        levels = design.factors[term.factor].codes
        V += (levels[:, None] == levels) * (term.Xi @ root @ root.T @ term.Xi.T)
    mean = design.X @ found.beta + (0.0 if design.offset is None else design.offset)
    return float(-2.0 * multivariate_normal.logpdf(design.y, mean, found.sigma**2 * V))


def perturbed(
    found: Conditional, held: tuple[str, *tuple[int, ...]], size: float = 0.02
) -> Iterator[Conditional]:
    """Points nearby at which ("sigma",) or ("beta", j) is the same."""
    rng = np.random.default_rng(0)
    for _ in range(10):
        beta = found.beta + size * rng.normal(size=len(found.beta))
        if held[0] == "beta":
            beta[held[1]] = found.beta[held[1]]
        yield replace(
            found,
            beta=beta,
            sigma=found.sigma if held[0] == "sigma" else found.sigma * np.exp(size * rng.normal()),
            Lambda=tuple(root + size * rng.normal(size=root.shape) for root in found.Lambda),
        )
