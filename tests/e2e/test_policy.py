"""The policy pack on the real engine: what a company demands holds whatever the stack's configuration says.

What each rule lets pass and what it rejects is a table in tests/policy/test_rules.py.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from sandbox.place import PROJECT, Place
from sandbox.setup import install_policy_packages
from tests.e2e.commands import command
from tests.e2e.conftest import Stack

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
    stack.set("scopes", ["Mail.Read"])
    # `up` on many stacks looks before it leaps: nothing is made where a policy is broken.
    printed, said = command(stack, "up", "dev", "--format", "json", *company, ok=False)
    (result,) = json.loads(printed)
    assert result["outcome"] == "failed"
    assert result["error"].startswith("Policy ")
    for words in (
        "The audience AzureADandPersonalMicrosoftAccount is not allowed; allowed: AzureADMultipleOrgs.",
        "The permission Mail.Read is not allowed.",
        "more than 180 days from now are not allowed.",
        "It has 1 owner; at least 2 are required. Name more of them in the stack's setting `owners`.",
    ):
        assert words in " ".join(said.split())
    assert stack.applications == []

    # The stack gives in. Here the company asks for one owner only: the sandbox's tenant has no people.
    settings = json.loads((pack / "config.json").read_text())
    (pack / "config.json").write_text(json.dumps({**settings, "owners": {"least": 1}}))
    stack.set("secretLifetimeDays", "180")
    stack.set("scopes", ["email"])
    stack.set("audience", "AzureADMultipleOrgs")
    stack.up(*company)
    (application,) = stack.applications
    assert application["signInAudience"] == "AzureADMultipleOrgs"
