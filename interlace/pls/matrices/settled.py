"""From sums over chunks to cross-products in the final bases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from interlace.arrays import BoolArray, FloatArray, IntArray, SparseArray

from .basis import DEPENDENT, FixedBasis, independent_columns
from .crossproducts import DENSE_Z, CrossProducts
from .relcov import Layout, RelativeCovariance
from .sums import Pilot, Skeleton, Sums, pilot_triangle, triangle
from .terms import GroupingFactor
from .triangular import lower_solve_right, upper_solve, upper_solve_right


@dataclass(frozen=True, eq=False)
class Products:
    """All that a fit needs of the rows.

    Attributes
    ----------
    cp : CrossProducts
        In the final bases.
    relcov : RelativeCovariance
        The template of Lambda.
    basis : FixedBasis
        Basis of X and scale of y.
    factors : tuple of GroupingFactor
        In the room's order, with a few made-up rows that are nested where the data are.
    growth : float
        How many times larger than the result the terms of the change from the pilot's coordinates were: that
        many times the rounding error.
    """

    cp: CrossProducts
    relcov: RelativeCovariance
    basis: FixedBasis
    factors: tuple[GroupingFactor, ...]
    growth: float


def independent(sums: Sums, pilot: Pilot) -> tuple[int, ...]:
    """Positions of the columns of X that are kept, by lme4's rule."""
    p = len(pilot.beta)
    return independent_columns((sums.R[:p, :p] if sums.R0 is None else sums.R0) @ pilot.P)


def unweighted_factor(sums: Sums, pilot: Pilot, kept: Sequence[int]) -> FloatArray:
    """Triangular R of some columns of the unweighted X, shape (p, p)."""
    p = len(pilot.beta)
    return triangle(((sums.R[:p, :p] if sums.R0 is None else sums.R0) @ pilot.P)[:, list(kept)])


def better_pilot(sums: Sums, pilot: Pilot) -> Pilot:
    """Coordinates from all rows, for another pass where those of a few rows were unlike the rest.

    Parameters
    ----------
    sums : Sums
        Of all rows.
    pilot : Pilot
        Their coordinates.

    Returns
    -------
    Pilot
    """
    p, root = len(pilot.beta), np.sqrt(sums.n)
    Rx, ry = sums.R[:p, :p], sums.R[:, p]
    more = np.asarray(np.linalg.lstsq(Rx, ry[:p], rcond=DEPENDENT**2)[0], dtype=float) if p else np.zeros(0)
    left = np.linalg.norm(ry - np.append(Rx @ more, 0.0)) / root
    L = tuple(_term_change(own, L, sums.n)[0] for own, L in zip(sums.terms, pilot.L, strict=True))
    return Pilot(
        P=pilot_triangle(Rx @ pilot.P / root),
        beta=pilot.beta + pilot.scale * upper_solve(pilot.P, more),
        scale=float(pilot.scale * left) or 1.0,
        L=L,
    )


def settled(sums: Sums, pilot: Pilot, skeleton: Skeleton, kept: Sequence[int]) -> Products:
    """Cross-products of all rows in the final bases.

    Parameters
    ----------
    sums : Sums
        Of all rows.
    pilot : Pilot
        Its coordinates.
    skeleton : Skeleton
        The sizes.
    kept : sequence of int
        Columns of X that stay.

    Returns
    -------
    Products
    """
    basis, T, growth = _fixed(sums, pilot, list(kept))
    bases, changes = [], []
    for term, L in enumerate(pilot.L):
        R, H, own = _term_change(sums.terms[term], L, sums.n)
        bases.append(R)
        changes.append(H)
        growth = max(growth, own)
    relcov = skeleton.relcov(bases)
    p = len(kept)
    C = np.diag(np.append(np.ones(p), float(sums.n) if basis.scale else 0.0))
    A, B = _changed(sums.cp, relcov, changes, T)
    if sums.n * relcov.layout.q <= DENSE_Z and not isinstance(A, np.ndarray):
        A = A.toarray()  # as if the rows had been there
    cp = CrossProducts(A=A, B=B, C=C, n=sums.n, sum_log_weights=sums.cp.sum_log_weights)
    return Products(cp, relcov, basis, _made_up_rows(sums.parents, relcov.layout), growth)


