"""The model as statsmodels spells it: a constructor, ``from_formula``, ``fit``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from typing import Any, Literal, Self, TypeAlias

from numpy.typing import ArrayLike

from interlace.arguments import LARGEST, STEPS_WANTED, numbers, whole_number
from interlace.arrays import FloatArray
from interlace.design import Design, build_design
from interlace.errors import ArgumentError, arithmetic
from interlace.family import Family
from interlace.formula.bars import bars_from_statsmodels
from interlace.formula.grammar import parse_formula
from interlace.formula.safe import SafeEnvironment, guarded
from interlace.formula.variables import environment_above
from interlace.frames.columns import as_frame
from interlace.modelling.data import DesignData
from interlace.modelling.options import check_choice, printer
from interlace.pls.factor.memory import in_bytes
from interlace.pls.laplace import LaplaceFit, fit_laplace

from .arrays import arrays_design
from .family import FamilyLike
from .likelihood import LaplaceModel
from .refusals import check_exposure, check_method, refuse, wanted_family
from .response import Response, checked_rows, counts_of, has_own_variance, read_response
from .results import CrossedGLMMResults
from .state import warn
from .wrapper import CrossedGLMMResultsWrapper

Missing: TypeAlias = Literal["drop", "raise", "none"]
Rank: TypeAlias = Literal["drop", "error"]
Solver: TypeAlias = Literal["auto", "cholmod", "blocked"]

MAXITER = 200
# Nodes of quadrature at most: their weights underflow beyond.
MOST_NODES = 100


class CrossedGLMM(LaplaceModel):
    """Generalised linear mixed model with crossed, nested or partially crossed random effects.

    Parameters
    ----------
    endog : array_like of shape (n,) or (n, 2)
        Response; successes and failures for a binomial family.
    exog : array_like of shape (n, p), optional
        Fixed-effects model matrix, taken as it is: add a constant yourself.
    groups : array_like, Series, DataFrame or dict
        Grouping factors, one per column. Each gets a random intercept, or the columns of ``exog_re``.
    random : str or sequence of str, optional
        Random-effects terms as lme4 writes them, such as ``"(1 + x | g)"``.
    exog_re : array_like of shape (n, k), optional
        Columns with random coefficients; those of every grouping factor are correlated.
    family : statsmodels family or str
        ``sm.families.Binomial()`` (links logit, probit, cloglog), Poisson, NegativeBinomial (its size is
        estimated), Gamma and Gaussian (link log); or ``"binomial"``, ``"binomial(probit)"``, ``"poisson"``,
        ``"negativebinomial"``, ``"gamma"``, ``"gaussian(log)"``. Strings without a link have the link log,
        or logit for binomial.
    offset : array_like of shape (n,), optional
        Known part of the linear predictor.
    exposure : array_like of shape (n,), optional
        Its logarithm is added to the offset; with the link log only.
    n_trials : array_like of shape (n,), optional
        Trials behind each row, where ``endog`` holds proportions.
    freq_weights : array_like of shape (n,), optional
        How often each row occurs.
    rank : {"drop", "error"}, default "drop"
        What to do about linearly dependent columns of ``exog``.
    **unknown
        Refused with a TypeError.

    See Also
    --------
    CrossedGLMM.from_formula : The same from a formula and a data frame.
    interlace.fit : Formula, data and estimates in one call.

    References
    ----------
    Bates, Maechler, Bolker & Walker (2015), Journal of Statistical Software 67(1); Tierney & Kadane (1986),
    Journal of the American Statistical Association 81.

    Examples
    --------
    >>> import interlace
    >>> ticks = {"y": [2, 3, 1, 8, 9, 6, 0, 1, 1, 4, 3, 5], "g": list("aaabbbcccddd")}
    >>> model = interlace.CrossedGLMM(ticks["y"], groups={"g": ticks["g"]}, family="poisson")
    >>> round(float(model.fit().params["const"]), 4)
    1.0117
    """

    def __init__(
        self,
        endog: ArrayLike,
        exog: ArrayLike | None = None,
        groups: Any = None,
        random: str | Sequence[str] | None = None,
        exog_re: ArrayLike | None = None,
        family: FamilyLike = None,
        offset: ArrayLike | None = None,
        exposure: ArrayLike | None = None,
        n_trials: ArrayLike | None = None,
        freq_weights: ArrayLike | None = None,
        rank: Rank = "drop",
        **unknown: object,
    ) -> None:
        refuse("CrossedGLMM", unknown)
        chosen = wanted_family(family)
        check_exposure(exposure, chosen)
        design = arrays_design(
            endog,
            exog,
            chosen,
            groups=groups,
            random=random,
            exog_re=exog_re,
            offset=offset,
            exposure=exposure,
            n_trials=n_trials,
            freq_weights=freq_weights,
            rank=rank,
        )
        self._adopt(design, chosen)

    @classmethod
    def from_formula(
        cls,
        formula: str,
        data: Any,
        groups: Any = None,
        random: str | Sequence[str] | None = None,
        *,
        family: FamilyLike = None,
        re_formula: str | None = None,
        vc_formula: Mapping[str, str] | None = None,
        offset: Any = None,
        exposure: Any = None,
        n_trials: Any = None,
        freq_weights: Any = None,
        subset: Any = None,
        missing: Missing = "drop",
        rank: Rank = "drop",
        eval_env: Any = 0,
        safe_formula: bool = False,
        **unknown: object,
    ) -> Self:
        """Model from a formula and a data frame.

        Parameters
        ----------
        formula : str
            ``"y ~ x + (1 + x | g)"``. A binomial response is 0/1 or boolean, ``successes + failures ~`` as in
            statsmodels (``cbind(y, n - y) ~`` as in R), or a proportion with ``n_trials``.
        data : DataFrame or dict of arrays
            The columns; polars and pyarrow tables too. Never modified.
        groups : str or sequence of str, optional
            Grouping factors with a random intercept each; ``"a/b"`` and ``"a:b"`` as in lme4.
        random : str or sequence of str, optional
            Random-effects terms, ``"(1 + x | g)"``. For counts a term may have an effect per row.
        family : statsmodels family or str
            See the class.
        re_formula, vc_formula : optional
            MixedLM's spelling, translated where a term means the same and refused where none does.
        offset, exposure, n_trials, freq_weights : str or array_like, optional
            Column name or values, see the class. Those that are columns are looked up in new data too.
        subset : array_like, optional
            Rows to use: booleans or index labels.
        missing : {"drop", "raise", "none"}, default "drop"
            Rows with missing values in any column used are dropped, or refused.
        rank : {"drop", "error"}, default "drop"
            Linearly dependent columns of the fixed part are dropped with a warning, or refused.
        eval_env : int, mapping or patsy environment, default 0
            Where names that are no columns are looked up: so many frames above the caller; -1 for nowhere.
        safe_formula : bool, default False
            Run no code, see :meth:`CrossedLMM.from_formula`.
        **unknown
            Refused with a TypeError.

        Returns
        -------
        CrossedGLMM
            Not fitted yet.

        Raises
        ------
        FormulaError, DesignError
            If the formula cannot be read, or the data do not give what it asks for.

        Examples
        --------
        >>> import interlace
        >>> ticks = {"y": [2, 3, 1, 8, 9, 6, 0, 1, 1, 4, 3, 5], "g": list("aaabbbcccddd")}
        >>> interlace.CrossedGLMM.from_formula("y ~ 1 + (1 | g)", ticks, family="poisson")
        <CrossedGLMM: y ~ 1 + (1 | g); Poisson, log; 12 rows>
        """
        refuse("CrossedGLMM.from_formula", unknown)
        chosen = wanted_family(family)
        check_exposure(exposure, chosen)
        env = guarded(environment_above(eval_env), safe=safe_formula)
        return cls._built(
            formula,
            data,
            chosen,
            env,
            groups=groups,
            random=random,
            re_formula=re_formula,
            vc_formula=vc_formula,
            weights=freq_weights,
            offset=offset,
            exposure=exposure,
            n_trials=n_trials,
            subset=subset,
            missing=missing,
            rank=rank,
        )

    @classmethod
    def _built(
        cls,
        formula: str,
        data: Any,
        family: Family,
        env: Any,
        *,
        groups: Any,
        random: Any,
        re_formula: str | None,
        vc_formula: Mapping[str, str] | None,
        n_trials: Any,
        **given: Any,
    ) -> Self:
        """The model, once its keywords are known to be right."""
        written = parse_formula(formula)
        safe = isinstance(env, SafeEnvironment)
        recipe = {**given, "n_trials": n_trials, "response": written.response, "safe": safe}
        parsed, response = read_response(written, data, family, n_trials, env)
        if re_formula is not None or vc_formula is not None:
            bars = bars_from_statsmodels(groups, re_formula, vc_formula, as_frame(data))
            groups, random = None, [*([random] if isinstance(random, str) else random or []), *bars]
        design = build_design(
            parsed,
            data,
            groups=groups,
            random=random,
            eval_env=env,
            trials=response.trials,
            respond=response.respond,
            residual=has_own_variance(family),
            **given,
        )
        model = cls.__new__(cls)
        model._adopt(*model._suited(design, response, family, data, env), formula=formula, frame=data)
        model.recipe = recipe
        return model

    def _suited(
        self, design: Design, response: Response, family: Family, _data: Any, _env: Any
    ) -> tuple[Design, Family]:
        """Design and family once the response was looked at."""
        return checked_rows(design, response, family), family

    def _adopt(
        self, design: Design, family: Family, *, formula: str | None = None, frame: Any = None
    ) -> None:
        """Finish the construction: the design becomes statsmodels' data."""
        names = self._psi_names(family)
        super().__init__(design.y, design.X, design=design, formula=formula, frame=frame, more_names=names)
        self._init_keys: list[str] = []
        self.recipe: dict[str, Any] = {}
        self.family = family
        self._also = ", ".join(names)
        if formula is not None:
            self.formula = formula
        self.nobs = len(design.y)
        self.k_fe = design.X.shape[1]
        self.k_params = len(self.data.param_names)
        self.df_model = self.k_fe - self.k_constant
        self.df_resid = self.nobs - self.k_fe

    def _psi_names(self, _family: Family) -> tuple[str, ...]:
        return _family.psi_names

    def _handle_data(self, _endog: Any, _exog: Any, *_checks: Any, **labels: Any) -> DesignData:
        # The design has seen to missing values and dependent columns, and it holds endog and exog.
        return DesignData(**labels)

    def __repr__(self) -> str:
        kind = f"{type(self.family).__name__}, {self.family.link}"
        return f"<{type(self).__name__}: {self.formula_text}; {kind}; {self.nobs} rows>"

    # ---- Fitting --------------------------------------------------------------------------------

    def fit(
        self,
        start_params: ArrayLike | None = None,
        maxiter: int | None = None,
        disp: bool = False,
        *,
        method: Literal["laplace"] = "laplace",
        nagq: int = 1,
        fast: bool = False,
        solver: Solver = "auto",
        max_memory: float | str | None = None,
        **unknown: object,
    ) -> CrossedGLMMResultsWrapper:
        """Estimate the model by maximum likelihood.

        Parameters
        ----------
        start_params : array_like of shape (k_params,), optional
            Covariance parameters (as ``results.theta``), fixed effects, parameters of the family to start
            from. The optimum does not depend on them where there is one.
        maxiter : int, optional
            Newton steps at most.
        disp : bool, default False
            Print one line per iteration.
        method : "laplace", default "laplace"
            The integral over the random effects: Laplace's approximation, or with ``nagq`` quadrature.
        nagq : int, default 1
            Nodes of adaptive Gauss-Hermite quadrature; more than 1 for a single scalar term only. All
            likelihoods are on one scale, whatever ``nagq``.
        fast : bool, default False
            What glmer's ``nAGQ = 0`` is: fixed effects minimise the penalised likelihood together with the
            modes, and not the criterion itself; close for counts and many trials, less so for binary
            responses. To compare with such fits: it is not quicker here.
        solver : {"auto", "cholmod", "blocked"}, default "auto"
            Sparse factorization by CHOLMOD, or the one by blocks that needs no other library.
        max_memory : float or str, optional
            Memory that the factorization may take, see :meth:`CrossedLMM.fit`.
        **unknown
            Refused with a TypeError.

        Returns
        -------
        CrossedGLMMResults
            In statsmodels' wrapper, which labels arrays. The model itself is not changed.

        Warns
        -----
        SingularFitWarning
            Once, if a variance is estimated as 0 or a covariance matrix as singular: a correct answer.
        PerfectSeparationWarning
            If some fixed effects have no finite estimate, which is proved and says which.
        ConvergenceWarning
            If the optimum could not be certified.
        LaplaceWarning
            If quadrature over the single scalar term would give clearly different estimates.

        Examples
        --------
        >>> import interlace
        >>> ticks = {"y": [2, 3, 1, 8, 9, 6, 0, 1, 1, 4, 3, 5], "g": list("aaabbbcccddd")}
        >>> model = interlace.CrossedGLMM.from_formula("y ~ 1 + (1 | g)", ticks, family="poisson")
        >>> model.fit().params.round(4).to_dict()
        {'Intercept': 1.0117, 'g Var': 0.5821}
        """
        refuse("fit", unknown)
        check_method(method)
        check_choice("solver", solver, ("auto", "cholmod", "blocked"))
        self._check_nagq(nagq)
        design = self.design
        with arithmetic():
            found = fit_laplace(
                design.factors,
                design.terms,
                design.X,
                counts_of(design),
                self.family,
                weights=design.weights,
                trials=design.trials,
                offset=design.offset,
                nagq=nagq,
                fast=fast,
                start=self._start(start_params),
                solver=solver,
                max_memory=in_bytes(max_memory),
                maxiter=MAXITER if maxiter is None else whole_number("maxiter", maxiter, wanted=STEPS_WANTED),
                callback=printer() if disp else None,
            )
        results = self._results(found)
        warn(results)
        return self._wrapped(results)

    def _start(self, start_params: ArrayLike | None) -> FloatArray | None:
        if start_params is None:
            return None
        are = "covariance parameters as results.theta has them, fixed effects, parameters of the family"
        return numbers("start_params", start_params, self.k_params, are=are, largest=LARGEST)

    def _check_nagq(self, nagq: int) -> None:
        whole_number("nagq", nagq, least=1, wanted="the number of nodes")
        if nagq > MOST_NODES:
            raise ArgumentError(
                f"nagq={nagq}; beyond {MOST_NODES} nodes nothing changes but rounding: give fewer"
            )
        terms = self.design.terms
        if nagq > 1 and (len(terms) > 1 or terms[0].k > 1):
            raise ArgumentError(
                f"nagq={nagq} nodes are for one scalar random effect, such as (1 | g); this model has "
                f"{', '.join(self._bars())}. Use nagq=1, Laplace's approximation"
            )

    def _results(self, found: LaplaceFit) -> CrossedGLMMResults:
        return CrossedGLMMResults(self, found)

    def _wrapped(self, results: CrossedGLMMResults) -> CrossedGLMMResultsWrapper:
        return CrossedGLMMResultsWrapper(results)

    # ---- The same model for other data ------------------------------------------------------------

    def results_of(self, found: LaplaceFit) -> CrossedGLMMResultsWrapper:
        """Results of a fit that was made elsewhere, without its warnings."""
        return self._wrapped(self._results(found))

    def with_counts(self, counts: FloatArray, name: str) -> Self:
        """The same design with another response, counted as `interlace.glmm.response.counts_of` does."""
        design = self.design
        model = copy(self)
        y = counts if design.trials is None else counts / design.trials
        model.data = self.data.with_response(design.with_response(y, name))
        model.endog = y
        return model

    def with_design(self, design: Design) -> Self:
        """The same formula on another design; the frame is not kept, for it does not belong to it."""
        model = copy(self)
        model.data = self.data.with_response(design)
        model.data.exog = design.X
        model.endog, model.exog, model.nobs = design.y, design.X, len(design.y)
        return model

    def _family_of(self, changes: dict[str, Any]) -> Family:
        """The family of an update, taken out of the changes."""
        return wanted_family(changes.pop("family")) if "family" in changes else self.family

    def without_rows(self) -> Self:
        """Model without the frame and the arrays with one entry per row; it still predicts."""
        emptied = copy(self)
        emptied.data = copy(self.data)
        emptied.data.without_rows()
        emptied.endog = emptied.exog = None
        emptied.recipe = {
            name: self.recipe[name] for name in ("missing", "rank", "response") if name in self.recipe
        }
        return emptied
