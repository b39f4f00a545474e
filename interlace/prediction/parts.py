"""Fitted values and predictions: the fixed part, and the random part of seen and unseen levels."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Literal

import numpy as np

from interlace.arrays import FloatArray, IntArray
from interlace.design import Design, Schema
from interlace.errors import ArgumentError, ArgumentTypeError, LevelError
from interlace.frames.readings import same_reading
from interlace.pls import PLSFit
from interlace.pls.elsewhere import agree

NewLevels = Literal["error", "population"]

# Labels of unseen levels that an error message spells out before it starts to count.
SHOWN = 5


def fixed_part(X: FloatArray, beta: FloatArray, offset: FloatArray | None) -> FloatArray:
    """``X beta`` plus the offset.

    Parameters
    ----------
    X : ndarray of shape (n, p)
        Fixed-effects model matrix.
    beta : ndarray of shape (p,)
        Fixed effects.
    offset : ndarray of shape (n,) or None
        Known part of the mean.

    Returns
    -------
    ndarray of shape (n,)
        The mean at random effects of zero.
    """
    mean = X @ beta
    return mean if offset is None else mean + offset


def random_part(codes: IntArray, Xi: FloatArray, b: FloatArray) -> FloatArray:
    """Contribution of one random-effects term to each row.

    Parameters
    ----------
    codes : ndarray of int, shape (n,)
        Level of each row; -1 for a level that the fit has not seen.
    Xi : ndarray of shape (n, k)
        Raw columns of the term.
    b : ndarray of shape (n_levels, k)
        Conditional modes.

    Returns
    -------
    ndarray of shape (n,)
        ``Xi[r] @ b[codes[r]]`` in row r, and 0, the mean of the random effects, for an unseen level.
    """
    seen = codes >= 0
    part = np.einsum("rk,rk->r", Xi, b[np.where(seen, codes, 0)])
    return part if seen.all() else np.where(seen, part, 0.0)


def mean_of_terms(
    mean: FloatArray,
    schema: Schema,
    Xi: Sequence[FloatArray],
    codes: Sequence[IntArray],
    b: Sequence[FloatArray],
    chosen: Collection[str],
) -> FloatArray:
    """A mean and, on top, the random effects of some grouping factors.

    Parameters
    ----------
    mean : ndarray of shape (n,)
        The fixed part.
    schema : Schema
        Labels of terms and factors.
    Xi : sequence of ndarray of shape (n, k)
        Raw columns of each term.
    codes : sequence of ndarray of int, shape (n,)
        Level of each row, for each factor; -1 for a level that the fit has not seen.
    b : sequence of ndarray of shape (n_levels, k)
        Conditional modes of each term.
    chosen : collection of str
        Names of the factors that enter.

    Returns
    -------
    ndarray of shape (n,)
    """
    names = schema.factor_names
    for labels, columns, modes in zip(schema.term_labels, Xi, b, strict=True):
        if names[labels.factor] in chosen:
            mean = mean + random_part(codes[labels.factor], columns, modes)
    return mean


def conditional_mean(design: Design, fit: PLSFit, mean: FloatArray | None = None) -> FloatArray:
    """Fixed part, offset and all random effects, for the rows of a fit.

    Parameters
    ----------
    design, fit : Design, PLSFit
        A fit with its rows.
    mean : ndarray of shape (n,), optional
        The fixed part, where it is known already.

    Returns
    -------
    ndarray of shape (n,)
    """
    mean = fixed_part(design.X, fit.beta, design.offset) if mean is None else mean
    codes, Xi = [f.codes for f in design.factors], [term.Xi for term in design.terms]
    return mean_of_terms(mean, design.schema, Xi, codes, fit.b, design.factor_names)


def determined_mean(
    fit: PLSFit, mean: Callable[[FloatArray, Sequence[FloatArray]], FloatArray]
) -> FloatArray:
    """A mean, with NaN where the data do not determine it.

    Parameters
    ----------
    fit : PLSFit
        A fit.
    mean : callable
        The mean, (n,), from fixed effects and conditional modes.

    Returns
    -------
    ndarray of shape (n,)
        As it is, unless the mean is another at parameters that the criterion does not tell from the
        estimates: with the random effects of one of two factors that are the same, for instance.
    """
    here = mean(fit.beta, fit.b)
    other = fit.elsewhere
    if other is None:
        return here
    return np.where(agree(here, mean(other.beta, other.b), np.sqrt(fit.sigma2)), here, np.nan)


def chosen_factors(names: Sequence[str], *, random: bool | str | Collection[str]) -> frozenset[str]:
    """Names of the grouping factors whose random effects enter a prediction.

    Parameters
    ----------
    names : sequence of str
        Grouping factors of the model.
    random : bool or str or collection of str
        True for all of them, False for none, or the names of some.

    Returns
    -------
    frozenset of str
        A subset of ``names``.

    Raises
    ------
    LevelError
        If a name is not a grouping factor of the model.

    Examples
    --------
    >>> sorted(chosen_factors(["plate", "sample"], random=True))
    ['plate', 'sample']
    """
    if isinstance(random, (bool, np.bool_)):
        return frozenset(names) if random else frozenset()
    if random is None:
        raise ArgumentTypeError(
            "random is None; give True (all random effects), False (none) or names of factors"
        )
    wanted = [random] if isinstance(random, str) else list(random)
    unknown = [name for name in wanted if name not in names]
    if unknown:
        raise LevelError(
            f"random={wanted!r} names {unknown!r}, which the model does not group by; "
            f"its grouping factors are {list(names)!r}"
        )
    return frozenset(wanted)


def check_new_levels(new_levels: str) -> None:
    """Refuse anything but the two ways of treating unseen levels.

    Parameters
    ----------
    new_levels : str
        "error" or "population".

    Raises
    ------
    ValueError
        For any other value.
    """
    if new_levels not in ("error", "population"):
        raise ArgumentError(
            f"new_levels={new_levels!r}; give 'error' (refuse unseen levels) or "
            "'population' (predict them with random effects of zero)"
        )


def refuse_unseen(
    factor: str, labels: Sequence[object], known: Iterable[object] = (), *, n_dropped: int = 0
) -> None:
    """Raise if new data hold levels of a factor that the fit has not seen.

    Parameters
    ----------
    factor : str
        Name of the grouping factor.
    labels : sequence of object
        The unseen levels, as they are written in the data.
    known : iterable of object, optional
        Levels of the fit, to see whether an unseen one reads like one of them.
    n_dropped : int, default 0
        Rows that the fit left out for missing values: all those of a level may be among them.

    Raises
    ------
    LevelError
        If there is any.
    """
    if len(labels) == 0:
        return
    shown = ", ".join(repr(_bare(label)) for label in labels[:SHOWN])
    more = f" and {len(labels) - SHOWN} more" if len(labels) > SHOWN else ""
    twin = same_reading(labels[0], known)
    if twin is not None:
        raise LevelError(
            f"levels of {factor!r} that the fit has not seen: {shown}{more}. {_bare(labels[0])!r} reads like "
            f"the fit's {_bare(twin)!r} but is {_article(labels[0])} and not {_article(twin)}: convert the "
            "column of the new data"
        )
    raise LevelError(
        f"levels of {factor!r} that the fit has not seen: {shown}{more}. Use new_levels='population' to "
        f"predict them with random effects of zero, or leave {factor!r} out of random=.{_left_out(n_dropped)}"
    )


def _left_out(n_dropped: int) -> str:
    if not n_dropped:
        return ""
    return f" (The fit left out {n_dropped} rows for missing values; all rows of a level may be among them.)"


def _bare(label: object) -> object:
    """A label as Python's own object, which prints shorter than numpy's."""
    return label.item() if isinstance(label, np.generic) else label


def _article(label: object) -> str:
    kind = "text" if isinstance(label, str) else f"a {type(_bare(label)).__name__}"
    return "an int" if kind == "a int" else kind
