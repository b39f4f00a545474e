"""Variables that look at all rows of the data, told from those that work row by row."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy import stats

import interlace
from interlace.errors import DataWarning, DesignError
from interlace.formula.rowwise import is_rowwise


def own_centring(x):
    return x - x.mean()


def own_square(x):
    return np.where(x > 50.0, x**2, 0.0)


NAMES = {"np": np, "pd": pd, "stats": stats, "own_centring": own_centring, "own_square": own_square}

ROW_BY_ROW = [
    "np.log(z)",
    "center(np.log(z))",
    "standardize(z)",
    "bs(z, df=4)",
    "poly(z, 2)",
    "I(z ** 2)",
    "I(z > 50)",
    "C(f, Treatment('b'))",
    "own_square(z)",
    "np.where(z > 50, 1, 0)",
    "np.clip(z, 40, 60)",
    "pd.cut(z, [0, 40, 50, 200])",
    "f.str.upper()",
    "Q('z')",
]
ALL_ROWS = [
    "I(z - np.mean(z))",
    "I(z / z.std())",
    "z.rank()",
    "own_centring(z)",
    "stats.zscore(z)",
    "center(z - z.min())",
    "z.cumsum()",
    "z > z.median()",
    "pd.cut(z, 3)",
    "pd.qcut(z, 4, labels=list('abcd'))",
    "C(pd.qcut(z, 2, labels=['low', 'high']))",
    "np.digitize(z, np.quantile(z, [.3, .6]))",
    "I(z / len(z))",
    "I(z - z.groupby(g).transform('mean'))",
]


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(2)
    n = 120
    frame = pd.DataFrame({"g": rng.integers(0, 10, n), "z": rng.normal(50.0, 9.0, n)})
    frame["f"] = rng.choice(list("abc"), n)
    slope = np.array([-0.4, 0.0, 0.4])[frame["f"].map(ord) - ord("a")]
    frame["y"] = (0.3 + slope) * frame["z"] + 8.0 * rng.normal(size=10)[frame["g"]]
    frame["y"] += rng.normal(size=n)
    frame["count"] = rng.poisson(np.exp(1.0 + 0.5 * rng.normal(size=10)[frame["g"]]))
    return frame


@pytest.mark.parametrize("code", ROW_BY_ROW)
def test_rows_predicted_alone_have_their_fitted_values(data, code):
    fit = interlace.fit(f"y ~ {code} + (1 | g)", data, eval_env=NAMES)
    # The same sums in another order.
    assert_allclose(fit.predict(data.iloc[[7]]), fit.fittedvalues.iloc[[7]], rtol=1e-12)


@pytest.mark.parametrize("code", ALL_ROWS)
def test_what_looks_at_all_rows_is_refused_for_new_ones(data, code):
    fit = interlace.fit(f"y ~ {code} + (1 | g)", data, eval_env=NAMES)
    fit = pickle.loads(pickle.dumps(fit))
    with pytest.raises(DesignError, match=r"cannot predict new rows from .*center\(x\), standardize\(x\)"):
        fit.predict(data.head(3))
    assert_allclose(fit.predict(data), fit.fittedvalues, rtol=1e-12)


def test_it_is_refused_on_the_left_of_a_bar_and_in_an_offset_too(data):
    slopes = interlace.fit("y ~ z + (1 | g) + (0 + I(z - np.mean(z)) | f)", data, eval_env=NAMES)
    with pytest.raises(DesignError, match="depends on the other rows"):
        slopes.predict(data.head(3))
    alone = slopes.predict(data.head(3), random="g")
    assert_allclose(alone, slopes.predict(data, random="g").head(3), rtol=1e-12)
    shifted = interlace.fit("y ~ f * z + offset(z - np.mean(z)) + (1 | g)", data, eval_env=NAMES)
    with pytest.raises(DesignError, match="depends on the other rows"):
        shifted.get_prediction(data.head(3))
    with pytest.raises(DesignError, match="depends on the other rows"):
        shifted.augment(data.head(3))


def test_generalised_models_refuse_it(data):
    fit = interlace.fit("count ~ I(z / z.std()) + (1 | g)", data, family="poisson", eval_env=NAMES)
    with pytest.raises(DesignError, match="depends on the other rows"):
        fit.predict(data.head(3))


def test_rows_left_out_of_the_fit_do_not_matter(data):
    gaps = data.assign(y=data["y"].where(data.index % 7 > 0))
    fit = interlace.fit("y ~ I(z - np.mean(z)) + (1 | g)", gaps, eval_env=NAMES)
    assert_allclose(fit.predict(gaps)[fit.fittedvalues.index], fit.fittedvalues, rtol=1e-12)
    with pytest.raises(DesignError, match="depends on the other rows"):
        fit.predict(gaps.assign(z=gaps["z"] + 1.0).iloc[::-1])


def test_means_over_a_grid_are_missing(data):
    fit = interlace.fit("y ~ f + I(z - np.mean(z)) + (1 | g)", data, eval_env=NAMES)
    with pytest.warns(DataWarning, match=r"the means are NaN: .*np.mean"):
        means = fit.emmeans("z", at={"z": [30.0]})
    assert means.frame["emmean"].isna().all()


def test_text_of_code_that_works_row_by_row():
    assert is_rowwise("C(f, Sum) + np.pi * (x > 3)", {"np": np, "C": interlace.fit}) is False
    assert is_rowwise("np.pi * (x > 3) - y", {"np": np})
    assert is_rowwise("_patsy_stobj0__center__.transform(x)", {})
    assert not is_rowwise("_patsy_stobj0__center__.transform(x - np.mean(x))", {"np": np})
    assert not is_rowwise("x.size * x", {})
