"""Profile likelihood: limits against roots found by other optimisers, and what happens at the boundary."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from scipy import optimize, stats

import interlace
from interlace.errors import SingularFitWarning
from interlace.inference import correlations
from interlace.pls.held.constrained import as_ml
from interlace.profile.deviance import likelihoods
from interlace.tests.bank import MODELS, load
from interlace.tests.fits import fitted
from interlace.tests.oracle import lower_triangles

EXACT = [
    name
    for name, model in MODELS.items()
    if model.entry["has_inference"] and load("inference", name).get("confint_profile_exact")
]
# The reference stops its roots at 1e-10 of the estimate and its inner searches at 1e-11 of the deviance,
# whose root moves a limit by 1e-6 of the standard error at most; the promise is 1e-4.
OF_STANDARD_ERROR = 1e-6


@pytest.fixture(scope="module")
def slopes():
    return fitted("ss_slope").result


@pytest.mark.parametrize("name", EXACT)
def test_limits_are_the_roots_of_the_deviance(name):
    reference = load("inference", name)["confint_profile_exact"]
    limits = fitted(name).result.conf_int(method="profile").to_numpy()
    expected = np.array([[known["lower"], known["upper"]] for known in reference.values()])
    scale = (expected[:, 1] - expected[:, 0]) / (2 * stats.norm.ppf(0.975))
    assert limits / scale[:, None] == pytest.approx(expected / scale[:, None], abs=OF_STANDARD_ERROR, rel=0)


@pytest.mark.parametrize("name", EXACT)
def test_estimates_are_those_of_maximum_likelihood(name):
    reference = load("inference", name)["confint_profile_exact"]
    estimates = fitted(name).result.profile([], n_jobs=1).estimates.to_numpy()
    expected = np.array([known["estimate_ml"] for known in reference.values()], float)
    # Their search ends within 1e-6 of a standard error, which is nowhere above a half of these values.
    assert estimates == pytest.approx(expected, rel=1e-5, abs=1e-5)


@pytest.mark.parametrize("name", EXACT)
def test_limits_at_the_end_of_the_range_are_told(name):
    reference = load("inference", name)["confint_profile_exact"]
    limits = fitted(name).result.conf_int(method="profile")
    count = sum(known[f"{side}_at_bound"] for known in reference.values() for side in ("lower", "upper"))
    assert len(limits.attrs["notes"]) == count


def test_rows_are_named_as_in_lme4(slopes):
    limits = slopes.conf_int(method="profile")
    reference = load("inference", "ss_slope")["confint_profile_exact"]
    assert list(limits.index)[:4] == list(reference)[:4]
    assert list(limits.index)[4:] == ["Intercept", "Days"]
    assert list(limits.columns) == [0, 1]


def test_a_note_says_where_the_interval_ends():
    limits = fitted("pastes_nested").result.conf_int(method="profile")
    assert limits.loc["sd_(Intercept)|batch", 0] == 0.0
    assert limits.attrs["notes"] == (
        "sd_(Intercept)|batch: the 95 % interval reaches 0, the end of the parameter's range",
    )


def test_parameters_can_be_chosen(slopes):
    assert list(slopes.conf_int(method="profile", parm="beta_").index) == ["Intercept", "Days"]
    assert list(slopes.conf_int(method="profile", parm=["sigma", 0]).index) == [
        "sigma",
        "sd_(Intercept)|Subject",
    ]
    assert list(slopes.profile("theta_").walks) == list(slopes.conf_int(method="profile").index[:4])
    with pytest.raises(KeyError, match="'sgima' is not a parameter"):
        slopes.conf_int(method="profile", parm="sgima")


def deviance(criterion, theta, sigma):
    """-2 log-likelihood with beta at its best, from the profiled criterion: JSS eq. 29."""
    at = criterion.decompose(criterion.relcov.to_basis @ theta)
    n, r2 = criterion.cp.n, at.pwrss * criterion.basis.scale**2
    profiled_part = n * (1.0 + np.log(2.0 * np.pi * r2 / n))
    return at.objective - profiled_part + n * np.log(2.0 * np.pi * sigma**2) + r2 / sigma**2


def sd_and_correlation(design, theta, sigma):
    Lambda = lower_triangles(design.terms, theta)[0]
    Sigma = sigma**2 * Lambda @ Lambda.T
    return np.sqrt(np.diag(Sigma)), correlations(Sigma)


@pytest.mark.parametrize("rho", [-1.0, -0.5, -0.25, 0.0, 0.5, 1.0])
def test_a_correlation_is_not_reached_by_a_negative_standard_deviation(rho):
    """Low correlations cost so much here that a variance of zero is cheaper; SciPy searches within bounds."""
    frame = interlace.datasets.make_reading_times(20, 12, rng=2)
    result = interlace.fit("rt ~ condition + (1 + condition | subject) + (1 | item)", frame)
    walk = result.profile("theta_").walks["cor_condition[T.incongruent].(Intercept)|subject"]
    criterion = as_ml(result.pls_fit.criterion)

    def objective(x):
        return criterion(np.array([x[0], x[1] * rho, x[1] * np.sqrt(1.0 - rho**2), x[2]]))

    least = min(
        optimize.minimize(
            objective, start, method="L-BFGS-B", bounds=[(0.0, None)] * 3, options={"ftol": 1e-14}
        ).fun
        for start in ([0.5, 0.2, 0.4], [0.6, 0.0, 0.4], [0.1, 0.4, 0.4])
    )
    # SciPy differences the deviance and stops within 1e-6 of its minimum.
    assert walk.at(rho).deviance == pytest.approx(least, abs=1e-6)


@pytest.mark.parametrize(
    ("position", "quantity"),
    [
        (1, lambda _, rho: rho[0, 1]),
        (4, lambda _, rho: rho[1, 2]),
        (2, lambda _, rho: rho[0, 2]),
        (3, lambda sds, _: sds[1]),
        (5, lambda sds, _: sds[2]),
    ],
    ids=["cor12", "cor23", "cor13", "sd2", "sd3"],
)
def test_three_columns_against_a_search_with_constraints(position, quantity):
    """No reference has a term of three columns: here SciPy searches theta and sigma under a constraint."""
    design = fitted("mach_slope").design
    result = fitted("mach_slope").result
    around = likelihoods(result.pls_fit, result.criterion)
    walk = around.walk(position)
    value, _ = walk.crossing(-1.0)
    criterion = as_ml(result.model.criterion())

    def objective(x):
        return deviance(criterion, x[:-1], np.exp(x[-1]))

    def held(x):
        return quantity(*sd_and_correlation(design, x[:-1], np.exp(x[-1]))) - value

    start = np.append(around.fit.theta, np.log(np.sqrt(around.fit.sigma2)))
    found = optimize.minimize(
        objective,
        start,
        method="SLSQP",
        constraints={"type": "eq", "fun": held},
        options={"ftol": 1e-12, "maxiter": 500},
    )
    # SLSQP differences the deviance: it gets to 1e-6 of it. It must not find less.
    assert walk.at(value).deviance == pytest.approx(found.fun, abs=1e-5)
    assert walk.at(value).deviance < found.fun + 1e-9
    assert walk.zeta(value) == pytest.approx(-1.0, abs=1e-8)


def test_table_holds_all_parameters_at_every_point(slopes):
    table = slopes.profile(["sd_Days|Subject", "Days"]).table
    assert list(table.columns[:4]) == ["parameter", "value", "zeta", "deviance"]
    assert list(table.columns[4:]) == list(slopes.conf_int(method="profile").index)
    for name, own in table.groupby("parameter"):
        assert own[name].to_numpy() == pytest.approx(own["value"].to_numpy(), rel=1e-12)
        assert (np.diff(own["zeta"]) > 0).all()
        assert own["zeta"].abs().max() == pytest.approx(stats.norm.ppf(0.995), rel=0.05)
    least = slopes.profile("sigma").deviance
    assert table["zeta"].to_numpy() ** 2 == pytest.approx(table["deviance"].to_numpy() - least, abs=1e-9)


def test_remaining_parameters_are_at_their_best(slopes):
    """At a point of the profile the deviance cannot be lowered by another fixed effect or variance."""
    walk = likelihoods(slopes.pls_fit, slopes.criterion).walk(0)
    found = walk.at(12.0)
    model = slopes.model
    criterion = as_ml(model.criterion())
    theta = criterion.relcov.from_basis @ criterion.relcov.triangle(
        criterion.relcov.of_factors([np.linalg.inv(criterion.relcov.term_inverses[0]) @ found.Lambda[0]])
    )
    assert deviance(criterion, theta, found.sigma) == pytest.approx(found.deviance, abs=1e-9)
    # ML and REML share the deviance, so the profile of either fit is the same.
    again = likelihoods(fitted("ss_slope_ml").result.pls_fit, fitted("ss_slope_ml").result.criterion).walk(0)
    assert again.at(12.0).deviance == pytest.approx(found.deviance, abs=1e-9)


def test_workers_change_nothing(slopes):
    joblib = pytest.importorskip("joblib")
    one = slopes.profile(["sigma", "Days"])
    with joblib.parallel_config(backend="threading"):
        two = slopes.profile(["sigma", "Days"], n_jobs=2)
    assert (one.table.iloc[:, 1:].to_numpy() == two.table.iloc[:, 1:].to_numpy()).all()


def test_singular_correlation_covers_its_whole_range():
    """A slope without variance has no correlation: the profile is flat."""
    rng = np.random.default_rng(1)
    x = np.tile(np.arange(10) - 4.5, 18)
    noise = rng.normal(size=(18, 10))
    noise -= np.outer(noise @ x[:10] / (x[:10] @ x[:10]), x[:10])  # every subject's own slope is 0
    y = noise.ravel() + rng.normal(size=18)[np.repeat(np.arange(18), 10)]
    data = {"y": y, "x": x, "g": np.repeat(np.arange(18), 10)}
    with pytest.warns(SingularFitWarning):
        result = interlace.fit("y ~ x + (x | g)", data)
    assert result.profile([]).estimates["sd_x|g"] == 0.0
    limits = result.conf_int(method="profile", parm="theta_")
    assert limits.loc["cor_x.(Intercept)|g"].tolist() == [-1.0, 1.0]
    assert limits.loc["sd_x|g", 0] == 0.0
    assert np.isfinite(limits.to_numpy()).all()


def test_it_can_be_stored(slopes):
    profile = pickle.loads(pickle.dumps(slopes.profile("Days")))
    assert profile.conf_int().to_numpy() == pytest.approx(
        slopes.conf_int(method="profile", parm="Days").to_numpy(), rel=1e-9
    )


def test_without_rows_there_is_no_profile():
    result = interlace.fit("Reaction ~ Days + (1 | Subject)", interlace.datasets.load_sleepstudy())
    result.remove_data()
    with pytest.raises(ValueError, match="the rows of the data are gone"):
        result.profile()


@pytest.mark.parametrize(("kind", "axes"), [("zeta", 6), ("density", 6), ("pairs", 36)])
def test_pictures(slopes, kind, axes):
    pytest.importorskip("matplotlib").use("Agg")
    from matplotlib import pyplot as plt
    from matplotlib.figure import Figure

    figure = slopes.profile().plot(kind)
    assert isinstance(figure, Figure)
    assert len(figure.axes) == axes
    figure.canvas.draw()
    plt.close(figure)


def test_contours_hold_what_they_promise(slopes):
    """On the line for two parameters the deviance, minimised over the others, is the same everywhere."""
    from interlace.profile.figures import _contour

    profile = slopes.profile(["Intercept", "Days"])
    _, y = _contour(profile.table, "Intercept", "Days", np.sqrt(stats.chi2.ppf(0.8, 2)))
    zeta = [profile.walks["Days"].zeta(value) for value in (y.min(), y.max())]
    # The contour's highest point lies on the trace, where the other parameter is at its best.
    assert np.abs(zeta) == pytest.approx(np.sqrt(stats.chi2.ppf(0.8, 2)), rel=5e-3)  # interpolated


def test_unknown_words_are_refused(slopes):
    with pytest.raises(ValueError, match="kind='contour' is no picture"):
        slopes.profile("sigma").plot("contour")
    with pytest.raises(ValueError, match="method='exact' is not offered"):
        slopes.conf_int(method="exact")
    with pytest.raises(TypeError, match="does not know nsim"):
        slopes.conf_int(method="profile", nsim=10)


def test_wald_intervals_stay_as_they_were(slopes):
    assert list(slopes.conf_int().index) == slopes.model.data.param_names
    assert slopes.conf_int(parm="Days").index.tolist() == ["Days"]
    assert slopes.conf_int(parm="Days").to_numpy() == pytest.approx(
        slopes.conf_int().loc[["Days"]].to_numpy()
    )
    assert isinstance(slopes._results.conf_int(), np.ndarray)
