"""Compares what is declared with what Entra ID and NocoBase show. Pure functions over plain data.

First the differences, a sentence each, which `doctor` uses, too; then `Overview`, what is there now for one stack: each
side is in sync, or not and why, or was not read and why. Nothing is guessed: a side that was not read is never called
in sync.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from provisioning.entra.client_secret_plan import rfc3339
from provisioning.entra.orphans import StoredSecret
from provisioning.entra.permissions import Permission
from provisioning.entra.registration import WEB, Declared, Owner, Principal, Registration
from provisioning.entra.rules import Audience
from provisioning.foreign import LONGEST_MESSAGE, MOST_LISTED, counted, guid, one_line, quoted
from provisioning.nocobase.sign_in_link import Accounts, audience_mismatch, sign_in_mismatch
from provisioning.program.last_state import Deployed, Push
from provisioning.status.read import NOT_ASKED, Extra, Held, HeldRow, Unread

ENTRA_ID = "Entra ID"
"""The target of that side."""

GRACE = timedelta(days=7)
"""How long a rotation may be due before it counts as overdue: a weekly `pulumi up` would have done it."""


def application_differences(declared: Declared, found: Registration) -> tuple[str, ...]:
    """How Entra ID's application differs from the declared one; empty if it does not."""
    return (
        *identity_differences(declared, found),
        *redirect_uri_differences(declared, found),
        *permission_differences(declared, found),
    )


def identity_differences(declared: Declared, found: Registration) -> tuple[str, ...]:
    """How name and audience differ, and which of the stack's own tags are missing."""
    said = []
    if found.display_name != declared.display_name:
        said.append(f"the application is called {quoted(found.display_name)} instead of '{declared.display_name}'")
    if found.audience != declared.audience:
        said.append(f"its audience is {quoted(found.audience)} instead of {declared.audience}")
    return (*said, *(f"the declared tag {quoted(tag)} is missing" for tag in sorted(declared.tags - found.tags)))


def owner_differences(declared: Collection[str], found: Collection[Owner] | None, of: str) -> tuple[str, ...]:
    """Which owners of the stack's own are missing; others may be there, too. found: None if they are not told.

    of: what they own.
    """
    missing = () if found is None else sorted({*declared} - {owner.object_id for owner in found})
    return tuple(f"the declared owner {quoted(owner)} of the {of} is missing" for owner in missing)


def redirect_uri_differences(declared: Declared, found: Registration) -> tuple[str, ...]:
    """How the redirect URIs differ; one of another platform is of no use to NocoBase's server."""
    misplaced = misplaced_redirect_uris(declared, found)
    return (
        *(
            f"the declared redirect URI {uri} is registered for the platform {platform} instead of {WEB}"
            for uri, platform in misplaced.items()
        ),
        *set_differences("redirect URI", declared.redirect_uris - misplaced.keys(), found.redirect_uris),
    )


def misplaced_redirect_uris(declared: Declared, found: Registration) -> dict[str, str]:
    """Declared redirect URI → the platform, for those that are registered for another platform than Web."""
    missing = declared.redirect_uris - found.redirect_uris
    return {uri: found.of_other_platforms[uri] for uri in sorted(missing & found.of_other_platforms.keys())}


def openings(found: Registration, declared: Declared) -> tuple[str, ...]:
    """What in the application others could use, beside what mail needs; not its client secrets. A clause each."""
    elsewhere = sorted(found.of_other_platforms.items() - misplaced_redirect_uris(declared, found).items())
    return (
        *found.weaknesses,
        *(f"it sends users to {quoted(uri)}, too ({platform})" for uri, platform in elsewhere),
        *(f"{certificate} signs in as it" for certificate in found.certificates),
    )


REACTIVATE = (
    "Ask who deactivated it, and why; then activate it: Entra ID → App registrations → Overview. What Microsoft "
    "disabled, its support enables again."
)
"""No `pulumi up` does it: the program does not declare whether the application is active."""


def disabled_difference(found: Registration) -> str | None:
    """That the application is deactivated; None if it is not. The remedy is REACTIVATE."""
    return f"the application was deactivated by {found.disabled}, so nobody can sign in" if found.disabled else None


