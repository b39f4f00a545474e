"""Exact deletion of many cases together: each is the same problem with other cross-products.

Levels that the design cannot tell apart remain so when a case is left out, but for those that it belongs to:
of a balanced design every case leaves a small core, and most of the same shape.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np

from interlace.arrays import FloatArray, IntArray
from interlace.pls.fit import PLSFit
from interlace.pls.matrices.crossproducts import CrossProducts
from interlace.pls.matrices.threads import suitable_threads
from interlace.pls.rows.subtraction import WELL_LEFT, Deleted, Raw, products_without, refit_without
from interlace.pls.rows.weighted import Rows
from interlace.pls.search.criterion import ProfiledCriterion

from .exchangeable import Reduction, reduction
from .fits import BatchFits, fitted
from .many import HELD, LARGEST_CORE, LARGEST_SUMS, contrast_sums, start_from
from .problems import Blocks, Core, Problems, Scales, blocks_of

# Cases fewer than which are not worth the reductions.
FEW = 8


def refits_without(fit: PLSFit, rows: Rows, raw: Raw, owns: Sequence[IntArray]) -> list[Deleted]:
    """Estimate everything again without each case.

    Parameters
    ----------
    fit : PLSFit
        The fit to all rows.
    rows, raw : Rows, Raw
        Its rows, in its bases and as they came.
    owns : sequence of ndarray of int
        The rows of each case.

    Returns
    -------
    list of Deleted
        As `refit_without` gives them, one by one.
    """
    found: list[Deleted | None] = [None] * len(owns)
    if len(owns) >= FEW and _is_small(fit.criterion):
        width = max(1, HELD // rows.layout.q**2)
        with suitable_threads(rows.layout.rest):
            for first in range(0, len(owns), width):
                places = range(first, min(first + width, len(owns)))
                _together(fit, rows, owns, places, found)
    return [
        refit_without(fit, rows, raw, own) if one is None else one
        for own, one in zip(owns, found, strict=True)
    ]


def _is_small(criterion: ProfiledCriterion) -> bool:
    """Whether cases are quicker together: what is left without one is little larger than with all."""
    if not isinstance(criterion.cp.A, np.ndarray):
        return False
    reduced = reduction(criterion.cp.A, criterion.relcov.layout)
    core = reduced.core.q + sum(reduced.layout.K) if reduced.core.q else 0
    return core <= LARGEST_CORE and contrast_sums(reduced, criterion.cp.p) <= LARGEST_SUMS


def _together(
    fit: PLSFit,
    rows: Rows,
    owns: Sequence[IntArray],
    places: Sequence[int],
    found: list[Deleted | None],
) -> None:
    """Fit those whose fixed effects remain well determined, alike ones in one stack."""
    shapes: dict[Any, list[tuple[int, Problems]]] = {}
    criterion = fit.criterion
    for place in places:
        if criterion.cp.n - len(owns[place]) <= criterion.cp.p:
            continue
        cp = products_without(criterion, rows, owns[place])
        p = cp.p
        if p and np.linalg.eigvalsh(cp.C[:p, :p])[0] <= WELL_LEFT:
            continue
        reduced = reduction(cp.A, criterion.relcov.layout)
        shape = reduced.core.n_levels, tuple(int((own.counts > 0.0).sum()) for own in reduced.groups)
        shapes.setdefault(shape, []).append((place, of_products(criterion, cp, reduced)))
    start = start_from(criterion.relcov, fit.theta)[None]
    for alike in shapes.values():
        fits = fitted(stacked([problem for _, problem in alike]), start)
        for j, (place, _) in enumerate(alike):
            found[place] = _deleted(fits, j) if fits.settled[j] else None


def of_products(criterion: ProfiledCriterion, cp: CrossProducts, reduced: Reduction) -> Problems:
    """A stack of one problem, from its cross-products.

    Parameters
    ----------
    criterion : ProfiledCriterion
        Of all rows: bases, scales and the kind of criterion.
    cp : CrossProducts
        The problem's own.
    reduced : Reduction
        Of its A.

    Returns
    -------
    Problems
    """
    p, basis = cp.p, criterion.basis
    nu = cp.n - p if criterion.reml else cp.n
    constant = nu * 2.0 * np.log(basis.scale) - cp.sum_log_weights
    core = reduced.to_core(cp.B) if reduced.core.q else np.empty((0, p + 1))
    return Problems(
        relcov=criterion.relcov,
        layout=reduced.core,
        reml=criterion.reml,
        blocks=blocks_of(reduced, cp.A, cp.B[:, :p], cp.B[:, p:]),
        core=Core(A=reduced.core_products(cp.A)[None], X=core[None, :, :p], y=core[None, :, p]),
        XX=cp.C[None, :p, :p],
        Xy=cp.C[None, :p, p],
        yy=cp.C[p:, p],
        n=np.array([float(cp.n)]),
        constant=np.array([constant + (basis.logdet_R2 if criterion.reml else 0.0)]),
        scales=Scales(basis.R[None], basis.shift[None], np.array([basis.scale])),
    )


def stacked(problems: Sequence[Problems]) -> Problems:
    """Problems of one shape and one basis as one stack.

    Parameters
    ----------
    problems : sequence of Problems
        Stacks of one.

    Returns
    -------
    Problems
    """
    first = problems[0]
    arrays: dict[str, Any] = {
        name: np.concatenate([getattr(one, name) for one in problems])
        for name in ("XX", "Xy", "yy", "n", "constant")
    }
    blocks = tuple(_joined(Blocks, [one.blocks[f] for one in problems]) for f in range(len(first.blocks)))
    return replace(first, blocks=blocks, core=_joined(Core, [one.core for one in problems]), **arrays)


def _joined(kind: Any, parts: Sequence[Any]) -> Any:
    return kind(
        **{field.name: np.concatenate([getattr(one, field.name) for one in parts]) for field in fields(kind)}
    )


def _deleted(fits: BatchFits, j: int) -> Deleted:
    def own(array: FloatArray) -> FloatArray:
        return np.asarray(array[j])

    return Deleted(
        beta=own(fits.beta),
        vcov_beta=own(fits.vcov_beta),
        Sigma=tuple(own(Sigma) for Sigma in fits.Sigma),
        sigma2=float(fits.sigma2[j]),
        objective=float(fits.objective[j]),
        theta=own(fits.theta),
        certified=bool(fits.certified[j]),
    )
