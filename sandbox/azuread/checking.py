"""Check: defaults filled in and marked, failures named. Pure; the rules are in data/schema.json."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from sandbox.azuread.schema import Property, ResourceType, snake
from sandbox.azuread.values import RESERVED, UNKNOWN, Properties

TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "bool": (bool,),
    "int": (int,),
    "set": (list,),
    "list": (list,),
    "map": (dict,),
    "block": (dict,),
}


@dataclass(frozen=True)
class Failure:
    """A property that cannot be accepted, and why."""

    property: str
    reason: str


def with_defaults(table: dict[str, Property], inputs: Properties, olds: Properties | None = None) -> Properties:
    """The inputs with defaults filled in; `__defaults` names them, in every object.

    olds: the last inputs. Where a default came from there, or a refresh left no note of it, their value goes on as the
    default (recorded: what somebody set by hand stays).
    """
    last = olds or {}
    result: Properties = {}
    for name, value in inputs.items():
        if name in RESERVED:
            continue
        rule = table.get(name)
        result[name] = _nested_defaults(rule, value, last.get(name)) if rule else value
    defaults = sorted(
        name for name, rule in table.items() if rule.default is not None and inputs.get(name) is None and rule.is_input
    )
    for name in defaults:
        kept = name in last.get("__defaults", last) and last.get(name) is not None
        result[name] = last[name] if kept else table[name].default
    return {"__defaults": defaults, **result}


def _nested_defaults(rule: Property, value: Any, old: Any) -> Any:
    if rule.of is None:
        return value
    if isinstance(value, dict):
        return with_defaults(rule.of, value, old if isinstance(old, dict) else None)
    if isinstance(value, list):
        return [with_defaults(rule.of, item) if isinstance(item, dict) else item for item in value]
    return value


def failures(resource: ResourceType, name: str, inputs: Properties, olds: Properties | None = None) -> list[Failure]:
    """Everything that is wrong with the inputs, sorted by property.

    name: the resource's name, for the messages. olds: the last inputs; what this stand-in does not set may stay.
    """
    found = _object(resource.properties, inputs, olds or {}, Place(name))
    return sorted(found, key=lambda failure: failure.property)


@dataclass(frozen=True)
class Place:
    """Where a value is. resource: its name. path: as Pulumi writes it. key: as the provider's own schema does."""

    resource: str
    path: str = ""
    key: str = ""

    def of(self, name: str, rule: Property | None = None) -> Place:
        """A property of the object here."""
        key = (rule and rule.terraform) or snake(name)
        return replace(self, path=f"{self.path}.{name}".lstrip("."), key=f"{self.key}.{key}".lstrip("."))

    def item(self, index: int) -> Place:
        """An item of the list here."""
        return replace(self, path=f"{self.path}[{index}]", key=f"{self.key}.{index}")

    @property
    def block(self) -> Place:
        """The object here, which is the only item of a list in the provider's own schema."""
        return replace(self, key=f"{self.key}.0")

    def failure(self, reason: str) -> Failure:
        """A failure of the value here."""
        return Failure(self.path, f"{reason}. Examine values at '{self.resource}.{self.path}'.")


def _object(table: dict[str, Property], given: Properties, olds: Properties, at: Place) -> list[Failure]:
    found = []
    for key, rule in table.items():
        place, value = at.of(key, rule), given.get(key)
        if value is None:
            if rule.required:
                found.append(Failure(place.path, f"Missing required property '{place.path}'"))
            continue
        if not rule.is_input:
            text = f'Value for unconfigurable attribute. Can\'t configure a value for "{snake(key)}"'
            found.append(place.failure(text))
            continue
        for other in rule.conflicts:
            if given.get(other) is not None:
                text = f'Conflicting configuration arguments. "{place.key}": conflicts with {snake(other)}'
                found.append(place.failure(text))
        found += _value(rule, value, olds.get(key), place, key)
    for key in given:
        if key not in table and key not in RESERVED:
            found.append(at.of(key).failure("Invalid or unknown key"))
    return found


