"""Everything between the stack's settings and its resources: what is validated, asked and planned before a change.

NocoBase is asked only where it was never served, Entra ID only before the first deployment and where something is to
happen to client secrets: an `up` without changes asks neither here.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

import pulumi

from provisioning.entra.client_secret_plan import LastSecrets, Policy, SecretPlan, plan_secrets
from provisioning.entra.orphans import descriptions, find_room, refuse_without_room
from provisioning.entra.ownership import refuse_namesakes
from provisioning.nocobase.preflight import check_installations
from provisioning.nocobase.secret_in_use import doubts
from provisioning.program import settings as stack_settings
from provisioning.program import stack
from provisioning.program.last_state import LastState
from provisioning.program.settings import SameName, Settings


@dataclass(frozen=True)
class Run:
    """What one run declares: the stack's settings, and the client secrets that are to be there after it."""

    settings: Settings
    secrets: SecretPlan


def prepare(last: LastState) -> Run:
    """Validate the settings, ask whether they can be carried out, and plan the client secrets.

    Warns of what does not end the run; raises RunError with a sentence for what does.
    """
    stack.sign_in_as_the_provider()
    with stack.errors_as_sentences():
        settings, _, logins = stack_settings.load(*stack.configuration())
        new = [one for one in settings.installations if one.resource_name not in last.pushed]
        patience = settings.nocobase_patience_seconds
        troubles = check_installations(new, logins, last.client_id, bool(last.pushed), patience)
        if last.object_id is None and settings.same_name is not SameName.ALLOW:
            refuse_namesakes(settings.application_name)
        secrets, orphans = plan_run(
            PlanInputs(
                object_id=last.object_id,
                last=last.secrets,
                now=stack.now(),
                policy=settings.rotation_policy,
                two_at_most=settings.audience.personal,
                preview=pulumi.runtime.is_dry_run(),
                removed_for_replacement=stack.removed_for_replacement,
                doubts=partial(doubts, settings.installations, logins, last.client_id, last.pushed, last.values),
            )
        )
    for reason in (*orphans, *secrets.reasons):
        pulumi.info(f"Client secrets: {reason}.")
    for trouble in troubles:
        pulumi.warn(trouble)
    return Run(settings, secrets)


@dataclass(frozen=True)
class PlanInputs:
    """What the plan of a run's client secrets depends on.

    object_id: of the application, None if there is none yet. two_at_most: whether Entra ID's limit of two secrets holds
    for the application's audience.
    removed_for_replacement: key ids of secrets that the engine itself has recorded as removed by a run that broke off
    before their successors came: their slots are free at once, and declaring them again would issue them again.
    doubts: why a secret that the state does not know may be in use all the same; such a one is not removed.
    """

    object_id: str | None
    last: LastSecrets
    now: datetime
    policy: Policy
    two_at_most: bool
    preview: bool
    removed_for_replacement: Callable[[], Collection[str]]
    doubts: Callable[[], Sequence[str]]


def plan_run(given: PlanInputs) -> tuple[SecretPlan, list[str]]:
    """The plan, and a sentence for each orphan; orphans are removed before a secret is issued, in a preview only told.

    A secret may be gone in Entra ID although the state holds it: it was removed by hand, or by a run that was killed
    before it recorded that. The azuread provider refuses to remove it again, so the plan is told.
    Entra ID is asked only if the plan has something to do. Raises NoRoomForSecret and DirectoryUnreadable.
    """
    last = given.last
    plan = plan_secrets(last, given.now, given.policy)
    if given.object_id is None or not plan.reasons:
        return plan, []
    # Seconds of imports that only a rotation should pay for.
    from provisioning.entra import directory  # noqa: PLC0415

    stored = directory.stored_secrets(given.object_id)
    keys = {secret.key_id for secret in stored}
    gone = frozenset(slot for slot, secret in last.slots.items() if secret.key_id not in keys)
    if gone:
        replaced = given.removed_for_replacement()
        free = {slot for slot in gone if last.slots[slot].key_id in replaced}
        gone -= free
        last = replace(
            last,
            slots={slot: secret for slot, secret in last.slots.items() if slot not in free},
            gone=gone,
            forgotten={**last.forgotten, **{slot: last.slots[slot] for slot in free}},
        )
        plan = plan_secrets(last, given.now, given.policy)
    if all(last.slots.get(slot) == secret for slot, secret in plan.slots.items()):
        return plan, []
    known = {secret.key_id for secret in last.slots.values()}
    names = descriptions((secret.display_name for secret in last.slots.values()), given.policy.description)
    room = find_room(stored, known, names)
    # Also a secret that goes at the end of the run is there when the new one comes.
    kept = len(last.slots.keys() - gone | plan.slots.keys())
    why = given.doubts() if room.orphans else ()
    refuse_without_room(room, kept, given.two_at_most, why)
    if why:
        unsure = f"is not in this stack's state and may be in use: {'; '.join(why)}"
        return plan, [f"{orphan} {unsure}" for orphan in room.orphans]
    if not given.preview:
        for orphan in room.orphans:
            directory.remove_secret(given.object_id, orphan.key_id)
    return plan, [
        f"{orphan} was left by a run that broke off; nobody knows its value: removed" for orphan in room.orphans
    ]
