"""The commands beside `pulumi`, on the real engine and the real NocoBase."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from sandbox.environment import environment
from sandbox.setup import nocobase_url
from tests.e2e.conftest import Stack, graph
from tests.golden import check, on_terminal

pytestmark = pytest.mark.e2e

GOLDEN = Path(__file__).parent / "golden"


def command(stack: Stack, *arguments: str, ok: bool = True, extra: Mapping[str, str] | None = None) -> tuple[str, str]:
    """What `python -m provisioning …` prints to stdout and stderr."""
    ended = subprocess.run(
        [sys.executable, "-m", "provisioning", *arguments],
        cwd=stack.place.project,
        env={**os.environ, **environment(stack.place), **(extra or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode == 0) is ok, ended.stdout + ended.stderr
    assert "Traceback" not in ended.stderr
    return ended.stdout, ended.stderr


def masked(stack: Stack, text: str) -> str:
    """The output without what differs from run to run, in places as wide as it was."""
    (application,) = stack.applications
    known = {stack.outputs["clientId"]: "<client id>", nocobase_url(stack.place): "<NocoBase>"}
    known |= {secret["keyId"]: "<key id>" for secret in application["passwordCredentials"]}
    for value, mask in known.items():
        text = text.replace(value, f"{mask:<{len(value)}}" if "│" in text else mask)
    return re.sub(r"\d{4}-\d\d-\d\d", "<day     >", text)


def names(stack: Stack) -> list[str]:
    """The display names of the client secrets in Entra ID, without their dates."""
    (application,) = stack.applications
    return sorted(secret["displayName"].rpartition(" ")[0] for secret in application["passwordCredentials"])


def test_rotate_now_then_after_a_leak(stack: Stack) -> None:
    assert "Run `pulumi up` first" in command(stack, "rotate", ok=False)[1]
    stack.up("--skip-preview")
    first = stack.credentials

    shown, code = on_terminal(["rotate", "--stack", "dev"], stack.place.project, environment(stack.place))
    assert code == 0
    assert "NocoBase uses a new client secret, valid until 20" in shown
    assert "The old one is removed by the first `pulumi up` after" in shown
    assert names(stack) == ["NocoBase mail a", "NocoBase mail b"]
    second = stack.credentials
    assert second[1] == stack.outputs["clientSecret"] != first[1]

    # Both slots are taken: one is freed first, and the leaked one is gone in the end.
    printed, said = command(stack, "rotate", "--compromised")
    assert "\x1b" not in printed + said
    assert "NocoBase uses a new client secret, valid until 20" in said
    assert names(stack) == ["NocoBase mail a"]
    assert stack.credentials[1] == stack.outputs["clientSecret"] not in {first[1], second[1]}

    status = json.loads(command(stack, "status", "--format", "json")[0])
    assert status["clientId"] == first[0]
    assert status["daysLeft"] in (179, 180)
    assert status["oldSecretRetires"] is None
    assert "next rotation" in command(stack, "status")[0]


def test_prune_removes_orphans_only(stack: Stack) -> None:
    stack.up("--skip-preview")
    object_id = stack.outputs["objectId"]
    orphan = {"passwordCredential": {"displayName": "NocoBase mail b 2026-11-21"}}
    graph(stack, "POST", f"/applications/{object_id}/addPassword", orphan)
    listed = json.loads(command(stack, "secrets", "list", "--format", "json")[0])
    assert sorted(item["is"] for item in listed) == ["known", "orphan"]
    check(GOLDEN / "secrets-list.txt", masked(stack, command(stack, "secrets", "list")[0]))
    shown, code = on_terminal(["secrets", "list"], stack.place.project, environment(stack.place))
    assert code == 0
    check(GOLDEN / "secrets-list-terminal.txt", masked(stack, shown))
    assert "with --yes" in command(stack, "secrets", "prune")[1]
    assert len(names(stack)) == 2
    assert "Removed: NocoBase mail b 2026-11-21" in command(stack, "secrets", "prune", "--yes")[1]
    assert names(stack) == ["NocoBase mail a"]
    foreign = {"passwordCredential": {"displayName": "somebody else's"}}
    graph(stack, "POST", f"/applications/{object_id}/addPassword", foreign)
    assert "There are no orphans" in command(stack, "secrets", "prune", "--yes")[1]
    assert len(names(stack)) == 2


def test_a_twin_of_the_application_is_shown_and_removed_only_if_named(stack: Stack) -> None:
    stack.up("--skip-preview")
    own = stack.outputs["objectId"]
    tag = stack.applications[0]["tags"]
    graph(stack, "POST", "/applications", {"displayName": "NocoBase mail", "tags": tag})
    graph(stack, "POST", "/applications", {"displayName": "NocoBase mail", "tags": ["somebody-elses"]})
    (twin,) = [item["id"] for item in stack.applications if item["tags"] == tag and item["id"] != own]
    listed = json.loads(command(stack, "secrets", "list", "--format", "json")[0])
    assert {"id": twin, "name": "NocoBase mail", "is": "twin of the application"} in listed
    command(stack, "secrets", "prune", "--yes")
    assert len(stack.applications) == 3
    assert "is no twin" in command(stack, "secrets", "prune", "--yes", "--application", own, ok=False)[1]
    command(stack, "secrets", "prune", "--yes", "--application", twin)
    assert {item["id"] for item in stack.applications} >= {own}
    assert len(stack.applications) == 2
    for item in stack.applications:
        if item["tags"] == ["somebody-elses"]:
            graph(stack, "DELETE", f"/applications/{item['id']}")
