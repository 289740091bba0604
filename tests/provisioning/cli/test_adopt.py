"""`adopt`: what it would write is judged before anything is written."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from provisioning.adopt.plan import Adoption, InNocoBase
from provisioning.adopt.risks import Risk
from provisioning.cli import adopt, app
from provisioning.entra.registration import Found
from provisioning.errors import NotReady
from provisioning.nocobase.client import NocoBaseClient
from provisioning.nocobase.layout import NocoBaseMapping
from provisioning.nocobase.push import SignIn
from provisioning.program.settings import validate
from provisioning.resource_types import COMPONENT_TYPE, PRINCIPAL_TYPE
from tests.provisioning.checkpoints import CLIENT_ID, OBJECT_ID, URL, application, export, resource
from tests.provisioning.fake_pulumi import FakePulumi, fake_pulumi
from tests.provisioning.nocobase.fake_nocobase import CALLBACK, FakeNocoBase, connect, microsoft

FOUND = Found({"id": OBJECT_ID, "appId": CLIENT_ID}, (), None, ())


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakePulumi:
    """A stack that is not deployed."""
    found = fake_pulumi(tmp_path, {"prod": export()}, {"nocobase-outlook:nocobaseUrl": {"value": URL}})
    monkeypatch.setenv("PATH", found.environment["PATH"])
    return found


def test_what_the_settings_would_refuse_is_told_before_anything_is_written(
    engine: FakePulumi, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = Adoption([], {"tags": ["mail", "two words"], "applicationName": "x" * 121})
    monkeypatch.setattr(adopt, "_plan", lambda *_: (FOUND, plan))
    said = CliRunner().invoke(app, ["adopt", CLIENT_ID, "--yes", "--accept-losses"])
    assert said.exit_code == 1
    assert "nothing was changed" in said.stderr
    assert 'tags[1] = "two words": A tag has 1 to 256 characters' in said.stderr
    assert "applicationName" in said.stderr
    assert {call[0] for call in engine.asked} == {"config", "about", "stack"}
    assert not [call for call in engine.asked if "set-all" in call]


@pytest.mark.parametrize("stored", ["stored-key", ""])
def test_nocobase_is_asked_with_the_stacks_own_key_and_mapping(
    engine: FakePulumi, monkeypatch: pytest.MonkeyPatch, stored: str
) -> None:
    monkeypatch.delenv("NOCOBASE_API_KEY", raising=False)
    asked = []

    def read(nocobase: NocoBaseClient, mapping: NocoBaseMapping) -> None:
        asked.append((nocobase.url, nocobase._login.api_key, dict(nocobase._login.headers), mapping.collection))
        raise NotReady("It", "is", "busy.")

    monkeypatch.setattr("provisioning.nocobase.push.read", read)
    config = {
        "nocobaseUrl": URL,
        "nocobaseMapping": '{"collection": "mail"}',
        "nocobaseHeaders": '{"X-Gate": "open"}',
        "nocobaseApiKey": stored,
    }
    settings = validate(config)[0]
    assert settings is not None
    assert adopt._in_nocobase(settings, config) == InNocoBase()
    assert asked == ([(URL, "stored-key", {"X-Gate": "open"}, "mail")] if stored else [])


def test_nocobase_is_asked_for_its_sign_in_link(engine: FakePulumi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOCOBASE_API_KEY", "key")
    settings = validate({"nocobaseUrl": URL})[0]
    assert settings is not None
    server = FakeNocoBase([microsoft(clientId=CLIENT_ID, clientSecret="a-secret-of-nocobase")], tenant="organizations")
    connect(server, monkeypatch)
    there = adopt._in_nocobase(settings, {})
    assert there == InNocoBase(CLIENT_ID, SignIn(CLIENT_ID, CALLBACK, (), "organizations"), "a-s")
    connect(FakeNocoBase([microsoft()]), monkeypatch)
    assert adopt._in_nocobase(settings, {}) == InNocoBase()


def test_an_adopted_application_is_protected(engine: FakePulumi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adopt, "_plan", lambda *_: (FOUND, Adoption([], {})))
    CliRunner().invoke(app, ["adopt", CLIENT_ID, "--yes"])
    (written,) = [call for call in engine.asked if call[1] == "set-all"]
    assert json.loads(written[written.index("--json") + 1])["protectApplication"] == {"value": "true"}
    assert [option for call in engine.asked for option in call if "protect=" in option] == ["--protect=true"]


RISKS = [Risk("owners-0123456789ab", "Others own it."), Risk("credentials-0123456789ab", "Somebody has a secret.")]
WORDS = [option for risk in RISKS for option in ("--accept", risk.word)]


@pytest.fixture
def risky(engine: FakePulumi, monkeypatch: pytest.MonkeyPatch) -> FakePulumi:
    """A stack that is not deployed, and an application in which others have something."""
    plan = Adoption(origin="The application was created long ago.", risks=RISKS)
    monkeypatch.setattr(adopt, "_plan", lambda *_: (FOUND, plan))
    return engine


@pytest.mark.parametrize("given", [[], WORDS[:2], WORDS[2:], ["--accept", "owners-000000000000", *WORDS[2:]]])
def test_yes_alone_accepts_nothing_that_others_could_use(risky: FakePulumi, given: list[str]) -> None:
    said = CliRunner().invoke(app, ["adopt", CLIENT_ID, "--stack", "prod", "--yes", *given])
    assert said.exit_code == 1
    whole = shlex.join(["adopt", CLIENT_ID, "--stack", "prod", "--yes", *WORDS])
    assert said.stderr.endswith(f"Only if you know who made it: python -m provisioning {whole}\n")
    assert "The application was created long ago." in said.stderr
    assert not [call for call in risky.asked if "set-all" in call or "import" in call]


def test_the_command_that_was_shown_adopts(risky: FakePulumi) -> None:
    said = CliRunner().invoke(app, ["adopt", CLIENT_ID])
    assert said.exit_code == 0
    command = said.stderr.splitlines()[-1].partition("python -m provisioning ")[2]
    assert not [call for call in risky.asked if "set-all" in call]
    CliRunner().invoke(app, shlex.split(command))
    assert [call for call in risky.asked if "set-all" in call]


@pytest.mark.parametrize(
    ("answers", "given", "goes_on"),
    [
        ([True, True, True], [], True),
        ([True, False], [], False),
        ([False], [], False),
        ([True, True], [RISKS[0].word], True),
        ([True, True, False], [], False),
    ],
)
def test_on_a_terminal_each_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, answers: list[bool], given: list[str], goes_on: bool
) -> None:
    monkeypatch.setattr("sys.stdin", SimpleNamespace(isatty=lambda: True))
    monkeypatch.setattr("sys.stderr", SimpleNamespace(isatty=lambda: True))
    left = iter(answers)
    monkeypatch.setattr("typer.confirm", lambda *_, **__: next(left))
    assert adopt._agreed(Adoption(risks=RISKS), "", False, False, given) is goes_on
    assert list(left) == []


def test_a_stack_has_one_application_only(engine: FakePulumi) -> None:
    (engine.folder / "prod.export").write_text(export(application()))
    said = CliRunner().invoke(app, ["adopt", OBJECT_ID, "--yes"])
    assert said.exit_code == 1
    assert f"has an application of its own already (client id {CLIENT_ID})" in said.stderr


def test_what_the_stack_has_already_is_not_adopted_again(engine: FakePulumi, monkeypatch: pytest.MonkeyPatch) -> None:
    children = [application(), resource(PRINCIPAL_TYPE, "mail", {})]
    (engine.folder / "prod.export").write_text(export(resource(COMPONENT_TYPE, "mail", {}), *children))
    monkeypatch.setattr(adopt, "_plan", lambda *_: (FOUND, Adoption([], {})))
    said = CliRunner().invoke(app, ["adopt", CLIENT_ID, "--yes"])
    assert said.exit_code == 0
    assert "there is nothing to adopt" in said.stderr
