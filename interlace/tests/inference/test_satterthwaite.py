"""Satterthwaite's method against lmerTest, which differentiates numerically."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from interlace.inference import approximation
from interlace.inference.satterthwaite import joint_df, varpar_covariance
from interlace.tests.fits import fitted

from .tables import NAMES, column, reference

# lmerTest's Hessian and Jacobian are Richardson differences: its df were recomputed to 1e-6 or better for
# all models but two (6e-5, 1e-5). Ours agree with it to 3e-7.
DF = 1e-6


@pytest.mark.parametrize("name", NAMES)
def test_coefficients(name):
    table, ours = reference(name, "summary_satterthwaite"), fitted(name).result.coef_table()
    assert_allclose(ours["estimate"], column(table, "Estimate"), rtol=1e-6, atol=1e-8)
    assert_allclose(ours["std_error"], column(table, "Std. Error"), rtol=1e-6)
    assert_allclose(ours["df"], column(table, "df"), rtol=DF)
    assert_allclose(ours["statistic"], column(table, "t value"), rtol=1e-6, atol=1e-8)
    # A tail probability of 1e-17 doubles the relative error of t some twenty times over.
    assert_allclose(ours["p_value"], column(table, "Pr(>|t|)"), rtol=1e-4, atol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_derivatives(name):
    method = approximation(fitted(name).result.pls_fit, "satterthwaite")
    known = reference(name, "satterthwaite_internals")
    gradient, varpar = np.array(known["jac_vcov_beta"]), np.array(known["vcov_varpar"])
    assert_allclose(method.gradient, gradient, atol=1e-6 * np.abs(gradient).max())
    # On the boundary lmerTest's differences are worse: 3e-5 of the largest entry in a singular fit.
    assert_allclose(method.vcov_varpar, varpar, atol=1e-4 * np.abs(varpar).max())


def test_units_do_not_matter():
    """lmerTest drops eigenvalues of the raw Hessian below 1e-8: in other units that would drop them all."""
    hessian = np.array([[4.0, 1.0], [1.0, 3.0]])
    units = np.diag([1e-6, 1e5])
    scaled = varpar_covariance(units @ hessian @ units)
    assert_allclose(units @ scaled @ units, 2.0 * np.linalg.inv(hessian), rtol=1e-12)


def test_flat_directions_are_left_out():
    flat = np.array([[1.0, 1.0], [1.0, 1.0]])
    assert_allclose(varpar_covariance(flat), 2.0 * np.linalg.pinv(flat), rtol=1e-12)


@pytest.mark.parametrize(
    ("single", "joint"),
    [([7.0], 7.0), ([7.0, 7.0], 7.0), ([1.5, 30.0], 2.0), ([np.inf, np.inf], np.inf)],
)
def test_joint_degrees_of_freedom_at_their_limits(single, joint):
    assert joint_df(np.array(single)) == joint


def test_joint_degrees_of_freedom_give_the_mean_of_the_f_distribution():
    """By definition: the F distribution's mean nu / (nu - 2) equals the mean of those of the squared ts."""
    single = np.array([5.0, 9.0, 40.0])
    nu = joint_df(single)
    assert_allclose(nu / (nu - 2.0), np.mean(single / (single - 2.0)), rtol=1e-12)
