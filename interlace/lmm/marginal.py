"""The model as a distribution of the response: likelihood, its derivatives, draws."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from statsmodels.base.model import LikelihoodModel
from statsmodels.tools.numdiff import approx_fprime, approx_hess

from interlace import pls
from interlace.arguments import LARGEST, numbers
from interlace.arrays import FloatArray
from interlace.design import Design
from interlace.errors import ArgumentError
from interlace.formula.elsewhere import MODEL, refuse_attribute
from interlace.inference import relative_factors
from interlace.pls.factor.solvers import Solver

from . import mixedlm
from .distribution import MarginalDistribution
from .likelihood import Likelihood


class MarginalModel(LikelihoodModel):
    """What a linear mixed model says about the response once the random effects are integrated out.

    Attributes
    ----------
    k_fe : int
        Number of fixed effects.
    """

    k_fe: int

    @property
    def design(self) -> Design:
        """The matrices and their labels."""
        return self.data.design

    # MixedLM's names.
    groups, n_groups = property(mixedlm.groups), property(mixedlm.n_groups)
    group_labels, exog_re = property(mixedlm.group_labels), property(mixedlm.exog_re)
    k_re, k_vc, get_scale = property(mixedlm.k_re), property(mixedlm.k_vc), mixedlm.get_scale

    def __getattr__(self, name: str) -> Any:
        refuse_attribute(self, name, MODEL, "the model")

    def criterion(self, *, reml: bool = True, solver: Solver = "auto") -> pls.ProfiledCriterion:
        """Profiled criterion of the model: a function of theta, lme4's deviance function.

        Parameters
        ----------
        reml : bool, default True
            REML criterion or deviance.
        solver : {"auto", "cholmod", "blocked"}, default "auto"
            Factorization.

        Returns
        -------
        ProfiledCriterion
            Call it with theta; ``gradient(theta)`` is exact.

        Examples
        --------
        >>> import interlace
        >>> sleep = interlace.datasets.load_sleepstudy()
        >>> model = interlace.CrossedLMM.from_formula("Reaction ~ Days + (Days | Subject)", sleep)
        >>> round(model.criterion(reml=False)([1.0, 0.0, 1.0]), 4)
        1784.6423
        """
        return self.design.criterion(reml=reml, solver=solver)

    def loglike(self, params: ArrayLike, scale: float | None = None, *, reml: bool = True) -> float:
        """Log-likelihood of fixed effects and variance parameters.

        Parameters
        ----------
        params : array_like of shape (k_params,)
            Fixed effects, then variances and covariances on the scale of the data: the space of
            ``results.params``.
        scale : float, optional
            Residual variance; by default the one that maximises the likelihood at ``params``.
        reml : bool, default True
            Restricted likelihood or likelihood.

        Returns
        -------
        float
            ``results.llf`` at ``results.params``; minus infinity outside the parameter space.
        """
        return self._likelihood(reml).loglike(self._checked(params), scale)

    def score(self, params: ArrayLike, scale: float | None = None, *, reml: bool = True) -> FloatArray:
        """Gradient of ``loglike`` by ``params``, by central differences.

        Parameters
        ----------
        params : array_like of shape (k_params,)
            Fixed effects, then variances and covariances.
        scale : float, optional
            Residual variance; see ``loglike``.
        reml : bool, default True
            Restricted likelihood or likelihood.

        Returns
        -------
        ndarray of shape (k_params,)
            Zero at the estimates of a regular fit; not finite on the boundary of the parameter space.
        """
        likelihood = self._likelihood(reml)
        with np.errstate(invalid="ignore"):
            return approx_fprime(self._checked(params), likelihood.loglike, args=(scale,), centered=True)

    def hessian(self, params: ArrayLike, scale: float | None = None, *, reml: bool = True) -> FloatArray:
        """Second derivatives of ``loglike`` by ``params``, by differences.

        Parameters
        ----------
        params : array_like of shape (k_params,)
            Fixed effects, then variances and covariances.
        scale : float, optional
            Residual variance; see ``loglike``.
        reml : bool, default True
            Restricted likelihood or likelihood.

        Returns
        -------
        ndarray of shape (k_params, k_params)
            Accurate to about five digits; not finite on the boundary of the parameter space.
        """
        likelihood = self._likelihood(reml)
        with np.errstate(invalid="ignore"):
            return approx_hess(self._checked(params), likelihood.loglike, args=(scale,))

    def information(self, params: ArrayLike, scale: float | None = None, *, reml: bool = True) -> FloatArray:
        """Observed information: minus ``hessian``.

        Parameters
        ----------
        params : array_like of shape (k_params,)
            Fixed effects, then variances and covariances.
        scale : float, optional
            Residual variance; see ``loglike``.
        reml : bool, default True
            Restricted likelihood or likelihood.

        Returns
        -------
        ndarray of shape (k_params, k_params)
            Its inverse holds the sampling covariance of the estimates.
        """
        return -self.hessian(params, scale, reml=reml)

    def _checked(self, params: ArrayLike) -> FloatArray:
        are = "fixed effects, then variances and covariances, as results.params has them"
        return numbers("params", params, self.k_params, are=are, largest=LARGEST)

    def _likelihood(self, reml: bool) -> Likelihood:
        sizes = tuple(len(term.columns) for term in self.design.term_labels)
        return Likelihood(self.criterion(reml=reml), sizes)

    def predict(self, params: ArrayLike, exog: ArrayLike | None = None) -> FloatArray:
        """Compute the fixed part of the mean, without the offset.

        Parameters
        ----------
        params : array_like
            Fixed effects, or all the parameters.
        exog : array_like of shape (m, k_fe), optional
            Fixed-effects model matrix; that of the model by default.

        Returns
        -------
        ndarray
            One value per row.
        """
        matrix = self.design.X if exog is None else np.asarray(exog, dtype=float)
        are = "fixed effects, and perhaps variances after them"
        given = numbers("params", params, max(self.k_fe, np.size(params)), are=are)
        return matrix @ given[: self.k_fe]

    def get_distribution(
        self, params: ArrayLike, scale: float, exog: ArrayLike | None = None
    ) -> MarginalDistribution:
        """Distribution of the response when the random effects are drawn anew.

        Parameters
        ----------
        params : array_like of shape (k_params,)
            Fixed effects, then variances and covariances, as ``results.params``.
        scale : float
            Residual variance.
        exog : array_like of shape (n, k_fe), optional
            Fixed-effects model matrix for the rows of the model.

        Returns
        -------
        MarginalDistribution
            With ``mean()``, ``var()``, ``std()`` and ``rvs(size, rng=)``.

        Raises
        ------
        ValueError
            If a covariance matrix is not positive semidefinite.
        """
        design, natural = self.design, self._checked(params)
        factors = relative_factors(natural[self.k_fe :], [term.k for term in design.terms], 1.0)
        if factors is None:
            raise ArgumentError("params hold a covariance matrix that is not positive semidefinite")
        mean = self.predict(natural, exog)
        return MarginalDistribution(
            loc=mean if design.offset is None else mean + design.offset,
            scale=float(scale),
            weights=design.weights,
            factors=design.factors,
            terms=design.terms,
            covariances=tuple(factor @ factor.T for factor in factors),
        )
