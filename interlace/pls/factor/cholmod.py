"""Factorization of any design by CHOLMOD; the only importer of scikit-sparse.

One symbolic analysis, then a numeric refactorisation per evaluation.  scikit-sparse has two
generations of interface, 0.4 and 0.5; everything that differs between them is in `_Analysis04`
and `_Analysis05`.
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import replace
from types import ModuleType
from typing import Any, Protocol

import numpy as np
from scipy import sparse

from interlace.arrays import FloatArray, IntArray, SparseArray
from interlace.errors import ArgumentError, MemoryLimitError, NotPositiveDefiniteError, NumericalError
from interlace.pls.matrices.crossproducts import CrossProducts
from interlace.pls.matrices.relcov import Layout

from .nested import solved_among
from .numbering import given, sources, taken
from .selinv import SelectedInverse

# Variance, relative to that of a level's mean, from which on I - M^-1 keeps eleven digits.
SMALL_SHARE = 1e-5
# Columns of the inverse that are solved for together.
SOLVED_AT_ONCE = 64


def _load() -> ModuleType | None:
    try:
        return importlib.import_module("sksparse.cholmod")
    except ImportError:
        return None


def available() -> bool:
    """Whether scikit-sparse can be imported."""
    return _load() is not None


@contextmanager
def _limits(module: ModuleType) -> Iterator[None]:
    """CHOLMOD's errors in words."""
    try:
        yield
    except module.CholmodNotPositiveDefiniteError as error:
        raise NotPositiveDefiniteError("CHOLMOD met a pivot that is not positive.") from error
    except _classes(module, "CholmodTooLargeError", "CholmodOutOfMemoryError") as error:
        raise MemoryLimitError(
            f"CHOLMOD cannot hold the factor of this design ({error}): its levels meet in too many ways. "
            "Drop a random-effects term, or fit a sample of the levels"
        ) from error
    except _classes(module, "CholmodError") as error:
        raise NumericalError(f'CHOLMOD failed ({error}); try solver="blocked"') from error


def _classes(module: ModuleType, *names: str) -> tuple[type[Exception], ...]:
    """Those of its exceptions that this generation has."""
    return tuple(getattr(module, name) for name in names if hasattr(module, name))


class _Analysis(Protocol):
    """What is used of a CHOLMOD factor ``L L' = M[perm][:, perm]``."""

    perm: IntArray

    def refactor(self, M: SparseArray) -> None: ...
    def solve(self, B: FloatArray) -> FloatArray: ...
    def L(self) -> SparseArray: ...


class _Analysis04:
    """scikit-sparse 0.4: ``analyze`` gives a Factor that is refactorised in place."""

    def __init__(self, module: ModuleType, M: SparseArray) -> None:
        self._module = module
        with _limits(module):
            self._factor = module.analyze(_matrix(M))
        self.perm = np.asarray(self._factor.P(), dtype=np.intp)

    def refactor(self, M: SparseArray) -> None:
        with _limits(self._module):
            self._factor.cholesky_inplace(_matrix(M))
            # A simplicial factor is an LDL' until L is asked for, and indefinite ones pass as such.
            self._L = sparse.csc_array(self._factor.L())

    def solve(self, B: FloatArray) -> FloatArray:
        return np.asarray(self._factor.solve_A(B))

    def L(self) -> SparseArray:
        return self._L


