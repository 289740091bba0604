"""Which client secrets should exist, and which one NocoBase should use: a pure plan of two slots.

Inputs are the last state, the time and the policy; there is no I/O and no clock here. Three rules keep mail working:

- A secret's description and dates are fixed when it is issued. As long as its slot holds it, the plan repeats them, so
  that neither a later date nor a changed setting replaces it.
- A new secret goes into the slot that NocoBase does not use, and only if that slot is free: a valid secret is not
  replaced in its slot unless it is certain that nobody uses it (`SecretPlan.freed`). The secret in use stays until a
  later run, after NocoBase was verified to use the new one. Only a compromised one is revoked at the end of the same
  run, after the push.
- A run that failed half-way is resumed: a newer secret that NocoBase may already use is pushed, not issued again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, time, timedelta
from enum import StrEnum


class Slot(StrEnum):
    """A place for one client secret; Entra ID allows an application for personal accounts two secrets."""

    A = "a"
    B = "b"

    @property
    def other(self) -> Slot:
        """The other slot."""
        return Slot.B if self is Slot.A else Slot.A


@dataclass(frozen=True)
class IssuedSecret:
    """What was fixed when a secret was issued.

    end: absolute, because the azuread provider's relative end dates are unreliable. recorded: whether the secret's
    resource records `issued`; adding it later would replace the secret. key_id: its key in Entra ID, None as long as
    it is only planned. Times are in UTC.
    """

    display_name: str
    issued: datetime
    end: datetime
    recorded: bool = True
    key_id: str | None = None


@dataclass(frozen=True)
class Policy:
    """How long secrets live, and when they are rotated.

    rotate_every_days: the age at which a secret gets a successor. retire_after_days: how long the successor is in use
    before the old secret is removed. requested: secrets issued before this time are replaced now. compromised: secrets
    issued before this time are replaced now, and removed as soon as their successor is in use.
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

    slots: the secrets that were issued and not removed. active: the slot whose secret NocoBase was last verified to
    use. since: when NocoBase switched to it. replaced: the slots in which the engine has replaced a secret that a
    NocoBase was last verified to use, and that it still has to delete.
    """

    slots: Mapping[Slot, IssuedSecret] = field(default_factory=dict)
    active: Slot | None = None
    since: datetime | None = None
    replaced: frozenset[Slot] = frozenset()


@dataclass(frozen=True)
class SecretPlan:
    """What should exist after this run.

    slots: the secrets that should exist. active: the one that NocoBase should use. since: when NocoBase switched to it.
    reasons: what happens to secrets in this run and why, a sentence each. next_rotation: when the next secret is due.
    old_retires: when the old secret is removed; None if there is none. freed: the slot whose secret is removed at the
    end of this run, so that the next one can issue the new secret that is due; None if there is no such slot.
    """

    slots: Mapping[Slot, IssuedSecret]
    active: Slot
    since: datetime
    reasons: tuple[str, ...]
    next_rotation: datetime
    old_retires: datetime | None
    freed: Slot | None = None


def why_invalid_policy(lifetime_days: int, rotate_every_days: int, retire_after_days: int) -> str | None:
    """Why the three durations contradict each other, with the arithmetic; None if they do not."""
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
    """What should exist after this run; the module's docstring has the rules.

    The engine deletes a secret that is no longer in the plan at the very end, if everything else has succeeded.
    """
    policy = _with_past_requests(now, policy)
    current = _current(last, now)
    if current is None:
        new = _issue(Slot.A, max([_midnight(now), *_requests(policy)]), policy)
        reasons = (f"the first one comes in slot {Slot.A}, valid until {_day(new.end)}",)
        return _planned({Slot.A: new}, Slot.A, now, reasons, policy)
    held, other = last.slots[current], current.other
    spare = last.slots.get(other)
    if spare is not None and now >= spare.end:
        spare = None  # it no longer works
    if spare is not None and spare.issued > held.issued:
        return _switched(current, held, spare, now, policy)
    why = _why_replace(current, held, now, policy)
    if why is None:
        return _settled(last, current, now, policy)
    if last.replaced and now < held.end:
        # Else a third secret would come, and the one in use would look orphaned.
        settled = _settled(last, current, now, policy)
        reason = f"{why}; it is first pushed to where a replaced one is in use, the next run issues a new one"
        return replace(settled, reasons=(reason, *settled.reasons))
    if spare is not None:
        # A restored backup of NocoBase may use the other secret: remove it only after the push has verified this one.
        reason = f"{why}; slot {other} is freed first, the next run issues a new one"
        freeing = _planned({current: held}, current, _since(last, current, now), (reason,), policy)
        return replace(freeing, freed=other)
    new = _issue(other, _start(held, now, policy), policy)
    reason = f"{why}; a new one comes in slot {other}, valid until {_day(new.end)}"
    if _is_revoked_at_once(held, now, policy):
        removed = f"the old secret in slot {current} is removed once NocoBase uses the new one"
        return _planned({other: new}, other, now, (reason, removed), policy)
    return _planned({current: held, other: new}, other, now, (reason,), policy)


def plan_at_once(
    plan: SecretPlan, last: LastSecrets, now: datetime, policy: Policy, may_be_in_use: Callable[[Slot], bool]
) -> SecretPlan:
    """`plan`, or one that issues the new secret in this run already, where `plan` would free a slot for the next.

    may_be_in_use: whether a NocoBase may use the secret in a slot; asked only of one that no push was verified to use
    last. If nobody does, the new secret takes its place. Else it is removed only after the push of the other one.
    """
    agreed = last.active is plan.active and last.since is not None
    if plan.freed is None or not agreed or may_be_in_use(plan.freed):
        return plan
    issuing = plan_secrets(replace(last, slots=plan.slots), now, policy)
    room = f"the old secret in slot {plan.freed}, which no NocoBase uses, is removed to make room"
    return replace(issuing, reasons=(*issuing.reasons, room))


def _switched(current: Slot, held: IssuedSecret, newer: IssuedSecret, now: datetime, policy: Policy) -> SecretPlan:
    """A run was interrupted after it issued a newer secret. NocoBase may or may not use it: push it now."""
    other = current.other
    reason = f"the new secret in slot {other} may not be in use yet; it is pushed to NocoBase"
    if _is_revoked_at_once(held, now, policy) or _why_replace(other, newer, now, policy) is not None:
        removed = f"the old secret in slot {current} is removed once NocoBase uses the new one"
        return _planned({other: newer}, other, now, (reason, removed), policy)
    return _planned({current: held, other: newer}, other, now, (reason,), policy)


def _settled(last: LastSecrets, current: Slot, now: datetime, policy: Policy) -> SecretPlan:
    """Nothing is due: keep the secret in use, and the old one until it retires."""
    since = _since(last, current, now)
    spare = last.slots.get(current.other)
    retires = since + timedelta(days=policy.retire_after_days)
    if spare is not None and not _is_revoked_at_once(spare, now, policy) and now < retires:
        return _planned(dict(last.slots), current, since, (), policy)
    verified = last.active is current
    used = f"slot {current} has been in use since {_day(since)}" if verified else f"slot {current} takes its place"
    reason = f"the old secret in slot {current.other} is removed; {used}"
    return _planned({current: last.slots[current]}, current, since, (reason,) if spare else (), policy)


def _current(last: LastSecrets, now: datetime) -> Slot | None:
    """The slot whose secret NocoBase uses; the other slot if there is none in it, or if it has expired."""
    if not last.slots:
        return None
    # If NocoBase was never verified to use one, assume that it uses the one issued first.
    slot = last.active or min(last.slots, key=lambda slot: last.slots[slot].issued)
    here, there = last.slots.get(slot), last.slots.get(slot.other)
    if here is None:
        return slot.other
    usable = there is not None and now < there.end
    return slot.other if usable and now >= here.end else slot


def _since(last: LastSecrets, current: Slot, now: datetime) -> datetime:
    """When NocoBase switched to `current`; now, if the last state does not record that."""
    return last.since if last.active is current and last.since is not None else now


def _is_revoked_at_once(old: IssuedSecret, now: datetime, policy: Policy) -> bool:
    """Whether an old secret is removed at the end of the same run that pushes its successor."""
    compromised = policy.compromised is not None and old.issued < policy.compromised
    return compromised or now >= old.end or policy.retire_after_days == 0


def _with_past_requests(now: datetime, policy: Policy) -> Policy:
    """The policy without requests that lie in the future; the others in whole seconds, as records are kept."""

    def past(at: datetime | None) -> datetime | None:
        return None if at is None or at > now else at.replace(microsecond=0)

    return replace(policy, requested=past(policy.requested), compromised=past(policy.compromised))


def _requests(policy: Policy) -> list[datetime]:
    return [at for at in (policy.requested, policy.compromised) if at is not None]


def _why_replace(slot: Slot, held: IssuedSecret, now: datetime, policy: Policy) -> str | None:
    """Why the secret in `slot` has to be replaced at `now`; None if it need not."""
    if policy.compromised is not None and held.issued < policy.compromised:
        return f"the secret in slot {slot} is compromised"
    if policy.requested is not None and held.issued < policy.requested:
        return f"a new secret was requested on {_day(policy.requested)}"
    if now >= held.end:
        return f"the secret in slot {slot} expired on {_day(held.end)}"
    due = _due(held, policy)
    return f"the secret in slot {slot} has been due since {_day(due)}" if now >= due else None


def _due(held: IssuedSecret, policy: Policy) -> datetime:
    """When `held` has to be replaced: at the age of rotation, early enough before its end, or when it was requested."""
    by_age = held.issued + timedelta(days=policy.rotate_every_days)
    by_end = held.end - timedelta(days=policy.retire_after_days)
    return min([by_age, by_end, *(at for at in _requests(policy) if held.issued < at)])


def _start(held: IssuedSecret, now: datetime, policy: Policy) -> datetime:
    """When the successor of `held` counts as issued: the same for every `now` of one period, so that retries agree."""
    requests = [at for at in _requests(policy) if held.issued < at]
    base, period = max(requests, default=held.issued), timedelta(days=policy.rotate_every_days)
    start = base + (now - base) // period * period
    if start > held.issued:
        return start
    # Less than a period has passed: `held` is due because of its end. A successor must be issued later than it.
    return max(min(_due(held, policy), now), held.issued + timedelta(seconds=1))


def _issue(slot: Slot, start: datetime, policy: Policy) -> IssuedSecret:
    name = f"{policy.description} {slot} {_day(start)}"
    return IssuedSecret(name, start, start + timedelta(days=policy.lifetime_days))


def _planned(
    slots: Mapping[Slot, IssuedSecret], active: Slot, since: datetime, reasons: tuple[str, ...], policy: Policy
) -> SecretPlan:
    old = since + timedelta(days=policy.retire_after_days) if active.other in slots else None
    return SecretPlan(
        slots, active=active, since=since, reasons=reasons, next_rotation=_due(slots[active], policy), old_retires=old
    )


def _day(moment: datetime) -> str:
    return moment.astimezone(UTC).date().isoformat()


def _midnight(moment: datetime) -> datetime:
    return datetime.combine(moment.astimezone(UTC).date(), time(), UTC)


def secret_name(name: str, slot: Slot) -> str:
    """The resource name of the client secret in `slot` of the application resource called `name`."""
    return f"{name}-secret-{slot}"


ISSUED = "issued"
"""The key under which a client secret's resource records when it was issued."""


def rfc3339(moment: datetime) -> str:
    """`moment` as Graph writes times: in UTC, to the second."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
