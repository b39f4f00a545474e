"""Schemas and codings as plain data: names, levels, and how to code new rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from interlace.design.from_arrays import NamedColumns
from interlace.design.record import GivenOffset, LogOf, Schema, TermLabels
from interlace.formula.coding import Coding
from interlace.formula.grammar import MixedFormula, RawBar
from interlace.formula.storage import plain_state, state_from_plain
from interlace.formula.variables import Expression
from interlace.frames.levels import FactorLabels
from interlace.pls.matrices.basis import Dependence

from .plain import Packer, Unpacker


def schema_apart(schema: Schema, packer: Packer) -> dict[str, Any]:
    """A schema as plain data.

    Parameters
    ----------
    schema : Schema
        Of a model.
    packer : Packer
        Takes the arrays.

    Returns
    -------
    dict
        For :meth:`SchemaReader.schema`.
    """
    return {
        "xnames": packer.pack(list(schema.xnames)),
        "yname": packer.pack(schema.yname),
        "factors": [_fields_apart(labels, packer) for labels in schema.factor_labels],
        "terms": [_term_apart(labels, packer) for labels in schema.term_labels],
        "n_dropped": int(schema.n_dropped),
        "dropped_columns": packer.pack(list(schema.dropped_columns)),
        "formula": None if schema.formula is None else _formula_apart(schema.formula),
        "coding": _coding_apart(schema.coding, packer),
        "kept_columns": [int(j) for j in schema.kept_columns],
        "offsets": [_offset_apart(offset, packer) for offset in schema.offsets],
        "dependence": None if schema.dependence is None else _fields_apart(schema.dependence, packer),
    }


def _fields_apart(record: FactorLabels | Dependence, packer: Packer) -> dict[str, Any]:
    return {name: packer.pack(getattr(record, name)) for name in record.__dataclass_fields__}


def _term_apart(labels: TermLabels, packer: Packer) -> dict[str, Any]:
    coding = None if labels.coding is None else _coding_apart(labels.coding, packer)
    told = {name: packer.pack(getattr(labels, name)) for name in ("factor", "columns", "lhs")}
    return {**told, "coding": coding}


def _formula_apart(formula: MixedFormula) -> dict[str, Any]:
    bars = [[bar.lhs, list(bar.factors), bar.double, bar.written] for bar in formula.random]
    return {
        "response": formula.response,
        "fixed": formula.fixed,
        "random": bars,
        "offsets": list(formula.offsets),
    }


def _coding_apart(coding: Coding | NamedColumns, packer: Packer) -> dict[str, Any]:
    if isinstance(coding, NamedColumns):
        return {"names": packer.pack(coding.names), "constants": packer.pack(dict(coding.constants))}
    stored = coding.apart()
    expressions = stored.pop("expressions")
    told = {name: packer.pack(part) for name, part in stored.items()}
    return {**told, "expressions": [_expression_apart(e, packer) for e in expressions.values()]}


def _expression_apart(expression: Expression, packer: Packer) -> dict[str, Any]:
    state = expression.state
    return {
        "code": expression.code,
        "state": None if state is None else plain_state(expression.code, state, packer.pack),
        "of_all_rows": expression.of_all_rows,
    }


def _offset_apart(offset: Any, packer: Packer) -> dict[str, Any]:
    if isinstance(offset, GivenOffset):
        return {"given": True}
    if isinstance(offset, LogOf):
        return {"log of": _offset_apart(offset.source, packer)}
    return _expression_apart(offset, packer)


@dataclass(frozen=True)
class SchemaReader:
    """Reads schemas.

    Attributes
    ----------
    unpacker : Unpacker
        Knows the arrays.
    env : patsy.EvalEnvironment
        Names that formulas see besides the data.
    """

    unpacker: Unpacker
    env: Any

    def schema(self, told: dict[str, Any]) -> Schema:
        """A schema from plain data.

        Parameters
        ----------
        told : dict
            From :func:`schema_apart`.

        Returns
        -------
        Schema
        """
        unpack = self.unpacker.unpack
        return Schema(
            xnames=tuple(unpack(told["xnames"])),
            yname=unpack(told["yname"]),
            factor_labels=tuple(self._factor(labels) for labels in told["factors"]),
            term_labels=tuple(self._term(labels) for labels in told["terms"]),
            n_dropped=int(told["n_dropped"]),
            dropped_columns=tuple(unpack(told["dropped_columns"])),
            formula=None if told["formula"] is None else _formula(told["formula"]),
            coding=self._coding(told["coding"]),
            kept_columns=tuple(told["kept_columns"]),
            offsets=tuple(self._offset(offset) for offset in told["offsets"]),
            dependence=self._dependence(told.get("dependence")),
        )

    def _dependence(self, told: dict[str, Any] | None) -> Dependence | None:
        if told is None:  # no columns were dropped, or the file was written before this was stored
            return None
        return Dependence(**{name: self.unpacker.unpack(part) for name, part in told.items()})

    def _factor(self, told: dict[str, Any]) -> FactorLabels:
        return FactorLabels(**{name: self.unpacker.unpack(part) for name, part in told.items()})

    def _term(self, told: dict[str, Any]) -> TermLabels:
        given = {name: self.unpacker.unpack(told[name]) for name in ("factor", "columns", "lhs")}
        return TermLabels(**given, coding=None if told["coding"] is None else self._coding(told["coding"]))

    def _coding(self, told: dict[str, Any]) -> Coding | NamedColumns:
        if "constants" in told:
            return NamedColumns(self.unpacker.unpack(told["names"]), self.unpacker.unpack(told["constants"]))
        expressions = {e["code"]: self._expression(e) for e in told["expressions"]}
        stored = {name: self.unpacker.unpack(told[name]) for name in ("names", "terms", "info")}
        return Coding.assembled({**stored, "expressions": expressions})

    def _expression(self, told: dict[str, Any]) -> Expression:
        code, state = str(told["code"]), told["state"]
        if state is None:
            return Expression(code)
        remembered = state_from_plain(code, state, self.unpacker.unpack, self.env)
        return Expression(code, remembered, bool(told.get("of_all_rows", False)))

    def _offset(self, told: dict[str, Any]) -> Expression | GivenOffset | LogOf:
        if "log of" in told:
            return LogOf(self._offset(told["log of"]))
        return GivenOffset() if "given" in told else self._expression(told)


def _formula(told: dict[str, Any]) -> MixedFormula:
    bars = tuple(
        RawBar(lhs, tuple(factors), double, written) for lhs, factors, double, written in told["random"]
    )
    return MixedFormula(told["response"], told["fixed"], bars, tuple(told["offsets"]))
