"""Linear and generalised linear mixed models with crossed random effects, in the manner of statsmodels."""

import sys
from typing import NoReturn

from interlace import datasets
from interlace.diagnostics import (
    case_delete,
    compare_influence,
    compare_influence_frame,
    cooks_distance,
    covratio,
    covtrace,
    dotplot_diag,
    hlm_augment,
    hlm_influence,
    hlm_resid,
    leverage,
    mdffits,
    rvc,
)
from interlace.formula.elsewhere import PACKAGE, our_name
from interlace.front.fit import anova, fit
from interlace.glmm.model import CrossedGLMM
from interlace.glmm.ordinal import CrossedOrdinal, CrossedOrdinalResults
from interlace.glmm.results import CrossedGLMMResults
from interlace.lmm.all_fit import all_fit
from interlace.lmm.many import fit_many
from interlace.lmm.model import CrossedLMM
from interlace.lmm.results import CrossedLMMResults
from interlace.lmm.stored import load
from interlace.planning.layouts import design
from interlace.planning.power import power
from interlace.report import summary_table

__version__ = "0.1.0"

__all__ = [
    "CrossedGLMM",
    "CrossedGLMMResults",
    "CrossedLMM",
    "CrossedLMMResults",
    "CrossedOrdinal",
    "CrossedOrdinalResults",
    "__version__",
    "all_fit",
    "anova",
    "case_delete",
    "compare_influence",
    "compare_influence_frame",
    "cooks_distance",
    "covratio",
    "covtrace",
    "datasets",
    "design",
    "dotplot_diag",
    "fit",
    "fit_many",
    "hlm_augment",
    "hlm_influence",
    "hlm_resid",
    "leverage",
    "load",
    "mdffits",
    "power",
    "rvc",
    "summary_table",
]


def __getattr__(name: str) -> NoReturn:
    sentence = our_name(__name__, name, PACKAGE) or f"module {__name__!r} has no attribute {name!r}"
    # "from interlace import name" asks from there first, and would put a sentence of its own in the place of
    # an AttributeError's.
    importing = sys._getframe(1).f_globals.get("__name__") == "importlib._bootstrap"
    if importing and name in PACKAGE:
        raise ImportError(sentence, name=__name__)
    raise AttributeError(sentence)
