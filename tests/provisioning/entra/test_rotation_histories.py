"""Thousands of histories of runs, failures, kills and people's interventions, with what must hold at every instant.

The machine writes the histories; `rotation_world` says what the engine, Entra ID and NocoBase make of the plan and
asserts. That the machine can fail is shown with plans that have one flaw each.
"""

from __future__ import annotations

import random
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from provisioning.entra.client_secret_plan import (
    IssuedSecret,
    LastSecrets,
    Policy,
    SecretPlan,
    plan_secrets,
    why_invalid_policy,
)
from tests.figures import Say
from tests.provisioning.entra.rotation_world import Plan, RunEnded, World

HISTORIES = settings(
    max_examples=400,
    stateful_step_count=30,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)

FRESH = settings(HISTORIES, max_examples=20_000, derandomize=False)
SEEDS = 20

TIMES = st.one_of(
    st.integers(1, 48).map(lambda hours: timedelta(hours=hours)),
    st.integers(1, 30).map(lambda days: timedelta(days=days)),
    st.integers(30, 120).map(lambda days: timedelta(days=days)),
    st.integers(1, 3).map(lambda years: timedelta(days=365 * years)),
)
PAUSES = st.one_of(st.just(timedelta(0)), TIMES)
"""Between an interrupted run and what follows: most flaws show when a later day sees what it left."""
DURATIONS = (
    st.tuples(st.integers(2, 730), st.integers(1, 400), st.integers(0, 60))
    | st.sampled_from([(180, 90, 7), (2, 1, 0), (730, 365, 30), (30, 10, 1), (90, 45, 0), (60, 7, 6)])
).filter(lambda days: why_invalid_policy(*days) is None)
EFFECTS = st.sampled_from([1, 2, 3, 3, 3, 4, 5, 6])
"""A rotation has four: issued, recorded, written to NocoBase, recorded. The old one goes after them."""


class Histories(RuleBasedStateMachine):
    """Each history is a stack's life, a rule an event in it."""

    plan: Plan = staticmethod(plan_secrets)
    count: ClassVar[Counter[str]] = Counter()

    most_installations: ClassVar[int] = 3
    world: World

    @initialize(installations=st.sampled_from([1, 1, 2, 3]))
    def begin(self, installations: int) -> None:
        self.world = World(type(self).plan, min(installations, type(self).most_installations))
        type(self).count["histories"] += 1

    @rule(time=TIMES)
    def time_passes(self, time: timedelta) -> None:
        self.world.wait(time)

    @rule()
    def up(self) -> None:
        with suppress(RunEnded):
            self.world.up()

    @rule(effects=EFFECTS, pause=PAUSES)
    def up_is_interrupted(self, effects: int, pause: timedelta) -> None:
        with suppress(RunEnded):
            self.world.up(effects)
        self.world.wait(pause)

    @rule(effects=EFFECTS, pause=PAUSES)
    def requested_rotation_is_interrupted(self, effects: int, pause: timedelta) -> None:
        self.world.policy = replace(self.world.policy, requested=self.world.now)
        with suppress(RunEnded):
            self.world.up(effects)
        self.world.wait(pause)

    @rule()
    def settle(self) -> None:
        self.world.settle()

    @rule()
    def refresh(self) -> None:
        self.world.refresh()

    @rule(days=DURATIONS)
    def settings_are_edited(self, days: tuple[int, int, int]) -> None:
        lifetime, every, retire = days
        world = self.world
        world.policy = replace(world.policy, lifetime_days=lifetime, rotate_every_days=every, retire_after_days=retire)

    @rule(description=st.sampled_from(["mail", "post"]))
    def description_is_renamed(self, description: str) -> None:
        self.world.policy = replace(self.world.policy, description=description)

    @rule(ahead=st.sampled_from([timedelta(0), timedelta(0), timedelta(days=1)]))
    def rotation_is_requested(self, ahead: timedelta) -> None:
        self.world.policy = replace(self.world.policy, requested=self.world.now + ahead)

    @rule()
    def secrets_are_compromised(self) -> None:
        self.world.policy = replace(self.world.policy, compromised=self.world.now)

    @precondition(lambda self: self.world.entra)
    @rule(index=st.integers(0, 1))
    def secret_is_removed_by_hand(self, index: int) -> None:
        self.world.remove_by_hand(index)

    @rule()
    def secret_is_added_by_hand(self) -> None:
        self.world.add_by_hand()

    @rule(index=st.integers(0, 9), which=st.integers(0, 2))
    def nocobase_is_restored(self, index: int, which: int) -> None:
        self.world.restore_nocobase(-1 - index, which)

    @rule(which=st.integers(0, 2), down=st.booleans())
    def nocobase_goes_down_or_comes_back(self, which: int, down: bool) -> None:
        self.world.nocobases[which % len(self.world.nocobases)].down = down

    def teardown(self) -> None:
        """However a history ends, two undisturbed runs bring it in order."""
        self.world.settle()
        type(self).count["runs"] += self.world.runs


