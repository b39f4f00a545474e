"""The exceptions and warnings that interlace raises."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from statsmodels.tools.sm_exceptions import ModelWarning


def callers_level() -> int:
    """Count the frames from the function that warns to the first one outside the package.

    Returns
    -------
    int
        The ``stacklevel`` with which a warning points at the user's line.
    """
    package = __name__.partition(".")[0]
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and _inside(frame.f_globals.get("__name__", ""), package):
        level, frame = level + 1, frame.f_back
    return level


def _inside(module: str, package: str) -> bool:
    parts = module.split(".")
    return parts[0] == package and "tests" not in parts


@contextmanager
def arithmetic() -> Iterator[None]:
    """Say in words what broke down, where numerical work is done.

    Raises
    ------
    NumericalError
        Instead of a LinAlgError, an OverflowError or a matrix that is not positive definite.
    """
    try:
        yield
    except (ArithmeticError, np.linalg.LinAlgError) as error:
        if isinstance(error, NumericalError):
            raise
        raise NumericalError(
            f"the arithmetic broke down ({type(error).__name__}: {error}): some numbers are too large or too "
            "small for it, or columns depend on one another but for rounding. Bring the response, the "
            "covariates and the starting values to sizes around 1, and leave out columns that repeat others"
        ) from error


class InterlaceError(Exception):
    """Root of every exception that interlace raises on purpose."""


class ArgumentError(InterlaceError, ValueError):
    """An argument has a value that is not offered, or that cannot be used."""


class ArgumentTypeError(InterlaceError, TypeError):
    """An argument is not known, or is an object of another kind than was wanted."""


class UnknownParameterError(InterlaceError, KeyError):
    """A parameter was named that the model does not have."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class MissingPackageError(InterlaceError, ImportError):
    """What was asked for needs a package that is not installed."""


class NumericalError(InterlaceError, ArithmeticError):
    """The arithmetic broke down: numbers overflowed, or a matrix could not be factorised."""


class FormulaError(InterlaceError, ValueError):
    """The formula's text cannot be read as a mixed model."""


class DesignError(InterlaceError, ValueError):
    """The data do not give the matrices that the formula asks for."""


class UnknownColumnError(DesignError, KeyError):
    """The formula names a column that the data do not have."""

    def __str__(self) -> str:
        # KeyError shows the repr of its argument; the message is meant to be read.
        return str(self.args[0]) if self.args else ""


class MissingValuesError(DesignError):
    """Used columns hold missing values and ``missing="raise"`` or ``"none"`` was asked for."""


class SourceError(DesignError):
    """Reading the data in pieces broke off, or the data changed while they were read."""


class RankDeficiencyError(DesignError):
    """Columns of the fixed effects depend on one another and ``rank="error"`` was asked for."""


class LevelError(InterlaceError, KeyError):
    """New data hold a level of a grouping factor that the fit has not seen."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class NotPositiveDefiniteError(InterlaceError, ArithmeticError):
    """A matrix that the theory makes positive definite is not, in floating point."""


class MemoryLimitError(InterlaceError, MemoryError):
    """A fit would need more memory than there is, or than ``max_memory`` allows."""


class OptimizationError(InterlaceError, RuntimeError):
    """The criterion cannot be minimised (for instance it is unbounded below)."""


class InferenceError(InterlaceError, ValueError):
    """A test or an interval was asked for that this fit cannot give."""


class UndefinedError(InterlaceError, AttributeError):
    """A result was asked for that this kind of model does not have."""


class SingularFitWarning(ModelWarning):
    """The estimated covariance of the random effects is singular (a variance of 0 or a correlation of 1)."""


class IdentificationWarning(ModelWarning):
    """The data do not determine a variance, whatever the response; what depends on it is NaN."""


class LaplaceWarning(ModelWarning):
    """Quadrature would give estimates that differ clearly from those by Laplace's approximation."""


class RankDeficiencyWarning(ModelWarning):
    """Dependent columns of the fixed effects were dropped."""


class DeletionWarning(ModelWarning):
    """Without some cases the model cannot be fitted; their rows are NaN."""


class InterruptedWarning(ModelWarning):
    """Work was interrupted; what was done by then is returned."""


class DataWarning(ModelWarning):
    """The data can be used as they came, but may not be what their owner takes them for."""


class StorageError(InterlaceError, ValueError):
    """A file cannot be read as a fit, or something of a fit cannot be written to one."""
