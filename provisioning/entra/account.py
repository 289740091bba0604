"""Who is signed in and what they may do, as their access token says it. Pure."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

CHANGE_OWN = "Application.ReadWrite.OwnedBy"
"""The permission to make applications, and to change those that the caller owns."""

CHANGE_ANY = ("Application.ReadWrite.All", "Directory.ReadWrite.All")
"""Permissions of which each lets an application change every application."""

READ_DIRECTORY = ("Directory.Read.All", "Directory.ReadWrite.All")
"""Permissions of which one is needed to add other owners. Source: Graph's page "Add owner" of an application."""

READ_USERS = ("User.Read.All", "Directory.ReadWrite.All")
"""Permissions of which one is needed, too, to add a person. Source: azuread's page of the resource."""


@dataclass(frozen=True)
class Account:
    """Whoever is signed in.

    name: a user's sign-in name, an application's client ID. application: whether it is one. granted: Graph permissions,
    an application's own or those that a user delegated. directory_roles: ids.
    """

    name: str
    object_id: str
    tenant_id: str
    application: bool
    granted: frozenset[str]
    directory_roles: frozenset[str] = frozenset()


def read_claims(token: str) -> dict[str, Any]:
    """What an access token or API key says of itself, {} if it is no JWT. Its signature is not looked at."""
    try:
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (IndexError, ValueError, binascii.Error):
        return {}
    return claims if isinstance(claims, dict) else {}


def account_of(claims: Mapping[str, Any]) -> Account:
    """Whose access token for Microsoft Graph it is."""
    application = claims.get("idtyp") == "app" or "scp" not in claims
    granted = claims.get("roles") or [] if application else str(claims["scp"]).split()
    user = claims.get("upn") or claims.get("unique_name") or claims.get("preferred_username")
    return Account(
        name=str(claims.get("appid") or claims.get("azp") if application else user or claims.get("oid")),
        object_id=str(claims.get("oid")),
        tenant_id=str(claims.get("tid")),
        application=application,
        granted=frozenset(map(str, granted)),
        directory_roles=frozenset(map(str, claims.get("wids") or [])),
    )


def depends_on_people(account: Account, others: Collection[str]) -> bool:
    """Whether an application may add those of `others` only who are no people. others: object ids."""
    added = set(others) - {account.object_id}
    reads_directory = not account.granted.isdisjoint(READ_DIRECTORY)
    return account.application and bool(added) and reads_directory and account.granted.isdisjoint(READ_USERS)


def why_may_not_add_owners(
    account: Account, others: Collection[str], people: Collection[str] = ()
) -> tuple[str, str] | None:
    """Why an application may not add `others` as owners, and which permissions it lacks; None if it may.

    others: object ids. people: those of them who are known to be users; see `depends_on_people`.
    With Application.ReadWrite.OwnedBy alone Entra ID rejects them; of those that are named when the application is
    created, that is unknown. Source: Graph's page "Add owner", azuread's page of the resource.
    """
    added = set(others) - {account.object_id}
    if not account.application or not added:
        return None
    if account.granted.isdisjoint(READ_DIRECTORY):
        return (
            f"it may not add other owners ({', '.join(sorted(added))})",
            f"add {READ_DIRECTORY[0]}, and {READ_USERS[0]} where an owner is a person, then grant admin consent; or "
            "have a person who may add owners run `pulumi up`.",
        )
    if depends_on_people(account, others) and (users := added & set(people)):
        return (
            f"it may not add people as owners ({', '.join(sorted(users))})",
            f"add {READ_USERS[0]}, then grant admin consent; or have a person who may add owners run `pulumi up`.",
        )
    return None
