"""How a person writes permissions: mail scopes by name, whatever else is wanted by ids."""

from __future__ import annotations

import re
from collections.abc import Iterable

from provisioning.entra.registration import SCOPE_NAMES, Permission
from provisioning.entra.scopes import MICROSOFT_GRAPH, SCOPE_IDS

GUID = "[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
WRITTEN = re.compile(rf"(?P<resource>{GUID})/(?P<id>{GUID})=(?P<kind>Scope|Role)")


def parse(text: str) -> Permission | None:
    """The permission that `text` stands for, None if it is not written as one."""
    found = WRITTEN.fullmatch(text)
    return Permission(found["resource"].lower(), found["id"].lower(), found["kind"]) if found else None


def written(permission: Permission) -> str:
    """What `parse` reads: `<client id of the API>/<id of the permission>=Scope` (or `=Role`)."""
    return f"{permission.resource}/{permission.id}={permission.kind}"


def scope_name(permission: Permission) -> str | None:
    """The name of a mail scope, None for other permissions."""
    mail = permission.resource == MICROSOFT_GRAPH and permission.kind == "Scope"
    return SCOPE_NAMES.get(permission.id) if mail else None


def of_scopes(names: Iterable[str]) -> list[Permission]:
    """The permissions behind mail scopes, in their order."""
    return [Permission(MICROSOFT_GRAPH, SCOPE_IDS[name]) for name in names]


def by_resource(permissions: Iterable[Permission]) -> dict[str, list[Permission]]:
    """The permissions of each API, in their order, each once."""
    sorted_out: dict[str, list[Permission]] = {}
    for permission in dict.fromkeys(permissions):
        sorted_out.setdefault(permission.resource, []).append(permission)
    return sorted_out
