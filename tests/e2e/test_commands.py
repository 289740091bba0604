"""The commands beside `pulumi`, on the real engine and the real NocoBase."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from provisioning.cli.status_tables import KEY_ID
from sandbox.setup import nocobase_url
from tests.e2e.commands import command
from tests.e2e.conftest import Stack, graph
from tests.e2e.stack import NAME, surroundings
from tests.golden import check
from tests.terminal import shell

pytestmark = pytest.mark.e2e

GOLDEN = Path(__file__).parent / "golden"


def masked(stack: Stack, text: str) -> str:
    """The output without what differs from run to run."""
    (application,) = stack.applications
    known = {stack.outputs["clientId"]: "<client ID>", nocobase_url(stack.place): "<NocoBase>"}
    known |= {secret["keyId"][:KEY_ID]: "<key id>" for secret in application["passwordCredentials"]}
    for value, mask in known.items():
        text = text.replace(value, mask)
    return re.sub(r"\d\d:\d\d(?::\d\d)?", "<time>", re.sub(r"\d{4}-\d\d-\d\d", "<day     >", text))


def names(stack: Stack) -> list[str]:
    """The display names of the client secrets in Entra ID, without their dates."""
    (application,) = stack.applications
    return sorted(secret["displayName"].rpartition(" ")[0] for secret in application["passwordCredentials"])


def prune(stack: Stack, *arguments: str, ok: bool = True) -> str:
    """What `prune` says."""
    return command(stack, "prune", *arguments, "--stack", NAME, ok=ok)[1]


def listed(stack: Stack) -> dict[str, object]:
    """What `status --format json` prints."""
    found: dict[str, object] = json.loads(command(stack, "status", "--stack", NAME, "--format", "json")[0])
    return found


def test_a_leak_at_night(deployed: Stack) -> None:
    stack, first = deployed, deployed.credentials
    with shell(stack.place.project, {**surroundings(stack.place), "VIRTUAL_ENV_DISABLE_PROMPT": "1"}) as person:
        person.runs(". .venv/bin/activate")
        shown = person.runs(f"python -m provisioning rotate --compromised --stack {NAME}", ("[y/N]: ", "y"))
    assert names(stack) == ["NocoBase mail b"]
    assert stack.credentials == (first[0], stack.outputs["clientSecret"])
    assert stack.credentials[1] != first[1]
    assert first[1] not in shown
    assert stack.credentials[1] not in shown
    check(GOLDEN / "leak-at-night.txt", masked(stack, shown))


def test_prune_removes_orphans_only(deployed: Stack) -> None:
    stack, object_id = deployed, deployed.outputs["objectId"]
    orphan = {"passwordCredential": {"displayName": "NocoBase mail b 2026-11-21"}}
    graph(stack, "POST", f"/applications/{object_id}/addPassword", orphan)
    secrets = listed(stack)["secrets"]
    assert isinstance(secrets, list)
    assert [secret["kind"] for secret in secrets] == ["own", "orphaned"]
    check(GOLDEN / "status-orphaned.txt", masked(stack, command(stack, "status", "--stack", NAME)[0]))
    assert f"prune --stack {NAME} --yes" in prune(stack)
    assert len(names(stack)) == 2
    assert 'Removed: "NocoBase mail b 2026-11-21"' in prune(stack, "--yes")
    assert names(stack) == ["NocoBase mail a"]
    foreign = {"passwordCredential": {"displayName": "somebody else's"}}
    graph(stack, "POST", f"/applications/{object_id}/addPassword", foreign)
    assert "There is nothing to remove" in prune(stack, "--yes")
    assert len(names(stack)) == 2


def test_a_duplicate_application_is_shown_and_removed_only_if_named(deployed: Stack) -> None:
    stack, own = deployed, deployed.outputs["objectId"]
    tag = stack.applications[0]["tags"]
    graph(stack, "POST", "/applications", {"displayName": "NocoBase mail", "tags": tag})
    graph(stack, "POST", "/applications", {"displayName": "NocoBase mail", "tags": ["somebody-elses"]})
    (duplicate,) = [item["id"] for item in stack.applications if item["tags"] == tag and item["id"] != own]
    assert duplicate in json.dumps(listed(stack)["duplicates"])
    prune(stack, "--yes")
    assert len(stack.applications) == 3
    assert "is no duplicate" in prune(stack, "--yes", "--application", own, ok=False)
    prune(stack, "--yes", "--application", duplicate)
    assert {item["id"] for item in stack.applications} >= {own}
    assert len(stack.applications) == 2
