"""An application registration as it is declared and as Entra ID shows it, and how the two differ. Pure, plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from provisioning.entra.orphans import StoredSecret
from provisioning.entra.ownership import stack_of
from provisioning.entra.permissions import Permission


@dataclass(frozen=True)
class Declared:
    """What an application should be, as far as Entra ID shows it."""

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
    """How the application in Entra ID differs from the declared one, a sentence each; empty if it does not."""
    sentences = []
    if found.display_name != declared.display_name:
        sentences.append(f"the application is called '{found.display_name}' instead of '{declared.display_name}'")
    if found.audience != declared.audience:
        sentences.append(f"its audience is {found.audience} instead of {declared.audience}")
    return (
        *sentences,
        *_set_differences("redirect URI", declared.redirect_uris, found.redirect_uris),
        *_set_differences("permission", declared.permissions, found.permissions),
    )


def _set_differences(kind: str, declared: frozenset[Any], found: frozenset[Any]) -> list[str]:
    return [
        *(f"the declared {kind} {item} is missing" for item in sorted(declared - found)),
        *(f"the {kind} {item} is not declared" for item in sorted(found - declared)),
    ]


@dataclass(frozen=True)
class Found:
    """An application as Entra ID has it.

    application, principal: the objects as Graph sends them; there may be no service principal. owners,
    principal_owners: object ids.
    """

    application: Mapping[str, Any]
    owners: tuple[str, ...]
    principal: Mapping[str, Any] | None
    principal_owners: tuple[str, ...]


@dataclass(frozen=True)
class Candidate:
    """An application that may be the one to adopt. why: the reason. tags: as Entra ID has them."""

    client_id: str
    name: str
    redirect_uris: tuple[str, ...]
    tags: tuple[str, ...]
    why: str = ""

    @property
    def stack(self) -> str | None:
        """The stack that it belongs to; None if it was made by hand."""
        return stack_of(self.tags)
