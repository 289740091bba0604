"""A small model of what the plan of the client secrets works on: the engine with its state, Entra ID and NocoBase.

What is modelled is what the real ones were seen to do. The engine plans with the state of the last run, issues and
removes one secret after the other, records each effect after it was made, pushes when the active secret is there, and
removes what the plan dropped last and only if everything else succeeded. A run can be interrupted after any effect,
also between it and its record. Entra ID allows two secrets and shows no value again. NocoBase hides its secret; that it
was changed by somebody else is seen by its time of change.

After each effect the model asserts what must hold at every instant; see `World.watch`.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from provisioning.entra.client_secret_plan import (
    IssuedSecret,
    LastSecrets,
    Policy,
    SecretPlan,
    Slot,
    plan_at_once,
    rfc3339,
)
from provisioning.program.last_state import Usage, in_use

Plan = Callable[[LastSecrets, datetime, Policy], SecretPlan]

START = datetime(2026, 11, 21, 9, 30, 15, 250_000, tzinfo=UTC)
LIMIT = 2


class RunEnded(Exception):
    """A run ended early."""


class BrokenOff(RunEnded):
    """The run was killed, or the next effect failed."""


class Refused(RunEnded):
    """Entra ID or the program refused the next effect."""


@dataclass(frozen=True)
class Credential:
    """A client secret in Entra ID. ours: whether its name has the form of this stack's."""

    display_name: str
    end: datetime
    ours: bool = True


@dataclass(frozen=True)
class Held:
    """A client secret in the engine's state.

    removed: it was removed to make place for its replacement, which is not there yet.
    """

    secret: IssuedSecret
    key: int
    removed: bool = False


@dataclass(frozen=True)
class Pushed:
    """The push in the engine's state: what was declared, and NocoBase's time of change after it."""

    slot: Slot
    since: datetime
    key: int
    changed: int


@dataclass
class NocoBase:
    """One NocoBase that the application serves, and its push in the engine's state.

    in_use: the key of the secret that it holds. changed: its own time of change. switched: when it was given the secret
    of its push. backups: the secrets that it held before. excused: see `World.watch`. down: it takes no push. failed:
    its last push failed, which the state says; `pushed` is then still what was proved before.
    """

    pushed: Pushed | None = None
    in_use: int | None = None
    changed: int = 0
    switched: datetime = START
    backups: list[int] = field(default_factory=list)
    excused: bool = False
    down: bool = False
    failed: bool = False


