"""`adopt`: what it would write is validated before anything is written."""

from __future__ import annotations

import json
import re
import shlex
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from provisioning.adopt.plan import Adoption, Caller, InNocoBase, plan_adoption
from provisioning.adopt.risks import Risk
from provisioning.cli import adopt, app, common
from provisioning.entra.registration import Candidate, Found
from provisioning.errors import NotReady
from provisioning.nocobase.client import NocoBaseClient
from provisioning.nocobase.layout import NocoBaseMapping
from provisioning.nocobase.sign_in_link import SignIn
from provisioning.program.validation import validate
from provisioning.resource_types import COMPONENT_TYPE, PRINCIPAL_TYPE
from sandbox.nocobase3.stand_in import DoesNotStart, StandIn
from tests.golden import check
from tests.provisioning.checkpoints import CLIENT_ID, OBJECT_ID, URL, application, export, resource
from tests.provisioning.doctor.test_account import token
from tests.provisioning.fake_pulumi import FakePulumi, fake_pulumi
from tests.provisioning.nocobase.fake_nocobase import CALLBACK, FakeNocoBase, connect, microsoft
from tests.provisioning.nocobase3.stack import API_KEY, over_http
from tests.provisioning.nocobase3.stack import connect as connect_3

GOLDEN = Path(__file__).parent / "golden"
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


SECRET_3 = "Xq8~a.secret-of.its~own_1234567890"
ENTRY_3 = """\
mail:
  providers:
    outlook:
      type: microsoft
      clientId: {id}
      clientSecret: {secret}
      scopes: [openid, {secret}]
"""


@pytest.fixture
def by_hand(engine: FakePulumi, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> StandIn:
    """A NocoBase 3 that was set up by hand, and the application in Entra ID."""
    config = tmp_path / "config.yml"
    config.write_text(ENTRY_3.format(id=CLIENT_ID, secret=SECRET_3), encoding="utf-8")
    server = StandIn(config, {API_KEY: True})
    server.start()
    connect_3(monkeypatch, {URL.partition("//")[2]: over_http(server)})
    values = {"nocobaseUrl": URL, "nocobaseConfigFile": str(config)}
    settings = {f"nocobase-outlook:{key}": {"value": value} for key, value in values.items()}
    (engine.folder / "prod.config").write_text(json.dumps(settings))
    hint = {"keyId": OBJECT_ID, "displayName": "by hand", "hint": SECRET_3[:3], "endDateTime": "2030-01-01T00:00:00Z"}
    applied = {
        **{"id": OBJECT_ID, "appId": CLIENT_ID, "displayName": "By hand", "signInAudience": "AzureADMultipleOrgs"},
        **{"passwordCredentials": [hint], "createdDateTime": "2026-03-01T08:30:15Z"},
    }
    found = Found(applied, (CALLER["oid"],), None, (CALLER["oid"],))
    monkeypatch.setattr("provisioning.entra.directory.look_up", lambda _: found)
    monkeypatch.setattr("provisioning.entra.microsoft_graph.caller_token", lambda: token(CALLER))
    monkeypatch.setattr("provisioning.entra.directory.applications", lambda: CANDIDATES)
    return server


CALLER = {"oid": "0a1b2c3d-0000-4000-8000-0000000000a0", "tid": "0a1b2c3d-0000-4000-8000-0000000000aa"}


def said_of(*arguments: str) -> str:
    """All that `adopt` prints, for people and for programs; the secret is in none of it."""
    said = CliRunner().invoke(app, ["adopt", *arguments])
    assert said.exception is None or isinstance(said.exception, SystemExit)
    assert SECRET_3 not in said.output
    return said.output


@pytest.mark.filterwarnings("ignore:.* is deprecated:DeprecationWarning")
def test_an_application_that_a_nocobase_3_uses_is_adopted(by_hand: StandIn, engine: FakePulumi) -> None:
    assert "NocoBase has its client ID" in said_of("--format", "json")
    said = " ".join(said_of(CLIENT_ID).split())
    assert "gives it to NocoBase, in place of the one that it has, which stays valid" in said
    assert "NocoBase's sign-in page is that of common; `pulumi up` makes it that of organizations" in said
    assert "credentials-" not in said  # the one secret is the one that NocoBase uses
    said_of(CLIENT_ID, "--yes", "--accept-losses", "--format", "json")
    (written,) = [call for call in engine.asked if "set-all" in call]
    assert SECRET_3 not in str(engine.asked)
    assert json.loads(written[written.index("--json") + 1])["audience"] == {"value": "AzureADMultipleOrgs"}
    assert by_hand.config.read_text(encoding="utf-8") == ENTRY_3.format(id=CLIENT_ID, secret=SECRET_3)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (ENTRY_3.format(id=SECRET_3, secret=SECRET_3), "holds the credentials of another application"),
        (ENTRY_3.format(id=CLIENT_ID, secret=SECRET_3).replace("mail:", f"mail: {SECRET_3} [", 1), "not valid YAML"),
        (ENTRY_3.replace("Secret: ", "Secret: &a ").format(id=CLIENT_ID, secret=SECRET_3), "has an anchor"),
        (ENTRY_3.format(id=CLIENT_ID, secret=SECRET_3).replace("outlook", "office"), "nocobaseMailProvider office"),
    ],
    ids=["a secret as client ID", "broken", "not editable", "another name"],
)
@pytest.mark.filterwarnings("ignore:.* is deprecated:DeprecationWarning")
def test_what_is_odd_in_its_configuration_is_told_without_its_secret(text: str, words: str, by_hand: StandIn) -> None:
    by_hand.config.write_text(text, encoding="utf-8")
    with suppress(DoesNotStart):
        by_hand.start()
    for arguments in ([], ["--format", "json"], [CLIENT_ID], [CLIENT_ID, "--format", "json"]):
        said = said_of(*arguments)
        assert not arguments or CLIENT_ID not in arguments or words in " ".join(said.split())


