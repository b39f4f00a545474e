"""Results under examination: residuals of every level, influence, pictures."""

from __future__ import annotations

from typing import Any

import pandas as pd

from interlace import diagnostics


class Diagnosis:
    """The part of the results that diagnoses the fit; the functions are in `interlace.diagnostics`."""

    def hlm_resid(self, level: Any = 1, **options: Any) -> pd.DataFrame:
        """Residuals of the observations or of a factor's random effects; see :func:`interlace.hlm_resid`.

        Parameters
        ----------
        level : 1 or str, default 1
            1 for the observations, or a grouping factor.
        **options
            ``standardize``, ``include_ls``, ``kind``, ``nsim`` and ``rng`` of the function.

        Returns
        -------
        DataFrame
            One row per observation or level.

        Examples
        --------
        >>> import interlace
        >>> fit = interlace.fit("Reaction ~ Days + (Days | Subject)", interlace.datasets.load_sleepstudy())
        >>> fit.hlm_resid()[[".resid", ".mar.resid"]].head(2).round(2)
           .resid  .mar.resid
        0   -4.10       -1.85
        1  -14.63       -3.17
        """
        return diagnostics.hlm_resid(self, level, **options)

    def get_influence(self, level: Any = 1) -> diagnostics.CrossedLMMInfluence:
        """One-step influence of observations or groups, named as statsmodels names it.

        Parameters
        ----------
        level : 1, str, Series or array, default 1
            The observations, a grouping factor, or a partition of the rows.

        Returns
        -------
        interlace.diagnostics.CrossedLMMInfluence
            With ``cooks_distance``, ``dfbetas``, ``summary_frame()``, ``plot_influence()`` and others.

        Examples
        --------
        >>> import interlace
        >>> fit = interlace.fit("Reaction ~ Days + (Days | Subject)", interlace.datasets.load_sleepstudy())
        >>> fit.get_influence(level="Subject").summary_frame().head(2).round(2)
                 dfb_Intercept  dfb_Days  cooks_d  dffits  cov_ratio  hat_diag
        Subject
        308               0.06     -0.42     0.09    0.42       1.12      0.16
        309               0.39      0.30     0.15    0.53       1.12      0.16
        """
        return diagnostics.CrossedLMMInfluence(self, level)

    def plot(self, kind: str = "resid", ax: Any = None, **options: Any) -> Any:
        """Draw a diagnostic picture and return the Figure; see :func:`interlace.diagnostics.plot`.

        Parameters
        ----------
        kind : str, default "resid"
            "resid", "qq", "scale-location", "quantile", "ranef", "caterpillar", "ranef-pairs", "influence"
            or "profile".
        ax : matplotlib Axes, optional
            Where to draw; a new figure by default.
        **options
            ``factor=`` and ``effect=`` for random effects, ``level=`` for "influence", ``nsim=`` and
            ``rng=`` for "quantile", ``parm=``, ``picture=`` and ``n_jobs=`` for "profile".

        Returns
        -------
        Figure
            Not shown: a notebook does it, and ``savefig`` writes it.

        Examples
        --------
        >>> import interlace
        >>> fit = interlace.fit("Reaction ~ Days + (Days | Subject)", interlace.datasets.load_sleepstudy())
        >>> figure = fit.plot("resid")
        """
        return diagnostics.plot(self, kind, ax=ax, **options)
