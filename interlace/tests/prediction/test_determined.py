"""Predictions that the data of the fit do not determine, for every kind of model."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import interlace
from interlace.errors import DesignError, LevelError, RankDeficiencyWarning

NEW = pd.DataFrame({"a": ["a3", "a3"], "b": ["b4", "b1"], "x": [0.0, 0.0], "s": [0, 0]})


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(3)
    cells = [(a, b, s) for s in range(10) for a in ("a1", "a2", "a3") for b in ("b1", "b2", "b3", "b4")]
    frame = pd.DataFrame(cells, columns=["a", "b", "s"])
    frame = frame[~((frame["a"] == "a3") & (frame["b"] == "b4"))].reset_index(drop=True)
    eta = 2.0 * rng.normal(size=10)[frame["s"]] + 0.5 * (frame["a"] == "a2")
    frame["x"] = rng.normal(size=len(frame))
    frame["y"] = eta + rng.normal(size=len(frame))
    frame["k"] = rng.poisson(np.exp(0.3 * eta))
    frame["o"] = np.digitize(eta + rng.logistic(size=len(frame)), [-1.0, 1.0])
    return frame


def fits(data):
    yield interlace.fit("y ~ a * b + x + (1 | s)", data)
    yield interlace.fit("k ~ a * b + x + (1 | s)", data, family="poisson")
    yield interlace.CrossedOrdinal.from_formula("o ~ a * b + x + (1 | s)", data).fit()


@pytest.mark.parametrize("first", ["a1", "a2", "a3"])
def test_an_empty_cell_has_no_prediction_whichever_category_comes_first(data, first):
    order = [first, *sorted({"a1", "a2", "a3"} - {first})]
    ordered = data.assign(a=pd.Categorical(data["a"], categories=order))
    with pytest.warns(RankDeficiencyWarning, match="rank deficient"):
        models = list(fits(ordered))
    for fit in models:
        with pytest.warns(RankDeficiencyWarning, match="1 of 2 rows have no prediction"):
            found = np.asarray(fit.predict(NEW, random=False), dtype=float).reshape(2, -1)
        assert np.isnan(found).all(axis=1).tolist() == [True, False]
        assert np.isfinite(np.asarray(fit.predict(data), dtype=float)).all()
        with pytest.warns(RankDeficiencyWarning, match="1 of 2 rows have no prediction"):
            added = fit.augment(NEW).filter(like=".")
        assert np.isnan(added.to_numpy(dtype=float)).all(axis=1).tolist() == [True, False]


def test_its_intervals_are_missing_too(data):
    with pytest.warns(RankDeficiencyWarning, match="rank deficient"):
        linear, generalised, _ = fits(data)
    for fit in (linear, generalised):
        for random in (True, False):
            with pytest.warns(RankDeficiencyWarning, match="1 of 2 rows have no prediction"):
                frame = fit.get_prediction(NEW, random=random).summary_frame()
            assert frame.isna().all(axis=1).tolist() == [True, False]


def test_the_kept_rows_are_still_known_after_the_data_are_removed(data):
    with pytest.warns(RankDeficiencyWarning, match="rank deficient"):
        fit = interlace.fit("y ~ a * b + x + (1 | s)", data)
    before = fit.predict(NEW.iloc[1:])
    fit.remove_data()
    with pytest.warns(RankDeficiencyWarning, match="1 of 2 rows have no prediction"):
        after = fit.predict(NEW)
    assert_allclose(after.iloc[1:], before, rtol=1e-14)


def test_files_know_what_the_data_do_not_determine(data, tmp_path):
    with pytest.warns(RankDeficiencyWarning, match="rank deficient"):
        empty = interlace.fit("y ~ a * b + x + (1 | s)", data)
    empty.save(tmp_path / "empty.interlace")
    with pytest.warns(RankDeficiencyWarning, match="1 of 2 rows have no prediction"):
        found = interlace.load(tmp_path / "empty.interlace").predict(NEW)
    assert np.isnan(found).tolist() == [True, False]
    ranks = interlace.fit("y ~ x.rank() + (1 | s)", data)
    ranks.save(tmp_path / "ranks.interlace")
    with pytest.raises(DesignError, match="depends on the other rows"):
        interlace.load(tmp_path / "ranks.interlace").predict(NEW)


def test_a_model_from_arrays(data):
    exog = pd.DataFrame({"one": 1.0, "x": data["x"], "twice": 2.0 * data["x"]})
    with pytest.warns(RankDeficiencyWarning, match="rank deficient"):
        fit = interlace.CrossedLMM(data["y"], exog, groups=data["s"]).fit()
    with pytest.warns(RankDeficiencyWarning, match="1 of 2 rows have no prediction"):
        found = fit.predict({"one": [1.0, 1.0], "x": [1.0, 1.0], "twice": [2.0, 3.0], "s": [0, 0]})
    assert np.isnan(found).tolist() == [False, True]


def test_a_group_all_of_whose_rows_were_dropped(data):
    gaps = data.assign(x=data["x"].where(data["s"] != 4), z=1.0)
    kinds = {"linear": ("y", None), "generalised": ("k", "poisson")}
    for response, family in kinds.values():
        fit = interlace.fit(f"{response} ~ a + x + offset(z) + (1 | s)", gaps, family=family)
        assert np.isnan(fit.predict(gaps)).tolist() == (gaps["s"] == 4).tolist()
        assert np.isnan(fit.get_prediction(gaps).predicted_mean).tolist() == (gaps["s"] == 4).tolist()
        with pytest.raises(LevelError, match="The fit left out 11 rows for missing values"):
            fit.predict(gaps.assign(x=0.0))
