"""Linear mixed models with crossed random effects, in the manner of statsmodels."""

from interlace import datasets
from interlace.diagnostics import (
    case_delete,
    cooks_distance,
    covratio,
    covtrace,
    hlm_augment,
    hlm_influence,
    hlm_resid,
    leverage,
    mdffits,
    rvc,
)
from interlace.effects import anova
from interlace.model import CrossedLMM, fit
from interlace.results import CrossedLMMResults

__version__ = "0.1.0"

__all__ = [
    "CrossedLMM",
    "CrossedLMMResults",
    "__version__",
    "anova",
    "case_delete",
    "cooks_distance",
    "covratio",
    "covtrace",
    "datasets",
    "fit",
    "hlm_augment",
    "hlm_influence",
    "hlm_resid",
    "leverage",
    "mdffits",
    "rvc",
]
