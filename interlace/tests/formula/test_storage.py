"""Designs that are stored, and transformations that remember."""

from __future__ import annotations

import copy
import pickle
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import patsy
import pytest

import interlace
from interlace.design import apply_design
from interlace.errors import (
    DesignError,
)
from interlace.tests.design.frames import DATA, N, assert_same_predictions, build

STORED = "y ~ center(x) * f + bs(z, df=4) + np.log(e) + C(c, Sum) + offset(w) + (f | g) + (1 | h:c)"


def test_design_is_stored_and_copied():
    design = build(STORED)
    for again in (pickle.loads(pickle.dumps(design)), copy.deepcopy(design), copy.copy(design)):
        assert_same_predictions(design, again)
        assert again.xnames == design.xnames
        assert again.design_info.column_names == design.design_info.column_names
        np.testing.assert_array_equal(
            np.asarray(patsy.build_design_matrices([again.design_info], DATA)[0]), design.X
        )
    twice = pickle.loads(pickle.dumps(pickle.loads(pickle.dumps(design))))
    assert_same_predictions(design, twice)


def test_stored_design_works_in_a_fresh_process(tmp_path):
    design = build(STORED)
    (tmp_path / "design.pickle").write_bytes(pickle.dumps(design))
    DATA.to_pickle(tmp_path / "data.pickle")
    code = (
        "import pickle, pandas as pd, sys, pathlib\n"
        "from interlace.design import apply_design\n"
        "folder = pathlib.Path(sys.argv[1])\n"
        "design = pickle.loads((folder / 'design.pickle').read_bytes())\n"
        "new = apply_design(design, pd.read_pickle(folder / 'data.pickle'))\n"
        "assert (new.X == design.X).all() and (new.codes[0] == design.factors[0].codes).all()\n"
    )
    root = Path(interlace.__file__).parents[1]
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, cwd=root)


def test_functions_that_cannot_be_stored_do_not_lose_the_design():
    def shifted(values):
        return values + 1

    design = pickle.loads(pickle.dumps(build("y ~ shifted(x) + (1 | g)")))
    assert design.xnames == ("Intercept", "shifted(x)")
    with pytest.raises(DesignError, match=re.escape('"shifted(x)" needs shifted, which could not be stored')):
        apply_design(design, DATA)
    again = pickle.loads(pickle.dumps(design))
    with pytest.raises(DesignError, match="define it in a module that can be imported"):
        apply_design(again, DATA)


@pytest.mark.parametrize("code", ["center(x)", "standardize(x)", "bs(x, df=4)", "center(x) * f"])
def test_transformations_learn_from_the_rows_that_have_values(code):
    gaps = DATA.assign(x=DATA["x"].mask(np.arange(N) % 9 == 4))
    formula = f"y ~ {code} + (0 + {code} | h)"
    design, complete = build(formula, gaps), build(formula, gaps.dropna(subset="x"))
    np.testing.assert_array_equal(design.X, complete.X)
    np.testing.assert_array_equal(design.terms[0].Xi, complete.terms[0].Xi)
    assert np.isnan(apply_design(design, gaps, factors=()).X).any(axis=1).sum() == design.n_dropped > 0


def test_transformations_learn_from_what_their_argument_is_not_what_its_columns_are():
    gaps = DATA.assign(x=DATA["x"].mask(np.arange(N) % 9 == 4))
    filled = gaps["x"].fillna(0)
    design = build("y ~ center(x.fillna(0)) + (1 | g)", gaps)
    # Only the rounding of the mean differs.
    np.testing.assert_allclose(design.X[:, 1], filled - filled.mean(), rtol=0, atol=1e-14)
