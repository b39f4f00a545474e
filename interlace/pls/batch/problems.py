"""A stack of problems: the same random effects, other responses or other weights."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar

import numpy as np

from interlace.arrays import BoolArray, FloatArray, IntArray
from interlace.pls.matrices.relcov import Layout, RelativeCovariance
from interlace.pls.rows.other_responses import TakenIn

from .exchangeable import Reduction

Part = TypeVar("Part", "Blocks", "Core", "Problems", "Scales")
# Parts of a stack that are stacks themselves.
PARTS = ("core", "scales")


@dataclass(frozen=True, eq=False)
class Blocks:
    """The contrasts of one factor, exchangeable ones together; arrays lead with the problem, or with 1.

    Attributes
    ----------
    A : ndarray of shape (B, G, K, K)
        Cross-products of each group's contrasts.
    count : ndarray of shape (B, G)
        How many contrasts each group has.
    XX : ndarray of shape (B, G, K, K, p, p)
        Sums over contrasts of ``x[a, i] x[b, j]``, x the rows of ``Z'WX``.
    Xy : ndarray of shape (B, G, K, K, p)
        Sums of ``x[a, i] y[b]``.
    yy : ndarray of shape (B, G, K, K)
        Sums of ``y[a] y[b]``.
    """

    A: FloatArray
    count: FloatArray
    XX: FloatArray
    Xy: FloatArray
    yy: FloatArray


@dataclass(frozen=True, eq=False)
class Core:
    """Cross-products of the group means that meet each other: (B, q0, q0), (B, q0, p) and (B, q0)."""

    A: FloatArray
    X: FloatArray
    y: FloatArray


@dataclass(frozen=True, eq=False)
class Scales:
    """What turns estimates into the user's units; R and sums of weights lead with 1 where shared.

    Attributes
    ----------
    R : ndarray of shape (B, p, p)
        ``sqrt(W) X = Q R``.
    shift : ndarray of shape (B, p)
        Coefficients of y on Q.
    scale : ndarray of shape (B,)
        Root mean square of the least-squares residuals.
    """

    R: FloatArray
    shift: FloatArray
    scale: FloatArray


@dataclass(frozen=True, eq=False)
class Problems:
    """Cross-products of many problems; arrays lead with the problem, or with 1 where all share them.

    Attributes
    ----------
    relcov : RelativeCovariance
        The template of Lambda, for all.
    layout : Layout
        Columns of the core.
    reml : bool
        REML criterion or deviance.
    blocks : tuple of Blocks
        Per factor.
    core : Core
        What meets other factors.
    XX, Xy, yy : ndarray of shape (B, p, p), (B, p) and (B,)
        Cross-products of the fixed effects and the response.
    n : ndarray of shape (B,)
        Rows.
    constant : ndarray of shape (B,)
        What the criterion has besides.
    scales : Scales
        The way back to the user's units.
    """

    relcov: RelativeCovariance
    layout: Layout
    reml: bool
    blocks: tuple[Blocks, ...]
    core: Core
    XX: FloatArray
    Xy: FloatArray
    yy: FloatArray
    n: FloatArray
    constant: FloatArray
    scales: Scales

    def __len__(self) -> int:
        return len(self.yy)

    @property
    def p(self) -> int:
        """Fixed effects."""
        return int(self.XX.shape[-1])

    @property
    def nu(self) -> FloatArray:
        """Degrees of freedom of sigma^2, (B,)."""
        return self.n - self.p if self.reml else self.n

    def take(self, chosen: IntArray | BoolArray) -> Problems:
        """Some of the problems, at least one."""
        return taken(self, chosen)


def taken(part: Part, chosen: IntArray | BoolArray) -> Part:
    """Some of the problems of a part of a stack, at least one; what all share stays as it is."""
    changed: dict[str, Any] = {}
    for field in fields(part):
        value = getattr(part, field.name)
        if isinstance(value, np.ndarray) and len(value) > 1:
            changed[field.name] = value[chosen]
        elif isinstance(value, tuple):
            changed[field.name] = tuple(taken(one, chosen) for one in value)
        elif field.name in PARTS:
            changed[field.name] = taken(value, chosen)
    return replace(part, **changed)


def of_responses(reduction: Reduction, block: TakenIn) -> Problems:
    """Problems that differ by their response.

    Parameters
    ----------
    reduction : Reduction
        Of the design.
    block : TakenIn
        Responses, one per column; none that X reproduces.

    Returns
    -------
    Problems
    """
    design = block.design.criterion
    cp, p = design.cp, design.cp.p
    nu = design.nu
    constant = nu * 2.0 * np.log(block.scale) - cp.sum_log_weights
    return Problems(
        relcov=design.relcov,
        layout=reduction.core,
        reml=design.reml,
        blocks=blocks_of(reduction, cp.A, cp.B[:, :p], block.Zty),
        core=Core(
            A=reduction.core_products(cp.A)[None],
            X=reduction.to_core(cp.B[:, :p])[None],
            y=reduction.to_core(block.Zty).T,
        ),
        XX=cp.C[None, :p, :p],
        Xy=block.Qty.T,
        yy=np.einsum("nr,nr->r", block.residual, block.residual),
        n=np.array([float(cp.n)]),
        constant=constant + (design.basis.logdet_R2 if design.reml else 0.0),
        scales=Scales(design.basis.R[None], block.shift.T, block.scale),
    )


def blocks_of(reduction: Reduction, A: Any, X: FloatArray, Y: FloatArray) -> tuple[Blocks, ...]:
    """Contrasts of every factor, of right-hand sides X, (q, p), and one Y, (q, r), per problem."""
    found = []
    for f, (own, products) in enumerate(zip(reduction.groups, reduction.block_products(A), strict=True)):
        x = own.contrasts(reduction.layout.by_level(X, f))
        y = own.contrasts(reduction.layout.by_level(Y, f)).transpose(2, 0, 1)
        K, p = x.shape[1:]
        summed = [
            own.sums((x[:, :, None, :, None] * x[:, None, :, None, :]).reshape(len(x), -1))[None],
            own.sums((x[:, :, None, :] * y[..., None, :, None]).reshape(*y.shape[:2], -1)),
            own.sums((y[..., :, None] * y[..., None, :]).reshape(*y.shape[:2], -1)),
        ]
        groups = len(products)
        found.append(
            Blocks(
                A=products[None],
                count=own.counts[own.counts > 0.0][None],
                XX=summed[0].reshape(1, groups, K, K, p, p),
                Xy=summed[1].reshape(len(y), groups, K, K, p),
                yy=summed[2].reshape(len(y), groups, K, K),
            )
        )
    return tuple(found)
