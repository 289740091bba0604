"""Values in a row of NocoBase, at top level or within JSON: finding, reading, setting and comparing them. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from provisioning.foreign import parsed_json

Path = tuple[str, ...]
"""Where a value is in a row: a field, and below it the keys within a JSON field."""

DEEPEST = 3
"""How many names an autodetected path may have: field, provider, name."""

LONGEST_JSON_TEXT = 100_000
"""Characters; a longer text is taken for a text, not for the JSON that it may be."""

CHANGED_BY_ITSELF = frozenset({"updatedat", "updatedby", "updatedbyid"})
"""Fields that NocoBase itself changes with every write, as `plain` returns them."""


def parse_path(text: str) -> Path:
    """`options.clientId` as a path."""
    return tuple(text.split("."))


def plain(name: str) -> str:
    """A name without case and punctuation: `client_id`, `clientId` and `ClientID` are one."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def opened(value: Any) -> Any:
    """The object in a JSON text; any other value unchanged."""
    if isinstance(value, str) and len(value) <= LONGEST_JSON_TEXT and value.lstrip().startswith("{"):
        try:
            return parsed_json(value)
        except ValueError:
            return value
    return value


def value_at(row: Mapping[str, Any] | None, path: Path) -> Any:
    """What is at `path`; None if nothing is."""
    found: Any = row
    for key in path:
        inside = opened(found)
        found = inside.get(key) if isinstance(inside, Mapping) else None
    return found


def places(value: Any, path: Path = ()) -> Iterable[Path]:
    """The paths of all values in a row, also within JSON."""
    content = opened(value)
    if isinstance(content, Mapping) and len(path) < DEEPEST:
        for key, inner in content.items():
            yield from places(inner, (*path, str(key)))
    elif path:
        yield path


def is_mask(value: object) -> bool:
    """Whether a value masks one that is not shown, like `********` or `abc****xyz`; no secret of Entra ID has these."""
    return isinstance(value, str) and re.search(r"[*•●]{3}", value) is not None


def merged(row: Mapping[str, Any] | None, values: Mapping[Path, str]) -> dict[str, Any]:
    """The fields to write so that each of `values` is at its place.

    NocoBase replaces a JSON field as a whole, so the rest of its content is written again. A JSON text has to be
    reproducible; see `is_reproducible`.
    """
    fields: dict[str, Any] = {}
    for (top, *keys), value in values.items():
        before = fields.get(top, row.get(top) if row is not None else None)
        fields[top] = _set(before, keys, value) if keys else value
    return fields


def is_reproducible(value: Any) -> bool:
    """Whether a value can be written back unchanged: a JSON text only if its exact spacing is known."""
    return not isinstance(value, str) or opened(value) is value or _style(value) is not None


def other_changes(before: Mapping[str, Any], after: Mapping[str, Any], written: Iterable[Path]) -> list[str]:
    """Where two readings of a row differ, except for what was written and what NocoBase itself changes."""
    own = {path[:length] for path in written for length in range(1, len(path) + 1)}
    differing = {path for path, _ in _leaves(before).items() ^ _leaves(after).items()}
    return sorted(".".join(path) for path in differing - own if plain(path[0]) not in CHANGED_BY_ITSELF)


def _leaves(value: Any, path: Path = ()) -> dict[Path, str]:
    """Every value in a row, as text that is the same for the same value."""
    content = opened(value)
    if isinstance(content, Mapping) and content:
        return {place: text for key, inner in content.items() for place, text in _leaves(inner, (*path, key)).items()}
    return {path: json.dumps(content, sort_keys=True)}


def _set(before: Any, keys: Sequence[str], value: str) -> Any:
    content = opened(before)
    changed = dict(content) if isinstance(content, Mapping) else {}
    key, *deeper = keys
    changed[key] = _set(changed.get(key), deeper, value) if deeper else value
    as_text = isinstance(before, str) and isinstance(content, Mapping)
    return json.dumps(changed, **(_style(before) or {})) if as_text else changed


def _style(text: str) -> dict[str, Any] | None:
    """The options with which json.dumps returns exactly this text; None if there are none."""
    content = opened(text)
    for spacing in ({"separators": (",", ":")}, {}, {"indent": 2}):
        for ascii_only in (False, True):
            options: dict[str, Any] = {**spacing, "ensure_ascii": ascii_only}
            if json.dumps(content, **options) == text:
                return options
    return None
