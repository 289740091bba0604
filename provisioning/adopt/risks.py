"""What an application has that others could use after an adoption, so that a person has to accept it first. Pure.

Whoever may register applications may prepare one: with the right name, the right redirect URI, the stack's tag, and
something of their own. Each kind of it has a word that accepts it. The word is made of what was found, so it accepts
nothing that came later, and nothing in another application.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from provisioning.addresses import comparable
from provisioning.entra.permissions import DELEGATED, Permission, scope_name, written
from provisioning.entra.registration import Owner
from provisioning.entra.weaknesses import weaknesses
from provisioning.foreign import counted, quoted

if TYPE_CHECKING:
    from provisioning.entra.registration import Found
    from provisioning.program.settings import Settings

FINGERPRINT = 12
"""Hexadecimal digits in a word that accepts something."""


@dataclass(frozen=True)
class Risk:
    """Something that others could use. word: what accepts it. said: what it is, and where to remove it."""

    word: str
    said: str


@dataclass(frozen=True)
class UsedSecret:
    """Which client secret NocoBase has. begins: its first three characters, None if NocoBase does not show them."""

    begins: str | None


def owners_at_risk(found: Found, known: Collection[str]) -> Risk | None:
    """The owners of application and service principal who are not among the `known` object ids."""
    named = {owner.object_id: owner for owner in found.people}
    foreign = sorted({*found.owners, *found.principal_owners} - set(known))
    shown = counted(str(named.get(object_id, Owner(object_id))) for object_id in foreign)
    return _risk(
        found,
        "owners",
        foreign,
        f"Others own it, and stay owners: {shown}. An owner can add secrets and redirect URIs at any time. Remove "
        "those you do not know: App registrations → Owners, and Enterprise applications → Owners.",
    )


def redirect_uris_at_risk(found: Found, kept: Iterable[str], settings: Settings) -> Risk | None:
    """Those of the redirect URIs that are `kept` which lead elsewhere than to an installation, and are not declared."""
    own = {_place(installation.url) for installation in settings.installations}
    foreign = sorted({uri for uri in kept if uri not in settings.redirect_uris and _place(uri) not in own})
    return _risk(
        found,
        "redirect-uris",
        foreign,
        f"It sends users to other places than this stack's NocoBase: {counted(map(quoted, foreign))}. Whoever has such "
        "a place gets the answers to sign-ins. Remove those you do not know: App registrations → Authentication.",
    )


def _place(uri: str) -> tuple[str, str] | str:
    """Scheme, host and port; all of it if that is no URL."""
    try:
        parts = urlsplit(comparable(uri))
    except ValueError:
        return uri
    return parts.scheme, parts.netloc


def credentials_at_risk(found: Found, used: UsedSecret | None, now: datetime) -> Risk | None:
    """The credentials that are valid, except for the client secret that NocoBase has. used: None if it has none."""
    secrets = _valid(found.application.get("passwordCredentials"), now)
    told = {
        _id("client secret", item): _shown("client secret", item) for item in secrets if item is not _of(used, secrets)
    }
    for item in _valid(found.application.get("keyCredentials"), now):
        told[_id("certificate", item)] = _shown("certificate", item)
    for item in found.federated_credentials:
        told[_id("federated credential", item)] = (
            f"federated credential {quoted(item.get('name') or '')} of {quoted(_let_in_by(item))} "
            f"at {quoted(item.get('issuer') or '')}"
        )
    return _risk(
        found,
        "credentials",
        told,
        f"Somebody may have credentials that NocoBase does not use: {counted(told.values())}. Whoever has one can sign "
        "in as the application. Remove those you do not know: App registrations → Certificates & secrets.",
    )


def _valid(credentials: Iterable[Mapping[str, Any]] | None, now: datetime) -> list[Mapping[str, Any]]:
    """Those that have not expired."""
    ends = ((item, item.get("endDateTime")) for item in credentials or ())
    return [item for item, end in ends if end is None or datetime.fromisoformat(str(end)) > now]


def _of(used: UsedSecret | None, secrets: list[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The one of the valid secrets that NocoBase has; None where that is not clear. Graph shows how a secret begins."""
    if used is None:
        return None
    could = [item for item in secrets if used.begins is None or item.get("hint") in (None, used.begins)]
    return could[0] if len(could) == 1 else None


def _let_in_by(credential: Mapping[str, Any]) -> str:
    """The subject of a federated credential, or the expression of a flexible one."""
    expression = credential.get("claimsMatchingExpression") or {}
    return str(credential.get("subject") or expression.get("value") or "any subject")


def _id(kind: str, item: Mapping[str, Any]) -> str:
    return f"{kind} {item.get('keyId') or item.get('id') or item.get('name') or item.get('displayName')}"


def _shown(kind: str, item: Mapping[str, Any]) -> str:
    return f"{kind} {quoted(item.get('displayName') or '')} ({quoted(item.get('keyId') or 'no id')})"


def permissions_at_risk(found: Found, there: Iterable[Permission], settings: Settings) -> Risk | None:
    """Permissions of the application's own; and all that are not declared, if `pulumi up` consents to them."""
    foreign = [
        one
        for one in there
        if one not in settings.permissions
        and (one.kind != DELEGATED or (settings.tenant_consent and scope_name(one) is not None))
    ]
    shown = counted(map(str, foreign))
    return _risk(
        found,
        "permissions",
        map(written, foreign),
        f"It asks for permissions that mail does not need: {shown}. Whoever has its credentials has them once an "
        "administrator consents. Remove those you do not know: App registrations → API permissions.",
    )


def weaknesses_at_risk(found: Found) -> Risk | None:
    """Properties by which others could get tokens, or use the application as an API."""
    told = list(weaknesses(found.application))
    return _risk(
        found,
        "weaknesses",
        told,
        f"It is more open than mail needs: {counted(told)}. If nobody needs that, turn it off: App registrations → "
        "Authentication, and Expose an API.",
    )


def _risk(found: Found, kind: str, values: Iterable[str], said: str) -> Risk | None:
    """A risk with the word for exactly these values in this application; None if there are none."""
    values = sorted(values)
    if not values:
        return None
    text = "\0".join([str(found.application["appId"]), kind, *values])
    fingerprint = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:FINGERPRINT]
    return Risk(f"{kind}-{fingerprint}", said)