class _Analysis05:
    """scikit-sparse 0.5: a symbolic CholeskyFactor.

    ``factorize`` leaves a factor simplicial for good, so the symbolic object stays pristine and each
    evaluation factorises a copy of it.
    """

    def __init__(self, module: ModuleType, M: SparseArray) -> None:
        self._module = module
        with _limits(module):
            self._symbolic = module.CholeskyFactor(_matrix(M), lower=True)
        self._factor = self._symbolic
        self.perm = np.asarray(self._symbolic.get_perm(), dtype=np.intp)

    def refactor(self, M: SparseArray) -> None:
        with _limits(self._module):
            self._factor = self._symbolic.copy()
            self._factor.factorize(_matrix(M), ldl=False)

    def solve(self, B: FloatArray) -> FloatArray:
        with warnings.catch_warnings():
            # M >= I is regular by construction, however large its largest pivot is.
            warnings.simplefilter("ignore", self._module.CholmodWarning)
            return np.asarray(self._factor.solve(B, system="A"))

    def L(self) -> SparseArray:
        # A copy of the view: its property L would drop the entries that vanish with Lambda, and
        # with them the pattern that the plan of the selected inverse relies on.
        return sparse.csc_array(self._factor.factor, copy=True)


def require() -> ModuleType:
    """The module, or an error that says how to get it."""
    module = _load()
    if module is None:
        raise ArgumentError(
            'solver="cholmod" needs scikit-sparse, which is not installed. '
            'Install it (pip install "interlace[cholmod]"), or use solver="auto" or "blocked".'
        )
    return module


def _analyze(M: SparseArray) -> _Analysis:
    module = require()
    return _Analysis05(module, M) if hasattr(module, "CholeskyFactor") else _Analysis04(module, M)


def _matrix(M: SparseArray) -> SparseArray:
    """scikit-sparse checks for the older class, and warns about any other."""
    return sparse.csc_matrix((M.data, M.indices, M.indptr), shape=M.shape)


