"""Model matrices from the text of a formula's sides, coded by patsy.

Only this module, `variables`, `chunkwise` and `storage` know patsy. Each variable is evaluated once,
whichever and however many sides it stands in; patsy codes the evaluated variables, in rows and with levels
that the caller chose.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
import patsy
from patsy.design_info import DesignInfo, FactorInfo, SubtermInfo
from patsy.eval import EvalFactor

from interlace.arrays import BoolArray, FloatArray
from interlace.errors import DesignError, FormulaError, InferenceError
from interlace.frames.columns import Columns
from interlace.frames.readings import explain_text

from .tokens import no_deeper_than_python
from .variables import NO_NAMES, Expression, Variable, as_variable

# Terms of one side of a formula: the code of each one's variables, () for the intercept.
Terms = tuple[tuple[str, ...], ...]

_NOTHING_MISSING = patsy.NAAction(on_NA="raise", NA_types=[])


@lru_cache(maxsize=512)
def parse_terms(text: str, *, what: str = "formula") -> Terms:
    """Terms of one side of a formula, in lme4's order: by degree, then as written.

    Parameters
    ----------
    text : str
        A right side such as ``"x * f"``; the intercept is implied unless ``0`` or ``-1`` is there.
    what : str, default "formula"
        Name of the text, for messages.

    Returns
    -------
    tuple of tuple of str
        Code of the variables in each term.

    Raises
    ------
    FormulaError
        If patsy cannot read the text.

    Examples
    --------
    >>> parse_terms("a * x + z")
    ((), ('a',), ('x',), ('z',), ('a', 'x'))
    """
    try:
        with no_deeper_than_python(text):
            found = patsy.ModelDesc.from_formula(f"~ {text}").rhs_termlist
    except (patsy.PatsyError, SyntaxError) as error:
        raise FormulaError(f'cannot read the {what} "{text}": {getattr(error, "message", error)}') from error
    return tuple(sorted((tuple(f.name() for f in term.factors) for term in found), key=len))


@lru_cache(maxsize=512)
def parse_response(text: str) -> str:
    """Code of the one variable left of ``~``.

    Parameters
    ----------
    text : str
        The left side.

    Returns
    -------
    str
        The variable as patsy spells it.

    Raises
    ------
    FormulaError
        If there is no variable or more than one.
    """
    try:
        with no_deeper_than_python(text):
            found = patsy.ModelDesc.from_formula(f"{text} ~ 1").lhs_termlist
    except (patsy.PatsyError, SyntaxError) as error:
        message = getattr(error, "message", error)
        raise FormulaError(f'cannot read the response "{text}": {message}') from error
    if len(found) != 1 or len(found[0].factors) != 1:
        raise FormulaError(
            f'the response "{text}" is not one variable; write one left of "~", and I(a + b) for a sum'
        )
    return str(found[0].factors[0].name())


def variables_of(sides: Iterable[Terms]) -> list[str]:
    """Code of every variable in some sides, once each, in order.

    Parameters
    ----------
    sides : iterable of Terms
        Parsed sides.

    Returns
    -------
    list of str
        The variables.
    """
    return list(dict.fromkeys(code for terms in sides for term in terms for code in term))


def linear_constraints(names: Sequence[str], constraints: Any) -> tuple[FloatArray, FloatArray]:
    """Contrasts and values out of any spelling of linear hypotheses that patsy knows.

    Parameters
    ----------
    names : sequence of str
        Parameters.
    constraints : array, str, sequence of str, dict or tuple
        ``"x = 2"``, ``["x", "z = 1"]``, rows of coefficients, or a pair of rows and values.

    Returns
    -------
    coefficients : ndarray of shape (r, k)
        One row per hypothesis.
    values : ndarray of shape (r,)
        What they are said to be.

    Examples
    --------
    >>> linear_constraints(["a", "b"], "a - b = 1")
    (array([[ 1., -1.]]), array([1.]))
    """
    try:
        found = DesignInfo(list(names)).linear_constraint(constraints)
    except (patsy.PatsyError, ValueError, TypeError) as error:
        message = getattr(error, "message", error)
        raise InferenceError(
            f"cannot read the hypotheses {constraints!r}: {message}. The parameters are {list(names)!r}; "
            'write "x = 0", or give rows with one coefficient per parameter'
        ) from error
    return np.asarray(found.coefs, dtype=float), np.asarray(found.constants, dtype=float)[:, 0]


# ---- coding ----------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Coding:
    """How one side of a formula becomes columns; applies to new data and can be pickled.

    Attributes
    ----------
    names : tuple of str
        Names of the columns, patsy's.
    terms : Terms
        The terms, in the order of the columns.
    expressions : dict of str to Expression
        The variables.
    info : patsy.DesignInfo
        Coding of the evaluated variables.
    """

    names: tuple[str, ...]
    terms: Terms
    expressions: Mapping[str, Expression]
    info: DesignInfo

    def __call__(self, columns: Columns, ignored: BoolArray | None = None) -> FloatArray:
        """Matrix for new data, shape (n, k); NaN in rows where a variable is missing.

        Levels of the rows to be ignored, shape (n,), and of those with a missing variable need not be known.

        Raises
        ------
        UnknownColumnError
            If a column is not there.
        DesignError
            If a categorical variable has a level that the fit has not seen.
        """
        n = columns.n_rows
        known = {factor.name(): info for factor, info in self.info.factor_infos.items()}
        found = {c: as_variable(self.expressions[c], self.expressions[c](columns), n) for c in known}
        unusable = np.any([np.zeros(n, dtype=bool), *(v.missing for v in found.values())], axis=0)
        needed = ~unusable if ignored is None else ~(unusable | ignored)
        data = {code: _conform(variable, known[code], needed) for code, variable in found.items()}
        matrix = _built([self.info], data, n)[0]
        matrix[unusable] = np.nan
        return matrix

    def with_every_category(self) -> Coding:
        """The same terms with an indicator for every category, so that columns depend on one another."""
        codings = OrderedDict(
            (term, [_full_subterm(term, self.info)] if term.factors else subterms)
            for term, subterms in self.info.term_codings.items()
        )
        count = sum(subterm.num_columns for subterms in codings.values() for subterm in subterms)
        info = DesignInfo([f"column {j}" for j in range(count)], self.info.factor_infos, codings)
        return Coding(tuple(info.column_names), self.terms, self.expressions, info)

    def design_info(self) -> DesignInfo:
        """The same coding as patsy would have made it from the raw data."""
        factors = {code: EvalFactor(code) for code in self.expressions}
        states = {code: expression.memory() for code, expression in self.expressions.items()}
        return _assembled(_taken_apart(self.info), factors, states)

    def apart(self) -> dict[str, Any]:
        """Everything in plain containers, but for the expressions, which are stored by themselves."""
        return {**self.__dict__, "info": _taken_apart(self.info), "expressions": dict(self.expressions)}

    @classmethod
    def assembled(cls, stored: dict[str, Any]) -> Coding:
        """The coding, from what ``apart`` gave."""
        coding = cls.__new__(cls)
        coding.__setstate__(stored)
        return coding

    def __getstate__(self) -> dict[str, Any]:
        return self.apart()

    def __setstate__(self, stored: dict[str, Any]) -> None:
        factors = {code: patsy.LookupFactor(code) for code in stored["expressions"]}
        self.__dict__.update(stored, info=_assembled(stored["info"], factors, {}))

    def __deepcopy__(self, memo: dict[int, Any]) -> Coding:
        # Immutable all the way down, as far as anyone writes to it.
        return self


def code_sides(
    sides: Sequence[Terms], variables: Mapping[str, Variable], n: int
) -> list[tuple[Coding, FloatArray]]:
    """Code several sides at once.

    Parameters
    ----------
    sides : sequence of Terms
        The sides, for instance the fixed part and the left sides of the bars.
    variables : mapping of str to Variable
        All their variables, without missing values.
    n : int
        Rows.

    Returns
    -------
    list of (Coding, ndarray of shape (n, k))
        One per side.
    """
    factors = {code: patsy.LookupFactor(code) for code in variables}
    data = {code: variable.for_patsy() for code, variable in variables.items()}
    for code, variable in variables.items():
        _check_levels(code, variable)
    termlists = [[patsy.Term([factors[code] for code in term]) for term in terms] for terms in sides]
    try:
        infos = patsy.design_matrix_builders(termlists, lambda: iter([data]), NO_NAMES, _NOTHING_MISSING)
    except patsy.PatsyError as error:
        raise DesignError(f"cannot code the variables {list(variables)}: {error.message}") from error
    except ValueError as error:  # patsy's own complaint about columns of one name
        told = _columns_of_one_name(variables)
        if told is None:
            raise
        raise told from error
    ordered = [_in_lme4_order(info, terms) for info, terms in zip(infos, termlists, strict=True)]
    matrices = _built(ordered, data, n)
    expressions = {code: variable.expression for code, variable in variables.items()}
    codings = [
        Coding(tuple(info.column_names), terms, _needed(expressions, terms), info)
        for info, terms in zip(ordered, sides, strict=True)
    ]
    return list(zip(codings, matrices, strict=True))


def matrices_of(codings: Sequence[Coding], variables: Mapping[str, Variable], n: int) -> list[FloatArray]:
    """Matrices, (n, k) each, of several codings for variables of other rows, without missing values."""
    known = {f.name(): info for coding in codings for f, info in coding.info.factor_infos.items()}
    data = {code: _conform(variables[code], info, np.ones(n, dtype=bool)) for code, info in known.items()}
    return [_built([coding.info], data if coding.info.factor_infos else {}, n)[0] for coding in codings]


def _needed(expressions: Mapping[str, Expression], terms: Terms) -> dict[str, Expression]:
    return {code: expressions[code] for code in variables_of([terms])}


def _check_levels(code: str, variable: Variable) -> None:
    values = variable.values
    if isinstance(values, pd.Categorical) and len(values.categories) < 2:
        raise DesignError(
            f'the categorical variable "{code}" has one level ({list(values.categories)}) in the rows used; '
            "wanted two or more: leave it out of the formula"
        )


def _columns_of_one_name(variables: Mapping[str, Variable]) -> DesignError | None:
    """What to tell a user whose categories would give columns the same name."""
    for code, variable in variables.items():
        levels = list(variable.values.categories) if isinstance(variable.values, pd.Categorical) else []
        texts = Counter(map(str, levels))
        same = [level for level in levels if texts[str(level)] > 1]
        if same:
            return DesignError(
                f'the categorical variable "{code}" has different levels that read the same: {same!r}; their '
                "columns would have one name. Make them one, or rename some"
            )
    return None


def _built(infos: Sequence[DesignInfo], data: Mapping[str, Any], n: int) -> list[FloatArray]:
    if not data:
        return [np.ones((n, len(info.column_names))) for info in infos]
    return [np.asarray(m) for m in patsy.build_design_matrices(infos, data, NA_action=_NOTHING_MISSING)]


def _conform(variable: Variable, known: FactorInfo, needed: BoolArray) -> Any:
    """Values of a variable in new data, coded as in the fit; missing categories as the first one.

    Levels that the fit has not seen are refused in the rows that are needed.
    """
    code, values = variable.expression.code, variable.values
    if known.type == "numerical":
        if isinstance(values, pd.Categorical) and not len(values.dropna()):
            return np.full((len(values), known.num_columns), np.nan)
        if isinstance(values, pd.Categorical) or values.shape[1] != known.num_columns:
            told = f'"{code}" was {known.num_columns} numeric column(s) in the fit and is not now'
            raise DesignError(told + explain_text({code: pd.Series(values)}, [code]))
        return values
    found: pd.Categorical[Any]
    found = values if isinstance(values, pd.Categorical) else pd.Categorical(values[:, 0])
    levels = list(known.categories)
    positions = pd.Index(levels).get_indexer(found.categories)
    present = np.unique(found.codes[(found.codes >= 0) & needed])
    if (positions[present] < 0).any():
        unseen = [found.categories[i] for i in present if positions[i] < 0]
        raise DesignError(
            f'"{code}" has levels that the fit has not seen: {unseen}; it knows {levels}. '
            "Fixed effects of new levels cannot be predicted"
        )
    codes = np.append(positions, 0)[found.codes]
    return pd.Categorical.from_codes(np.maximum(codes, 0), categories=pd.Index(levels))


# ---- order of the columns --------------------------------------------------------------------


def _in_lme4_order(info: DesignInfo, terms: Sequence[patsy.Term]) -> DesignInfo:
    """Columns in lme4's order; patsy puts terms with numeric variables last.

    Within an interaction the variable that comes first in the formula varies fastest.
    """
    order = {code: i for i, code in enumerate(dict.fromkeys(f.name() for t in terms for f in t.factors))}
    names = info.column_names
    codings: OrderedDict[patsy.Term, list[SubtermInfo]] = OrderedDict()
    new_names: list[str] = []
    for term in terms:
        start = info.term_slices[term].start
        codings[term] = []
        for subterm in info.term_codings[term]:
            block = names[start : start + subterm.num_columns]
            start += subterm.num_columns
            sorted_subterm, positions = _sorted_subterm(subterm, info, order)
            codings[term].append(sorted_subterm)
            new_names.extend(block[i] for i in positions)
    return info if new_names == names else DesignInfo(new_names, info.factor_infos, codings)


def _sorted_subterm(
    subterm: SubtermInfo, info: DesignInfo, order: Mapping[str, int]
) -> tuple[SubtermInfo, Sequence[int]]:
    factors = sorted(subterm.factors, key=lambda factor: order[factor.name()])
    if factors == list(subterm.factors):
        return subterm, range(subterm.num_columns)
    counts = {f: _columns_of(f, subterm, info) for f in factors}
    position = {frozenset(c.items()): i for i, c in enumerate(_combinations(subterm.factors, counts))}
    positions = [position[frozenset(c.items())] for c in _combinations(factors, counts)]
    return SubtermInfo(factors, subterm.contrast_matrices, subterm.num_columns), positions


def _full_subterm(term: patsy.Term, info: DesignInfo) -> SubtermInfo:
    """Indicators of every combination of categories, times the numeric variables."""
    known = {factor: info.factor_infos[factor] for factor in term.factors}
    matrices = {
        factor: patsy.ContrastMatrix(np.eye(len(f.categories)), [f"[{c}]" for c in f.categories])
        for factor, f in known.items()
        if f.type == "categorical"
    }
    widths = [len(f.categories) if f.type == "categorical" else f.num_columns for f in known.values()]
    return SubtermInfo(list(term.factors), matrices, int(np.prod(widths)))


def _columns_of(factor: Any, subterm: SubtermInfo, info: DesignInfo) -> int:
    contrast = subterm.contrast_matrices.get(factor)
    return int(info.factor_infos[factor].num_columns if contrast is None else contrast.matrix.shape[1])


def _combinations(factors: Sequence[Any], counts: Mapping[Any, int]) -> list[dict[Any, int]]:
    """Columns of an interaction: for each, the column of every factor; the first one varies fastest."""
    backwards = list(reversed(factors))
    return [dict(zip(backwards, c, strict=True)) for c in product(*(range(counts[f]) for f in backwards))]


def without_columns(info: DesignInfo, kept: Sequence[int]) -> DesignInfo:
    """Names and terms of some of the columns.

    Parameters
    ----------
    info : patsy.DesignInfo
        All the columns.
    kept : sequence of int
        Positions of those that stay, increasing.

    Returns
    -------
    patsy.DesignInfo
        Terms without a column are gone; it cannot be applied to data.
    """
    reduced = DesignInfo([info.column_names[j] for j in kept])
    reduced.term_slices, reduced.term_name_slices = OrderedDict(), OrderedDict()
    start = 0
    for term, span in info.term_slices.items():
        stop = start + sum(span.start <= j < span.stop for j in kept)
        if stop > start:
            reduced.term_slices[term] = reduced.term_name_slices[term.name()] = slice(start, stop)
        start = stop
    return reduced


def plain_info(names: Sequence[str]) -> DesignInfo:
    """Description of a matrix that no formula made.

    Parameters
    ----------
    names : sequence of str
        Its columns.

    Returns
    -------
    patsy.DesignInfo
        One term per column.
    """
    return DesignInfo(list(names))


# ---- storing ---------------------------------------------------------------------------------


def _taken_apart(info: DesignInfo) -> dict[str, Any]:
    """A DesignInfo in plain containers: patsy's own classes refuse to be pickled."""
    return {
        "names": list(info.column_names),
        "factors": {
            factor.name(): (known.type, known.num_columns, known.categories)
            for factor, known in info.factor_infos.items()
        },
        "terms": [
            (tuple(f.name() for f in term.factors), [_subterm_apart(s) for s in subterms])
            for term, subterms in info.term_codings.items()
        ],
    }


