"""Every figure of lme4's tight fits of 55 models, through the public API.

The bank's optima are good to 1e-7 of a standard error and better (what Newton's method still expected
to gain there is at most 5e-15 deviance units); its figures at a given theta agree with the dense oracle
to 1e-14. Tolerances are therefore statements about this package, not about the reference.
"""

from __future__ import annotations

import os

import numpy as np
import pytest

from interlace.errors import RankDeficiencyWarning, SingularFitWarning

from .bank import MODELS
from .fits import as_table, criterion, fitted
from .strategies import SOLVERS, at_theta

CRITERION_AT_THETA = 1e-10  # relative; the two sides' rounding is 1e-14, so this is algebra, not arithmetic
CRITERION_AT_OPTIMUM = 1e-6  # deviance units, one-sided: nobody can see a likelihood ratio of exp(-5e-7)
OF_STANDARD_ERROR = 1e-6  # fixed effects and their covariance, in units of their standard errors
OF_VARIANCE = 1e-5  # sigma and variance components, relative: flatter directions than the fixed effects
OF_CONDITIONAL_SD = 1e-5  # conditional modes and SDs move with the variance components
INFORMATION_CRITERIA = 1e-6  # AIC, BIC, logLik: the criterion plus integers
EXACTLY_ZERO = 1e-12  # a variance on the boundary, in units of sigma: set to 0, not merely small
SOLVERS_AGREE = 1e-9  # two factorizations of one matrix whose condition number is below 1e6
SAME_PATH = 1e-8  # each stops 1e-11 deviance units, 3e-6 standard errors, from the optimum: at the same place
GRADIENT = 1e-6  # relative, against a Richardson table that is good to 1e-8

all_models = pytest.mark.parametrize("name", MODELS)
all_solvers = pytest.mark.parametrize("solver", SOLVERS)


def test_bank_is_complete():
    assert len(MODELS) == 55


def test_cholmod_is_present_where_promised():
    # Without scikit-sparse the tests below cover one solver only; CI sets the variable and so notices.
    assert "cholmod" in SOLVERS or os.environ.get("INTERLACE_REQUIRE_CHOLMOD", "0") != "1"


@all_solvers
@all_models
def test_criterion_at_recorded_thetas(name, solver):
    for label, theta, expected in MODELS[name].points:
        assert criterion(name, solver)(theta) == pytest.approx(expected, rel=CRITERION_AT_THETA, abs=0), label


@all_models
def test_optimum_is_not_above_lme4s(name):
    result = fitted(name).result
    assert result.objective <= MODELS[name].reference["criterion"] + CRITERION_AT_OPTIMUM
    assert result.converged
    assert result.certificate.certified


@all_models
def test_warnings_say_what_happened_and_no_more(name):
    reference = MODELS[name].reference
    expected = set()
    if reference["isSingular"]:
        expected.add(SingularFitWarning)
    if reference["fixef"]["dropped_columns"]:
        expected.add(RankDeficiencyWarning)
    assert sorted(map(str, fitted(name).warnings)) == sorted(map(str, expected))
    assert fitted(name).result.is_singular == reference["isSingular"]


@all_models
def test_fixed_effects_and_covariance(name):
    result, expected = fitted(name).result, MODELS[name].reference["fixef"]
    se = np.array(expected["se"])
    assert tuple(result.fe_params.index) == MODELS[name].fixed_names
    assert result.fe_params.to_numpy() / se == pytest.approx(
        np.array(expected["values"]) / se, abs=OF_STANDARD_ERROR, rel=0
    )
    assert result.bse_fe.to_numpy() / se == pytest.approx(np.ones(len(se)), abs=OF_STANDARD_ERROR)
    covariance = result.cov_params().to_numpy()[: len(se), : len(se)]
    scale = np.outer(se, se)
    assert covariance / scale == pytest.approx(
        np.array(expected["vcov"]) / scale, abs=OF_STANDARD_ERROR, rel=0
    )


@all_models
def test_theta(name):
    model, result = MODELS[name], fitted(name).result
    if not model.reference["theta"][
        "identified"
    ]:  # the same covariances have many Cholesky factors: see below
        assert result.theta.shape == model.theta.shape
        return
    rows = _row_norms(model)
    assert np.asarray(result.theta) / rows == pytest.approx(model.theta / rows, abs=OF_VARIANCE, rel=0)