class World:
    """Engine, Entra ID and NocoBase, once or several times, and the people around them."""

    def __init__(self, plan: Plan, installations: int = 1) -> None:
        self.plan = plan
        self.now = START
        self.policy = Policy("mail")
        self.entra: dict[int, Credential] = {}
        self.slots: dict[Slot, Held] = {}
        self.nocobases = [NocoBase() for _ in range(installations)]
        self.runs = 0
        self._effects_left = 0
        self._next_key = 0

    # What must hold

    def accepts(self, key: int | None) -> bool:
        """Whether the token endpoint accepts the secret."""
        return key is not None and key in self.entra and self.now < self.entra[key].end

    def watch(self) -> None:
        """Assert that every NocoBase holds a secret that Entra ID accepts, and that there are at most two.

        The first is excused from the moment at which somebody else ended it (see `_excuse`) until it holds again.
        """
        assert len(self.entra) <= LIMIT
        for one in self.nocobases:
            if self.accepts(one.in_use):
                one.excused = False
            assert one.in_use is None or one.excused or self.accepts(one.in_use), "NocoBase holds a refused secret"

    def _excuse(self) -> None:
        """No program could have helped it: after what people did, or by the time that passed, the secret is refused."""
        for one in self.nocobases:
            one.excused = one.excused or not self.accepts(one.in_use)
        self.watch()

    # What people and time do

    def wait(self, time: timedelta) -> None:
        """Time passes; the secret in use may expire if there is no run meanwhile."""
        self.now += time
        self._excuse()

    def remove_by_hand(self, index: int) -> None:
        """Somebody removes a secret in Entra ID, perhaps the very one in use."""
        del self.entra[sorted(self.entra)[index % len(self.entra)]]
        self._excuse()

    def add_by_hand(self) -> None:
        """Somebody makes a secret of their own."""
        if len(self.entra) < LIMIT:
            self._issue(Credential("somebody's", self.now + timedelta(days=90), ours=False))

    def restore_nocobase(self, index: int, which: int = 0) -> None:
        """A NocoBase goes back to a backup, perhaps with a secret that was retired or has expired."""
        one = self.nocobases[which % len(self.nocobases)]
        if one.backups:
            one.in_use = one.backups[index % len(one.backups)]
            one.changed += 1
            self._excuse()

    def clear_the_way(self) -> None:
        """What the program asks people for: start NocoBase, remove their secrets."""
        for one in self.nocobases:
            one.down = False
        misnamed = self._misnamed()
        for key in [key for key, credential in self.entra.items() if not credential.ours or key in misnamed]:
            del self.entra[key]

    # What the program does

    def refresh(self) -> None:
        """`pulumi refresh`: secrets that are gone leave the state. NocoBase hides its secret, so the push stays.

        The engine does not ask for what an interrupted replacement has removed.
        """
        self.slots = {slot: held for slot, held in self.slots.items() if held.removed or held.key in self.entra}

    def last_secrets(self) -> LastSecrets:
        """What the program reads from the state: each push proves its slot if it pushed the very secret in it."""
        secrets = {slot: held.secret for slot, held in self.slots.items()}
        proofs = [self._proof(one.pushed) for one in self.nocobases if one.pushed is not None or one.failed]
        if proofs and len(secrets) > 1:
            proofs += [Usage() for one in self.nocobases if one.pushed is None and not one.failed]
        return in_use(secrets, proofs)

    def _proof(self, pushed: Pushed | None) -> Usage:
        if pushed is None:
            return Usage()
        held = self.slots.get(pushed.slot)
        proved = held is not None and held.key == pushed.key
        return Usage(pushed.slot if proved else None, pushed.since)

    def up(self, effects: int = 0) -> SecretPlan:
        """`pulumi up`, which refreshes; it is interrupted after so many effects, 0 for never. Raises RunEnded."""
        self.runs += 1
        self._effects_left = effects
        # The program reads the state as it was before.
        last = self.last_secrets()
        self.refresh()
        plan = self.plan(last, self.now, self.policy)
        asked = bool(plan.reasons) or len(last.slots) > 1
        if asked:
            keys = {str(key) for key in self.entra}
            last = replace(last, slots={slot: one for slot, one in last.slots.items() if one.key_id in keys})
            plan = self.plan(last, self.now, self.policy)
        waits = plan.freed
        plan = plan_at_once(plan, last, self.now, self.policy, self._may_use)
        freed = waits if plan.freed is None else None
        assert plan.active in plan.slots
        if any(last.slots.get(slot) != secret for slot, secret in plan.slots.items()):
            self._make_room(last, plan)
        for slot in sorted(plan.slots):
            self._place(slot, plan.slots[slot], asked, slot is freed)
        for one in self.nocobases:
            self._push(plan, one)
        if any(one.failed for one in self.nocobases):
            raise Refused("not every NocoBase is served")
        for slot in [slot for slot in self.slots if slot not in plan.slots]:
            self._retire(slot)
        return plan

    def _may_use(self, _: Slot) -> bool:
        """Whether a NocoBase may use another secret than that of its last push, as far as it shows that."""
        return any(one.down or one.pushed is None or one.changed != one.pushed.changed for one in self.nocobases)

    def _made(self) -> None:
        """One more effect was made: this is an instant, and perhaps the last one of this run."""
        self.watch()
        self._effects_left -= 1
        if self._effects_left == 0:
            raise BrokenOff

    def _make_room(self, last: LastSecrets, plan: SecretPlan) -> None:
        known = {held.key for held in self.slots.values()}
        unknown = [key for key in self.entra if key not in known]
        foreign = [key for key in unknown if not self.entra[key].ours or key in self._misnamed()]
        if len(last.slots.keys() | plan.slots.keys()) + len(foreign) > LIMIT:
            raise Refused("a secret that is not this stack's is in the way")
        for key in unknown:
            if key not in foreign:
                self._remove(key)

    def _misnamed(self) -> set[int]:
        """Secrets in no state that are not known for this stack's, because the description was changed since."""
        named = {self.policy.description, *(held.secret.display_name.split()[0] for held in self.slots.values())}
        known = {held.key for held in self.slots.values()}
        return {key for key, one in self.entra.items() if key not in known and one.display_name.split()[0] not in named}

    def _place(self, slot: Slot, secret: IssuedSecret, asked: bool, freed: bool) -> None:
        held = self.slots.get(slot)
        if held is not None and not held.removed:
            if _same(held.secret, secret):
                return
            assert freed or not self.accepts(held.key), "a valid secret is replaced in its slot"
            self._remove(held.key)
            self.slots[slot] = replace(held, removed=True)
            self._made()
        if secret.end <= self.now:
            raise Refused("it would end before it starts")
        if len(self.entra) >= LIMIT:
            assert not asked, "a third secret is asked for"
            raise Refused("there are two already")
        key = self._issue(Credential(secret.display_name, secret.end))
        self._made()
        self.slots[slot] = Held(_as_recorded(secret, key), key)
        self._made()

    def _issue(self, credential: Credential) -> int:
        self._next_key += 1
        self.entra[self._next_key] = credential
        return self._next_key

    def _remove(self, key: int) -> None:
        used = key in [one.in_use for one in self.nocobases]
        assert not used or not self.accepts(key), "the secret in use is removed"
        if key not in self.entra:
            raise Refused("No password credential found with keyId.")
        del self.entra[key]
        self._made()

    def _push(self, plan: SecretPlan, one: NocoBase) -> None:
        key = self.slots[plan.active].key
        declared = Pushed(plan.active, plan.since.replace(microsecond=0), key, one.changed)
        if one.pushed == declared and not one.failed and not one.down:
            return
        if not self.accepts(key):
            raise Refused("the token endpoint does not accept it")
        if one.down:
            one.failed = True
            self._made()
            return
        if one.in_use != key:
            if one.pushed is None or one.pushed.key != key:
                one.switched = self.now
            one.backups.append(key)
            one.in_use = key
            one.changed += 1
            self._made()
        one.pushed, one.failed = replace(declared, changed=one.changed), False
        self._made()

    def _retire(self, slot: Slot) -> None:
        held = self.slots[slot]
        if not held.removed:
            assert self._may_retire(held.secret), "an old secret is removed too early"
            self._remove(held.key)
        del self.slots[slot]
        self._made()

    def _may_retire(self, old: IssuedSecret) -> bool:
        """After its time, or earlier where it is a danger, of no use, or where the next one needs its slot."""
        leaked = any(old.issued < at for at in self._come(self.policy.compromised))
        switched = max(one.switched for one in self.nocobases)
        rested = self.now >= switched + timedelta(days=self.policy.retire_after_days)
        return leaked or rested or self.now >= old.end or self.is_due(self._pushed_secret())

    def _pushed_secret(self) -> IssuedSecret:
        (slot,) = {one.pushed.slot for one in self.nocobases if one.pushed is not None}
        return self.slots[slot].secret

    def is_due(self, secret: IssuedSecret) -> bool:
        """Whether the policy wants another secret in the place of this one."""
        asked = self._come(self.policy.requested, self.policy.compromised)
        by_age = secret.issued + timedelta(days=self.policy.rotate_every_days)
        by_end = secret.end - timedelta(days=self.policy.retire_after_days)
        return self.now >= min(by_age, by_end) or any(secret.issued < at for at in asked)

    def _come(self, *requests: datetime | None) -> list[datetime]:
        """The requests whose time has come, in whole seconds, as records are kept."""
        return [at.replace(microsecond=0) for at in requests if at is not None and at <= self.now]

    def settle(self) -> None:
        """Two undisturbed runs; assert that a third has nothing to do, and that nothing is left undone."""
        self.clear_the_way()
        self.up()
        self.up()
        before = copy.deepcopy((self.entra, self.slots, self.nocobases))
        plan = self.up()
        limits = self._come(self.policy.compromised)
        leaked = [held for held in self.slots.values() if any(held.secret.issued < at for at in limits)]
        assert not leaked, "a leaked secret is left behind"
        active = self._pushed_secret()
        assert not self.is_due(active), "what is due is not done"
        old_remains = plan.old_retires is not None and plan.old_retires > self.now
        assert (len(self.slots) == LIMIT) == old_remains, "an old secret is left behind"
        assert plan.reasons == (), "the third run goes on"
        assert (self.entra, self.slots, self.nocobases) == before, "the third run goes on"
        for one in self.nocobases:
            assert one.pushed is not None
            assert one.pushed.key == one.in_use, "NocoBase does not hold the secret that was pushed"
            assert self.accepts(one.in_use), "NocoBase holds a refused secret"
        last_day = active.end - timedelta(days=self.policy.retire_after_days)
        assert self.now < plan.next_rotation <= last_day, "the next rotation comes too late"


def _as_recorded(secret: IssuedSecret, key: int) -> IssuedSecret:
    """The secret as the state keeps it: times to the second."""
    issued, end = (datetime.fromisoformat(rfc3339(moment)) for moment in (secret.issued, secret.end))
    return replace(secret, issued=issued, end=end, key_id=str(key))


def _same(held: IssuedSecret, planned: IssuedSecret) -> bool:
    """Whether the engine sees no difference in the inputs."""
    inputs = [(secret.display_name, rfc3339(secret.issued), rfc3339(secret.end)) for secret in (held, planned)]
    return inputs[0] == inputs[1]
