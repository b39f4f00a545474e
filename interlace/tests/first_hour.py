"""What users type in the first hour that is wrong, and the whole sentence that each gets."""

from __future__ import annotations

# What is typed, the class of what is raised (warnings are errors here), and what it says.
MISTAKES = [
    (
        'fit("Reaction ~ Days", S)',
        "FormulaError",
        'no random effects in "Reaction ~ Days": add groups=[...] or a term such as (1 | '
        "subject), or use statsmodels' OLS",
    ),
    (
        'fit("Reaction ~ Days + (1 | Subject", S)',
        "FormulaError",
        "\"(\" is never closed in the formula 'Reaction ~ Days + (1 | Subject'",
    ),
    (
        'fit("Reaction ~ Days + 1 | Subject", S)',
        "FormulaError",
        'bar without parentheses in "1 | Subject"; write the term as (1 | Subject)',
    ),
    (
        'fit("Reaction = Days + (1 | Subject)", S)',
        "FormulaError",
        'the formula "Reaction = Days + (1 | Subject)" has 0 "~"; wanted "response ~ terms", with one',
    ),
    (
        'fit("Reaction ~ ", S)',
        "FormulaError",
        'the formula "Reaction ~ " has nothing after "~"; write at least "1"',
    ),
    (
        'fit("~ Days + (1 | Subject)", S)',
        "FormulaError",
        'the formula " ~ Days + (1 | Subject)" has no response; write it left of "~"',
    ),
    (
        'fit("Reaction ~ Days + (1 | Subjct)", S)',
        "UnknownColumnError",
        "columns not in the data: ['Subjct']. Did you mean 'Subject'?",
    ),
    (
        'fit("Reaction ~ Dais + (1 | Subject)", S)',
        "UnknownColumnError",
        "columns not in the data: ['Dais']. Did you mean 'Days'?",
    ),
    (
        'fit("reaction ~ Days + (1 | Subject)", S)',
        "UnknownColumnError",
        "columns not in the data: ['reaction']. Did you mean 'Reaction'?",
    ),
    (
        'fit("Reaction ~ Days^2 + (1 | Subject)", S)',
        "FormulaError",
        '"Days^2" has a "^", to Python an exclusive or; write I(x**2) for the square of x and (a '
        "+ b)**2 for main effects and interactions",
    ),
    (
        'fit("Reaction ~ I(Days^2) + (1 | Subject)", S)',
        "FormulaError",
        '"I(Days^2)" has a "^", to Python an exclusive or; write I(x**2) for the square of x and '
        "(a + b)**2 for main effects and interactions",
    ),
    (
        'fit("Reaction ~ log(Days + 1) + (1 | Subject)", S)',
        "UnknownColumnError",
        '"log(Days + 1)" calls log, which is not defined where the model is called; import numpy '
        "as np there and write np.log(...)",
    ),
    (
        'fit("Reaction ~ factor(Days) + (1 | Subject)", S)',
        "UnknownColumnError",
        "factor(Days) is R's; write C(Days)",
    ),
    (
        'fit("Reaction ~ as.factor(Days) + (1 | Subject)", S)',
        "FormulaError",
        "as.factor(Days) is R's; write C(Days)",
    ),
    (
        'fit("Reaction ~ ns(Days, 3) + (1 | Subject)", S)',
        "UnknownColumnError",
        "ns(Days) is R's; write cr(Days, df=3)",
    ),
    (
        'fit("Reaction ~ centred(Days) + (1 | Subject)", S)',
        "UnknownColumnError",
        '"centred(Days)" calls centred, which is not defined where the model is called; define '
        "or import it there",
    ),
    (
        'fit("Reaction ~ poly(Days, 10) + (1 | Subject)", S)',
        "DesignError",
        "poly of degree 10 of 10 different values; wanted a degree below their number",
    ),
    (
        'fit("Reaction ~ . + (1 | Subject)", S)',
        "FormulaError",
        'the formula has a "." (in R: all other columns); write the names of the columns, or let '
        "Python: f\"y ~ {' + '.join(set(data.columns) - {'y', 'g'})} + (1 | g)\"",
    ),
    (
        'fit("Reaction ~ Days + (Days | )", S)',
        "FormulaError",
        'nothing stands right of the bar in "(Days |)"; write the column that groups the rows',
    ),
    (
        'fit("Reaction ~ Days + ( | Subject)", S)',
        "FormulaError",
        'nothing stands left of the bar in "(| Subject)"; write (1 | g) for an intercept',
    ),
    (
        'fit("Reaction ~ Days + (1 | Subject * Days)", S)',
        "FormulaError",
        'the grouping factor "Subject * Days" has a "*"; write (1 | Subject) + (1 | Days) + (1 | '
        "Subject:Days)",
    ),
    (
        'fit("Reaction ~ Days + (1 | Subject + Days)", S)',
        "FormulaError",
        'the grouping factor "Subject + Days" has a "+"; write (1 | Subject) + (1 | Days)',
    ),
    (
        'fit("Reaction ~ Days * (1 | Subject)", S)',
        "FormulaError",
        'the random-effects term (1 | Subject) is part of "Days * (1 | Subject)"; it must be a '
        "term of its own, added with +. For a random slope of x write (x | g)",
    ),
    (
        'fit("Reaction ~ Days + (1 | Subject) + (1 | Subject)", S)',
        "FormulaError",
        "the random-effects term (1 | Subject) is there twice; give it once: the variances of "
        "identical terms cannot be told apart",
    ),
    (
        'fit("Reaction ~ Days - (1 | Subject)", S)',
        "FormulaError",
        '"- (1 | Subject)" would take a term away; leave it out of the formula instead',
    ),
    (
        'fit("Reaction ~ Days + (0 | Subject)", S)',
        "FormulaError",
        "(0 | Subject) has no random effects; write (1 | Subject) for an intercept",
    ),
    (
        'fit(["Reaction ~ Days"], S)',
        "FormulaError",
        'wanted a formula as text, such as "y ~ x + (1 | g)"; got list',
    ),
    (
        'fit("Reaction ~ Days + offset(Days) * 2 + (1 | Subject)", S)',
        "FormulaError",
        'offset(...) is part of "offset(Days) * 2"; it must be a term of its own: y ~ x + offset(z)',
    ),
    (
        'fit("Reaction ~ Days + (1 | `Subject`)", S)',
        "FormulaError",
        "unexpected ` in the formula 'Reaction ~ Days + (1 | `Subject`)'; write Q(\"my column\")",
    ),
    (
        'fit("Reaction ~ Days", S, groups="subject no")',
        "UnknownColumnError",
        "columns not in the data: ['subject no']. Did you mean 'Subject'?",
    ),
    (
        'fit("Reaction ~ Days", S, groups="(1 | Subject)")',
        "FormulaError",
        'groups= holds "(1 | Subject)"; a term with a bar belongs in random=',
    ),
    (
        'fit("Reaction ~ Days + (Days | Subject)", S, groups="Subject")',
        "FormulaError",
        'groups= gives "Subject" a random intercept and (Days | Subject) has one already; leave '
        '"Subject" out of groups=, or write the other term without its intercept',
    ),
    (
        'fit("Reaction ~ Days", S, random="Subject")',
        "FormulaError",
        '"Subject" is not a random-effects term; wanted one with a bar, such as (1 | g)',
    ),
    (
        'fit("Reaction ~ Days", S, groups=[S["Subject"]])',
        "FormulaError",
        "groups= holds a Series; wanted text, or a list of texts. Columns whose names are no texts get "
        "them by data.rename(columns=str)",
    ),
    (
        'fit("Reaction ~ Days + (1 | Subject)", S, REML=False)',
        "ArgumentTypeError",
        'interlace.fit does not know the keyword(s) REML; for REML= write method="REML" or "ML" '
        "in interlace.fit, reml=True or False in CrossedLMM.fit",
    ),
    (
        'CrossedLMM.from_formula("Reaction ~ Days + (1 | Subject)", S, family="binomial")',
        "ArgumentTypeError",
        "CrossedLMM.from_formula does not know the keyword(s) family; for family= write CrossedGLMM, or "
        "family= in interlace.fit; the response of CrossedLMM is normal",
    ),
    (
        'fit("Reaction ~ Days + (1 | Subject)", S, control={"optimizer": "bobyqa"})',
        "ArgumentTypeError",
        "interlace.fit does not know the keyword(s) control; for control= write solver=, "
        "maxiter= and start_params=; the search needs no other settings",
    ),
    (
        'fit("Reaction ~ Days + (1 | Subject)", S, method="lbfgs")',
        "ArgumentError",
        "method='lbfgs' is not offered; give 'REML' or 'ML'",
    ),
    (
        'CrossedLMM.from_formula("Reaction ~ Days + (1 | Subject)", S).fit(method="ML")',
        "ArgumentError",
        "method='ML' is not offered; give None or 'newton': that is for interlace.fit; here write reml=False",
    ),
    (
        'CrossedLMM.from_formula("Reaction ~ Days + (1 | Subject)", S).fit(method="lbfgs")',
        "ArgumentError",
        "method='lbfgs' is not offered; give None or 'newton': there is one search, so leave it "
        "out; its optimum is certified",
    ),
    (
        'fit("Reaction ~ Days + (1 | Subject)", S, solver="superlu")',
        "ArgumentError",
        "solver='superlu' is not offered; give 'auto' or 'cholmod' or 'blocked' or 'iterative'",
    ),
    (
        'fit("Reaction ~ Days + (1 | Subject)", S, ddf="kr")',
        "ArgumentError",
        "ddf='kr' is not offered; give 'satterthwaite' or 'kenward-roger' or 'normal'",
    ),
    (
        'fit("Reaction ~ Days + (1 | Subject)", "sleepstudy.csv")',
        "DesignError",
        'no file is at "sleepstudy.csv"; wanted a path or pattern of Parquet or CSV files, such as '
        '"ratings/*.parquet", or a query that begins with SELECT',
    ),
    (
        'fit("Reaction ~ Days + (1 | Subject)", S.iloc[:0])',
        "DesignError",
        "the data have no rows; wanted one per observation",
    ),
    (
        'fit("Reaction ~ Days + (1 | Subject)", S[S["Subject"] == "308"])',
        "DesignError",
        'grouping factor "Subject" must have > 1 level; it has one (308) in the rows used. A '
        "variance between levels needs two or more: drop the term or check the data",
    ),
    (
        'fit("Reaction ~ Days + (1 | Subject)", pd.concat([S, S[["Days"]]], axis=1))',
        "DesignError",
        'the data have 2 columns named "Days"; rename them',
    ),
    (
        'fit("text ~ Days + (1 | Subject)", S.assign(text=COMMA))',
        "DesignError",
        '"text" is text that looks like numbers: of its 178 different values 178 with a decimal '
        'comma ("194,33", "199,05", "202,98", ...). Read it as numbers, pd.read_csv(..., '
        'decimal=",")',
    ),
    (
        'fit("Reaction ~ text + (1 | Subject)", S.assign(text=COMMA))',
        "DesignError",
        '"text" is text that looks like numbers: of its 178 different values 178 with a decimal '
        'comma ("194,33", "199,05", "202,98", ...); it would become a category with 178 levels. '
        'Read it as numbers, pd.read_csv(..., decimal=","), or write C(text) if categories are '
        "meant",
    ),
    (
        'fit("Reaction ~ code + (1 | Subject)", S.assign(code=CODES))',
        "DataWarning",
        '"code" is text that looks like numbers: of its 4 different values 1 not a number '
        '("k.A."); it is taken as a category with 4 levels. Read it as numbers, pd.read_csv(..., '
        'na_values=["k.A."]), or write C(code) if categories are meant',
    ),
    (
        'fit("Reaction ~ Days + (1 | mixed)", S.assign(mixed=MIXED))',
        "DataWarning",
        '"mixed" has levels that read the same and are taken as different: 7 and "7". To make '
        'them one: data["mixed"].astype(str).str.strip()',
    ),
    (
        'fit("Subject ~ Days + (1 | Days)", S)',
        "DesignError",
        '"Subject" is text that looks like numbers: its 18 different values are numbers written '
        "as text. Convert it, .astype(float)",
    ),
    (
        'fit("Reaction ~ Days + (1 | Subject)", S.assign(Days=np.inf))',
        "DesignError",
        "infinite values in the fixed effects: ['Days']. Leave those rows out, or transform the columns",
    ),
    (
        'fit("Reaction ~ Days + (1 | Subject)", S.assign(Reaction=np.nan))',
        "MissingValuesError",
        "none of the 180 rows is complete: missing values in Reaction (180)",
    ),
    (
        'fit("Reaction ~ Days + (1 | Subject)", S.assign(Days=S["Days"].where(S["Days"] > 0)), '
        'missing="raise")',
        "MissingValuesError",
        "missing values, with missing='raise', in: Days (18). Use missing='drop' to leave their rows out",
    ),
    (
        'fit("Reaction ~ Days + (1 | Subject)", S, weights=np.zeros(180))',
        "DesignError",
        "weights must be positive and finite; 180 are not, such as 0.0. Use subset= to leave rows out",
    ),
    (
        'fit("Reaction ~ Days + (1 | Subject)", S, weights=[1.0, 2.0])',
        "DesignError",
        "weights= has shape (2,); wanted one number for each of 180 rows",
    ),
    (
        'fit("Reaction ~ Days + (1 | Subject)", S, subset="Days > 100")',
        "DesignError",
        "subset= leaves no rows",
    ),
    (
        'fit("Reaction ~ when + (1 | Subject)", S.assign(when=pd.Timestamp("2024-01-01")))',
        "DesignError",
        '"when" holds dates; convert them to real numbers first, or write C(when) for categories',
    ),
    (
        'fit("Reaction ~ same + (1 | Subject)", S.assign(same="a"))',
        "DesignError",
        "the categorical variable \"same\" has one level (['a']) in the rows used; wanted two or "
        "more: leave it out of the formula",
    ),
    (
        'fit("Reaction ~ Days + twice + (1 | Subject)", S.assign(twice=2 * S["Days"]), rank="error")',
        "RankDeficiencyError",
        "columns of the fixed effects depend on those before them: ['twice']. Leave them out of "
        "the formula, or use rank='drop'",
    ),
    (
        'CrossedLMM(S["Reaction"], S[["Days"]])',
        "DesignError",
        "groups=None; wanted the grouping columns: a frame, a Series or an array",
    ),
    (
        'CrossedLMM(S["Reaction"].where(S["Days"] > 0), S[["Days"]], groups=S["Subject"])',
        "MissingValuesError",
        "missing values, with missing='none', in: endog (18). Use missing='drop' to leave their rows out",
    ),
    (
        'R.predict({"Days": [1]})',
        "UnknownColumnError",
        "columns not in the data: ['Subject']. There are Days. The random effects of \"Subject\" "
        "need them; for predictions without random effects say random=False",
    ),
    (
        'R.predict({"Subject": ["308"]})',
        "UnknownColumnError",
        "columns not in the data: ['Days']. There are Subject.",
    ),
    (
        'R.predict({"Days": [1], "Subject": ["999"]})',
        "LevelError",
        "levels of 'Subject' that the fit has not seen: '999'. Use new_levels='population' to "
        "predict them with random effects of zero, or leave 'Subject' out of random=.",
    ),
    (
        'R.predict({"Days": [1], "Subject": [308]})',
        "LevelError",
        "levels of 'Subject' that the fit has not seen: 308. 308 reads like the fit's '308' but "
        "is an int and not text: convert the column of the new data",
    ),
    (
        'R.predict({"Days": [1], "Subject": ["308"]}, random="Item")',
        "LevelError",
        "random=['Item'] names ['Item'], which the model does not group by; its grouping factors "
        "are ['Subject']",
    ),
    (
        'R.predict({"Days": ["1,5"], "Subject": ["308"]})',
        "DesignError",
        '"Days" was 1 numeric column(s) in the fit and is not now. "Days" is text that looks '
        'like numbers: of its 1 different values 1 with a decimal comma ("1,5"). Read it as '
        'numbers, pd.read_csv(..., decimal=",")',
    ),
    (
        "R.summary(alpha=5)",
        "ArgumentError",
        "alpha=5; wanted a number between 0 and 1, the share outside the interval: alpha=0.05 for 95 %",
    ),
    (
        'R.conf_int(method="profiled")',
        "ArgumentError",
        'method=\'profiled\' is not offered; give "wald", "profile" or "bootstrap"',
    ),
    (
        'R.plot("histogram")',
        "DesignError",
        "kind='histogram'; wanted one of ['caterpillar', 'influence', 'profile', 'qq', "
        "'quantile', 'ranef', 'ranef-pairs', 'resid', 'scale-location']",
    ),
    (
        'R.emmeans("Dose")',
        "InferenceError",
        "['Dose'] are no variables of the fixed part; those are ['Days']",
    ),
    (
        'interlace.anova(R, fit("Reaction ~ 1 + (1 | Subject)", S.iloc[:170]))',
        "InferenceError",
        "model 2 differs from model 1 in the number of rows (170, not 180): likelihoods of "
        "different data cannot be compared. Fit both to the same rows (missing values in a "
        "variable of one model drop rows)",
    ),
    (
        "R.fe_pvalues",
        "AttributeError",
        'the fitted model has no fe_pvalues; write result.coef_table()["p_value"], or result.pvalues',
    ),
    (
        "interlace.VarCorr",
        "AttributeError",
        "interlace has no VarCorr; write result.variance_components or result.varcov",
    ),
    (
        "R.model.reml",
        "AttributeError",
        "the model has no reml; write result.reml: fit() leaves the model as it is, and "
        "model.loglike takes reml=",
    ),
    (
        "R.predict(np.ones((2, 2)))",
        "DesignError",
        "data is an array without names; give a table, or predict(exog=array) for predictions "
        "without random effects from a fixed-effects model matrix",
    ),
    (
        'interlace.hlm_resid(R, type="raw")',
        "DesignError",
        "type='raw'; wanted one of ['conditional', 'marginal', 'ls']",
    ),
    (
        'interlace.dotplot_diag(R, "dffits")',
        "DesignError",
        "name='dffits'; wanted one of ['cooks.distance', 'cooks_d', 'cooks_distance', 'cooksd', "
        "'covratio', 'covtrace', 'leverage', 'mdffits', 'rvc']",
    ),
    (
        'CrossedLMM.from_formula("Reaction ~ Days + (1 | Subject)", S).fit(method="REML")',
        "ArgumentError",
        "method='REML' is not offered; give None or 'newton': that is for interlace.fit; here "
        "write reml=True",
    ),
    (
        'fit("Reaction ~ Days + (1 | Subject)", S, reml=False)',
        "ArgumentTypeError",
        'interlace.fit does not know the keyword(s) reml; for reml= write method="REML" or "ML" '
        "in interlace.fit, reml=True or False in CrossedLMM.fit",
    ),
    (
        "R.model.fit(gtol=1e-8, do_cg=True)",
        "ArgumentTypeError",
        "fit does not know the keyword(s) do_cg, gtol; leave gtol= out: the search ends when the "
        "optimum is certified; leave do_cg= out: there is one search, and its optimum is "
        "certified",
    ),
    (
        "R.model.fit(free=np.eye(1))",
        "ArgumentTypeError",
        "fit does not know the keyword(s) free; for free= write bars: (1 | g) + (0 + x | g) has "
        "no covariance, and nor has (x || g)",
    ),
    (
        'R.model.fit(cov_type="HC1")',
        "ArgumentTypeError",
        "fit does not know the keyword(s) cov_type; for cov_type= write "
        "result.get_robustcov_results(...) after the fit",
    ),
    (
        'R.profile_re(0, "re")',
        "InferenceError",
        "the fit is by REML, and profiles are those of maximum likelihood: fit with reml=False, "
        "or ask result.profile(), which does so",
    ),
    (
        'CrossedLMM(S["Reaction"], S[["Days"]], MIXED)',
        "DataWarning",
        '"group" has levels that read the same and are taken as different: 7 and "7". To make '
        'them one: data["group"].astype(str).str.strip()',
    ),
    (
        "R.params_object",
        "AttributeError",
        "the fitted model has no params_object; write result.params, which model.loglike takes, "
        "or result.fe_params and result.varcov",
    ),
    (
        "R.model.fit_regularized()",
        "AttributeError",
        "the model has no fit_regularized; write model.fit(): the likelihood is not penalised",
    ),
]
