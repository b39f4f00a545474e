"""Names that others have: each is answered with ours, and ours are there."""

from __future__ import annotations

import copy
import pickle
import re

import pytest

import interlace
from interlace.formula.elsewhere import MODEL, NOTHING, PACKAGE, RESULTS, our_name
from interlace.tests.fits import fitted

# Names in backward direction: what a sentence says to write must be there.
WRITTEN = re.compile(r"\b(result|model|interlace)\.([A-Za-z_]\w*)")
OWNERS = {
    "result": fitted("ss_slope").result,
    "model": fitted("ss_slope").result.model,
    "interlace": interlace,
}
TABLES = [("result", RESULTS), ("model", MODEL), ("interlace", PACKAGE)]
cases = pytest.mark.parametrize(
    ("owner", "name", "table"),
    [(owner, name, table) for owner, table in TABLES for name in table],
    ids=lambda value: value if isinstance(value, str) else "",
)


@cases
def test_name_is_not_ours_and_gets_a_sentence(owner, name, table):
    assert not hasattr(OWNERS[owner], name)
    with pytest.raises(AttributeError) as caught:
        getattr(OWNERS[owner], name)
    assert table[name].removeprefix(NOTHING) in str(caught.value)


@cases
def test_what_is_to_be_written_is_there(owner, name, table):
    for what, attribute in WRITTEN.findall(table[name]):
        assert attribute in dir(OWNERS[what]) or (what, attribute) == ("interlace", "sklearn")


def test_sentences():
    fit = OWNERS["result"]
    sentences = {
        (fit, "fe_df"): 'the fitted model has no fe_df; write result.coef_table()["df"]',
        (fit, "freepat"): "the fitted model has no freepat: covariances are left out by bars, (x || g)",
        (fit.model, "group_list"): "the model has no group_list; write model.groups",
        (interlace, "fixef"): "interlace has no fixef; write result.fe_params",
        (
            interlace,
            "clmm",
        ): "interlace has no clmm; write interlace.CrossedOrdinal.from_formula(formula, data)",
    }
    for (owner, name), sentence in sentences.items():
        with pytest.raises(AttributeError, match=f"^{re.escape(sentence)}$"):
            getattr(owner, name)


def test_imports_get_the_sentence_too():
    with pytest.raises(ImportError, match=r"^interlace has no isSingular; write result\.is_singular$"):
        exec("from interlace import isSingular")
    with pytest.raises(ImportError, match="cannot import name 'nonsense' from 'interlace'"):
        exec("from interlace import nonsense")


def test_other_names_are_as_absent_as_ever():
    for owner in OWNERS.values():
        assert not hasattr(owner, "nonsense")
        with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
            _ = owner.nonsense
    assert getattr(OWNERS["result"], "fixef", None) is None
    assert our_name("anything", "nonsense", RESULTS) is None


def test_an_error_inside_a_property_is_not_hidden():
    class Broken(interlace.CrossedLMMResults):
        @property
        def sigma(self):
            return self.params.shapes

    broken = copy.copy(OWNERS["result"]._results)
    broken.__class__ = Broken
    with pytest.raises(AttributeError, match=r"'numpy\.ndarray' object has no attribute 'shapes'"):
        _ = broken.sigma


def test_copies_and_pickles_do_not_ask_for_names():
    fit = OWNERS["result"]
    for again in (copy.copy(fit), copy.deepcopy(fit), pickle.loads(pickle.dumps(fit))):
        assert again.params.equals(fit.params)
        assert again.model.n_groups == fit.model.n_groups
        assert not hasattr(again, "fixef")
    bare = interlace.CrossedLMMResults.__new__(interlace.CrossedLMMResults)
    assert not hasattr(bare, "params")  # half made, as when it is being loaded: no endless search
