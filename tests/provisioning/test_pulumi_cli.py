"""What the commands take from `pulumi`'s output."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from provisioning.errors import EngineFailed
from provisioning.pulumi_cli import Pulumi
from provisioning.resource_types import PASSWORD_TYPE
from tests.provisioning.checkpoints import ONE_SECRET, encrypted, export, password
from tests.provisioning.fake_pulumi import FakePulumi, fake_pulumi

CONFIG = {
    "nocobase-outlook:nocobaseUrl": {"value": "https://nocobase.example.com", "secret": False},
    "nocobase-outlook:scopes": {"value": '["email"]', "objectValue": ["email"], "secret": False},
    "nocobase-outlook:nocobaseApiKey": {"value": "the-key", "secret": True},
    "azuread:tenantId": {"value": "somewhere", "secret": False},
}


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakePulumi:
    """One stack."""
    found = fake_pulumi(tmp_path, {"prod": export(*ONE_SECRET), "other": export()}, CONFIG)
    monkeypatch.setenv("PATH", found.environment["PATH"])
    return found


def test_secrets_are_plain_only_if_asked_for(engine: FakePulumi) -> None:
    (known,) = Pulumi().export(show_secrets=True).outputs_of(PASSWORD_TYPE)
    assert known["value"] == "value-a"
    (engine.folder / "prod.export").write_text(export(password("a", "2027-01-01", "2027-06-30", encrypted())))
    state = Pulumi().export()
    assert state.outputs_of(PASSWORD_TYPE)[0]["value"] is None
    assert [("--show-secrets" in call) for call in engine.asked] == [True, False]


def test_a_state_does_not_show_itself(engine: FakePulumi) -> None:
    assert "value-a" not in repr(Pulumi().export(show_secrets=True))


def test_configuration_is_the_projects_own(engine: FakePulumi) -> None:
    values, secret = Pulumi("other").configuration()
    assert values == {
        "nocobaseUrl": "https://nocobase.example.com",
        "scopes": '["email"]',
        "nocobaseApiKey": "the-key",
    }
    assert secret == {"nocobaseApiKey"}
    assert engine.asked[-1][-2:] == ["--stack", "other"]


def test_settings_are_written_at_once_and_text_stays_text(engine: FakePulumi) -> None:
    Pulumi("other").configure({"tags": ["4711", "true", "+5"], "secretDescription": "2027"})
    ((*command, values, _, stack),) = [[part for part in call if part != "--non-interactive"] for call in engine.asked]
    assert (command, stack) == (["config", "set-all", "--json"], "other")
    assert json.loads(values) == {
        "tags": {"value": '["4711", "true", "+5"]', "objectValue": ["4711", "true", "+5"]},
        "secretDescription": {"value": "2027"},
    }


def test_names(engine: FakePulumi) -> None:
    assert Pulumi().stacks() == ["prod", "other"]
    assert (Pulumi().name(), Pulumi("other").name()) == ("prod", "other")


def test_a_failure_is_the_engines_own_words(engine: FakePulumi) -> None:
    with pytest.raises(EngineFailed, match="`pulumi stack export` failed: error: no stack named 'x' found"):
        Pulumi("x").export()


def test_without_the_command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EngineFailed, match="Install the Pulumi CLI"):
        Pulumi().stacks()
