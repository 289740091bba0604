"""Check: defaults filled in and marked, failures named. Pure; the rules are in data/schema.json."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from sandbox.azuread.schema import Property, ResourceType, snake
from sandbox.azuread.values import RESERVED, UNKNOWN, Properties

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
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
    found = _object(resource.properties, inputs, olds or {}, "", name)
    return sorted(found, key=lambda failure: failure.property)


def _object(table: dict[str, Property], given: Properties, olds: Properties, prefix: str, name: str) -> list[Failure]:
    found = []
    for key, rule in table.items():
        path, value = f"{prefix}{key}", given.get(key)
        if value is None:
            if rule.required:
                text = (
                    f'Missing required argument. The argument "{snake(key)}" is required, but no definition was found.'
                )
                found.append(_failure(path, text, name))
            continue
        if not rule.is_input:
            found.append(
                _failure(
                    path, f'Value for unconfigurable attribute. Can\'t configure a value for "{snake(key)}".', name
                )
            )
            continue
        for other in rule.conflicts:
            if given.get(other) is not None:
                found.append(
                    _failure(
                        path,
                        f'Conflicting configuration arguments. "{snake(key)}": conflicts with {snake(other)}.',
                        name,
                    )
                )
        found += _value(rule, value, olds.get(key), path, key, name)
    for key in given:
        if key not in table and key not in RESERVED:
            found.append(_failure(f"{prefix}{key}", f'Invalid or unknown key "{key}".', name))
    return found


def _value(rule: Property, value: Any, old: Any, path: str, key: str, name: str) -> list[Failure]:
    if value == UNKNOWN:
        return []
    if not _has_type(rule, value):
        return [
            _failure(
                path,
                f'Incorrect attribute value type. Inappropriate value for "{snake(key)}": {rule.type} required.',
                name,
            )
        ]
    if rule.unsupported and value not in ("", [], {}, old):
        return [
            _failure(
                path,
                f'The sandbox\'s stand-in for azuread does not know "{snake(key)}"; install the official plugin.',
                name,
            )
        ]
    if rule.minItems and len(value) < rule.minItems:
        return [
            _failure(
                path,
                f"Not enough list items. Attribute requires {rule.minItems} item minimum, but config has {len(value)}.",
                name,
            )
        ]
    if rule.type == "block" and rule.of is not None:
        return _object(rule.of, value, old if isinstance(old, dict) else {}, f"{path}.", name)
    if rule.type in ("set", "list"):
        found = []
        for index, item in enumerate(value):
            place = f"{path}[{index}]"
            if rule.of is not None and isinstance(item, dict):
                found += _object(rule.of, item, {}, f"{place}.", name)
            elif item != UNKNOWN:
                found += _scalar(rule, item, place, key, name)
        return found
    return [] if rule.type == "map" else _scalar(rule, value, path, key, name)


def _has_type(rule: Property, value: Any) -> bool:
    return isinstance(value, TYPES[rule.type]) and not (rule.type == "int" and isinstance(value, bool))


def _scalar(rule: Property, value: Any, path: str, key: str, name: str) -> list[Failure]:
    if rule.allowed is not None and value not in rule.allowed:
        return [_failure(path, f"expected {snake(key)} to be one of {_quoted(rule.allowed)}, got {value}.", name)]
    if rule.maxLength is not None and len(value) > rule.maxLength:
        text = f"expected length of {snake(key)} to be in the range (0 - {rule.maxLength}), got {value}."
        return [_failure(path, text, name)]
    problem = FORMATS[rule.format](value) if rule.format else None
    return [_failure(path, problem, name)] if problem else []


def _failure(path: str, text: str, name: str) -> Failure:
    return Failure(path, f"{text} Examine values at '{name}.{path}'.")


def _quoted(values: list[Any]) -> str:
    return "[" + " ".join(f'"{value}"' if isinstance(value, str) else str(value) for value in values) + "]"


def _uuid(value: Any) -> str | None:
    try:
        uuid.UUID(value)
    except (ValueError, AttributeError, TypeError):
        return f'Value must be a valid UUID, got "{value}".'
    return None


def _not_empty(value: Any) -> str | None:
    return None if isinstance(value, str) and value.strip() else "Value must not be empty."


def _rfc3339(value: Any) -> str | None:
    try:
        moment = datetime.fromisoformat(value)
    except (ValueError, TypeError):
        moment = None
    if moment is None or moment.tzinfo is None or "T" not in value:
        return f'Expected a valid RFC3339 date, got "{value}".'
    return None


def _url(value: Any) -> str | None:
    parts = urlsplit(str(value))
    return (
        None if parts.scheme in ("http", "https") and parts.netloc else f'Expected a http or https URL, got "{value}".'
    )


def _redirect_uri(value: Any) -> str | None:
    parts = urlsplit(str(value))
    if parts.fragment or not parts.netloc or len(str(value)) > 256:
        return f'Redirect URI must be absolute, without a fragment, and 256 characters or less, got "{value}".'
    if not parts.path:
        return f'Redirect URI must have a path, or a slash at its end, got "{value}".'
    if parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK):
        return None
    return f'Redirect URI must use https, or http with a loopback address, got "{value}".'


def _public_redirect_uri(value: Any) -> str | None:
    return None if urlsplit(str(value)).scheme else f'Redirect URI must be absolute, got "{value}".'


def _app_uri(value: Any) -> str | None:
    return None if urlsplit(str(value)).scheme else f'Identifier URI must be absolute, got "{value}".'


def _application_id(value: Any) -> str | None:
    if re.fullmatch(r"/applications/[0-9a-fA-F-]{36}", str(value)):
        return None
    return f'Expected the ID of an application, such as "/applications/<object id>", got "{value}".'


FORMATS: dict[str, Callable[[Any], str | None]] = {
    "uuid": _uuid,
    "not-empty": _not_empty,
    "rfc3339": _rfc3339,
    "url": _url,
    "redirect-uri": _redirect_uri,
    "public-redirect-uri": _public_redirect_uri,
    "app-uri": _app_uri,
    "application-id": _application_id,
}
