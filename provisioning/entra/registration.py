"""An application registration as it is declared and as Entra ID shows it, and how the two differ. Pure, plain data."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from provisioning.entra.room import StoredSecret
from provisioning.entra.scopes import MICROSOFT_GRAPH, SCOPE_IDS

DELEGATED = "Scope"
"""What Entra ID calls a permission that a signed-in user delegates; `Role` is one of the application's own."""

SCOPE_NAMES = {id_: name for name, id_ in SCOPE_IDS.items()}


@dataclass(frozen=True, order=True)
class Permission:
    """One permission that an application asks for: of which resource, its id there, and its type."""

    resource: str
    id: str
    kind: str = DELEGATED

    def __str__(self) -> str:
        """Its name, if it is a mail permission of Microsoft Graph."""
        known = SCOPE_NAMES.get(self.id) if self.resource == MICROSOFT_GRAPH else None
        name = known or f"{'Microsoft Graph' if self.resource == MICROSOFT_GRAPH else self.resource} {self.id}"
        return name if self.kind == DELEGATED else f"{name} (type {self.kind})"


@dataclass(frozen=True)
class Declared:
    """What an application is to be, as far as Entra ID shows it."""

    display_name: str
    audience: str
    redirect_uris: frozenset[str]
    permissions: frozenset[Permission]


@dataclass(frozen=True)
class Registration(Declared):
    """What an application is. secrets: all of its client secrets, without values."""

    object_id: str
    client_id: str
    secrets: tuple[StoredSecret, ...]


@dataclass(frozen=True)
class Grant:
    """A consent to delegated permissions of one resource.

    resource_id: the object id of the resource's service principal. everybody: an administrator's consent for the whole
    tenant, else one user's own.
    """

    resource_id: str
    scopes: frozenset[str]
    everybody: bool


def graph_scopes(names: Iterable[str]) -> frozenset[Permission]:
    """The delegated permissions of Microsoft Graph with these names."""
    return frozenset(Permission(MICROSOFT_GRAPH, SCOPE_IDS[name]) for name in names)


def differences(declared: Declared, found: Registration) -> tuple[str, ...]:
    """How Entra ID's application differs from what is declared, a sentence each; empty if it does not."""
    said = []
    if found.display_name != declared.display_name:
        said.append(f"the application is called '{found.display_name}' instead of '{declared.display_name}'")
    if found.audience != declared.audience:
        said.append(f"its audience is {found.audience} instead of {declared.audience}")
    return (
        *said,
        *_set_differences("redirect URI", declared.redirect_uris, found.redirect_uris),
        *_set_differences("permission", declared.permissions, found.permissions),
    )


def _set_differences(kind: str, declared: frozenset[Any], found: frozenset[Any]) -> list[str]:
    return [
        *(f"the declared {kind} {item} is missing" for item in sorted(declared - found)),
        *(f"the {kind} {item} is not declared" for item in sorted(found - declared)),
    ]
