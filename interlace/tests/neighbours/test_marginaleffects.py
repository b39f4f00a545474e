"""marginaleffects on fitted models, against our own marginal means and predictions."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
from marginaleffects import avg_comparisons, avg_predictions, avg_slopes, hypotheses, predictions

import interlace
from interlace.errors import DesignError
from interlace.neighbours.marginaleffects import adapt

# marginaleffects 0.6 calls what polars 2 has removed, and polars 1 says so.
pytestmark = pytest.mark.filterwarnings("ignore:.*get_categories:DeprecationWarning")


@pytest.fixture(scope="module")
def trials():
    data = interlace.datasets.make_reading_times(20, 12, rng=4, item_sd=60.0)
    rng = np.random.default_rng(5)
    return data.assign(
        length=rng.integers(3, 9, size=len(data)).astype(float), block=np.resize([1, 2, 3], len(data))
    )


@pytest.fixture(scope="module")
def fit(trials):
    return interlace.fit("rt ~ condition * length + (1 | subject) + (1 | item)", trials)


def test_predictions_on_a_grid_are_marginal_means(fit):
    """With length at its mean, emmeans asks for the same two numbers and their standard errors."""
    mine = fit.emmeans("condition").frame
    length = fit.model.data.frame["length"].mean()
    grid = pl.DataFrame({"condition": mine["condition"].astype(str).tolist(), "length": [length] * 2})
    found = predictions(adapt(fit), newdata=grid)
    np.testing.assert_allclose(found["estimate"], mine["emmean"], rtol=1e-12)
    # theirs come from a Jacobian by differences of a linear function
    np.testing.assert_allclose(found["std_error"], mine["std_error"], rtol=1e-6)


def test_average_predictions_are_means_of_population_predictions(fit, trials):
    found = avg_predictions(adapt(fit), by="condition").sort("condition")
    expected = fit.predict(random=False).groupby(trials["condition"]).mean()
    np.testing.assert_allclose(found["estimate"], expected, rtol=1e-12)


def test_comparison_of_conditions_is_the_contrast_of_marginal_means(fit):
    found = avg_comparisons(adapt(fit), variables="condition")
    mine = fit.emmeans("condition").contrasts()
    # a balanced mean over the rows is the value at the mean: the model is linear in length
    assert abs(found["estimate"].item()) == pytest.approx(abs(mine["estimate"].iloc[0]), rel=1e-9)
    assert found["std_error"].item() == pytest.approx(mine["std_error"].iloc[0], rel=1e-6)


def test_slopes(fit):
    found = avg_slopes(adapt(fit), variables="length", by="condition", eps=1.0).sort("condition")
    b = fit.fe_params
    expected = [b["length"], b["length"] + b["condition[T.incongruent]:length"]]
    # differences of a linear function: any step will do, but their default loses digits
    np.testing.assert_allclose(found["estimate"], expected, rtol=1e-6)
    assert found["std_error"][0] == pytest.approx(fit.bse_fe["length"], rel=1e-6)


def test_hypotheses_about_coefficients(fit):
    found = hypotheses(adapt(fit))
    assert found["term"].to_list() == list(fit.fe_params.index)
    np.testing.assert_allclose(found["std_error"], fit.bse_fe, rtol=1e-6)
    joint = hypotheses(adapt(fit), hypothesis="b1 = 2 * b2")
    b, C = fit.fe_params.to_numpy(), fit.pls_fit.vcov_beta
    a = np.array([0.0, 1.0, -2.0, 0.0])
    assert joint["estimate"].item() == pytest.approx(a @ b, rel=1e-9)
    assert joint["std_error"].item() == pytest.approx(np.sqrt(a @ C @ a), rel=1e-6)


def test_rows_left_out_offsets_and_categories_of_numbers(trials):
    data = trials.assign(block=pd.Categorical(trials["block"]), base=np.linspace(0.0, 9.0, len(trials)))
    data.loc[3, "length"] = np.nan
    result = interlace.fit("rt ~ block + np.log(length) + offset(base) + (1 | subject) + (1 | item)", data)
    found = avg_predictions(adapt(result))
    assert found["estimate"].item() == pytest.approx(result.predict(random=False).mean(), rel=1e-12)
    by_block = avg_comparisons(adapt(result), variables="block")
    np.testing.assert_allclose(
        by_block["estimate"], result.fe_params[["block[T.2]", "block[T.3]"]], rtol=1e-9
    )


def test_what_cannot_be_adapted_is_refused(fit):
    data = interlace.datasets.load_sleepstudy()
    arrays = interlace.CrossedLMM(data["Reaction"], np.ones(180), groups=data["Subject"]).fit()
    with pytest.raises(DesignError, match="this one has no formula"):
        adapt(arrays)
    with pytest.raises(DesignError, match="vcov='HC3': give a matrix"):
        avg_predictions(adapt(fit), vcov="HC3")


def test_page_runs(fit):
    page = (Path(__file__).parents[3] / "docs" / "how-to" / "other-packages.md").read_text(encoding="utf-8")
    code = re.search(r"^```\{code-block\} python\n(.*?)^```", page, flags=re.DOTALL | re.MULTILINE)[1]
    data = interlace.datasets.load_sleepstudy()
    exec(code, {"slopes": interlace.fit("Reaction ~ Days + (Days | Subject)", data)})
