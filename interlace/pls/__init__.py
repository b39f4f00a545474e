"""Penalised least squares: the numerical room, arrays only.

The model is ``y ~ N(X beta + offset, sigma^2 V0)`` with ``V0 = Z Lambda Lambda' Z' + W^-1``.
Notation and equations are those of Bates, Maechler, Bolker & Walker (2015), *Fitting Linear
Mixed-Effects Models Using lme4*, Journal of Statistical Software 67(1).

======================  ==============  =====================================================
in the paper            in the code     what it is
======================  ==============  =====================================================
n, p, q                 n, p, q         rows, fixed effects, random effects
J_i, X_i                codes, Xi       level of each row; raw columns of a term (eqs. 5, 6)
theta, Lambda_theta     theta, Lambda   covariance parameters; relative factor (eq. 4)
Z'WZ, Z'W[X y], ...     A, B, C         cross-products
L (L L' = M)            Factorization   of ``M = Lambda' A Lambda + I`` (eq. 18)
--                      T               ``Lambda M^-1 Lambda'``: conditional covariance / sigma^2
--                      E               ``Z' V0^-1 [X y] = B - A T B``
R_X                     R               Cholesky factor of ``[X y]' V0^-1 [X y]`` (eq. 50)
u, b = Lambda u         modes, b        spherical and original conditional modes (eqs. 11, 52)
r^2(theta)              pwrss           penalised weighted residual sum of squares (eq. 14)
d(theta)                objective       profiled deviance or REML criterion (eqs. 34, 41)
--                      phi             theta in the terms' orthonormal bases
--                      gauge, Psi      principal axes in which the search moves
======================  ==============  =====================================================

From equation to function, in the order of a fit:

1. terms to columns of Z (eqs. 5-7): `terms`, `crossproducts.cross_products`
2. bases in which scales do not matter: `basis.fixed_basis`, `basis.term_basis`
3. theta to Lambda (eq. 4): `relcov.RelativeCovariance`
4. ``P' L L' P = M`` (eq. 18): `solvers.choose`, then `nested`, `blocked` or `cholmod`
5. fixed effects, modes, criterion (eqs. 34, 41, 48-52): `criterion.ProfiledCriterion`
6. gradient, score matrices, information: `derivatives.derivatives`
7. the minimum and its proof: `start`, `optimize.minimize`, `certificate.certify`
8. the snapshot: `fit.fit`, which returns a `PLSFit`

Nothing here knows a label, a formula or a data frame.
"""

from __future__ import annotations

from interlace.pls.matrices.basis import independent_columns
from interlace.pls.matrices.terms import GroupingFactor, RandomTerm
from interlace.pls.search.criterion import ProfiledCriterion

from .fit import PLSFit, fit, fit_criterion, profiled_criterion

__all__ = [
    "GroupingFactor",
    "PLSFit",
    "ProfiledCriterion",
    "RandomTerm",
    "fit",
    "fit_criterion",
    "independent_columns",
    "profiled_criterion",
]
