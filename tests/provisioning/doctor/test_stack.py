"""The checks of a stack's settings; a missing login is for another check."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from provisioning.doctor import nocobase
from provisioning.doctor.stack import (
    RESTORE_SETTINGS,
    Stack,
    ask_stack,
    check_deployment,
    check_settings,
    read_deployment,
)
from provisioning.program.settings import Settings
from provisioning.pulumi_cli import Pulumi
from tests.provisioning.checkpoints import CLIENT_ID, ONE_SECRET, export
from tests.provisioning.fake_pulumi import fake_pulumi
from tests.provisioning.status.test_compare import ONE

URL = "https://nocobase.example.com"
SALES = json.dumps([{"name": "sales", "url": "https://sales.example.com"}])
SECRET = frozenset({"nocobaseApiKey", "nocobaseApiKeys"})


@pytest.fixture(autouse=True)
def no_login(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment has none."""
    for name in ("API_KEY", "ACCOUNT", "PASSWORD", "API_KEY_SALES", "ACCOUNT_SALES", "PASSWORD_SALES"):
        monkeypatch.delenv(f"NOCOBASE_{name}", raising=False)


@pytest.mark.parametrize(
    ("keys", "missing"),
    [
        ({}, ["NOCOBASE_API_KEY", "NOCOBASE_API_KEY_SALES"]),
        ({"nocobaseApiKeys": '{"sales": "key"}'}, ["NOCOBASE_API_KEY"]),
        ({"nocobaseApiKey": "key"}, ["NOCOBASE_API_KEY_SALES"]),
    ],
)
def test_a_missing_login_is_told_by_its_own_check(keys: dict[str, str], missing: list[str]) -> None:
    values = {"nocobaseUrl": URL, "nocobaseInstallations": SALES, **keys}
    found = check_settings(Stack("prod", values, SECRET))
    assert found.outcome == "OK"
    assert isinstance(found.value, Settings)
    told = nocobase.ask_login(values, found.value)
    assert told.outcome == "failed"
    assert [part.split("=")[0].removeprefix("export ") for part in str(told.remedy).splitlines()] == missing


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (
            {"nocobaseUrl": URL, "nocobaseApiKeys": '{"sales": "key"}', "audience": "all"},
            'audience = "all": It is none',
        ),
        ({"nocobaseUrl": URL, "nocobaseApiKeys": "[]"}, "nocobaseApiKeys: It is not an object of keys by name."),
        ({"nocobaseUrl": URL, "NOCOBASE_API_KEY": "key"}, "NOCOBASE_API_KEY: There is no such setting."),
    ],
)
def test_other_problems_are_told_here_and_once(values: dict[str, str], said: str) -> None:
    found = check_settings(Stack("prod", values, SECRET))
    assert (found.outcome, found.said.count(said)) == ("failed", 1)


def test_a_value_that_is_stored_encrypted_is_not_shown() -> None:
    values = {"nocobaseUrl": URL, "audience": "s3cr3t", "nocobaseApiKey": "key"}
    found = check_settings(Stack("prod", values, frozenset({"audience", "nocobaseApiKey"})))
    assert (found.outcome, found.said) == ("failed", "audience: It is none of the allowed values.")


def test_settings_that_are_not_in_this_folder_are_taken_from_where_they_are() -> None:
    found = check_settings(Stack("prod", {}, missing_file="Pulumi.prod.yaml"))
    assert found.said.startswith("there is no Pulumi.prod.yaml in this folder. nocobaseUrl: ")
    assert str(found.remedy).splitlines()[0] == RESTORE_SETTINGS
    assert RESTORE_SETTINGS not in str(check_settings(Stack("prod", {})).remedy)


def test_a_key_in_plain_text_is_told() -> None:
    found = check_settings(Stack("prod", {"nocobaseUrl": URL, "nocobaseApiKeys": '{"sales": "key"}'}))
    assert (found.outcome, "must be encrypted" in found.said) == ("failed", True)


def test_a_stack_that_is_not_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", fake_pulumi(tmp_path, {"prod": ""}).environment["PATH"])
    monkeypatch.chdir(tmp_path)
    assert ask_stack(Pulumi("prod")).value.missing_file == "Pulumi.prod.yaml"
    (tmp_path / "Pulumi.prod.yaml").touch()
    assert ask_stack(Pulumi("prod")).value.missing_file == ""
    found = ask_stack(Pulumi("nowhere"))
    assert (found.outcome, "There is no stack nowhere. There are: " in found.said) == ("failed", True)
    assert found.remedy == "Name one of them: --stack <name>"


def test_a_stack_whose_deployment_was_completed() -> None:
    found = check_deployment(ONE)
    assert (found.outcome, found.said, found.value) == ("OK", f"deployed, client ID {CLIENT_ID}", ONE)
    for undeployed in (replace(ONE, application=None), replace(ONE, pushes=()), replace(ONE, next_rotation=None)):
        answer = check_deployment(undeployed)
        assert (answer.outcome, answer.remedy, answer.value) == ("skipped", "pulumi up", None)
        assert answer.said == "because the deployment of this stack was not completed"
    undeployed = replace(ONE, application=None, pushes=())
    assert check_deployment(undeployed).said == "because this stack has not been deployed yet"


def test_a_state_is_read_without_its_secrets_where_the_passphrase_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = fake_pulumi(tmp_path, {"prod": export(*ONE_SECRET)})
    script = engine.folder / "pulumi"
    refuses = 'if "--show-secrets" in arguments:\n    sys.exit("error: incorrect passphrase")\n'
    script.write_text(script.read_text().replace("stack = arguments", refuses + "stack = arguments"))
    monkeypatch.setenv("PATH", engine.environment["PATH"])
    assert read_deployment(Pulumi("prod")).stack == "prod"
    assert [call[-1] for call in engine.asked if call[1] == "export"] == ["prod", "prod"]
