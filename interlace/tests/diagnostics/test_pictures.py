"""What is drawn is what the frames hold; no picture is compared with a picture."""

import importlib

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

import interlace
from interlace.diagnostics import dotplot_frame, qq_frame, ranef_frame, residual_frame
from interlace.diagnostics.plots import ALL_NAMED, most_extreme, spread
from interlace.errors import DesignError

mpl.use("Agg")
plt = importlib.import_module("matplotlib.pyplot")


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def fit():
    frame = interlace.datasets.make_reading_times(24, 12, rng=6, subject_slope_sd=60.0, item_sd=60.0)
    return interlace.fit("rt ~ condition + (condition | subject) + (1 | item)", frame)


def dots(ax):
    return np.vstack([c.get_offsets() for c in ax.collections if len(c.get_offsets()) > 0 and _is_dots(c)])


def _is_dots(collection):
    return type(collection).__name__ == "PathCollection"


def test_residuals_against_fitted_values(fit):
    frame = residual_frame(fit)
    drawn = dots(fit.plot("resid").axes[0])
    np.testing.assert_array_equal(drawn, frame[["fitted", "resid"]])
    np.testing.assert_array_equal(dots(fit.plot("scale-location").axes[0]), frame[["fitted", "scale"]])


def test_quantiles(fit):
    frame = qq_frame(residual_frame(fit)["studentized"])
    np.testing.assert_array_equal(dots(fit.plot("qq").axes[0]), frame)


def test_caterpillar_has_every_level_in_order(fit):
    figure = fit.plot("caterpillar")
    frame = ranef_frame(fit)
    for ax, (_, own) in zip(figure.axes, frame.groupby(["factor", "effect"], sort=False), strict=True):
        drawn = dots(ax)
        drawn = drawn[np.argsort(drawn[:, 1])]
        np.testing.assert_array_equal(drawn[:, 0], own["mode"])
        assert [label.get_text() for label in ax.get_yticklabels()] == [str(x) for x in own["level"]]


def test_other_kinds_have_their_panels(fit):
    for kind, count in {"ranef": 3, "ranef-pairs": 1, "influence": 2, "quantile": 2}.items():
        options = {"nsim": 20, "rng": 1} if kind == "quantile" else {}
        assert len(fit.plot(kind, **options).axes) == count


@pytest.mark.parametrize(("picture", "panels"), [("zeta", 2), ("density", 2), ("pairs", 4)])
def test_profiles(fit, picture, panels):
    figure = fit.plot("profile", parm=["sigma", "Intercept"], picture=picture)
    assert len(figure.axes) == panels
    table = fit.profile("sigma").table
    if picture == "zeta":
        drawn = figure.axes[0].lines[1].get_xydata()
        np.testing.assert_array_equal(drawn, table[["value", "zeta"]])


def test_one_profile_on_axes_that_are_given(fit):
    figure, ax = plt.subplots()
    assert fit.plot("profile", ax=ax, parm="sigma") is figure
    assert ax.get_xlabel() == "sigma"
    for wrong in ({}, {"parm": ["sigma", "Intercept"]}, {"parm": "sigma", "picture": "pairs"}):
        with pytest.raises(DesignError, match=r"ax= takes the picture of one parameter, not parm="):
            fit.plot("profile", ax=ax, **wrong)
    with pytest.raises(DesignError, match="picture='contours'; wanted one of"):
        fit.plot("profile", picture="contours")
    profile = fit.profile(["sigma", "Intercept"])
    with pytest.raises(ValueError, match="2 parameters were asked for; name one by parm="):
        profile.plot(ax=ax)
    with pytest.raises(ValueError, match="pairs of parameters were asked for"):
        profile.plot("pairs", ax=ax)


def test_axes_that_are_given_are_used(fit):
    figure, ax = plt.subplots()
    assert fit.plot("resid", ax=ax) is figure
    assert fit.plot("caterpillar", ax=ax, factor="item", effect="(Intercept)") is figure
    with pytest.raises(DesignError, match="3 were asked for"):
        fit.plot("caterpillar", ax=ax)


def test_cutoff_is_three_interquartile_ranges_beyond_the_quartiles():
    x = pd.Series([1.0, 2, 3, 4, 5, 6, 7, 8, 100, -100], index=list("abcdefghij"))
    q1, q3 = np.quantile(x, [0.25, 0.75])
    frame = dotplot_frame(x, "cooks.distance")
    assert frame.attrs["high"] == q3 + 3 * (q3 - q1)
    assert frame.index[frame["flagged"]].tolist() == ["i"]
    both = dotplot_frame(x, "covratio")
    assert both.attrs["low"] == q1 - 3 * (q3 - q1)
    assert both.index[both["flagged"]].tolist() == ["j", "i"]
    assert dotplot_frame(x, cutoff=6.5)["flagged"].sum() == 3
    assert not dotplot_frame(x, cutoff=None)["flagged"].any()
    with pytest.raises(DesignError, match="cutoff='auto'"):
        dotplot_frame(x, cutoff="auto")


