"""From a formula and a source to a design, in two passes and one per depth of remembered transformations."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from typing import Any

import numpy as np
import pandas as pd

from interlace.design import Design, Schema, build_design
from interlace.design.assembly import offset_source, report_dropped
from interlace.errors import DesignError, MissingValuesError, SourceError
from interlace.formula.chunkwise import Learner, learner
from interlace.formula.grammar import MixedFormula
from interlace.formula.safe import SafeEnvironment, check_safe_query
from interlace.formula.variables import Expression, as_environment
from interlace.frames.columns import Columns, as_frame
from interlace.pls.matrices.settled import Products, better_pilot, independent, settled, unweighted_factor
from interlace.pls.matrices.sums import Pilot, Sums, pilot_of

from .coder import CHANGED, Coder, Multiply, Summed, coder_of, stacked
from .passes import Passes, broken_off
from .plan import Plan, plan_of
from .record import StreamedDesign, constant_of
from .seen import Look, Seen
from .sources import Source, source_of

# Rows on which variables are tried before anything is read in earnest.
HEAD = 1000
# Growth of rounding errors by the change of coordinates above which the sums are taken again.
LARGEST_GROWTH = 1e3


def design_of(formula: MixedFormula, data: Any, **options: Any) -> Design:
    """The design of a model for a table in memory or a source.

    Parameters
    ----------
    formula : MixedFormula
        From :func:`~interlace.formula.grammar.parse_formula`.
    data : table or source
        See :func:`~interlace.streaming.sources.source_of`.
    **options
        As for :func:`~interlace.design.build_design`.

    Returns
    -------
    Design
        A :class:`StreamedDesign` for a source.
    """
    source = source_of(data)
    if source is None:
        return build_design(formula, data, **options)
    return streamed_design(formula, source, **options)


def refuse_source(data: Any, what: str) -> None:
    """Refuse a source where a table in memory is wanted.

    Parameters
    ----------
    data : object
        What was given.
    what : str
        For the message: what looks at the rows.

    Raises
    ------
    DesignError
    """
    if source_of(data) is not None:
        raise DesignError(
            f"{what} look at all rows, and those of a source are never all there; write the random effects "
            "as bars, (1 + x | g), or collect the data first"
        )


def streamed_design(
    formula: MixedFormula,
    source: Source,
    *,
    groups: Any = None,
    random: str | Sequence[str] | None = None,
    eval_env: Any = None,
    **options: Any,
) -> StreamedDesign:
    """Read a source and keep what a fit needs of it.

    Parameters
    ----------
    formula : MixedFormula
        The formula.
    source : Source
        The data.
    groups, random, eval_env
        As for :func:`~interlace.design.build_design`.
    **options
        ``weights``, ``offset``, ``subset``, ``missing`` and ``rank``, as there; columns and queries only.

    Returns
    -------
    StreamedDesign

    Raises
    ------
    SourceError
        If a pass breaks off, with its place, or the rows are not the same in every pass.
    """
    env = as_environment(eval_env)
    if isinstance(env, SafeEnvironment) and isinstance(options.get("subset"), str):
        check_safe_query(options["subset"])
    plan = plan_of(formula, source.columns, groups=groups, random=random, names=env.namespace, **options)
    _try(plan, source, env)
    learners = [learner(code, plan.columns, env) for code in plan.every_code]
    depth = max([0, *(one.passes for one in learners)])
    passes = Passes(source, plan.columns, depth + 2)
    expressions = _learnt(plan, learners, depth, passes)
    seen = passes.reduce(Look(plan, expressions))
    _check_complete(plan, seen)
    coder = coder_of(plan, expressions, seen)
    pilot = pilot_of(stacked(coder, seen.sample))
    pilot, found, kept, products = _summed(coder, pilot, seen, passes)
    sums = _present(found)
    _check_levels(coder, sums)
    return _design(coder, source, seen, pilot, sums, kept, products, found.identity)


def _try(plan: Plan, source: Source, env: Any) -> None:
    """Evaluate everything on the first rows, with all columns there: what is not understood shows at once."""
    with broken_off("reading the first rows", source.described):
        with closing(source.pieces(None, HEAD)) as pieces:
            first = next(pieces, None)
        head = None if first is None else as_frame(first.table).iloc[:HEAD]
    if head is None or not len(head):
        raise DesignError("the data have no rows; wanted one per observation")
    columns = Columns(head)
    for code in plan.every_code:
        one = learner(code, list(head.columns), env)
        for which in range(one.passes):
            one.see(columns, which)
            one.finish(which)
        one.expression(columns)


def _learnt(plan: Plan, learners: Sequence[Learner], depth: int, passes: Passes) -> dict[str, Expression]:
    for which in range(depth):

        def see(frame: pd.DataFrame, which: int = which) -> None:
            columns = Columns(plan.chosen(frame)[0])
            for one in learners:
                one.see(columns, which)

        passes.each(see)
        for one in learners:
            one.finish(which)
    return {one.code: one.expression for one in learners}


def _check_complete(plan: Plan, seen: Seen) -> None:
    if not seen.rows:
        raise DesignError("the data have no rows; wanted one per observation")
    if not seen.subset:
        raise DesignError("subset= leaves no rows")
    counts = {name: count for name, count in seen.missing.items() if count}
    listed = ", ".join(f"{name} ({count})" for name, count in counts.items())
    if counts and plan.missing != "drop":
        raise MissingValuesError(
            f"missing values, with missing={plan.missing!r}, in: {listed}. Use missing='drop' to leave their "
            "rows out"
        )
    if not seen.complete:
        raise MissingValuesError(f"none of the {seen.subset} rows is complete: missing values in {listed}")


def _summed(
    coder: Coder, pilot: Pilot, seen: Seen, passes: Passes
) -> tuple[Pilot, Summed, tuple[int, ...], Products]:
    """Sums of all rows; once more where the sample was unlike the rest."""
    for last in (False, True):
        found = passes.reduce(Multiply(coder, pilot))
        _check_same(found, seen)
        sums = _present(found)
        kept = independent(sums, pilot)
        products = settled(sums, pilot, coder.skeleton, kept)
        if last or products.growth < LARGEST_GROWTH:
            break
        pilot = better_pilot(sums, pilot)
    return pilot, found, kept, products


def _present(found: Summed) -> Sums:
    if found.sums is None:
        raise SourceError(CHANGED.format("no row is complete any more"))
    return found.sums


def _check_same(found: Summed, seen: Seen) -> None:
    if found.rows != seen.rows:
        raise SourceError(CHANGED.format(f"{seen.rows} rows in one pass and {found.rows} in the next"))
    if found.complete != seen.complete or found.checksum != seen.checksum:
        raise SourceError(CHANGED.format("as many rows in every pass, with other values"))


def _check_levels(coder: Coder, sums: Sums) -> None:
    for labels, counts in zip(coder.factors, sums.counts, strict=True):
        gone = labels.levels[np.flatnonzero(counts == 0)]
        if len(gone):
            raise SourceError(CHANGED.format(f'"{labels.name}" has lost its level {gone[0]!r}'))


def _design(
    coder: Coder,
    source: Source,
    seen: Seen,
    pilot: Pilot,
    sums: Sums,
    kept: tuple[int, ...],
    products: Products,
    identity: int,
) -> StreamedDesign:
    plan, names = coder.plan, coder.fixed.names
    report_dropped(kept, names, plan.rank)
    schema = Schema(
        xnames=tuple(names[j] for j in kept),
        yname=plan.response,
        factor_labels=coder.factors,
        term_labels=coder.terms,
        n_dropped=seen.subset - seen.complete,
        dropped_columns=tuple(name for j, name in enumerate(names) if j not in kept),
        formula=plan.formula,
        coding=coder.fixed,
        kept_columns=kept,
        offsets=(*offset_source(plan.offset), *_offset_expressions(coder)),
    )
    return StreamedDesign(
        schema=schema,
        kept_rows=None,
        products=products,
        level_counts=sums.counts,
        coder=coder,
        source=source,
        constant=constant_of(sums, unweighted_factor(sums, pilot, kept), kept),
        identity=identity,
    )


def _offset_expressions(coder: Coder) -> tuple[Expression, ...]:
    return tuple(coder.expressions[code] for code in coder.plan.formula.offsets)
