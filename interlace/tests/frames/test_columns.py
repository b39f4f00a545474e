"""Tables of every kind give the same design."""

import datetime
import subprocess
import sys
from pathlib import Path

import dask.dataframe as dd
import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from pyarrow import dataset

import interlace
from interlace.design import apply_design, build_design
from interlace.errors import DataWarning, DesignError, UnknownColumnError
from interlace.formula.grammar import parse_formula
from interlace.frames.columns import Columns, as_frame, check_columns, missing_rows, plain

FORMULA = "y ~ x + f + (1 + x | g) + (1 | h:k)"
NAMES = {"y": [1.5, 2.0, 4.0, 3.5, 5.0, 1.0, 0.5, 2.5, 3.0, 2.0, 1.0, 4.5, 2.2]}
ROWS = 13


def columns():
    """One row (the last) has missing values where the kind of column allows them."""
    return {
        **NAMES,
        "x": [0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 1],
        "f": ["u", "v", "w", "u", "v", "w", "v", "u", "w", "u", "v", "w", None],
        "g": [10, 9, 10, 9, 2, 2, 10, 9, 2, 10, 9, 2, 2],
        "h": ["b", "a", "b", "a", "a", "b", "b", "a", "b", "a", "b", "a", "a"],
        "k": [True, False, False, True, True, True, False, False, True, True, False, True, True],
    }


def numpy_frame():
    return pd.DataFrame(columns())


class Stream:
    """Says nothing of itself but that it can be read as Arrow."""

    def __init__(self, table):
        self._table = table

    def __arrow_c_stream__(self, requested_schema=None):
        return self._table.__arrow_c_stream__(requested_schema)


DUCKDB = duckdb.connect()


def with_dtypes(**dtypes):
    return lambda: numpy_frame().astype(dtypes)


