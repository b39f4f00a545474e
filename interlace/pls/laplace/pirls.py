"""Conditional modes by penalised iteratively reweighted least squares, and what they are started from.

The modes minimise ``-2 l(y | eta) + u'u``, ``eta = X beta + Z Lambda u``.  They are kept as ``b = Lambda u``
and ``v`` with ``b = Lambda Lambda' v``, so that no step divides by Lambda: ``u'u = b'v``, and at the mode
``v = Z's``.  A Newton step is ``db = T (Z's - v)``, ``dv = (Z's - v) - A db`` with T and A at any weights:
those of an earlier point make a *chord* step, which costs a pass over the rows and no factorization.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass

import numpy as np

from interlace.arrays import FloatArray
from interlace.errors import NotPositiveDefiniteError
from interlace.family import Family
from interlace.pls.factor.factorization import Factorization
from interlace.pls.factor.solvers import Solver, choose
from interlace.pls.matrices.relcov import Layout, axes
from interlace.pls.matrices.terms import GroupingFactor

from .cells import Cells

# Largest change of eta that a last step may make: log |M| is not stationary in the modes.
TOLERANCE = 1e-9
# Change of eta since the factorization beyond which chord steps contract too slowly, and share of the last
# step's length above which they do.
FAR, SLOW = 0.5, 0.3
# Share of the promised decrease that a step must give, and halvings at most.
ARMIJO, HALVINGS = 1e-4, 40
# Decrease, relative, below which rounding decides whether there is one.
ROUNDING = 1e-11
MOST_STEPS = 200
# Singular value of Lambda below which b says less about v than v does about b.
FAINT = 0.1


class Weighted:
    """Factorization of M under changing weights; it moves.

    Parameters
    ----------
    cells : Cells
        The rows.
    solver : {"auto", "cholmod", "blocked"}
        Factorization.
    max_memory : int, optional
        Bytes that it may take; by default what the machine has.
    """

    def __init__(self, cells: Cells, solver: Solver, *, max_memory: int | None = None) -> None:
        self.cells = cells
        self.count = 0
        layout = cells.rows.layout
        factors = [
            GroupingFactor(codes, n) for codes, n in zip(cells.rows.codes, layout.n_levels, strict=True)
        ]
        self.factorization: Factorization = choose(
            cells.products(), layout, factors, solver, max_memory=max_memory, reweighed=True
        )
        self.factorization = self.factorization.follow(cells.assembly.numbers)
        self.w = np.ones(cells.n)

    def apart(self) -> Weighted:
        """A second one that moves by itself: for another thread."""
        other = copy(self)
        alone = self.factorization.apart(self.cells.products())
        other.factorization = alone.follow(self.cells.assembly.numbers)
        return other

    def factorise(self, w: FloatArray, Lambda: Sequence[FloatArray]) -> bool:
        """Take new weights; whether M is positive definite under them."""
        self.w, self.count = w, self.count + 1
        try:
            with np.errstate(invalid="ignore", divide="ignore"):
                self.factorization = self.factorization.reweigh(self.cells.assembly.entries(w))
                self.factorization.update(Lambda)
                return bool(np.isfinite(self.factorization.logdet()))
        except (NotPositiveDefiniteError, np.linalg.LinAlgError):
            return False

    def times_A(self, ZB: FloatArray) -> FloatArray:
        """``Z'WZ B`` at the weights of the factorization, from ``Z B``."""
        return self.cells.weighted(self.w, ZB)

    def leverages(self) -> FloatArray:
        """``z_i' T z_i`` of every cell."""
        return self.cells.assembly.quadratics(self.factorization.conditional_entries())


@dataclass(frozen=True, eq=False)
class Modes:
    """Conditional modes at one value of the parameters; the factorization stands at their weights.

    Attributes
    ----------
    b, v : ndarray of shape (q,)
        Modes on the terms' bases, and ``Z's``.
    eta, s, w : ndarray of shape (n,)
        Linear predictor, first and minus second derivative of each cell's log-likelihood.
    penalised : float
        ``-2 l + u'u`` without the constant of l.
    found : bool
        Whether they are modes, to tolerance, and M is positive definite there.
    """

    b: FloatArray
    v: FloatArray
    eta: FloatArray
    s: FloatArray
    w: FloatArray
    penalised: float
    found: bool


