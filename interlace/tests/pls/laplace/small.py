"""Small generalised models to try everything on, and the criterion BY DEFINITION, dense."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import linalg

from interlace.arrays import FloatArray
from interlace.family import Binomial, Family, Gamma, Gaussian, NegativeBinomial, Ordinal, Poisson
from interlace.pls import GroupingFactor, RandomTerm
from interlace.pls.laplace import Problem, fit_laplace, laplace_problem
from interlace.pls.laplace.criterion import LaplaceCriterion

# Family, psi from which responses are drawn.
FAMILIES: dict[str, tuple[Family, list[float]]] = {
    "logit": (Binomial("logit"), []),
    "probit": (Binomial("probit"), []),
    "cloglog": (Binomial("cloglog"), []),
    "poisson": (Poisson(), []),
    "nb2": (NegativeBinomial(), [0.3]),
    "gamma": (Gamma(), [0.8]),
    "gaussian log": (Gaussian("log"), [-1.2]),
    "gaussian identity": (Gaussian("identity"), [-0.2]),
    "ordinal logit": (Ordinal("logit", 3), [-0.6, 0.8]),
    "ordinal probit": (Ordinal("probit", 3), [-0.6, 0.8]),
}
# Levels and columns per level of one factor or several; nested ones share the codes of the first.
SHAPES: dict[str, tuple[tuple[int, ...], tuple[int, ...], bool]] = {
    "one scalar": ((6,), (1,), False),
    "one vector": ((7,), (2,), False),
    "crossed scalars": ((8, 5), (1, 1), False),
    "crossed, vector first": ((8, 4), (2, 1), False),
    "crossed vectors": ((9, 5), (2, 2), False),
    "three crossed": ((8, 5, 3), (1, 1, 1), False),
    "nested": ((9, 3), (2, 1), True),
}


@dataclass(frozen=True, eq=False)
class Small:
    """The arguments of ``fit_laplace``, and what laws do to them."""

    factors: tuple[GroupingFactor, ...]
    terms: tuple[RandomTerm, ...]
    X: FloatArray
    y: FloatArray
    family: Family
    options: dict[str, Any]

    def take(self, rows: np.ndarray) -> Small:
        return replace(
            self,
            factors=tuple(replace(factor, codes=factor.codes[rows]) for factor in self.factors),
            terms=tuple(replace(term, Xi=term.Xi[rows]) for term in self.terms),
            X=self.X[rows],
            y=self.y[rows],
            options={name: value[rows] for name, value in self.options.items()},
        )

    def changed(self, **fields: Any) -> Small:
        return replace(self, **fields)

    @property
    def arrays(self) -> tuple[Any, ...]:
        return self.factors, self.terms, self.X, self.y, self.family

    def problem(self, solver: str = "auto") -> Problem:
        return laplace_problem(*self.arrays, **self.options, solver=solver)

    def fit(self, **more: Any):
        return fit_laplace(*self.arrays, **{**self.options, **more})


def small(name: str, shape: str = "crossed, vector first", *, n: int = 60, seed: int = 0) -> Small:
    """A random model whose responses come from it."""
    rng = np.random.default_rng(seed)
    levels, K, nested = SHAPES[shape]
    family, psi = FAMILIES[name]
    codes = [rng.permutation(np.arange(n) % levels[0])]
    for size in levels[1:]:
        codes.append(codes[0] % size if nested else rng.permutation(np.arange(n) % size))
    x = rng.normal(size=n)
    terms = [
        RandomTerm(f, np.column_stack([np.ones(n), rng.normal(size=(n, k - 1))])) for f, k in enumerate(K)
    ]
    X = x[:, None] if isinstance(family, Ordinal) else np.column_stack([np.ones(n), x])
    eta = 0.4 * x + sum(
        np.einsum("nk,nk->n", term.Xi, rng.normal(scale=0.7, size=(levels[term.factor], term.k))[code])
        for term, code in zip(terms, codes, strict=True)
    )
    options: dict[str, Any] = {"offset": rng.normal(scale=0.2, size=n)}
    m = np.ones(n)
    if family.name == "binomial":
        m = options["trials"] = rng.integers(1, 5, size=n).astype(float)
    y = _every_category(family, family.draw(rng, m, eta + options["offset"], np.array(psi)))
    factors = tuple(GroupingFactor(code, size) for code, size in zip(codes, levels, strict=True))
    return Small(factors, tuple(terms), X, y, family, options)


def _every_category(family: Family, y: FloatArray) -> FloatArray:
    if isinstance(family, Ordinal):
        y = y.copy()
        y[: family.n_categories] = np.arange(family.n_categories)
    if family == Gaussian("log"):
        y = np.maximum(y, 0.05)  # far below the mean the modes are not unique
    return y


def parameters(criterion: LaplaceCriterion, name: str, rng: np.random.Generator, *, singular: bool):
    """phi, gamma and psi near those of the data; Lambda singular on demand."""
    relcov = criterion.relcov
    blocks = []
    for k in relcov.term_k:
        block = np.tril(rng.normal(scale=0.4, size=(k, k))) + 0.5 * np.eye(k)
        if singular:
            block[:, -1] = 0.0
        blocks.append(block)
    psi = np.array(FAMILIES[name][1]) + 0.1 * np.arange(criterion.k)
    return np.concatenate([relcov.pack(blocks), rng.normal(scale=0.2, size=criterion.p), psi])


def dense_criterion(model: Small, theta: FloatArray, beta: FloatArray, psi: FloatArray) -> float:
    """``-2 l + u'u + log |M|`` at the mode, from dense Z, the user's own rows and one row's likelihood."""
    y, family = model.y, model.family
    m = model.options.get("trials", np.ones(len(y)))
    columns, blocks, at = [], [], 0
    for term in model.terms:
        factor = model.factors[term.factor]
        J = np.eye(factor.n_levels)[factor.codes]
        columns.append((J[:, :, None] * term.Xi[:, None, :]).reshape(len(y), -1))
        block = np.zeros((term.k, term.k))
        block.T[np.triu_indices(term.k)] = theta[at : at + term.n_theta]
        at += term.n_theta
        blocks.append(np.kron(np.eye(factor.n_levels), block))
    ZL = np.concatenate(columns, axis=1) @ linalg.block_diag(*blocks)
    fixed = model.X @ beta + model.options["offset"]
    u = np.zeros(ZL.shape[1])

    def penalised(u):
        return u @ u - 2.0 * family.loglik(y, m, fixed + ZL @ u, psi).sum()

    for _ in range(100):
        _, s, w = family.terms(y, m, fixed + ZL @ u, psi)
        step = np.linalg.solve(ZL.T @ (ZL * np.maximum(w, 0)[:, None]) + np.eye(len(u)), ZL.T @ s - u)
        size = 1.0
        while penalised(u + size * step) > penalised(u) + 1e-12 * abs(penalised(u)) and size > 1e-10:
            size /= 2.0
        u = u + size * step
        if np.abs(step).max() < 1e-13:
            break
    w = family.terms(y, m, fixed + ZL @ u, psi)[2]
    M = ZL.T @ (ZL * w[:, None]) + np.eye(len(u))
    return float(penalised(u) + np.linalg.slogdet(M)[1])
