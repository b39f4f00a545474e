"""Results with an entry per row, streamed, against those of the table in memory."""

from __future__ import annotations

import pickle

import dask.dataframe as dd
import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from pyarrow import dataset, parquet

import interlace
from interlace.errors import DesignError, InferenceError, LevelError, SourceError
from interlace.streaming import passes
from interlace.streaming.rows import StreamedRows

from .chunks import fitted, pieces, ratings

FORMULA = "y ~ x * kind + offset(shift) + (1 + x | user) + (1 | item)"
BY_ROW = ("fittedvalues", "resid", "fittedvalues_marginal", "resid_marginal")


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    monkeypatch.setattr(passes, "ROWS", 130)


@pytest.fixture(scope="module")
def frame():
    return ratings()


@pytest.fixture(scope="module")
def files(frame, tmp_path_factory):
    place = tmp_path_factory.mktemp("rows")
    for number in range(2):
        part = frame.iloc[300 * number : 300 * (number + 1)]
        parquet.write_table(pa.Table.from_pandas(part, preserve_index=False), place / f"p{number}.parquet")
    return place


@pytest.fixture(scope="module")
def whole(frame):
    return fitted(FORMULA, frame)


@pytest.fixture(scope="module")
def streamed(files):
    return fitted(FORMULA, str(files / "*.parquet"))


@pytest.mark.parametrize("name", BY_ROW)
def test_rows_are_those_of_the_fit_in_memory(name, streamed, whole):
    rows, expected = getattr(streamed, name), getattr(whole, name)
    assert isinstance(rows, StreamedRows)
    found = rows.to_series()
    # Estimates agree to 1e-9 of a standard error, and rows no better.
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-8)
    assert found.index.tolist() == expected.index.tolist()
    assert np.asarray(rows).tolist() == found.tolist()
    batches = pa.Table.from_batches(list(rows))
    assert batches.column_names == ["row", name]
    assert batches["row"].to_pylist() == expected.index.tolist()


