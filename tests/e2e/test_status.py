"""`status` on the real engine and the real NocoBase: three sides in sync, each out of sync, each unreadable."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from sandbox.environment import environment
from tests.e2e.conftest import Stack, graph
from tests.e2e.test_commands import command, masked
from tests.golden import check, on_terminal

pytestmark = pytest.mark.e2e

GOLDEN = Path(__file__).parent / "golden"


def status(stack: Stack, *arguments: str, ok: bool = True, **extra: str) -> dict[str, Any]:
    """What `status --format json` prints."""
    said: dict[str, Any] = json.loads(command(stack, "status", "--format", "json", *arguments, ok=ok, extra=extra)[0])
    return said


def test_three_sides_are_compared(stack: Stack) -> None:
    assert "nothing is deployed" in status(stack, ok=False)["alarms"][0]
    stack.up("--skip-preview")

    found = status(stack)
    assert (found["sync"], found["alarms"]) == (True, [])
    (secret,) = found["secrets"]
    assert (secret["slot"], secret["inUse"], secret["daysLeft"] in (179, 180)) == ("a", True, True)
    assert "ends on" in status(stack, "--warn-days", "200", ok=False)["alarms"][0]

    # A side that cannot be read is told, and is no guess.
    found = status(stack, ok=False, NOCOBASE_API_KEY="wrong-key-of-the-test")
    assert (found["sync"], found["entra"]["inSync"], found["nocobase"][0]["inSync"]) == (None, True, None)
    assert "rejected the login" in found["nocobase"][0]["reasons"][0]
    found = status(stack, ok=False, ARM_CLIENT_SECRET="wrong-secret-of-the-test")
    assert (found["entra"]["inSync"], found["nocobase"][0]["inSync"]) == (None, True)
    assert "AADSTS7000215" in found["entra"]["reasons"][0]
    found = status(stack, "--offline", NOCOBASE_API_KEY="wrong-key-of-the-test")
    assert (found["sync"], found["alarms"]) == (None, [])

    # Somebody changes NocoBase's settings, and Entra ID's application.
    row_id = str(stack.row["id"])
    stack.nocobase("mailSettings:update", {"clientId": "changed-by-hand"}, filterByTk=row_id)
    object_id, key_id = stack.outputs["objectId"], secret["keyId"]
    graph(stack, "PATCH", f"/applications/{object_id}", {"web": {"redirectUris": ["https://elsewhere.example.com"]}})
    graph(stack, "POST", f"/applications/{object_id}/removePassword", {"keyId": key_id})
    found = status(stack, ok=False)
    assert found["sync"] is False
    assert "it holds client id changed-by-hand instead of" in found["nocobase"][0]["reasons"][0]
    assert [reason for reason in found["entra"]["reasons"] if "redirect URI https://elsewhere" in reason]
    assert "the client secret in slot a was removed" in found["entra"]["reasons"]

    # Among all stacks, one that cannot be read hides no other.
    stack.pulumi("stack", "init", "never-configured")
    try:
        printed = command(stack, "status", "--all", "--format", "prometheus", ok=False)[0]
        families = {family.name: family.samples for family in text_string_to_metric_families(printed)}
        needed = {sample.labels["stack"]: sample.value for sample in families["nocobase_outlook_attention"]}
        assert needed == {"dev": 1, "never-configured": 1}
    finally:
        stack.pulumi("stack", "rm", "--yes", "never-configured")
        stack.pulumi("stack", "select", "dev")

    stack.pulumi("refresh", "--yes")
    stack.up("--skip-preview")
    assert status(stack)["sync"] is True


def test_a_rotation_that_has_been_due_for_long(stack: Stack) -> None:
    stack.up("--skip-preview", extra={"PROVISIONING_TODAY": "2027-01-01"})
    today = {"PROVISIONING_TODAY": "2027-02-01"}
    check(GOLDEN / "status.txt", masked(stack, command(stack, "status", extra=today)[0]))
    shown, code = on_terminal(["status"], stack.place.project, environment(stack.place) | today)
    assert code == 0
    check(GOLDEN / "status-terminal.txt", masked(stack, shown))

    assert status(stack, "--offline", PROVISIONING_TODAY="2027-04-02")["alarms"] == []
    (alarm,) = status(stack, "--offline", ok=False, PROVISIONING_TODAY="2027-04-20")["alarms"]
    assert "has been due since 2027-04-01" in alarm

    stack.up("--skip-preview", extra={"PROVISIONING_TODAY": "2027-04-20"})
    found = status(stack, PROVISIONING_TODAY="2027-04-20")
    assert [(secret["slot"], secret["inUse"]) for secret in found["secrets"]] == [("a", False), ("b", True)]
    assert found["oldSecretRetires"] == "2027-04-27T00:00:00Z"
