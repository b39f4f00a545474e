"""A printed table as data: columns of text in titled parts, to be written in any format."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from interlace.errors import ArgumentError

LATEX = {
    "\\": r"\textbackslash{}",
    **{character: rf"\{character}" for character in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "|": r"\textbar{}",
    "<": "$<$",
    ">": "$>$",
    "[": "{[}",  # after \\ a bracket would be read as an optional argument
    "²": "$^2$",
    "*": r"\(^{*}\)",
}


@dataclass(frozen=True)
class Part:
    """Rows of a sheet under one heading.

    Attributes
    ----------
    title : str
        Heading.
    columns : tuple of str
        Headings of the columns after the first.
    rows : tuple of tuple of str
        Label and cells, one more than ``columns``.

    Examples
    --------
    >>> from interlace.report import Part
    >>> Part("Sizes", ("N",), (("plate", "24"),)).columns
    ('N',)
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Sheet:
    """A table for a paper.

    Attributes
    ----------
    title : str
        Caption.
    parts : tuple of Part
        Of any widths; those with fewer columns are filled up on the right.
    notes : tuple of str
        Sentences below.

    Examples
    --------
    >>> print(Sheet("Title", (Part("Part", ("N",), (("plate", "24"),)),), ()).to_text())
    Title
    -----------
    Part    N
    -----------
    plate  24
    -----------
    """

    title: str
    parts: tuple[Part, ...]
    notes: tuple[str, ...]

    @property
    def width(self) -> int:
        """Number of columns, that of the labels included."""
        return max((1 + len(part.columns) for part in self.parts), default=1)

    def _lines(self, part: Part) -> Iterator[list[str]]:
        """Heading and rows of a part, all equally long."""
        for row in ((part.title, *part.columns), *part.rows):
            yield [*row, *[""] * (self.width - len(row))]

    def to_text(self) -> str:
        """Plain text, columns aligned."""
        lines = [line for part in self.parts for line in self._lines(part)]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        rule = "-" * (sum(widths) + 2 * len(widths))
        written = [self.title, rule]
        for part in self.parts:
            heading, *rows = (_aligned(line, widths) for line in self._lines(part))
            written += [heading, rule, *rows, rule]
        return "\n".join([*written, *self.notes])

    def to_markdown(self) -> str:
        """A Markdown table; parts are separated by their headings in bold."""
        first, *others = self.parts
        heading, *rows = self._lines(first)
        lines = [_piped(heading), _piped([":--", *["--:"] * (self.width - 1)]), *map(_piped, rows)]
        for part in others:
            heading, *rows = self._lines(part)
            lines += [_piped([f"**{cell}**" if cell else "" for cell in heading]), *map(_piped, rows)]
        notes = ["", *map(_pipeless, self.notes)] if self.notes else []
        return "\n".join([f"**{_pipeless(self.title)}**", "", *lines, *notes])

    def to_latex(self) -> str:
        """A ``table`` with a ``tabular``; needs the LaTeX package booktabs."""
        body = [r"\toprule"]
        for k, part in enumerate(self.parts):
            heading, *rows = (_latex_row(line) for line in self._lines(part))
            body += [r"\midrule"] * (k > 0) + [heading, r"\midrule", *rows]
        notes = [rf"\par\smallskip\footnotesize {' '.join(map(_latex, self.notes))}"] if self.notes else []
        return "\n".join(
            [
                r"\begin{table}",
                r"\centering",
                rf"\caption{{{_latex(self.title)}}}",
                rf"\begin{{tabular}}{{l{'r' * (self.width - 1)}}}",
                *body,
                r"\bottomrule",
                r"\end{tabular}",
                *notes,
                r"\end{table}",
            ]
        )

    def to_html(self) -> str:
        """A ``<table>`` without styles of its own, but for the alignment of numbers."""
        lines = ['<table class="interlace">', f"<caption>{html.escape(self.title)}</caption>"]
        for part in self.parts:
            heading, *rows = self._lines(part)
            lines += [
                "<tbody>",
                _html_row(heading, "th"),
                *(_html_row(row, "td") for row in rows),
                "</tbody>",
            ]
        if self.notes:
            text = html.escape(" ".join(self.notes))
            lines.append(f'<tfoot><tr><td colspan="{self.width}">{text}</td></tr></tfoot>')
        return "\n".join([*lines, "</table>"])

    def to(self, form: str) -> str:
        """Write in the format of that name.

        Parameters
        ----------
        form : {"text", "markdown", "latex", "html"}
            Which.

        Returns
        -------
        str

        Raises
        ------
        ValueError
            For another name.
        """
        writers: dict[str, Callable[[], str]] = {
            "text": self.to_text,
            "markdown": self.to_markdown,
            "latex": self.to_latex,
            "html": self.to_html,
        }
        if form not in writers:
            raise ArgumentError(f"format={form!r} is not offered; give one of {sorted(writers)!r}")
        return writers[form]()


def _aligned(cells: Sequence[str], widths: Sequence[int]) -> str:
    label, *numbers = [(cell, width) for cell, width in zip(cells, widths, strict=True)]
    return "  ".join([label[0].ljust(label[1]), *(cell.rjust(width) for cell, width in numbers)]).rstrip()


def _pipeless(text: str) -> str:
    return text.replace("|", "\\|").replace("*", "\\*")


def _piped(cells: Sequence[str]) -> str:
    bold = [cell.startswith("**") and cell.endswith("**") for cell in cells]
    inner = [f"**{_pipeless(c[2:-2])}**" if b else _pipeless(c) for c, b in zip(cells, bold, strict=True)]
    return f"| {' | '.join(inner)} |"


def _latex(text: str) -> str:
    return "".join(LATEX.get(character, character) for character in text)


def _latex_row(cells: Sequence[str]) -> str:
    label, *numbers = map(_latex, cells)
    # A hyphen before a digit is a minus.
    return " & ".join([label, *(re.sub(r"-(?=[.\d])", "$-$", number) for number in numbers)]) + r" \\"


def _html_row(cells: Sequence[str], tag: str) -> str:
    label, *numbers = map(html.escape, cells)
    aligned = "".join(f'<{tag} style="text-align: right">{number}</{tag}>' for number in numbers)
    return f'<tr><th scope="row" style="text-align: left">{label}</th>{aligned}</tr>'