def principal_difference(found: Principal | None) -> str | None:
    """Why a service principal lets nobody in; None if it does."""
    if found is None:
        return "it has no service principal in this tenant, so every sign-in fails with AADSTS7000229"
    return None if found.enabled else "its service principal is disabled, so nobody can sign in (AADSTS7000112)"


ASSIGNED_ONLY = "only users who are assigned to the application can sign in, all others get AADSTS50105"


def permission_differences(declared: Declared, found: Registration) -> tuple[str, ...]:
    """How the permissions differ."""
    return set_differences("permission", declared.permissions, found.permissions)


def secret_differences(state: Deployed, found: Registration) -> tuple[str, ...]:
    """Which client secrets of the state are not in Entra ID any more."""
    stored = {secret.key_id for secret in found.secrets}
    return tuple(
        f"the client secret in slot {secret.slot} was removed"
        for secret in state.secrets
        if secret.key_id not in stored
    )


NOT_RESTARTED = "its configuration has new credentials, and it has not been restarted with them"
"""Of a NocoBase 3. The remedy is RESTART."""

RESTART = "Restart it, then run `pulumi up`."


def row_differences(state: Deployed, push: Push, row: HeldRow) -> tuple[str, ...]:
    """How a NocoBase's email settings differ from what it was given, a sentence each; empty if they do not."""
    reasons = [f"the last push failed: {one_line(push.problem, LONGEST_MESSAGE)}"] if push.problem else []
    if push.restart_due:
        # Its configuration is ahead of what it was verified to use.
        return (*reasons, NOT_RESTARTED)
    if row.client_id is None:
        reasons.append("it holds no email settings for Microsoft")
    elif row.client_id != push.client_id:
        reasons.append(f"it holds client ID {shown(row.client_id)} instead of {push.client_id}")
    elif row.client_secret is not None and row.client_secret != push.client_secret:
        reasons.append("it holds another client secret")
    elif row.client_secret is None and push.updated_at and row.updated_at != push.updated_at:
        reasons.append(f"its email settings were changed on {quoted(row.updated_at)}, and it hides the secret")
    if not push.problem and not any(push in state.used_by(secret) for secret in state.secrets):
        reasons.append(f"it was given a client secret that slot {push.slot} no longer holds")
    return tuple(reasons)


def set_differences(kind: str, declared: frozenset[Any], found: frozenset[Any]) -> tuple[str, ...]:
    """How two sets of such things differ."""
    return (
        *(f"the declared {kind} {item} is missing" for item in sorted(declared - found)),
        *(f"the {kind} {_named(item)} is not declared" for item in sorted(found - declared)[:MOST_LISTED]),
        *([f"{more} more {kind}s are not declared"] if (more := len(found - declared) - MOST_LISTED) > 0 else []),
    )


def _named(item: object) -> str:
    return str(item) if isinstance(item, Permission) else quoted(item)


class Sync(StrEnum):
    """Whether a side is as the state says."""

    YES = "in sync"
    NO = "not in sync"
    UNREAD = "not read"
    NOT_DEPLOYED = "not deployed"
    """Of a whole stack: NocoBase was given nothing yet, be it after an adoption or an interrupted run."""


class Kind(StrEnum):
    """Whose a client secret in Entra ID is."""

    OWN = "own"
    """The stack's."""
    ORPHANED = "orphaned"
    """Issued by an interrupted run of the stack; its state does not hold it."""
    FOREIGN = "foreign"
    """Somebody else's."""


@dataclass(frozen=True)
class Side:
    """One side, compared with the state.

    reasons: why it is not in sync or was not read. by_hand: those of them that `pulumi up` does not mend → what to do.
    notes: what is odd besides. skipped: not read because nobody asked. client_id: the one that it shows, None if
    it shows none.
    """

    target: str
    sync: Sync
    reasons: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    skipped: bool = False
    client_id: str | None = None
    by_hand: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        """The answer and its reasons in one line."""
        return f"{self.sync}: {'; '.join(self.reasons)}" if self.reasons else self.sync.value


