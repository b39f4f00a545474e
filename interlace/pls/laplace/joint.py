"""The quick criterion: fixed effects that minimise the penalised likelihood, not the criterion.

    d_fast(theta, psi) = d(theta, beta, psi) at the beta that minimises min over u of { -2 l + u'u },

which is glmer's ``nAGQ = 0``: beta and the modes come from one joint iteration, and log |M| has no say in
beta.  With H the Hessian of the penalised likelihood, ``dbeta/dx = -H_bb^-1 H_bx``, and the gradient follows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from interlace.arrays import FloatArray
from interlace.pls.matrices.triangular import eigen

from .criterion import Evaluation, Guess, LaplaceCriterion
from .pirls import FAR, ROUNDING, SLOW, TOLERANCE, consistent
from .slopes import Slopes
from .start import Joint

# Newton steps at most: under separation fixed effects run off to infinity, one unit of eta at each.
MOST_STEPS = 60
# Share of the largest curvature by fixed effects below which they do not follow: separation.
FLAT = 1e-10
# Stands for the curvature by the fixed effects, which have none: positive, too little for secants to learn.
FAINT = 1e-6


class JointCriterion(LaplaceCriterion):
    """The criterion with fixed effects profiled out by the penalised likelihood.

    Its parameters are those of Laplace's criterion; of the fixed effects, what is asked for is where the
    joint iteration begins, and what an evaluation holds is where it ended.

    Parameters
    ----------
    laplace : LaplaceCriterion
        The criterion.
    """

    def __init__(self, laplace: LaplaceCriterion) -> None:
        self.__dict__.update(laplace.__dict__)
        self._last: tuple[FloatArray, Sequence[FloatArray] | None, FloatArray] | None = None

    def evaluate(
        self,
        x: FloatArray,
        gauge: Sequence[FloatArray] | None = None,
        guess: Guess | None = None,
        *,
        tolerance: float = TOLERANCE,
    ) -> Evaluation:
        """Evaluate the criterion; see `LaplaceCriterion.evaluate`."""
        phi, gamma, psi = self.split(x)
        Psi = self.relcov.Lambda(phi)
        Lambda = Psi if gauge is None else [U @ block for U, block in zip(gauge, Psi, strict=True)]
        if self._last is not None and gauge is self._last[1]:
            gamma = gamma + self._last[2] @ (x - self._last[0])
        if guess is not None:
            guess = consistent(Lambda, self.relcov.layout, *guess)
        with np.errstate(over="ignore", invalid="ignore"):
            joint = Joint(self, Lambda, gamma, psi, guess, slack=ROUNDING)
            if np.isfinite(joint.penalised):
                _converge(joint, tolerance)
        own = np.concatenate([phi, joint.gamma, psi])
        return super().evaluate(own, gauge, (joint.b, joint.v), tolerance=tolerance)

    def slopes(self, at: Evaluation) -> Slopes:
        """Derivatives by phi and psi; those by the fixed effects are zero."""
        full = super().slopes(at)
        follow = self._follow(full.hessian)
        self._last = at.x, at.gauge, follow
        return self._profiled(full, follow)

    def gradient(self, at: Evaluation) -> FloatArray:
        """The gradient alone: it needs as much as `slopes`."""
        return self.slopes(at).gradient

    def _follow(self, H: FloatArray) -> FloatArray:
        """Derivatives of the fixed effects by all parameters, (p, m + p + k); zero by themselves."""
        beta = slice(self.m, self.m + self.p)
        follow = -_inverse(H[beta, beta]) @ H[beta]
        follow[:, beta] = 0.0
        return np.asarray(follow)

    def _profiled(self, full: Slopes, follow: FloatArray) -> Slopes:
        beta = slice(self.m, self.m + self.p)
        gradient = full.gradient + follow.T @ full.gradient[beta]
        hessian = full.hessian + follow.T @ full.hessian[beta]
        gradient[beta], hessian[beta], hessian[:, beta] = 0.0, 0.0, 0.0
        hessian[beta, beta] = FAINT * np.eye(self.p)
        return replace(
            full,
            gradient=gradient,
            hessian=hessian,
            b_dot=full.b_dot + full.b_dot[:, beta] @ follow,
            v_dot=full.v_dot + full.v_dot[:, beta] @ follow,
        )


def _converge(joint: Joint, tolerance: float) -> None:
    """Newton steps, and chord steps as long as they contract."""
    last, fresh = np.inf, True
    for _ in range(MOST_STEPS):
        moved = joint.step(fresh=fresh)
        if moved <= tolerance:
            return
        fresh = moved > FAR or moved > SLOW * last
        last = np.inf if fresh else moved


def _inverse(H: FloatArray) -> FloatArray:
    values, vectors = eigen(H)
    kept = values > FLAT * max(float(values[-1]), 1e-300) if len(values) else np.zeros(0, dtype=bool)
    return np.asarray((vectors[:, kept] / values[kept]) @ vectors[:, kept].T)
