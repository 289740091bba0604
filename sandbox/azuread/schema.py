"""The property table of the resource types, read from data/schema.json.

A property has: type (string, bool, int, set, list, map, block); required, optional, computed (Graph fills it in), both
of the last two where either may; default; replace (a change makes a new resource); secret; allowed, format, maxLength,
minItems and conflicts for Check; of (its own properties); graph (its path in Graph's object); terraform (its
name in the provider's own schema, where that is not the same in snake case); patch (whether an update
sends it: "always", only when "changed", "never"); kept (Graph never returns it: carried over from the last state);
unsupported (this stand-in does not set it).
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

DATA = Path(__file__).parent / "data"
Kind = Literal["string", "bool", "int", "set", "list", "map", "block"]


@dataclass
class Property:
    """One row of the table."""

    type: Kind
    required: bool = False
    optional: bool = False
    computed: bool = False
    default: Any = None
    replace: bool = False
    secret: bool = False
    allowed: list[Any] | None = None
    format: str | None = None
    maxLength: int | None = None
    minItems: int | None = None
    conflicts: list[str] = field(default_factory=list)
    of: dict[str, Property] | None = None
    graph: str | None = None
    terraform: str | None = None
    patch: Literal["always", "changed", "never"] = "always"
    kept: bool = False
    unsupported: bool = False

    def __post_init__(self) -> None:
        if self.of is not None:
            self.of = properties(self.of)

    @property
    def is_input(self) -> bool:
        """Whether a program may set it."""
        return self.required or self.optional

    @property
    def is_attribute_collection(self) -> bool:
        """A set, list or map of plain values; unlike a block it can be null."""
        return self.type in ("set", "list", "map") and self.of is None


@dataclass
class ResourceType:
    """One resource type: its properties, and what the engine's state notes about it."""

    schemaVersion: str
    timeouts: dict[str, int]
    properties: dict[str, Property]

    @property
    def meta(self) -> str:
        """The text that the real provider keeps as `__meta` in every state; timeouts in nanoseconds."""
        timeouts = {name: seconds * 1_000_000_000 for name, seconds in sorted(self.timeouts.items())}
        document: dict[str, object] = {"e2bfb730-ecaa-11e6-8f88-34363bc7c4c0": timeouts}
        if self.schemaVersion != "0":
            document["schema_version"] = self.schemaVersion
        return json.dumps(document, separators=(",", ":"))


def properties(rows: dict[str, Any]) -> dict[str, Property]:
    """Rows of the data file as properties."""
    return {name: row if isinstance(row, Property) else Property(**row) for name, row in rows.items()}


def load() -> dict[str, ResourceType]:
    """The whole table, by type token."""
    document = json.loads((DATA / "schema.json").read_text(encoding="utf-8"))
    types = {}
    for token, rows in document.items():
        given = {**rows, "properties": properties(rows["properties"])}
        types[token] = ResourceType(**given)
    return types


def snake(name: str) -> str:
    """A property's name in the words of the provider's own messages."""
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)
