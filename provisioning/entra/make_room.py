"""Before a client secret is issued: looks at those in Entra ID and removes what a broken-off run left behind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from provisioning.entra.room import descriptions, find_room, refuse_without_room
from provisioning.entra.rotation import LastSecrets, SecretPlan

if TYPE_CHECKING:
    from provisioning.settings import Settings


def make_room(
    object_id: str | None,
    last: LastSecrets,
    plan: SecretPlan,
    settings: Settings,
    preview: bool,
) -> list[str]:
    """Before a run issues a secret: remove orphans, which a preview only tells; a sentence for each.

    object_id: of the application, None if there is none yet. Entra ID is asked only if a secret is to be issued.
    Raises NoRoomForSecret and DirectoryUnreadable.
    """
    if object_id is None or all(last.slots.get(slot) == secret for slot, secret in plan.slots.items()):
        return []
    # Seconds of imports that only a rotation should pay for.
    from provisioning.entra import directory  # noqa: PLC0415

    known = {secret.key_id for secret in last.slots.values()}
    names = descriptions((secret.display_name for secret in last.slots.values()), settings.secret_description)
    room = find_room(directory.stored_secrets(object_id), known, names)
    # Also a secret that goes at the end of the run is there when the new one comes.
    kept = len({*last.slots, *plan.slots})
    refuse_without_room(room, kept, settings.audience.personal)
    if not preview:
        for orphan in room.orphans:
            directory.remove_secret(object_id, orphan.key_id)
    return [
        f"'{orphan.display_name}' ({orphan.key_id}) was left by a run that broke off; nobody knows its value: removed"
        for orphan in room.orphans
    ]
