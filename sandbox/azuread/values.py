"""The wire format of properties: protobuf structs, with sentinels for unknown and secret values.

Source: the Pulumi protocol (sdk/go/common/resource, "special signatures").
"""

from __future__ import annotations

from typing import Any

from google.protobuf import struct_pb2

UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
"""The placeholder, in previews, for a value that only the update will know."""
SIGNATURE = "4dabf18193072939515e22adb298388d"
SECRET = "1b47061264138c4ac30d75fd1eb44270"
RESERVED = frozenset({"__defaults", "__meta", "__pulumi_raw_state_delta"})

Properties = dict[str, Any]


def read(struct: struct_pb2.Struct) -> Properties:
    """A struct as Python values: whole numbers as int, secrets unwrapped."""
    return {name: _read(value) for name, value in struct.fields.items()}


def _read(value: struct_pb2.Value) -> Any:
    match value.WhichOneof("kind"):
        case "struct_value":
            fields = read(value.struct_value)
            return fields.get("value") if fields.get(SIGNATURE) == SECRET else fields
        case "list_value":
            return [_read(item) for item in value.list_value.values]
        case "number_value":
            number = value.number_value
            return int(number) if number.is_integer() else number
        case "string_value":
            return value.string_value
        case "bool_value":
            return value.bool_value
    return None


def write(properties: Properties) -> struct_pb2.Struct:
    """Python values as a struct."""
    struct = struct_pb2.Struct()
    struct.update(properties)
    return struct


def secret(value: Any) -> Properties:
    """A value that the engine must encrypt and hide."""
    return {SIGNATURE: SECRET, "value": value}


def is_unknown(value: Any) -> bool:
    """Whether a value, or any part of it, is not known yet."""
    if isinstance(value, dict):
        return any(is_unknown(item) for item in value.values())
    if isinstance(value, list):
        return any(is_unknown(item) for item in value)
    return bool(value == UNKNOWN)


def plain(value: Any) -> Any:
    """A value without the engine's and the bridge's own keys, at every depth."""
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items() if name not in RESERVED}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value


def is_empty(value: Any) -> bool:
    """Null, or what the provider cannot tell from null: "", false, [], {} and objects of only those."""
    if isinstance(value, dict):
        return all(is_empty(item) for item in value.values())
    return value is None or value == "" or value is False or value == []
