"""What the engine knows about the stack that is being deployed: its configuration and its last state."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import pulumi
from pulumi.runtime import config, invoke

from provisioning.entra.rotation import FORGOTTEN, ISSUED, IssuedSecret, LastSecrets, Slot, secret_name
from provisioning.entra.rules import is_loopback
from provisioning.entra.tenant import TENANT, use_tenant
from provisioning.errors import ClockRefused, ProvisioningError, StateUnreadable
from provisioning.pulumi_cli import APPLICATION_TYPE, PASSWORD_TYPE, PUSH_TYPE, STACK_TYPE, Pulumi

APPLICATION = "mail"
"""The resource name of the application, and the stem of its secrets' names."""

READ_ATTEMPTS = 10
READ_PAUSE_SECONDS = 0.1


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


def configuration() -> tuple[dict[str, str], set[str]]:
    """The stack's own configuration, keys without the project's name, and which of the keys are secret."""
    prefix = f"{pulumi.get_project()}:"
    values = {**config.get_config_env(), **config.CONFIG.get()}
    own = {key.removeprefix(prefix): str(value) for key, value in values.items() if key.startswith(prefix)}
    return own, {key for key in own if config.is_config_secret(prefix + key)}


def sign_in_to_its_tenant() -> None:
    """Have this program ask Entra ID in the tenant that the stack names, as the azuread provider does."""
    use_tenant(pulumi.Config(TENANT.partition(":")[0]).get(TENANT.partition(":")[2]))


def last_state() -> LastState:
    """The stack's last checkpoint, as far as this program plans with it.

    The engine answers it in previews and updates alike. It holds secrets in the clear: never log it.
    Raises StateUnreadable; an unreadable state must never pass for an empty one, which would issue a new secret.
    """
    return parse_last_state(_read_resources(_whole_name()))


def _whole_name() -> str:
    """The stack's name with organization and project: the bare one is looked for in the default organization."""
    return f"{pulumi.get_organization()}/{pulumi.get_project()}/{pulumi.get_stack()}"


def _read_resources(stack: str) -> Mapping[str, Mapping[str, Any]]:
    # A file backend writes a checkpoint's attributes in place, so that a reader may meet them half-written (measured:
    # "failed to load checkpoint: EOF" while the engine recorded the stack's first resource).
    for _ in range(READ_ATTEMPTS):
        try:
            answer = invoke("pulumi:pulumi:readStackResourceOutputs", {"stackName": stack}).value
            return answer.get("outputs") or {}
        except Exception as error:  # the SDK raises no narrower one
            reason = str(error).rpartition("returned an error: ")[2]
            time.sleep(READ_PAUSE_SECONDS)
    raise StateUnreadable(f"The stack's last state could not be read ({reason}). Run the command again.")


def removed_for_replacement() -> frozenset[str]:
    """The key ids of secrets that a run removed in order to replace them, and then broke off.

    The engine keeps their records and marks them, which its answer to the program does not show. Raises EngineFailed.
    """
    checkpoint = Pulumi(_whole_name()).export()
    passwords = [item for item in checkpoint.resources if item["type"] == PASSWORD_TYPE]
    return frozenset(str(item["outputs"]["keyId"]) for item in passwords if item.get("pendingReplacement"))


def parse_last_state(resources: Mapping[str, Mapping[str, Any]]) -> LastState:
    """What the plan needs from a checkpoint's resources, given as the engine answers them: URN → type and outputs."""
    found = {(resource["type"], urn.rpartition("::")[2]): resource["outputs"] for urn, resource in resources.items()}
    exported = next((outputs for (kind, _), outputs in found.items() if kind == STACK_TYPE), None)
    passwords = {slot: found.get((PASSWORD_TYPE, secret_name(APPLICATION, slot))) for slot in Slot}
    issued = {slot: _issued_secret(outputs) for slot, outputs in passwords.items() if outputs}
    keys = (exported or {}).get(FORGOTTEN) or ()
    forgotten = {slot: secret for slot, secret in issued.items() if secret.key_id in keys}
    slots = {slot: secret for slot, secret in issued.items() if slot not in forgotten}
    pushes = {name: outputs for (kind, name), outputs in found.items() if kind == PUSH_TYPE}
    values = {slot: (outputs or {}).get("value") for slot, outputs in passwords.items()}
    proofs = [_proof(outputs, values) for outputs in pushes.values()]
    application = found.get((APPLICATION_TYPE, APPLICATION), {})
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


def now(environment: Mapping[str, str] = os.environ) -> datetime:
    """The time by which secrets are planned: the clock's, or PROVISIONING_TODAY's (ISO 8601) for tests of rotation.

    Raises ClockRefused where Entra ID is not on this machine: on a real tenant a wrong date could end mail.
    """
    today = environment.get("PROVISIONING_TODAY")
    if not today:
        return datetime.now(UTC)
    host = environment.get("ARM_METADATA_HOSTNAME", "").rpartition(":")[0]
    if not is_loopback(host):
        raise ClockRefused(
            f"PROVISIONING_TODAY is set to {today}, but Entra ID is not on this machine. Unset it: it is for tests."
        )
    moment = datetime.fromisoformat(today)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


@contextmanager
def errors_as_sentences() -> Iterator[None]:
    """Have the engine show this program's own errors as their message, without a traceback."""
    try:
        yield
    except ProvisioningError as error:
        raise pulumi.RunError(str(error)) from None
