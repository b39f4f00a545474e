"""The criterion of a model whose rows were summed in chunks and are not there."""

from __future__ import annotations

from interlace.errors import OptimizationError
from interlace.pls.factor.solvers import Solver, choose
from interlace.pls.matrices.settled import Products
from interlace.pls.search.criterion import ProfiledCriterion


def summed_criterion(products: Products, *, reml: bool = True, solver: Solver = "auto") -> ProfiledCriterion:
    """Set up the criterion from cross-products.

    Parameters
    ----------
    products : Products
        Of all rows.
    reml : bool, default True
        REML criterion or deviance.
    solver : {"auto", "cholmod", "blocked"}, default "auto"
        Factorization.

    Returns
    -------
    ProfiledCriterion

    Raises
    ------
    OptimizationError
        If the fixed effects reproduce the response.
    """
    if products.basis.scale == 0.0:
        raise OptimizationError(
            "the fixed effects reproduce the response exactly; there is no variation left to divide into "
            "variance components. Check the response and the formula."
        )
    cp, relcov = products.cp, products.relcov
    return ProfiledCriterion(
        cp, relcov, choose(cp, relcov.layout, products.factors, solver), products.basis, reml=reml
    )