class CholmodFactorization:
    """Sparse Cholesky factorization of the whole of ``Lambda' A Lambda + I``.

    Parameters
    ----------
    cp : CrossProducts
        Cross-products.
    layout : Layout
        Columns of Z.

    Raises
    ------
    ValueError
        If scikit-sparse is not installed.
    """

    solver = "cholmod"

    def __init__(self, cp: CrossProducts, layout: Layout) -> None:
        self.layout = layout
        self._cp = cp
        self._rows_per_level = [cp.n / levels for levels in layout.n_levels]
        self._pairs, self._M = _block_pattern(sparse.csc_array(cp.A), layout)
        self._identity = [np.eye(K) for K in layout.K]
        self._fill(self._identity)
        self._analysis = _analyze(self._M)
        self._analysis.refactor(self._M)
        L = self._analysis.L()
        L.sort_indices()
        self._plan = SelectedInverse(L)
        self._inverse_perm = np.empty(layout.q, dtype=np.intp)
        self._inverse_perm[self._analysis.perm] = np.arange(layout.q)
        self._numbers: SparseArray | None = None  # see `follow`
        self._sources: dict[tuple[int, int], IntArray] = {}
        self._count = 0
        self._read: IntArray | None = None
        self._own = [self._diagonal_positions(f) for f in range(len(layout.K))]

    def __reduce__(self) -> tuple[Callable[..., CholmodFactorization], tuple[Any, ...]]:
        """Store the matrix, not CHOLMOD's factor of it: the reader analyses anew, then calls `update`."""
        return _restored, (self._cp, self.layout, self._numbers)

    def _diagonal_positions(self, f: int) -> IntArray:
        """Where the selected inverse holds the diagonal blocks of factor f, (n_levels, K, K)."""
        levels = np.arange(self.layout.n_levels[f])
        return self._pair_positions(f, f, levels, levels)

    def _pair_positions(self, f: int, g: int, level: IntArray, other: IntArray) -> IntArray:
        """Where it holds the blocks between pairs of levels, (pairs, K_f, K_g)."""
        return self._plan.entries(*self._pair_entries(f, g, level, other))

    def _pair_entries(self, f: int, g: int, level: IntArray, other: IntArray) -> tuple[IntArray, IntArray]:
        """Their rows and columns in the factor, (pairs, K_f, 1) and (pairs, 1, K_g)."""
        layout, at = self.layout, self._inverse_perm
        rows = at[layout.starts[f] + level[:, None] * layout.K[f] + np.arange(layout.K[f])]
        cols = at[layout.starts[g] + other[:, None] * layout.K[g] + np.arange(layout.K[g])]
        return rows[:, :, None], cols[:, None, :]

    def _solved_pairs(self, rows: IntArray, cols: IntArray) -> FloatArray:
        """Blocks of M^-1 that its selected inverse does not hold, by solving for their columns."""
        perm = self._analysis.perm
        wanted, place = np.unique(cols, return_inverse=True)
        place = place.reshape(cols.shape)
        blocks = np.empty((len(rows), rows.shape[1], cols.shape[2]))
        for first in range(0, len(wanted), SOLVED_AT_ONCE):
            own = wanted[first : first + SOLVED_AT_ONCE]
            unit = np.zeros((self.layout.q, len(own)))
            unit[perm[own], np.arange(len(own))] = 1.0
            inverse = self._analysis.solve(unit)
            here = (place >= first) & (place < first + len(own))
            at = np.broadcast_to(here, blocks.shape)
            columns = np.where(here, place - first, 0)
            blocks[at] = inverse[perm[rows], columns][at]
        return blocks

    def conditional_pairs(self, f: int, g: int, level: IntArray, other: IntArray) -> FloatArray:
        """Blocks of T between levels of factors f and g that share a row, (pairs, K_f, K_g)."""
        rows, cols = self._pair_entries(f, g, level, other)
        found = self._plan.entries(rows, cols)
        absent = ~np.all(self._plan.holds(rows, cols, found), axis=(1, 2))
        blocks = self._selected()[np.where(absent[:, None, None], 0, found)]
        if absent.any():  # products of the pair cancelled, and with them their place in the pattern
            blocks[absent] = self._solved_pairs(rows[absent], cols[absent])
        return np.asarray(self._Lambda[f] @ blocks @ self._Lambda[g].T)

    def conditional_among(self, columns: IntArray) -> FloatArray:
        """T among some columns of Z, in increasing order, (c, c)."""
        return solved_among(self, columns)

    def with_products(self, cp: CrossProducts) -> CholmodFactorization:
        """The same analysis for cross-products of other rows; a sparse A must be stored on the same pattern.

        CHOLMOD's factor is shared: of the two objects only the one updated last may be asked.
        """
        other = copy(self)
        if isinstance(cp.A, np.ndarray):  # the pattern must not shrink with the values that vanish
            pattern = sparse.csr_array(self._cp.A)
            pattern.data = cp.A[pattern.tocoo().coords]
            cp = replace(cp, A=pattern)
        other._cp = cp
        other._pairs, _ = _block_pattern(sparse.csc_array(cp.A), self.layout)
        other._M = self._M.copy()
        return other

    def apart(self, cp: CrossProducts) -> CholmodFactorization:
        """A second one that moves by itself, analysed anew."""
        return CholmodFactorization(cp, self.layout)

    def follow(self, numbers: FloatArray | SparseArray) -> CholmodFactorization:
        """The same analysis, ready for `reweigh`."""
        numbers = sparse.csr_array(numbers)
        A = sparse.csr_array(self._cp.A)
        if A.nnz == numbers.nnz:
            other = copy(self)
        else:  # what cancels under some weights is there under others
            pattern = numbers.copy()
            pattern.data = np.asarray(A.toarray()[numbers.tocoo().coords])
            other = CholmodFactorization(replace(self._cp, A=pattern), self.layout)
        other._numbers, other._count = numbers, int(numbers.max())
        blocks, _ = _block_pattern(sparse.csc_array(numbers), self.layout)
        other._sources = {pair: sources(found, other._count) for pair, (found, _) in blocks.items()}
        return other

    def reweigh(self, values: FloatArray) -> CholmodFactorization:
        """The same analysis for other values of the entries, under the terms of `with_products`."""
        other = copy(self)
        blocks = taken(values, list(self._sources.values()))
        other._pairs = {
            pair: (found, at) for found, (pair, (_, at)) in zip(blocks, self._pairs.items(), strict=True)
        }
        return other

    def conditional_entries(self) -> FloatArray:
        """T at every entry that `follow` has numbered."""
        Z, half = self._selected(), [pair for pair in self._pairs if pair[0] <= pair[1]]
        blocks = [
            self._Lambda[f] @ Z[self._positions_of(self._pairs[f, g][1])] @ self._Lambda[g].T for f, g in half
        ]
        return given(self._count, [self._sources[pair] for pair in half], blocks)

    def _positions_of(self, at: IntArray) -> IntArray:
        """Where the selected inverse holds entries of M."""
        if self._read is None:
            M, place = self._M, self._inverse_perm
            columns = np.repeat(np.arange(self.layout.q), np.diff(M.indptr))
            self._read = self._plan.entries(place[M.indices], place[columns])
        return self._read[at]

    def _fill(self, Lambda: Sequence[FloatArray]) -> None:
        """Write ``Lambda' A Lambda + I`` into M."""
        for (f, g), (blocks, at) in self._pairs.items():
            values = Lambda[f].T @ blocks @ Lambda[g]
            if f == g:  # diagonal blocks come first
                values[: self.layout.n_levels[f]] += np.eye(self.layout.K[f])
            self._M.data[at] = values

    def update(self, Lambda: Sequence[FloatArray]) -> None:
        """Refactorise."""
        self._Lambda = list(Lambda)
        self._refactor(self._Lambda)

    def _refactor(self, Lambda: Sequence[FloatArray]) -> None:
        self._fill(Lambda)
        self._analysis.refactor(self._M)
        self._L: SparseArray | None = None
        self._Z: FloatArray | None = None
        self._inverse: list[FloatArray] | None = None

    def _factor(self) -> SparseArray:
        if self._L is None:
            self._L = self._analysis.L()
            self._L.sort_indices()
        return self._L

    def _selected(self) -> FloatArray:
        """The selected inverse, on its plan's storage."""
        if self._Z is None:
            self._Z = self._plan(self._factor())
        return self._Z

    def logdet(self) -> float:
        """log |M|."""
        L = self._factor()
        return float(2.0 * np.log(L.data[L.indptr[:-1]]).sum())

    def conditional(self, B: FloatArray) -> FloatArray:
        """T B."""
        return self._times(
            self._Lambda, self._analysis.solve(self._times([block.T for block in self._Lambda], B))
        )

    def _times(self, blocks: Sequence[FloatArray], B: FloatArray) -> FloatArray:
        out = np.empty(B.shape)
        for own, K, block in zip(self.layout.slices, self.layout.K, blocks, strict=True):
            out[own] = (block @ B[own].reshape(-1, K, B.shape[1])).reshape(-1, B.shape[1])
        return out

    def _inverse_blocks(self) -> list[FloatArray]:
        """Diagonal blocks of M^-1, (n_levels, K, K) per factor."""
        if self._inverse is None:
            self._inverse = [self._selected()[at] for at in self._own]
        return self._inverse

    def conditional_blocks(self) -> list[FloatArray]:
        """Diagonal blocks of T."""
        return [block @ M @ block.T for block, M in zip(self._Lambda, self._inverse_blocks(), strict=True)]

    def information(self) -> list[FloatArray]:
        """Sums of the diagonal blocks of Z' V0^-1 Z, as ``Lambda^-T (I - M^-1) Lambda^-1``.

        Where Lambda is (nearly) singular that is evaluated at two Lambdas with small singular values
        instead, and extrapolated: the sums are smooth in Lambda Lambda'.
        """
        near, far = self._no_smaller(SMALL_SHARE), self._no_smaller(2.0 * SMALL_SHARE)
        if all(a is b for a, b in zip(near, self._Lambda, strict=True)):
            return self._information_at(near)
        sums = [self._refactored_information(at) for at in (near, far)]
        self._refactor(self._Lambda)
        return [2.0 * a - b for a, b in zip(*sums, strict=True)]

    def rough_information(self) -> None:
        """None: fewer digits would take as long."""

    def _refactored_information(self, Lambda: Sequence[FloatArray]) -> list[FloatArray]:
        self._refactor(Lambda)
        return self._information_at(Lambda)

    def _information_at(self, Lambda: Sequence[FloatArray]) -> list[FloatArray]:
        sums: list[FloatArray] = []
        for block, M, levels in zip(Lambda, self._inverse_blocks(), self.layout.n_levels, strict=True):
            seen = levels * np.eye(len(block)) - M.sum(axis=0)
            sums.append(np.asarray(np.linalg.solve(block.T, np.linalg.solve(block.T, seen).T)))
        return sums

    def _no_smaller(self, share: float) -> list[FloatArray]:
        """Lambda with the squares of small singular values replaced by a share of one row's information."""
        return [
            _floored(block, (share / rows) ** 0.5)
            for block, rows in zip(self._Lambda, self._rows_per_level, strict=True)
        ]


