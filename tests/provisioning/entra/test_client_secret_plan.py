"""The plan of the two secret slots: a table of cases. Whole histories are in test_rotation_histories.py."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from provisioning.entra.client_secret_plan import (
    IssuedSecret,
    LastSecrets,
    Policy,
    Slot,
    plan_at_once,
    plan_secrets,
    why_invalid_policy,
)

A, B = Slot.A, Slot.B
START = datetime(2026, 11, 21, tzinfo=UTC)
POLICY = Policy("mail")


def day(number: float) -> datetime:
    """So many days after the start."""
    return START + timedelta(days=number)


def secret(issued: float, lifetime: int = 180) -> IssuedSecret:
    """A secret that was issued so many days after the start."""
    return IssuedSecret("as issued", day(issued), day(issued + lifetime))


def test_the_first_secret() -> None:
    plan = plan_secrets(LastSecrets(), day(0.7), POLICY)
    assert plan.slots == {A: IssuedSecret("mail a 2026-11-21", START, day(180))}
    assert plan.active is A
    assert plan.since == day(0.7)
    assert plan.next_rotation == day(90)
    assert plan.old_retires is None
    assert "the first one comes in slot a" in plan.reasons[0]


@pytest.mark.parametrize("now", [0.8, 1, 45, 89.9])
def test_nothing_is_due(now: float) -> None:
    plan = plan_secrets(LastSecrets({A: secret(0)}, A, day(0.7)), day(now), Policy("renamed", lifetime_days=300))
    assert plan.slots == {A: secret(0)}
    assert (plan.active, plan.since, plan.reasons) == (A, day(0.7), ())


@pytest.mark.parametrize(("now", "issued"), [(90, 90), (97, 90), (179.9, 90), (181, 180), (460, 450), (2000, 1980)])
def test_a_due_secret_gets_a_successor_in_the_other_slot(now: float, issued: int) -> None:
    last = LastSecrets({A: secret(0)}, A, day(0))
    plan = plan_secrets(last, day(now), POLICY)
    # One that has expired is of no use to anybody and goes with the switch.
    assert plan.slots.get(A) == (secret(0) if now < 180 else None)
    assert plan.slots[B].issued == day(issued)
    assert plan.slots[B].end == day(issued + 180)
    assert plan.active is B
    assert plan.since == day(now)
    assert ("due since 2027-02-19" if now < 180 else "expired on") in plan.reasons[0]
    assert "a new one comes in slot b" in plan.reasons[0]


def test_where_the_engine_replaced_the_one_in_use_its_successor_is_pushed_before_another_is_issued() -> None:
    # By `--replace`, in a run that failed before the push: the replaced one has yet to be deleted.
    last = LastSecrets({A: secret(0)}, None, replaced=frozenset({A}))
    plan = plan_secrets(last, day(95), POLICY)
    assert (plan.slots, plan.active, plan.since) == ({A: secret(0)}, A, day(95))
    assert "due since 2027-02-19; it is first pushed" in plan.reasons[0]
    leaked = plan_secrets(last, day(10), Policy("mail", compromised=day(9)))
    assert (set(leaked.slots), leaked.active) == ({A}, A)
    assert "slot a is compromised; it is first pushed" in leaked.reasons[0]
    following = plan_secrets(LastSecrets({A: secret(0)}, A, day(95)), day(95), POLICY)
    assert set(following.slots) == {A, B}
    # One that has expired helps nobody.
    assert set(plan_secrets(last, day(185), POLICY).slots) == {B}


def test_a_successor_that_is_not_in_use_yet_is_pushed_not_issued_again() -> None:
    last = LastSecrets({A: secret(0), B: secret(90)}, A, day(0))
    plan = plan_secrets(last, day(95), POLICY)
    assert plan.slots == last.slots
    assert plan.active is B
    assert "may not be in use yet" in plan.reasons[0]


def test_a_successor_that_is_due_itself_is_pushed_first_and_replaced_by_the_next_run() -> None:
    # NocoBase may use it already: the run that pushed it may have been interrupted before that was recorded.
    last = LastSecrets({A: secret(0, lifetime=300), B: secret(90)}, A, day(0))
    plan = plan_secrets(last, day(185), POLICY)
    assert plan.slots == {B: secret(90)}
    assert plan.active is B
    following = plan_secrets(LastSecrets(plan.slots, B, day(185)), day(185), POLICY)
    assert following.slots == {B: secret(90), A: IssuedSecret("mail a 2027-05-20", day(180), day(360))}
    assert following.active is A


def test_a_slot_with_a_valid_secret_is_freed_before_it_is_issued_into() -> None:
    last = LastSecrets({A: secret(0), B: secret(90)}, B, day(90))
    asked = Policy("mail", requested=day(92))
    freed = plan_secrets(last, day(92), asked)
    assert freed.slots == {B: secret(90)}
    assert (freed.active, freed.since) == (B, day(90))
    assert "slot a is freed first" in freed.reasons[0]
    # It is not done yet, which `status` tells by this.
    assert (freed.freed, freed.next_rotation) == (A, day(92))
    issued = plan_secrets(LastSecrets(freed.slots, B, day(90)), day(92), asked)
    assert issued.slots == {B: secret(90), A: IssuedSecret("mail a 2027-02-21", day(92), day(272))}


def test_a_slot_whose_secret_nobody_uses_is_issued_into_at_once() -> None:
    last = LastSecrets({A: secret(0), B: secret(90)}, B, day(90))
    leaked = Policy("mail", compromised=day(92))
    freed = plan_secrets(last, day(92), leaked)
    plan = plan_at_once(freed, last, day(92), leaked, lambda slot: slot is not A)
    # The one in use goes after the push of its successor.
    assert (plan.slots, plan.active) == ({A: IssuedSecret("mail a 2027-02-21", day(92), day(272))}, A)
    assert plan.freed is None
    asked = Policy("mail", requested=day(92))
    freed = plan_secrets(last, day(92), asked)
    plan = plan_at_once(freed, last, day(92), asked, lambda _: False)
    assert (set(plan.slots), plan.slots[B], plan.active) == ({A, B}, secret(90), A)
    assert plan.reasons[-1] == "the old secret in slot a, which no NocoBase uses, is removed to make room"


def test_a_secret_that_may_be_in_use_waits_for_the_push_of_the_other() -> None:
    last = LastSecrets({A: secret(0), B: secret(90)}, B, day(90))
    asked = Policy("mail", requested=day(92))
    freed = plan_secrets(last, day(92), asked)
    assert plan_at_once(freed, last, day(92), asked, lambda _: True) is freed

    def nobody_is_asked(_: Slot) -> bool:
        raise AssertionError

    # Not every NocoBase was verified to use the newer one, or none was.
    for less in (replace(last, since=None), replace(last, active=None, since=None)):
        waiting = plan_secrets(less, day(92), asked)
        assert plan_at_once(waiting, less, day(92), asked, nobody_is_asked) is waiting
    settled = plan_secrets(last, day(92), POLICY)
    assert plan_at_once(settled, last, day(92), POLICY, nobody_is_asked) is settled


def test_a_request_that_is_carried_out_late_does_not_issue_an_expired_secret() -> None:
    plan = plan_secrets(LastSecrets({A: secret(0)}, A, day(0)), day(200), Policy("mail", requested=day(10)))
    assert plan.slots[B].issued == day(190)


@pytest.mark.parametrize(("now", "slots"), [(91, {A, B}), (96.9, {A, B}), (97, {B}), (120, {B})])
def test_the_old_secret_retires_some_days_after_the_switch(now: float, slots: set[Slot]) -> None:
    last = LastSecrets({A: secret(0), B: secret(90)}, B, day(90))
    plan = plan_secrets(last, day(now), POLICY)
    assert set(plan.slots) == slots
    assert plan.active is B
    assert plan.since == day(90)
    assert bool(plan.reasons) is (slots == {B})
    assert plan.old_retires == (day(97) if len(slots) == 2 else None)


def test_an_old_secret_is_not_retired_before_nocobase_was_proved_to_use_the_new_one() -> None:
    # What NocoBase uses is not known: nothing is removed, however much time has passed.
    plan = plan_secrets(LastSecrets({A: secret(0), B: secret(0)}, None, None), day(50), POLICY)
    assert set(plan.slots) == {A, B}


def test_a_request_issues_a_new_secret_once() -> None:
    asked = Policy("mail", requested=day(10.5))
    plan = plan_secrets(LastSecrets({A: secret(0)}, A, day(0)), day(11), asked)
    assert plan.slots == {A: secret(0), B: IssuedSecret("mail b 2026-12-01", day(10.5), day(190.5))}
    assert "requested on" in plan.reasons[0]
    again = plan_secrets(LastSecrets(plan.slots, B, day(11)), day(12), asked)
    assert again.slots == plan.slots
    assert again.reasons == ()


@pytest.mark.parametrize("requested", [day(10.5) + timedelta(microseconds=250_000), day(10.5)])
def test_a_request_is_kept_to_the_second(requested: datetime) -> None:
    asked = Policy("mail", requested=requested)
    plan = plan_secrets(LastSecrets({A: secret(0)}, A, day(0)), day(11), asked)
    assert plan.slots[B].issued == day(10.5)
    assert plan_secrets(LastSecrets(plan.slots, B, day(11)), day(12), asked).reasons == ()


def test_a_request_for_a_later_time_waits() -> None:
    plan = plan_secrets(LastSecrets({A: secret(0)}, A, day(0)), day(9), Policy("mail", requested=day(10)))
    assert plan.reasons == ()


def test_a_first_secret_fulfils_a_request_of_the_same_day() -> None:
    asked = Policy("mail", requested=day(0.5))
    plan = plan_secrets(LastSecrets(), day(0.6), asked)
    assert plan.slots[A].issued == day(0.5)
    assert plan_secrets(LastSecrets(plan.slots, A, day(0.6)), day(0.7), asked).reasons == ()


def test_a_successor_counts_as_the_later_one_also_after_settings_changed() -> None:
    last = LastSecrets({A: secret(0, lifetime=2)}, A, day(0))
    plan = plan_secrets(last, day(0), Policy("mail", lifetime_days=8, rotate_every_days=4, retire_after_days=3))
    assert plan.slots[B].issued > plan.slots[A].issued
    assert plan.active is B


def test_without_retirement_the_old_secret_goes_with_the_switch() -> None:
    at_once = Policy("mail", retire_after_days=0)
    plan = plan_secrets(LastSecrets({A: secret(0)}, A, day(0)), day(90), at_once)
    assert set(plan.slots) == {B}


def test_an_expired_secret_is_dropped() -> None:
    last = LastSecrets({A: secret(0), B: secret(90)}, B, day(176))
    assert set(plan_secrets(last, day(179), POLICY).slots) == {A, B}
    slots = {A: secret(0, 100), B: secret(90)}
    for last, why in (
        (LastSecrets(slots, B, day(99)), f"slot b has been in use since {day(99).date()}"),
        # No NocoBase was given it: it was down for so long.
        (LastSecrets(slots, A, day(0)), "slot b takes its place"),
    ):
        plan = plan_secrets(last, day(101), POLICY)
        assert (set(plan.slots), plan.reasons) == ({B}, (f"the old secret in slot a is removed; {why}",))


def test_a_compromised_secret_goes_in_the_same_run_as_its_successor_comes() -> None:
    leaked = Policy("mail", compromised=day(10))
    plan = plan_secrets(LastSecrets({A: secret(0)}, A, day(0)), day(10), leaked)
    assert set(plan.slots) == {B}
    assert plan.active is B
    assert "removed once NocoBase uses the new one" in plan.reasons[1]
    assert plan_secrets(LastSecrets(plan.slots, B, day(10)), day(11), leaked).reasons == ()


def test_both_compromised_secrets_go() -> None:
    leaked = Policy("mail", compromised=day(93))
    first = plan_secrets(LastSecrets({A: secret(0), B: secret(90)}, B, day(90)), day(93), leaked)
    assert first.slots == {B: secret(90)}
    plan = plan_secrets(LastSecrets(first.slots, B, day(90)), day(93), leaked)
    assert plan.slots == {A: IssuedSecret("mail a 2027-02-22", day(93), day(273))}
    assert plan.active is A


@pytest.mark.parametrize(
    ("slots", "active", "expected"),
    [({B: secret(90)}, A, B), ({A: secret(0)}, B, A)],
)
def test_a_secret_in_use_that_was_removed_by_hand_is_replaced_by_the_other(
    slots: dict[Slot, IssuedSecret], active: Slot, expected: Slot
) -> None:
    plan = plan_secrets(LastSecrets(slots, active, day(0)), day(60), POLICY)
    assert plan.active is expected
    assert plan.slots == slots


@pytest.mark.parametrize(
    ("lifetime", "rotate", "retire", "words"),
    [
        (180, 90, 7, None),
        (2, 1, 0, None),
        (180, 173, 7, "rotateEveryDays 173 + retireAfterDays 7 = 180, which must be less than secretLifetimeDays 180"),
        (30, 90, 7, "= 97, which must be less than secretLifetimeDays 30"),
        (180, 0, 7, "must be 1 or more"),
        (180, 90, -1, "must be 0 or more"),
        (180, 10, 10, "retireAfterDays 10 must be less than rotateEveryDays 10"),
    ],
)
def test_impossible_policies_are_refused_with_the_arithmetic(
    lifetime: int, rotate: int, retire: int, words: str | None
) -> None:
    refusal = why_invalid_policy(lifetime, rotate, retire)
    assert (refusal is None) if words is None else (refusal is not None and words in refusal)


def test_without_the_secret_in_use_the_other_one_is_pushed() -> None:
    plan = plan_secrets(LastSecrets({B: secret(90)}, A, day(0)), day(95), POLICY)
    assert (plan.slots, plan.active, plan.since) == ({B: secret(90)}, B, day(95))


def test_where_the_old_secret_is_gone_its_slot_is_free() -> None:
    plan = plan_secrets(LastSecrets({B: secret(90)}, B, day(90)), day(185), POLICY)
    assert (set(plan.slots), plan.active) == ({A, B}, A)