def _row_norms(model):
    """Norm of the row of Lambda in which each theta stands: the standard deviation it is a part of."""
    places = [(place["term"], place["row"]) for place in model.reference["theta"]["index"]]
    norms = [
        np.sqrt(sum(t**2 for t, other in zip(model.theta, places, strict=True) if other == p)) for p in places
    ]
    return np.array([norm or 1.0 for norm in norms])


@all_models
def test_variances(name):
    model, result = MODELS[name], fitted(name).result
    sigma = model.reference["sigma"]
    assert result.sigma == pytest.approx(sigma, rel=OF_VARIANCE)
    assert result.scale == pytest.approx(sigma**2, rel=OF_VARIANCE)
    assert result.variance_components["Residual"] == pytest.approx(sigma**2, rel=OF_VARIANCE)
    assert list(result.variance_components) == [*(factor.name for factor in model.factors), "Residual"]
    for factor in model.factors:
        value = result.variance_components[factor.name]
        if len(factor.columns) > 1:
            assert tuple(value.index) == tuple(value.columns) == factor.columns
        sd = np.sqrt(np.diag(factor.covariance))
        sd = np.where(sd > 0, sd, sigma * EXACTLY_ZERO)
        scale = np.outer(sd, sd)
        assert as_table(value) / scale == pytest.approx(factor.covariance / scale, abs=OF_VARIANCE, rel=0)


@all_models
def test_conditional_modes(name):
    model, fit = MODELS[name], fitted(name)
    assert list(fit.result.random_effects) == [factor.name for factor in model.factors]
    for factor in model.factors:
        modes = fit.result.random_effects[factor.name]
        assert tuple(map(str, modes.index)) == factor.levels
        if modes.ndim > 1:
            assert tuple(modes.columns) == factor.columns
        scale = np.where(factor.sds > 0, factor.sds, model.reference["sigma"] * EXACTLY_ZERO)
        assert as_table(modes) / scale == pytest.approx(factor.modes / scale, abs=OF_CONDITIONAL_SD, rel=0)
        assert fit.condsd[factor.name] / scale == pytest.approx(
            factor.sds / scale, abs=OF_CONDITIONAL_SD, rel=0
        )


@all_models
def test_conditional_covariances(name):
    model, result = MODELS[name], fitted(name).result
    for group, factor in zip(model.reference["ranef"].values(), model.factors, strict=True):
        covariances = result.random_effects_cov[factor.name]
        levels = result.random_effects[factor.name].index
        expected = np.array(group.get("condcov_first5", []), float)  # recorded for one vector term per factor
        for level, covariance, sd in zip(levels, expected, factor.sds, strict=False):
            scale = np.outer(sd, sd)
            found = covariances.loc[level].to_numpy()
            assert found / scale == pytest.approx(covariance / scale, abs=OF_CONDITIONAL_SD, rel=0)


@all_models
def test_likelihood_and_information_criteria(name):
    result, reference = fitted(name).result, MODELS[name].reference
    assert result.llf == pytest.approx(reference["logLik"], abs=INFORMATION_CRITERIA, rel=0)
    assert result.aic == pytest.approx(reference["AIC"], abs=INFORMATION_CRITERIA, rel=0)
    assert result.bic == pytest.approx(reference["BIC"], abs=INFORMATION_CRITERIA, rel=0)
    assert result.nobs == reference["nobs"]


@all_models
def test_fitted_values_and_residuals(name):
    model, result = MODELS[name], fitted(name).result
    sigma = model.reference["sigma"]
    for found, expected in ((result.fittedvalues, "fitted"), (result.resid, "resid")):
        assert list(found.index) == list(model.frame.index[model.rows])
        first = np.array(model.reference[expected]["first"])
        # A fitted value moves with fixed effects and modes, known to 1e-5 of their uncertainty (< sigma).
        assert found.to_numpy()[: len(first)] == pytest.approx(first, abs=1e-5 * sigma, rel=0)
        root_n = np.sqrt(len(found))
        assert found.sum() == pytest.approx(
            model.reference[expected]["sum"], abs=1e-5 * sigma * root_n, rel=1e-8
        )
        assert found.pow(2).sum() == pytest.approx(model.reference[expected]["sumsq"], rel=1e-5)


