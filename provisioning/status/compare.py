"""What is there now for one stack: its state, held against what Entra ID and NocoBase show. Pure, plain data.

`Deployed` is what the state says was deployed, `Overview` what became of it: each side is in sync, or not and why, or
was not read and why. Nothing is guessed: a side that was not read is never called in sync.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from provisioning.entra.client_secret_plan import rfc3339
from provisioning.entra.registration import Registration, differences
from provisioning.nocobase.push import sign_in_mismatch
from provisioning.program.last_state import Deployed, Push
from provisioning.status.read import Held, HeldRow, Unread

GRACE = timedelta(days=7)
"""How long a rotation may be due before it counts as overdue: a weekly `pulumi up` would have done it."""


class Sync(StrEnum):
    """Whether a side is as the state says."""

    YES = "in sync"
    NO = "not in sync"
    UNREAD = "not read"


@dataclass(frozen=True)
class Side:
    """One side, compared with the state.

    reasons: why it is not in sync or was not read. notes: what is odd besides. skipped: not read because nobody asked.
    client_id: the one that it shows, None if it shows none.
    """

    target: str
    sync: Sync
    reasons: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    skipped: bool = False
    client_id: str | None = None

    def __str__(self) -> str:
        """The answer and its reasons in one line."""
        return f"{self.sync}: {'; '.join(self.reasons)}" if self.reasons else self.sync.value


@dataclass(frozen=True)
class Overview:
    """What is there now. nocobase: a side for each push of `deployed`. alarms: why a person is needed."""

    deployed: Deployed
    entra: Side
    nocobase: tuple[Side, ...]
    alarms: tuple[str, ...]

    @property
    def sync(self) -> Sync:
        """Of everything: the worst that is known, and unread before in sync."""
        found = {side.sync for side in (self.entra, *self.nocobase)}
        return next(sync for sync in (Sync.NO, Sync.UNREAD, Sync.YES) if sync in found)


def compare_entra(state: Deployed, found: Registration | Unread | None) -> Side:
    """Entra ID's side: what it shows of the application, None if it shows none."""
    if state.application is None:
        return Side("Entra ID", Sync.UNREAD, ("there is no application",), skipped=True)
    if isinstance(found, Unread):
        return Side("Entra ID", Sync.UNREAD, (found.reason,), skipped=found.asked_for)
    if found is None:
        return Side("Entra ID", Sync.NO, (f"the application {state.application.client_id} is not there",))
    stored = {secret.key_id for secret in found.secrets}
    gone = [
        f"the client secret in slot {secret.slot} was removed"
        for secret in state.secrets
        if secret.key_id not in stored
    ]
    unknown = len(stored - {secret.key_id for secret in state.secrets})
    notes = [f"{unknown} more client secret{'s' * (unknown > 1)} (see `secrets list`)"] if unknown else []
    reasons = (*differences(state.application.declared, found), *gone)
    return Side("Entra ID", Sync.NO if reasons else Sync.YES, reasons, tuple(notes), client_id=found.client_id)


def compare_nocobase(state: Deployed, push: Push, held: Held | Unread) -> Side:
    """One NocoBase's side: what it shows of the credentials that it was given."""
    if isinstance(held, Unread):
        return Side(push.target, Sync.UNREAD, (held.reason,), skipped=held.asked_for)
    reasons = row_differences(state, push, held.row)
    disproved = sign_in_mismatch(held.link, push.client_id, push.redirect_uris)
    if disproved is not None and not reasons:
        reasons = (disproved[0],)
    client_id = shown(held.row.client_id) if held.row.client_id else None
    return Side(push.target, Sync.NO if reasons else Sync.YES, reasons, client_id=client_id)


