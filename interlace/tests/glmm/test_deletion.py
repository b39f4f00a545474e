"""Leverage, one step and exact deletion: dense matrices by definition, lme4's refits, laws."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

import interlace
from interlace.errors import DeletionWarning, DesignError

from .fits import FORMULAS, STATISTICS, bank_fit, cbpp, fitted, table


class Dense:
    """The working linear model of a binomial or Poisson fit in dense matrices."""

    def __init__(self, fit, counts, m):
        design = fit.record.design
        self.X = design.X
        blocks, variances = [], []
        for labels, term, Sigma in zip(
            design.term_labels, design.terms, fit._results.term_covariances, strict=True
        ):
            codes, levels = design.factors[labels.factor].codes, design.n_levels[labels.factor]
            Z = np.zeros((len(codes), levels, term.k))
            Z[np.arange(len(codes)), codes] = term.Xi
            blocks.append(Z.reshape(len(codes), -1))
            variances.append(np.kron(np.eye(levels), Sigma))
        self.Z = np.hstack(blocks)
        q = self.Z.shape[1]
        self.D, at = np.zeros((q, q)), 0
        for block in variances:
            self.D[at : at + len(block), at : at + len(block)] = block
            at += len(block)
        mu = np.asarray(fit.fittedvalues)
        binomial = fit.family.name == "binomial"
        self.s = counts - m * mu
        self.w = m * mu * (1 - mu) if binomial else m * mu

    def joint(self, keep):
        """The joint system in (beta, u) without some rows: matrix, gradient at the modes."""
        values, vectors = np.linalg.eigh(self.D)
        whole = np.hstack([self.X, self.Z @ (vectors * np.sqrt(np.maximum(values, 0.0)))])
        F, p = whole[keep], self.X.shape[1]
        K = F.T @ (F * self.w[keep][:, None])
        K[p:, p:] += np.eye(len(K) - p)
        gradient = F.T @ self.s[keep]
        gradient[p:] -= whole[:, p:].T @ self.s  # u = Lambda'Z's at the modes
        return K, gradient

    def step(self, keep):
        K, gradient = self.joint(keep)
        inverse, p = np.linalg.inv(K), self.X.shape[1]
        return (inverse @ gradient)[:p], inverse[:p, :p]

    def measures(self, fit, gone):
        keep = np.ones(len(self.s), dtype=bool)
        keep[gone] = False
        p = self.X.shape[1]
        C = np.asarray(fit.cov_params())[:p, :p]
        (whole, before), (part, after) = self.step(np.ones_like(keep)), self.step(keep)
        d, without = whole - part, C + after - before
        ratio = np.linalg.solve(C, without)
        return [
            d @ np.linalg.solve(C, d) / p,
            d @ np.linalg.solve(without, d) / p,
            abs(np.trace(ratio) - p),
            np.linalg.det(ratio),
        ]


def dense_cbpp():
    d = table("cbpp")
    return Dense(cbpp(), d["incidence"].to_numpy(), d["size"].to_numpy())


def dense_crossed():
    fit = bank_fit("b10")
    return Dense(fit, fit.record.design.y, np.ones(fit.nobs))


@pytest.mark.parametrize(("fit", "dense"), [(cbpp, dense_cbpp), (lambda: bank_fit("b10"), dense_crossed)])
def test_leverage_is_the_diagonal_of_the_hat_matrix(fit, dense):
    fit, dense = fit(), dense()
    V = np.diag(1 / dense.w) + dense.Z @ dense.D @ dense.Z.T
    C = np.linalg.inv(dense.X.T @ np.linalg.solve(V, dense.X))
    H1 = dense.X @ C @ np.linalg.solve(V, dense.X).T
    H2 = dense.Z @ dense.D @ dense.Z.T @ np.linalg.inv(V) @ (np.eye(len(V)) - H1)
    found = fit.leverage()
    np.testing.assert_allclose(found["fixef"], np.diag(H1), rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(found["ranef"], np.diag(H2), rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(found["overall"], found["fixef"] + found["ranef"], rtol=1e-10)
    by_group = interlace.leverage(fit, fit.ngroups.index[0], parts=["overall"])
    codes = fit.record.design.factors[0].codes
    np.testing.assert_allclose(
        by_group["overall"], pd.Series(np.diag(H1 + H2)).groupby(codes).mean(), rtol=1e-6
    )


@pytest.mark.parametrize(("fit", "dense"), [(cbpp, dense_cbpp), (lambda: bank_fit("b10"), dense_crossed)])
@pytest.mark.parametrize("group", [False, True])
def test_one_step_is_newtons_without_the_rows(fit, dense, group):
    fit, dense = fit(), dense()
    level = fit.ngroups.index[0] if group else 1
    found = interlace.hlm_influence(fit, level)
    codes = fit.record.design.factors[0].codes
    for i in (0, 3, len(found) - 1):
        gone = np.flatnonzero(codes == i) if group else [i]
        # The modes are good to 1e-9, their derivatives' condition aside.
        np.testing.assert_allclose(found.iloc[i, :4], dense.measures(fit, gone), rtol=1e-5, atol=1e-8)


def test_single_rows_and_groups_of_one_are_the_same():
    fit = bank_fit("grouse")
    rows, groups = fit.influence(), fit.influence(np.arange(fit.nobs))
    np.testing.assert_allclose(rows, groups, rtol=1e-5, atol=1e-9)
    pd.testing.assert_series_equal(interlace.cooks_distance(fit), rows["cooksd"])


def test_exact_deletion_is_lme4s_influence():
    found = interlace.case_delete(cbpp(), "herd", progress=False)
    se = np.asarray(cbpp().bse_fe)
    lme4 = np.asarray(STATISTICS["cbpp"]["without_herd"])
    order = [str(label) for label in found.fixed_effects.index]
    assert order == [str(k) for k in range(1, 16)]
    # lme4's refits use its default tolerance and stop 1 to 2 thousandths of a standard error away.
    np.testing.assert_allclose((found.fixed_effects.to_numpy() - lme4) / se, 0.0, atol=5e-3)
    measures = cbpp().influence("herd", method="exact")
    pd.testing.assert_frame_equal(measures.drop(columns="leverage.overall"), found.measures)
    # One step names the same herds, within a third of what they do.
    step = cbpp().influence("herd")["cooksd"]
    assert step.nlargest(2).index.tolist() == measures["cooksd"].nlargest(2).index.tolist()
    assert np.corrcoef(step, measures["cooksd"])[0, 1] > 0.95
    assert list(found.rvc.columns) == ["rvc.herd"]


def test_deleting_is_fitting_without():
    fit, d = cbpp(), table("cbpp")
    found = fit.delete("herd")
    without = fitted(FORMULAS["cbpp"], d[d["herd"] != 8], family="binomial")
    np.testing.assert_allclose(found.loc[8, list(fit.params.index)].astype(float), without.params, rtol=1e-4)
    moved = without.fe_params - fit.fe_params
    cook = moved @ np.linalg.solve(fit.cov_params().iloc[:4, :4], moved) / 4
    assert found.loc[8, "cooksd"] == pytest.approx(cook, rel=1e-3)
    case = fit.case_deletion("herd", delete=8)
    np.testing.assert_allclose(case.fixed_effects.loc[8], without.fe_params, rtol=1e-4)
    np.testing.assert_allclose(case.bse.loc[8], without.bse_fe, rtol=1e-3)
    assert len(found) == 15
    with pytest.raises(DesignError, match="neither a grouping factor nor made of columns"):
        fit.delete("cow")


def ratings():
    rng = np.random.default_rng(5)
    g = np.repeat(np.arange(12), 8)
    x = rng.normal(size=96)
    latent = 0.8 * x + rng.normal(0, 0.8, 12)[g] + rng.logistic(size=96)
    return pd.DataFrame({"y": np.digitize(latent, [-1.0, 1.0]), "x": x, "g": g})


def test_ordered_categories_can_be_deleted():
    d = ratings()
    fit = interlace.CrossedOrdinal.from_formula("y ~ x + (1 | g)", d).fit()
    found = fit.delete("g")
    without = interlace.CrossedOrdinal.from_formula("y ~ x + (1 | g)", d[d["g"] != 3]).fit()
    np.testing.assert_allclose(found.loc[3, list(fit.params.index)].astype(float), without.params, rtol=1e-4)
    # One step near the modes does what a fit does: the effect moves as far and the same way.
    step = fit.influence("g")["cooksd"]
    assert np.corrcoef(step, found["cooksd"])[0, 1] > 0.9
    assert 0.5 < (step.sum() / found["cooksd"].sum()) < 1.5
    d.loc[d["y"] == 2, "y"] = 1
    d.loc[d.index[0], "y"] = 2
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        lonely = interlace.CrossedOrdinal.from_formula("y ~ x + (1 | g)", d).fit()
    with pytest.warns(DeletionWarning, match="a category does not occur"):
        assert lonely.delete("g").loc[0].isna().all()


def test_a_row_of_weight_two_has_the_leverage_of_both():
    d = table("cbpp")
    twice = pd.concat([d, d.iloc[[4]]])
    weights = np.ones(len(d))
    weights[4] = 2
    one = fitted(FORMULAS["cbpp"], twice, family="binomial").leverage()["overall"].to_numpy()
    two = fitted(FORMULAS["cbpp"], d, family="binomial", freq_weights=weights).leverage()["overall"]
    assert two.iloc[4] == pytest.approx(one[4] + one[-1], rel=1e-5)
    np.testing.assert_allclose(np.delete(two.to_numpy(), 4), np.delete(one, [4, len(one) - 1]), rtol=1e-5)


def test_what_is_not_identified_is_nan_and_said():
    d = table("cbpp").assign(alone=lambda d: (d["herd"] == 3) * 1.0)
    fit = fitted("cbind(incidence, size - incidence) ~ alone + (1 | herd)", d, family="binomial")
    assert fit.influence("herd").loc[3].iloc[:4].isna().all()
    with pytest.warns(DeletionWarning, match=r"1 of 15 refits failed, without \[3\]; the first: without it"):
        assert fit.delete("herd").loc[3].isna().all()
