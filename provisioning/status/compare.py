"""Compares what is declared with what Entra ID and NocoBase show: `Overview`, what is there now for one stack.

Each side is in sync, or not and why, or was not read and why. Nothing is guessed: a side that was not read is never
called in sync. Pure functions over plain data; `differences` has the sentences.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from provisioning.entra.registration import Owner, Principal, Registration
from provisioning.entra.rules import Audience
from provisioning.foreign import counted
from provisioning.nocobase.sign_in_link import Accounts, audience_mismatch, sign_in_mismatch
from provisioning.program.last_state import Deployed, Push
from provisioning.status.dates import day, in_days
from provisioning.status.differences import (
    ASSIGNED_ONLY,
    NOT_RESTARTED,
    REACTIVATE,
    RESTART,
    RESTORE,
    application_differences,
    audience_awaited,
    disabled_difference,
    openings,
    owner_differences,
    principal_difference,
    row_differences,
    secret_differences,
    shown,
)
from provisioning.status.read import NOT_ASKED, Extra, Held, Unread

ENTRA_ID = "Entra ID"
"""The target of that side."""

GRACE = timedelta(days=7)
"""How long a rotation may be due before it counts as overdue: a weekly `pulumi up` would have done it."""


class Sync(StrEnum):
    """Whether a side is as the state says."""

    YES = "in sync"
    NO = "not in sync"
    UNREAD = "not read"
    NOT_DEPLOYED = "not deployed"
    """Of a whole stack: NocoBase was given nothing yet, be it after an adoption or an interrupted run."""


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
        gone = f"the application {state.application.client_id} is not there"
        return Side(ENTRA_ID, Sync.NO, (gone,), notes, by_hand={gone: RESTORE})
    principal = extra.principal if extra else NOT_ASKED
    shut = (disabled_difference(found), None if isinstance(principal, Unread) else principal_difference(principal))
    reasons = (
        *filter(None, shut),
        *application_differences(state.application.declared, found),
        *audience_awaited(state),
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
    return Overview(deployed=state, entra=entra, nocobase=nocobase, alarms=needed, extra=extra, owners=owners)


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
