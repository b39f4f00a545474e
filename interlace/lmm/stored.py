"""Results from files that run no code."""

from __future__ import annotations

from typing import Any

import pandas as pd

from interlace.design import Design
from interlace.errors import StorageError
from interlace.fitted import Fitted
from interlace.formula.safe import guarded
from interlace.formula.variables import as_environment, environment_above
from interlace.storage.container import from_bytes, read
from interlace.storage.fits import fit_of, kept_of, rows_of, with_criterion
from interlace.storage.plain import Unpacker
from interlace.storage.schemas import SchemaReader

from .model import CrossedLMM
from .results import CrossedLMMResults
from .wrapper import CrossedLMMResultsWrapper


def load(fname: Any, *, safe_formula: bool = True, eval_env: Any = 0) -> CrossedLMMResultsWrapper:
    """Read a fit that ``result.save`` wrote.

    Parameters
    ----------
    fname : str, path or file open for bytes
        The file.
    safe_formula : bool, default True
        Run no code: a formula that calls functions of one's own is not evaluated, and only predictions for
        new data are refused. False evaluates it in ``eval_env``: for files that you trust.
    eval_env : int, mapping or patsy environment, default 0
        Where functions of the formula are looked up then: so many frames above the caller.

    Returns
    -------
    CrossedLMMResults
        In statsmodels' wrapper.

    Raises
    ------
    StorageError
        If it is another kind of file, was damaged, or comes from a later version.

    Examples
    --------
    >>> import interlace, tempfile, pathlib
    >>> fit = interlace.fit("Reaction ~ Days + (Days | Subject)", interlace.datasets.load_sleepstudy())
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "fit.interlace"
    >>> fit.save(path, rows=True)
    >>> bool((interlace.load(path).fittedvalues == fit.fittedvalues).all())
    True
    """
    tree, arrays = from_bytes(read(fname))
    env = as_environment(guarded(environment_above(eval_env), safe=safe_formula))
    try:
        return CrossedLMMResultsWrapper(_of(tree, Unpacker(arrays), env))
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, RecursionError) as error:
        raise StorageError(
            f"the file is no fit that this version of interlace can read ({type(error).__name__}: {error}); "
            "read it with the version that wrote it, or fit again"
        ) from error


def _of(tree: dict[str, Any], unpacker: Unpacker, env: Any) -> CrossedLMMResults:
    if tree["kind"] != "linear":
        raise StorageError(f"the file holds a {tree['kind']} fit; read it with interlace.load")
    schema, told = SchemaReader(unpacker, env).schema(tree["schema"]), tree["model"]
    rows = None if tree["rows"] is None else rows_of(tree["rows"], unpacker)
    design, fit = Design(schema, rows), fit_of(tree["fit"], unpacker)
    fit = fit if rows is None else with_criterion(fit, design)
    model = CrossedLMM._of_stored(
        design,
        formula=told["formula"],
        n=fit.n,
        const_idx=unpacker.unpack(told["const_idx"]),
        k_constant=int(told["k_constant"]),
        labelled=bool(told["labelled"]),
    )
    results = CrossedLMMResults(model, fit, full_output=tree["full_output"])
    results.record = Fitted(design, fit, tree["ddf"]).keeping(kept_of(tree["kept"], unpacker))
    sizes = unpacker.unpack(tree["group_sizes"])
    results.group_sizes = pd.DataFrame(sizes, index=results.ngroups.index, columns=["min", "max", "mean"])
    return results


# A fit is read into the model that made it, which knows the results: they learn of this door last.
CrossedLMMResults.load = staticmethod(load)
CrossedLMMResultsWrapper.load = staticmethod(load)
