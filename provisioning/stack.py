"""What the engine knows about the stack that is being deployed: its configuration and its last state."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi.runtime import config, invoke

from provisioning import settings
from provisioning.entra.rotation import IssuedSecret, Slot
from provisioning.errors import ProvisioningError
from provisioning.settings import StackSettings

PASSWORD_TYPE = "azuread:index/applicationPassword:ApplicationPassword"
APPLICATION_TYPE = "azuread:index/application:Application"
PUSH_TYPE = "pulumi-python:dynamic/nocobase:MailSettings"


@dataclass(frozen=True)
class LastState:
    """What the last run left behind, also if it failed half-way.

    client_id: the application's, None if there is none yet. secrets: the client secrets that were issued, by slot.
    pushed: whether NocoBase was given credentials.
    """

    client_id: str | None
    secrets: Mapping[Slot, IssuedSecret]
    pushed: bool


def load_settings() -> StackSettings:
    """The stack's settings. Raises SettingsError with everything that is wrong."""
    prefix = f"{pulumi.get_project()}:"
    values = {**config.get_config_env(), **config.CONFIG.get()}
    own = {key.removeprefix(prefix): str(value) for key, value in values.items() if key.startswith(prefix)}
    secret = {key for key in own if config.is_config_secret(prefix + key)}
    return settings.load(own, secret)


def last_state() -> LastState:
    """The stack's last checkpoint, as far as this program plans with it.

    The engine answers it in previews and updates alike (facts/pulumi.md). It holds secrets in the clear: never log it.
    """
    stack = f"{pulumi.get_organization()}/{pulumi.get_project()}/{pulumi.get_stack()}"
    answer = invoke("pulumi:pulumi:readStackResourceOutputs", {"stackName": stack}).value
    return parse_last_state(answer.get("outputs") or {})


def parse_last_state(resources: Mapping[str, Mapping[str, Any]]) -> LastState:
    """What the plan needs from a checkpoint's resources, given as URN → outputs."""
    by_type: dict[str, list[tuple[str, Mapping[str, Any]]]] = {}
    for urn, outputs in resources.items():
        _, _, qualified_type, name = urn.split("::", 3)
        by_type.setdefault(qualified_type.rpartition("$")[2], []).append((name, outputs))
    secrets = {
        slot: IssuedSecret(outputs["displayName"], outputs["endDate"])
        for slot in Slot
        for name, outputs in by_type.get(PASSWORD_TYPE, [])
        if name.endswith(f"-{slot}")
    }
    client_id = next((outputs.get("clientId") for _, outputs in by_type.get(APPLICATION_TYPE, [])), None)
    return LastState(client_id, secrets, pushed=PUSH_TYPE in by_type)


@contextmanager
def errors_as_sentences() -> Iterator[None]:
    """Have the engine show this program's own errors as their message, without a traceback."""
    try:
        yield
    except ProvisioningError as error:
        raise pulumi.RunError(str(error)) from None
