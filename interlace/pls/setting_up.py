"""From terms to a criterion: bases, cross-products, a factorization."""

from __future__ import annotations

from collections.abc import Sequence

from interlace.arrays import FloatArray
from interlace.pls.factor.iterative import PROBES
from interlace.pls.factor.solvers import Solver
from interlace.pls.matrices.basis import term_basis
from interlace.pls.matrices.columns import largest_first
from interlace.pls.matrices.products import model_products
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
    max_memory: int | None = None,
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
    max_memory : int, optional
        Bytes that it may take; by default what the machine has.

    Returns
    -------
    ProfiledCriterion

    Raises
    ------
    MemoryLimitError
        If the factorization would not fit.

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

    basis, cp = model_products(factors, terms, bases, X, y, relcov.layout, weights=weights, offset=offset)
    check_variation(basis)
    return criterion_of(
        cp,
        relcov,
        factors,
        basis,
        reml=reml,
        solver=solver,
        probes=probes,
        seed=seed,
        max_memory=max_memory,
    )
