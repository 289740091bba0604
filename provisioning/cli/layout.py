"""How texts and tables fit a terminal: words wrap at blanks below each other; ids, addresses and commands stay whole.

Rich folds a word that is longer than its line. Here such a word stays whole, so that a terminal lets it be copied.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

GAP = 2
"""Blanks between two columns."""

MARKED = re.compile(r" *(?:[!→•✓✗-] +)?")
"""Blanks and a mark at the beginning of a line; what does not fit goes below what follows them."""

CODE = r"`[^`\n]+`"
"""A command within a sentence."""

COPIED = re.compile(r" {4}(?:python -m|pulumi|az|make|export|read|eval|\.) ")
"""The beginning of a line that is a command to copy, which is never wrapped: a shell would take the parts for two."""

NAMED = (
    r"(?:(?<=: )|(?<=→ )|(?<=, then ))"
    r"(?:az|docker|export|pulumi|python -m|ssh) (?:(?!,? (?:then|or) |; |\. )[^\n])+[.,;]? *"
)
"""A command that a sentence ends with, or names before another one."""

WORD = re.compile(rf"{NAMED}|(?:{CODE}|[^ ])+ *| +")
"""What no line ends in the midst of: a word, or a command."""

NARROWEST = 24
"""Columns that a text needs beside what it would hang below; with fewer, it goes below the beginning of its line."""


def wrapped(text: Text, width: int, indent: int | None = None) -> Text:
    """`text`, each of its lines wrapped at blanks to `width` columns; a word or a command to copy stays whole.

    indent: the column below which the rest of a line goes; by default the one behind the line's blanks and mark.
    """
    lines: list[Text] = []
    for line in text.split("\n", allow_blank=True):
        if COPIED.match(line.plain):
            lines.append(line)
            continue
        marked = MARKED.match(line.plain)
        hang = indent if indent is not None else marked.end() if marked else 0
        hang = hang if hang + NARROWEST <= width else 0
        for number, part in enumerate(line.divide(_breaks(line.plain, width, hang))):
            part.rstrip()
            lines.append(Text(" " * hang).append_text(part) if number else part)
    return Text("\n").join(lines)


def _breaks(line: str, width: int, hang: int) -> Iterator[int]:
    """At which characters of a line another one begins; hang: how far those are indented."""
    column = 0
    for word in WORD.finditer(line):
        if column > hang and word.start() and column + cell_len(word[0].rstrip()) > width:
            yield word.start()
            column = hang
        column += cell_len(word[0])


def table(columns: Sequence[str], rows: Sequence[Sequence[Text]], width: int, numbers: Sequence[int] = ()) -> Table:
    """The one form of a table: a header, and rows without lines between; no column is narrower than its longest word.

    numbers: the indexes of the columns that hold numbers. Where `fits` says no, it is wider than `width`.
    """
    made = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, GAP - 1, 0, 0), header_style="bold")
    for index, (name, size) in enumerate(zip(columns, _widths(columns, rows, width), strict=True)):
        made.add_column(Text(name), width=size, justify="right" if index in numbers else "left")
    for row in rows:
        made.add_row(*row)
    return made


def fits(columns: Sequence[str], rows: Sequence[Sequence[Text]], width: int) -> bool:
    """Whether a table fits into `width` without a broken word."""
    return sum(size.minimum for size in _sizes(columns, rows)) + GAP * (len(columns) - 1) <= width


def _widths(columns: Sequence[str], rows: Sequence[Sequence[Text]], width: int) -> list[int]:
    """The width of each column: its longest word; what is left goes to the one whose cells are the highest, each time.

    Of those that are equally high, it goes to the one that lacks least.
    """
    sizes = _sizes(columns, rows)
    longest = [max((cell.cell_len for cell in cells), default=0) for cells in zip(*rows, strict=True)]
    found = [size.minimum for size in sizes]

    def urgency(index: int) -> tuple[int, int]:
        return -(-longest[index] // found[index]), found[index] - sizes[index].maximum

    for _ in range(width - sum(found) - GAP * (len(columns) - 1)):
        lacking = [index for index, size in enumerate(sizes) if found[index] < size.maximum]
        if not lacking:
            break
        found[max(lacking, key=urgency)] += 1
    return found


def _sizes(columns: Sequence[str], rows: Sequence[Sequence[Text]]) -> list[Measurement]:
    """The longest word and the longest line of each column, its header included."""
    cells = zip(*([Text(name) for name in columns], *rows), strict=True)
    found = [[Measurement.get(MEASURING, MEASURING.options, cell) for cell in column] for column in cells]
    return [Measurement(max(one.minimum for one in sizes), max(one.maximum for one in sizes)) for sizes in found]


MEASURING = Console(width=100_000)
"""Prints nothing; it is wider than any text."""


def named(names: Sequence[str], values: Sequence[Text], width: int) -> Text:
    """Names and values, one pair below the other; what does not fit hangs below the value's beginning."""
    widest = max(map(len, names), default=0) + GAP
    pairs = (Text.assemble((f"{name:<{widest}}", "bold"), value) for name, value in zip(names, values, strict=True))
    return Text("\n").join(wrapped(pair, width, widest) for pair in pairs)
