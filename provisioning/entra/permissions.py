"""Permissions, and how a person writes them: mail scopes by name, any other permission by ids."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from provisioning.entra.scopes import MICROSOFT_GRAPH, SCOPE_IDS
from provisioning.foreign import GUID, quoted

DELEGATED = "Scope"
"""Entra ID's type for a permission that a signed-in user delegates; `Role` is an application permission."""

SCOPE_NAMES = {id_: name for name, id_ in SCOPE_IDS.items()}


class Permission(NamedTuple):
    """One permission that an application asks for: of which resource, its id there, and its type."""

    resource: str
    id: str
    kind: str = DELEGATED

    def __str__(self) -> str:
        """Its name, if it is a mail permission of Microsoft Graph."""
        known = SCOPE_NAMES.get(self.id) if self.resource == MICROSOFT_GRAPH else None
        resource = "Microsoft Graph" if self.resource == MICROSOFT_GRAPH else quoted(self.resource)
        name = known or f"{resource} {quoted(self.id)}"
        return name if self.kind == DELEGATED else f"{name} (type {quoted(self.kind)})"


WRITTEN = re.compile(rf"(?P<resource>{GUID})/(?P<id>{GUID})=(?P<kind>Scope|Role)")


def parse(text: str) -> Permission | None:
    """The permission that `text` names; None if it is not written as one."""
    found = WRITTEN.fullmatch(text)
    return Permission(found["resource"].lower(), found["id"].lower(), found["kind"]) if found else None


def written(permission: Permission) -> str:
    """What `parse` reads: `<client ID of the API>/<id of the permission>=Scope` (or `=Role`)."""
    return f"{permission.resource}/{permission.id}={permission.kind}"


def scope_name(permission: Permission) -> str | None:
    """The name of a mail scope, None for other permissions."""
    mail = permission.resource == MICROSOFT_GRAPH and permission.kind == DELEGATED
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
