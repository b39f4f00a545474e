"""Cross-products of rows that are never there all at once: sums over chunks.

Everything that a fit needs adds up over rows.  Accuracy asks for columns in (nearly) orthonormal bases,
which are known only when all rows were seen.  So chunks are multiplied in the coordinates of a *pilot*, a
few rows from everywhere, and the sums are brought into the final bases by a small, well-conditioned change
of coordinates, see `settled`.  Triangular factors of the columns are carried along by QR decompositions of
chunks (TSQR), so that no Gram matrix squares a condition.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse

from interlace.arrays import FloatArray, IntArray

from .basis import DEPENDENT, term_basis
from .crossproducts import DENSE_Q, CrossProducts, cross_products
from .relcov import Layout, RelativeCovariance, relative_covariance
from .terms import GroupingFactor, RandomTerm
from .triangular import lower_solve_right, upper_solve_right

# A pilot's residual below this part of its response is rounding: the pilot says nothing of the scale.
PILOT_EXACT = 1e-9


@dataclass(frozen=True, eq=False)
class Chunk:
    """Some rows of a model.

    Attributes
    ----------
    codes : tuple of ndarray of int, shape (n,)
        Level of each row, per factor.
    Xi : tuple of ndarray of shape (n, k)
        Raw columns of each term.
    X, y : ndarray of shape (n, p) and (n,)
        Fixed-effects model matrix, dependent columns included, and response.
    weights, offset : ndarray of shape (n,) or None
        Prior weights, and the known part of the mean.
    """

    codes: tuple[IntArray, ...]
    Xi: tuple[FloatArray, ...]
    X: FloatArray
    y: FloatArray
    weights: FloatArray | None = None
    offset: FloatArray | None = None

    def take(self, rows: IntArray) -> Chunk:
        """Some of the rows."""
        return Chunk(
            codes=tuple(own[rows] for own in self.codes),
            Xi=tuple(own[rows] for own in self.Xi),
            X=self.X[rows],
            y=self.y[rows],
            weights=None if self.weights is None else self.weights[rows],
            offset=None if self.offset is None else self.offset[rows],
        )

    @property
    def centred(self) -> FloatArray:
        """Response less offset, (n,)."""
        return self.y if self.offset is None else self.y - self.offset

    @property
    def root(self) -> FloatArray | None:
        """Square roots of the weights, (n,)."""
        return None if self.weights is None else np.sqrt(self.weights)


@dataclass(frozen=True)
class Skeleton:
    """Sizes of a model.

    Attributes
    ----------
    n_levels : tuple of int
        Levels of each factor.
    term_factor, term_k : tuple of int
        Factor and number of columns of each term.
    """

    n_levels: tuple[int, ...]
    term_factor: tuple[int, ...]
    term_k: tuple[int, ...]

    @property
    def order(self) -> list[int]:
        """Factors by decreasing number of columns: the numerical room's order."""
        width = [
            sum(k for k, g in zip(self.term_k, self.term_factor, strict=True) if g == f)
            for f in range(len(self.n_levels))
        ]
        return sorted(range(len(width)), key=lambda f: -self.n_levels[f] * width[f])

    def relcov(self, bases: Sequence[FloatArray]) -> RelativeCovariance:
        """The template of Lambda on the terms' bases, factors in the order of the room."""
        position = {f: i for i, f in enumerate(self.order)}
        factors = [GroupingFactor(np.empty(0, dtype=np.intp), self.n_levels[f]) for f in self.order]
        terms = [
            RandomTerm(position[f], np.empty((0, k)))
            for f, k in zip(self.term_factor, self.term_k, strict=True)
        ]
        return relative_covariance(factors, terms, bases)


