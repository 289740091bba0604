"""`status` on the real engine and the real NocoBase: three sides in sync, each out of sync, each unreadable."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.commands import command
from tests.e2e.conftest import Stack, graph
from tests.e2e.stack import NAME
from tests.e2e.test_commands import masked
from tests.golden import check

pytestmark = pytest.mark.e2e

GOLDEN = Path(__file__).parent / "golden"


def status(stack: Stack, *arguments: str, ok: bool = True, **extra: str) -> dict[str, Any]:
    """What `status --format json` prints."""
    printed, _ = command(stack, "status", "--stack", NAME, "--format", "json", *arguments, ok=ok, extra=extra)
    said: dict[str, Any] = json.loads(printed)
    return said


def test_before_the_first_deployment(stack: Stack) -> None:
    assert "nothing is deployed" in status(stack, ok=False)["alarms"][0]


def test_in_sync(deployed: Stack) -> None:
    found = status(deployed)
    assert (found["sync"], found["alarms"]) == (True, [])
    assert found["clientId"] == deployed.credentials[0]
    assert found["oldSecretRetires"] is None
    (secret,) = found["secrets"]
    assert (secret["slot"], secret["inUse"], secret["daysLeft"] in (179, 180)) == ("a", True, True)
    assert "ends on" in status(deployed, "--warn-days", "200", ok=False)["alarms"][0]


def test_a_side_that_cannot_be_read_is_told_and_is_no_guess(deployed: Stack) -> None:
    found = status(deployed, ok=False, NOCOBASE_API_KEY="wrong-key-of-the-test")
    assert (found["sync"], found["entra"]["inSync"], found["nocobase"][0]["inSync"]) == (None, True, None)
    assert "rejected the login" in found["nocobase"][0]["reasons"][0]
    found = status(deployed, ok=False, ARM_CLIENT_SECRET="wrong-secret-of-the-test")
    assert (found["entra"]["inSync"], found["nocobase"][0]["inSync"]) == (None, True)
    assert "AADSTS7000215" in found["entra"]["reasons"][0]
    found = status(deployed, "--offline", NOCOBASE_API_KEY="wrong-key-of-the-test")
    assert (found["sync"], found["alarms"]) == (None, [])


def test_somebody_changes_both_sides(deployed: Stack) -> None:
    stack = deployed
    stack.nocobase("mailSettings:update", {"clientId": "changed-by-hand"}, filterByTk=str(stack.row["id"]))
    (application,) = stack.applications
    path, (key,) = f"/applications/{application['id']}", application["passwordCredentials"]
    graph(stack, "PATCH", path, {"tags": ["theirs"], "web": {"redirectUris": ["https://elsewhere.example.com"]}})
    graph(stack, "POST", f"{path}/removePassword", {"keyId": key["keyId"]})
    found = status(stack, ok=False)
    assert found["sync"] is False
    assert "it holds client ID (not a client ID) instead of" in found["nocobase"][0]["reasons"][0]
    assert [reason for reason in found["entra"]["reasons"] if "redirect URI https://elsewhere" in reason]
    assert "the client secret in slot a was removed" in found["entra"]["reasons"]
    assert f'the declared tag "{application["tags"][0]}" is missing' in found["entra"]["reasons"]


def test_a_rotation_that_has_been_due_for_long(deployed_at_new_year: Stack) -> None:
    stack = deployed_at_new_year
    today = {"PROVISIONING_TODAY": "2027-02-01"}
    check(GOLDEN / "status.txt", masked(stack, command(stack, "status", "--stack", NAME, extra=today)[0]))

    assert status(stack, "--offline", PROVISIONING_TODAY="2027-04-02")["alarms"] == []
    (alarm,) = status(stack, "--offline", ok=False, PROVISIONING_TODAY="2027-04-20")["alarms"]
    assert "has been due since 2027-04-01" in alarm

    stack.up(extra={"PROVISIONING_TODAY": "2027-04-20"})
    found = status(stack, PROVISIONING_TODAY="2027-04-20")
    assert (found["sync"], found["alarms"]) == (True, [])
    assert [(secret["slot"], secret["inUse"]) for secret in found["secrets"]] == [("a", False), ("b", True)]
    assert found["oldSecretRetires"] == "2027-04-27T00:00:00Z"
