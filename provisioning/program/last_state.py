"""What the last run left behind, from a stack's checkpoint. Pure; `stack.last_state` reads the checkpoint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from provisioning.entra.client_secret_plan import FORGOTTEN, ISSUED, IssuedSecret, LastSecrets, Slot, secret_name
from provisioning.resource_types import APPLICATION_NAME, APPLICATION_TYPE, PASSWORD_TYPE, PUSH_TYPE, STACK_TYPE


@dataclass(frozen=True)
class LastState:
    """What the last run left behind, also if it failed half-way.

    client_id, object_id: the application's, None if there is none yet. secrets: the client secrets that were issued.
    pushed: which NocoBase installations were given credentials by this stack: the resource names of the pushes, and the
    row's time of change after each. values: of the client secrets.
    """

    client_id: str | None = None
    object_id: str | None = None
    secrets: LastSecrets = field(default_factory=LastSecrets)
    pushed: Mapping[str, str] = field(default_factory=dict)
    values: frozenset[str] = field(default=frozenset(), repr=False)


def parse_last_state(resources: Mapping[str, Mapping[str, Any]]) -> LastState:
    """What the plan needs from a checkpoint's resources, given as the engine answers them: URN → type and outputs."""
    found = {(resource["type"], urn.rpartition("::")[2]): resource["outputs"] for urn, resource in resources.items()}
    exported = next((outputs for (kind, _), outputs in found.items() if kind == STACK_TYPE), None)
    passwords = {slot: found.get((PASSWORD_TYPE, secret_name(APPLICATION_NAME, slot))) for slot in Slot}
    issued = {slot: _issued_secret(outputs) for slot, outputs in passwords.items() if outputs}
    keys = (exported or {}).get(FORGOTTEN) or ()
    forgotten = {slot: secret for slot, secret in issued.items() if secret.key_id in keys}
    slots = {slot: secret for slot, secret in issued.items() if slot not in forgotten}
    pushes = {name: outputs for (kind, name), outputs in found.items() if kind == PUSH_TYPE}
    values = {slot: (outputs or {}).get("value") for slot, outputs in passwords.items()}
    proofs = [_proof(outputs, values) for outputs in pushes.values()]
    application = found.get((APPLICATION_TYPE, APPLICATION_NAME), {})
    return LastState(
        client_id=application.get("clientId"),
        object_id=application.get("objectId"),
        secrets=replace(in_use(slots, proofs), forgotten=forgotten),
        pushed={name: outputs.get("updated_at") or "" for name, outputs in pushes.items()},
        values=frozenset(value for value in values.values() if value),
    )


@dataclass(frozen=True)
class Proof:
    """What one NocoBase was last proved to use.

    slot: None if it was never proved, or if the slot was issued into again since. since: when that was switched to.
    """

    slot: Slot | None = None
    since: datetime | None = None


def in_use(slots: Mapping[Slot, IssuedSecret], proofs: Sequence[Proof]) -> LastSecrets:
    """What the plan may rely on where several NocoBase installations use the application: the least of all proofs.

    A slot counts as switched to only when every one of them is proved to use it, and since the last of them was. Until
    then the older secret counts as the one in use, so that it is neither removed nor replaced, and the newer one is
    given to all of them again.
    """
    proved = {proof.slot for proof in proofs if proof.slot is not None and proof.slot in slots}
    active = min(proved, key=lambda slot: slots[slot].issued, default=None)
    agreed = len({proof.slot for proof in proofs}) == 1
    times = [proof.since for proof in proofs if proof.since is not None]
    return LastSecrets(slots, active, max(times) if agreed and times else None)


def _proof(push: Mapping[str, Any], values: Mapping[Slot, str | None]) -> Proof:
    if not push.get("slot"):
        return Proof()
    slot, since = Slot(push["slot"]), push.get("since")
    # Else its slot was issued into again, by a run that broke off before the push.
    same = values[slot] == push.get("client_secret")
    return Proof(slot if same else None, datetime.fromisoformat(since) if since else None)


def _issued_secret(outputs: Mapping[str, Any]) -> IssuedSecret:
    record = (outputs.get("rotateWhenChanged") or {}).get(ISSUED)
    return IssuedSecret(
        outputs["displayName"],
        issued=datetime.fromisoformat(record or outputs["startDate"]),
        end=datetime.fromisoformat(outputs["endDate"]),
        recorded=record is not None,
        key_id=str(outputs["keyId"]),
    )
