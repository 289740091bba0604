"""A YAML text as a tree of nodes that know where they are in the text, so that one part of it can be replaced. Pure.

ruamel.yaml reads the text; it does not write it. Its round trip keeps comments and quotation marks, but rewrites
indentation, line widths, flow style and line ends (measured: 0.19). So changes are made to the text itself.

ruamel.yaml takes a tab before a comment, at the end of a line or after a colon for an error, which YAML 1.2 allows. So
it reads a copy of the text with blanks there; all positions are the same.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import lru_cache
from itertools import chain

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from provisioning.foreign import quoted

BLANKS = re.compile(r"(?<=\S)[ \t]+(?=#|\r?\n|$)|(?<=:)[ \t]+")

DEEPEST = 100
"""Levels of a configuration."""


class Kind(StrEnum):
    """What a node is."""

    SCALAR = "a value"
    MAPPING = "a mapping"
    SEQUENCE = "a list"
    ALIAS = "an alias"


class NotEditable(ValueError):
    """Why a text cannot be edited; the message repeats no value of it."""


@dataclass(frozen=True)
class Node:
    """One node. start, end: in the text; `end` of a collection in block style is not reliable, see `end_of`.

    column: of its start. value: of a scalar, or the name of an alias. style: of a scalar, as ruamel.yaml names it.
    plain: whether it is a scalar without quotation marks. pairs: of a mapping. items: of a list.
    """

    kind: Kind
    start: int
    end: int
    column: int
    anchor: str | None = None
    tag: str | None = None
    value: str = field(default="", repr=False)
    style: str | None = None
    flow: bool = False
    pairs: tuple[tuple[Node, Node], ...] = ()
    items: tuple[Node, ...] = ()

    @property
    def plain(self) -> bool:
        """Whether it is a scalar without quotation marks, such as a number or null."""
        return self.kind is Kind.SCALAR and self.style in (None, "")

    @property
    def null(self) -> bool:
        """Whether it is null."""
        return self.plain and self.tag is None and self.value in ("", "~", "null", "Null", "NULL")

    @property
    def text(self) -> str | None:
        """The text of a scalar; None for null and for what is no scalar."""
        return self.value if self.kind is Kind.SCALAR and not self.null else None

    def get(self, key: str) -> tuple[Node, Node] | None:
        """The pair of `key` in a mapping."""
        return next((pair for pair in self.pairs if pair[0].text == key), None)

    def same(self, other: Node) -> bool:
        """Whether both say the same, wherever they are, and in whatever style their collections are written."""
        if (self.kind, self.anchor, self.tag, self.value) != (other.kind, other.anchor, other.tag, other.value):
            return False
        if self.plain != other.plain:
            return False
        if len(self.pairs) != len(other.pairs) or len(self.items) != len(other.items):
            return False
        mine, its = ([*chain(*node.pairs), *node.items] for node in (self, other))
        return all(one.same(two) for one, two in zip(mine, its, strict=True))


@lru_cache(maxsize=16)
def parse(text: str) -> Node | None:
    """The root of a text; None if it has no document, or an empty one.

    Raises NotEditable for what is no YAML, and for what two readers may read in two ways: a key that is there twice,
    and several documents.
    """
    shadow = BLANKS.sub(lambda found: " " * len(found[0]), text)
    try:
        events = [*YAML(typ="safe", pure=True).parse(shadow)]
    except YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" in line {mark.line + 1}" if mark is not None else ""
        raise NotEditable(f"it is not valid YAML{where}") from None
    except (RecursionError, ValueError):
        raise NotEditable("it is not valid YAML") from None
    if sum(isinstance(event, DocumentStartEvent) for event in events) > 1:
        raise NotEditable("it has several documents")
    content = (event for event in events if isinstance(event, CONTENT))
    first = next(content, None)
    if first is None:
        return None
    root = _node(first, content, 0, shadow)
    return None if root.null and root.anchor is None else root


CONTENT = (AliasEvent, ScalarEvent, MappingStartEvent, MappingEndEvent, SequenceStartEvent, SequenceEndEvent)


def _node(event: Event, rest: Iterator[Event], depth: int, text: str) -> Node:
    if depth > DEEPEST:
        raise NotEditable(f"it is more than {DEEPEST} levels deep")
    start, end, column = event.start_mark.index, event.end_mark.index, event.start_mark.column
    if isinstance(event, AliasEvent):
        return Node(Kind.ALIAS, start, end, column, value=str(event.anchor))
    assert isinstance(event, ScalarEvent | MappingStartEvent | SequenceStartEvent)
    anchor = str(event.anchor) if event.anchor else None
    tag = str(event.tag) if event.tag else None
    if isinstance(event, ScalarEvent):
        return Node(Kind.SCALAR, start, end, column, anchor, tag, str(event.value), event.style)
    children: list[Node] = []
    for inner in rest:
        if isinstance(inner, MappingEndEvent | SequenceEndEvent):
            end = inner.end_mark.index
            break
        children.append(_node(inner, rest, depth + 1, text))
    flow = bool(event.flow_style)
    if isinstance(event, SequenceStartEvent):
        return Node(Kind.SEQUENCE, start, end, column, anchor, tag, flow=flow, items=tuple(children))
    pairs = tuple((key, _placed(key, value, text)) for key, value in zip(children[::2], children[1::2], strict=True))
    keys = Counter(key.value for key, _ in pairs if key.kind is Kind.SCALAR)
    twice = next((key for key, times in keys.items() if times > 1), None)
    if twice is not None:
        raise NotEditable(f"the key {quoted(twice)} is there twice in one mapping")
    return Node(Kind.MAPPING, start, end, column, anchor, tag, flow=flow, pairs=pairs)


def _placed(key: Node, value: Node, text: str) -> Node:
    """`value`; one that is not there is placed behind its key's colon, not behind the comments that follow."""
    if not value.null or value.value or value.anchor:
        return value
    found = re.compile(r"[ \t]*:").match(text, key.end)
    place = found.end() if found else key.end
    return replace(value, start=place, end=place)


def end_of(node: Node) -> int:
    """Where the text of a node ends. Raises NotEditable for a scalar in block style, which ends somewhere in blanks."""
    if node.kind in (Kind.MAPPING, Kind.SEQUENCE) and not node.flow:
        return end_of(node.pairs[-1][1] if node.pairs else node.items[-1])
    if node.style in ("|", ">"):
        raise NotEditable("a value of several lines stands where this program would write")
    return node.end


def line_end(text: str, index: int) -> int:
    """The end of the line at `index`, before its line break."""
    found = re.compile(r"\r?\n|$").search(text, index)
    return found.start() if found else len(text)


def after_line(text: str, index: int) -> int:
    """The beginning of the line after the one at `index`; the end of the text if it is the last one."""
    found = re.compile(r"\n").search(text, index)
    return found.end() if found else len(text)


def line_start(text: str, index: int) -> int:
    """The beginning of the line at `index`."""
    return text.rfind("\n", 0, index) + 1


def line_break(text: str) -> str:
    """How the lines of a text end."""
    return "\r\n" if "\r\n" in text else "\n"


def comments_in(text: str) -> bool:
    """Whether there may be a comment in a part of a text."""
    text = re.sub(r"'(?:[^']|\'\')*'|\"(?:[^\"\\\\]|\\\\.)*\"", "", text)
    return re.search(r"(?:^|[\s,\[\]{}])#", text) is not None


def quote(value: str) -> str:
    """A value in single quotation marks, which every reader reads as the text that it is."""
    return "'" + value.replace("'", "''") + "'"
