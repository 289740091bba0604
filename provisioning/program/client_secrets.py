"""The client secrets of a run: the pure plan, compared with what Entra ID and each NocoBase really have."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from provisioning.entra.client_secret_plan import LastSecrets, Policy, SecretPlan, Slot, plan_at_once, plan_secrets
from provisioning.entra.orphans import classify_secrets, descriptions, reject_if_full

GONE = (
    "the application is gone in Entra ID, so they are planned as for a new one; for 30 days the old one can be "
    "restored there, with its client ID"
)


@dataclass(frozen=True)
class PlanInputs:
    """What the plan of a run's client secrets depends on.

    object_id: of the application, None if there is none yet. two_at_most: whether Entra ID's limit of two secrets holds
    for the application's audience.
    awaiting_deletion: slots in which the engine has replaced a secret that it still has to delete; asked only if the
    last state looks so.
    why_maybe_in_use: why a NocoBase may use another secret of the application than those in these slots; empty if none
    does. What may be in use stays.
    """

    object_id: str | None
    last: LastSecrets
    now: datetime
    policy: Policy
    two_at_most: bool
    preview: bool
    awaiting_deletion: Callable[[], frozenset[Slot]]
    why_maybe_in_use: Callable[[Collection[Slot]], Sequence[str]]


def plan_run(given: PlanInputs) -> tuple[SecretPlan, list[str]]:
    """The plan, and a sentence for each orphaned secret; they are removed before one is issued, except in a preview.

    What the engine tells the program of secrets is the state before this run's refresh: a preview never records a
    refresh, and an `up` does with its first change only (`refreshSnapshotMutation.End` in pkg/backend/snapshot.go of
    Pulumi 3.255 and 3.274). So a secret may be gone in Entra ID although that state holds it, and so may the whole
    application; the engine itself has noticed. Entra ID is therefore asked before one is issued, or an old one declared
    again: else a secret that somebody has removed would be issued anew. Only the single one in use is: mail needs it.
    Raises SecretLimitReached and DirectoryUnreadable.
    """
    last = given.last
    if last.replaced:
        last = replace(last, replaced=last.replaced & given.awaiting_deletion())
    plan = plan_secrets(last, given.now, given.policy)
    if given.object_id is None or not (plan.reasons or len(last.slots) > 1):
        return plan, []
    # 0.4 s of imports (msgraph) that only these runs need.
    from provisioning.entra import directory  # noqa: PLC0415

    stored = directory.stored_secrets(given.object_id)
    if stored is None:
        return plan_secrets(LastSecrets(), given.now, given.policy), [GONE]
    keys = {secret.key_id for secret in stored}
    slots = {slot: secret for slot, secret in last.slots.items() if secret.key_id in keys}
    gone = [f"the secret in slot {slot} is gone in Entra ID" for slot in last.slots if slot not in slots]
    if gone:
        last = replace(last, slots=slots)
        plan = plan_secrets(last, given.now, given.policy)
    plan = plan_at_once(plan, last, given.now, given.policy, lambda freed: bool(given.why_maybe_in_use({freed.other})))
    if all(last.slots.get(slot) == secret for slot, secret in plan.slots.items()):
        return plan, gone
    known = {secret.key_id for secret in last.slots.values()}
    names = descriptions((secret.display_name for secret in given.last.slots.values()), given.policy.description)
    unrecorded = classify_secrets(stored, known, names)
    # A secret that is removed at the end of the run still exists when the new one is issued.
    planned = len(last.slots.keys() | plan.slots.keys())
    why = given.why_maybe_in_use(given.last.slots.keys()) if unrecorded.orphans else ()
    reject_if_full(unrecorded, planned, given.two_at_most, why)
    if why:
        kept = f"is not in this stack's state and may be in use, so it stays: {'; '.join(why)}"
        return plan, [*gone, *(f"{orphan} {kept}" for orphan in unrecorded.orphans)]
    if not given.preview:
        for orphan in unrecorded.orphans:
            directory.remove_secret(given.object_id, orphan.key_id)
    removed = "was left by an interrupted run and is not in use: removed"
    return plan, [*gone, *(f"{orphan} {removed}" for orphan in unrecorded.orphans)]
