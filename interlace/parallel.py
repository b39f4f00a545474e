"""Many independent tasks: one after the other or by joblib, with a progress bar on a terminal."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from interlace.errors import MissingPackageError


def run(
    function: Callable[[Any], Any],
    tasks: Sequence[Any],
    *,
    n_jobs: int | None = 1,
    progress: bool = False,
    label: str = "",
) -> list[Any]:
    """Apply a function to every task.

    Parameters
    ----------
    function : callable
        Of one task.
    tasks : sequence
        Its arguments.
    n_jobs : int or None, default 1
        Workers; -1 for all processors, None for what ``joblib.parallel_config`` says.
    progress : bool
        Show a bar on a terminal, if tqdm is installed.
    label : str
        What the bar says.

    Returns
    -------
    list
        Results in the order of the tasks.

    Raises
    ------
    ImportError
        If several workers are wanted and joblib is not installed.
    """
    done = _started(function, tasks, n_jobs)
    return list(_watched(done, len(tasks), label) if progress else done)


def run_while_allowed(
    function: Callable[[Any], Any],
    tasks: Sequence[Any],
    take: Callable[[Any], object],
    *,
    n_jobs: int | None = 1,
    progress: bool = False,
    label: str = "",
) -> bool:
    """Apply a function to task after task, until they are done or the user interrupts.

    Parameters
    ----------
    function, tasks, n_jobs, progress, label
        As in `run`.
    take : callable
        Gets each result, in the order of the tasks.

    Returns
    -------
    bool
        Whether all tasks were done.
    """
    try:
        done = _started(function, tasks, n_jobs)
        for result in _watched(done, len(tasks), label) if progress else done:
            take(result)
    except KeyboardInterrupt:
        return False
    return True


def _started(function: Callable[[Any], Any], tasks: Sequence[Any], n_jobs: int | None) -> Iterable[Any]:
    """Results of the tasks, in order, as they come."""
    if n_jobs == 1 or len(tasks) < 2:  # a single task needs no workers
        return map(function, tasks)
    try:
        import joblib
    except ImportError as error:
        raise MissingPackageError(
            f"n_jobs={n_jobs!r} needs joblib, which is not installed. Install it (pip install "
            '"interlace[parallel]"), or use n_jobs=1'
        ) from error
    workers = joblib.Parallel(n_jobs=n_jobs, return_as="generator")
    found: Iterable[Any] = workers(joblib.delayed(function)(task) for task in tasks)
    return found


@contextmanager
def row_bar(total: int | None, label: str) -> Iterator[Callable[[int], object]]:
    """A bar with rows and their rate on a terminal, if tqdm is installed and it takes more than a second.

    Parameters
    ----------
    total : int or None
        Rows, where that is known.
    label : str
        What the bar says.

    Yields
    ------
    callable
        To be told of every so many rows more.
    """
    bar = _bar()
    if bar is None:
        yield lambda _: None
        return
    how: dict[str, Any] = {"unit": " rows", "unit_scale": True, "disable": None, "leave": False, "delay": 1}
    with bar(total=total, desc=label, **how) as own:
        yield own.update


def _watched(done: Iterable[Any], total: int, label: str) -> Iterable[Any]:
    bar = _bar()
    if bar is None:
        return done
    watched: Iterable[Any] = bar(done, total=total, desc=label, disable=None, leave=False)
    return watched  # disable=None: silent unless on a terminal


def _bar() -> Any:
    try:
        with warnings.catch_warnings():
            # In a notebook without ipywidgets tqdm warns and takes the bar of a terminal: good enough.
            warnings.simplefilter("ignore")
            from tqdm.auto import tqdm
    except ImportError:
        return None
    return tqdm
