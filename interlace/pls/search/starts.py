"""Other places to begin: what a search from one start alone would not see.

Every start is told in the orthonormal bases of the terms, in which scales do not matter, and is built from
multiples of the identity, from the principal axes of an optimum, or from second moments: so that units, the
order of rows and that of levels do not decide where a search ends.  Only the last ones, drawn at random, are
told in the basis as it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from interlace.arrays import FloatArray
from interlace.pls.matrices.crossproducts import CrossProducts
from interlace.pls.matrices.relcov import RelativeCovariance, axes, lower_factor

from .start import moments_of_factors

# Standard deviations, relative to sigma and in orthonormal bases: small, of order one, large, and so large
# that the random effects nearly reproduce the response.
SMALL, UNIT, LARGE, LARGEST = 0.05, 1.0, 5.0, 50.0
# A singular value of Lambda_i below this is tried again from outside.
VANISHED = 1e-3
# Starts drawn at random have standard deviations between these powers of ten.
POWERS = (-1.5, 2.0)


class Start(NamedTuple):
    """A place to begin, by name."""

    name: str
    phi: FloatArray


def other_starts(
    cp: CrossProducts, relcov: RelativeCovariance, Lambda: Sequence[FloatArray], *, reml: bool
) -> Iterator[Start]:
    """Places to begin, most promising first, without end.

    Parameters
    ----------
    cp, relcov
        Of the criterion.
    Lambda : sequence of ndarray of shape (K, K)
        The optimum that was found, per factor.
    reml : bool
        Whether the criterion is REML's.

    Yields
    ------
    Start
    """
    if len(set(relcov.term_factor)) < len(relcov.term_factor):
        yield Start("correlated", moments_of_factors(cp, relcov, reml=reml))
    # Those that know nothing of the optimum come first: agreement with the others says less.
    blocks = relcov.of_terms(Lambda)
    yield Start("small", _isotropic(relcov, [SMALL] * len(blocks)))
    if len(blocks) > 1:
        for i in range(len(blocks)):
            sizes = np.where(np.arange(len(blocks)) == i, UNIT, SMALL)
            yield Start(f"term {i + 1} alone", _isotropic(relcov, sizes.tolist()))
    yield Start("large", _isotropic(relcov, [LARGE] * len(blocks)))
    yield Start("largest", _isotropic(relcov, [LARGEST] * len(blocks)))
    yield from _outwards(relcov, blocks)
    rng = np.random.default_rng(0)
    for k in range(1, 10_000):
        yield Start(f"random {k}", _random(relcov, rng))


def _isotropic(relcov: RelativeCovariance, sizes: Sequence[float]) -> FloatArray:
    return relcov.pack([size * np.eye(k) for size, k in zip(sizes, relcov.term_k, strict=True)])


def _outwards(relcov: RelativeCovariance, blocks: Sequence[FloatArray]) -> Iterator[Start]:
    """Of each term the directions that vanished, at a standard deviation of one."""
    for i, block in enumerate(blocks):
        U, s = axes(block)
        if s[-1] < VANISHED:
            longer = lower_factor(U * np.where(s < VANISHED, UNIT, s))
            yield Start(
                f"term {i + 1} outwards",
                relcov.pack([*map(lower_factor, blocks[:i]), longer, *map(lower_factor, blocks[i + 1 :])]),
            )


def _random(relcov: RelativeCovariance, rng: np.random.Generator) -> FloatArray:
    blocks = []
    for k in relcov.term_k:
        U = np.linalg.qr(rng.normal(size=(k, k)))[0]
        blocks.append(lower_factor(U * 10.0 ** rng.uniform(*POWERS, size=k)))
    return relcov.pack(blocks)
