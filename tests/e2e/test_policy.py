"""The policy pack on the real engine: what a company demands holds whatever the stack's configuration says."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from sandbox.place import PROJECT, Place
from sandbox.setup import install_policy_packages
from tests.e2e.conftest import Stack
from tests.e2e.test_commands import command

pytestmark = pytest.mark.e2e


@pytest.fixture
def pack(place: Place, tmp_path: Path) -> Path:
    """The policy pack with its virtualenv, and a company's configuration beside it."""
    install_policy_packages(place, lambda _: None)
    folder = tmp_path / "policy"
    shutil.copytree(PROJECT / "policy", folder, ignore=shutil.ignore_patterns(".venv", "__pycache__"))
    (folder / ".venv").symlink_to(place.policy_virtualenv)
    return folder


def test_what_the_company_forbids_is_not_made_and_what_it_allows_is(stack: Stack, pack: Path) -> None:
    company = ["--policy-pack", str(pack), "--policy-pack-config", str(pack / "config.json")]
    stack.set("secretLifetimeDays", "181")
    stack.set("scopes[0]", "Mail.Read", path=True)
    said = stack.pulumi("preview", *company, ok=False)
    for words in (
        "The audience AzureADandPersonalMicrosoftAccount is not allowed; allowed: AzureADMyOrg.",
        "The permission Mail.Read is not allowed.",
        "more than 180 days from now are not allowed.",
        "It has 1 owner; at least 2 are required (`owners`).",
    ):
        assert words in said

    # `up` on many stacks looks before it leaps: nothing is made where a policy is broken.
    results = json.loads(command(stack, "up", "dev", "--format", "json", *company, ok=False)[0])
    assert results[0]["outcome"] == "failed"
    assert results[0]["error"].startswith("Policy ")
    assert stack.applications == []

    # The stack gives in. Here the company asks for one owner only: the sandbox's tenant has no people.
    settings = json.loads((pack / "config.json").read_text())
    (pack / "config.json").write_text(json.dumps({**settings, "owners": {"least": 1}}))
    stack.set("secretLifetimeDays", "180")
    stack.set("scopes[0]", "email", path=True)
    stack.set("audience", "AzureADMyOrg")
    stack.up(*company)
    stack.up("--expect-no-changes", *company)
    (application,) = stack.applications
    assert application["signInAudience"] == "AzureADMyOrg"