def machine(tried: Plan, number: int | None, most: int = 3) -> type[Histories]:
    """A machine with counters of its own that tries a plan. number: its seed; None for that of the settings."""

    class Counted(Histories):
        plan = staticmethod(tried)
        count: ClassVar[Counter[str]] = Counter()
        most_installations: ClassVar[int] = most

    return Counted if number is None else seed(number)(Counted)


@pytest.mark.parametrize(
    "histories",
    [
        pytest.param(HISTORIES, id="the same ones"),
        pytest.param(FRESH, id="fresh ones", marks=[pytest.mark.proof, pytest.mark.timeout(3600)]),
    ],
)
def test_mail_works_through_every_history(histories: settings, say: Say) -> None:
    number = None if histories.derandomize else random.getrandbits(32)
    counted = machine(plan_secrets, number)
    run_state_machine_as_test(counted, settings=histories)
    begin = "the same ones" if number is None else f"seed {number}"
    say(f"{counted.count['histories']} histories ({begin}) with {counted.count['runs']} runs of `pulumi up`")
    assert counted.count["histories"] >= histories.max_examples


@pytest.mark.parametrize(("happens", "runs"), [("nothing", 1), ("restored", 2), ("down", 2)])
def test_a_leak_while_both_secrets_are_there_takes_one_run_if_no_nocobase_may_use_the_old_one(
    happens: str, runs: int
) -> None:
    world = World(plan_secrets, installations=2)
    world.up()
    world.wait(timedelta(days=90))
    world.up()
    world.wait(timedelta(days=1))
    if happens == "restored":
        # It uses the old secret again, and hides it.
        world.restore_nocobase(0, which=1)
    world.nocobases[1].down = happens == "down"
    world.policy = replace(world.policy, compromised=world.now)
    leaked = set(world.entra)
    with suppress(RunEnded):
        world.up()
    assert (not leaked & set(world.entra)) is (runs == 1)
    world.clear_the_way()
    for _ in range(2):
        world.up()
    assert not leaked & set(world.entra)
    world.settle()


def retires_at_once(last: LastSecrets, now: datetime, policy: Policy) -> SecretPlan:
    plan = plan_secrets(last, now, policy)
    return replace(plan, slots={plan.active: plan.slots[plan.active]}, old_retires=None)


def never_retires(last: LastSecrets, now: datetime, policy: Policy) -> SecretPlan:
    plan = plan_secrets(last, now, policy)
    return replace(plan, slots={**last.slots, **plan.slots})


def issues_into_the_slot_in_use(last: LastSecrets, now: datetime, policy: Policy) -> SecretPlan:
    plan = plan_secrets(last, now, policy)
    if last.active is None or plan.active is last.active or last.active not in plan.slots:
        return plan
    return replace(plan, slots={last.active: plan.slots[plan.active]}, active=last.active)


def issues_into_an_occupied_slot(last: LastSecrets, now: datetime, policy: Policy) -> SecretPlan:
    """It does not see the old secret that has not retired yet."""
    seen = {slot: secret for slot, secret in last.slots.items() if not _older(secret, last)}
    plan = plan_secrets(replace(last, slots=seen), now, policy)
    return plan if plan.active is not last.active else plan_secrets(last, now, policy)


def forgets_the_begun_successor(last: LastSecrets, now: datetime, policy: Policy) -> SecretPlan:
    known = {slot: secret for slot, secret in last.slots.items() if not _newer(secret, last)}
    return plan_secrets(replace(last, slots=known), now, policy)


def dates_the_begun_successor_anew(last: LastSecrets, now: datetime, policy: Policy) -> SecretPlan:
    plan = plan_secrets(last, now, policy)
    slots = {slot: _moved(one, now) if _newer(one, last) else one for slot, one in plan.slots.items()}
    return replace(plan, slots=slots)


