"""From cross-products to the criterion: all that is left to do once the rows are no longer needed."""

from __future__ import annotations

from collections.abc import Sequence

from interlace.errors import OptimizationError
from interlace.pls.factor.iterative import PROBES, IterativeFactorization
from interlace.pls.factor.solvers import Solver, choose
from interlace.pls.matrices.basis import FixedBasis
from interlace.pls.matrices.crossproducts import CrossProducts
from interlace.pls.matrices.relcov import RelativeCovariance
from interlace.pls.matrices.settled import Products
from interlace.pls.matrices.terms import GroupingFactor
from interlace.pls.search.criterion import ProfiledCriterion
from interlace.pls.search.sampled import SampledCriterion


def check_variation(basis: FixedBasis) -> None:
    """Refuse a response that the fixed effects reproduce.

    Parameters
    ----------
    basis : FixedBasis
        Of X and y.

    Raises
    ------
    OptimizationError
    """
    if basis.scale == 0.0:
        raise OptimizationError(
            "the fixed effects reproduce the response exactly; there is no variation left to divide into "
            "variance components. Check the response and the formula."
        )


def criterion_of(
    cp: CrossProducts,
    relcov: RelativeCovariance,
    factors: Sequence[GroupingFactor],
    basis: FixedBasis,
    *,
    reml: bool = True,
    solver: Solver = "auto",
    probes: int = PROBES,
    seed: int = 0,
    max_memory: int | None = None,
) -> ProfiledCriterion:
    """Choose a factorization and set up the criterion over it.

    Parameters
    ----------
    cp, relcov, factors, basis
        Cross-products, template of Lambda, factors in the order of its layout, basis of X and y.
    reml, solver, probes, seed, max_memory
        As for `interlace.pls.profiled_criterion`.

    Returns
    -------
    ProfiledCriterion
    """
    factorization = choose(cp, relcov.layout, factors, solver, max_memory=max_memory)
    if isinstance(factorization, IterativeFactorization):
        return SampledCriterion(cp, relcov, factorization.with_probes(probes, seed), basis, reml=reml)
    return ProfiledCriterion(cp, relcov, factorization, basis, reml=reml)


def summed_criterion(
    products: Products,
    *,
    reml: bool = True,
    solver: Solver = "auto",
    probes: int = PROBES,
    seed: int = 0,
    max_memory: int | None = None,
) -> ProfiledCriterion:
    """Set up the criterion of rows that were summed in chunks.

    Parameters
    ----------
    products : Products
        Of all rows.
    reml, solver, probes, seed, max_memory
        As for `interlace.pls.profiled_criterion`.

    Returns
    -------
    ProfiledCriterion

    Raises
    ------
    OptimizationError
        If the fixed effects reproduce the response.
    """
    check_variation(products.basis)
    own = products.cp, products.relcov, products.factors, products.basis
    return criterion_of(*own, reml=reml, solver=solver, probes=probes, seed=seed, max_memory=max_memory)
