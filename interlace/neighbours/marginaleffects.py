"""Fitted models for the package marginaleffects, which takes any object of its class for models.

The only importer of marginaleffects (and of polars, which it brings), and imported by no other module.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from interlace.arrays import FloatArray
from interlace.design import refusal_of_other_rows, whole_sample_variables
from interlace.errors import DesignError, MissingPackageError
from interlace.formula.storage import names_in
from interlace.frames.columns import Columns, as_frame, plain

try:
    import polars as pl
    from marginaleffects.classes.model import ModelAbstract, ModelVault
except ImportError as error:
    raise MissingPackageError(
        "interlace.neighbours.marginaleffects needs the package marginaleffects, which is not installed; "
        "pip install marginaleffects"
    ) from error


def adapt(results: Any) -> Adapted:
    """Make a fitted model one that marginaleffects takes.

    Parameters
    ----------
    results : CrossedLMMResults
        A model fitted from a formula, with its data.

    Returns
    -------
    ModelAbstract
        For ``avg_predictions``, ``avg_comparisons``, ``avg_slopes``, ``hypotheses`` and so on. Predictions
        are those of the population: random effects of zero. Standard errors are those of the fixed effects;
        tests are by the normal distribution unless ``df=`` is there. For slopes give ``eps=1.0``; the default
        step, a ten-thousandth of the range, costs standard errors all but two or three digits.

    Raises
    ------
    DesignError
        If the model was built from arrays, or its data are gone.

    Examples
    --------
    >>> import interlace
    >>> from interlace.neighbours.marginaleffects import adapt
    >>> from marginaleffects import avg_slopes
    >>> fit = interlace.fit("Reaction ~ Days + (Days | Subject)", interlace.datasets.load_sleepstudy())
    >>> round(avg_slopes(adapt(fit), variables="Days")["estimate"].item(), 3)
    10.467
    """
    return Adapted(results)


class Adapted(ModelAbstract):  # type: ignore[misc, unused-ignore]
    """What :func:`adapt` returns.

    Parameters
    ----------
    results : CrossedLMMResults
        A model fitted from a formula, with its data.
    """

    def __init__(self, results: Any) -> None:
        self._design = results.model.design
        frame = results.model.data.frame
        if self._design.formula is None or frame is None:
            raise DesignError(
                "marginaleffects needs a model fitted from a formula that keeps its data; this one has "
                f"{'no formula' if self._design.formula is None else 'no data any more'}"
            )
        blamed = whole_sample_variables([self._design.coding, *self._design.offsets])
        if blamed:
            raise DesignError(f"marginaleffects predicts new rows: {refusal_of_other_rows(blamed)}")
        table = as_frame(frame)
        positions = self._design.positions
        table = table if positions is None else table.iloc[positions]
        self._codings: dict[str, pd.Index] = {}
        vault = ModelVault(
            coef=np.asarray(results.fe_params, dtype=float),
            coefnames=np.array(self._design.xnames),
            # A function instead of a text: marginaleffects must not read bars.
            formula=lambda newdata: (None, self.get_exog(newdata)),
            modeldata=pl.DataFrame([self._series(name, table[name]) for name in _unique(table)]),
            package="interlace",
            vcov=np.asarray(results.pls_fit.vcov_beta),
            variable_names=[self._design.yname, *_variables(self._design, table)],
        )
        super().__init__(results, vault)

    def _series(self, name: str, column: pd.Series) -> Any:
        """A column in polars' types; text and categories as an Enum in the order of the fit."""
        values = plain(column)
        if isinstance(values.dtype, np.dtype) and values.dtype.kind in "biuf":
            return pl.Series(name, values.to_numpy())
        found = pd.Categorical(values)
        texts = [str(level) for level in found.categories]
        self._codings[name] = found.categories
        return pl.Series(
            name, [None if code < 0 else texts[code] for code in found.codes], dtype=pl.Enum(texts)
        )

    def get_exog(self, newdata: Any) -> FloatArray:
        """Model matrix of the fixed effects for new rows; if there is an offset, it is the last column."""
        frame = as_frame(newdata)
        for name, levels in self._codings.items():
            if name in frame:
                texts = [str(level) for level in levels]
                codes = pd.Index(texts).get_indexer(pd.Index(frame[name].astype(object)))
                frame = frame.assign(**{name: pd.Categorical.from_codes(codes, categories=levels)})
        columns = Columns(frame)
        X = self._design.coding(columns)[:, list(self._design.kept_columns)]
        known = [np.asarray(source(columns), dtype=float).reshape(-1) for source in self._design.offsets]
        return np.column_stack([X, np.sum(known, axis=0)]) if known else np.asarray(X)

    def get_predict(self, params: FloatArray, newdata: Any) -> Any:
        """Means at random effects of zero, for rows of the matrix that `get_exog` made."""
        X = np.asarray(newdata, dtype=float)
        k = len(params)
        mean = X[:, :k] @ np.asarray(params) + (X[:, k] if X.shape[1] > k else 0.0)
        return pl.DataFrame(
            {"rowid": pl.Series(np.arange(len(mean), dtype=np.int32)), "estimate": pl.Series(mean)}
        )

    def get_vcov(self, vcov: Any = True) -> FloatArray | None:  # noqa: FBT002 - marginaleffects calls it so
        """Covariance of the fixed effects, or None if none is wanted."""
        if isinstance(vcov, str):
            raise DesignError(
                f"vcov={vcov!r}: give a matrix, such as that of results.get_robustcov_results(), or True"
            )
        return self.vault.vcov if vcov else None


def _unique(table: pd.DataFrame) -> list[str]:
    return [name for name in table.columns if isinstance(name, str) and list(table.columns).count(name) == 1]


def _variables(design: Any, table: pd.DataFrame) -> list[str]:
    """Columns that the fixed effects are made of."""
    names = [name for code in design.coding.expressions for name in (code, *names_in(code))]
    return [name for name in dict.fromkeys(names) if name in table.columns]
