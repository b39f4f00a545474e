"""R squared and intraclass correlation against performance, and against their definition."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from interlace.tests.fits import fitted

from .tables import NAMES, reference

# insight 0.19 leaves out all but one of several terms on one factor, and gives nothing for singular fits.
MISCOUNTED = {"ss_indep", "simx_indep_ml"}
COMPARED = [n for n in NAMES if reference(n, "r2_icc").get("r2_conditional") and n not in MISCOUNTED]


@pytest.mark.parametrize("name", COMPARED)
def test_against_performance(name):
    known, result = reference(name, "r2_icc"), fitted(name).result
    r2, icc = result.r2(), result.icc()
    assert_allclose(
        [r2["marginal"], r2["conditional"]], [known["r2_marginal"], known["r2_conditional"]], atol=1e-6
    )
    assert_allclose(
        [icc["adjusted"], icc["unadjusted"]], [known["icc_adjusted"], known["icc_unadjusted"]], atol=1e-6
    )


@pytest.mark.parametrize("name", [*sorted(MISCOUNTED), "dyestuff2", "scots_sub", "ss_slope"])
def test_by_definition(name):
    """The random variance is the mean over the rows of diag(Z Sigma Z'), whatever the terms."""
    result = fitted(name).result
    design = result.model.design
    random = np.zeros(result.nobs)
    for term, Sigma in zip(design.terms, result.pls_fit.Sigma, strict=True):
        random += np.diag(term.Xi @ Sigma @ term.Xi.T)
    fixed = np.var(design.X @ result.pls_fit.beta, ddof=1)
    total = fixed + random.mean() + result.scale
    assert_allclose(result.r2().to_numpy(), [fixed / total, (fixed + random.mean()) / total], rtol=1e-12)
    icc = [random.mean() / (random.mean() + result.scale), random.mean() / total]
    assert_allclose(result.icc().to_numpy(), icc, rtol=1e-12)