@dataclass(frozen=True, eq=False)
class Pilot:
    """Coordinates in which chunks are multiplied.

    Attributes
    ----------
    P : ndarray of shape (p, p)
        Upper triangular: rows of X times its inverse are nearly orthonormal in mean square.
    beta : ndarray of shape (p,)
        Coefficients that explain most of y.
    scale : float
        About the size of what they do not explain.
    L : tuple of ndarray of shape (k, k)
        Lower triangular bases of the terms.
    """

    P: FloatArray
    beta: FloatArray
    scale: float
    L: tuple[FloatArray, ...]

    def coordinates(self, chunk: Chunk) -> FloatArray:
        """Unweighted rows of X and y, shape (n, p + 1)."""
        Q = upper_solve_right(chunk.X, self.P) if chunk.X.shape[1] else chunk.X
        return np.column_stack([Q, (chunk.centred - chunk.X @ self.beta) / self.scale])

    def of_term(self, chunk: Chunk, term: int) -> FloatArray:
        """Unweighted columns of a term, (n, k)."""
        Xi, L = chunk.Xi[term], self.L[term]
        return Xi / L if L.shape == (1, 1) else lower_solve_right(Xi, L)


def pilot_of(rows: Chunk) -> Pilot:
    """Coordinates from a few rows.

    Parameters
    ----------
    rows : Chunk
        From everywhere in the data, if possible; with none at all the coordinates are the columns themselves.

    Returns
    -------
    Pilot
    """
    if not len(rows.y):
        sizes = rows.X.shape[1], *(Xi.shape[1] for Xi in rows.Xi)
        P, *L = (np.eye(k) for k in sizes)
        return Pilot(P, np.zeros(len(P)), 1.0, tuple(L))
    root = np.ones(len(rows.y)) if rows.root is None else rows.root
    X, y = rows.X * root[:, None], rows.centred * root
    n, p = X.shape
    beta = np.asarray(np.linalg.lstsq(X, y, rcond=DEPENDENT**2)[0], dtype=float) if p else np.zeros(0)
    left = float(np.sqrt(np.mean((y - X @ beta) ** 2))) if n > 2 * p else 0.0
    spread = float(np.sqrt(np.mean(y**2)))
    scale = left if left > PILOT_EXACT * spread else spread or 1.0
    bases = tuple(term_basis(RandomTerm(0, Xi), rows.weights) for Xi in rows.Xi)
    return Pilot(pilot_triangle(X / np.sqrt(n)), beta, scale, bases)


def pilot_triangle(X: FloatArray) -> FloatArray:
    """R of X = Q R where columns are new; others stand for themselves."""
    R = triangle(X)
    norms = np.linalg.norm(R, axis=0)
    stale = np.abs(np.diagonal(R)) <= DEPENDENT * norms
    R[stale], R[:, stale] = 0.0, 0.0
    R[stale, stale] = np.where(norms[stale] > 0.0, norms[stale], 1.0)
    return R


def triangle(*blocks: FloatArray) -> FloatArray:
    """Upper triangular R, (k, k), with ``R'R`` the Gram matrix of some blocks of rows below one another."""
    R = np.asarray(np.linalg.qr(blocks[0] if len(blocks) == 1 else np.vstack(blocks), mode="r"))
    k = R.shape[1]
    return R if len(R) == k else np.vstack([R, np.zeros((k - len(R), k))])


@dataclass(frozen=True, eq=False)
class Sums:
    """What is known of some rows; sums of two are those of both.

    Attributes
    ----------
    cp : CrossProducts
        In the pilot's coordinates; A is dense or CSR by its size alone.
    R : ndarray of shape (p + 1, p + 1)
        Triangular factor of the weighted coordinates of X and y.
    R0 : ndarray of shape (p, p), or None
        That of the unweighted X where there are weights.
    terms : tuple of ndarray of shape (k, k)
        Triangular factor of each term's weighted columns, last column first; squared for a single column.
    counts : tuple of ndarray of int, shape (n_levels,)
        Rows of each level, per factor.
    parents : tuple of ndarray of int
        For each factor but the last, in the room's order: the next factor's level that holds each level; -1
        where it was not seen, -2 where there are several.
    totals, low, high : ndarray of shape (p,)
        Sums, least and largest values of the columns of X.
    offset, largest : float
        Sum of the offset; largest absolute value of the weighted response.
    """

    cp: CrossProducts
    R: FloatArray
    R0: FloatArray | None
    terms: tuple[FloatArray, ...]
    counts: tuple[IntArray, ...]
    parents: tuple[IntArray, ...]
    totals: FloatArray
    low: FloatArray
    high: FloatArray
    offset: float
    largest: float

    @property
    def n(self) -> int:
        """Rows."""
        return self.cp.n

    def __add__(self, other: Sums) -> Sums:
        return Sums(
            cp=self.cp + other.cp,
            R=triangle(self.R, other.R),
            R0=None if self.R0 is None or other.R0 is None else triangle(self.R0, other.R0),
            terms=tuple(_joined(a, b) for a, b in zip(self.terms, other.terms, strict=True)),
            counts=tuple(a + b for a, b in zip(self.counts, other.counts, strict=True)),
            parents=tuple(_agreed(a, b) for a, b in zip(self.parents, other.parents, strict=True)),
            totals=self.totals + other.totals,
            low=np.minimum(self.low, other.low),
            high=np.maximum(self.high, other.high),
            offset=self.offset + other.offset,
            largest=max(self.largest, other.largest),
        )


