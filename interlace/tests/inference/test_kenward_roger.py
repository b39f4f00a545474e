"""Kenward and Roger's method against pbkrtest, and against its definition with n x n matrices."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import interlace
from interlace.errors import InferenceError
from interlace.inference import approximation
from interlace.tests.fits import fitted

from .tables import column, having, reference

REML = having("kr_vcovAdj")
# pbkrtest works from lme4's theta, which agrees with ours to 1e-7: no differences are involved.
CLOSE = 1e-6


@pytest.mark.parametrize("name", REML)
def test_coefficients(name):
    table, ours = reference(name, "summary_kenward_roger"), fitted(name).result.coef_table("kenward-roger")
    assert_allclose(ours["std_error"], column(table, "Std. Error"), rtol=CLOSE)
    assert_allclose(ours["df"], column(table, "df"), rtol=CLOSE)
    assert_allclose(ours["statistic"], column(table, "t value"), rtol=CLOSE, atol=1e-8)


@pytest.mark.parametrize("name", REML)
def test_adjusted_covariance(name):
    adjusted = np.array(reference(name, "kr_vcovAdj"))
    ours = approximation(fitted(name).result.pls_fit, "kenward-roger").covariance
    assert_allclose(ours, adjusted, atol=CLOSE * np.abs(adjusted).max())


@pytest.mark.parametrize("name", having("KRmodcomp_all_slopes"))
def test_all_slopes_jointly(name):
    table = reference(name, "KRmodcomp_all_slopes")["test"]
    result = fitted(name).result
    test = result.f_test(np.eye(result.k_fe)[1:], ddf="kenward-roger")
    assert_allclose(test.fvalue, column(table, "stat")[0], rtol=CLOSE)
    assert_allclose(test.df_denom, column(table, "ddf")[0], rtol=CLOSE)
    assert_allclose(test.pvalue, column(table, "p.value")[0], rtol=1e-5)


def weighted_fit():
    rng = np.random.default_rng(3)
    n = 90
    data = pd.DataFrame({"g": rng.integers(0, 9, n), "h": rng.integers(0, 6, n), "x": rng.normal(size=n)})
    data["w"] = rng.uniform(0.3, 3.0, n)
    data["f"] = pd.Categorical(rng.choice(list("abc"), n))
    random = rng.normal(size=9)[data.g] * (1 + data.x) + rng.normal(size=6)[data.h]
    data["y"] = 1.0 + random + rng.normal(size=n) / np.sqrt(data.w)
    return interlace.fit("y ~ x + f + (1 + x | g) + (1 | h)", data, weights="w"), data


def by_definition(result, data, L):
    """Adjusted covariance, df and scaling from V and its derivatives as n x n matrices (pbkrtest's steps)."""
    X, x = result.model.exog, data["x"].to_numpy()
    Zg, Zh = np.eye(9)[data.g], np.eye(6)[data.h]
    Zx = Zg * x[:, None]
    G = [Zg @ Zg.T, Zg @ Zx.T + Zx @ Zg.T, Zx @ Zx.T, Zh @ Zh.T, np.diag(1.0 / data["w"].to_numpy())]
    S = result.varcov["g"].to_numpy()
    gamma = [S[0, 0], S[0, 1], S[1, 1], result.varcov["h"].to_numpy()[0, 0], result.scale]
    V_inverse = np.linalg.inv(sum(value * part for value, part in zip(gamma, G, strict=True)))
    Phi = np.linalg.inv(X.T @ V_inverse @ X)
    VG = [V_inverse @ part for part in G]
    P = [-X.T @ A @ V_inverse @ X for A in VG]
    m = len(G)
    info, U = np.empty((m, m)), np.zeros_like(Phi)
    Q = [[X.T @ A @ B @ V_inverse @ X for B in VG] for A in VG]
    for i in range(m):
        for j in range(m):
            trace = np.trace(VG[i] @ VG[j]) - 2 * np.trace(Phi @ Q[i][j])
            info[i, j] = trace + np.trace(Phi @ P[i] @ Phi @ P[j])
    W = 2.0 * np.linalg.inv(info)
    for i in range(m):
        for j in range(m):
            U += W[i, j] * (Q[i][j] - P[i] @ Phi @ P[j])
    Theta = L.T @ np.linalg.inv(L @ Phi @ L.T) @ L
    T = [Theta @ Phi @ part @ Phi for part in P]
    A1 = sum(W[i, j] * np.trace(T[i]) * np.trace(T[j]) for i in range(m) for j in range(m))
    A2 = sum(W[i, j] * np.trace(T[i] @ T[j]) for i in range(m) for j in range(m))
    q = len(L)
    # Kenward & Roger (1997), the approximation that matches the exact cases.
    B = (A1 + 6 * A2) / (2 * q)
    g = ((q + 1) * A1 - (q + 4) * A2) / ((q + 2) * A2)
    d = 3 * q + 2 * (1 - g)
    E = 1.0 / (1.0 - A2 / q)
    V = 2.0 / q * (1 + g / d * B) / ((1 - (q - g) / d * B) ** 2 * (1 - (q + 2 - g) / d * B))
    rho = V / (2.0 * E**2)
    df = 4 + (q + 2) / (q * rho - 1)
    return Phi + 2 * Phi @ U @ Phi, df, df / (E * (df - 2))


@pytest.mark.parametrize("rows", [[1], [2, 3], [1, 2, 3]])
def test_prior_weights_by_definition(rows):
    """Pbkrtest ignores prior weights; the definition with 1 / w in the residual part of V does not."""
    result, data = weighted_fit()
    L = np.eye(4)[rows]
    covariance, df, scaling = by_definition(result, data, L)
    method = approximation(result.pls_fit, "kenward-roger")
    test = method.f_test(L, L @ result.pls_fit.beta)
    # Inverting V costs a few digits.
    assert_allclose(method.covariance, covariance, rtol=1e-8, atol=1e-10)
    assert_allclose([test.den_df, test.scaling], [df, scaling], rtol=1e-8)


def test_one_contrast_and_an_f_test_of_it_agree():
    result = fitted("simx_int").result
    row = np.eye(5)[1]
    method = approximation(result.pls_fit, "kenward-roger")
    assert_allclose(
        method.f_test(row[None], row[None] @ result.pls_fit.beta).den_df, method.df(row), rtol=1e-12
    )


def test_fits_by_maximum_likelihood_are_refused():
    with pytest.raises(InferenceError, match="fit with reml=True"):
        fitted("ss_slope_ml").result.coef_table("kenward-roger")