def _restored(cp: CrossProducts, layout: Layout, numbers: SparseArray | None) -> CholmodFactorization:
    found = CholmodFactorization(cp, layout)
    return found if numbers is None else found.follow(numbers)


def _floored(Lambda: FloatArray, floor: float) -> FloatArray:
    """A root of ``Lambda Lambda'`` with no singular value below the floor; Lambda itself if it has none."""
    U, s, Vt = np.linalg.svd(Lambda)
    if s[-1] >= floor:
        return Lambda
    return np.asarray((U * np.maximum(s, floor)) @ Vt)


def _block_pattern(
    A: SparseArray, layout: Layout
) -> tuple[dict[tuple[int, int], tuple[FloatArray, IntArray]], SparseArray]:
    """Blocks of A per pair of factors, and a CSC matrix with their (block-closed) pattern.

    Returns
    -------
    pairs : dict
        (f, g) -> blocks (n_blocks, K_f, K_g) and their positions in the data of M. For f == g the
        diagonal blocks come first, in level order.
    M : sparse CSC array of shape (q, q)
        With sorted indices.
    """
    found: dict[tuple[int, int], tuple[FloatArray, IntArray, IntArray]] = {}
    for f in range(len(layout.K)):
        for g in range(len(layout.K)):
            entries = A[layout.slices[f], layout.slices[g]].tocoo()
            level, a = np.divmod(entries.coords[0].astype(np.int64), layout.K[f])
            other, b = np.divmod(entries.coords[1].astype(np.int64), layout.K[g])
            keys, block = np.unique(level * layout.n_levels[g] + other, return_inverse=True)
            if f == g:  # a level whose columns are zero has a diagonal block, too
                keys, block = np.arange(layout.n_levels[f]) * (layout.n_levels[f] + 1), level
            values = np.zeros((len(keys), layout.K[f], layout.K[g]))
            values[block, a, b] = entries.data
            level, other = np.divmod(keys, layout.n_levels[g])
            rows = layout.starts[f] + level[:, None] * layout.K[f] + np.arange(layout.K[f])
            cols = layout.starts[g] + other[:, None] * layout.K[g] + np.arange(layout.K[g])
            found[f, g] = (
                values,
                np.repeat(rows[:, :, None], layout.K[g], 2),
                np.repeat(cols[:, None], layout.K[f], 1),
            )
    rows = np.concatenate([rows.ravel() for _, rows, _ in found.values()])
    cols = np.concatenate([cols.ravel() for _, _, cols in found.values()])
    # Numbers that survive the sorting: where did entry k go?
    M = sparse.csc_array((np.arange(1.0, len(rows) + 1), (rows, cols)), shape=A.shape)
    M.sort_indices()
    place = np.empty(len(rows), dtype=np.intp)
    place[M.data.astype(np.intp) - 1] = np.arange(len(rows))
    pairs, start = {}, 0
    for pair, (values, _, _) in found.items():
        pairs[pair] = (values, place[start : start + values.size].reshape(values.shape))
        start += values.size
    return pairs, M
