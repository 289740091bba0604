"""`secrets`: what is known, orphaned, somebody else's; the state is read once."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from provisioning.cli import app
from provisioning.entra.orphans import StoredSecret
from tests.provisioning.checkpoints import OBJECT_ID, TWO_SECRETS, application, export
from tests.provisioning.fake_pulumi import FakePulumi, fake_pulumi

# msgraph's own generated code uses its deprecated names.
pytestmark = pytest.mark.filterwarnings("ignore:.* is deprecated:DeprecationWarning")

STORED = [
    StoredSecret("key-a", "NocoBase mail a 2027-01-01"),
    StoredSecret("key-b", "NocoBase mail b 2027-04-01"),
    StoredSecret("lost", "NocoBase mail a 2027-03-01"),
    StoredSecret("theirs", "made by hand"),
]


@pytest.fixture
def removed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Entra ID has a secret of every kind and a twin; what is removed there."""
    from provisioning.entra import directory  # noqa: PLC0415 - a second of imports

    gone: list[str] = []
    monkeypatch.setattr(directory, "stored_secrets", lambda _: STORED)
    monkeypatch.setattr(directory, "applications_tagged", lambda _: {OBJECT_ID: "mail", "twin": "mail"})
    monkeypatch.setattr(directory, "remove_secret", lambda _, key_id: gone.append(key_id))
    monkeypatch.setattr(directory, "remove_application", gone.append)
    return gone


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakePulumi:
    """A stack in the middle of a rotation."""
    found = fake_pulumi(tmp_path, {"prod": export(*TWO_SECRETS)})
    monkeypatch.setenv("PATH", found.environment["PATH"])
    return found


def test_list(engine: FakePulumi, removed: list[str]) -> None:
    said = CliRunner().invoke(app, ["secrets", "list", "--format", "json"])
    assert [(row["id"], row["is"]) for row in json.loads(said.stdout)] == [
        ("key-a", "known"),
        ("key-b", "known"),
        ("lost", "orphan"),
        ("theirs", "foreign"),
        ("twin", "twin of the application"),
    ]
    assert [call[:2] for call in engine.asked] == [["stack", "export"], ["config", "--json"]]
    assert not [call for call in engine.asked if "--show-secrets" in call]


def test_prune_removes_with_a_word_only(engine: FakePulumi, removed: list[str]) -> None:
    said = CliRunner().invoke(app, ["secrets", "prune"])
    assert (said.stdout, removed) == ("", [])
    assert "Orphan: NocoBase mail a 2027-03-01 (lost)" in said.stderr
    CliRunner().invoke(app, ["secrets", "prune", "--yes"])
    assert removed == ["lost"]
    assert len([call for call in engine.asked if call[1] == "export"]) == 2
    CliRunner().invoke(app, ["secrets", "prune", "--yes", "--application", "twin"])
    assert removed == ["lost", "lost", "twin"]


def test_without_an_application(engine: FakePulumi, removed: list[str]) -> None:
    (engine.folder / "prod.export").write_text(export())
    said = CliRunner().invoke(app, ["secrets", "list"])
    assert (said.exit_code, said.stdout) == (1, "")
    assert "This stack has no application yet" in said.stderr


@pytest.mark.parametrize("arguments", [["secrets", "list"], ["secrets", "prune"], ["verify"]], ids=" ".join)
def test_after_a_first_run_that_broke_off_the_tenant_is_the_configured_one(
    engine: FakePulumi, removed: list[str], arguments: list[str]
) -> None:
    (engine.folder / "prod.export").write_text(export(application()))
    (engine.folder / "prod.config").write_text(json.dumps({"azuread:tenantId": {"value": "somewhere"}}))
    CliRunner().invoke(app, arguments)
    assert os.environ["ARM_TENANT_ID"] == "somewhere"