def _subterm_apart(subterm: SubtermInfo) -> tuple[Any, ...]:
    contrasts = {f.name(): (c.matrix, c.column_suffixes) for f, c in subterm.contrast_matrices.items()}
    return tuple(f.name() for f in subterm.factors), contrasts, subterm.num_columns


def _assembled(parts: dict[str, Any], factors: Mapping[str, Any], states: Mapping[str, Any]) -> DesignInfo:
    """A DesignInfo from plain containers, on the given patsy factors."""
    infos = {
        factors[code]: FactorInfo(factors[code], kind, states.get(code, {}), num_columns, categories)
        for code, (kind, num_columns, categories) in parts["factors"].items()
    }
    codings = OrderedDict(
        (patsy.Term([factors[code] for code in codes]), [_subterm(s, factors) for s in subterms])
        for codes, subterms in parts["terms"]
    )
    return DesignInfo(parts["names"], infos, codings)


def _subterm(parts: tuple[Any, ...], factors: Mapping[str, Any]) -> SubtermInfo:
    codes, contrasts, num_columns = parts
    matrices = {factors[code]: patsy.ContrastMatrix(m, suffixes) for code, (m, suffixes) in contrasts.items()}
    return SubtermInfo([factors[code] for code in codes], matrices, num_columns)
