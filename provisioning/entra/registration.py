"""An application registration as it is declared and as Entra ID shows it, with its owners: plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from provisioning.entra.orphans import StoredSecret
from provisioning.entra.permissions import Permission
from provisioning.entra.tags import stack_of
from provisioning.foreign import quoted


@dataclass(frozen=True)
class Owner:
    """An owner in Entra ID. name: empty where Graph does not tell it. kind: user, service principal, …"""

    object_id: str
    name: str = ""
    kind: str = ""

    def __str__(self) -> str:
        """Who it is, in words."""
        named = " ".join(quoted(word) if word is self.name else word for word in (self.kind, self.name) if word)
        return f"{named} ({quoted(self.object_id)})" if named else quoted(self.object_id)


@dataclass(frozen=True)
class Declared:
    """What an application should be, as far as Entra ID shows it. tags: the stack's own; others may be there, too."""

    display_name: str
    audience: str
    redirect_uris: frozenset[str]
    permissions: frozenset[Permission]
    tags: frozenset[str] = field(default=frozenset(), kw_only=True)


WEB = "Web"
"""The platform, by its name in the portal, whose redirect URIs NocoBase's server can use."""

OTHER_PLATFORMS = {"spa": "Single-page application", "publicClient": "Mobile and desktop applications"}
"""Graph's name of each other platform with redirect URIs → its name in the portal."""


@dataclass(frozen=True)
class Registration(Declared):
    """What an application is. redirect_uris: those of the platform Web. tags: all of them.

    secrets: all of its client secrets, without values. disabled: who has deactivated it; None if nobody has.
    of_other_platforms: redirect URI → the platform, for those that are not of Web. owners: None if they are not told.
    weaknesses, certificates: see the module of that name.
    """

    object_id: str
    client_id: str
    secrets: tuple[StoredSecret, ...]
    disabled: str | None = None
    of_other_platforms: Mapping[str, str] = field(default_factory=dict)
    owners: tuple[Owner, ...] | None = None
    weaknesses: tuple[str, ...] = ()
    certificates: tuple[str, ...] = ()


def who_disabled(deactivated: bool | None, by_microsoft: str | None) -> str | None:
    """Who has deactivated an application; None if nobody has.

    deactivated: Graph's `isDisabled`. by_microsoft: `disabledByMicrosoftStatus`.
    """
    if by_microsoft not in (None, "", "NotDisabled"):
        return f"Microsoft ({quoted(by_microsoft)})"
    return "an owner or administrator" if deactivated else None


@dataclass(frozen=True)
class Principal:
    """An application's service principal in this tenant.

    enabled: whether users can sign in to it. assignment_required: whether only users can who are assigned to it.
    owners: None if they are not told.
    """

    object_id: str
    enabled: bool
    assignment_required: bool = False
    owners: tuple[Owner, ...] | None = None


@dataclass(frozen=True)
class Grant:
    """A consent to delegated permissions of one resource.

    resource_id: the object id of the resource's service principal. everybody: an administrator's consent for the whole
    tenant, else one user's own. id: Graph's.
    """

    resource_id: str
    scopes: frozenset[str]
    everybody: bool
    id: str = field(default="", compare=False)


@dataclass(frozen=True)
class Found:
    """An application as Entra ID has it.

    application, principal, federated_credentials: as Graph sends them; there may be no service principal. owners,
    principal_owners: object ids. people: these owners by name, as far as Graph tells it.
    """

    application: Mapping[str, Any]
    owners: tuple[str, ...]
    principal: Mapping[str, Any] | None
    principal_owners: tuple[str, ...]
    people: tuple[Owner, ...] = ()
    federated_credentials: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True)
class Candidate:
    """An application that may be the one to adopt. why: the reason. tags: as Entra ID has them; anybody may set them.

    owners: None where they were not asked for.
    """

    client_id: str
    name: str
    redirect_uris: tuple[str, ...]
    tags: tuple[str, ...]
    why: str = ""
    object_id: str = ""
    created: datetime | None = None
    owners: tuple[Owner, ...] | None = None

    @property
    def stack(self) -> str | None:
        """The stack that its tags name; None if they name none."""
        return stack_of(self.tags)
