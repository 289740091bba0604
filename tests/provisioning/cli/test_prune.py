"""`prune`: what interrupted runs left is shown, and removed with --yes; the state is read once."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from provisioning.cli import app
from provisioning.entra.orphans import StoredSecret
from provisioning.entra.registration import Owner
from provisioning.entra.sign_in_settings import sign_in_settings
from provisioning.resource_types import APPLICATION_TYPE
from tests.provisioning.checkpoints import OBJECT_ID, TWO_SECRETS, application, export, password
from tests.provisioning.fake_pulumi import FakePulumi, fake_pulumi

# msgraph's own generated code uses its deprecated names.
pytestmark = pytest.mark.filterwarnings("ignore:.* is deprecated:DeprecationWarning")

STORED = [
    StoredSecret("key-a", "NocoBase mail a 2027-01-01"),
    StoredSecret("key-b", "NocoBase mail b 2027-04-01"),
    StoredSecret("lost", "NocoBase mail a 2027-03-01"),
    StoredSecret("theirs", "made by hand"),
]

DEPLOYER, STRANGER = Owner("deployer", "pipeline", "service principal"), Owner("stranger", "Mallory", "user")
OWNERS = {"duplicate": (DEPLOYER,), "planted": (STRANGER,), "shared": (DEPLOYER, STRANGER), "left": ()}
"""Object id → owners, of other applications that carry the stack's tag."""


@pytest.fixture
def removed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Entra ID has a secret of every kind and a duplicate application; what is removed there."""
    from provisioning.entra import directory  # noqa: PLC0415 - a second of imports

    gone: list[str] = []
    monkeypatch.setattr(directory, "stored_secrets", lambda _: STORED)
    monkeypatch.setattr(directory, "applications_tagged", lambda _: dict.fromkeys([OBJECT_ID, *OWNERS], "mail"))
    monkeypatch.setattr(directory, "remove_secret", lambda _, key_id: gone.append(key_id))
    monkeypatch.setattr(directory, "application_owners", OWNERS.__getitem__)
    monkeypatch.setattr(directory, "remove_application", gone.append)
    return gone


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakePulumi:
    """A stack in the middle of a rotation."""
    resources = [application(owners=["deployer"]), *(item for item in TWO_SECRETS if item["type"] != APPLICATION_TYPE)]
    found = fake_pulumi(tmp_path, {"prod": export(*resources)})
    monkeypatch.setenv("PATH", found.environment["PATH"])
    return found


def test_it_removes_only_with_yes(engine: FakePulumi, removed: list[str]) -> None:
    said = CliRunner().invoke(app, ["prune"])
    assert (said.stdout, removed) == ("", [])
    assert 'Orphaned secret: "NocoBase mail a 2027-03-01" (lost)' in said.stderr
    assert "Duplicate application: mail (duplicate), owned by service principal pipeline (deployer)\n" in said.stderr
    assert "mail (planted), owned by user Mallory (stranger), not this stack's by its owners" in said.stderr
    CliRunner().invoke(app, ["prune", "--yes"])
    assert removed == ["lost"]
    assert len([call for call in engine.asked if call[1] == "export"]) == 2
    CliRunner().invoke(app, ["prune", "--yes", "--application", "duplicate"])
    assert removed == ["lost", "lost", "duplicate"]
    assert not [call for call in engine.asked if "--show-secrets" in call]


def test_an_application_that_is_no_duplicate_is_not_removed(engine: FakePulumi, removed: list[str]) -> None:
    said = CliRunner().invoke(app, ["prune", "--yes", "--application", OBJECT_ID])
    assert (said.exit_code, removed) == (1, ["lost"])
    assert "is no duplicate of this stack's application" in said.stderr


@pytest.mark.parametrize("planted", ["planted", "shared", "left"])
def test_the_stacks_tag_alone_has_no_application_removed(engine: FakePulumi, removed: list[str], planted: str) -> None:
    said = CliRunner().invoke(app, ["prune", "--yes", "--application", planted])
    assert (said.exit_code, removed) == (1, ["lost"])
    who = "nobody" if planted == "left" else ".*user Mallory \\(stranger\\)"
    assert re.search(f"{planted} has this stack's tag, which anybody may set.*owned by {who}", said.stderr)


def test_the_application_of_a_stack_whose_tag_somebody_set_is_no_duplicate(
    engine: FakePulumi, removed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from provisioning.entra import directory  # noqa: PLC0415 - a second of imports

    own, of_dev = (f"pulumi:organization/nocobase-outlook/{stack}" for stack in ("prod", "dev"))
    tagged = {own: {OBJECT_ID: "mail"}, of_dev: {OBJECT_ID: "mail", "second": "mail"}}
    monkeypatch.setattr(directory, "applications_tagged", tagged.__getitem__)
    (engine.folder / "prod.export").write_text(export(application(owners=["deployer"], tags=[of_dev, own])))
    said = CliRunner().invoke(app, ["prune", "--yes", "--application", "second"])
    assert "second is no duplicate of this stack's application" in said.stderr
    assert "second" not in removed


def test_a_secret_that_a_replacement_has_yet_to_delete_is_not_orphaned(engine: FakePulumi, removed: list[str]) -> None:
    (known,) = (item for item in STORED if item.key_id == "lost")
    old = password("a", "2027-03-01", "2027-08-01")
    old["outputs"]["keyId"] = known.key_id
    (engine.folder / "prod.export").write_text(export(*TWO_SECRETS, {**old, "delete": True}))
    CliRunner().invoke(app, ["prune", "--yes"])
    assert removed == []


def test_nothing_to_remove(engine: FakePulumi, removed: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    from provisioning.entra import directory  # noqa: PLC0415 - a second of imports

    monkeypatch.setattr(directory, "stored_secrets", lambda _: STORED[:2])
    monkeypatch.setattr(directory, "applications_tagged", lambda _: {OBJECT_ID: "mail"})
    assert "There is nothing to remove" in CliRunner().invoke(app, ["prune"]).stderr


def test_without_an_application(engine: FakePulumi, removed: list[str]) -> None:
    (engine.folder / "prod.export").write_text(export())
    said = CliRunner().invoke(app, ["prune"])
    assert (said.exit_code, said.stdout) == (1, "")
    assert "This stack has no application yet" in said.stderr


@pytest.mark.parametrize("command", ["prune", "status"])
def test_after_an_interrupted_first_run_the_tenant_is_the_configured_one(
    engine: FakePulumi, removed: list[str], command: str
) -> None:
    (engine.folder / "prod.export").write_text(export(application()))
    (engine.folder / "prod.config").write_text(json.dumps({"azuread:tenantId": {"value": "somewhere"}}))
    CliRunner().invoke(app, [command])
    assert sign_in_settings().tenant == "somewhere"
