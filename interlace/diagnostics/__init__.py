"""Diagnostics: residuals, leverage, influence and deletion, for every structure that can be fitted."""

from interlace.diagnostics.deletion import CaseDeletion, case_delete
from interlace.diagnostics.influence import (
    cooks_distance,
    covratio,
    covtrace,
    hlm_augment,
    hlm_influence,
    mdffits,
    rvc,
)
from interlace.diagnostics.leverage import leverage
from interlace.diagnostics.residuals import hlm_resid, resid_conditional, resid_marginal

__all__ = [
    "CaseDeletion",
    "case_delete",
    "cooks_distance",
    "covratio",
    "covtrace",
    "hlm_augment",
    "hlm_influence",
    "hlm_resid",
    "leverage",
    "mdffits",
    "resid_conditional",
    "resid_marginal",
    "rvc",
]
