"""Which client secrets are to exist and which one NocoBase is to use: a pure plan of two slots.

Inputs are the last state, the time and the policy; there is no I/O and no clock here. What keeps mail alive:

- A secret's description and dates are settled when it is issued. As long as its slot holds it, the plan repeats them,
  so that neither a later date nor a changed setting replaces it.
- A new secret goes into the slot that NocoBase does not use, and only if that is free: no valid secret is ever replaced
  in its slot. The secret in use stays until a later run, which has seen NocoBase use the new one; only a compromised
  one goes at the end of the same run, after the push.
- A run that failed half-way is gone on with: a newer secret that NocoBase may use by now is pushed, not issued again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, time, timedelta
from enum import StrEnum


class Slot(StrEnum):
    """A place for one client secret; Entra allows an application for personal accounts two secrets."""

    A = "a"
    B = "b"

    @property
    def other(self) -> Slot:
        """The other one of the two."""
        return Slot.B if self is Slot.A else Slot.A


@dataclass(frozen=True)
class IssuedSecret:
    """What was settled when a secret was issued.

    end: absolute, because the azuread provider's relative end dates are unreliable. recorded: whether the secret's
    resource keeps `issued`; one that does not must not be given it, which would replace the secret. key_id: its key in
    Entra ID, None as long as it is only planned. Times are in UTC.
    """

    display_name: str
    issued: datetime
    end: datetime
    recorded: bool = True
    key_id: str | None = None


@dataclass(frozen=True)
class Policy:
    """How long secrets live, and when they are renewed.

    rotate_every_days: after so many days a new secret is issued. retire_after_days: after so many days of the new one's
    use the old one is removed. requested: secrets issued before this time are to be replaced now. compromised: secrets
    issued before this time are to be replaced now and removed as soon as the new one is in use.
    """

    description: str
    lifetime_days: int = 180
    rotate_every_days: int = 90
    retire_after_days: int = 7
    requested: datetime | None = None
    compromised: datetime | None = None


@dataclass(frozen=True)
class LastSecrets:
    """What the last state holds.

    slots: the secrets that were issued and not removed. active: the slot whose secret NocoBase was proved to use last.
    since: when that slot was switched to. gone: the slots whose secret Entra ID was seen not to hold any more.
    forgotten: secrets that are gone; their slots are free, but the state still has their records.
    """

    slots: Mapping[Slot, IssuedSecret] = field(default_factory=dict)
    active: Slot | None = None
    since: datetime | None = None
    gone: frozenset[Slot] = frozenset()
    forgotten: Mapping[Slot, IssuedSecret] = field(default_factory=dict)


@dataclass(frozen=True)
class SecretPlan:
    """What is to be there after this run.

    slots: the secrets that are to exist. active: the one that NocoBase is to use. since: when it was switched to.
    reasons: what happens to secrets in this run and why, a sentence each. next_rotation: when the next secret is due.
    old_retires: when the secret that is no longer used is removed; None if there is none. gone: secrets that Entra ID
    does not hold any more; what is left of them in the state is to be forgotten.
    """

    slots: Mapping[Slot, IssuedSecret]
    active: Slot
    since: datetime
    reasons: tuple[str, ...]
    next_rotation: datetime
    old_retires: datetime | None
    gone: Mapping[Slot, IssuedSecret] = field(default_factory=dict)


def why_invalid_policy(lifetime_days: int, rotate_every_days: int, retire_after_days: int) -> str | None:
    """Why the three durations cannot go together, with the arithmetic; None if they can."""
    used = rotate_every_days + retire_after_days
    if rotate_every_days < 1:
        return f"rotateEveryDays {rotate_every_days} must be 1 or more."
    if retire_after_days < 0:
        return f"retireAfterDays {retire_after_days} must be 0 or more."
    if used >= lifetime_days:
        return (
            f"A secret would end before its successor is safely in use: rotateEveryDays {rotate_every_days} + "
            f"retireAfterDays {retire_after_days} = {used}, which must be less than secretLifetimeDays {lifetime_days}."
        )
    if retire_after_days >= rotate_every_days:
        return (
            f"The old secret would still be in the slot of the next one: retireAfterDays {retire_after_days} must be "
            f"less than rotateEveryDays {rotate_every_days}."
        )
    return None


def plan_secrets(last: LastSecrets, now: datetime, policy: Policy) -> SecretPlan:
    """What is to be there after this run: see the module's docstring for what it never does.

    A secret that is dropped from the plan is deleted by the engine at the very end, if everything else has succeeded.
    One that is gone in Entra ID cannot be deleted: it is set apart, and nothing is issued into its slot in this run.
    """
    plan = _plan(last, now, policy)
    gone = {slot: secret for slot, secret in last.slots.items() if slot in last.gone and slot is not plan.active}
    if not gone:
        return plan
    forgotten = tuple(f"the secret in slot {slot} is gone in Entra ID: its record is forgotten" for slot in gone)
    slots = {slot: secret for slot, secret in plan.slots.items() if slot not in gone}
    old_retires = plan.old_retires if plan.active.other in slots else None
    return replace(plan, slots=slots, reasons=(*plan.reasons, *forgotten), old_retires=old_retires, gone=gone)


def _plan(last: LastSecrets, now: datetime, policy: Policy) -> SecretPlan:
    policy = _asked_by(now, policy)
    current = _current(last, now)
    if current is None:
        new = _issue(Slot.A, max([_midnight(now), *_requests(policy)]), last, policy)
        reasons = (f"no secret is there: a new one in slot {Slot.A}, valid until {_day(new.end)}",)
        return _planned({Slot.A: new}, Slot.A, now, reasons, policy)
    held, other = last.slots[current], current.other
    spare = last.slots.get(other)
    gone = other in last.gone
    if spare is not None and (gone or now >= spare.end):
        spare = None  # nobody can use it
    if spare is not None and spare.issued > held.issued:
        return _switched(current, held, spare, now, policy)
    why = _why_replace(current, held, now, policy)
    if why is None:
        return _settled(last, current, now, policy)
    if gone and now >= held.end:
        # Nobody can use the one in the slot, and the other slot is not free yet.
        new = _issue(current, _start(held, now, policy), last, policy)
        reason = f"{why}: a new one takes its place, valid until {_day(new.end)}"
        return _planned({current: new}, current, now, (reason,), policy)
    if spare is not None or gone:
        # NocoBase may have been given it again, by a restored backup: it goes only after the push has proved the other.
        reason = f"{why}: a new one comes with the next run, slot {other} is freed first"
        return _planned({current: held}, current, _since(last, current, now), (reason,), policy)
    new = _issue(other, _start(held, now, policy), last, policy)
    reason = f"{why}: a new one in slot {other}, valid until {_day(new.end)}"
    if _goes_at_once(held, now, policy):
        removed = f"the old secret in slot {current} is removed once NocoBase uses the new one"
        return _planned({other: new}, other, now, (reason, removed), policy)
    return _planned({current: held, other: new}, other, now, (reason,), policy)


def _switched(current: Slot, held: IssuedSecret, newer: IssuedSecret, now: datetime, policy: Policy) -> SecretPlan:
    """A run that issued a newer secret broke off: whether NocoBase was given it is not known, so it is given it now."""
    other = current.other
    reason = f"the new secret in slot {other} is not known to be in use: NocoBase is given it"
    if _goes_at_once(held, now, policy) or _why_replace(other, newer, now, policy) is not None:
        removed = f"the old secret in slot {current} is removed once NocoBase uses the new one"
        return _planned({other: newer}, other, now, (reason, removed), policy)
    return _planned({current: held, other: newer}, other, now, (reason,), policy)


def _settled(last: LastSecrets, current: Slot, now: datetime, policy: Policy) -> SecretPlan:
    """Nothing is due: keep the secret in use, and the old one until its time has come."""
    since = _since(last, current, now)
    spare = None if current.other in last.gone else last.slots.get(current.other)
    retires = since + timedelta(days=policy.retire_after_days)
    if spare is not None and not _goes_at_once(spare, now, policy) and now < retires:
        return _planned(dict(last.slots), current, since, (), policy)
    reason = f"the old secret in slot {current.other} is removed: slot {current} is in use since {_day(since)}"
    return _planned({current: last.slots[current]}, current, since, (reason,) if spare else (), policy)


def _current(last: LastSecrets, now: datetime) -> Slot | None:
    """The slot whose secret NocoBase uses; the other one if that is gone or has expired."""
    if not last.slots:
        return None
    # NocoBase was never proved to use any: the first one issued is taken for the one in use.
    slot = last.active or min(last.slots, key=lambda slot: last.slots[slot].issued)
    here, there = last.slots.get(slot), last.slots.get(slot.other)
    if here is None:
        return slot.other
    usable = there is not None and now < there.end and slot.other not in last.gone
    return slot.other if usable and (slot in last.gone or now >= here.end) else slot


def _since(last: LastSecrets, current: Slot, now: datetime) -> datetime:
    """When `current` was switched to: now, if the last state does not say that it was."""
    return last.since if last.active is current and last.since is not None else now


def _goes_at_once(old: IssuedSecret, now: datetime, policy: Policy) -> bool:
    """Whether an old secret goes at the end of the very run that has NocoBase use another one."""
    compromised = policy.compromised is not None and old.issued < policy.compromised
    return compromised or now >= old.end or policy.retire_after_days == 0


def _asked_by(now: datetime, policy: Policy) -> Policy:
    """The policy with the requests whose time has come, in whole seconds: so finely are records kept."""

    def come(at: datetime | None) -> datetime | None:
        return None if at is None or at > now else at.replace(microsecond=0)

    return replace(policy, requested=come(policy.requested), compromised=come(policy.compromised))


def _requests(policy: Policy) -> list[datetime]:
    return [at for at in (policy.requested, policy.compromised) if at is not None]


def _why_replace(slot: Slot, held: IssuedSecret, now: datetime, policy: Policy) -> str | None:
    """Why the secret in `slot` is to be replaced at `now`; None if it is not."""
    if policy.compromised is not None and held.issued < policy.compromised:
        return f"the secret in slot {slot} is compromised"
    if policy.requested is not None and held.issued < policy.requested:
        return f"a new secret was asked for on {_day(policy.requested)}"
    if now >= held.end:
        return f"the secret in slot {slot} has expired on {_day(held.end)}"
    due = _due(held, policy)
    return f"the secret in slot {slot} is due since {_day(due)}" if now >= due else None


def _due(held: IssuedSecret, policy: Policy) -> datetime:
    """When `held` is to be replaced: after its time, and early enough before its end."""
    by_age = held.issued + timedelta(days=policy.rotate_every_days)
    by_end = held.end - timedelta(days=policy.retire_after_days)
    return min(by_age, by_end)


def _start(held: IssuedSecret, now: datetime, policy: Policy) -> datetime:
    """When the successor of `held` counts as issued: the same for every `now` of one period, so that retries agree."""
    asked = [at for at in _requests(policy) if held.issued < at]
    base, period = max(asked, default=held.issued), timedelta(days=policy.rotate_every_days)
    start = base + (now - base) // period * period
    # Less than a period has passed where the end of `held` makes it due. A successor is always the later one.
    return start if start > held.issued else max(min(_due(held, policy), now), held.issued + timedelta(seconds=1))


def _issue(slot: Slot, start: datetime, last: LastSecrets, policy: Policy) -> IssuedSecret:
    former = last.forgotten.get(slot)
    if former is not None:
        # With the very inputs of the former one, the engine would see nothing to issue.
        start = max(start, former.issued + timedelta(seconds=1))
    name = f"{policy.description} {slot} {_day(start)}"
    return IssuedSecret(name, start, start + timedelta(days=policy.lifetime_days))


def _planned(
    slots: Mapping[Slot, IssuedSecret], active: Slot, since: datetime, reasons: tuple[str, ...], policy: Policy
) -> SecretPlan:
    old = since + timedelta(days=policy.retire_after_days) if active.other in slots else None
    return SecretPlan(slots, active, since, reasons, _due(slots[active], policy), old)


def _day(moment: datetime) -> str:
    return moment.astimezone(UTC).date().isoformat()


def _midnight(moment: datetime) -> datetime:
    return datetime.combine(moment.astimezone(UTC).date(), time(), UTC)


def secret_name(name: str, slot: Slot) -> str:
    """The resource name of the client secret in `slot` of the application resource called `name`."""
    return f"{name}-secret-{slot}"


ISSUED = "issued"
"""The key under which a client secret's resource keeps when it was issued."""

FORGOTTEN = "forgottenSecrets"
"""The output with the key ids of secrets that were gone in Entra ID; the state still holds them until the next run."""


def rfc3339(moment: datetime) -> str:
    """`moment` as Graph writes times: in UTC, to the second."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
