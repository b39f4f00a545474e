"""R's ``poly(x, k)`` in a formula: polynomials that are orthogonal over the rows of the fit."""

from __future__ import annotations

from typing import Any

import numpy as np

from interlace.arrays import FloatArray
from interlace.errors import DesignError


class Poly:
    """Orthonormal polynomials, remembered by the coefficients of their recurrence.

    Polynomials of the values of the fit, each orthogonal to those of lower degree and of length 1, with
    positive leading coefficients, as R's ``poly`` has them.  For new values the recurrence
    ``P_(j+1) = (x - alpha_j) P_j - (n_j / n_(j-1)) P_(j-1)``, ``n_j`` the squared length of ``P_j``, goes on.

    References
    ----------
    Kennedy & Gentle (1980), Statistical Computing, pp. 343-344.
    """

    def __init__(self) -> None:
        self._seen: list[FloatArray] = []

    def memorize_chunk(self, x: Any, degree: int = 1, *, raw: bool = False) -> None:
        """Take the values of some rows in."""
        if isinstance(degree, bool) or not isinstance(degree, int | np.integer) or degree < 1:
            raise DesignError(f"poly(x, {degree!r}): wanted a degree of 1 or more, as in poly(x, 2)")
        self._degree, self._raw = int(degree), bool(raw)
        self._seen.append(_values(x))

    def memorize_finish(self) -> None:
        """Work out the recurrence."""
        x = np.concatenate(self._seen)
        self._seen = []
        distinct = len(np.unique(x))
        if self._degree >= distinct:
            raise DesignError(
                f"poly of degree {self._degree} of {distinct} different values; wanted a degree below "
                "their number"
            )
        # Of centred values, so that large ones (years) lose no digits.
        self._centre = float(x.mean())
        self._alpha, self._norm2 = _recurrence(x - self._centre, self._degree)

    def transform(self, x: Any, degree: int = 1, *, raw: bool = False) -> FloatArray:  # noqa: ARG002 - patsy calls it so
        """Polynomials of some values, shape (n, degree)."""
        values = _values(x)
        if self._raw:
            return np.asarray(values[:, None] ** np.arange(1, self._degree + 1))
        return _polynomials(values - self._centre, self._alpha, self._norm2) / np.sqrt(self._norm2[1:])


def _values(x: Any) -> FloatArray:
    values = np.asarray(x)
    if values.ndim != 1 or values.dtype.kind not in "iufb":
        raise DesignError(
            "poly wants one column of numbers: poly(x, 2); for two variables write poly(x, 2):poly(z, 2)"
        )
    return values.astype(float)


def _recurrence(x: FloatArray, degree: int) -> tuple[FloatArray, FloatArray]:
    """Coefficients alpha_0 ... alpha_(k-1), and squared lengths n_0 ... n_k."""
    alpha, norm2 = np.zeros(degree), np.ones(degree + 1)
    before, own = np.zeros_like(x), np.ones_like(x)
    norm2[0] = len(x)
    for j in range(degree):
        alpha[j] = x @ own**2 / norm2[j]
        following = (x - alpha[j]) * own - (norm2[j] / norm2[j - 1] * before if j else 0.0)
        before, own = own, following
        norm2[j + 1] = own @ own
    return alpha, norm2


def _polynomials(x: FloatArray, alpha: FloatArray, norm2: FloatArray) -> FloatArray:
    columns = [np.ones_like(x)]
    for j, shift in enumerate(alpha):
        earlier = norm2[j] / norm2[j - 1] * columns[j - 1] if j else 0.0
        columns.append((x - shift) * columns[j] - earlier)
    return np.column_stack(columns[1:])