@pytest.mark.filterwarnings("ignore:.* is deprecated:DeprecationWarning")
def test_one_that_does_not_answer_or_let_in_is_told(by_hand: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    by_hand.keys[API_KEY] = False
    assert "mail.workspace" in " ".join(said_of(CLIENT_ID).split())
    by_hand.stop()
    assert "NocoBase was not asked" in said_of(CLIENT_ID)
    by_hand.config.unlink()
    assert "cannot be read" in " ".join(said_of(CLIENT_ID).split())


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
    assert said.stderr.endswith(f"Only if you know who made it:\n    python -m provisioning {whole}\n")
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


TODAY = datetime(2026, 3, 1, 8, 30, 15, tzinfo=UTC)
CANDIDATES = [
    Candidate("5d0e3c4f-6a6b-4f0c-9f52-1f2c1c0b7a11", "NocoBase mail", (CALLBACK,), (), created=TODAY),
    Candidate("5d0e3c4f-6a6b-4f0c-9f52-1f2c1c0b7a12", "Old NocoBase e-mail of the sales department", (), ()),
    Candidate("5d0e3c4f-6a6b-4f0c-9f52-1f2c1c0b7a13", "NocoBase mail", (), ("pulumi:acme/mail/test",), created=TODAY),
    Candidate(CLIENT_ID, "NocoBase mail", (), ("pulumi:organization/nocobase-outlook/prod",), created=TODAY),
]


@pytest.fixture
def several(engine: FakePulumi, monkeypatch: pytest.MonkeyPatch) -> FakePulumi:
    """A stack that is not deployed, in a tenant with applications that may be meant."""
    monkeypatch.delenv("NOCOBASE_API_KEY", raising=False)
    monkeypatch.setattr("provisioning.entra.directory.applications", lambda: CANDIDATES)
    return engine


BOLD = re.compile(r"\x1b\[[0-9;]*m")
WIDTHS = pytest.mark.parametrize("columns", ["80", "120", "piped"])


def on_terminal(monkeypatch: pytest.MonkeyPatch, columns: str) -> None:
    """Have what is printed in this process go to a terminal of so many columns, without colours."""
    monkeypatch.delenv("COLUMNS", raising=False)
    if columns != "piped":
        monkeypatch.setattr(common.Plain, "is_terminal", True)
        monkeypatch.setenv("COLUMNS", columns)
        monkeypatch.setenv("NO_COLOR", "1")
        monkeypatch.setattr(common.words, "width", int(columns))


@WIDTHS
@pytest.mark.usefixtures("several")
@pytest.mark.filterwarnings("ignore:.* is deprecated:DeprecationWarning")
def test_candidates_with_those_of_other_stacks_apart(monkeypatch: pytest.MonkeyPatch, columns: str) -> None:
    on_terminal(monkeypatch, columns)
    said = CliRunner().invoke(app, ["adopt"])
    assert said.exit_code == 0
    check(GOLDEN / f"adopt-list-{columns}.txt", BOLD.sub("", said.output))


@pytest.mark.usefixtures("several")
@pytest.mark.filterwarnings("ignore:.* is deprecated:DeprecationWarning")
def test_candidates_for_a_program_have_the_whole_time() -> None:
    listed = json.loads(CliRunner().invoke(app, ["adopt", "--search", "SALES", "--format", "json"]).stdout)
    assert [(one["name"][:3], one["why"]) for one in listed] == [
        ("Noc", "redirect URI"),
        ("Old", "part of its name"),
    ]
    assert (listed[0]["created"], listed[1]["created"]) == ("2026-03-01T08:30:15+00:00", None)


@pytest.mark.usefixtures("several")
@pytest.mark.filterwarnings("ignore:.* is deprecated:DeprecationWarning")
def test_no_candidate_is_answered_by_how_to_look_further(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("provisioning.entra.directory.applications", lambda: CANDIDATES[2:3])
    said = CliRunner().invoke(app, ["adopt"])
    assert "adopt --search <part of the name>" in said.stderr
    assert "These have the tag of another stack, and are rejected:" in said.stderr


@WIDTHS
def test_everything_wrong_in_the_settings_is_said_at_once(
    engine: FakePulumi, monkeypatch: pytest.MonkeyPatch, columns: str
) -> None:
    on_terminal(monkeypatch, columns)
    wrong = {
        "nocobaseUrl": "nocobase.example.com",
        "nocobaseInstallations": '[{"name": "Sales", "url": "https://sales.example.com"}]',
        "audience": "azureadmultiple",
        "scopes": "IMAP.AccessAsUser.All",
        "owners": '["me@example.com"]',
        "secretLifetimeDays": "soon",
        "nocobaseTakeOver": "[1]",
    }
    values = {f"nocobase-outlook:{key}": {"value": value} for key, value in wrong.items()}
    (engine.folder / "prod.config").write_text(json.dumps(values))
    said = CliRunner().invoke(app, ["adopt"])
    assert said.exit_code == 1
    check(GOLDEN / f"settings-{columns}.txt", BOLD.sub("", said.output))


@WIDTHS
def test_a_stack_that_is_not_there_is_answered(
    engine: FakePulumi, monkeypatch: pytest.MonkeyPatch, columns: str
) -> None:
    on_terminal(monkeypatch, columns)
    said = CliRunner().invoke(app, ["adopt", "--stack", "prd"])
    assert said.exit_code == 1
    check(GOLDEN / f"no-stack-{columns}.txt", BOLD.sub("", said.output))


@WIDTHS
def test_what_the_next_run_does_comes_before_the_question(
    engine: FakePulumi, monkeypatch: pytest.MonkeyPatch, columns: str
) -> None:
    on_terminal(monkeypatch, columns)
    applied = {
        "id": OBJECT_ID,
        "appId": CLIENT_ID,
        "displayName": "Outlook by hand",
        "signInAudience": "AzureADMultipleOrgs",
        "web": {"redirectUris": ["https://old.example.com/callback"]},
        "createdDateTime": "2026-03-01T08:30:15Z",
    }
    found = Found(applied, ("0a1b2c3d-0000-4000-8000-0000000000b0",), None, ())
    settings = validate({"nocobaseUrl": URL})[0]
    assert settings is not None
    caller = Caller("0a1b2c3d-0000-4000-8000-0000000000a0", "0a1b2c3d-0000-4000-8000-0000000000aa")
    plan = plan_adoption(found, settings, caller, "pulumi:organization/nocobase-outlook/prod", TODAY)
    monkeypatch.setattr(adopt, "_plan", lambda *_: (found, plan))
    said = CliRunner().invoke(app, ["adopt", CLIENT_ID])
    assert said.exit_code == 0
    check(GOLDEN / f"adopt-plan-{columns}.txt", BOLD.sub("", said.output))
    assert not [call for call in engine.asked if "set-all" in call]


def test_a_stack_has_one_application_only(engine: FakePulumi) -> None:
    (engine.folder / "prod.export").write_text(export(application()))
    said = CliRunner().invoke(app, ["adopt", OBJECT_ID, "--yes"])
    assert said.exit_code == 1
    assert f"has an application of its own already (client ID {CLIENT_ID})" in said.stderr


def test_what_the_stack_has_already_is_not_adopted_again(engine: FakePulumi, monkeypatch: pytest.MonkeyPatch) -> None:
    children = [application(), resource(PRINCIPAL_TYPE, "mail", {})]
    (engine.folder / "prod.export").write_text(export(resource(COMPONENT_TYPE, "mail", {}), *children))
    monkeypatch.setattr(adopt, "_plan", lambda *_: (FOUND, Adoption([], {})))
    said = CliRunner().invoke(app, ["adopt", CLIENT_ID, "--yes"])
    assert said.exit_code == 0
    assert "there is nothing to adopt" in said.stderr


@pytest.mark.usefixtures("several")
@pytest.mark.parametrize("others", [True, False])
@pytest.mark.filterwarnings("ignore:.* is deprecated:DeprecationWarning")
def test_the_stacks_own_application_is_no_candidate(
    engine: FakePulumi, monkeypatch: pytest.MonkeyPatch, others: bool
) -> None:
    (engine.folder / "prod.export").write_text(export(application()))
    monkeypatch.setattr("provisioning.entra.directory.applications", lambda: CANDIDATES if others else CANDIDATES[3:])
    said = CliRunner().invoke(app, ["adopt"])
    assert said.exit_code == 0
    assert CLIENT_ID not in said.stdout
    assert (f"There is no other application; this stack has {CLIENT_ID} already." in said.stderr) is not others
