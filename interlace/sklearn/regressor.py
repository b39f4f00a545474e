"""The mixed model as an estimator of scikit-learn: for its splitters, scorers and pipelines.

The only importer of scikit-learn, and imported by no other module.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
import pandas as pd

from interlace.arrays import FloatArray
from interlace.errors import ArgumentError, FormulaError, MissingPackageError
from interlace.formula.grammar import parse_formula
from interlace.frames.columns import as_frame
from interlace.lmm.one_call import Likelihoods, fit
from interlace.prediction.parts import NewLevels

try:
    from sklearn.base import BaseEstimator, RegressorMixin
    from sklearn.utils.validation import check_is_fitted, validate_data
except ImportError as error:
    raise MissingPackageError(
        "interlace.sklearn needs scikit-learn 1.6 or newer, which is not installed; "
        'pip install "interlace[sklearn]"'
    ) from error

# What the response is called if the formula does not say.
RESPONSE = "y"


class CrossedLMMRegressor(RegressorMixin, BaseEstimator):
    """Linear mixed model with scikit-learn's ``fit``, ``predict`` and ``score``.

    Parameters
    ----------
    formula : str, optional
        Right side of the formula, bars included: ``"x + (1 + x | subject) + (1 | item)"``. ``X`` is then a
        table with these columns. A left side, if there is one, must be a plain name; the response is ``y``.
        Without a formula every column of ``X`` is a fixed effect beside an intercept, and ``groups=`` of
        `fit` holds the grouping factors.
    method : {"REML", "ML"}, default "REML"
        Restricted maximum likelihood or maximum likelihood.
    random : bool or str or collection of str, default True
        Which random effects enter predictions: all, none, or those of the grouping factors named.
    new_levels : {"population", "error"}, default "population"
        What to do about levels that the fit has not seen, which is what `GroupKFold` leaves for the test:
        predict them with random effects of zero, or refuse.
    weights : str, optional
        Column of prior weights; with a formula only.

    Attributes
    ----------
    result_ : CrossedLMMResults
        The fitted model, with everything that it can do; None without random effects.
    coef_ : ndarray of shape (k,)
        Fixed effects but the intercept.
    intercept_ : float
        The intercept; 0.0 if the formula has none.
    n_features_in_ : int
        Columns of ``X``.
    feature_names_in_ : ndarray of str
        Their names, if all of them have one.

    Notes
    -----
    With neither a formula nor groups there are no random effects, and the fixed effects are found by least
    squares: the model to compare others with.

    Examples
    --------
    >>> import interlace
    >>> from interlace.sklearn import CrossedLMMRegressor
    >>> sleep = interlace.datasets.load_sleepstudy()
    >>> model = CrossedLMMRegressor("Days + (Days | Subject)").fit(sleep, sleep["Reaction"])
    >>> model.coef_.round(3), round(model.score(sleep, sleep["Reaction"]), 3)
    (array([10.467]), 0.826)
    """

    def __init__(
        self,
        formula: str | None = None,
        *,
        method: Likelihoods = "REML",
        random: bool | str | Collection[str] = True,
        new_levels: NewLevels = "population",
        weights: str | None = None,
    ) -> None:
        self.formula = formula
        self.method = method
        self.random = random
        self.new_levels = new_levels
        self.weights = weights

    def fit(self, X: Any, y: Any, groups: Any = None) -> CrossedLMMRegressor:
        """Estimate the model.

        Parameters
        ----------
        X : table, or array of shape (n, k)
            The columns of the formula; without one, the fixed effects.
        y : array_like of shape (n,)
            The response.
        groups : array_like of shape (n,) or (n, m), optional
            Grouping factors with a random intercept each; without a formula only.

        Returns
        -------
        CrossedLMMRegressor
            Itself.

        Examples
        --------
        >>> import interlace
        >>> from interlace.sklearn import CrossedLMMRegressor
        >>> sleep = interlace.datasets.load_sleepstudy()
        >>> model = CrossedLMMRegressor().fit(sleep[["Days"]], sleep["Reaction"], groups=sleep["Subject"])
        >>> model.coef_.round(3)
        array([10.467])
        """
        if self.formula is not None:
            return self._fit_formula(self.formula, X, y, groups)
        X, y = validate_data(self, X, y, y_numeric=True, dtype=np.float64)
        if groups is None:
            return self._least_squares(X, y)
        frame = _array_frame(X, groups)
        factors = [name for name in frame.columns if name.startswith("group")]
        fixed = [name for name in frame.columns if name not in factors]
        formula = f"{RESPONSE} ~ {' + '.join(['1', *fixed])}"
        return self._adopt(fit(formula, frame.assign(y=y), groups=factors, method=self.method))

    def _fit_formula(self, formula: str, X: Any, y: Any, groups: Any) -> CrossedLMMRegressor:
        if groups is not None:
            raise FormulaError(
                "groups= goes without a formula; write the grouping factors into it, as (1 | g)"
            )
        name, text = _with_response(formula)
        frame = as_frame(X)
        validate_data(self, frame, skip_check_array=True)
        response = np.asarray(y, dtype=float).reshape(-1)
        if len(response) != len(frame):
            raise ArgumentError(f"y has {len(response)} values and X {len(frame)} rows; wanted one for each")
        data = frame.assign(**{name: response})
        return self._adopt(
            fit(text, data, method=self.method, weights=self.weights, eval_env={"np": np, "pd": pd})
        )

    def _adopt(self, result: Any) -> CrossedLMMRegressor:
        self.result_ = result
        estimates = result.fe_params
        self.intercept_ = float(estimates.get("Intercept", 0.0))
        self.coef_ = estimates.drop("Intercept", errors="ignore").to_numpy()
        return self

    def _least_squares(self, X: FloatArray, y: FloatArray) -> CrossedLMMRegressor:
        self.result_ = None
        centre = X.mean(axis=0)
        self.coef_ = np.linalg.lstsq(X - centre, y - y.mean(), rcond=None)[0]
        self.intercept_ = float(y.mean() - centre @ self.coef_)
        return self

    def predict(self, X: Any, groups: Any = None) -> FloatArray:
        """Expected responses.

        Parameters
        ----------
        X : table, or array of shape (n, k)
            As in `fit`.
        groups : array_like of shape (n,) or (n, m), optional
            Grouping factors, if `fit` had them; without them the mean of the population is predicted.

        Returns
        -------
        ndarray of shape (n,)

        Examples
        --------
        >>> import interlace
        >>> from interlace.sklearn import CrossedLMMRegressor
        >>> sleep = interlace.datasets.load_sleepstudy()
        >>> model = CrossedLMMRegressor("Days + (1 | Subject)").fit(sleep, sleep["Reaction"])
        >>> model.predict(sleep.head(2).assign(Subject="somebody new")).round(1)
        array([251.4, 261.9])
        """
        check_is_fitted(self)
        if self.formula is not None:
            frame = as_frame(X)
            validate_data(self, frame, reset=False, skip_check_array=True)
            return self._predicted(frame, random=self.random)
        X = validate_data(self, X, reset=False, dtype=np.float64)
        if self.result_ is None:
            return np.asarray(X @ self.coef_ + self.intercept_)
        return self._predicted(_array_frame(X, groups), random=False if groups is None else self.random)

    def _predicted(self, frame: pd.DataFrame, *, random: bool | str | Collection[str]) -> FloatArray:
        return np.asarray(self.result_.predict(frame, random=random, new_levels=self.new_levels))

    def __sklearn_tags__(self) -> Any:
        """With a formula the columns may be text and have gaps."""
        tags = super().__sklearn_tags__()
        tags.input_tags.string = tags.input_tags.allow_nan = self.formula is not None
        return tags


def _with_response(formula: str) -> tuple[str, str]:
    """Name of the response and the whole formula."""
    name, tilde, right = formula.rpartition("~")
    name = name.strip() or RESPONSE
    if tilde and not parse_formula(f"{name} ~ {right}").response.isidentifier():
        raise FormulaError(
            f'the response "{name}" is more than a name; give the transformed values as y, or use '
            "scikit-learn's TransformedTargetRegressor"
        )
    return name, f"{name} ~ {right}"


def _array_frame(X: FloatArray, groups: Any) -> pd.DataFrame:
    """Columns x0, x1, ... and group0, group1, ..."""
    columns: dict[str, Any] = {f"x{j}": X[:, j] for j in range(X.shape[1])}
    if groups is not None:
        factors = groups if isinstance(groups, pd.DataFrame) else pd.DataFrame(np.asarray(groups))
        columns |= {f"group{j}": factors.iloc[:, j].to_numpy() for j in range(factors.shape[1])}
    return pd.DataFrame(columns)