def consistent(
    Lambda: Sequence[FloatArray], layout: Layout, b: FloatArray, v: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """The pair ``b = Lambda Lambda' v`` closest to guesses of both.

    Along principal axes in which Lambda is not small b is believed, along the others v.
    """
    b_out, v_out = np.empty_like(b), np.empty_like(v)
    for own, K, block in zip(layout.slices, layout.K, Lambda, strict=True):
        U, sd = axes(block)
        along_b, along_v = b[own].reshape(-1, K) @ U, v[own].reshape(-1, K) @ U
        square = np.where(sd > FAINT, sd**2, 1.0)
        along_v = np.where(sd > FAINT, along_b / square, along_v)
        b_out[own] = ((along_v * sd**2) @ U.T).ravel()
        v_out[own] = (along_v @ U.T).ravel()
    return b_out, v_out


@dataclass
class _Search:
    """The moving part: where the modes stand."""

    weighted: Weighted
    family: Family
    psi: FloatArray
    Lambda: Sequence[FloatArray]
    fixed: FloatArray
    b: FloatArray
    v: FloatArray

    def __post_init__(self) -> None:
        self.place(self.b, self.v, self.fixed + self.weighted.cells.random(self.b))

    def place(self, b: FloatArray, v: FloatArray, eta: FloatArray) -> None:
        cells = self.weighted.cells
        self.b, self.v, self.eta = b, v, eta
        value, self.s, self.w = self.family.terms(cells.y, cells.m, eta, self.psi)
        self.penalised = float(b @ v - 2.0 * value.sum())

    def at_zero(self) -> None:
        """Begin at modes of zero."""
        zero = np.zeros_like(self.b)
        self.place(zero, zero, self.fixed)

    def lower_of_zero(self) -> bool:
        """Go to modes of zero if that is better than here; whether it was."""
        b, v, eta, here = self.b, self.v, self.eta, self.penalised
        self.at_zero()
        if self.penalised < here:
            return True
        self.place(b, v, eta)
        return False

    def factorise(self) -> bool:
        self.factorised = self.eta
        if self.weighted.factorise(self.w, self.Lambda):
            return True
        # Not concave here: the positive part of the weights still leads down.
        return self.weighted.factorise(np.maximum(self.w, 0.0), self.Lambda)

    @property
    def moved(self) -> float:
        """Largest change of eta since the factorization."""
        return float(np.abs(self.eta - self.factorised).max(initial=0.0))

    def step(self) -> tuple[float, bool]:
        """One Newton or chord step: the largest change of eta it asked for, whether it was taken whole."""
        weighted, cells = self.weighted, self.weighted.cells
        lacking = cells.sums(self.s) - self.v
        db = weighted.factorization.conditional(lacking[:, None])[:, 0]
        d_eta = cells.random(db)
        dv = lacking - weighted.times_A(d_eta)
        asked = float(np.abs(d_eta).max(initial=0.0))
        promised = 2.0 * float(db @ lacking)
        before, b, v, eta = self.penalised, self.b, self.v, self.eta
        size = 1.0
        for _ in range(HALVINGS):
            self.place(b + size * db, v + size * dv, eta + size * d_eta)
            slack = ROUNDING * max(1.0, abs(before))
            if self.penalised <= before - ARMIJO * size * promised + slack:
                return asked, size == 1.0
            size *= 0.5
        self.place(b, v, eta)
        return asked, False


def find_modes(
    weighted: Weighted,
    family: Family,
    psi: FloatArray,
    Lambda: Sequence[FloatArray],
    fixed: FloatArray,
    guess: tuple[FloatArray, FloatArray],
    *,
    tolerance: float = TOLERANCE,
) -> Modes:
    """Minimise ``-2 l + u'u``.

    Parameters
    ----------
    weighted : Weighted
        Cells and factorization; left at the weights of the modes.
    family, psi : Family, ndarray
        The log-likelihood.
    Lambda : sequence of ndarray of shape (K, K)
        Blocks of Lambda per factor.
    fixed : ndarray of shape (n,)
        ``X beta + offset``.
    guess : tuple of ndarray of shape (q,)
        b and v to begin with; dropped if zeros are better.
    tolerance : float
        Largest change of eta by the last step.

    Returns
    -------
    Modes
    """
    layout = weighted.cells.rows.layout
    search = _Search(weighted, family, psi, Lambda, fixed, *consistent(Lambda, layout, *guess))
    if not np.isfinite(search.penalised):
        search.at_zero()
    found = bool(np.isfinite(search.penalised)) and _converge(search, tolerance)
    if found and search.moved > 10.0 * tolerance:
        search.factorised = search.eta
        found = weighted.factorise(search.w, Lambda)
    return Modes(search.b, search.v, search.eta, search.s, search.w, search.penalised, found)


def _converge(search: _Search, tolerance: float) -> bool:
    if not search.factorise():
        return False
    last, fresh = np.inf, True
    for i in range(MOST_STEPS):
        asked, whole = search.step()
        if not np.isfinite(asked):
            return False
        if i == 0 and asked > FAR and search.lower_of_zero() and not search.factorise():
            return False  # the guess was bad, and so may be what was factorised there
        if asked <= tolerance:
            return True
        if not whole and fresh and search.moved == 0.0:
            return asked < 1e-6  # rounding forbids any further step
        fresh = not whole or search.moved > FAR or (asked > SLOW * last and search.moved > 0.0)
        if fresh and not search.factorise():
            return False
        last = np.inf if fresh else asked
    return False
