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
from provisioning.entra.sign_in_settings import use_configuration
from provisioning.errors import ClockRefused, ProvisioningError, StateUnreadable
from provisioning.program.last_state import LastState, parse_last_state
from provisioning.pulumi_cli import Pulumi
from provisioning.resource_types import PASSWORD_TYPE

READ_ATTEMPTS = 10
READ_PAUSE_SECONDS = 0.1


def configuration() -> tuple[dict[str, str], set[str]]:
    """The stack's own configuration, keys without the project's name, and which of the keys are secret."""
    prefix = f"{pulumi.get_project()}:"
    values = {**config.get_config_env(), **config.CONFIG.get()}
    own = {key.removeprefix(prefix): str(value) for key, value in values.items() if key.startswith(prefix)}
    return own, {key for key in own if config.is_config_secret(prefix + key)}


def sign_in_as_the_provider() -> None:
    """Have this program sign in to Entra ID by what the stack says to the azuread provider, as that does."""
    use_configuration({**config.get_config_env(), **config.CONFIG.get()})


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
