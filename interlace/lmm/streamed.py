"""Results of a fit whose rows were read in chunks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from interlace.prediction.streamed import of_own_rows
from interlace.report import tidying

from .results import CrossedLMMResults


class StreamedLMMResults(CrossedLMMResults):
    """A linear mixed model fitted to a source: what has an entry per row is streamed from it.

    ``fittedvalues``, ``resid`` and ``predict`` give `StreamedRows`, which read the source when they are asked
    for; what needs all rows at once is refused.

    Parameters
    ----------
    model : CrossedLMM
        The model that was fitted.
    pls_fit : PLSFit
        The estimates.
    full_output : bool, default True
        Keep the path of the search.

    Examples
    --------
    >>> import interlace
    >>> sleep = interlace.datasets.load_sleepstudy()
    >>> fit = interlace.fit("Reaction ~ Days + (Days | Subject)", lambda: iter([sleep[:100], sleep[100:]]))
    >>> fit.resid.describe().round(2)
           count  mean   std     min     max
    resid  180.0   0.0  23.5 -101.18  132.55
    """

    def augment(self, data: Any = None) -> Any:
        """The rows of the source with fitted values and residuals, written to Parquet or streamed.

        Parameters
        ----------
        data : str, Path or table, optional
            A path: a Parquet file is written there. A table in memory: new rows, which get ``.fitted`` and
            ``.fixed``.

        Returns
        -------
        StreamedRows, Path or DataFrame
            All columns of the source in the rows used, in its order, with ``.fitted``, ``.resid`` and
            ``.fixed``; the path that was written; new rows. Leverages (``.hat``) and Cook's distances need
            all rows at once.

        Examples
        --------
        >>> import interlace
        >>> sleep = interlace.datasets.load_sleepstudy()
        >>> halves = lambda: iter([sleep[:100], sleep[100:]])
        >>> fit = interlace.fit("Reaction ~ Days + (Days | Subject)", halves)
        >>> fit.augment().to_frame()[["Days", ".fitted", ".resid"]].head(2).round(2)
             Days  .fitted  .resid
        row
        0       0   253.66   -4.10
        1       1   273.33  -14.63
        """
        if data is not None and not isinstance(data, str | Path):
            return tidying.augment(self, data)
        kinds = {".fitted": "fittedvalues", ".resid": "resid", ".fixed": "fittedvalues_marginal"}
        rows = of_own_rows(self.record, kinds, whole=True)
        return rows if data is None else rows.to_parquet(data)
