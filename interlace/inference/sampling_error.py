"""The error that sampling adds to the estimates of the iterative solver."""

from __future__ import annotations

import numpy as np
import pandas as pd

from interlace.fitted import EstimatedModel

from .variances import natural_jacobian


def mc_error(self: EstimatedModel) -> pd.Series:
    """Monte-Carlo error of each estimate: its standard deviation over the probes of the iterative solver.

    It comes on top of the standard error, which stands for the rows that were observed rather than others;
    fits draw probes until it is below a fiftieth of that. 0 where nothing was sampled: other solvers are
    exact to rounding.

    Returns
    -------
    Series
        In the order and with the names of ``bse``.

    References
    ----------
    Matilainen, Mantysaari, Lidauer, Stranden & Thompson (2013), PLOS ONE 8(12), on stopping rules.

    Examples
    --------
    >>> import interlace
    >>> fit = interlace.fit("diameter ~ 1 + (1 | plate) + (1 | sample)", interlace.datasets.load_penicillin())
    >>> float(fit.mc_error.max())
    0.0
    """
    fit = self.record.fit
    index = pd.Index(self.model.data.param_names)
    if fit.monte_carlo is None:
        return pd.Series(np.zeros(len(index)), index=index)
    jacobian = np.zeros((len(index), len(fit.monte_carlo.covariance)))
    jacobian[: fit.p, : fit.p] = np.eye(fit.p)
    jacobian[fit.p :, fit.p :] = natural_jacobian(fit.Lambda, fit.sigma2)
    variances = np.einsum("ij,jk,ik->i", jacobian, fit.monte_carlo.covariance, jacobian)
    return pd.Series(np.sqrt(np.maximum(variances, 0.0)), index=index)


def sampling_note(results: EstimatedModel) -> list[str]:
    """The sentence that a summary has of it; none where nothing was sampled."""
    found = results.record.fit.monte_carlo
    if found is None or not found.probes:
        return []
    return [
        f"Iterative solver with {found.probes} probes: Monte-Carlo error at most {found.worst:.2g} standard "
        f"errors; log-likelihood ±{found.objective / 2.0:.2g}."
    ]
