"""The seam's questions answered without a factor: solves by conjugate gradients, traces by sampling.

Traces are split so that only what couples levels is sampled.  With the notation of `implicit`,

    sum_l [Z_2'V0^-1 Z_2]_ll = sum_l shrink_l B_l - sum_l shrink_l [G_o T_22 G_o]_ll shrink_l',
    sum_l [Z_1'V0^-1 Z_1]_ll = sum_l Q_l A_l - sum_l Q_l [A_12 T_22 A_21]_ll Q_l',
    log |M| = log |M_11| + log |P| + tr (log S^ - S^ + I),

the first being the Woodbury identity applied twice: what is left is of second order in the coupling.
``T_22 = R S^-1 R'``, so that one solve for each probe z, ``E z z' = I``, serves all three (Hutchinson 1990).
The few directions in which S^ is far from the identity are not left to chance: they are added as
deterministic probes, and the random ones are made orthogonal to them (Meyer, Musco, Musco & Woodruff 2021).
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass

import numpy as np

from interlace.arrays import FloatArray, IntArray, SparseArray
from interlace.errors import InterlaceError, OptimizationError
from interlace.pls.matrices.crossproducts import CrossProducts
from interlace.pls.matrices.relcov import Layout

from .conjugate import Solved, conjugate_gradients
from .implicit import ImplicitSchur, blocks_times, crossed
from .nested import solved_among

# Residuals of solves for the data and for probes, relative to the right-hand side.
DATA_TOLERANCE, PROBE_TOLERANCE = 1e-9, 1e-6
# Random probes unless more are asked for.
PROBES = 16
# Steps of conjugate gradients at most; beyond, levels hang together so loosely that sampling is no use.
MOST_STEPS = 1_000
# Columns outside the largest factor up to which a probe for each costs little: nothing is sampled then.
FEW_COLUMNS = 64
# Elements of one set of right-hand sides at most.
ELEMENTS_AT_ONCE = 40_000_000


@dataclass(frozen=True, eq=False)
class Sample:
    """What the probes say at one Lambda.

    Attributes
    ----------
    fixed : list of ndarray of shape (K, K)
        Sums over the deterministic probes of what is taken off `ImplicitSchur.alone`, per factor.
    drawn : list of ndarray of shape (probes, K, K)
        The same for each random probe.
    logdet : float
        ``log |S^|`` in the deterministic directions, and all of its first order.
    logdets : ndarray of shape (probes,)
        The rest of it, for each random probe.
    steps : int
        Steps of conjugate gradients, at most.
    """

    fixed: list[FloatArray]
    drawn: list[FloatArray]
    logdet: float
    logdets: FloatArray
    steps: int

    def taken_off(self, f: int) -> FloatArray:
        """What is taken off for factor f, (K, K)."""
        drawn = self.drawn[f]
        return np.asarray(self.fixed[f] + drawn.mean(axis=0) if len(drawn) else self.fixed[f])


class IterativeFactorization:
    """M known by products alone.

    Parameters
    ----------
    cp : CrossProducts
        Cross-products, factors in decreasing number of columns, at least two.
    layout : Layout
        Columns of Z.
    probes : int
        Random probes.
    seed : int
        Of the probes, which are the same at every Lambda: the criterion is then a smooth function.
    """

    solver = "iterative"

    def __init__(self, cp: CrossProducts, layout: Layout, *, probes: int = PROBES, seed: int = 0) -> None:
        self.layout = layout
        self.probes, self.seed = probes, seed
        self._data = crossed(cp, layout)
        self._random = _signs(layout.rest, probes, seed)

    @property
    def sampled(self) -> bool:
        """Whether anything is left to chance."""
        return bool(self._random.shape[1] > 0)

    def with_probes(self, probes: int, seed: int | None = None) -> IterativeFactorization:
        """The same with another number of probes; of one seed, the first of them are the same."""
        seed = self.seed if seed is None else seed
        if (probes, seed) == (self.probes, self.seed):
            return self
        more = copy(self)
        more.probes, more.seed = probes, seed
        more._random = _signs(self.layout.rest, probes, seed)
        return more

    def update(self, Lambda: Sequence[FloatArray]) -> None:
        """Set up the operator for the blocks of Lambda."""
        self._schur = ImplicitSchur(self._data, Lambda)
        self._Lambda = tuple(Lambda)
        self._sample: Sample | None = None
        self.steps = 0

    def stands_at(self, Lambda: Sequence[FloatArray]) -> bool:
        """Whether it was updated last for these blocks of Lambda."""
        return all(np.array_equal(now, then) for now, then in zip(self._Lambda, Lambda, strict=True))

    def logdet(self) -> float:
        """``log |M|``, sampled."""
        sample = self.sample()
        drawn = float(sample.logdets.mean()) if len(sample.logdets) else 0.0
        return self._schur.logdet + sample.logdet + drawn

    def conditional(self, B: FloatArray) -> FloatArray:
        """T B, for B of shape (q, r)."""
        out = np.empty((self.layout.q, B.shape[1]))
        step = max(1, ELEMENTS_AT_ONCE // self.layout.q)
        for start in range(0, B.shape[1], step):
            own = slice(start, start + step)
            out[:, own] = self._conditional(np.ascontiguousarray(B[:, own]))
        return out

    def _conditional(self, B: FloatArray) -> FloatArray:
        schur, first, across = self._schur, self.layout.starts[1], self._data.across
        alone = blocks_times(schur.H, B[:first])
        rest = schur.each(schur.R, B[first:] - across.T @ alone, transposed=True)
        solved = conjugate_gradients(schur.times, rest, tolerance=DATA_TOLERANCE, most=MOST_STEPS)
        self._refuse(solved)
        b = schur.each(schur.R, solved.X)
        return np.concatenate([alone - blocks_times(schur.H, across @ b), b])

    def _refuse(self, solved: Solved) -> None:
        if not solved.converged:
            raise OptimizationError(
                f"conjugate gradients did not converge in {MOST_STEPS} steps: the levels of the factors hang "
                'together too loosely for the iterative solver. Use solver="cholmod" or "blocked" with more '
                "memory, or fit the connected parts of the data one by one."
            )
        self.steps = max(self.steps, int(solved.steps.max(initial=0)))

    def sample(self) -> Sample:
        """Ask the probes, once for each Lambda."""
        if self._sample is None:
            self._sample = self._asked()
        return self._sample

    def _asked(self) -> Sample:
        schur, rest = self._schur, self.layout.rest
        fixed = schur.shifts() if self.sampled else np.eye(rest)
        probes = np.hstack([fixed, self._random - fixed @ (fixed.T @ self._random)])
        solved = conjugate_gradients(schur.times, probes, tolerance=PROBE_TOLERANCE, most=MOST_STEPS)
        self._refuse(solved)
        k = fixed.shape[1]
        sums = self._contributions(schur.each(schur.R, solved.X), schur.each(schur.R, probes))
        first_order = solved.quadratic_forms() - solved.squares
        second_order = solved.logarithms() - first_order
        # tr (S^ - I) = 0, since its diagonal blocks vanish: nothing of first order is left to chance.
        return Sample(
            fixed=[own[:k].sum(axis=0) for own in sums],
            drawn=[own[k:] for own in sums],
            logdet=float(second_order[:k].sum()),
            logdets=second_order[k:],
            steps=int(solved.steps.max(initial=0)),
        )

    def _contributions(self, left: FloatArray, right: FloatArray) -> list[FloatArray]:
        """For each probe, the sums over levels of what it says of ``T_22``, (r, K, K) per factor."""
        schur, across = self._schur, self._data.across
        pairs = [(blocks_times(schur.Q, across @ left), blocks_times(schur.Q, across @ right))]
        images = (schur.each(schur.shrink, schur.coupled(V)) for V in (left, right))
        x, y = images
        pairs += [(x[where], y[where]) for where in self._data.slices()]
        return [_outer_sums(a, b, K) for (a, b), K in zip(pairs, self.layout.K, strict=True)]

    def information(self) -> list[FloatArray]:
        """Sum over levels of the diagonal blocks of ``Z' V0^-1 Z``, (K, K) per factor; sampled."""
        sample = self.sample()
        return [alone - sample.taken_off(f) for f, alone in enumerate(self._schur.alone)]

    def rough_information(self) -> None:
        """None: fewer digits would take as long."""

    def conditional_among(self, columns: IntArray) -> FloatArray:
        """T among some columns of Z, a solve for each, (c, c)."""
        return solved_among(self, columns)

    def conditional_blocks(self) -> list[FloatArray]:
        """Refused: a solve for each column of Z."""
        raise InterlaceError(
            f"conditional variances of all {self.layout.q:,} random effects would take as many solves, since "
            'the iterative solver has no factor. Ask for some levels, or fit with solver="cholmod" or '
            '"blocked" where memory permits.'
        )

    def conditional_pairs(self, f: int, g: int, level: IntArray, other: IntArray) -> FloatArray:
        """Refused, as `conditional_blocks` is."""
        del f, g, level, other
        raise InterlaceError(
            "conditional covariances of pairs of levels are not available from the iterative solver, which "
            'has no factor. Fit with solver="cholmod" or "blocked" where memory permits.'
        )

    def apart(self, cp: CrossProducts) -> IterativeFactorization:
        """The same for another thread."""
        del cp
        return copy(self)

    def with_products(self, cp: CrossProducts) -> IterativeFactorization:
        """The same for cross-products of other rows."""
        return IterativeFactorization(cp, self.layout, probes=self.probes, seed=self.seed)

    def follow(self, numbers: FloatArray | SparseArray) -> IterativeFactorization:
        """Refused: under changing weights rows ask for entries of the inverse."""
        del numbers
        raise InterlaceError(
            "the iterative solver has no factor, and generalised models ask for entries of the inverse at "
            'every step. Fit with solver="auto", "cholmod" or "blocked".'
        )

    def reweigh(self, values: FloatArray) -> IterativeFactorization:
        """Refused, as `follow` is."""
        return self.follow(values)

    def conditional_entries(self) -> FloatArray:
        """Refused, as `follow` is."""
        return self.follow(np.empty(0)).conditional_entries()


def _signs(rest: int, probes: int, seed: int) -> FloatArray:
    """Random signs, (rest, probes); none where there is a probe for every column."""
    if rest <= FEW_COLUMNS:
        return np.zeros((rest, 0))
    draws = [np.random.default_rng((seed, i)).integers(0, 2, rest) for i in range(probes)]
    return np.asarray(np.stack(draws, axis=1) * 2.0 - 1.0)


def _outer_sums(x: FloatArray, y: FloatArray, K: int) -> FloatArray:
    """``sum_l x_l y_l'`` of each column, made symmetric: (r, K, K)."""
    x, y = x.reshape(-1, K, x.shape[1]), y.reshape(-1, K, y.shape[1])
    sums = np.empty((x.shape[2], K, K))
    for a, b in np.ndindex(K, K):
        sums[:, a, b] = np.einsum("lr,lr->r", x[:, a], y[:, b])
    return np.asarray((sums + sums.transpose(0, 2, 1)) / 2.0)
