"""Levels that a design cannot tell apart: what they have in common, and what remains of each.

Two levels of a factor are *exchangeable* if their blocks of ``A = Z'WZ`` are the same, with each other level
of the other factors, too.  An orthogonal change of the columns within such a group, the same for every one of
the K columns of a level, leaves Lambda as it is and splits A: the group's mean, times the root of its
size, meets the other factors, and n - 1 contrasts meet nothing but themselves, all with one K x K block.  Of
a right-hand side B the contrasts enter by their sums of products only.

What is left to be factorised is a *core* of group means, small where data are balanced (six columns for
60 subjects and 40 items in a Latin square, instead of 160), and one K x K block per group.  The levels of
a single factor meet nothing, and leave no core at all.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from interlace.arrays import BoolArray, FloatArray, IntArray, SparseArray
from interlace.pls.factor.nested import diagonal_blocks
from interlace.pls.matrices.relcov import Layout

# Random combinations of a level's numbers by which levels are compared, and their relative rounding error.
PROBES = 3
ALIKE = 1e-11


@dataclass(frozen=True, eq=False)
class Grouping:
    """The levels of one factor, exchangeable ones together.

    Attributes
    ----------
    order : ndarray of int, shape (n_levels,)
        Levels, sorted by group.
    starts : ndarray of int, shape (groups,)
        Where each group begins in ``order``.
    sizes : ndarray of shape (groups,)
        Levels of each group.
    coupled : ndarray of bool, shape (groups,)
        Whether a group meets levels of other factors.
    """

    order: IntArray
    starts: IntArray
    sizes: FloatArray
    coupled: BoolArray

    @property
    def counts(self) -> FloatArray:
        """Levels or contrasts of each group that meet nothing, shape (groups,)."""
        return np.asarray(self.sizes - self.coupled)

    def means(self, levels: FloatArray) -> FloatArray:
        """Means of the coupled groups times the roots of their sizes: (..., n_levels, K, c) to groups."""
        sums = np.add.reduceat(levels[..., self.order, :, :], self.starts, axis=-3)
        return np.asarray((sums / np.sqrt(self.sizes)[:, None, None])[..., self.coupled, :, :])

    def contrasts(self, levels: FloatArray) -> FloatArray:
        """Levels, sorted by group, less the means of the coupled groups, (..., n_levels, K, c)."""
        ordered = np.asarray(levels[..., self.order, :, :])
        if not self.coupled.any():
            return ordered
        means = np.add.reduceat(ordered, self.starts, axis=-3) / self.sizes[:, None, None]
        means *= self.coupled[:, None, None]
        return ordered - np.repeat(means, self.sizes.astype(np.intp), axis=-3)

    def sums(self, products: FloatArray) -> FloatArray:
        """Sums over the levels of the groups that have contrasts, from (..., n_levels, numbers)."""
        if len(self.order) > len(self.starts):
            products = np.add.reduceat(products, self.starts, axis=-2)
        return np.asarray(products[..., self.counts > 0.0, :])


def groupings(A: FloatArray | SparseArray, layout: Layout) -> tuple[Grouping, ...]:
    """Find the exchangeable levels of every factor.

    Parameters
    ----------
    A : ndarray or sparse array of shape (q, q)
        Cross-products of Z.
    layout : Layout
        Its columns.

    Returns
    -------
    tuple of Grouping
    """
    probes = np.random.default_rng(0).standard_normal((layout.q, PROBES))
    return tuple(_grouping(A, layout, f, probes) for f in range(len(layout.K)))


def _grouping(A: FloatArray | SparseArray, layout: Layout, f: int, probes: FloatArray) -> Grouping:
    own, n, K = layout.slices[f], layout.n_levels[f], layout.K[f]
    others = probes.copy()
    others[own] = 0.0
    met = np.asarray(A[own] @ others).reshape(n, K, PROBES)
    diagonal = diagonal_blocks(A, layout, f)
    size = np.abs(diagonal).max()
    # One number of each level per probe: the columns of a level weighed at random, too.
    numbers = (met + diagonal @ probes[:K]) * probes[own][:K]
    labels = _labels(numbers.sum(axis=1), ALIKE * size)
    order = np.argsort(labels, kind="stable")
    sizes = np.bincount(labels)
    starts = np.cumsum(sizes) - sizes
    coupled = np.abs(met[order[starts]]).max(axis=(1, 2)) > ALIKE * size
    return Grouping(order, starts, sizes.astype(float), coupled)


def _labels(numbers: FloatArray, tolerance: float) -> IntArray:
    """Labels of rows of three numbers that are the same but for rounding."""
    order = np.argsort(numbers, axis=0)
    ordered = np.take_along_axis(numbers, order, axis=0)
    steps = np.cumsum(np.diff(ordered, axis=0, prepend=ordered[:1]) > tolerance, axis=0)
    places = np.empty_like(steps)
    np.put_along_axis(places, order, steps, axis=0)
    n = len(numbers)
    _, labels = np.unique((places[:, 0] * n + places[:, 1]) * n + places[:, 2], return_inverse=True)
    return np.asarray(labels.reshape(-1))


@dataclass(frozen=True, eq=False)
class Reduction:
    """The way from the columns of Z to the core and to the contrasts.

    Attributes
    ----------
    layout : Layout
        Columns of Z.
    groups : tuple of Grouping
        Per factor.
    """

    layout: Layout
    groups: tuple[Grouping, ...]

    @property
    def core(self) -> Layout:
        """Columns of the core: the coupled groups as levels."""
        return Layout(tuple(int(own.coupled.sum()) for own in self.groups), self.layout.K)

    def to_core(self, B: FloatArray) -> FloatArray:
        """Rows of the core, (q0, c), of (q, c)."""
        means = [own.means(self.layout.by_level(B, f)) for f, own in enumerate(self.groups)]
        return np.concatenate([mean.reshape(mean.shape[0] * mean.shape[1], B.shape[1]) for mean in means])

    def core_products(self, A: FloatArray | SparseArray) -> FloatArray:
        """A among the columns of the core, (q0, q0)."""
        if not self.core.q:
            return np.empty((0, 0))
        half = self.to_core(np.asarray(A.T) if isinstance(A, np.ndarray) else A.T.toarray())
        return self.to_core(np.ascontiguousarray(half.T))

    def block_products(self, A: FloatArray | SparseArray) -> list[FloatArray]:
        """Per factor, the blocks of A of the groups that have contrasts, (groups, K, K)."""
        return [
            diagonal_blocks(A, self.layout, f)[own.order[own.starts][own.counts > 0.0]]
            for f, own in enumerate(self.groups)
        ]


def reduction(A: FloatArray | SparseArray, layout: Layout) -> Reduction:
    """The smallest core of a design that exchangeable levels allow.

    Parameters
    ----------
    A : ndarray or sparse array of shape (q, q)
        Cross-products of Z.
    layout : Layout
        Its columns.

    Returns
    -------
    Reduction
    """
    return Reduction(layout, groupings(A, layout))
