"""A small model of what the plan of the client secrets works on: the engine with its state, Entra ID and NocoBase.

What is modelled is what the real ones were seen to do. The engine plans with the state of the last run, issues and
removes one secret after the other, records each effect after it was made, pushes when the active secret is there, and
removes what the plan dropped last and only if everything else succeeded. A run can break off after any effect: between
an effect and its record, too. Entra ID allows two secrets and shows no value again. NocoBase hides its secret; that it
was changed by somebody else is seen by its time of change.

After each effect the model asserts what must hold at every instant; see `World.watch`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from provisioning.entra.rotation import IssuedSecret, LastSecrets, Policy, SecretPlan, Slot, rfc3339

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


class World:
    """Engine, Entra ID and NocoBase, and the people around them."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.now = START
        self.policy = Policy("mail")
        self.entra: dict[int, Credential] = {}
        self.slots: dict[Slot, Held] = {}
        self.pushed: Pushed | None = None
        self.in_use: int | None = None
        self.changed = 0
        self.switched = START
        self.backups: list[int] = []
        self.excused = False
        self.runs = 0
        self._effects_left = 0
        self._next_key = 0

    # What must hold --------------------------------------------------------------------------------------------------

    def accepts(self, key: int | None) -> bool:
        """Whether the token endpoint accepts the secret."""
        return key is not None and key in self.entra and self.now < self.entra[key].end

    def watch(self) -> None:
        """Assert that NocoBase holds a secret that Entra ID accepts, and that there are at most two.

        The first is excused from the moment at which somebody else ended it (see `_excuse`) until it holds again.
        """
        assert len(self.entra) <= LIMIT
        if self.accepts(self.in_use):
            self.excused = False
        assert self.in_use is None or self.excused or self.accepts(self.in_use), "NocoBase holds a refused secret"

    def _excuse(self) -> None:
        """No program could have helped it: after what people did, or by the time that passed, the secret is refused."""
        if not self.accepts(self.in_use):
            self.excused = True
        self.watch()

    # What people and time do -----------------------------------------------------------------------------------------

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

    def restore_nocobase(self, index: int) -> None:
        """NocoBase goes back to a backup, perhaps with a secret that was retired or has expired."""
        self.in_use = self.backups[index % len(self.backups)]
        self.changed += 1
        self._excuse()

    def clear_the_way(self) -> None:
        """What the program asks people for: remove their own secrets, and refresh what was removed behind its back."""
        if any(held.key not in self.entra and not held.removed for held in self.slots.values()):
            self.refresh()
        misnamed = self._misnamed()
        for key in [key for key, credential in self.entra.items() if not credential.ours or key in misnamed]:
            del self.entra[key]

    # What the program does -------------------------------------------------------------------------------------------

    def refresh(self) -> None:
        """`pulumi refresh`: secrets that are gone leave the state. NocoBase hides its secret, so the push stays."""
        self.slots = {slot: held for slot, held in self.slots.items() if held.key in self.entra}

    def last_secrets(self) -> LastSecrets:
        """What the program reads from the state: a slot is active if its secret is the very one that was pushed."""
        secrets = {slot: held.secret for slot, held in self.slots.items()}
        if self.pushed is None:
            return LastSecrets(secrets)
        held = self.slots.get(self.pushed.slot)
        proved = held is not None and held.key == self.pushed.key
        return LastSecrets(secrets, self.pushed.slot if proved else None, self.pushed.since)

    def up(self, effects: int = 0, refresh: bool = False) -> SecretPlan:
        """`pulumi up`, or `pulumi up --refresh`; it breaks off after so many effects, 0 for never. Raises RunEnded."""
        self.runs += 1
        self._effects_left = effects
        last = self.last_secrets()
        if refresh:
            # The program still reads the state as it was before.
            self.refresh()
        plan = self.plan(last, self.now, self.policy)
        assert plan.active in plan.slots
        if any(last.slots.get(slot) != secret for slot, secret in plan.slots.items()):
            self._make_room(last, plan)
        for slot in sorted(plan.slots):
            self._place(slot, plan.slots[slot], planned_with_all=not refresh)
        self._push(plan)
        for slot in [slot for slot in self.slots if slot not in plan.slots]:
            self._retire(slot)
        return plan

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
        if len({*last.slots, *plan.slots}) + len(foreign) > LIMIT:
            raise Refused("a secret that is not this stack's is in the way")
        for key in unknown:
            if key not in foreign:
                self._remove(key)

    def _misnamed(self) -> set[int]:
        """Secrets in no state that are not known for this stack's, because the description was changed since."""
        named = {self.policy.description, *(held.secret.display_name.split()[0] for held in self.slots.values())}
        known = {held.key for held in self.slots.values()}
        return {key for key, one in self.entra.items() if key not in known and one.display_name.split()[0] not in named}

    def _place(self, slot: Slot, secret: IssuedSecret, planned_with_all: bool) -> None:
        held = self.slots.get(slot)
        if held is not None and not held.removed:
            if _same(held.secret, secret):
                return
            self._remove(held.key)
            self.slots[slot] = replace(held, removed=True)
            self._made()
        if secret.end <= self.now:
            raise Refused("it would end before it starts")
        if len(self.entra) >= LIMIT:
            assert not planned_with_all, "a third secret is asked for"
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
        assert key != self.in_use or not self.accepts(key), "the secret in use is removed"
        if key not in self.entra:
            raise Refused("No password credential found with keyId.")
        del self.entra[key]
        self._made()

    def _push(self, plan: SecretPlan) -> None:
        key = self.slots[plan.active].key
        declared = Pushed(plan.active, plan.since.replace(microsecond=0), key, self.changed)
        if self.pushed == declared:
            return
        if (self.pushed is None or self.pushed.key != key) and not self.accepts(key):
            raise Refused("the token endpoint does not accept it")
        if self.in_use != key:
            self.switched = self.now
            self.backups.append(key)
        self.in_use = key
        self.changed += 1
        self._made()
        self.pushed = replace(declared, changed=self.changed)
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
        assert self.pushed is not None
        leaked = any(old.issued < at for at in self._come(self.policy.compromised))
        rested = self.now >= self.switched + timedelta(days=self.policy.retire_after_days)
        return leaked or rested or self.now >= old.end or self.is_due(self.slots[self.pushed.slot].secret)

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
        before = (dict(self.entra), dict(self.slots), self.pushed, self.in_use)
        plan = self.up()
        limits = self._come(self.policy.compromised)
        leaked = [held for held in self.slots.values() if any(held.secret.issued < at for at in limits)]
        assert not leaked, "a leaked secret is left behind"
        assert self.pushed is not None
        active = self.slots[self.pushed.slot].secret
        assert not self.is_due(active), "what is due is not done"
        old_remains = plan.old_retires is not None and plan.old_retires > self.now
        assert (len(self.slots) == LIMIT) == old_remains, "an old secret is left behind"
        assert plan.reasons == (), "the third run goes on"
        assert (dict(self.entra), dict(self.slots), self.pushed, self.in_use) == before, "the third run goes on"
        assert self.pushed.key == self.in_use, "NocoBase does not hold the secret that was pushed"
        assert self.accepts(self.in_use), "NocoBase holds a refused secret"
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