def _joined(a: FloatArray, b: FloatArray) -> FloatArray:
    return a + b if a.shape == (1, 1) else triangle(a, b)


def _agreed(a: IntArray, b: IntArray) -> IntArray:
    both = np.where(a == -1, b, a)
    return np.where((b != -1) & (both != b), -2, both)


def sums_of(chunk: Chunk, pilot: Pilot, skeleton: Skeleton) -> Sums:
    """Sums of one chunk.

    Parameters
    ----------
    chunk : Chunk
        At least one row.
    pilot : Pilot
        The coordinates.
    skeleton : Skeleton
        The sizes.

    Returns
    -------
    Sums
    """
    root, F = chunk.root, pilot.coordinates(chunk)
    p = F.shape[1] - 1
    R0 = None if root is None else triangle(F[:, :p])
    Fw = F if root is None else F * root[:, None]
    columns = [pilot.of_term(chunk, t) for t in range(len(chunk.Xi))]
    columns = columns if root is None else [own * root[:, None] for own in columns]
    order = skeleton.order
    codes = [chunk.codes[f] for f in order]
    none = np.empty(0)
    return Sums(
        cp=_products(chunk, codes, columns, Fw, skeleton),
        R=triangle(Fw),
        R0=R0,
        terms=tuple(_term_triangle(own) for own in columns),
        counts=tuple(
            np.bincount(c, minlength=n) for c, n in zip(chunk.codes, skeleton.n_levels, strict=True)
        ),
        parents=tuple(
            _parents(codes[i], codes[i + 1], skeleton.n_levels[order[i]]) for i in range(len(order) - 1)
        ),
        totals=chunk.X.sum(axis=0),
        low=chunk.X.min(axis=0) if p else none,
        high=chunk.X.max(axis=0) if p else none,
        offset=0.0 if chunk.offset is None else float(chunk.offset.sum()),
        largest=float(np.abs(chunk.centred if root is None else chunk.centred * root).max()),
    )


def _products(
    chunk: Chunk, codes: Sequence[IntArray], columns: Sequence[FloatArray], F: FloatArray, skeleton: Skeleton
) -> CrossProducts:
    order = skeleton.order
    own = [
        np.hstack([c for c, g in zip(columns, skeleton.term_factor, strict=True) if g == f]) for f in order
    ]
    layout = _layout(skeleton)
    factors = [GroupingFactor(c, skeleton.n_levels[f]) for c, f in zip(codes, order, strict=True)]
    logs = 0.0 if chunk.weights is None else float(np.log(chunk.weights).sum())
    cp = cross_products(factors, own, F, layout, logs)
    if layout.q <= DENSE_Q:
        return cp if isinstance(cp.A, np.ndarray) else replace(cp, A=cp.A.toarray())
    return replace(cp, A=sparse.csr_array(cp.A))


def _layout(skeleton: Skeleton) -> Layout:
    return skeleton.relcov([np.eye(k) for k in skeleton.term_k]).layout


def _term_triangle(columns: FloatArray) -> FloatArray:
    return columns.T @ columns if columns.shape[1] == 1 else triangle(columns[:, ::-1])


def _parents(fine: IntArray, coarse: IntArray, n_levels: int) -> IntArray:
    parent = np.full(n_levels, -1, dtype=np.intp)
    parent[fine] = coarse
    parent[fine[parent[fine] != coarse]] = -2
    return parent