def renames_what_is_issued(last: LastSecrets, now: datetime, policy: Policy) -> SecretPlan:
    plan = plan_secrets(last, now, policy)
    slots = {slot: replace(one, display_name=f"{policy.description} {slot}") for slot, one in plan.slots.items()}
    return replace(plan, slots=slots)


def prolongs_what_is_issued(last: LastSecrets, now: datetime, policy: Policy) -> SecretPlan:
    plan = plan_secrets(last, now, policy)
    lifetime = timedelta(days=policy.lifetime_days)
    return replace(plan, slots={slot: replace(one, end=one.issued + lifetime) for slot, one in plan.slots.items()})


def dates_from_the_request(last: LastSecrets, now: datetime, policy: Policy) -> SecretPlan:
    """However long ago that was."""
    plan = plan_secrets(last, now, policy)
    asked = policy.requested
    return replace(
        plan,
        slots={
            slot: _moved(one, asked) if asked and slot not in last.slots and slot is plan.active else one
            for slot, one in plan.slots.items()
        },
    )


def ignores_leaks(last: LastSecrets, now: datetime, policy: Policy) -> SecretPlan:
    return plan_secrets(last, now, replace(policy, compromised=None))


def does_not_switch(last: LastSecrets, now: datetime, policy: Policy) -> SecretPlan:
    plan = plan_secrets(last, now, policy)
    return replace(plan, active=last.active) if last.active and last.active in plan.slots else plan


def _newer(secret: IssuedSecret, last: LastSecrets) -> bool:
    """Whether it was issued after the one that is known to be in use."""
    used = last.slots.get(last.active) if last.active else None
    return used is not None and secret.issued > used.issued


def _older(secret: IssuedSecret, last: LastSecrets) -> bool:
    """Whether it was issued before the one that is known to be in use."""
    used = last.slots.get(last.active) if last.active else None
    return used is not None and secret.issued < used.issued


def _moved(secret: IssuedSecret, start: datetime) -> IssuedSecret:
    return replace(secret, issued=start, end=start + (secret.end - secret.issued))


VIOLATIONS = "|".join(
    (
        "NocoBase holds a refused secret",
        "NocoBase does not hold the secret that was pushed",
        "a leaked secret is left behind",
        "a third secret is asked for",
        "a valid secret is replaced in its slot",
        "an old secret is left behind",
        "an old secret is removed too early",
        "it would end before it starts",
        "the next rotation comes too late",
        "the secret in use is removed",
        "the token endpoint does not accept it",
        "the third run goes on",
        "there are two already",
        "what is due is not done",
    )
)
"""What the model says of a plan that breaks a promise; most flaws break several, and either may be met first."""


FLAWED: list[Plan] = [
    retires_at_once,
    never_retires,
    issues_into_the_slot_in_use,
    issues_into_an_occupied_slot,
    forgets_the_begun_successor,
    dates_the_begun_successor_anew,
    renames_what_is_issued,
    prolongs_what_is_issued,
    dates_from_the_request,
    ignores_leaks,
    does_not_switch,
]


def name(plan: Plan) -> str:
    """What the plan is called."""
    return str(getattr(plan, "__name__", ""))


def histories_until_caught(flawed: Plan, number: int | None) -> int:
    """How many histories the flawed plan survives, with that seed or the fixed one; at most those of each run."""
    counted = machine(flawed, number, most=1)
    # The first history that fails is enough; it need not be the shortest.
    first = settings(HISTORIES, phases=[Phase.generate], report_multiple_bugs=False, derandomize=number is None)
    with pytest.raises((AssertionError, RunEnded), match=VIOLATIONS):
        run_state_machine_as_test(counted, settings=first)
    return counted.count["histories"]


@pytest.mark.parametrize("flawed", FLAWED, ids=name)
def test_a_flawed_plan_is_caught(flawed: Plan) -> None:
    histories_until_caught(flawed, None)


@pytest.mark.proof
@pytest.mark.parametrize("flawed", FLAWED, ids=name)
def test_a_flawed_plan_is_caught_with_every_seed(flawed: Plan, say: Say) -> None:
    counts = [histories_until_caught(flawed, random.getrandbits(32)) for _ in range(SEEDS)]
    say(f"{name(flawed)}: caught with {SEEDS} of {SEEDS} fresh seeds, after at most {max(counts)} histories")
