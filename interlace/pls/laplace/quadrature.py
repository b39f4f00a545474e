"""Adaptive Gauss-Hermite quadrature for one scalar random effect, with the gradient of its moving nodes.

Given the fixed effects the levels are independent, and the integral over each one's u is done at the nodes
``u_l + M_ll^(-1/2) x_k`` around its mode.  One node is Laplace's approximation.  The nodes move with the
parameters; with ``pi_k`` the share of node k in the integral of a level and ``sd = M_ll^(-1/2)``,

    d log L_l = sum over k of pi_k { direct_k + (Lambda z's_k - u_k) (du_l + d sd_l x_k) } + d sd_l / sd_l,

"direct" being the derivative of the log-likelihood at a node that stays (Pinheiro & Bates 1995).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import special

from interlace.arrays import FloatArray
from interlace.errors import ArgumentError

from .criterion import Evaluation, Guess, LaplaceCriterion
from .pirls import TOLERANCE
from .slopes import Slopes


@dataclass(frozen=True, eq=False)
class _Nodes:
    """Nodes of every level, (n_levels, K): u, abscissas, logarithm of what each adds; and sd, (n_levels,)."""

    u: FloatArray
    x: FloatArray
    log_share: FloatArray
    sd: FloatArray

    @property
    def loglik(self) -> float:
        """Sum over levels of the logarithm of the integral."""
        return float(special.logsumexp(self.log_share, axis=1).sum() + np.log(self.sd).sum())

    @property
    def share(self) -> FloatArray:
        """Share of each node in the integral of its level, (n_levels, K)."""
        return np.asarray(special.softmax(self.log_share, axis=1))


class QuadratureCriterion(LaplaceCriterion):
    """Minus twice the log-likelihood by adaptive quadrature.

    Parameters
    ----------
    laplace : LaplaceCriterion
        The criterion with one node, of one scalar term.
    nagq : int
        Nodes.

    Raises
    ------
    ValueError
        For other models.
    """

    def __init__(self, laplace: LaplaceCriterion, nagq: int) -> None:
        layout = laplace.relcov.layout
        if layout.K != (1,):
            raise ArgumentError(
                f"nagq={nagq} asks for quadrature over {len(layout.K)} grouping factor(s) with {layout.K} "
                "random effects per level; it can be had for a single one. Use nagq=1, or drop other terms."
            )
        self.__dict__.update(laplace.__dict__)
        self.nagq = nagq
        self._x, weights = np.polynomial.hermite_e.hermegauss(nagq)
        self._log_weights = np.log(weights / weights.sum()) + 0.5 * self._x**2

    def evaluate(
        self,
        x: FloatArray,
        gauge: Sequence[FloatArray] | None = None,
        guess: Guess | None = None,
        *,
        tolerance: float = TOLERANCE,
    ) -> Evaluation:
        """Evaluate the criterion; see `LaplaceCriterion.evaluate`."""
        at = super().evaluate(x, gauge, guess, tolerance=tolerance)
        if not at.modes.found:
            return at
        return replace(at, objective=-2.0 * (self._nodes(at).loglik + self.constant))

    def _nodes(self, at: Evaluation) -> _Nodes:
        cells, Lambda = self.cells, float(at.Lambda[0][0, 0])
        sd = 1.0 / np.sqrt(1.0 + Lambda**2 * self._information(at))
        u = (Lambda * at.modes.v)[:, None] + sd[:, None] * self._x
        log_share = self._log_weights - 0.5 * u**2
        for k in range(self.nagq):
            eta = self._eta(at, u[:, k])
            value = self.family.terms(cells.y, cells.m, eta, at.psi)[0]
            log_share[:, k] += np.bincount(cells.rows.codes[0], weights=value, minlength=len(u))
        return _Nodes(u, self._x, log_share, sd)

    def _eta(self, at: Evaluation, u: FloatArray) -> FloatArray:
        return self.cells.fixed(at.gamma) + self.cells.random(float(at.Lambda[0][0, 0]) * u)

    def _information(self, at: Evaluation) -> FloatArray:
        """Diagonal of Z'WZ, all there is of it, (n_levels,)."""
        return self.cells.sums(self.cells.rows.columns[0][:, 0] * at.modes.w)

    def slopes(self, at: Evaluation) -> Slopes:
        """Exact gradient; Hessian and scores are those of Laplace's approximation.

        Scores are asked for at a variance of zero only, where both agree.
        """
        near = super().slopes(at)
        return replace(near, gradient=self._gradient(at, near))

    def gradient(self, at: Evaluation) -> FloatArray:
        """The exact gradient; the nodes move, so it needs as much as `slopes`."""
        return self.slopes(at).gradient

    def _gradient(self, at: Evaluation, near: Slopes) -> FloatArray:
        cells, m, p = self.cells, self.m, self.p
        nodes, Lambda = self._nodes(at), float(at.Lambda[0][0, 0])
        share = nodes.share
        u_dot = Lambda * near.v_dot
        u_dot[:, 0] += at.modes.v
        sd_dot = self._sd_dot(at, near, nodes.sd)
        total = (sd_dot / nodes.sd[:, None]).sum(axis=0)
        for k, x in enumerate(nodes.x):
            eta = self._eta(at, nodes.u[:, k])
            _, s, _ = self.family.terms(cells.y, cells.m, eta, at.psi)
            own = share[:, k]
            by_level = cells.sums(s)
            pulled = own * (Lambda * by_level - nodes.u[:, k])
            total += pulled @ (u_dot + x * sd_dot)
            total[0] += (own * by_level) @ nodes.u[:, k]
            of_rows = own[cells.rows.codes[0]]
            total[m : m + p] += cells.X.T @ (of_rows * s)
            total[m + p :] += self.family.psi_terms(cells.y, cells.m, eta, at.psi).loglik @ of_rows
        return np.asarray(-2.0 * total)

    def _sd_dot(self, at: Evaluation, near: Slopes, sd: FloatArray) -> FloatArray:
        """Derivatives of ``M_ll^(-1/2)``, (n_levels, m + p + k)."""
        cells, m, p, modes = self.cells, self.m, self.p, at.modes
        Lambda = float(at.Lambda[0][0, 0])
        eta_dot = cells.random(near.b_dot)
        eta_dot[:, m : m + p] += cells.X
        w_dot = self.family.third(cells.y, cells.m, modes.eta, at.psi)[:, None] * eta_dot
        w_dot[:, m + p :] += self.family.psi_terms(cells.y, cells.m, modes.eta, at.psi).w.T
        square = cells.rows.columns[0][:, 0]
        A_dot = cells.sums(square[:, None] * w_dot)  # Zt holds one more factor of the column
        M_dot = Lambda**2 * A_dot
        M_dot[:, 0] += 2.0 * Lambda * self._information(at)
        return np.asarray(-0.5 * sd[:, None] ** 3 * M_dot)
