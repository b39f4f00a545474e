"""The log-likelihood of fixed effects and variance parameters, away from the optimum too."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import optimize

from interlace.arrays import FloatArray
from interlace.errors import DesignError
from interlace.inference import column_major, relative_factors
from interlace.pls import ProfiledCriterion
from interlace.pls.search.criterion import Decomposition

# Where the residual variance is sought, around its value at the previous guess, in powers of e.
BRACKET = 1.0


@dataclass(frozen=True, eq=False)
class Likelihood:
    """The (restricted) likelihood of a model as a function of ``params`` and the residual variance.

    Attributes
    ----------
    criterion : ProfiledCriterion
        The profiled criterion of the model; its ``reml`` says which likelihood this is.
    sizes : tuple of int
        Number of columns of every random-effects term.
    """

    criterion: ProfiledCriterion
    sizes: tuple[int, ...]

    def loglike(self, params: FloatArray, scale: float | None = None) -> float:
        """Log-likelihood; its maximum over the residual variance if ``scale`` is None.

        Parameters
        ----------
        params : ndarray of shape (k_fe + n_theta,)
            Fixed effects, then variances and covariances on the scale of the data.
        scale : float, optional
            Residual variance.

        Returns
        -------
        float
            Minus infinity where a covariance matrix is not positive semidefinite.

        Notes
        -----
        ``-2 l = nu log(2 pi s2) + log |L|^2 + (log |R_X|^2 if REML) + (r^2 + |R_X (beta - beta^)|^2) / s2``
        with ``nu`` = n - p for REML and n for ML (JSS eqs. 31 and 38); the prior weights enter as
        ``- sum(log w)``.
        """
        params = np.asarray(params, dtype=float)
        if scale is not None:
            return -0.5 * self._deviance(params, float(scale))
        return -0.5 * self._profiled(params)

    def scale(self, params: FloatArray) -> float:
        """Residual variance at which the likelihood is largest, variances being in units of it.

        Parameters
        ----------
        params : ndarray of shape (k_fe + n_theta,)
            Fixed effects, then variances and covariances divided by the residual variance.

        Returns
        -------
        float

        Raises
        ------
        DesignError
            If a covariance matrix is not positive semidefinite.
        """
        factors = relative_factors(params[self.criterion.cp.p :], self.sizes, 1.0)
        if factors is None:
            raise DesignError("a covariance matrix is not positive semidefinite; wanted one that is")
        return self._at(params, factors)[1] / self.criterion.nu

    def _at(self, params: FloatArray, factors: list[FloatArray]) -> tuple[Decomposition, float]:
        """The decomposition at relative factors, and ``r^2 + |R_X (beta - beta^)|^2`` there."""
        criterion, p, basis = self.criterion, self.criterion.cp.p, self.criterion.basis
        at = criterion.decompose(criterion.relcov.to_basis @ column_major(factors))
        gamma = (basis.R @ params[:p] - basis.shift) / basis.scale
        distance = at.R[:p, :p] @ (gamma - at.gamma)
        return at, float((at.pwrss + distance @ distance) * basis.scale**2)

    def _deviance(self, params: FloatArray, scale: float) -> float:
        criterion, basis = self.criterion, self.criterion.basis
        factors = relative_factors(params[criterion.cp.p :], self.sizes, scale)
        if factors is None:
            return np.inf
        at, sum_of_squares = self._at(params, factors)
        # The profiled criterion holds the log determinants and nu (1 + log(2 pi r^2 / nu)): take that out.
        nu = criterion.nu
        profiled_part = nu * (1.0 + np.log(2.0 * np.pi * at.pwrss * basis.scale**2 / nu))
        return float(at.objective - profiled_part + nu * np.log(2.0 * np.pi * scale) + sum_of_squares / scale)

    def _profiled(self, params: FloatArray) -> float:
        guess = 2.0 * np.log(self.criterion.basis.scale)
        found = optimize.minimize_scalar(
            lambda log_scale: self._deviance(params, float(np.exp(log_scale))),
            bracket=(guess - BRACKET, guess),
            tol=1e-10,
        )
        return float(found.fun)
