"""Everything that can be read in chunks gives the fit of the table in memory; what cannot is told why."""

from __future__ import annotations

import io
import warnings
from types import SimpleNamespace

import dask.dataframe as dd
import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from distributed import Client
from pyarrow import csv, dataset, parquet

import interlace
from interlace.errors import DesignError, SourceError
from interlace.streaming import passes, sources

from .chunks import assert_same_fit, fitted, pieces, ratings

FORMULA = "y ~ x * kind + (1 + x | user) + (1 | item)"
CONNECTION = duckdb.connect()


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    monkeypatch.setattr(passes, "ROWS", 150)


@pytest.fixture(scope="module")
def table():
    return pa.Table.from_pandas(ratings(), preserve_index=False)


@pytest.fixture(scope="module")
def whole(table):
    return fitted(FORMULA, table)


@pytest.fixture(scope="module")
def folder(table, tmp_path_factory):
    """Three Parquet files in row groups of 64, and the same as CSV."""
    place = tmp_path_factory.mktemp("ratings")
    for number in range(3):
        part = table.slice(200 * number, 200)
        parquet.write_table(part, place / f"part{number}.parquet", row_group_size=64)
        (place / "text").mkdir(exist_ok=True)
        csv.write_csv(part, place / "text" / f"part{number}.csv")
    table.to_pandas().to_csv(place / "all.csv.gz", index=False)
    return place


def dask_frame(table):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return dd.from_pandas(table.to_pandas(integer_object_nulls=False), npartitions=5)


