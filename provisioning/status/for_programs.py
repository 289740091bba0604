"""The overview of a stack for programs (`status --format json`): names and times as in the stack's outputs."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from enum import StrEnum
from typing import Any

from provisioning.entra.client_secret_plan import rfc3339
from provisioning.entra.orphans import StoredSecret
from provisioning.foreign import one_line
from provisioning.status.compare import Overview, Side, Sync
from provisioning.status.read import NOT_ASKED, Extra, Unread


class Kind(StrEnum):
    """Whose a client secret in Entra ID is."""

    OWN = "own"
    """The stack's."""
    ORPHANED = "orphaned"
    """Issued by an interrupted run of the stack; its state does not hold it."""
    FOREIGN = "foreign"
    """Somebody else's."""


def as_json(view: Overview, now: datetime) -> dict[str, Any]:
    """The overview for programs: names and times as in the stack's outputs, times in RFC 3339."""
    state = view.deployed
    active = next((secret for secret in state.secrets if state.used_by(secret)), None)
    return {
        "stack": state.stack,
        "sync": _verdict(view.sync),
        "alarms": list(view.alarms),
        "clientId": state.application.client_id if state.application else None,
        "tenantId": state.tenant_id,
        "applicationName": state.application.declared.display_name if state.application else None,
        "owners": every_owner(view),
        "consent": consent_for_programs(view),
        "clientSecretExpiry": rfc3339(active.ends) if active else None,
        "daysLeft": (active.ends - now).days if active else None,
        "nextRotation": _time(state.next_rotation),
        "oldSecretRetires": _time(state.old_retires),
        "secrets": list(every_secret(view, now)),
        "duplicates": every_duplicate(view),
        "entra": _side(view.entra),
        "nocobase": [
            {
                "url": push.url,
                "app": push.app,
                "slot": push.slot.value if push.slot else None,
                "since": _time(push.since),
                "redirectUris": list(push.redirect_uris),
                **_side(side),
            }
            for push, side in zip(state.pushes, view.nocobase, strict=True)
        ],
    }


def consent_for_programs(view: Overview) -> dict[str, Any] | None:
    """The scopes without consent for everybody, and who has to give it; None where it was not read."""
    consent = view.extra.consent if view.extra else NOT_ASKED
    if isinstance(consent, Unread):
        return None
    missing = list(consent.given.missing)
    return {"missingForEverybody": missing, "by": consent.rule.who.value if missing else None}


def every_owner(view: Overview) -> list[dict[str, str]] | None:
    """The application's owners, None where they were not read."""
    if view.owners is None:
        return None
    return [
        {"objectId": one_line(owner.object_id), "name": one_line(owner.name), "kind": one_line(owner.kind)}
        for owner in view.owners
    ]


def every_secret(view: Overview, now: datetime) -> Iterator[dict[str, Any]]:
    """Every client secret: the state's, and those that Entra ID has besides, of which less is known.

    Names and times are as in `as_json`.
    """
    for secret in view.deployed.secrets:
        yield {
            "kind": Kind.OWN.value,
            "slot": secret.slot.value,
            "name": secret.name,
            "keyId": secret.key_id,
            "issued": rfc3339(secret.start or secret.issued),
            "expires": rfc3339(secret.ends),
            "daysLeft": (secret.ends - now).days,
            "inUse": bool(view.deployed.used_by(secret)),
        }
    extra = view.extra or Extra()
    for kind, found in (
        (Kind.OWN, extra.superseded),
        (Kind.ORPHANED, extra.orphaned),
        (Kind.FOREIGN, extra.foreign),
    ):
        yield from (_other_secret(kind, secret, now) for secret in found)


def _other_secret(kind: Kind, secret: StoredSecret, now: datetime) -> dict[str, Any]:
    return {
        "kind": kind.value,
        "slot": None,
        "name": one_line(secret.display_name),
        "keyId": one_line(secret.key_id),
        "issued": _time(secret.start),
        "expires": _time(secret.end),
        "daysLeft": (secret.end - now).days if secret.end else None,
        "inUse": None,
    }


def every_duplicate(view: Overview) -> list[dict[str, str]] | None:
    """The duplicates of the application, None where they were not read."""
    if view.extra is None or isinstance(view.extra.duplicates, Unread):
        return None
    return [
        {"objectId": one_line(object_id), "name": one_line(name)} for object_id, name in view.extra.duplicates.items()
    ]


def _side(side: Side) -> dict[str, Any]:
    return {
        "inSync": _verdict(side.sync),
        "clientId": side.client_id,
        "reasons": list(side.reasons),
        "notes": list(side.notes),
    }


def _verdict(sync: Sync) -> bool | None:
    """None where it is unknown."""
    return None if sync is Sync.UNREAD else sync is Sync.YES


def _time(moment: datetime | None) -> str | None:
    return rfc3339(moment) if moment else None
