"""Diff: what would change, what needs a new resource, the detailed kinds. Pure; the rules are in data/schema.json."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from sandbox.azuread.schema import Property, ResourceType
from sandbox.azuread.values import UNKNOWN, Properties, is_empty, is_unknown, plain


class Kind(IntEnum):
    """Kinds of a detailed difference, with the protocol's numbers. The one after each is "and replace"."""

    ADD = 0
    DELETE = 2
    UPDATE = 4


@dataclass
class Difference:
    """The answer to Diff. kinds: protocol number of each path, such as `web.redirectUris[1]`."""

    kinds: dict[str, int] = field(default_factory=dict)
    changed: list[str] = field(default_factory=list)
    replaces: list[str] = field(default_factory=list)
    stables: list[str] = field(default_factory=list)

    @property
    def paths(self) -> set[str]:
        """Every changed path and those above it, without indexes (`api.name`, `api`); `api.*` for one that is replaced
        as a whole."""
        leaves = [re.sub(r"\[\d+\]", "", path).split(".") for path in self.kinds]
        above = {".".join(path[:length]) for path in leaves for length in range(1, len(path) + 1)}
        return above | {".".join([*path, "*"]) for path in leaves}


def difference(resource: ResourceType, olds: Properties, news: Properties) -> Difference:
    """Compare the last state with the new inputs."""
    result = Difference()
    for name, rule in sorted(resource.properties.items()):
        kinds: dict[str, Kind] = {}
        if rule.is_input:
            _compare(rule, name, plain(olds.get(name)), plain(news.get(name)), kinds)
        if kinds:
            result.changed.append(name)
            if rule.replace:
                result.replaces.append(name)
        elif rule.replace:
            result.stables.append(name)
        result.kinds |= {path: kind + rule.replace for path, kind in kinds.items()}
    return result


def _compare(rule: Property, path: str, old: Any, new: Any, kinds: dict[str, Kind]) -> None:
    """Add the differences at and below a path. Nothing given leaves computed values as they are."""
    if new is None and rule.computed:
        return
    if new is None and rule.default is not None:
        new = rule.default
    if rule.type == "block" and isinstance(old, dict) and isinstance(new, dict) and rule.of:
        for name, inner in sorted(rule.of.items()):
            _compare(inner, f"{path}.{name}", old.get(name), new.get(name), kinds)
        return
    if rule.type == "block" and is_empty(new) and _only_defaults(rule, old):
        return
    if new == UNKNOWN or (isinstance(new, str | list | dict) and is_unknown(new) and rule.type != "map"):
        kinds[path] = Kind.ADD if is_empty(old) else Kind.UPDATE
        return
    if rule.type in ("set", "list", "map"):
        _compare_collections(rule, path, old or [], new or [], kinds)
    elif not _same(old, new):
        kinds[path] = Kind.ADD if old is None else Kind.DELETE if new is None else Kind.UPDATE


def _same(old: Any, new: Any) -> bool:
    return bool(old == new) or (is_empty(old) and is_empty(new))


def _only_defaults(rule: Property, block: Any) -> bool:
    """Whether a block says nothing that leaving it out would not say (the provider's `applicationDiffSuppress`)."""
    if not isinstance(block, dict):
        return is_empty(block)
    inner = rule.of or {}
    return all(is_empty(value) or (name in inner and value == inner[name].default) for name, value in block.items())


def _compare_collections(rule: Property, path: str, old: Any, new: Any, kinds: dict[str, Kind]) -> None:
    if not old or not new:
        if old:
            kinds[path] = Kind.DELETE
        elif new:
            kinds[path] = Kind.ADD
        return
    if rule.type == "map":
        for name in sorted({*old, *new}):
            _compare_items(rule, f"{path}.{name}", old.get(name), new.get(name), kinds)
        return
    pairs = _set_pairs(old, new) if rule.type == "set" else _list_pairs(old, new)
    for index, before, after in pairs:
        _compare_items(rule, f"{path}[{index}]", before, after, kinds)


def _list_pairs(old: list[Any], new: list[Any]) -> list[tuple[int, Any, Any]]:
    size = max(len(old), len(new))
    padded = ([*items, *[None] * (size - len(items))] for items in (old, new))
    return [(index, before, after) for index, (before, after) in enumerate(zip(*padded, strict=True))]


def _set_pairs(old: list[Any], new: list[Any]) -> list[tuple[int, Any, Any]]:
    """Elements in only one of two sets; those at the same index are taken for one changed element."""
    gone = {index: item for index, item in enumerate(old) if item not in new}
    come = {index: item for index, item in enumerate(new) if item not in old}
    return [(index, gone.get(index), come.get(index)) for index in sorted({*gone, *come})]


def _compare_items(rule: Property, path: str, old: Any, new: Any, kinds: dict[str, Kind]) -> None:
    if old is None or new is None:
        if old is not new:
            kinds[path] = Kind.ADD if old is None else Kind.DELETE
    elif rule.of and isinstance(old, dict) and isinstance(new, dict):
        for name, inner in sorted(rule.of.items()):
            _compare(inner, f"{path}.{name}", old.get(name), new.get(name), kinds)
    elif old != new:
        kinds[path] = Kind.UPDATE
