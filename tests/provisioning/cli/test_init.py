"""`init`: whether the stack is there already."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from provisioning.cli.init import _Init
from provisioning.pulumi_cli import Pulumi
from tests.provisioning.checkpoints import export
from tests.provisioning.fake_pulumi import FakePulumi, fake_pulumi


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakePulumi:
    """Pulumi Cloud, whose default organization is me: it has me/prod and, of another one, acme/test."""
    found = fake_pulumi(tmp_path, {"prod": export()})
    (tmp_path / "acme").mkdir()
    for name, whole in (("prod", "me/nocobase-outlook/prod"), ("acme/test", "acme/nocobase-outlook/test")):
        (tmp_path / f"{name}.about").write_text(json.dumps({"currentStack": {"fullyQualifiedName": whole}}))
    (tmp_path / "stacks").write_text(json.dumps([{"name": "prod"}, {"name": "acme/test"}]))
    monkeypatch.setenv("PATH", found.environment["PATH"])
    return found


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize(
    ("stack", "exists"),
    [
        ("prod", True),
        ("me/prod", True),
        ("me/nocobase-outlook/prod", True),
        ("acme/prod", False),
        ("me/other/prod", False),
        ("test", False),
        ("me/test", False),
        ("acme/test", True),
        ("acme/nocobase-outlook/test", True),
        ("new", False),
        ("acme/new", False),
    ],
)
def test_a_stack_of_another_organization_is_another_one(stack: str, exists: bool) -> None:
    assert _Init._exists(stack, Pulumi(stack)) is exists