@dataclass(frozen=True)
class Overview:
    """What is there now.

    nocobase: a side for each push of `deployed`. alarms: why a person is needed. extra: None where it was not read.
    owners: of the application; None where they were not read.
    """

    deployed: Deployed
    entra: Side
    nocobase: tuple[Side, ...]
    alarms: tuple[str, ...]
    extra: Extra | None = None
    owners: tuple[Owner, ...] | None = None

    @property
    def sync(self) -> Sync:
        """Of everything: the worst that is known, and unread before in sync."""
        if not self.deployed.pushes:
            return Sync.NOT_DEPLOYED
        found = {side.sync for side in (self.entra, *self.nocobase)}
        return next(sync for sync in (Sync.NO, Sync.UNREAD, Sync.YES) if sync in found)


def compare_entra(state: Deployed, found: Registration | Unread | None, extra: Extra | None = None) -> Side:
    """Entra ID's side. found: what it shows of the application, None if it shows none."""
    if state.application is None:
        return Side(ENTRA_ID, Sync.UNREAD, ("there is no application",), skipped=True)
    if isinstance(found, Unread):
        return Side(ENTRA_ID, Sync.UNREAD, (found.reason,), skipped=found.asked_for)
    opened = openings(found, state.application.declared) if found else ()
    notes = (*_notes(extra), *_opened(opened)) if extra else ()
    if found is None:
        return Side(ENTRA_ID, Sync.NO, (f"the application {state.application.client_id} is not there",), notes)
    principal = extra.principal if extra else NOT_ASKED
    shut = (disabled_difference(found), None if isinstance(principal, Unread) else principal_difference(principal))
    reasons = (
        *filter(None, shut),
        *application_differences(state.application.declared, found),
        *owner_differences(state.application.own_owners, found.owners, "application"),
        *(
            owner_differences(state.principal.own_owners, principal.owners, "service principal")
            if isinstance(principal, Principal) and state.principal
            else ()
        ),
        *secret_differences(state, found),
    )
    by_hand = dict.fromkeys(filter(None, shut[:1]), REACTIVATE)
    return Side(ENTRA_ID, Sync.NO if reasons else Sync.YES, reasons, notes, client_id=found.client_id, by_hand=by_hand)


def _notes(extra: Extra) -> Iterator[str]:
    if isinstance(extra.principal, Unread):
        if not extra.principal.asked_for:
            yield f"its service principal could not be read ({extra.principal.reason})"
    elif extra.principal and extra.principal.assignment_required:
        yield ASSIGNED_ONLY
    if extra.orphaned:
        yield f"{_count(len(extra.orphaned), 'orphaned client secret')} (see `prune`)"
    if extra.foreign:
        yield _count(len(extra.foreign), "foreign client secret")
    if isinstance(extra.duplicates, Unread):
        yield f"whether there is a duplicate application could not be read ({extra.duplicates.reason})"
    elif extra.duplicates:
        yield f"{_count(len(extra.duplicates), 'duplicate application')} (see `prune`)"


def _opened(opened: Sequence[str]) -> Iterator[str]:
    if opened:
        yield f"more open than mail needs: {counted(opened)} (see `doctor`)"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"


def compare_nocobase(state: Deployed, push: Push, held: Held | Unread) -> Side:
    """One NocoBase's side: what it shows of the credentials that it was given."""
    if isinstance(held, Unread):
        return Side(push.target, Sync.UNREAD, (held.reason,), skipped=held.asked_for)
    reasons = row_differences(state, push, held.row)
    client_id = shown(held.row.client_id) if held.row.client_id else None
    if push.restart_due:
        # Its link is that of its earlier configuration, and says nothing of what is declared.
        return Side(push.target, Sync.NO, reasons, client_id=client_id, by_hand={NOT_RESTARTED: RESTART})
    by_hand = {}
    disproved = sign_in_mismatch(held.link, push.client_id, push.redirect_uris)
    if disproved is not None and not reasons:
        reasons, by_hand = (disproved[0],), {disproved[0]: disproved[1]}
    audience = state.application.declared.audience if state.application else ""
    if (shut_out := audience_mismatch(held.link, Accounts(audience, state.tenant_id))) is not None:
        reasons, by_hand = (*reasons, shut_out[0]), {**by_hand, shut_out[0]: shut_out[1]}
    return Side(push.target, Sync.NO if reasons else Sync.YES, reasons, client_id=client_id, by_hand=by_hand)


