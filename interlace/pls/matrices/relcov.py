"""Relative covariance factors: theta to and from the blocks of Lambda (JSS eq. 4).

Two coordinate systems for the covariance parameters:

``theta``
    lme4's: the lower triangle, column-major, of each term's ``Lambda_i`` on the user's columns,
    terms in the model's order.
``phi``
    the same triangle on the orthonormal columns ``Xi R_i^-1`` (see `basis.term_basis`).

``Lambda_i(phi) = R_i Lambda_i(theta)`` with ``R_i`` lower triangular, so phi is linear in theta.

The search for the optimum works in a third one, a *gauge*: ``Lambda_f = U_f Psi_f`` with U_f
orthogonal and Psi_f a triangle of parameters.  Lambda is then no longer triangular, only
``Lambda Lambda'`` matters.  In the principal axes of the current estimate the triangle has no
small pivot above a large entry, which would bend the criterion into a curved valley.

All terms on one grouping factor share a block: ``K`` columns per level and one K x K
block-diagonal ``Lambda_f``.  ``(x || g)`` is then as cheap as ``(x | g)``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from interlace.arrays import FloatArray, IntArray

from .structures import Structure, unstructured
from .terms import GroupingFactor, RandomTerm


@dataclass(frozen=True)
class Layout:
    """Where each grouping factor's columns lie among the q columns of Z.

    Columns are ordered by factor, within a factor by level, within a level by term.

    Attributes
    ----------
    n_levels, K : tuple of int
        Levels, and columns per level, of each factor.
    """

    n_levels: tuple[int, ...]
    K: tuple[int, ...]

    @cached_property
    def starts(self) -> tuple[int, ...]:
        """First column of each factor, and q at the end."""
        sizes = [levels * K for levels, K in zip(self.n_levels, self.K, strict=True)]
        return (0, *np.cumsum(sizes).tolist())

    @property
    def q(self) -> int:
        """Columns of Z."""
        return self.starts[-1]

    @property
    def rest(self) -> int:
        """Columns outside the first factor, which the criterion takes to be the largest."""
        return self.q - self.starts[1]

    @cached_property
    def slices(self) -> tuple[slice, ...]:
        """Columns of each factor."""
        return tuple(slice(a, b) for a, b in zip(self.starts[:-1], self.starts[1:], strict=True))

    def of_levels(self, levels: Sequence[IntArray]) -> Layout:
        """The layout of some levels of each factor."""
        return Layout(tuple(len(own) for own in levels), self.K)

    def columns(self, levels: Sequence[IntArray]) -> IntArray:
        """Columns of Z of some levels of each factor."""
        return np.concatenate(
            [
                start + (own[:, None] * K + np.arange(K)).ravel()
                for own, K, start in zip(levels, self.K, self.starts, strict=False)
            ]
        )

    def by_level(self, columns: FloatArray, f: int) -> FloatArray:
        """Rows of factor f of a (q, r) array as (n_levels, K, r): a view."""
        return columns[self.slices[f]].reshape(self.n_levels[f], self.K[f], -1)


@dataclass(frozen=True, eq=False)
class RelativeCovariance:
    """The template that turns covariance parameters into the blocks of Lambda.

    Attributes
    ----------
    layout : Layout
        The columns of Z.
    term_k, term_factor, term_start : tuple of int
        Size of each term, its factor (a position in ``layout``), its first column in the
        factor's K columns.
    factor, row, col : ndarray of int, shape (m,)
        Place of each parameter: ``Lambda[factor][row, col]``.
    to_basis : ndarray of shape (m, m)
        ``phi = to_basis @ theta``.
    """

    layout: Layout
    term_k: tuple[int, ...]
    term_factor: tuple[int, ...]
    term_start: tuple[int, ...]
    factor: IntArray
    row: IntArray
    col: IntArray
    to_basis: FloatArray

    @property
    def m(self) -> int:
        """Number of covariance parameters."""
        return len(self.factor)

    @cached_property
    def from_basis(self) -> FloatArray:
        """Inverse of ``to_basis``."""
        return np.asarray(np.linalg.inv(self.to_basis))

    @cached_property
    def of_factor(self) -> tuple[IntArray, ...]:
        """Positions in phi of each factor's parameters."""
        return tuple(np.flatnonzero(self.factor == f) for f in range(len(self.layout.K)))

    @cached_property
    def structures(self) -> tuple[Structure, ...]:
        """Covariance structure of each term."""
        return tuple(unstructured(k) for k in self.term_k)

    @cached_property
    def term_slices(self) -> tuple[slice, ...]:
        """Positions in theta of each term's parameters."""
        ends = np.cumsum([structure.m for structure in self.structures]).tolist()
        return tuple(slice(a, b) for a, b in zip([0, *ends[:-1]], ends, strict=True))

    @cached_property
    def term_inverses(self) -> list[FloatArray]:
        """R_i^-1 of each term, (k, k): raw columns times it are the orthonormal ones."""
        return [
            self.from_basis[own, own][:k, :k] for k, own in zip(self.term_k, self.term_slices, strict=True)
        ]

    @cached_property
    def diagonal(self) -> FloatArray:
        """True where a parameter lies on a diagonal."""
        return np.asarray(self.row == self.col)

    @cached_property
    def same_column(self) -> FloatArray:
        """True, shape (m, m), where two parameters lie in one column of one factor's Lambda."""
        key = self.factor * (1 + max(self.layout.K)) + self.col
        return np.asarray(key[:, None] == key)

    def Lambda(self, phi: FloatArray) -> list[FloatArray]:
        """Blocks of Lambda, one lower triangular (K, K) array per factor."""
        blocks = []
        for K, own in zip(self.layout.K, self.of_factor, strict=True):
            block = np.zeros((K, K))
            block[self.row[own], self.col[own]] = phi[own]
            blocks.append(block)
        return blocks

    def traces(self, blocks: FloatArray, f: int) -> FloatArray:
        """tr(S E_j), E_j the places in D of parameter j, for those of one factor.

        Parameters
        ----------
        blocks : ndarray of shape (..., K, K)
            Symmetric S.
        f : int
            Factor.

        Returns
        -------
        ndarray of shape (..., m_f)
        """
        row, col, twice = self._places[f]
        return np.asarray(blocks[..., row, col] * twice)

    @cached_property
    def _places(self) -> tuple[tuple[IntArray, IntArray, FloatArray], ...]:
        """Row and column of each factor's parameters, and how often each stands in D."""
        twice = np.where(self.diagonal, 1.0, 2.0)
        return tuple((self.row[own], self.col[own], twice[own]) for own in self.of_factor)

    def of_terms(self, factor_blocks: Sequence[FloatArray]) -> list[FloatArray]:
        """Blocks per term, (k, k), out of blocks per factor."""
        blocks = []
        for k, f, start in zip(self.term_k, self.term_factor, self.term_start, strict=True):
            blocks.append(factor_blocks[f][start : start + k, start : start + k])
        return blocks

    def of_factors(self, term_blocks: Sequence[FloatArray]) -> list[FloatArray]:
        """Block-diagonal blocks per factor, (K, K), from blocks per term."""
        blocks = [np.zeros((K, K)) for K in self.layout.K]
        for block, f, start in zip(term_blocks, self.term_factor, self.term_start, strict=True):
            own = slice(start, start + len(block))
            blocks[f][own, own] = block
        return blocks

    def term_blocks(self, triangle: FloatArray) -> list[FloatArray]:
        """Lambda_i of each term, (k, k), from either kind of parameters."""
        own = zip(self.structures, self.term_slices, strict=True)
        return [structure.Lambda(triangle[positions]) for structure, positions in own]

    def pack(self, term_blocks: Sequence[FloatArray]) -> FloatArray:
        """Parameters from lower-triangular blocks per term."""
        return np.concatenate(
            [structure.theta(block) for structure, block in zip(self.structures, term_blocks, strict=True)]
        )

    def triangle(self, Lambda: Sequence[FloatArray]) -> FloatArray:
        """phi with non-negative diagonals for which Lambda Lambda' is that of the given (K, K) blocks."""
        return self.pack([lower_factor(block) for block in self.of_terms(Lambda)])