def _fixed(sums: Sums, pilot: Pilot, kept: list[int]) -> tuple[FixedBasis, FloatArray, float]:
    """The basis, the change of coordinates (p_all + 1, p + 1), and how far its terms exceed the result."""
    p_all, p, n = len(pilot.beta), len(kept), sums.n
    Rx, ry = sums.R[:p_all, :p_all], sums.R[:, p_all]
    Q, R = np.linalg.qr(Rx @ pilot.P[:, kept])
    signs = np.where(np.diagonal(R) < 0, -1.0, 1.0)
    Q, R = Q * signs, R * signs[:, None]
    g = Q.T @ ry[:p_all]
    left = ry.copy()
    left[:p_all] -= Q @ g
    scale = pilot.scale * float(np.linalg.norm(left)) / np.sqrt(n)
    scale = scale if scale > 1e-13 * sums.largest else 0.0
    T = np.zeros((p_all + 1, p + 1))
    T[:p_all, :p] = upper_solve_right(pilot.P[:, kept], R) if p else 0.0
    T[:p_all, p] = -T[:p_all, :p] @ g
    T[p_all, p] = 1.0
    T[:, p] *= pilot.scale / (scale or 1.0)
    sizes = np.abs(T).T @ np.linalg.norm(sums.R, axis=0)
    growth = float((sizes / np.append(np.ones(p), np.sqrt(n))).max())
    shift = pilot.scale * g + Q.T @ (Rx @ (pilot.P @ pilot.beta))
    return FixedBasis(R=R, shift=shift, scale=scale), T, growth if scale else 1.0


def _term_change(factor: FloatArray, L: FloatArray, n: int) -> tuple[FloatArray, FloatArray, float]:
    """Final basis of a term, change of coordinates (k, k), and its growth."""
    k = len(L)
    if k == 1:
        rms = np.sqrt(factor / n) * L
        rms = np.where(rms == 0.0, 1.0, rms)
        return rms, L / rms, 1.0
    own = factor[::-1, ::-1] / np.sqrt(n)
    R = own @ L
    scale = np.linalg.norm(R, axis=0)
    scale[scale == 0.0] = 1.0
    R = R * np.sign(np.diagonal(R))[:, None]
    if (np.abs(np.diagonal(R)) < DEPENDENT * scale).any():
        R = np.diag(scale)  # redundant columns: only their scale can be settled
    H = lower_solve_right(L, R)
    return R, H, float((np.abs(H).T @ np.linalg.norm(own, axis=0)).max())


def _changed(
    cp: CrossProducts, relcov: RelativeCovariance, changes: Sequence[FloatArray], T: FloatArray
) -> tuple[FloatArray | SparseArray, FloatArray]:
    blocks = relcov.of_factors(changes)
    if all(np.array_equal(block, np.eye(len(block))) for block in blocks):
        return _sorted(cp.A), cp.B @ T
    parts = [sparse.kron(sparse.eye_array(m), H) for m, H in zip(relcov.layout.n_levels, blocks, strict=True)]
    S = sparse.csr_array(sparse.block_diag(parts, format="csr"))
    return _sorted(S.T @ cp.A @ S), np.asarray(S.T @ (cp.B @ T))


def _sorted(A: FloatArray | SparseArray) -> FloatArray | SparseArray:
    if isinstance(A, np.ndarray):
        return A
    A = sparse.csr_array(A)
    A.sort_indices()
    return A


def _made_up_rows(parents: Sequence[IntArray], layout: Layout) -> tuple[GroupingFactor, ...]:
    """Factors with a row per level of the finest where all are nested, and otherwise two that are not."""
    counts = layout.n_levels
    split: list[BoolArray] = [parent == -2 for parent in parents]
    codes = [np.arange(counts[0])]
    for f, parent in enumerate(parents):
        if split[f].any():
            both = [np.zeros(2, dtype=np.intp)] * (f + 1) + [np.arange(2)] * (len(counts) - f - 1)
            return tuple(GroupingFactor(c, n) for c, n in zip(both, counts, strict=True))
        codes.append(parent[codes[-1]])
    return tuple(GroupingFactor(c, n) for c, n in zip(codes, counts, strict=True))
