"""The model as a likelihood: the criterion that is minimised, and its value anywhere."""

from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike
from statsmodels.base.model import LikelihoodModel

from interlace.arguments import LARGEST, numbers
from interlace.arrays import FloatArray
from interlace.errors import arithmetic
from interlace.family import Family
from interlace.inference import column_major, relative_factors
from interlace.modelling.described import DescribedModel
from interlace.pls.laplace import Problem, laplace_problem

from .response import counts_of

Solver: TypeAlias = Literal["auto", "cholmod", "blocked"]


class LaplaceModel(LikelihoodModel, DescribedModel):
    """A generalised model and its approximated likelihood.

    Attributes
    ----------
    family : Family
        Family and link.
    k_fe : int
        Number of fixed effects.
    """

    family: Family
    k_fe: int

    @property
    def n_trials(self) -> FloatArray | None:
        """Trials behind each row, (n,); None where every row is one."""
        return self.design.trials

    @property
    def freq_weights(self) -> FloatArray | None:
        """How often each row occurs, (n,); None where once."""
        return self.design.weights

    def problem(self, *, solver: Solver = "auto") -> Problem:
        """The criterion of the model and the way to its parameters.

        Parameters
        ----------
        solver : {"auto", "cholmod", "blocked"}, default "auto"
            Factorization.

        Returns
        -------
        interlace.pls.laplace.Problem

        Examples
        --------
        >>> import interlace
        >>> ticks = {"y": [2, 3, 1, 8, 9, 6, 0, 1, 1, 4, 3, 5], "g": list("aaabbbcccddd")}
        >>> model = interlace.CrossedGLMM.from_formula("y ~ 1 + (1 | g)", ticks, family="poisson")
        >>> model.problem().n
        12
        """
        design = self.design
        return laplace_problem(
            design.factors,
            design.terms,
            design.X,
            counts_of(design),
            self.family,
            weights=design.weights,
            trials=design.trials,
            offset=design.offset,
            solver=solver,
        )

    def loglike(self, params: ArrayLike) -> float:
        """Log-likelihood by Laplace's approximation.

        Parameters
        ----------
        params : array_like of shape (k_params,)
            Fixed effects, variances and covariances, parameters of the family: the space of
            ``results.params``.

        Returns
        -------
        float
            ``results.llf`` at ``results.params`` of a fit with ``nagq=1``; minus infinity where a covariance
            matrix is not positive semidefinite.

        Examples
        --------
        >>> import interlace
        >>> ticks = {"y": [2, 3, 1, 8, 9, 6, 0, 1, 1, 4, 3, 5], "g": list("aaabbbcccddd")}
        >>> model = interlace.CrossedGLMM.from_formula("y ~ 1 + (1 | g)", ticks, family="poisson")
        >>> round(model.loglike([1.0, 0.5]), 3)
        -24.085
        """
        are = "fixed effects, variances and covariances, parameters of the family, as results.params has them"
        given = numbers("params", params, self.k_params, are=are, largest=LARGEST)
        p, design = self.k_fe, self.design
        m = sum(term.n_theta for term in design.terms)
        factors = relative_factors(given[p : p + m], [term.k for term in design.terms], 1.0)
        if factors is None:
            return -np.inf
        problem = self.problem()
        raw = np.concatenate([column_major(factors), given[:p], given[p + m :]])
        with arithmetic():
            return -0.5 * problem.criterion.evaluate(problem.from_raw @ raw).objective
