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

1. terms to columns of Z (eqs. 5-7): `matrices.terms`, `matrices.crossproducts.cross_products`
2. bases in which scales do not matter: `matrices.basis.fixed_basis`, `matrices.basis.term_basis`
3. theta to Lambda (eq. 4): `matrices.structures.Structure`, `matrices.relcov.RelativeCovariance`
4. ``P' L L' P = M`` (eq. 18): `factor.solvers.choose`, then `factor.nested`, `blocked` or `cholmod`
5. fixed effects, modes, criterion (eqs. 34, 41, 48-52): `search.criterion.ProfiledCriterion`
6. gradient, score matrices, information: `search.derivatives`, `search.information`
7. the minimum: `search.start`, then `search.optimize.minimize`, its steps by `search.newton`, what gradients
   do not see by `search.boundary`, and the proof by `search.certificate.certify`
8. the snapshot: `fit.fit`, which returns a `PLSFit`; `polish` finds its last digits

Folders, each of which may import those before it:

============  ==============================================================================================
`matrices`    the data, and theta to Lambda: what is known before anything is factorised
`factor`      ``M``: one seam (`factorization`), three implementations, and sums over their entries
`search`      a criterion (`protocol` says what that is), its derivatives, its minimum
`held`        the deviance with one parameter held fixed, for profiles; by `search.descent` where it is tied
`rows`        the rows behind a fit: deletion, leverage, whitening, predictions, other responses
`batch`       many problems of one design: the criterion, its derivatives and its minimum, stacked
============  ==============================================================================================

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
