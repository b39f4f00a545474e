"""The seam: what the criterion needs to know about ``M = Lambda' Z'WZ Lambda + I`` (JSS eq. 18)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, Self

from interlace.arrays import FloatArray, IntArray, SparseArray
from interlace.pls.matrices.crossproducts import CrossProducts


class Factorization(Protocol):
    """A Cholesky factorization of M that can be refreshed for new values of Lambda.

    It is the one object of the package that moves.  Throughout, ``T = Lambda M^-1 Lambda'``:
    ``sigma^2 T`` is the conditional covariance of the random effects given y, and
    ``V0^-1 = W - W Z T Z' W`` with ``V0 = Z Lambda Lambda' Z' + W^-1``.

    Attributes
    ----------
    solver : str
        Which factorization this is, as reported to the user.
    """

    solver: str

    def update(self, Lambda: Sequence[FloatArray]) -> None:
        """Refactorise for the (K, K) blocks of Lambda, one per factor."""

    def logdet(self) -> float:
        """``log |M| = log |L|^2``."""

    def conditional(self, B: FloatArray) -> FloatArray:
        """T B, for B of shape (q, r)."""

    def conditional_blocks(self) -> list[FloatArray]:
        """Diagonal blocks of T, (n_levels, K, K) per factor: the *selected inverse*."""

    def information(self) -> list[FloatArray]:
        """Sum over levels of the diagonal blocks of ``Z' V0^-1 Z``, (K, K) per factor."""

    def rough_information(self) -> list[FloatArray] | None:
        """`information` to some five digits, for steps far from the optimum; None if that takes as long."""

    def conditional_pairs(self, f: int, g: int, level: IntArray, other: IntArray) -> FloatArray:
        """Blocks of T between levels of factors f and g that share a row, (pairs, K_f, K_g)."""

    def conditional_among(self, columns: IntArray) -> FloatArray:
        """T among some columns of Z, in increasing order, (c, c)."""

    def with_products(self, cp: CrossProducts) -> Self:
        """The same factorization for cross-products of other rows, whose pattern lies within this one's."""

    def apart(self, cp: CrossProducts) -> Self:
        """A second one for the same cross-products, of which neither sees the other move: for a thread."""

    def follow(self, numbers: FloatArray | SparseArray) -> Self:
        """The same factorization, ready for other weights of the same rows.

        ``numbers``, on the pattern of Z'WZ, counts its distinct entries from 1; 0 where there is none.
        """

    def reweigh(self, values: FloatArray) -> Self:
        """The same for other weights: the values of the entries that `follow` has numbered."""

    def conditional_entries(self) -> FloatArray:
        """T at every entry that `follow` has numbered: all that a row of Z asks for."""