@pytest.mark.parametrize("count", [10, 3000])
def test_dotplot_names_all_levels_or_the_extreme_ones(count):
    x = pd.Series(np.random.default_rng(1).exponential(size=count), index=[f"s{i}" for i in range(count)])
    x.iloc[3] = 100.0
    ax = interlace.dotplot_diag(x).axes[0]
    ticks = [label.get_text() for label in ax.get_yticklabels()]
    named = [text.get_text() for text in ax.texts]
    assert (len(ticks) == 10) if count <= ALL_NAMED else (ticks == [] and "s3" in named and len(named) <= 8)
    drawn = dots(ax)
    np.testing.assert_array_equal(np.sort(drawn[:, 0]), np.sort(x))


def test_comparison_of_estimates(fit):
    frame = interlace.compare_influence_frame(fit, "condition", method="one-step")
    assert frame.index.get_level_values("level").unique().tolist() == ["subject", "item"]
    assert len(frame) == 36
    influence = fit.get_influence("item")
    own = frame.xs("item", level="level")
    np.testing.assert_allclose(own["estimate"], fit.fe_params.iloc[1] + influence.dfbeta[:, 1], rtol=1e-9)
    figure = interlace.compare_influence(fit, "condition", level="item", method="one-step")
    np.testing.assert_array_equal(np.sort(dots(figure.axes[0])[:, 0]), np.sort(own["estimate"]))
    with pytest.raises(DesignError, match="names 0 fixed effects"):
        interlace.compare_influence_frame(fit, "slope")


def test_influence_pictures(fit):
    influence = fit.get_influence("subject")
    drawn = dots(influence.plot_influence().axes[0])
    np.testing.assert_array_equal(drawn, influence.summary_frame()[["hat_diag", "cooks_d"]])
    heights = dots(influence.plot_index("dffits").axes[0])[:, 1]
    np.testing.assert_array_equal(heights, influence.dffits[0])
    with pytest.raises(DesignError, match="y_var='resid'"):
        influence.plot_index("resid")


def test_unknown_kind_and_option_are_refused(fit):
    with pytest.raises(DesignError, match="kind='histogram'"):
        fit.plot("histogram")
    with pytest.raises(DesignError, match=r"takes no \['bins'\]"):
        fit.plot("resid", bins=3)


def test_without_matplotlib_frames_work_and_plots_say_what_to_install(fit, monkeypatch):
    def absent(name):
        raise ImportError(name)

    monkeypatch.setattr("interlace.diagnostics.plots.importlib.import_module", absent)
    assert len(residual_frame(fit)) == fit.nobs
    with pytest.raises(ImportError, match=r"pip install .interlace\[plots\]"):
        fit.plot("resid")


def test_labels_keep_their_distance():
    placed = spread(np.array([0.5, 0.5, 0.51, 0.99, 1.2]), gap=0.1)
    assert np.diff(np.sort(placed)).min() > 0.0999
    assert placed.max() <= 0.98
    assert most_extreme(np.ones(20)).tolist() == []


def many_levels(count):
    rng = np.random.default_rng(3)
    g, effect = np.repeat(np.arange(count), 5), rng.standard_t(4, size=count)
    frame = pd.DataFrame({"y": effect[g] + rng.normal(size=len(g)), "g": [f"g{k:04d}" for k in g]})
    return interlace.fit("y ~ 1 + (1 | g)", frame)


def leaders(ax):
    """Start and end of each line from a point to its label, in shares of the axes."""
    to_axes = ax.transData + ax.transAxes.inverted()
    return [(to_axes.transform(text.xy), np.array(text.xyann)) for text in ax.texts]


def turn(a, b, c):
    return np.sign((b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]))


def cross(one, other):
    (a, b), (c, d) = one, other
    return turn(a, b, c) * turn(a, b, d) < 0 and turn(c, d, a) * turn(c, d, b) < 0


@pytest.mark.parametrize("count", [100, 3_000])
@pytest.mark.parametrize("kind", ["influence", "caterpillar"])
def test_leaders_do_not_tangle(kind, count):
    ax = many_levels(count).plot(kind).axes[0]
    lines = leaders(ax)
    assert len(lines) >= 3
    assert not any(cross(a, b) for i, a in enumerate(lines) for b in lines[:i])


def test_leaders_of_a_caterpillar_run_through_no_interval():
    ax = many_levels(100).plot("caterpillar").axes[0]
    to_axes = ax.transData + ax.transAxes.inverted()
    bars = [
        to_axes.transform(s) for c in ax.collections if hasattr(c, "get_segments") for s in c.get_segments()
    ]
    assert len(bars) == 100
    assert not any(cross(line, bar) for line in leaders(ax) for bar in bars)


def test_all_of_60_levels_are_named():
    ax = many_levels(60).plot("caterpillar").axes[0]
    assert len(ax.get_yticklabels()) == 60
    assert list(ax.texts) == []


def test_of_distances_the_largest_are_named(fit):
    scale = residual_frame(fit)["scale"]
    named = {text.get_text() for text in fit.plot("scale-location").axes[0].texts}
    assert named == {str(label) for label in scale.nlargest(3).index}
    influence = fit.get_influence("subject")
    named = {text.get_text() for text in influence.plot_index().axes[0].texts}
    assert named == {str(label) for label in influence.summary_frame()["cooks_d"].nlargest(5).index}


@pytest.mark.parametrize(
    ("measure", "label"),
    [
        ("cooks", "Cook's distance"),
        ("dffits", "DFFITS"),
        ("hat", "Leverage"),
        ("resid", "Studentized residual"),
    ],
)
def test_axes_are_named_in_words(fit, measure, label):
    assert fit.get_influence().plot_index(measure).axes[0].get_ylabel() == label
