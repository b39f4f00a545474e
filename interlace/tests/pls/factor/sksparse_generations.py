"""Stand-ins for both generations of ``sksparse.cholmod``, dense, so that each machine tests both.

They keep the contracts that matter: signatures, the class of the input, which object may be asked
what and when, what is dropped from the factor, which exception tells of a bad pivot.
"""

from __future__ import annotations

import warnings
from types import ModuleType

import numpy as np
from scipy import linalg, sparse


class CholmodNotPositiveDefiniteError(Exception):
    pass


class CholmodWarning(Warning):
    pass


def ordering(A) -> np.ndarray:
    """Some permutation that depends on the pattern alone: fewest entries first, from the last column on."""
    return np.argsort(np.diff(A.indptr)[::-1], kind="stable")[::-1].copy()


def structure(A, perm):
    """Pattern of the factor: of A where its values cannot cancel."""
    q = A.shape[0]
    pattern = sparse.csc_array((np.ones(len(A.data)), A.indices, A.indptr), shape=A.shape).toarray() > 0
    pattern = pattern[np.ix_(perm, perm)]
    for j in range(q):
        below = j + 1 + np.flatnonzero(pattern[j + 1 :, j])
        pattern[np.ix_(below, below)] = True
    return np.tril(pattern)


def lower_root(A, perm):
    try:
        return linalg.cholesky(A.toarray()[np.ix_(perm, perm)], lower=True)
    except linalg.LinAlgError as error:
        raise CholmodNotPositiveDefiniteError from error


def on_pattern(root, pattern):
    """Compress the factor with every entry of its pattern, zero or not."""
    numbered = sparse.csc_array(np.where(pattern, 1.0, 0.0))
    numbered.data = root.T[pattern.T].copy()
    return numbered


class Factor04:
    """What ``analyze`` returns in 0.4: refactorised in place; L and P are methods."""

    def __init__(self, A) -> None:
        assert isinstance(A, sparse.csc_matrix)  # anything else is converted with a warning
        self._perm = ordering(A)
        self._pattern = structure(A, self._perm)
        self._root = None

    def P(self):
        return self._perm

    def cholesky_inplace(self, A) -> None:
        assert isinstance(A, sparse.csc_matrix)
        self._root = lower_root(A, self._perm)

    def L(self):
        return sparse.csc_matrix(on_pattern(self._root, self._pattern))

    def solve_A(self, b):
        out = np.empty(b.shape)
        out[self._perm] = linalg.cho_solve((self._root, True), b[self._perm])
        return out


class CholeskyFactor:
    """What 0.5 has instead: keyword-only options; symbolic until ``factorize``."""

    def __init__(self, A, *, lower=True, order="default") -> None:
        assert A.format == "csc"
        assert lower
        assert order == "default"
        self._perm = ordering(A)
        self._pattern = structure(A, self._perm)
        self._root = None

    def get_perm(self):
        return self._perm.copy()

    def copy(self):
        twin = object.__new__(CholeskyFactor)
        twin.__dict__.update(self.__dict__)
        return twin

    def factorize(self, A, ldl=None):
        assert A.format == "csc"
        assert ldl is False
        assert self._root is None, "a second factorization would lose the supernodes"
        self._root = lower_root(A, self._perm)
        return self

    @property
    def factor(self):
        assert self._root is not None, "the factor is symbolic"
        view = on_pattern(self._root, self._pattern)
        view.data.flags.writeable = view.indices.flags.writeable = False
        return view

    @property
    def L(self):
        whole = sparse.csc_array(self.factor, copy=True)
        whole.eliminate_zeros()
        return whole

    def solve(self, b, system="A"):
        assert self._root is not None, "the factor is symbolic"
        assert system == "A"
        warnings.warn("nearly singular", CholmodWarning, stacklevel=2)  # as when pivots differ by 1e6
        out = np.empty(b.shape)
        out[self._perm] = linalg.cho_solve((self._root, True), b[self._perm])
        return out


def stand_in(generation: str) -> ModuleType:
    """Build a module to be put in the place of ``sksparse.cholmod``."""
    module = ModuleType("sksparse.cholmod")
    module.CholmodNotPositiveDefiniteError = CholmodNotPositiveDefiniteError
    if generation == "0.4":
        module.analyze = Factor04
    else:
        module.CholmodWarning = CholmodWarning
        module.CholeskyFactor = CholeskyFactor
    return module