KINDS = {
    "pattern": lambda at: str(at.folder / "*.parquet"),
    "path": lambda at: at.folder / "part0.parquet",
    "list of paths": lambda at: [at.folder / f"part{i}.parquet" for i in range(3)],
    "csv": lambda at: str(at.folder / "text" / "*.csv"),
    "folder": lambda at: at.folder / "text",
    "packed csv": lambda at: str(at.folder / "all.csv.gz"),
    "data set": lambda at: dataset.dataset([at.folder / f"part{i}.parquet" for i in range(3)]),
    "data set in memory": lambda at: dataset.dataset(at.table),
    "lazy frame": lambda at: pl.from_arrow(at.table).lazy(),
    "scanned": lambda at: pl.scan_parquet(at.folder / "*.parquet"),
    "relation": lambda at: CONNECTION.from_arrow(at.table),
    "query": lambda at: f"select * from '{at.folder}/*.parquet' order by w",
    "dask": lambda at: dask_frame(at.table),
    "function": lambda at: pieces(at.table.to_pandas(integer_object_nulls=True), 77),
    "function of arrow": lambda at: lambda: at.table.to_batches(max_chunksize=99),
    "function of polars": lambda at: lambda: pl.from_arrow(at.table).iter_slices(120),
    "function of one": lambda at: lambda: at.table.to_pandas(integer_object_nulls=True),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_source_gives_the_fit_of_the_table(kind, table, folder, whole):
    source = KINDS[kind](SimpleNamespace(table=table, folder=folder))
    streamed = fitted(FORMULA, source)
    if kind == "path":
        whole = fitted(FORMULA, table.slice(0, 200))
    assert_same_fit(streamed, whole)


def test_rows_come_in_the_order_of_the_source(table, folder, whole):
    streamed = fitted(FORMULA, str(folder / "*.parquet"))
    found = streamed.resid.to_series()
    np.testing.assert_allclose(found, whole.resid, rtol=0, atol=1e-9 * whole.sigma)
    assert found.index.tolist() == whole.resid.index.tolist()


def test_dask_sums_where_the_partitions_lie(table, whole):
    """On a cluster: partitions never travel to the client, their sums do, in a tree."""
    with Client(processes=False, n_workers=2, threads_per_worker=1, dashboard_address=None):
        assert_same_fit(fitted(FORMULA, dask_frame(table)), whole)


def test_dask_learns_transformations_and_tells_the_partition(table):
    frame = table.to_pandas()
    same = fitted("y ~ standardize(x) + (1 | user)", dask_frame(table))
    assert_same_fit(same, fitted("y ~ standardize(x) + (1 | user)", frame))
    frame["w"] = np.where(np.arange(len(frame)) == 599, -1.0, frame["w"])
    with pytest.raises(SourceError, match=r"weights must be positive.*pass 2 of 2 broke off: partition 4 of"):
        fitted("y ~ x + (1 | user)", dd.from_pandas(frame, npartitions=5), weights="w")


# ---- dictionaries ----------------------------------------------------------------------------


def with_dictionaries(*orders, ordered=False):
    """Parts of a table whose column f has categories in these orders."""
    rng = np.random.default_rng(5)
    parts = []
    for order in orders:
        f = pd.Categorical(rng.choice(["lo", "mid", "hi"], 80), categories=order, ordered=ordered)
        g = rng.integers(12, size=80)
        y = rng.normal(size=80) + 0.5 * g + (f == "hi")
        parts.append(pd.DataFrame({"y": y, "f": f, "g": g}))
    return parts


def test_categories_keep_their_order_where_all_pieces_agree():
    parts = with_dictionaries(["lo", "mid", "hi"], ["lo", "mid", "hi"], ordered=True)
    streamed = fitted("y ~ f + (1 | g)", lambda: iter(parts))
    assert list(streamed.fe_params.index) == ["Intercept", "f[T.mid]", "f[T.hi]"]
    assert_same_fit(streamed, fitted("y ~ f + (1 | g)", pd.concat(parts, ignore_index=True)))


def test_dictionaries_that_differ_are_sorted_whatever_the_size_of_the_chunks(monkeypatch):
    parts = with_dictionaries(["lo", "mid", "hi"], ["hi", "lo", "mid"])
    tables = [pa.Table.from_pandas(part, preserve_index=False) for part in parts]
    names = []
    for rows in (30, 10_000):
        monkeypatch.setattr(passes, "ROWS", rows)
        names.append(fitted("y ~ f + (1 | g)", dataset.dataset(tables)).fe_params)
        names.append(fitted("y ~ f + (1 | g)", lambda: iter(parts)).fe_params)
    text = pd.concat([part.astype({"f": object}) for part in parts], ignore_index=True)
    plain = fitted("y ~ f + (1 | g)", text).fe_params
    for found in names:
        pd.testing.assert_series_equal(found, plain, rtol=1e-9)


def test_dictionaries_of_row_groups_are_those_of_the_column(tmp_path):
    """Each row group of a Parquet file has a dictionary of its own, in the order of its values."""
    text = pd.concat(with_dictionaries(["lo", "mid", "hi"], ["hi", "lo", "mid"]), ignore_index=True)
    table = pa.table({"y": text["y"], "g": text["g"], "f": text["f"].astype(str).tolist()})
    parquet.write_table(table, tmp_path / "f.parquet", row_group_size=20)
    read = dataset.dataset(
        tmp_path / "f.parquet",
        format=dataset.ParquetFileFormat(read_options={"dictionary_columns": {"f"}}),
    )
    assert pa.types.is_dictionary(read.schema.field("f").type)
    assert_same_fit(fitted("y ~ f + (1 | g)", read), fitted("y ~ f + (1 | g)", text.astype({"f": object})))


def test_ordered_categories_that_differ_are_refused():
    parts = with_dictionaries(["lo", "mid", "hi"], ["hi", "lo", "mid"], ordered=True)
    with pytest.raises(
        SourceError, match=r'"f" is ordered, and its order differs .*\[\'lo\', \'mid\', \'hi\'\] and'
    ):
        fitted("y ~ f + (1 | g)", lambda: iter(parts))


def test_folders_may_hold_a_column(tmp_path):
    for school, part in BASE.groupby("school"):
        (tmp_path / f"school={school}").mkdir()
        written(tmp_path / f"school={school}", "part.parquet", part.drop(columns="school"))
    whole = fitted("y ~ x + C(school) + (1 | user)", BASE)
    assert_same_fit(fitted("y ~ x + C(school) + (1 | user)", str(tmp_path)), whole)


# ---- bad sources -----------------------------------------------------------------------------


def shifting(frames):
    """A function that gives other frames each time it is called: the first call looks at the columns."""
    readings = iter(frames)
    last = []

    def opened():
        last[:] = [next(readings, None)]
        return iter([last[0] if last[0] is not None else frames[-1]])

    return opened


def changed(frame, **columns):
    return frame.assign(**columns)


BASE = ratings(200).dropna().reset_index(drop=True)
OTHER_Y = changed(BASE, y=BASE["y"][::-1].to_numpy() + 1.0)
NEW_LEVEL = changed(BASE, item=["new", *BASE["item"][1:]])
LOST = pd.concat([BASE[BASE["item"] != "i0"], BASE[BASE["item"] == "i1"]])
ONCE = iter([BASE])

BAD = {
    "an iterator": (
        lambda _: iter([BASE]),
        "data is a list_iterator, which can be read only once, and a fit reads its data twice or more; "
        "give a function that opens it anew",
    ),
    "a generator": (
        lambda _: (part for part in [BASE]),
        "data is a generator, which can be read only once",
    ),
    "a reader of pandas": (
        lambda _: pd.read_csv(io.StringIO(BASE.to_csv()), chunksize=50),
        "data is a TextFileReader, which can be read only once",
    ),
    "a function with one iterator": (
        lambda _: lambda: ONCE,
        "the data have no rows|gives no table; wanted an iterator of frames, opened anew",
    ),
    "fewer rows in the second pass": (
        lambda _: shifting([BASE, BASE, BASE, BASE[:150]]),
        r"the data changed while they were read: \d+ rows in one pass and 150 in the next",
    ),
    "other values in the second pass": (
        lambda _: shifting([BASE, BASE, BASE, OTHER_Y]),
        "the data changed while they were read: as many rows in every pass, with other values",
    ),
    "a new level in the second pass": (
        lambda _: shifting([BASE, BASE, BASE, NEW_LEVEL]),
        "the data changed while they were read: \"item\" has the new level 'new'",
    ),
    "a function of numbers": (
        lambda _: lambda: 3,
        r"the function <lambda> returned a int; wanted an iterator",
    ),
    "a function of nothing": (lambda _: lambda: iter([]), "gives no table; wanted an iterator of frames"),
    "tables without a column": (
        lambda _: lambda: iter([BASE, BASE.drop(columns="x")]),
        r"table 1 of the function <lambda> lacks the columns \['x'\].*\[pass 1 of 2 broke off: .*after chunk",
    ),
    "numbers here and text there": (
        lambda _: lambda: iter([BASE, BASE.astype({"x": str}).assign(x="tall")]),
        '"x" is 1 column.s. of numbers in one piece and categories in another',
    ),
    "no file": (lambda tmp: str(tmp / "none*.parquet"), 'no file is at ".*none.*"; wanted a path or pattern'),
    "another kind of file": (lambda tmp: written(tmp, "data.xlsx"), "are not all Parquet .* or all CSV"),
    "files of two kinds": (lambda tmp: [written(tmp), written(tmp, "a.parquet")], "are not all Parquet"),
    "an empty file": (lambda tmp: written(tmp, frame=BASE[:0]), "the data have no rows"),
    "infinite values": (
        lambda _: pieces(changed(BASE, x=np.where(BASE.index == 160, np.inf, BASE["x"])), 50),
        r"infinite values in the fixed effects: .*pass 2 of 2 broke off: table 3 .*chunk 4, rows 150",
    ),
    "text among numbers": (
        lambda _: pieces(changed(BASE, y=[*BASE["y"].astype(str)[:-1], "k.A."]), 50),
        r'"y" is text that looks like numbers.*pass 1 of 2 broke off: table 0',
    ),
    "a file without a column": (
        lambda tmp: [written(tmp, "a.parquet"), written(tmp, "b.parquet", BASE.drop(columns="x"))],
        r"b.parquet lacks the columns \['x'\]; wanted .* in every file \[pass 1 of 2 broke off: .*a.parquet",
    ),
    "an array": (lambda _: np.ones((3, 3)), "data is a ndarray; wanted a table"),
}


def written(folder, name="data.csv", frame=BASE):
    path = folder / name
    if name.endswith("parquet"):
        parquet.write_table(pa.Table.from_pandas(frame), path)
    else:
        frame.to_csv(path, index=False)
    return str(path)


@pytest.mark.parametrize("kind", BAD)
def test_bad_sources_are_told_what_is_wrong(kind, tmp_path):
    make, sentence = BAD[kind]
    with pytest.raises(DesignError, match=sentence):
        interlace.fit("y ~ x + (1 | item)", make(tmp_path))


def test_a_word_far_down_in_a_file_of_numbers_is_told_with_its_place(tmp_path, monkeypatch):
    """The kind of a column is guessed from the first megabyte."""
    monkeypatch.setattr(passes, "ROWS", 20_000)
    path = tmp_path / "data.csv"
    pd.concat([BASE] * 300)[["y", "x", "item"]].to_csv(path, index=False)
    with path.open("a") as file:
        file.write("1.5,tall,i1\n")
    place = r"Row #\d+: CSV conversion error to double: invalid value 'tall' \[.* broke off: .*data.csv"
    with pytest.raises(SourceError, match=place):
        interlace.fit("y ~ x + (1 | item)", path)


def test_files_that_change_between_passes_are_refused(tmp_path, monkeypatch):
    path = tmp_path / "data.csv"
    written(tmp_path)
    begin = passes.Passes.reduce

    def appended(self, work):
        found = begin(self, work)
        with path.open("a") as file:
            file.write(path.read_text().splitlines()[-1] + "\n")
        return found

    monkeypatch.setattr(passes.Passes, "reduce", appended)
    with pytest.raises(SourceError, match=r"files of .*data.csv were added, removed or written after pass 1"):
        interlace.fit("y ~ x + (1 | item)", str(path))


def test_an_interruption_says_where_and_leaves_nothing():
    def interrupted():
        yield BASE[:100]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as caught:
        interlace.fit("y ~ x + (1 | item)", interrupted)
    assert caught.value.__notes__ == [
        "pass 1 of 2 broke off: table 0 of the function interrupted, after chunk 1, 100 rows read"
    ]


@pytest.mark.parametrize(
    ("missing", "data", "sentence"),
    [
        ("pyarrow.dataset", "data.csv", r"read by pyarrow, which is not installed. .*interlace\[stream\]"),
        ("duckdb", "select 1", "a query in SQL is run by DuckDB, which is not installed"),
    ],
)
def test_what_is_not_installed_is_named(missing, data, sentence, tmp_path, monkeypatch):
    def absent(name):
        if name == missing:
            raise ImportError(name)
        return __import__(name, fromlist=["x"])

    monkeypatch.setattr(sources.importlib, "import_module", absent)
    written(tmp_path)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ImportError, match=sentence):
        interlace.fit("y ~ x + (1 | item)", data)


