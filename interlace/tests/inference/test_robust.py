"""Cluster-robust covariances: clubSandwich's, and the sandwich written out densely."""

from __future__ import annotations

import numpy as np
import pytest

import interlace
from interlace.errors import DesignError, MissingValuesError
from interlace.tests.bank import MODELS, load
from interlace.tests.fits import fitted
from interlace.tests.prediction.test_uncertainty import DENSE

REFERENCE = {name: known for name, known in load("robust").items() if name != "versions"}


@pytest.mark.parametrize("kind", ["CR0", "CR2"])
@pytest.mark.parametrize("name", REFERENCE)
def test_as_clubsandwich(name, kind):
    robust = fitted(name).result.get_robustcov_results(groups=REFERENCE[name]["cluster"], kind=kind)
    expected = np.array(REFERENCE[name][kind])
    se = np.sqrt(np.diag(expected))
    # lme4's theta behind it is accurate to 1e-7 of its standard error.
    assert robust.pls_fit.vcov_beta / np.outer(se, se) == pytest.approx(expected / np.outer(se, se), abs=1e-6)


@pytest.mark.parametrize("kind", ["CR0", "CR2"])
@pytest.mark.parametrize("name", ["pen", "simx_slope", "ss_weights"])
def test_by_definition(name, kind):
    """Crossed factors and weights, of which clubSandwich knows nothing."""
    result = fitted(name).result
    design, fit = result.model.design, result.pls_fit
    cluster = design.factors[0].codes
    V = np.diag(1.0 / (np.ones(len(design.y)) if design.weights is None else design.weights))
    for term, Lambda in zip(design.terms, fit.Lambda, strict=True):
        codes = design.factors[term.factor].codes
        V += (term.Xi @ Lambda @ Lambda.T @ term.Xi.T) * (codes[:, None] == codes)
    H = np.linalg.solve(V, design.X)
    M = np.linalg.inv(design.X.T @ H)
    r = design.y - design.X @ fit.beta
    meat = np.zeros_like(M)
    for g in np.unique(cluster):
        own = cluster == g
        e = r[own]
        if kind == "CR2":
            Vg = V[np.ix_(own, own)]
            D = np.linalg.cholesky(Vg).T
            B = D @ (Vg - design.X[own] @ M @ design.X[own].T) @ D.T
            values, vectors = np.linalg.eigh(B)
            root = np.where(values > 1e-10 * values[-1], 1.0 / np.sqrt(np.abs(values)), 0.0)
            e = D.T @ (vectors * root) @ vectors.T @ D @ e
        score = H[own].T @ e
        meat += np.outer(score, score)
    robust = result.get_robustcov_results(groups=design.factor_labels[0].name, kind=kind)
    assert robust.pls_fit.vcov_beta == pytest.approx(M @ meat @ M, **DENSE)


def test_only_the_covariance_changes():
    result = fitted("ss_slope").result
    robust = result.get_robustcov_results(groups="Subject", kind="CR0")
    assert (robust.params == result.params).all()
    assert robust.cov_type == "cluster"
    assert robust.bse_fe.to_numpy() == pytest.approx(np.sqrt(np.diag(REFERENCE["ss_slope"]["CR0"])), rel=1e-6)
    assert robust.coef_table()["std_error"].to_numpy() == pytest.approx(robust.bse_fe.to_numpy())
    assert (result.bse_fe != robust.bse_fe).all()


def test_clusters_may_be_given_row_by_row():
    result, frame = fitted("ss_slope").result, MODELS["ss_slope"].frame
    by_name = result.get_robustcov_results(groups="Subject")
    for given in (
        frame["Subject"],
        frame["Subject"].to_numpy(),
        frame["Subject"].sample(frac=1.0, random_state=1),
    ):
        assert (result.get_robustcov_results(groups=given).bse_fe == by_name.bse_fe).all()


def test_what_cannot_be_is_refused():
    result = fitted("ss_slope").result
    with pytest.raises(DesignError, match="'subject' is no grouping factor"):
        result.get_robustcov_results(groups="subject")
    with pytest.raises(DesignError, match="wanted the cluster of each of the 180 rows"):
        result.get_robustcov_results(groups=[1, 2, 3])
    with pytest.raises(MissingValuesError, match="every row must belong to a cluster"):
        result.get_robustcov_results(groups=[None, *range(179)])
    with pytest.raises(ValueError, match='give "CR0" or "CR2"'):
        result.get_robustcov_results(groups="Subject", kind="CR1")
    with pytest.raises(ValueError, match="cov_type='HC0' is not offered"):
        result.get_robustcov_results("HC0", groups="Subject")


def test_without_rows_it_is_refused():
    result = interlace.fit("Reaction ~ Days + (1 | Subject)", interlace.datasets.load_sleepstudy())
    result.remove_data()
    with pytest.raises(ValueError, match="the rows of the data are gone"):
        result.get_robustcov_results(groups="Subject")
