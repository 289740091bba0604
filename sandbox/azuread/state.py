"""The shape of what the provider answers: properties from Graph's objects, Graph bodies and inputs from properties.

Pure; the rules are in data/schema.json. Null and empty differ here exactly as recorded: an attribute that the program
leaves out is null after a create, keeps its last null through updates, and is empty after a read.
"""

from __future__ import annotations

import zlib
from typing import Any

from sandbox.azuread.schema import Property, ResourceType, snake
from sandbox.azuread.values import UNKNOWN, Properties, is_empty, plain, secret

Json = dict[str, Any]
ZERO: dict[str, Any] = {"string": "", "bool": False, "int": 0, "set": [], "list": [], "map": {}, "block": None}


def set_order(rule: Property, items: list[Any]) -> list[Any]:
    """Items of a set in the order in which the real provider sends them: by the decimal text of a CRC-32.

    Source: terraform-plugin-sdk, helper/schema/set.go and serialize.go.
    """
    return sorted(items, key=lambda item: _code(_member(rule, item)))


def text_order(items: list[str]) -> list[str]:
    """The same of the sets that hash the texts alone: tags and owners."""
    return sorted(items, key=_code)


def by_value(items: list[Json]) -> dict[str, str]:
    """Ids of scopes or roles, by their names."""
    return {str(item["value"]): str(item["id"]) for item in items if item.get("value")}


def _code(text: str) -> str:
    return str(zlib.crc32(text.encode()))


def _member(rule: Property, item: Any) -> str:
    """An item of a collection, serialized."""
    if rule.of is None:
        return f"{_serialized('', item)};"
    inner = "".join(f"{key}:{text}" for key, text in sorted(_fields(rule.of, item)))
    return f"<{inner}>;"


def _fields(table: dict[str, Property], item: Properties) -> list[tuple[str, str]]:
    return [
        (rule.terraform or snake(name), f"{_serialized_property(rule, item.get(name))};")
        for name, rule in table.items()
    ]


def _serialized_property(rule: Property, value: Any) -> str:
    value = value if value is not None else rule.default if rule.default is not None else ZERO[rule.type]
    match rule.type:
        case "list" | "block":
            items = value if isinstance(value, list) else [] if value is None else [value]
            return f"({''.join(_member(rule, item) for item in items)})"
        case "set":
            return "{" + "".join(_member(rule, item) for item in set_order(rule, value)) + "}"
    return _serialized(rule.type, value)


def _serialized(kind: str, value: Any) -> str:
    return str(int(value)) if isinstance(value, bool) else str(value)


def from_graph(table: dict[str, Property], item: Json) -> Properties:
    """The properties that Graph's object has a path for; absent and null become the type's zero value."""
    return {name: _property(rule, _at(item, rule.graph)) for name, rule in table.items() if rule.graph}


def _at(item: Json, path: str | None) -> Any:
    value: Any = item
    for part in (path or "").split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _property(rule: Property, value: Any) -> Any:
    if value is None:
        zero = ZERO[rule.type]
        return rule.default if rule.type == "int" and rule.default is not None else zero
    if rule.of is not None and isinstance(value, dict):
        return from_graph(rule.of, value)
    if rule.of is not None and isinstance(value, list):
        return [from_graph(rule.of, item) for item in value]
    return sorted(value) if rule.type == "set" else value


def to_graph(table: dict[str, Property], values: Properties) -> Json:
    """A Graph body with every property that can be sent: "" and missing texts as null, sets by their hashes."""
    body: Json = {}
    for name, rule in table.items():
        if rule.graph and rule.is_input:
            _put(body, rule.graph, _sent(rule, values.get(name)))
    return body


def _put(body: Json, path: str, value: Any) -> None:
    *parents, last = path.split(".")
    for parent in parents:
        body = body.setdefault(parent, {})
    body[last] = value


def _sent(rule: Property, value: Any) -> Any:
    if rule.type == "block":
        return to_graph(rule.of or {}, value or {})
    if rule.type in ("set", "list"):
        items = value or []
        if rule.of is not None:
            return [to_graph(rule.of, item) for item in (set_order(rule, items) if rule.type == "set" else items)]
        return set_order(rule, items) if rule.type == "set" else items
    if rule.type == "string":
        return value or rule.default
    return value if value is not None else (rule.default if rule.default is not None else ZERO[rule.type])


def without_creation_only(table: dict[str, Property], body: Json, changed: set[str], prefix: str = "") -> Json:
    """The body of an update: without what is never patched, or only when it changed. changed: paths like `api.name`."""
    kept = dict(body)
    for name, rule in table.items():
        if not rule.graph or not rule.is_input:
            continue
        path = f"{prefix}{name}"
        if rule.patch == "never" or (rule.patch == "changed" and not changed & {path, f"{prefix}*"}):
            kept.pop(rule.graph, None)
        elif rule.type == "block" and rule.of:
            kept[rule.graph] = without_creation_only(rule.of, kept[rule.graph], changed, f"{path}.")
    return kept