def test_an_old_polars_is_told():
    class LazyFrame:
        __module__ = "polars.lazyframe"

        def collect(self):
            return None

    with pytest.raises(DesignError, match=r"this polars has no LazyFrame\.collect_batches"):
        interlace.fit("y ~ x + (1 | item)", LazyFrame())


def test_one_reading_of_arrow_batches_is_collected_as_before(table, whole):
    """A stream of Arrow can be read once only, and is a table for that reason: it always was collected."""
    reader = pa.RecordBatchReader.from_batches(table.schema, table.to_batches(max_chunksize=100))
    assert len(fitted(FORMULA, reader).resid) == whole.nobs


def test_rows_and_their_rate_are_shown_on_a_terminal(monkeypatch):
    told = []

    class Bar:
        def __init__(self, **how):
            told.append((how["desc"], how["unit"], how["total"]))

        def __enter__(self):
            return self

        def __exit__(self, *_):
            return None

        def update(self, rows):
            told.append(rows)

    monkeypatch.setattr("interlace.parallel._bar", lambda: Bar)
    interlace.fit("y ~ x + (1 | item)", pieces(BASE, 100))
    n = len(BASE)
    assert told == [("pass 1 of 2", " rows", None), 100, n - 100, ("pass 2 of 2", " rows", n), 100, n - 100]