@all_models
def test_matrices(name):
    model, design = MODELS[name], fitted(name).design
    reference = model.reference
    assert design.xnames == model.fixed_names
    # Sums of the very numbers that R read: only the order of summation differs.
    spread = np.sqrt(np.array(reference["X"]["colsumsq"]) * len(design.X))
    assert design.X.sum(0) / spread == pytest.approx(
        np.array(reference["X"]["colsums"]) / spread, abs=1e-12, rel=0
    )
    assert (design.X**2).sum(0) == pytest.approx(np.array(reference["X"]["colsumsq"]), rel=1e-12)
    assert len(design.dropped_columns) == len(reference["fixef"]["dropped_columns"])
    assert design.n_dropped == len(reference["rows_dropped"])
    columns = [name for term in design.term_labels for name in term.columns]
    assert columns == [name for factor in model.factors for name in factor.columns]


@all_models
def test_solvers_agree_at_recorded_thetas(name):
    values = [[criterion(name, solver)(theta) for _, theta, _ in MODELS[name].points] for solver in SOLVERS]
    for other in values[1:]:
        assert other == pytest.approx(values[0], rel=SOLVERS_AGREE, abs=0)


@all_models
def test_solvers_agree_at_the_optimum(name):
    reference, *others = [at_theta(criterion(name, solver), MODELS[name].theta) for solver in SOLVERS]
    se = np.sqrt(np.diag(reference.vcov_beta))
    for other in others:
        assert other.objective == pytest.approx(reference.objective, rel=SOLVERS_AGREE, abs=0)
        assert other.sigma2 == pytest.approx(reference.sigma2, rel=SOLVERS_AGREE)
        assert other.beta / se == pytest.approx(reference.beta / se, abs=SOLVERS_AGREE, rel=1e-12)
        assert other.vcov_beta / np.outer(se, se) == pytest.approx(
            reference.vcov_beta / np.outer(se, se), abs=SOLVERS_AGREE
        )
        for ours, theirs, variance, other_variance in zip(
            other.b, reference.b, reference.condvar(), other.condvar(), strict=True
        ):
            sd = np.sqrt(np.diagonal(variance, axis1=1, axis2=2))
            sd = np.where(sd > 0, sd, 1.0)
            assert ours / sd == pytest.approx(theirs / sd, abs=SOLVERS_AGREE, rel=1e-12)
            scale = sd[:, :, None] * sd[:, None, :]
            assert other_variance / scale == pytest.approx(variance / scale, abs=SOLVERS_AGREE)


@all_models
def test_solvers_find_the_same_optimum(name):
    reference, *others = [fitted(name, solver).result for solver in SOLVERS]
    se = reference.bse_fe.to_numpy()
    for other in others:
        assert (reference.solver, other.solver) == SOLVERS
        assert other.objective == pytest.approx(reference.objective, rel=SOLVERS_AGREE, abs=0)
        assert other.sigma == pytest.approx(reference.sigma, rel=SAME_PATH)
        ours, theirs = other.fe_params.to_numpy() / se, reference.fe_params.to_numpy() / se
        assert ours == pytest.approx(theirs, abs=SAME_PATH, rel=1e-12)


@all_solvers
@all_models
def test_gradient_is_the_derivative_of_the_criterion(name, solver):
    d = criterion(name, solver)
    theta = dict((label, theta) for label, theta, _ in MODELS[name].points)["optimum*1.1+0.01"]
    numerical = np.array([_richardson(d, theta, j) for j in range(len(theta))])
    # Per unit of log theta, where the figures of badly scaled slopes are comparable.
    exact, numerical = d.gradient(theta) * theta, numerical * theta
    assert exact == pytest.approx(numerical, abs=GRADIENT * np.abs(numerical).max(), rel=0)


def _richardson(d, theta, j):
    """Central differences at steps h, h/2, h/4, extrapolated: the error is of order h^6."""
    step = np.zeros_like(theta)
    table = []
    for h in 0.02 * abs(theta[j]) / np.array([1.0, 2.0, 4.0]):
        step[j] = h
        table.append((d(theta + step) - d(theta - step)) / (2.0 * h))
    coarse, fine = (4.0 * table[1] - table[0]) / 3.0, (4.0 * table[2] - table[1]) / 3.0
    return (16.0 * fine - coarse) / 15.0
