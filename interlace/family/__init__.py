"""Families and links as functions of arrays: log-likelihood, its derivatives, mean, variance, draws.

====================================  =======================  ==============================
family                                links                    psi
====================================  =======================  ==============================
`Binomial`                            logit, probit, cloglog   --
`Poisson`                             log                      --
`NegativeBinomial` (NB2)              log                      logarithm of the size
`Gamma`                               log                      logarithm of the shape
`Gaussian`                            log (identity: checks)   logarithm of the residual SD
`Ordinal`                             logit, probit            thresholds
====================================  =======================  ==============================

Weights ``w`` are *observed* ones, off the canonical link too: the Laplace approximation asks for them.
Nothing here knows a label or a data frame.
"""

from __future__ import annotations

from .binomial import Binomial
from .gamma import Gamma
from .gaussian import Gaussian
from .negative_binomial import NegativeBinomial
from .ordinal import Ordinal
from .poisson import Poisson
from .record import Family, PsiTerms

__all__ = [
    "Binomial",
    "Family",
    "Gamma",
    "Gaussian",
    "NegativeBinomial",
    "Ordinal",
    "Poisson",
    "PsiTerms",
]