def overview(
    state: Deployed,
    registration: Registration | Unread | None,
    held: Sequence[Held | Unread],
    now: datetime,
    warn_days: int,
    extra: Extra | None = None,
) -> Overview:
    """Everything together. held: what each NocoBase of `state.pushes` shows, in their order."""
    entra = compare_entra(state, registration, extra)
    nocobase = tuple(compare_nocobase(state, *pair) for pair in zip(state.pushes, held, strict=True))
    odd = (side for side in (entra, *nocobase) if side.sync is not Sync.YES and not side.skipped)
    due = (
        f"{push.target} was given new credentials, and has to be restarted with them: {RESTART}"
        for push, side in zip(state.pushes, nocobase, strict=True)
        if push.restart_due and side.sync is Sync.UNREAD
    )
    needed = (*alarms(state, now, warn_days), *due, *(f"{side.target} is {side}{_way_out(side)}" for side in odd))
    owners = registration.owners if isinstance(registration, Registration) else None
    return Overview(state, entra, nocobase, needed, extra, owners)


def _way_out(side: Side) -> str:
    """What puts a side right that was read."""
    if side.sync is not Sync.NO:
        return ""
    by_hand = " ".join(dict.fromkeys(side.by_hand.values()))
    if all(reason in side.by_hand for reason in side.reasons):
        return f": {by_hand}"
    return f": {by_hand} Then run `pulumi up`." if by_hand else ": run `pulumi up`"


def alarms(state: Deployed, now: datetime, warn_days: int) -> tuple[str, ...]:
    """Why a person is needed, by the state and the time alone; a sentence each."""
    if state.application is None:
        return ("nothing is deployed: run `pulumi up`, or `pulumi stack rm` if it is no longer wanted",)
    if not state.pushes and not state.secrets:
        return ("it has its application, and was not deployed since: run `pulumi up`",)
    if not state.pushes or state.next_rotation is None:
        return ("its deployment was not completed: run `pulumi up`",)
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


def consent_in_words(view: Overview) -> str | None:
    """Who has consented, and who has to where that is not everybody; None where it was not read."""
    consent = view.extra.consent if view.extra else NOT_ASKED
    if isinstance(consent, Unread):
        return None if consent.asked_for else f"could not be read ({consent.reason})"
    application = view.deployed.application
    if application and application.declared.audience == Audience.PERSONAL:
        return "each user's own"
    if not consent.given.missing:
        return consent.given.said
    return f"{consent.given.said}; {consent.rule.said}"


def consent_for_programs(view: Overview) -> dict[str, Any] | None:
    """The same: the scopes without consent for everybody, and who has to give it; None where it was not read."""
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


def shown(client_id: str) -> str:
    """A client ID that somebody typed: what cannot be one may be a secret in the wrong field, and is not repeated."""
    return guid(client_id) if client_id else "none"


def day(moment: datetime) -> str:
    """The date, in UTC."""
    return moment.astimezone(UTC).date().isoformat()


def dated(moment: datetime | None, now: datetime) -> str | None:
    """The date and how far away it is; None if there is none."""
    return f"{day(moment)} ({in_days(moment, now)})" if moment else None


def end_of_old_secret(state: Deployed, now: datetime) -> str | None:
    """When the old client secret is removed, or what it waits for; None if there is none."""
    if len(state.secrets) > 1 and any(push.restart_due for push in state.pushes):
        return "once NocoBase is restarted"
    return dated(state.old_retires, now)


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
    """None where it is unknown."""
    return None if sync is Sync.UNREAD else sync is Sync.YES


def _time(moment: datetime | None) -> str | None:
    return rfc3339(moment) if moment else None