def _value(rule: Property, value: Any, old: Any, at: Place, key: str) -> list[Failure]:
    if value == UNKNOWN:
        return []
    if not _has_type(rule, value):
        text = f'Incorrect attribute value type. Inappropriate value for "{snake(key)}": {rule.type} required'
        return [at.failure(text)]
    if rule.unsupported and value not in ("", [], {}, old):
        text = f'The sandbox\'s stand-in for azuread does not know "{snake(key)}"; install the official plugin'
        return [at.failure(text)]
    if rule.minItems and len(value) < rule.minItems:
        text = f"Not enough list items. Attribute requires {rule.minItems} item minimum, but config has {len(value)}"
        return [at.failure(text)]
    if rule.type == "block" and rule.of is not None:
        return _object(rule.of, value, old if isinstance(old, dict) else {}, at.block)
    if rule.type in ("set", "list"):
        found = []
        for index, item in enumerate(value):
            if rule.of is not None and isinstance(item, dict):
                found += _object(rule.of, item, {}, at.item(index))
            elif item != UNKNOWN:
                found += _scalar(rule, item, at.item(index))
        return found
    return [] if rule.type == "map" else _scalar(rule, value, at)


def _has_type(rule: Property, value: Any) -> bool:
    return isinstance(value, TYPES[rule.type]) and not (rule.type == "int" and isinstance(value, bool))


def _scalar(rule: Property, value: Any, at: Place) -> list[Failure]:
    if rule.allowed is not None and value not in rule.allowed:
        return [at.failure(f"expected {at.key} to be one of {_quoted(rule.allowed)}, got {value}")]
    if rule.maxLength is not None and len(value) > rule.maxLength:
        return [at.failure(f"expected length of {at.key} to be in the range (0 - {rule.maxLength}), got {value}")]
    problem = FORMATS[rule.format](value, at.key) if rule.format else None
    return [at.failure(problem)] if problem else []


def _quoted(values: list[Any]) -> str:
    return "[" + " ".join(f'"{value}"' if isinstance(value, str) else str(value) for value in values) + "]"


def _uuid(value: Any, key: str) -> str | None:
    try:
        uuid.UUID(value)
    except (ValueError, AttributeError, TypeError):
        return f'expected "{key}" to be a valid UUID, got {value}'
    return None


def _not_empty(value: Any, key: str) -> str | None:
    return None if isinstance(value, str) and value else f'expected "{key}" to not be an empty string, got {value}'


def _rfc3339(value: Any, key: str) -> str | None:
    try:
        moment = datetime.fromisoformat(value)
    except (ValueError, TypeError):
        moment = None
    if moment is None or moment.tzinfo is None or "T" not in value:
        return f'expected "{key}" to be a valid RFC3339 date, got "{value}"'
    return None


def _uri(
    value: Any, key: str, schemes: tuple[str, ...] = (), *, urn: bool = False, path: bool = False, longest: int = 0
) -> str | None:
    """What is wrong with a URI, which needs a host. Source: azuread, internal/helpers/tf/validation/uri.go, v3.9.0.

    schemes: those that are allowed; () for all, with which a path is not needed. urn: whether a URN will do. path:
    whether a path is needed. longest: how many characters it may have; 0 for any number.
    """
    text = str(value)
    if not text:
        return f'URI must not be empty for "{key}"'
    if not (urn and re.match("urn:[^:]*:", text)):
        parts = urlsplit(text)
        if not parts.netloc:
            return f'URI has no host for "{key}"'
        if schemes and path and not parts.path:
            return f'URI must have a trailing slash when there is no path segment for "{key}"'
        if schemes and parts.scheme not in schemes:
            return f'unexpected URI scheme for "{key}", expected one of: {", ".join(schemes)}'
    if longest and len(text) > longest:
        return f'{"URI" if longest == LONGEST_REDIRECT else "URL"} must be {longest} characters or less for "{key}"'
    return None


def _application_id(value: Any, key: str) -> str | None:
    if re.fullmatch(r"/applications/[0-9a-fA-F-]{36}", str(value)):
        return None
    return f'parsing "{value}": expected the ID of an application, such as "/applications/<object id>"'


HTTP = ("http", "https")
REDIRECT_SCHEMES = (*HTTP, "ms-appx-web", "brk-multihub")
LONGEST_REDIRECT, LONGEST_LOGOUT = 256, 255

FORMATS: dict[str, Callable[[Any, str], str | None]] = {
    "uuid": _uuid,
    "not-empty": _not_empty,
    "rfc3339": _rfc3339,
    "url": partial(_uri, schemes=HTTP),
    "logout-url": partial(_uri, schemes=HTTP, longest=LONGEST_LOGOUT),
    "redirect-uri": partial(_uri, schemes=REDIRECT_SCHEMES, urn=True, path=True, longest=LONGEST_REDIRECT),
    "spa-redirect-uri": partial(_uri, schemes=REDIRECT_SCHEMES, path=True, longest=LONGEST_REDIRECT),
    "public-redirect-uri": partial(_uri, urn=True, longest=LONGEST_REDIRECT),
    "application-id": _application_id,
}