KINDS = {
    "pandas": numpy_frame,
    "dict of lists": columns,
    "dict of arrays": lambda: {name: np.array(values, dtype=object) for name, values in columns().items()},
    "record array": lambda: numpy_frame().to_records(index=False),
    "object": with_dtypes(f=object, h=object, x=object, y=object, g=object),
    "string": with_dtypes(f="string", h="string"),
    # Before pandas 3, "str" is no dtype with missing values: None would become the text "None".
    **({"str": with_dtypes(f="str", h="str")} if int(pd.__version__.split(".")[0]) >= 3 else {}),
    "categorical": lambda: numpy_frame().astype({"f": "category", "h": "category", "g": "category"}),
    "unused categories": lambda: numpy_frame().assign(
        f=pd.Categorical(columns()["f"], categories=["u", "never", "v", "w"]),
        g=pd.Categorical(columns()["g"], categories=[1, 2, 9, 10, 11]),
    ),
    "nullable": with_dtypes(x="Int64", y="Float64", g="Int64", k="boolean", f="string"),
    "arrow": lambda: pa.table(columns()).to_pandas(types_mapper=pd.ArrowDtype),
    "arrow dictionary": lambda: pa.table(
        {**columns(), "f": pa.array(columns()["f"]).dictionary_encode()}
    ).to_pandas(types_mapper=pd.ArrowDtype),
    "sparse": lambda: numpy_frame().assign(x=pd.arrays.SparseArray(columns()["x"])),
    "pyarrow": lambda: pa.table(columns()),
    "polars": lambda: pl.DataFrame(columns()),
    "polars categories": lambda: pl.DataFrame(columns()).with_columns(
        pl.col("f").cast(pl.Categorical), pl.col("h").cast(pl.Enum(["a", "b", "never"]))
    ),
    "pyarrow batches": lambda: pa.RecordBatchReader.from_batches(
        pa.table(columns()).schema, pa.table(columns()).to_batches(max_chunksize=5)
    ),
    "arrow stream": lambda: Stream(pa.table(columns())),
    "arrow data set": lambda: dataset.dataset(pa.table(columns())),
    "duckdb": lambda: DUCKDB.from_arrow(pa.table(columns())),
    "dict of polars": lambda: {name: pl.Series(name, values) for name, values in columns().items()},
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_table_gives_the_same_design(kind):
    """The figures are worked out by hand from the lists above."""
    design = build_design(parse_formula(FORMULA), KINDS[kind]())
    raw = columns()
    assert design.n_dropped == 1
    assert design.xnames == ("Intercept", "x", "f[T.v]", "f[T.w]")
    assert design.y.tolist() == raw["y"][:12]
    assert design.X[:, 1].tolist() == raw["x"][:12]
    assert design.X[:, 2].tolist() == [float(value == "v") for value in raw["f"][:12]]
    nested, group = design.factor_labels
    assert [str(level) for level in group.levels] == ["2", "9", "10"]
    assert [int(group.levels[code]) for code in design.factors[1].codes] == raw["g"][:12]
    assert list(nested.levels) == ["a:False", "a:True", "b:False", "b:True"]
    pairs = [f"{h}:{k}" for h, k in zip(raw["h"][:12], raw["k"][:12], strict=True)]
    assert [nested.levels[code] for code in design.factors[0].codes] == pairs


@pytest.mark.parametrize("fitted", ["pandas", "categorical", "arrow", "polars"])
@pytest.mark.parametrize("new", ["pandas", "object", "categorical", "nullable", "arrow", "polars categories"])
def test_new_data_may_be_of_another_kind(fitted, new):
    design = build_design(parse_formula(FORMULA), KINDS[fitted]())
    again = apply_design(design, KINDS[new]())
    np.testing.assert_array_equal(again.X[:12], design.X)
    assert np.isnan(again.X[12]).all()
    for codes, factor in zip(again.codes, design.factors, strict=True):
        np.testing.assert_array_equal(codes[:12], factor.codes)
    assert again.unseen == ([], [])


def test_frame_is_taken_as_it_is():
    frame = numpy_frame()
    assert as_frame(frame) is frame
    assert plain(frame["x"]) is frame["x"] or plain(frame["x"]).equals(frame["x"])
    assert np.shares_memory(as_frame({"x": frame["x"].to_numpy()})["x"].to_numpy(), frame["x"].to_numpy())


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"pyarrow batches"}))  # which are read once, and gone
def test_data_are_not_modified(kind):
    data = KINDS[kind]()
    before = as_frame(data).copy(deep=True)
    build_design(parse_formula(FORMULA), data, weights=np.ones(ROWS), groups=["f"])
    pd.testing.assert_frame_equal(as_frame(data), before)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (pd.array([1, None], dtype="Int64"), [1.0, np.nan]),
        (pd.array([1, 2], dtype="Int64"), [1, 2]),
        (pd.array([1.5, None], dtype="Float32"), [1.5, np.nan]),
        (pd.array([1.5, None], dtype=pd.ArrowDtype(pa.float64())), [1.5, np.nan]),
        (pd.array([1, 2], dtype=pd.ArrowDtype(pa.decimal128(5, 2))), [1.0, 2.0]),
        (np.array([1, None], dtype=object), [1.0, np.nan]),
        (np.array([1.5, 2], dtype=object), [1.5, 2.0]),
        (pd.array([True, False], dtype="boolean"), [True, False]),
        (pd.arrays.SparseArray([0.0, 1.0]), [0.0, 1.0]),
    ],
)
def test_numbers_become_numpy_numbers(values, expected):
    found = plain(pd.Series(values))
    assert isinstance(found.dtype, np.dtype)
    assert found.dtype.kind in "iufb"
    np.testing.assert_array_equal(found.to_numpy(), expected)


def test_missing_boolean_is_missing():
    found = plain(pd.Series(pd.array([True, None, False], dtype="boolean")))
    assert missing_rows(found).tolist() == [False, True, False]
    assert missing_rows(np.array([[1.0, np.nan], [1.0, 2.0]])).tolist() == [True, False]


def test_polars_categories_keep_the_declared_order_or_are_sorted():
    data = pl.DataFrame({"e": ["lo", "hi"], "c": ["lo", "hi"], "d": [datetime.date(2020, 1, 2)] * 2})
    frame = as_frame(
        data.with_columns(pl.col("e").cast(pl.Enum(["lo", "hi"])), pl.col("c").cast(pl.Categorical))
    )
    assert list(frame["e"].cat.categories) == ["lo", "hi"]
    assert list(frame["c"].cat.categories) == ["hi", "lo"]
    assert frame["d"].tolist() == [datetime.date(2020, 1, 2)] * 2