def row_differences(state: Deployed, push: Push, row: HeldRow) -> tuple[str, ...]:
    """How a NocoBase's email settings differ from what it was given, a sentence each; empty if they do not."""
    reasons = [f"the last push failed: {push.problem}"] if push.problem else []
    if row.client_id is None:
        reasons.append("it holds no email settings for Microsoft")
    elif row.client_id != push.client_id:
        reasons.append(f"it holds client id {shown(row.client_id)} instead of {push.client_id}")
    elif row.client_secret is not None and row.client_secret != push.client_secret:
        reasons.append("it holds another client secret")
    elif row.client_secret is None and push.updated_at and row.updated_at != push.updated_at:
        reasons.append(f"its email settings were changed on {row.updated_at}, and it hides the secret")
    if not push.problem and not any(push in state.used_by(secret) for secret in state.secrets):
        reasons.append(f"it was given a client secret that slot {push.slot} no longer holds")
    return tuple(reasons)


def overview(
    state: Deployed,
    registration: Registration | Unread | None,
    held: Sequence[Held | Unread],
    now: datetime,
    warn_days: int,
) -> Overview:
    """Everything together. held: what each NocoBase of `state.pushes` shows, in their order."""
    entra = compare_entra(state, registration)
    nocobase = tuple(compare_nocobase(state, *pair) for pair in zip(state.pushes, held, strict=True))
    odd = (side for side in (entra, *nocobase) if side.sync is not Sync.YES and not side.skipped)
    return Overview(
        state, entra, nocobase, (*alarms(state, now, warn_days), *(f"{side.target} is {side}" for side in odd))
    )


def alarms(state: Deployed, now: datetime, warn_days: int) -> tuple[str, ...]:
    """Why a person is needed, by the state and the time alone; a sentence each."""
    if state.application is None:
        return ("nothing is deployed: run `pulumi up`, or `pulumi stack rm` if it is no longer wanted",)
    if not state.pushes or state.next_rotation is None:
        return ("it was not deployed to its end: run `pulumi up`",)
    said = []
    for secret in state.secrets:
        if state.used_by(secret) and secret.ends - now <= timedelta(days=warn_days):
            verb = "has ended" if secret.ends <= now else "ends"
            said.append(
                f"the client secret in use, slot {secret.slot}, {verb} on {day(secret.ends)} "
                f"({in_days(secret.ends, now)}): run `pulumi up`, or `rotate` if that issues none"
            )
    if now - state.next_rotation > GRACE:
        said.append(
            f"a new client secret has been due since {day(state.next_rotation)} ({in_days(state.next_rotation, now)}): "
            "run `pulumi up`, and see why the scheduled one did not"
        )
    return tuple(said)


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
        "clientSecretExpiry": rfc3339(active.ends) if active else None,
        "daysLeft": (active.ends - now).days if active else None,
        "nextRotation": _time(state.next_rotation),
        "oldSecretRetires": _time(state.old_retires),
        "secrets": [
            {
                "slot": secret.slot.value,
                "name": secret.name,
                "keyId": secret.key_id,
                "issued": rfc3339(secret.issued),
                "expires": rfc3339(secret.ends),
                "daysLeft": (secret.ends - now).days,
                "inUse": bool(state.used_by(secret)),
            }
            for secret in state.secrets
        ],
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


def shown(client_id: str) -> str:
    """A client id that somebody typed: what cannot be one may be a secret in the wrong field, and is not repeated."""
    return (client_id if re.fullmatch(r"[\w-]*", client_id) else "…") or "none"


def day(moment: datetime) -> str:
    """The date, in UTC."""
    return moment.astimezone(UTC).date().isoformat()


def dated(moment: datetime | None, now: datetime) -> str | None:
    """The date and how far away it is; None if there is none."""
    return f"{day(moment)} ({in_days(moment, now)})" if moment else None


def in_days(moment: datetime, now: datetime) -> str:
    """How far away `moment` is, in whole days."""
    days = int((moment - now) / timedelta(days=1))
    count = f"{abs(days)} day{'s' * (abs(days) != 1)}"
    return f"in {count}" if days > 0 else f"{count} ago" if days < 0 else "today"


def _side(side: Side) -> dict[str, Any]:
    return {
        "inSync": _verdict(side.sync),
        "clientId": side.client_id,
        "reasons": list(side.reasons),
        "notes": list(side.notes),
    }


def _verdict(sync: Sync) -> bool | None:
    """None where nobody knows."""
    return None if sync is Sync.UNREAD else sync is Sync.YES


def _time(moment: datetime | None) -> str | None:
    return rfc3339(moment) if moment else None
