"""One variance: the criterion along the whole line, and a proof that nothing on it is lower.

With one random intercept (or one slope) and ``t = theta^2``, one spectral decomposition of Z'Z with X
projected off gives

    d(t) = F(t) + nu log r^2(t) + const,    r^2(t) = c_0 + sum of c_i / (1 + mu_i t),

``F = sum of log(1 + mu_i t)`` for REML; for ML with the eigenvalues of Z'Z itself.  F is concave and grows,
r^2 is convex and falls.  So between two values of t the criterion is nowhere lower than the chord of F and a
tangent of r^2 give at the ends: a concave function, least at an end.  Intervals are halved until none can
hold anything lower.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from interlace.arrays import FloatArray

from .criterion import Decomposition, ProfiledCriterion

# Levels up to which the decomposition is made, and the share of the largest eigenvalue that is none.
MOST_LEVELS, NULL = 120, 1e-11
# "Nothing lower" is proved to this much deviance.
PROVED_TO = 1e-6
# Halvings, and intervals at a time, after which there is no proof.
ROUNDS, MOST_INTERVALS = 40, 4000


@dataclass(frozen=True, eq=False)
class Line:
    """The criterion as a function of the one relative variance, but for a constant.

    Attributes
    ----------
    rates : ndarray of shape (r,)
        What stands beside t in F.
    mu, c : ndarray of shape (s,)
        Poles and weights of r^2.
    c0 : float
        Its limit.
    nu : float
        Degrees of freedom of sigma^2.
    """

    rates: FloatArray
    mu: FloatArray
    c: FloatArray
    c0: float
    nu: float

    def F(self, t: FloatArray) -> FloatArray:
        """``log |M|``, and for REML ``log |R_X|^2``."""
        return np.asarray(np.log1p(np.multiply.outer(t, self.rates)).sum(axis=-1))

    def r2(self, t: FloatArray) -> tuple[FloatArray, FloatArray]:
        """r^2 and its derivative."""
        w = 1.0 / (1.0 + np.multiply.outer(t, self.mu))
        return self.c0 + w @ self.c, -(w * w) @ (self.mu * self.c)

    def __call__(self, t: FloatArray) -> FloatArray:
        """The criterion, but for a constant."""
        return np.asarray(self.F(t) + self.nu * np.log(self.r2(t)[0]))

    def least(self, low: FloatArray, high: FloatArray) -> FloatArray:
        """Lower bounds of the criterion between low and high, arrays of one shape."""
        middle = (low + high) / 2.0
        r2, slope = self.r2(middle)
        reach = slope * (high - middle)
        floor = self.r2(high)[0]
        F_low, F_high = self.F(low), self.F(high)
        ahead = r2 + reach
        chord = np.minimum(
            F_low + self.nu * np.log(r2 - reach),
            np.where(ahead > 0.0, F_high + self.nu * np.log(np.where(ahead > 0.0, ahead, 1.0)), -np.inf),
        )
        return np.asarray(np.maximum(chord, F_low + self.nu * np.log(floor)))

    def lower_than(self, t: float) -> float | None:
        """Look for something lower along the line.

        Parameters
        ----------
        t : float
            Where the criterion is low.

        Returns
        -------
        float or None
            Where it is lower by more than `PROVED_TO`; ``t`` itself where it is proved that there is no such
            place; None where neither was found.
        """
        best = float(self(np.array([t]))[0]) - PROVED_TO
        scale = 1.0 / max(float(self.rates.max()), 1e-300)
        edges = np.concatenate([[0.0], scale * 4.0 ** np.arange(-10.0, 30.0)])
        if not self.c0 > 0.0 or self.F(edges[-1:])[0] + self.nu * np.log(self.c0) < best:
            return None
        low, high = edges[:-1], edges[1:]
        for _ in range(ROUNDS):
            open_ = self.least(low, high) < best
            if not open_.any():
                return t
            low, high = low[open_], high[open_]
            middle = (low + high) / 2.0
            values = self(middle)
            if values.min() < best:
                return float(middle[values.argmin()])
            if len(middle) > MOST_INTERVALS:
                return None
            low, high = np.concatenate([low, middle]), np.concatenate([middle, high])
        return None


def line(criterion: ProfiledCriterion) -> Line | None:
    """The criterion along its one parameter; None where it has more of them or many levels.

    Parameters
    ----------
    criterion : ProfiledCriterion
        The criterion.

    Returns
    -------
    Line or None
    """
    cp = criterion.cp
    if criterion.relcov.m > 1 or len(cp.B) > MOST_LEVELS:
        return None
    own = np.asarray(cp.A.diagonal())
    BX, BX_y, CX_y = cp.B[:, :-1], cp.B[:, -1], cp.C[:-1, -1]
    mu, U = np.linalg.eigh(np.diag(own) - BX @ BX.T)
    kept = mu > NULL * max(float(own.max()), 1e-300)
    mu, along = mu[kept], (BX_y - BX @ CX_y) @ U[:, kept]
    if not len(mu):
        return None
    c = along**2 / mu
    c0 = float(cp.C[-1, -1] - CX_y @ CX_y - c.sum())
    return Line(mu if criterion.reml else own, mu, c, c0, criterion.nu)


def variance(at: Decomposition) -> float:
    """t at an evaluation."""
    return float(at.phi[0] ** 2)