def test_integer_labels_with_gaps_stay_integers():
    table = {"g": [3, None, 1]}
    for data in (pl.DataFrame(table), pa.table(table)):
        assert [value for value in as_frame(data)["g"] if not pd.isna(value)] == [3, 1]
        assert all(isinstance(value, int) for value in as_frame(data)["g"].dropna().tolist())


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([1, 2], r"data is a list; wanted a table \(pandas, polars, pyarrow\) or a dict of columns"),
        (None, "data is a NoneType"),
        ("sleepstudy.csv", "data is a str"),
        (pl.LazyFrame({"x": [1]}), r"data is a lazy polars frame; give data.collect\(\)"),
        ({"x": [1, 2], "y": [1]}, "the columns of the data do not make a table"),
    ],
)
def test_what_is_no_table_is_refused(data, message):
    with pytest.raises(DesignError, match=message):
        as_frame(data)


@pytest.mark.parametrize(
    ("wanted", "known", "message"),
    [
        (["rtt"], ["rt", "subject"], r"columns not in the data: \['rtt'\]. Did you mean 'rt'\?"),
        (["Subj"], ["subject"], r"\['Subj'\]. Did you mean 'subject'\?"),
        (["Sepal"], ["Sepal.Length"], r"""Did you mean 'Q\("Sepal.Length"\)'\?"""),
        (["zzz"], ["a", "b"], r"\['zzz'\]. There are a, b."),
        (["zzz"], [f"a{i}" for i in range(30)], "a19, ..."),
        (["gruop", "itme"], ["group", "item"], "Did you mean 'group' and 'item'"),
    ],
)
def test_unknown_columns_are_named_with_what_may_be_meant(wanted, known, message):
    with pytest.raises(UnknownColumnError, match=message):
        check_columns(wanted, known)


def test_columns_are_a_mapping():
    found = Columns(numpy_frame())
    assert list(found) == list(columns())
    assert len(found) == len(columns())
    assert found.n_rows == ROWS
    assert "x" in found
    assert "nope" not in found


def test_optional_packages_are_not_needed():
    code = (
        "import sys; sys.modules['polars'] = sys.modules['pyarrow'] = None;"  # importing them now fails
        "import interlace.formula.grammar as f; from interlace.design import build_design;"
        "build_design(f.parse_formula('y ~ x + (1 | g)'),"
        "{'y': [1., 2, 4, 3], 'x': [0, 1, 3, 2], 'g': list('aabb')})"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(interlace.__file__).parents[1])


def test_dask_frames_are_computed_with_a_note():
    data = dd.from_pandas(numpy_frame(), npartitions=3)
    with pytest.warns(DataWarning, match="all of its 6 columns are in memory now") as caught:
        design = build_design(parse_formula(FORMULA), data)
    assert caught[0].filename == __file__
    np.testing.assert_array_equal(design.X, build_design(parse_formula(FORMULA), numpy_frame()).X)


def test_duckdb_queries_are_data():
    frame = interlace.datasets.load_penicillin()
    found = interlace.fit("diameter ~ 1 + (1 | plate) + (1 | sample)", DUCKDB.sql("select * from frame"))
    expected = interlace.fit("diameter ~ 1 + (1 | plate) + (1 | sample)", frame)
    # Read in chunks: the same sums in another order.
    assert found.objective == pytest.approx(expected.objective, rel=1e-12)


@pytest.mark.parametrize(("missing", "read"), [(["pyarrow"], True), (["pyarrow", "polars"], False)])
def test_streams_need_a_reader(monkeypatch, missing, read):
    stream = Stream(pa.table(columns()))
    for name in missing:
        monkeypatch.setitem(sys.modules, name, None)
    if read:
        assert as_frame(stream).shape == (ROWS, 6)
        return
    with pytest.raises(
        DesignError, match=r"Stream, an Arrow stream, which pyarrow or polars must read and neither"
    ):
        as_frame(stream)


def test_duckdb_needs_no_reader(monkeypatch):
    relation = DUCKDB.from_arrow(pa.table(columns()))
    for name in ("pyarrow", "polars"):
        monkeypatch.setitem(sys.modules, name, None)
    assert as_frame(relation).shape == (ROWS, 6)


def test_column_names_may_occur_twice_where_they_are_not_used():
    frame = numpy_frame()
    twice = pd.concat([frame.assign(z=1), frame[["h"]].rename(columns={"h": "z"})], axis=1)
    np.testing.assert_array_equal(
        build_design(parse_formula(FORMULA), twice).X, build_design(parse_formula(FORMULA), frame).X
    )
    for formula in ("y ~ z + (1 | g)", "z ~ 1 + (1 | g)", "y ~ 1 + (1 | z)", "y ~ 1 + (z | g)"):
        with pytest.raises(DesignError, match=r'^the data have 2 columns named "z"; rename them$'):
            build_design(parse_formula(formula), twice)