def test_rows_are_described_in_one_pass(streamed, whole):
    expected = whole.resid.agg(["count", "mean", "std", "min", "max"])
    np.testing.assert_allclose(streamed.resid.describe().loc["resid"], expected, rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("random", [True, False, "item"])
def test_predictions_are_those_of_the_fit_in_memory(random, streamed, whole, frame):
    own = streamed.predict(random=random).to_series()
    np.testing.assert_allclose(own, whole.predict(random=random), rtol=0, atol=1e-8)
    everything = streamed.predict(pieces(frame, 99), random=random).to_series()
    np.testing.assert_allclose(everything, whole.predict(frame, random=random), rtol=0, atol=1e-8)
    assert everything.isna().sum() > 0
    here = streamed.predict(frame.head(20), random=random)
    np.testing.assert_allclose(here, whole.predict(frame.head(20), random=random), rtol=0, atol=1e-8)


def test_a_fit_in_memory_predicts_a_source(whole, files, frame):
    rows = whole.predict(dataset.dataset(files))
    np.testing.assert_allclose(rows.to_series(), whole.predict(frame), rtol=0, atol=1e-12)


def test_augment_writes_the_rows_used_in_the_order_of_the_source(streamed, whole, frame, tmp_path):
    path = streamed.augment(tmp_path / "out.parquet")
    written = parquet.read_table(path)
    assert written.column_names == [*frame.columns, ".fitted", ".resid", ".fixed"]
    expected = whole.augment()
    found = written.to_pandas()
    np.testing.assert_allclose(found[".fitted"], expected[".fitted"], rtol=0, atol=1e-8)
    np.testing.assert_allclose(found[".fixed"], expected[".fixed"], rtol=0, atol=1e-8)
    assert found["y"].tolist() == expected["y"].tolist()
    assert found["item"].tolist() == expected["item"].tolist()
    assert [p.name for p in tmp_path.iterdir()] == ["out.parquet"]


def test_augment_streams_batches_and_frames(streamed, whole):
    batches = list(streamed.augment())
    assert sum(batch.num_rows for batch in batches) == whole.nobs
    assert len(batches) > 3
    assert streamed.augment().to_frame().index.tolist() == whole.resid.index.tolist()


def test_augment_of_new_rows_is_a_frame(streamed, frame):
    new = streamed.augment(frame.head(3))
    assert list(new.columns[-2:]) == [".fitted", ".fixed"]


def test_nothing_half_done_is_left_where_a_pass_breaks_off(frame, tmp_path):
    calls = []

    def source():
        calls.append(1)
        yield frame.iloc[:300]
        if len(calls) > 4:  # columns, first rows, and two passes
            raise OSError("the disk is gone")
        yield frame.iloc[300:]

    streamed = fitted("y ~ x + (1 | user)", source)
    target = tmp_path / "out.parquet"
    target.write_text("what was there")
    with pytest.raises(
        SourceError, match=r"the disk is gone \[the pass for .fitted, .resid, .fixed broke off: .*rows read"
    ):
        streamed.augment(target)
    assert target.read_text() == "what was there"
    assert [p.name for p in tmp_path.iterdir()] == ["out.parquet"]


@pytest.mark.parametrize("name", ["p0.parquet", "p9.parquet"])
def test_the_source_is_not_written_over(name, streamed, files):
    with pytest.raises(DesignError, match="belongs to the data that are being read"):
        streamed.resid.to_parquet(files / name)


def test_unseen_levels_are_refused_or_predicted(streamed, frame):
    new = frame.head(10).assign(item="never")
    with pytest.raises(LevelError, match="levels of 'item' that the fit has not seen: 'never'"):
        streamed.predict(new)
    with pytest.raises(SourceError, match=r"'never'.*the pass for predicted broke off: table 0"):
        streamed.predict(pieces(new, 5)).to_series()
    predicted = streamed.predict(pieces(new, 5), new_levels="population").to_series()
    np.testing.assert_allclose(predicted, streamed.predict(new, new_levels="population"))


def test_a_stored_model_opens_its_files_again(streamed, whole):
    again = pickle.loads(pickle.dumps(streamed))
    np.testing.assert_allclose(again.resid.to_series(), whole.resid, rtol=0, atol=1e-8)
    pd.testing.assert_frame_equal(again.coef_table(), streamed.coef_table())


def test_a_stored_model_of_a_function_has_no_rows_but_predicts(frame, whole):
    streamed = fitted(FORMULA, pieces(frame, 100))
    again = pickle.loads(pickle.dumps(streamed))
    with pytest.raises(DesignError, match=r"the source of the rows was not stored .*predict\(source\)"):
        _ = again.resid
    rows = again.predict(pieces(frame, 100)).to_series()
    np.testing.assert_allclose(rows, whole.predict(frame), rtol=0, atol=1e-8)


def test_a_saved_fit_is_read_without_its_rows(streamed, whole, frame, tmp_path):
    streamed.save(tmp_path / "fit.interlace")
    again = interlace.load(tmp_path / "fit.interlace")
    np.testing.assert_allclose(again.params, whole.params, rtol=1e-8)
    np.testing.assert_allclose(again.predict(frame.head(30)), whole.predict(frame.head(30)), atol=1e-8)
    with pytest.raises(DesignError, match="read in chunks"):
        streamed.save(tmp_path / "fit.interlace", rows=True)


NEED_ROWS = {
    "get_influence": lambda fit: fit.get_influence(),
    "hlm_resid": lambda fit: fit.hlm_resid(),
    "refit": lambda fit: fit.refit(np.ones(3)),
    "simulate": lambda fit: fit.simulate(2),
    "bootstrap": lambda fit: fit.bootstrap(2),
    "get_robustcov_results": lambda fit: fit.get_robustcov_results(groups="user"),
    "plot": lambda fit: fit.plot("resid"),
    "drop1": lambda fit: fit.drop1(),
    "ranova": lambda fit: fit.ranova(),
    "emmeans": lambda fit: fit.emmeans("kind"),
    "anova": lambda fit: fit.anova(),
    "get_prediction": lambda fit: fit.get_prediction(),
    "leverage": lambda fit: interlace.leverage(fit),
    "responses": lambda fit: fit.responses,
}


@pytest.mark.parametrize("name", NEED_ROWS)
def test_what_needs_all_rows_at_once_says_so(name, streamed):
    with pytest.raises(DesignError, match="the rows of this fit were read in chunks and are not in memory"):
        NEED_ROWS[name](streamed)


def test_what_needs_no_rows_is_that_of_the_fit_in_memory(streamed, whole):
    assert str(streamed.summary()) == str(whole.summary())
    pd.testing.assert_frame_equal(streamed.coef_table(), whole.coef_table(), rtol=1e-6)
    pd.testing.assert_frame_equal(streamed.tidy(), whole.tidy(), rtol=1e-6)
    pd.testing.assert_frame_equal(streamed.glance(), whole.glance(), rtol=1e-9)
    pd.testing.assert_frame_equal(streamed.group_sizes, whole.group_sizes)
    pd.testing.assert_frame_equal(
        streamed.random_effects_se["item"].to_frame(), whole.random_effects_se["item"].to_frame(), rtol=1e-6
    )
    assert streamed.model.describe() == whole.model.describe()
    assert repr(streamed).replace("StreamedLMM", "CrossedLMM") == repr(whole)
    assert streamed.model.loglike(streamed.params) == pytest.approx(streamed.llf)


def test_models_of_one_source_are_compared(files, frame):
    small, large = "y ~ x + (1 | user)", "y ~ x + (1 + x | user) + (1 | item)"
    source = str(files / "*.parquet")
    streamed = interlace.anova(*(fitted(f, source, weights="w") for f in (small, large)))
    whole = interlace.anova(*(fitted(f, frame, weights="w") for f in (small, large)))
    pd.testing.assert_frame_equal(streamed, whole, rtol=1e-7)
    alone = interlace.anova(*(fitted(f, source) for f in (small, large)), refit=None)
    assert alone["chisq"].iloc[1] > 0


OTHERS = {
    "the number of rows": ("y ~ x + kind + (1 | user)", True),
    "the response, the weights, or in the rows used": ("w ~ x + (1 | user)", True),
    "where its rows are": ("y ~ x + (1 | user)", False),
}


@pytest.mark.parametrize("what", OTHERS)
def test_models_of_other_rows_are_not_compared(what, files, frame):
    formula, streamed = OTHERS[what]
    source = str(files / "*.parquet")
    first = fitted("y ~ x + (1 | user)", source)
    with pytest.raises(InferenceError, match=f"model 2 differs from model 1 in {what}"):
        interlace.anova(first, fitted(formula, source if streamed else frame))


def test_restricted_likelihoods_of_other_fixed_parts_are_not_compared(files):
    first, other = (fitted(f"y ~ {x} + (1 | user)", str(files / "*.parquet")) for x in ("x", "x + I(x ** 2)"))
    with pytest.raises(InferenceError, match="with different fixed parts cannot be compared"):
        interlace.anova(first, other, refit=None)


def test_columns_of_the_source_are_not_written_over(frame):
    streamed = fitted("y ~ x + (1 | user)", pieces(frame.assign(**{".fitted": 1.0}), 100))
    with pytest.raises(DesignError, match=r"the source has columns \['.fitted'\] already"):
        streamed.augment()


SOURCES = {
    "lazy frame": lambda files: pl.scan_parquet(files / "*.parquet"),
    "relation": lambda files: duckdb.sql(f"select * from '{files}/*.parquet'"),
    "dask": lambda files: dd.from_pandas(parquet.read_table(files).to_pandas(), npartitions=3),
}


@pytest.mark.parametrize("kind", SOURCES)
def test_rows_of_every_engine_are_written(kind, files, whole, tmp_path):
    streamed = fitted(FORMULA, SOURCES[kind](files))
    found = parquet.read_table(streamed.augment(tmp_path / "out.parquet")).to_pandas()
    np.testing.assert_allclose(found[".resid"], whole.resid, rtol=0, atol=1e-8)
    assert found["item"].tolist() == whole.augment()["item"].tolist()


def test_update_reads_the_files_again(streamed, frame):
    updated = streamed.update(". ~ . - x:kind - (1 + x | user)")
    expected = fitted("y ~ x + kind + offset(shift) + (1 | item)", frame)
    np.testing.assert_allclose(updated.params, expected.params, rtol=1e-7)


def test_remove_data_forgets_the_source(files, frame):
    streamed = fitted("y ~ x + (1 | user)", str(files / "*.parquet"))
    streamed.remove_data()
    with pytest.raises(DesignError, match=r"rows .* are gone"):
        _ = streamed.resid
    assert len(streamed.predict(frame.head(3))) == 3
