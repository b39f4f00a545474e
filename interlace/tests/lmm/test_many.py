"""Many responses at once: each as if it had been fitted alone."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import interlace
from interlace.errors import FormulaError, MissingValuesError, UnknownColumnError

# Two searches from different cross-products of the same numbers, see test_refit.
OBJECTIVE = dict(rel=1e-11, abs=1e-9)


@pytest.fixture(scope="module")
def data():
    sleep = interlace.datasets.load_sleepstudy()
    rng = np.random.default_rng(3)
    sleep["noise"] = rng.normal(size=180)
    sleep["mixed"] = sleep["Reaction"] / 50 + sleep["noise"]
    sleep["gaps"] = sleep["mixed"].where(rng.random(180) > 0.2)
    sleep["holes"] = sleep["gaps"] * 2 + 1
    return sleep


def test_each_is_the_fit_alone(data):
    names = ["Reaction", "mixed", "gaps", "np.log(Reaction)", "holes"]
    found = interlace.fit_many("~ Days + (Days | Subject)", data, names)
    assert list(found) == names
    for name in names:
        alone = interlace.fit(f"{name} ~ Days + (Days | Subject)", data)
        assert found[name].objective == pytest.approx(alone.objective, **OBJECTIVE)
        assert found[name].nobs == alone.nobs
        assert found[name].model.endog_names == name
        se = alone.bse_fe.to_numpy()
        assert found[name].fe_params.to_numpy() / se == pytest.approx(
            alone.fe_params.to_numpy() / se, abs=1e-5
        )


def test_maximum_likelihood_and_other_options(data):
    options = dict(weights=np.arange(1.0, 181), subset=data["Days"] > 1)
    found = interlace.fit_many("~ Days", data, ["mixed", "gaps"], method="ML", groups="Subject", **options)
    for name in found:
        alone = interlace.fit(f"{name} ~ Days", data, method="ML", groups="Subject", **options)
        assert found[name].objective == pytest.approx(alone.objective, **OBJECTIVE)
        assert found[name].reml is False


def test_a_left_side_is_replaced(data):
    found = interlace.fit_many("whatever ~ Days + (1 | Subject)", data, "mixed")
    assert list(found) == ["mixed"]


def test_responses_of_a_frame(data):
    others = pd.DataFrame({"one": data["mixed"], "number two": data["noise"] + data["Reaction"]})
    found = interlace.fit_many("~ Days + (1 | Subject)", data, others)
    assert list(found) == ["one", "Q('number two')"]
    alone = interlace.fit("mixed ~ Days + (1 | Subject)", data)
    assert found["one"].objective == pytest.approx(alone.objective, **OBJECTIVE)
    assert "one" not in data.columns
    with pytest.raises(FormulaError, match="has 10 rows and the data 180"):
        interlace.fit_many("~ Days + (1 | Subject)", data, others.head(10))


def test_frames(data):
    found = interlace.fit_many("~ Days + (1 | Subject)", data, ["Reaction", "mixed"])
    assert list(found.frame["response"].unique()) == ["Reaction", "mixed"]
    assert len(found.frame) == 8
    own = found.frame.query("response == 'mixed' and term == 'Days'")
    assert own["estimate"].item() == found["mixed"].fe_params["Days"]
    assert found.models.index.tolist() == ["Reaction", "mixed"]
    assert found.models["nobs"].tolist() == [180, 180]
    assert len(found) == 2


def test_failures_are_told(data):
    found = interlace.fit_many("~ Days + (1 | Subject)", data.assign(flat=1.0), ["flat", "mixed"])
    assert list(found) == ["mixed"]
    assert found.failures["flat"].startswith("OptimizationError: the fixed effects reproduce the response")
    assert "1 failed" in repr(found)


def test_singular_fits_are_counted_without_a_warning(data):
    assert "1 singular" in repr(interlace.fit_many("~ Days + (1 | Subject)", data, ["noise"]))


def test_what_cannot_be_is_refused(data):
    with pytest.raises(FormulaError, match="responses= is empty"):
        interlace.fit_many("~ Days + (1 | Subject)", data, [])
    with pytest.raises(UnknownColumnError, match="nothing"):
        interlace.fit_many("~ Days + (1 | Subject)", data, ["nothing"])
    with pytest.raises(MissingValuesError, match="'gaps'"):
        interlace.fit_many("~ Days + (1 | Subject)", data, ["gaps"], missing="raise")
    with pytest.raises(ValueError, match="method='reml' is not offered"):
        interlace.fit_many("~ Days + (1 | Subject)", data, ["mixed"], method="reml")


def test_diagnostics_and_predictions_work(data):
    found = interlace.fit_many("~ Days + (Days | Subject)", data, ["Reaction", "gaps"])
    alone = interlace.fit("gaps ~ Days + (Days | Subject)", data)
    assert interlace.leverage(found["gaps"])["overall"].to_numpy() == pytest.approx(
        interlace.leverage(alone)["overall"].to_numpy(), rel=1e-4
    )
    rows = {"Days": [3.0], "Subject": ["308"]}
    assert found["gaps"].predict(rows)[0] == pytest.approx(alone.predict(rows)[0], rel=1e-6)
    assert found["Reaction"].coef_table().notna().all(axis=None)


HELD_HERE = 2.0


@pytest.mark.parametrize(
    "text", ["~ Days * HELD_HERE + (1 | Subject)", "~ Days * HELD + (1 | Subject)", "~ fits + (1 | Subject)"]
)
def test_a_formula_that_shall_see_no_names_sees_none(text):
    # HELD and fits are names of the module that fits many responses.
    sleep = interlace.datasets.load_sleepstudy()
    with pytest.raises(UnknownColumnError, match="columns not in the data"):
        interlace.fit_many(text, sleep, ["Reaction"], eval_env=-1)


def test_a_formula_sees_the_names_of_its_caller():
    sleep = interlace.datasets.load_sleepstudy()
    seen = interlace.fit_many("~ I(Days * HELD_HERE) + (1 | Subject)", sleep, ["Reaction"])["Reaction"]
    assert seen.fe_params.iloc[1] == pytest.approx(10.467286 / HELD_HERE, rel=1e-6)  # lme4's slope, halved
