"""The model as statsmodels spells it: a constructor, ``from_formula``, ``fit``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import replace
from typing import Any, Literal, get_args

import pandas as pd
from numpy.typing import ArrayLike

from interlace import pls
from interlace.arguments import LARGEST, STEPS_WANTED, numbers, whole_number
from interlace.arrays import FloatArray
from interlace.design import Design, design_from_arrays
from interlace.design.assembly import Rank
from interlace.design.from_arrays import is_matrix
from interlace.design.from_formula import with_groups
from interlace.errors import InferenceError, arithmetic
from interlace.formula.bars import bars_from_statsmodels
from interlace.formula.grammar import parse_formula
from interlace.formula.safe import guarded
from interlace.formula.spelling import check_method, refuse_unknown
from interlace.formula.updating import updated
from interlace.formula.variables import environment_above
from interlace.frames.columns import as_frame, as_pandas
from interlace.frames.used_rows import Missing
from interlace.inference import Ddf
from interlace.inference.kenward_roger import KENWARD_ROGER_NEEDS_REML
from interlace.inference.undetermined import spanned_terms
from interlace.modelling.data import DesignData
from interlace.modelling.described import DescribedModel
from interlace.modelling.endings import warn_of_no_optimum, warn_of_singularity, warn_of_the_undetermined
from interlace.modelling.options import check_choice, drawing, printer, start_count
from interlace.pls.factor.iterative import PROBES
from interlace.pls.factor.memory import in_bytes
from interlace.pls.factor.solvers import Solver
from interlace.pls.matrices.structures import unstructured
from interlace.streaming.build import design_of, refuse_source
from interlace.streaming.record import StreamedDesign

from .marginal import MarginalModel
from .recipe import Recipe, known_changes
from .results import CrossedLMMResults
from .streamed import StreamedLMMResults
from .wrapper import CrossedLMMResultsWrapper

# Looked up once: get_args takes longer than a product of small matrices.
APPROXIMATIONS, SOLVERS = get_args(Ddf), get_args(Solver)

# Newton steps after which the search gives up; the bank's hardest model needs a third of them.
MAXITER = 200

# Keywords of `fit`, where they come together with others.
SEARCH_OPTIONS = ("start_params", "starts", "maxiter", "disp", "full_output", "solver", "probes", "seed")
FIT_OPTIONS = (*SEARCH_OPTIONS, "ddf", "max_memory")


class CrossedLMM(MarginalModel, DescribedModel):
    """Linear mixed model with crossed, nested or partially crossed random effects.

    Parameters
    ----------
    endog : array_like of shape (n,)
        Response.
    exog : array_like of shape (n, p), optional
        Fixed-effects model matrix, taken as it is: add a constant yourself.
    groups : array_like, Series, DataFrame or dict
        Grouping factors, one per column. Each gets a random intercept, or the columns of ``exog_re``.
    random : str or sequence of str, optional
        Random-effects terms as lme4 writes them, such as ``"(1 + x | g)"``. A matrix here is ``exog_re``,
        MixedLM's fourth argument.
    exog_re : array_like of shape (n, k), optional
        Columns with random coefficients; those of every grouping factor are correlated.
    weights : array_like of shape (n,), optional
        The residual variance of row i is ``scale / weights[i]``.
    offset : array_like of shape (n,), optional
        Known part of the mean.
    missing : {"none", "drop", "raise"}, default "none"
        What to do about missing values; ``"none"`` refuses them.
    rank : {"drop", "error"}, default "drop"
        What to do about linearly dependent columns of ``exog``.
    **unknown
        Refused with a TypeError.

    See Also
    --------
    CrossedLMM.from_formula : The same from a formula and a data frame.
    interlace.fit : Formula, data and estimates in one call.

    References
    ----------
    Bates, Maechler, Bolker & Walker (2015), Journal of Statistical Software 67(1).

    Examples
    --------
    >>> import interlace
    >>> penicillin = interlace.datasets.load_penicillin()
    >>> model = interlace.CrossedLMM.from_formula("diameter ~ 1", penicillin, groups=["plate", "sample"])
    >>> print(model.fit().variance_components["plate"].__round__(4))
    0.7169
    """

    def __init__(
        self,
        endog: ArrayLike,
        exog: ArrayLike | None = None,
        groups: Any = None,
        random: str | Sequence[str] | None = None,
        exog_re: ArrayLike | None = None,
        weights: ArrayLike | None = None,
        offset: ArrayLike | None = None,
        missing: Missing = "none",
        rank: Rank = "drop",
        **unknown: object,
    ) -> None:
        refuse_unknown("CrossedLMM", unknown)
        if exog_re is None and is_matrix(random):  # MixedLM's fourth argument
            random, exog_re = None, random
        design = design_from_arrays(
            endog,
            exog,
            groups=groups,
            random=random,
            exog_re=exog_re,
            weights=weights,
            offset=offset,
            missing=missing,
            rank=rank,
        )
        self._adopt(
            design, labelled=any(isinstance(as_pandas(x), pd.Series | pd.DataFrame) for x in (endog, exog))
        )

    @classmethod
    def from_formula(
        cls,
        formula: str,
        data: Any,
        groups: Any = None,
        random: str | Sequence[str] | None = None,
        *,
        re_formula: str | None = None,
        vc_formula: Mapping[str, str] | None = None,
        weights: Any = None,
        offset: Any = None,
        subset: Any = None,
        missing: Missing = "drop",
        rank: Rank = "drop",
        eval_env: Any = 0,
        safe_formula: bool = False,
        **unknown: object,
    ) -> CrossedLMM:
        """Model from a formula and a data frame.

        Parameters
        ----------
        formula : str
            ``"y ~ x + (1 + x | g)"``: the fixed part as patsy reads it, random-effects terms as lme4
            does. The terms may also be given by ``groups`` and ``random``.
        data : DataFrame, dict of arrays or source
            The columns; polars and pyarrow tables too. Never modified. A path or pattern of Parquet or CSV
            files, a ``pyarrow.dataset``, a polars ``LazyFrame``, a DuckDB relation or the text of a query, a
            Dask frame, or a function that returns an iterator of frames is read in chunks: its rows are never
            all in memory.
        groups : str or sequence of str, optional
            Grouping factors with a random intercept each; ``"a/b"`` and ``"a:b"`` as in lme4.
        random : str or sequence of str, optional
            Random-effects terms, ``"(1 + x | g)"``.
        re_formula, vc_formula : optional
            MixedLM's spelling, translated where a term means the same and refused where none does.
        weights, offset : str or array_like, optional
            Column name or values, see the class.
        subset : array_like, optional
            Rows to use: booleans or index labels.
        missing : {"drop", "raise", "none"}, default "drop"
            Rows with missing values in any column used are dropped, or refused.
        rank : {"drop", "error"}, default "drop"
            Linearly dependent columns of the fixed part are dropped with a warning, or refused.
        eval_env : int, mapping or patsy environment, default 0
            Where names that are no columns are looked up: so many frames above the caller; -1 for nowhere,
            and then as with ``safe_formula``.
        safe_formula : bool, default False
            Run no code: names of columns, numbers, operators, functions of numpy that act value by value
            and patsy's own are allowed in the formula, and anything else is refused.
        **unknown
            Refused with a TypeError.

        Returns
        -------
        CrossedLMM
            Not fitted yet.

        Raises
        ------
        FormulaError, DesignError
            If the formula cannot be read, or the data do not give what it asks for.

        Examples
        --------
        >>> import interlace
        >>> sleep = interlace.datasets.load_sleepstudy()
        >>> interlace.CrossedLMM.from_formula("Reaction ~ Days + (Days | Subject)", sleep)
        <CrossedLMM: Reaction ~ Days + (Days | Subject); 180 rows>
        """
        refuse_unknown("CrossedLMM.from_formula", unknown)
        parsed = parse_formula(formula)
        if re_formula is not None or vc_formula is not None:
            refuse_source(data, "re_formula= and vc_formula=")
            if groups is not None and not isinstance(groups, str):  # values, as MixedLM takes them
                data, names = with_groups(as_frame(data), groups)
                groups = names[0] if len(names) == 1 else groups
            bars = bars_from_statsmodels(groups, re_formula, vc_formula, as_frame(data))
            groups, random = None, [*([random] if isinstance(random, str) else random or []), *bars]
        design = design_of(
            parsed,
            data,
            groups=groups,
            random=random,
            weights=weights,
            offset=offset,
            subset=subset,
            missing=missing,
            rank=rank,
            eval_env=guarded(environment_above(eval_env), safe=safe_formula),
        )
        model = cls.__new__(cls)
        model._adopt(design, formula=formula, frame=data)
        model.recipe = Recipe(weights, offset, subset, missing, rank, safe_formula)
        return model

    def _adopt(
        self, design: Design, *, formula: str | None = None, frame: Any = None, labelled: bool = True
    ) -> None:
        """Finish the construction: the design becomes statsmodels' data."""
        super().__init__(None, None, design=design, formula=formula, frame=frame, labelled=labelled)
        self._init_keys: list[str] = []
        self._labelled(design, design.n_rows, formula)

    def _labelled(self, design: Design, n: int, formula: str | None) -> None:
        self.recipe = Recipe()
        if formula is not None:
            self.formula = formula
        self.nobs = n
        self.k_fe = len(design.xnames)
        self.k_params = len(self.data.param_names)
        self.df_model = self.k_fe - self.k_constant
        self.df_resid = self.nobs - self.k_fe

    def _handle_data(self, _endog: Any, _exog: Any, *_checks: Any, **labels: Any) -> DesignData:
        # The design has seen to missing values and dependent columns, and it holds endog and exog.
        return DesignData(**labels)

    def __repr__(self) -> str:
        return f"<CrossedLMM: {self.formula_text}; {self.nobs} rows>"

    # ---- Fitting --------------------------------------------------------------------------------

    def fit(
        self,
        reml: bool = True,
        start_params: ArrayLike | None = None,
        method: Literal["newton"] | None = None,
        maxiter: int | None = None,
        disp: bool = False,
        full_output: bool = True,
        *,
        starts: int | None = None,
        solver: Solver = "auto",
        ddf: Ddf = "satterthwaite",
        probes: int = PROBES,
        seed: int = 0,
        max_memory: float | str | None = None,
        **unknown: object,
    ) -> CrossedLMMResultsWrapper:
        """Estimate the model by restricted maximum likelihood (REML) or maximum likelihood.

        Parameters
        ----------
        reml : bool, default True
            REML or ML.
        start_params : array_like of shape (n_theta,), optional
            Covariance parameters to start from, relative to the residual standard deviation and in lme4's
            order, as ``results.theta`` has them. The search then ends in the minimum next to them, and no
            other is looked for unless ``starts`` says so.
        method : "newton", optional
            There is one method; the argument is here for statsmodels' sake.
        maxiter : int, optional
            Newton steps at most.
        disp : bool, default False
            Print one line per iteration.
        full_output : bool, default True
            Keep the path of the search in ``results.mle_retvals["allvecs"]``.
        starts : int, optional
            Searches from different starts. By default one where the data are many for each covariance
            parameter, and as many as it takes for further ones to show nothing new where they are few;
            ``results.minima`` lists the minima that were met.
        solver : {"auto", "cholmod", "blocked", "iterative"}, default "auto"
            Sparse factorization by CHOLMOD, or the one by blocks that needs no other library; or none, for
            crossed factors with so many levels that no factorization fits: conjugate gradients and sampled
            traces, whose error stands in ``results.mc_error``.
        ddf : {"satterthwaite", "kenward-roger", "normal"}, default "satterthwaite"
            Degrees of freedom of the tables of the results where these are not told otherwise; "normal" tests
            by the normal distribution, as MixedLM does.
        probes : int, default 16
            Random probes of the iterative solver, at first, 4 or more: others follow until the Monte-Carlo
            error is below a fiftieth of every standard error.
        seed : int, default 0
            What the probes are drawn from: the same seed gives the same answer.
        max_memory : float or str, optional
            Memory that the factorization may take, in bytes or as ``"8GB"``; by default what the machine, or
            its container, has left. What would not fit is refused before it is begun.
        **unknown
            Refused with a TypeError.

        Returns
        -------
        CrossedLMMResults
            In statsmodels' wrapper, which labels arrays. The model itself is not changed.

        Raises
        ------
        OptimizationError
            If the likelihood has no maximum, for instance when the response has no residual variation.
        MemoryLimitError
            If the factorization would need more memory than there is.

        Warns
        -----
        IdentificationWarning
            If the data do not determine a variance, whatever the response: by REML that of a term whose
            columns the fixed effects span, or those of two grouping factors that are one. What depends on it
            is NaN.
        SingularFitWarning
            Once, if a variance is estimated as 0 or a covariance matrix as singular: a correct answer.
        ConvergenceWarning
            If the optimum could not be certified.

        Examples
        --------
        >>> import interlace
        >>> sleep = interlace.datasets.load_sleepstudy()
        >>> result = interlace.CrossedLMM.from_formula("Reaction ~ Days + (Days | Subject)", sleep).fit()
        >>> result.fe_params.round(3).to_dict()
        {'Intercept': 251.405, 'Days': 10.467}
        """
        refuse_unknown("fit", unknown)
        check_choice("reml", reml, (True, False))
        check_method(method)
        check_choice("ddf", ddf, APPROXIMATIONS)
        check_choice("solver", solver, SOLVERS)
        if ddf == "kenward-roger" and not reml:
            raise InferenceError(KENWARD_ROGER_NEEDS_REML)
        design = self.design
        with arithmetic():
            pls_fit = design.fit(
                reml=bool(reml),
                start=self._start(start_params),
                starts=start_count(starts),
                solver=solver,
                **drawing(probes=probes, seed=seed),
                max_memory=in_bytes(max_memory),
                maxiter=MAXITER if maxiter is None else whole_number("maxiter", maxiter, wanted=STEPS_WANTED),
                callback=printer() if disp else None,
            )
        results = self._results_class(self, pls_fit, full_output=full_output)
        results.ddf = ddf
        warn_of_singularity(results, _reason(results))
        warn_of_the_undetermined(results.undetermined)
        warn_of_no_optimum(results)
        return CrossedLMMResultsWrapper(results)

    @property
    def _results_class(self) -> type[CrossedLMMResults]:
        return StreamedLMMResults if isinstance(self.design, StreamedDesign) else CrossedLMMResults

    def _start(self, start_params: ArrayLike | None) -> FloatArray | None:
        if start_params is None:
            return None
        size = sum(unstructured(len(term.columns)).m for term in self.design.term_labels)
        are = "lower triangles of relative covariance factors column by column, as results.theta has them"
        return numbers("start_params", start_params, size, are=are, largest=LARGEST)

    # ---- The same model for other data ------------------------------------------------------------

    def present_design(self) -> Design:
        """The design with its rows; refused when they are gone."""
        return self.design.with_rows(self.design.rows)

    def results_of(self, pls_fit: pls.PLSFit, ddf: Ddf = "satterthwaite") -> CrossedLMMResultsWrapper:
        """Results of a fit that was made elsewhere, without its warnings."""
        results = self._results_class(self, pls_fit)
        results.ddf = ddf
        return CrossedLMMResultsWrapper(results)

    def with_design(self, design: Design) -> CrossedLMM:
        """The same formula on another design; the frame is not kept, for it does not belong to it."""
        model = type(self).__new__(type(self))
        model._adopt(design, formula=getattr(self, "formula", None), labelled=self.data.labelled)
        return model

    def with_response(self, y: FloatArray, name: str) -> CrossedLMM:
        """The same design with another response, shape (n,)."""
        model = copy(self)
        model.data = self.data.with_response(self.design.with_response(y, name))
        model.endog = y
        return model

    def updated(
        self, formula: str | None, data: Any = None, *, eval_env: Any = 0, **changes: Any
    ) -> tuple[CrossedLMM, dict[str, Any]]:
        """The model with another formula, data or options; and the keywords that are those of `fit`.

        Parameters
        ----------
        formula : str or None
            In terms of this model's, see `interlace.formula.updating.updated`.
        data : DataFrame or dict of arrays, optional
            Other data.
        eval_env : int, mapping or patsy environment, default 0
            Where names that are no columns are looked up.
        **changes
            Keywords of ``from_formula`` and of ``fit`` that differ.

        Returns
        -------
        model : CrossedLMM
        options : dict
        """
        old, frame = self._to_update(data)
        options = {name: changes.pop(name) for name in FIT_OPTIONS if name in changes}
        recipe = replace(self.recipe, **known_changes(changes))
        new = updated(old, self._all_bars(), ". ~ ." if formula is None else formula)
        model = type(self).__new__(type(self))
        env = guarded(environment_above(eval_env), safe=recipe.safe_formula)
        for_design = {name: value for name, value in vars(recipe).items() if name != "safe_formula"}
        design = design_of(new, frame, eval_env=env, **for_design)
        model._adopt(design, formula=str(new), frame=frame)
        model.recipe = recipe
        return model, options

    def without_frame(self) -> CrossedLMM:
        """The same model without the data that the formula was evaluated in."""
        model = copy(self)
        model.data = self.data.with_response(self.design)
        return model

    # ---- Storage --------------------------------------------------------------------------------

    @classmethod
    def _of_stored(cls, design: Design, *, formula: str | None, n: int, **stored: Any) -> CrossedLMM:
        """The model of a fit that was read from a file; without rows it still predicts."""
        model = cls.__new__(cls)
        model.data = DesignData.of_stored(design, formula=formula, **stored)
        model.k_constant, model.endog, model.exog = model.data.k_constant, model.data.endog, model.data.exog
        model._data_attr, model._init_keys = ["exog", "endog", "data.exog", "data.endog"], []
        model._labelled(design, n, formula)
        return model

    def without_rows(self) -> CrossedLMM:
        """Model without the frame and the arrays with one entry per row; it still predicts.

        Returns
        -------
        CrossedLMM
            A new model; this one is not changed.
        """
        emptied = copy(self)
        emptied.data = copy(self.data)
        emptied.data.without_rows()
        emptied.endog = emptied.exog = None
        emptied.recipe = replace(self.recipe, weights=None, offset=None, subset=None)
        return emptied


def _reason(results: CrossedLMMResults) -> str:
    """Why variances are 0 by maximum likelihood whatever the response, if any are."""
    spanned = (
        ()
        if results.reml or not results.is_singular
        else spanned_terms(results.model.design, results.pls_fit)
    )
    if not spanned:
        return ""
    return (
        f" The fixed effects span the columns of {' and '.join(spanned)}: by maximum likelihood such a "
        "variance is 0 whatever the response, which says nothing about it."
    )
