"""What a model says of itself before it is fitted."""

from __future__ import annotations

from typing import Any

from interlace.design import Design
from interlace.design.describe import describe
from interlace.errors import DesignError
from interlace.formula.bars import expand_bars
from interlace.formula.grammar import Bar, MixedFormula


class DescribedModel:
    """A model with a design that can say in words what will be fitted."""

    data: Any

    @property
    def design(self) -> Design:
        """The matrices and their labels."""
        design: Design = self.data.design
        return design

    endog_names: Any
    exog_names: list[str]
    # What is estimated beside fixed effects and covariance parameters.
    _also = "the residual variance"

    @property
    def formula_text(self) -> str:
        """The formula with its random-effects terms, or the names of the columns."""
        text = (
            getattr(self, "formula", None)
            or f"{self.endog_names} on {', '.join(self.exog_names) or 'nothing'}"
        )
        return " + ".join([text, *self._unwritten_bars()])

    def _unwritten_bars(self) -> list[str]:
        """Terms that ``groups=`` and ``random=`` brought, not the formula."""
        raw = self.design.formula.random if self.design.formula else ()
        written = {str(bar) for bar in expand_bars(raw)}
        return [bar for bar in self._bars() if bar not in written]

    def _bars(self) -> list[str]:
        names = [labels.name for labels in self.design.factor_labels]
        return [f"({labels.lhs} | {names[labels.factor]})" for labels in self.design.term_labels]

    def _all_bars(self) -> list[Bar]:
        """All random-effects terms, those given outside the formula too."""
        factors = self.design.factor_labels
        return [Bar(labels.lhs, factors[labels.factor].columns) for labels in self.design.term_labels]

    def _to_update(self, data: Any = None) -> tuple[MixedFormula, Any]:
        """The formula as parsed and the data for it, those of the model by default; refused without.

        Parameters
        ----------
        data : table, optional
            Other data.

        Returns
        -------
        MixedFormula, table
        """
        old, frame = self.design.formula, self.data.frame if data is None else data
        if old is None:
            raise DesignError("the model was built from arrays and has no formula to update; build another")
        if frame is None:
            raise DesignError(
                "the model does not keep the data that its formula was evaluated in (they were removed, or "
                "the response was replaced); give data="
            )
        return old, frame

    def describe(self) -> str:
        """Say in words what will be fitted: terms, levels, crossed or nested, sizes.

        Returns
        -------
        str
            A few lines to print.

        Examples
        --------
        >>> import interlace
        >>> pastes = interlace.datasets.load_pastes()
        >>> print(interlace.CrossedLMM.from_formula("strength ~ 1 + (1 | batch/cask)", pastes).describe())
        Response: strength, 60 rows
        Fixed effects: Intercept
        Random effects:
          batch:cask: an intercept for each of 30 levels (2 rows each)
          batch: an intercept for each of 10 levels (6 rows each)
        Grouping factors:
          batch:cask is nested in batch
        To estimate: 1 fixed effect, 2 covariance parameters, the residual variance; to predict: 40 random
        effects
        """
        return describe(self.design, self._also)

    def term_columns(self) -> dict[str, list[int]]:
        """Columns of ``exog`` that belong to each term of the formula.

        Returns
        -------
        dict of str to list of int
            In the model's order; without a formula every column is a term of its own.

        Examples
        --------
        >>> import interlace
        >>> pastes = interlace.datasets.load_pastes()
        >>> model = interlace.CrossedLMM.from_formula("strength ~ cask + (1 | batch)", pastes)
        >>> model.term_columns()
        {'Intercept': [0], 'cask': [1, 2]}
        """
        position = {name: j for j, name in enumerate(self.exog_names)}
        columns = self.data.design_info.column_names
        slices = self.data.design_info.term_name_slices
        kept = {
            term: [position[name] for name in columns[s] if name in position] for term, s in slices.items()
        }
        return {term: positions for term, positions in kept.items() if positions}
