"""What the engine knows about the stack that is being deployed: its configuration and its last state."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pulumi
from pulumi.runtime import config, invoke

from provisioning.addresses import is_loopback
from provisioning.ending import end_with
from provisioning.entra.client_secret_plan import Slot, secret_name
from provisioning.entra.sign_in_settings import sign_in_settings
from provisioning.errors import ClockRejected, ProvisioningError, StateUnreadable
from provisioning.program.last_state import Deployed, Resources, read_state
from provisioning.pulumi_cli import Pulumi
from provisioning.resource_types import APPLICATION_NAME, APPLICATION_TYPE, PASSWORD_TYPE, PRINCIPAL_TYPE

READ_ATTEMPTS = 10
READ_PAUSE_SECONDS = 0.1


def configuration() -> tuple[dict[str, str], set[str]]:
    """The stack's own configuration, keys without the project's name, and which of the keys are secret."""
    prefix = f"{pulumi.get_project()}:"
    values = {**config.get_config_env(), **config.CONFIG.get()}
    own = {key.removeprefix(prefix): str(value) for key, value in values.items() if key.startswith(prefix)}
    return own, {key for key in own if config.is_config_secret(prefix + key)}


def last_state(name: str = APPLICATION_NAME) -> Deployed:
    """The last checkpoint, as far as this program plans with it. name: of its application. Raises StateUnreadable.

    Most of it is from before this run's refresh (see `last_resources`).
    """
    return read_state(last_resources(), name=name)


def last_resources() -> Resources:
    """The stack's last checkpoint, with what the plan has to know from this run's refresh (`SHARED`).

    The engine returns it in previews and updates. It contains secrets in plain text: never log it.
    The checkpoint itself is from before the refresh (see `client_secrets.plan_run`).
    Raises StateUnreadable: an unreadable state must never count as an empty one, which would issue a new secret.
    """
    answer = _read_resources(_whole_name())
    return {
        (one["type"], urn.rpartition("::")[2]): {**one["outputs"], **_refreshed(urn, one)}
        for urn, one in answer.items()
    }


SHARED = ("tags", "owners", "singlePageApplication", "publicClient")
"""The properties that are the stack's and others' at once: what is there has to be known before they are declared."""


def _refreshed(urn: str, recorded: Mapping[str, Any]) -> Mapping[str, Any]:
    """What this run's refresh found of `SHARED`; nothing where it did not read that very object.

    The engine answers `getResource` for what a step of this run has produced, and a refresh is one (`executeStep` in
    pkg/resource/deploy/step_executor.go of Pulumi 3.255 and 3.274). Without a refresh, with `--run-program`, and of an
    object that is gone, it knows no such resource; then what the checkpoint says has to do.
    """
    if recorded["type"] not in (APPLICATION_TYPE, PRINCIPAL_TYPE):
        return {}
    try:
        found = invoke("pulumi:pulumi:getResource", {"urn": urn}).value["state"]
    except Exception:  # the SDK raises no narrower one
        return {}
    if found.get("objectId") != recorded["outputs"].get("objectId"):
        return {}
    return {name: found.get(name) for name in SHARED}


def _whole_name() -> str:
    """The stack's full name; the engine looks for a bare name in the default organization."""
    return f"{pulumi.get_organization()}/{pulumi.get_project()}/{pulumi.get_stack()}"


def _read_resources(stack: str) -> Mapping[str, Mapping[str, Any]]:
    # A file backend writes a checkpoint's attributes in place, so a reader may find them half-written (measured:
    # "failed to load checkpoint: EOF" while the engine recorded the stack's first resource).
    for _ in range(READ_ATTEMPTS):
        try:
            answer = invoke("pulumi:pulumi:readStackResourceOutputs", {"stackName": stack}).value
            return answer.get("outputs") or {}
        except Exception as error:  # the SDK raises no narrower one
            reason = str(error).rpartition("returned an error: ")[2]
            time.sleep(READ_PAUSE_SECONDS)
    raise StateUnreadable(f"The stack's last state could not be read ({reason}). Run the command again.")


def awaiting_deletion() -> frozenset[Slot]:
    """The slots in which a run replaced a secret and ended before it removed the former one.

    The engine keeps the former one's record and marks it; only an exported state shows it. Raises EngineFailed.
    """
    secrets = [item for item in Pulumi(_whole_name()).export().resources if item["type"] == PASSWORD_TYPE]
    names = {str(item["urn"]).rpartition("::")[2] for item in secrets if item.get("delete")}
    return frozenset(slot for slot in Slot if secret_name(APPLICATION_NAME, slot) in names)


def now(environment: Mapping[str, str] = os.environ) -> datetime:
    """The time for which secrets are planned: now, or PROVISIONING_TODAY (ISO 8601) in tests of rotation.

    Raises ClockRejected if Entra ID is not on this machine: in a real tenant a wrong date could stop mail.
    """
    today = environment.get("PROVISIONING_TODAY")
    if not today:
        return datetime.now(UTC)
    host = sign_in_settings(environment)["metadataHost"].rpartition(":")[0]
    if not is_loopback(host):
        raise ClockRejected(
            f"PROVISIONING_TODAY is set to {today}, but Entra ID is not on this machine. Unset it: it is for tests."
        )
    moment = datetime.fromisoformat(today)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


@contextmanager
def errors_as_sentences() -> Iterator[None]:
    """Have this program's own errors end it with their message, without a traceback."""
    try:
        yield
    except ProvisioningError as error:
        end_with(str(error))
