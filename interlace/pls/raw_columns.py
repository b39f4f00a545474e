"""From the orthonormal bases of the terms back to the columns of the user."""

from __future__ import annotations

import numpy as np

from interlace.arrays import FloatArray
from interlace.pls.matrices.relcov import RelativeCovariance, null_space


def factor_bases(relcov: RelativeCovariance) -> list[FloatArray]:
    """Block-diagonal R^-1 of each factor, (K, K)."""
    return relcov.of_factors(relcov.term_inverses)


def modes(relcov: RelativeCovariance, basis_modes: FloatArray) -> tuple[FloatArray, ...]:
    """Conditional modes of each term, (n_levels, k), from those on the bases, (q,)."""
    out = []
    for R_inverse, f, start in zip(relcov.term_inverses, relcov.term_factor, relcov.term_start, strict=True):
        by_level = basis_modes[relcov.layout.slices[f]].reshape(-1, relcov.layout.K[f])
        out.append(by_level[:, start : start + len(R_inverse)] @ R_inverse.T)
    return tuple(out)


def singular_directions(relcov: RelativeCovariance, phi: FloatArray) -> tuple[FloatArray, ...]:
    """Per term, linear combinations c of the raw effects with Var(c'b) = 0."""
    directions: list[FloatArray] = []
    for block, R_inverse in zip(relcov.term_blocks(phi), relcov.term_inverses, strict=True):
        null = null_space(block)
        # b_raw = R^-1 b_basis, so c'b_raw = 0 for c = R' null.
        raw = np.asarray(np.linalg.solve(R_inverse.T, null)) if null.shape[1] else null
        directions.append(raw / np.sqrt((raw**2).sum(axis=0)))
    return tuple(directions)
