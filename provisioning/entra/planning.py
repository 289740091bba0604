"""The plan of this run's client secrets, held against what Entra ID holds wherever something is to happen to them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from provisioning.entra.room import descriptions, find_room, refuse_without_room
from provisioning.entra.rotation import LastSecrets, SecretPlan, plan_secrets

if TYPE_CHECKING:
    from provisioning.settings import Settings


def plan_run(
    object_id: str | None,
    last: LastSecrets,
    now: datetime,
    settings: Settings,
    preview: bool,
    removed_for_replacement: Callable[[], Collection[str]],
    doubts: Callable[[], Sequence[str]],
) -> tuple[SecretPlan, list[str]]:
    """The plan, and a sentence for each orphan; orphans are removed before a secret is issued, in a preview only told.

    A secret may be gone in Entra ID although the state holds it: it was removed by hand, or by a run that was killed
    before it recorded that. The azuread provider refuses to remove it again, so the plan is told.
    removed_for_replacement: key ids of secrets that the engine itself has recorded as removed by a run that broke off
    before their successors came: their slots are free at once, and declaring them again would issue them again.
    doubts: why a secret that the state does not know may be in use all the same; such a one is not removed.
    object_id: of the application, None if there is none yet. Entra ID is asked only if the plan has something to do.
    Raises NoRoomForSecret and DirectoryUnreadable.
    """
    plan = plan_secrets(last, now, settings.rotation_policy)
    if object_id is None or not plan.reasons:
        return plan, []
    # Seconds of imports that only a rotation should pay for.
    from provisioning.entra import directory  # noqa: PLC0415

    stored = directory.stored_secrets(object_id)
    keys = {secret.key_id for secret in stored}
    gone = frozenset(slot for slot, secret in last.slots.items() if secret.key_id not in keys)
    if gone:
        replaced = removed_for_replacement()
        free = {slot for slot in gone if last.slots[slot].key_id in replaced}
        gone -= free
        last = replace(
            last,
            slots={slot: secret for slot, secret in last.slots.items() if slot not in free},
            gone=gone,
            forgotten={**last.forgotten, **{slot: last.slots[slot] for slot in free}},
        )
        plan = plan_secrets(last, now, settings.rotation_policy)
    if all(last.slots.get(slot) == secret for slot, secret in plan.slots.items()):
        return plan, []
    known = {secret.key_id for secret in last.slots.values()}
    names = descriptions((secret.display_name for secret in last.slots.values()), settings.secret_description)
    room = find_room(stored, known, names)
    # Also a secret that goes at the end of the run is there when the new one comes.
    kept = len(last.slots.keys() - gone | plan.slots.keys())
    why = doubts() if room.orphans else ()
    refuse_without_room(room, kept, settings.audience.personal, why)
    if why:
        unsure = f"is not in this stack's state and may be in use: {'; '.join(why)}"
        return plan, [f"{orphan} {unsure}" for orphan in room.orphans]
    if not preview:
        for orphan in room.orphans:
            directory.remove_secret(object_id, orphan.key_id)
    return plan, [
        f"{orphan} was left by a run that broke off; nobody knows its value: removed" for orphan in room.orphans
    ]