def effective(resource: ResourceType, inputs: Properties, olds: Properties | None) -> Properties:
    """What the program asks for, with the last values of computed properties that it leaves open."""
    values = dict(plain(inputs))
    for name, rule in resource.properties.items():
        if values.get(name) is None and rule.computed and rule.optional and olds is not None:
            values[name] = plain(olds.get(name))
    return values


def after_create(table: dict[str, Property], inputs: Properties, values: Properties) -> Properties:
    """Empty attributes that the program left out are null, at the top and inside the blocks that it did give."""
    result = dict(values)
    for name, rule in table.items():
        given = inputs.get(name)
        if rule.type == "block" and rule.of and isinstance(given, dict) and isinstance(values.get(name), dict):
            result[name] = after_create(rule.of, given, values[name])
        elif rule.is_attribute_collection and not rule.computed and given is None and values.get(name) in ([], {}):
            result[name] = None
    return result


def after_update(table: dict[str, Property], inputs: Properties, olds: Properties, values: Properties) -> Properties:
    """Empty attributes that the program left out stay null where the last state had null."""
    result = dict(values)
    for name, rule in table.items():
        untouched = inputs.get(name) is None and olds.get(name) is None
        if rule.is_attribute_collection and not rule.computed and untouched and values.get(name) in ([], {}):
            result[name] = None
    return result


def kept(resource: ResourceType, source: Properties) -> Properties:
    """Properties that Graph never returns, from the inputs or the last state; booleans default to false."""
    result = {}
    for name, rule in resource.properties.items():
        if rule.kept:
            value = source.get(name)
            result[name] = False if value is None and name == "preventDuplicateNames" else value
    return result


def answer(resource: ResourceType, values: Properties) -> Properties:
    """Outputs for the engine: with `__meta`, and secrets marked."""
    marked = {
        name: secret(value) if name in resource.properties and resource.properties[name].secret and value else value
        for name, value in values.items()
    }
    return {"__meta": resource.meta, **marked}


def planned_creation(resource: ResourceType, inputs: Properties) -> Properties:
    """A preview of a create: inputs as they are, unknown where Graph decides, null or zero elsewhere."""
    given = plain(inputs)
    result: Properties = {"id": UNKNOWN}
    for name, rule in resource.properties.items():
        value = given.get(name)
        result[name] = value if value is not None else (UNKNOWN if rule.computed else rule.default)
    return result


def planned_update(resource: ResourceType, olds: Properties, inputs: Properties) -> Properties:
    """A preview of an update: the last state with the inputs laid over it."""
    given, result = plain(inputs), dict(plain(olds))
    for name, rule in resource.properties.items():
        if name in given:
            result[name] = _laid_over(rule, result.get(name), given[name])
        elif rule.is_input and not rule.computed and not is_empty(result.get(name)) and rule.type != "block":
            result[name] = rule.default if rule.default is not None else ZERO[rule.type]
    return result


def _laid_over(rule: Property, old: Any, new: Any) -> Any:
    if rule.type == "block" and isinstance(old, dict) and isinstance(new, dict):
        return {**old, **new}
    return new


def refreshed_inputs(table: dict[str, Property], old_inputs: Properties, values: Properties) -> Properties:
    """The last inputs with what is true now; what the program never gave stays out. `__defaults` names only defaults
    that still hold, and is left out when it names none."""
    result: Properties = {}
    for name, old in old_inputs.items():
        if name in table and values.get(name) is not None:
            result[name] = _refreshed(table[name], old, values[name])
    standing = [name for name in old_inputs.get("__defaults", []) if old_inputs.get(name) == result.get(name)]
    return {"__defaults": standing, **result} if standing else result


def _refreshed(rule: Property, old: Any, value: Any) -> Any:
    """A value as an input; of a list, no more items than it had (recorded)."""
    if isinstance(value, list) and isinstance(old, list) and rule.type != "map":
        pairs = list(zip(value, old, strict=False))
        return [refreshed_inputs(rule.of or {}, before, v) if isinstance(before, dict) else v for v, before in pairs]
    if rule.of is not None and isinstance(value, dict) and isinstance(old, dict):
        return refreshed_inputs(rule.of, old, value)
    return value


def imported_inputs(table: dict[str, Property], values: Properties) -> Properties:
    """Inputs for a resource that is adopted: what can be given and is neither zero nor the default."""
    result: Properties = {"__defaults": []}
    for name, rule in sorted(table.items()):
        value = values.get(name)
        if not rule.is_input or rule.kept or value == rule.default or (is_empty(value) and not _is_object_list(value)):
            continue
        result[name] = _imported(rule, value)
    return result


def _is_object_list(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], dict)


def _imported(rule: Property, value: Any) -> Any:
    if rule.of is None:
        return value
    if isinstance(value, dict):
        return imported_inputs(rule.of, value)
    return [imported_inputs(rule.of, item) for item in value]
