"""An application registration as it is declared and as Entra ID shows it, and how the two differ. Pure, plain data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from provisioning.entra.permissions import Permission
from provisioning.entra.room import StoredSecret


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
