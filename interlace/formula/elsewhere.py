"""Names that R, MixedLM and upstream's package have for what models, results and the package hold here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NoReturn

# After this mark stands why there is nothing to write instead.
NOTHING = "nothing: "

# Of results. What is written after the dot of a fitted model called `result`, unless it says otherwise.
RESULTS = {
    "AIC": "result.aic",
    "BIC": "result.bic",
    "REMLcrit": "result.objective",
    "VarCorr": "result.variance_components or result.varcov",
    "allFit": "interlace.all_fit(result)",
    "bootMer": "result.bootstrap(nsim, statistic=...)",
    "bootstrap_se": "result.bootstrap(...).summary()",
    "boundary_flags": "result.is_singular and result.singular_directions",
    "condVar": "result.random_effects_cov",
    "confint": 'result.conf_int(method="profile"), or "wald" or "bootstrap"',
    "correlation_params": NOTHING + "residuals are independent given the random effects",
    "cov_pen": NOTHING + "the likelihood is not penalised",
    "deviance": "result.objective, of a fit by maximum likelihood",
    "fe_bse": "result.bse_fe",
    "fe_conf_int": 'result.coef_table()[["conf_low", "conf_high"]], or result.conf_int()',
    "fe_cov": "result.cov_params().iloc[:result.k_fe, :result.k_fe]",
    "fe_df": 'result.coef_table()["df"]',
    "fe_pen": NOTHING + "the likelihood is not penalised",
    "fe_pvalues": 'result.coef_table()["p_value"], or result.pvalues',
    "fe_tvalues": 'result.coef_table()["statistic"], or result.tvalues',
    "fitted": "result.fittedvalues",
    "fixef": "result.fe_params",
    "formula": "result.model.formula_text",
    "freepat": NOTHING + "covariances are left out by bars, (x || g)",
    "getME": "result.theta or result.pls_fit, whose names are lme4's",
    "isSingular": "result.is_singular",
    "k_re2": "len(result.theta)",
    "llf_restricted": 'result.llf, which is the restricted one for a REML fit; result.update(method="REML")',
    "logLik": "result.llf",
    "n_groups": "result.ngroups",
    "nparams": "result.npar",
    "params_object": "result.params, which model.loglike takes, or result.fe_params and result.varcov",
    "ranef": "result.random_effects",
    "random_effects_ci": 'result.random_effects and result.random_effects_se, or result.plot("caterpillar")',
    "rePCA": "result.singular_directions",
    "residuals": "result.resid",
    "use_sqrt": NOTHING + "there is one search, on Cholesky factors",
    "vcov": "result.cov_params()",
}

# Of models, here called `model`.
MODEL = {
    "cov_pen": NOTHING + "the likelihood is not penalised",
    "exog_vc": "model.exog_re: every variance component is a random-effects term",
    "fe_pen": NOTHING + "the likelihood is not penalised",
    "fit_regularized": "model.fit(): the likelihood is not penalised",
    "get_fe_params": "model.criterion().decompose(...), or result.fe_params",
    "group_list": "model.groups",
    "k_re2": "len(result.theta)",
    "n_totobs": "model.nobs",
    "reml": "result.reml: fit() leaves the model as it is, and model.loglike takes reml=",
    "row_indices": "pandas' model.design.index.groupby(model.groups)",
    "use_sqrt": NOTHING + "there is one search, on Cholesky factors",
}

# Of the package.
PACKAGE = {
    "AR1": NOTHING + "residuals are independent given the random effects",
    "Anova": "result.anova(type=2) or result.anova(type=3)",
    "CompoundSymmetry": "(1 | g) for groups whose rows are equally correlated",
    "CrossedLMEResult": "interlace.CrossedLMMResults",
    "MixedLM": "interlace.CrossedLMM",
    "VarCorr": "result.variance_components or result.varcov",
    "allFit": "interlace.all_fit(result)",
    "anova_type2": "result.anova(type=2)",
    "anova_type3": "result.anova(type=3)",
    "bootMer": "result.bootstrap(nsim, statistic=...)",
    "clmm": "interlace.CrossedOrdinal.from_formula(formula, data)",
    "contrast": "result.emmeans(...).contrasts(...)",
    "coxme": NOTHING + "this package fits linear and generalised linear mixed models",
    "cross_val": "interlace.sklearn.CrossedLMMRegressor with scikit-learn's cross_val_score and GroupKFold",
    "crossed_structures": "result.model.design",
    "emmeans": "result.emmeans(...)",
    "fixef": "result.fe_params",
    "glmer": "interlace.fit(formula, data, family=...), or interlace.CrossedGLMM.from_formula",
    "isSingular": "result.is_singular",
    "lmer": "interlace.fit(formula, data)",
    "lmer_influence_measures": "interlace.hlm_influence(result), or result.get_influence()",
    "mixedlm": "interlace.fit, or interlace.CrossedLMM.from_formula",
    "n_influential": 'interlace.diagnostics.dotplot_frame(result)["flagged"].sum()',
    "ols": "statsmodels.formula.api.ols",
    "ols_dfbetas_qr": "statsmodels' OLSInfluence",
    "ols_influence_measures": "statsmodels' OLSInfluence",
    "pairs": 'result.emmeans(...).contrasts("pairwise")',
    "plot_influence": 'result.plot("influence"), or interlace.dotplot_diag(result, "cooks.distance")',
    "plot_resid": 'result.plot("resid")',
    "predict": "result.predict(data)",
    "profile_confint": 'result.conf_int(method="profile")',
    "quantreg": "statsmodels.formula.api.quantreg",
    "ranef": "result.random_effects",
    "simulate": "result.simulate(nsim, rng=...)",
    "statsmodels_structures": "result.model.design",
    "update": "result.update(formula)",
}


def our_name(owner: str, name: str, known: Mapping[str, str]) -> str | None:
    """Sentence with our spelling of a name that others have, or None.

    Parameters
    ----------
    owner : str
        Who was asked for it.
    name : str
        The name.
    known : mapping of str to str
        One of the tables of this module.

    Returns
    -------
    str or None

    Examples
    --------
    >>> our_name("the fitted model", "fixef", RESULTS)
    'the fitted model has no fixef; write result.fe_params'
    """
    if name not in known:
        return None
    _, absent, reason = known[name].partition(NOTHING)
    return f"{owner} has no {name}" + (f": {reason}" if absent else f"; write {known[name]}")


def refuse_attribute(owner: object, name: str, known: Mapping[str, str], what: str) -> NoReturn:
    """Refuse an attribute that is not there, with our name for it; to be called by ``__getattr__``.

    Parameters
    ----------
    owner : object
        Who was asked for it.
    name : str
        The name.
    known : mapping of str to str
        One of the tables of this module.
    what : str
        What the owner is.

    Raises
    ------
    AttributeError
        Always. A property that raised one of its own, such as for a name misspelt inside it, raises that.
    """
    sentence = our_name(what, name, known)
    if sentence is None:
        object.__getattribute__(owner, name)
    raise AttributeError(sentence, name=name, obj=owner)
