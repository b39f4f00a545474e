"""The model BY DEFINITION, dense: y ~ N(X beta + offset, sigma^2 V0), V0 = W^-1 + Z Lambda Lambda' Z'."""

from types import SimpleNamespace

import numpy as np
from scipy import linalg


def lower_triangles(terms, theta):
    """Lambda_i of each term: theta holds the lower triangles, column by column."""
    blocks = [np.zeros((term.Xi.shape[1],) * 2) for term in terms]
    for block in blocks:
        m = len(block) * (len(block) + 1) // 2
        block.T[np.triu_indices(len(block))], theta = theta[:m], theta[m:]
    return blocks


def by_definition(factors, terms, X, y, theta, *, weights=None, offset=None, reml=True):
    """Criterion, beta, vcov_beta, sigma2, and per term the conditional modes and their covariances."""
    n, p = X.shape
    y = y if offset is None else y - offset
    Z, Lambda, shapes = [], [], []
    for term, block in zip(terms, lower_triangles(terms, theta), strict=True):
        factor = factors[term.factor]
        Z.append(np.einsum("nl,nk->nlk", np.eye(factor.n_levels)[factor.codes], term.Xi).reshape(n, -1))
        Lambda.append(np.kron(np.eye(factor.n_levels), block))
        shapes.append((factor.n_levels, len(block)))
    Z, Lambda = np.hstack(Z), linalg.block_diag(*Lambda)
    G = Lambda @ Lambda.T
    V0 = np.diag(1.0 / (np.ones(n) if weights is None else weights)) + Z @ G @ Z.T
    V0_inverse = np.linalg.inv(V0)
    XtVX = X.T @ V0_inverse @ X
    beta = np.linalg.solve(XtVX, X.T @ V0_inverse @ y)
    e = y - X @ beta
    df = n - p if reml else n
    sigma2 = e @ V0_inverse @ e / df
    logdets = np.linalg.slogdet(V0)[1] + reml * np.linalg.slogdet(XtVX)[1]
    b = G @ Z.T @ V0_inverse @ e
    condvar = sigma2 * (G - G @ Z.T @ V0_inverse @ Z @ G)
    ends = np.cumsum([levels * k for levels, k in shapes])
    parts = [(slice(end - s[0] * s[1], end), s) for end, s in zip(ends, shapes, strict=True)]
    return SimpleNamespace(
        criterion=logdets + df * (1.0 + np.log(2.0 * np.pi * sigma2)),
        beta=beta,
        sigma2=sigma2,
        vcov_beta=sigma2 * np.linalg.inv(XtVX),
        b=[b[own].reshape(s) for own, s in parts],
        condvar=[np.einsum("lalb->lab", condvar[own, own].reshape(s + s)) for own, s in parts],
    )
