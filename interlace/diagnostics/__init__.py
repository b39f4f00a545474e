"""Diagnostics: residuals, leverage, influence and deletion, for every structure that can be fitted."""

from .deletion import CaseDeletion, case_delete
from .influence import cooks_distance, covratio, covtrace, hlm_augment, hlm_influence, mdffits, rvc
from .leverage import leverage
from .pictures import compare_influence, dotplot_diag, plot
from .plot_frames import compare_influence_frame, dotplot_frame, qq_frame, ranef_frame, residual_frame
from .residuals import hlm_resid, resid_conditional, resid_marginal
from .statsmodels_influence import CrossedLMMInfluence

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