def relative_covariance(
    factors: Sequence[GroupingFactor], terms: Sequence[RandomTerm], bases: Sequence[FloatArray]
) -> RelativeCovariance:
    """Lay out the columns of Z and the parameters of Lambda.

    Parameters
    ----------
    factors, terms : sequences
        The model's grouping factors and terms.
    bases : sequence of ndarray of shape (k, k)
        Lower triangular ``R_i`` of each term.

    Returns
    -------
    RelativeCovariance
    """
    K = [0] * len(factors)
    starts = []
    for term in terms:
        starts.append(K[term.factor])
        K[term.factor] += term.k
    layout = Layout(tuple(f.n_levels for f in factors), tuple(K))
    factor: list[int] = []
    row: list[int] = []
    col: list[int] = []
    to_basis = np.zeros((sum(t.n_theta for t in terms),) * 2)
    for term, start, R in zip(terms, starts, bases, strict=True):
        at, structure = len(row), term.structure
        i, j = structure.same_column
        to_basis[at + i, at + j] = R[structure.rows[i], structure.rows[j]]
        factor += [term.factor] * structure.m
        row += (start + structure.rows).tolist()
        col += (start + structure.columns).tolist()
    return RelativeCovariance(
        layout=layout,
        term_k=tuple(t.k for t in terms),
        term_factor=tuple(t.factor for t in terms),
        term_start=tuple(starts),
        factor=np.array(factor, dtype=np.intp),
        row=np.array(row, dtype=np.intp),
        col=np.array(col, dtype=np.intp),
        to_basis=to_basis,
    )


def axes(Lambda_i: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Principal axes of ``Lambda_i Lambda_i'``, (k, k), and its standard deviations, decreasing, (k,)."""
    if len(Lambda_i) == 1:
        return np.ones((1, 1)), np.abs(Lambda_i[0])
    U, s, _ = np.linalg.svd(Lambda_i)
    return U, s


def null_space(Lambda_i: FloatArray) -> FloatArray:
    """Orthonormal directions in which Lambda_i vanishes, (k, r); singular to 1e-8 of its scale."""
    U, s = axes(Lambda_i)
    return U[:, s <= 1e-8 * max(1.0, float(s[0]))]


def lower_factor(root: FloatArray) -> FloatArray:
    """Lower triangular L, diagonal >= 0, with ``L L' = root root'``.

    Parameters
    ----------
    root : ndarray of shape (k, r)
        Any root of the matrix to be factorised.

    Returns
    -------
    ndarray of shape (k, k)
    """
    R = np.asarray(np.linalg.qr(root.T, mode="r"))
    lower = np.zeros((len(root), len(root)))
    lower[:, : len(R)] = R.T
    return np.asarray(lower * np.where(np.diagonal(lower) < 0, -1.0, 1.0))
