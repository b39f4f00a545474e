"""The part of the results that papers are written from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .paragraph import report
from .single import single_sheet

if TYPE_CHECKING:
    from interlace.inference import Ddf


class Publication:
    """Tables and text of one fit, for a results object to inherit."""

    ddf: Ddf

    def _sheet(self, ddf: Ddf | None, alpha: float) -> Any:
        return single_sheet(self, ddf=self.ddf if ddf is None else ddf, alpha=alpha)  # type: ignore[arg-type]

    def report(self, *, ddf: Ddf | None = None, alpha: float = 0.05) -> str:
        """One paragraph in APA style: model, estimates, intervals, tests, variance components, R squared.

        Parameters
        ----------
        ddf : {"satterthwaite", "kenward-roger", "normal"}, optional
            Degrees of freedom; by default those that the model was fitted with.
        alpha : float, default 0.05
            The intervals have level ``1 - alpha``.

        Returns
        -------
        str
            A paragraph without line breaks.

        Examples
        --------
        >>> import interlace
        >>> fit = interlace.fit("diameter ~ 1 + (1 | plate)", interlace.datasets.load_penicillin())
        >>> print(fit.report())  # doctest: +ELLIPSIS
        A linear mixed model of diameter was fitted by restricted maximum likelihood to 144 observations ...
        """
        return report(self, ddf=self.ddf if ddf is None else ddf, alpha=alpha)  # type: ignore[arg-type]

    def to_latex(self, *, ddf: Ddf | None = None, alpha: float = 0.05) -> str:
        r"""A table of the fit for a paper, in LaTeX; needs the package booktabs.

        Parameters
        ----------
        ddf : {"satterthwaite", "kenward-roger", "normal"}, optional
            Degrees of freedom; by default those that the model was fitted with.
        alpha : float, default 0.05
            The intervals have level ``1 - alpha``.

        Returns
        -------
        str
            A ``table`` environment.

        Examples
        --------
        >>> import interlace
        >>> fit = interlace.fit("diameter ~ 1 + (1 | plate)", interlace.datasets.load_penicillin())
        >>> fit.to_latex().splitlines()[3]
        '\\begin{tabular}{lrrrrrr}'
        """
        return str(self._sheet(ddf, alpha).to_latex())

    def to_html(self, *, ddf: Ddf | None = None, alpha: float = 0.05) -> str:
        """A table of the fit for a paper, in HTML.

        Parameters
        ----------
        ddf : {"satterthwaite", "kenward-roger", "normal"}, optional
            Degrees of freedom; by default those that the model was fitted with.
        alpha : float, default 0.05
            The intervals have level ``1 - alpha``.

        Returns
        -------
        str
            A ``<table>``.

        Examples
        --------
        >>> import interlace
        >>> fit = interlace.fit("diameter ~ 1 + (1 | plate)", interlace.datasets.load_penicillin())
        >>> fit.to_html().splitlines()[0]
        '<table class="interlace">'
        """
        return str(self._sheet(ddf, alpha).to_html())

    def to_markdown(self, *, ddf: Ddf | None = None, alpha: float = 0.05) -> str:
        """A table of the fit for a paper, in Markdown.

        Parameters
        ----------
        ddf : {"satterthwaite", "kenward-roger", "normal"}, optional
            Degrees of freedom; by default those that the model was fitted with.
        alpha : float, default 0.05
            The intervals have level ``1 - alpha``.

        Returns
        -------
        str
            A table under a title in bold.

        Examples
        --------
        >>> import interlace
        >>> fit = interlace.fit("diameter ~ 1 + (1 | plate)", interlace.datasets.load_penicillin())
        >>> print(fit.to_markdown().splitlines()[2])
        | Fixed effects | Estimate | SE | 95% CI | df | t | p |
        """
        return str(self._sheet(ddf, alpha).to_markdown())
