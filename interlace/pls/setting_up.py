"""From terms to a criterion: bases, cross-products, a factorization."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from interlace.arrays import FloatArray
from interlace.pls.factor.iterative import PROBES
from interlace.pls.factor.solvers import Solver
from interlace.pls.matrices.basis import fixed_basis, term_basis
from interlace.pls.matrices.columns import factor_columns, largest_first
from interlace.pls.matrices.crossproducts import cross_products
from interlace.pls.matrices.relcov import relative_covariance
from interlace.pls.matrices.terms import GroupingFactor, RandomTerm
from interlace.pls.search.criterion import ProfiledCriterion

from .summed import check_variation, criterion_of


def profiled_criterion(
    factors: Sequence[GroupingFactor],
    terms: Sequence[RandomTerm],
    X: FloatArray,
    y: FloatArray,
    *,
    weights: FloatArray | None = None,
    offset: FloatArray | None = None,
    reml: bool = True,
    solver: Solver = "auto",
    probes: int = PROBES,
    seed: int = 0,
) -> ProfiledCriterion:
    """Set up the criterion of a linear mixed model.

    Parameters
    ----------
    factors : sequence of GroupingFactor
        Distinct grouping factors.
    terms : sequence of RandomTerm
        Random-effects terms; theta follows their order.
    X : ndarray of shape (n, p)
        Fixed-effects model matrix of full column rank.
    y : ndarray of shape (n,)
        Response.
    weights : ndarray of shape (n,), optional
        Positive; the residual variance of row i is sigma^2 / weights[i].
    offset : ndarray of shape (n,), optional
        Known part of the response.
    reml : bool
        REML criterion or deviance.
    solver : {"auto", "cholmod", "blocked", "iterative"}
        Factorization, or the way without one.
    probes, seed : int
        Random probes of the iterative solver, and what they are drawn from.

    Returns
    -------
    ProfiledCriterion

    Examples
    --------
    >>> import numpy as np
    >>> codes = np.repeat(np.arange(3), 2)
    >>> y = np.array([1.0, 2.0, 4.0, 5.0, 1.0, 3.0])
    >>> d = profiled_criterion(
    ...     [GroupingFactor(codes, 3)], [RandomTerm(0, np.ones((6, 1)))], np.ones((6, 1)), y, reml=False
    ... )
    >>> round(d([0.0]), 6)  # without random effects: n (1 + log(2 pi RSS / n))
    21.818309
    """
    factors, terms = largest_first(factors, terms)
    bases = [term_basis(term, weights) for term in terms]
    relcov = relative_covariance(factors, terms, bases)

    sqrt_weights = None if weights is None else np.sqrt(weights)
    basis, Qy = fixed_basis(X, y if offset is None else y - offset, sqrt_weights)
    check_variation(basis)
    log_weights = 0.0 if weights is None else float(np.log(weights).sum())
    columns = factor_columns(terms, bases, len(factors), sqrt_weights)
    cp = cross_products(factors, columns, Qy, relcov.layout, log_weights)
    return criterion_of(cp, relcov, factors, basis, reml=reml, solver=solver, probes=probes, seed=seed)
