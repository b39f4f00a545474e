"""statsmodels' spelling of random effects."""

from __future__ import annotations

import re

import numpy as np
import pytest
from statsmodels.regression.mixed_linear_model import MixedLM

from interlace.errors import (
    FormulaError,
    UnknownColumnError,
)
from interlace.formula.bars import bars_from_statsmodels
from interlace.tests.design.frames import DATA, N, build


@pytest.mark.parametrize(
    ("groups", "re_formula", "vc_formula", "bars"),
    [
        ("g", None, None, ["(1 | g)"]),
        ("g", "1", None, ["(1 | g)"]),
        ("g", "~x", None, ["(x | g)"]),
        ("g", "~ 0 + x", None, ["(0 + x | g)"]),
        ("g", None, {"a": "0 + C(h)"}, ["(1 | g:h)"]),
        ("g", None, {"a": "0 + h"}, ["(1 | g:h)"]),
        ("g", "~x", {"a": "0 + C(h)", "s": "0 + z"}, ["(x | g)", "(1 | g:h)", "(0 + z | g)"]),
        ("g", None, {"a": "0 + C(h):x"}, ["(0 + x | g:h)"]),
        ("all", None, {"a": "0 + C(g)", "b": "0 + C(h)"}, ["(1 | g)", "(1 | h)"]),
        ("all", None, {"a": "0 + C(g):C(h)"}, ["(1 | g:h)"]),
        ("the group", None, {"a": "0 + C(Q('g'))"}, ["(1 | Q('the group'):g)"]),
    ],
)
def test_statsmodels_spelling_is_translated(groups, re_formula, vc_formula, bars):
    data = DATA.assign(**{"all": 1, "the group": DATA["h"]})
    assert list(bars_from_statsmodels(groups, re_formula, vc_formula, data)) == bars


@pytest.mark.parametrize(
    ("groups", "re_formula", "vc_formula", "message"),
    [
        (
            "g",
            None,
            {"a": "C(h)"},
            "the variance component 'a': \"C(h)\" gives several kinds of columns one variance",
        ),
        (
            "g",
            None,
            {"a": "0 + x + z"},
            "(0 + x | g) for the slopes of x, or (1 | g:a) for the levels of a within",
        ),
        ("all", "1", {"a": "0 + C(h)"}, '"all" holds one group: random effects of one group cannot be told'),
        ("gg", None, None, "columns not in the data: ['gg']. Did you mean 'g'?"),
        (
            DATA["g"],
            "~x",
            None,
            "groups= is a Series; with re_formula= or vc_formula= wanted the name of one column",
        ),
    ],
)
def test_statsmodels_spelling_without_a_bar_is_refused(groups, re_formula, vc_formula, message):
    with pytest.raises((FormulaError, UnknownColumnError), match=re.escape(message)):
        bars_from_statsmodels(groups, re_formula, vc_formula, DATA.assign(all=1))


@pytest.mark.parametrize(
    ("groups", "vc_formula"),
    [("g", {"a": "0 + C(h)"}), ("g", {"a": "0 + x"}), ("all", {"a": "0 + C(g)"}), ("g", {"a": "0 + C(h):x"})],
)
def test_translated_components_have_the_covariance_of_statsmodels(groups, vc_formula):
    """Z Z' of the bar equals the sum over groups of MixedLM's own matrices."""
    data = DATA.assign(all=1)
    model = MixedLM.from_formula("y ~ x", data, groups=groups, vc_formula=vc_formula)
    theirs = np.zeros((N, N))
    for label, matrix in zip(model.group_labels, model.exog_vc.mats[0], strict=True):
        rows = model.row_indices[label]
        theirs[np.ix_(rows, rows)] = np.asarray(matrix) @ np.asarray(matrix).T
    design = build("y ~ x", data, random=bars_from_statsmodels(groups, None, vc_formula, data))
    (term,), (factor,) = design.terms, design.factors
    Z = (factor.codes[:, None] == np.arange(factor.n_levels)) * term.Xi
    np.testing.assert_allclose(Z @ Z.T, theirs, rtol=1e-14)  # the same products, each once
