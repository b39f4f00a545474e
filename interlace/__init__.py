"""Linear and generalised linear mixed models with crossed random effects, in the manner of statsmodels."""

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
from interlace.front.fit import anova, fit
from interlace.glmm.model import CrossedGLMM
from interlace.glmm.ordinal import CrossedOrdinal, CrossedOrdinalResults
from interlace.glmm.results import CrossedGLMMResults
from interlace.lmm.many import fit_many
from interlace.lmm.model import CrossedLMM
from interlace.lmm.results import CrossedLMMResults
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
    "anova",
    "case_delete",
    "compare_influence",
    "compare_influence_frame",
    "cooks_distance",
    "covratio",
    "covtrace",
    "datasets",
    "dotplot_diag",
    "fit",
    "fit_many",
    "hlm_augment",
    "hlm_influence",
    "hlm_resid",
    "leverage",
    "mdffits",
    "rvc",
    "summary_table",
]
