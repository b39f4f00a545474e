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
from interlace.diagnostics.pictures import compare_influence, dotplot_diag, plot
from interlace.diagnostics.plot_frames import (
    compare_influence_frame,
    dotplot_frame,
    qq_frame,
    ranef_frame,
    residual_frame,
)
from interlace.diagnostics.residuals import hlm_resid, resid_conditional, resid_marginal
from interlace.diagnostics.statsmodels_influence import CrossedLMMInfluence

__all__ = [
    "CaseDeletion",
    "CrossedLMMInfluence",
    "case_delete",
    "compare_influence",
    "compare_influence_frame",
    "cooks_distance",
    "covratio",
    "covtrace",
    "dotplot_diag",
    "dotplot_frame",
    "hlm_augment",
    "hlm_influence",
    "hlm_resid",
    "leverage",
    "mdffits",
    "plot",
    "qq_frame",
    "ranef_frame",
    "resid_conditional",
    "resid_marginal",
    "residual_frame",
    "rvc",
]
