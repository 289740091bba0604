"""`status`: its formats on a terminal and piped, its exit codes, and that no stack hides another."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree

import pytest
from prometheus_client.parser import text_string_to_metric_families
from typer.testing import CliRunner, Result

from provisioning.cli import app
from provisioning.cli.status_reading import with_commands
from provisioning.cli.status_tables import joined
from provisioning.entra.orphans import StoredSecret
from provisioning.entra.registration import Grant, Principal, Registration
from provisioning.entra.sign_in_settings import sign_in_settings
from provisioning.errors import DirectoryUnreadable
from provisioning.nocobase.installation import SET_API_KEY
from provisioning.nocobase.login import NocoBaseLogin
from provisioning.program.last_state import Deployed, Push
from provisioning.resource_types import STACK_TYPE
from provisioning.status import read
from provisioning.status.read import Held, Unread
from sandbox.entra.policies import DEFAULT_CONSENT
from tests.golden import check, on_terminal
from tests.provisioning.checkpoints import (
    OBJECT_ID,
    ONE_SECRET,
    TENANT_ID,
    TWO_SECRETS,
    application,
    export,
    password,
    push,
)
from tests.provisioning.fake_pulumi import FakePulumi, fake_pulumi
from tests.provisioning.status.test_compare import held, registration

# msgraph's own generated code uses its deprecated names.
pytestmark = pytest.mark.filterwarnings("ignore:.* is deprecated:DeprecationWarning")

GOLDEN = Path(__file__).parent / "golden"

CONFIG = {
    "nocobase-outlook:nocobaseUrl": {"value": "https://nocobase.example.com"},
    "nocobase-outlook:nocobaseApiKey": {"value": "own-key", "secret": True},
}


@pytest.fixture
def engine(tmp_path: Path) -> FakePulumi:
    """Three stacks: one in the middle of a rotation, one with a single secret, and one that cannot be read."""
    exports = {"prod": export(*TWO_SECRETS), "test": export(*ONE_SECRET)}
    return fake_pulumi(tmp_path, exports, CONFIG, broken="lost")


@pytest.fixture
def here(engine: FakePulumi, monkeypatch: pytest.MonkeyPatch) -> FakePulumi:
    """The same for commands that run in this process."""
    for name, value in engine.environment.items():
        monkeypatch.setenv(name, value)
    for name in ("NOCOBASE_API_KEY", "NOCOBASE_ACCOUNT", "NOCOBASE_PASSWORD"):
        monkeypatch.delenv(name, raising=False)
    return engine


def status(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["status", *arguments])


@pytest.mark.parametrize(
    ("file", "arguments", "code"),
    [
        ("status.txt", [], 0),
        ("status.md", ["--format", "markdown", "--warn-days", "365"], 1),
        ("status.json", ["--format", "json"], 0),
        ("status.prom", ["--format", "prometheus"], 0),
        ("status-all.txt", ["--all"], 1),
        ("status-all.md", ["--all", "--format", "markdown"], 1),
    ],
)
def test_piped(here: FakePulumi, file: str, arguments: list[str], code: int) -> None:
    said = status("--offline", *arguments)
    assert (said.exit_code, said.stderr) == (code, "")
    assert "\x1b" not in said.stdout
    check(GOLDEN / file, said.stdout)


@pytest.mark.parametrize("columns", ["80", "120"])
@pytest.mark.parametrize(("name", "arguments"), [("status", ["--warn-days", "365"]), ("status-all", ["--all"])])
def test_on_a_terminal(engine: FakePulumi, name: str, arguments: list[str], columns: str) -> None:
    shown, code = on_terminal(["status", "--offline", *arguments], extra=engine.environment, columns=columns)
    assert code == 1
    check(GOLDEN / f"{name}-{columns}.txt", shown)


def test_svg_is_xml_with_every_secret_that_could_be_read(here: FakePulumi) -> None:
    said = status("--all", "--offline", "--format", "svg")
    assert said.exit_code == 1
    texts = [found.text for found in ElementTree.fromstring(said.stdout).iter("{http://www.w3.org/2000/svg}text")]
    assert {"prod a", "prod b", "test a"} <= set(texts)


def test_html_is_one_page_with_every_stack(here: FakePulumi) -> None:
    said = status("--all", "--offline", "--format", "html")
    assert (said.exit_code, said.stderr) == (1, "")
    assert said.stdout.startswith("<!DOCTYPE html>\n")
    assert "<title>1 of 3 stacks needs a person" in said.stdout
    assert re.findall("<h3>(prod|test|lost)", said.stdout) == ["lost", "test", "prod"]


def test_metrics_of_all_stacks_can_be_parsed(here: FakePulumi) -> None:
    said = status("--all", "--offline", "--format", "prometheus")
    families = {family.name: family for family in text_string_to_metric_families(said.stdout)}
    needed = {sample.labels["stack"]: sample.value for sample in families["nocobase_outlook_attention"].samples}
    assert needed == {"prod": 0, "test": 0, "lost": 1}


def test_a_state_is_exported_once_and_nothing_else_is_asked_offline(here: FakePulumi) -> None:
    status("--offline")
    assert [call[:2] for call in here.asked] == [["stack", "--show-name"], ["stack", "export"]]


def test_json_of_all_is_a_list_with_what_is_wrong(here: FakePulumi) -> None:
    said = status("--all", "--offline", "--format", "json")
    lost = json.loads(said.stdout)[2]
    assert (said.exit_code, lost["stack"], lost["sync"]) == (1, "lost", None)
    assert "no stack named 'lost' found" in lost["alarms"][0]


def test_a_state_that_nobody_has_foreseen_hides_no_other_stack(here: FakePulumi) -> None:
    (here.folder / "test.export").write_text('{"deployment": {"resources": [{"no": "urn"}]}}')
    said = json.loads(status("--all", "--offline", "--format", "json").stdout)
    assert [found["alarms"] for found in said[:2]] == [[], ["its state is not understood (KeyError)"]]


def test_a_stack_that_is_not_there_is_answered_by_those_that_are(here: FakePulumi) -> None:
    said = status("--stack", "prd")
    assert (said.exit_code, said.stdout) == (1, "")
    assert said.stderr.startswith("There is no stack prd. There are: ")


def test_a_stack_and_all_of_them_cannot_be_meant(here: FakePulumi) -> None:
    said = status("--all", "--stack", "prod")
    assert said.exit_code == 2
    assert "or --all: which is meant?" in said.stderr
    assert here.asked == []


def test_a_backend_without_stacks_is_told(here: FakePulumi) -> None:
    (here.folder / "stacks").write_text("[]")
    said = status("--all", "--format", "json")
    assert (said.exit_code, said.stdout) == (1, "")
    assert "The backend has no stack of this project" in said.stderr


@pytest.fixture
def logins(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Both sides answer as if in sync with `test`; the keys that NocoBase was asked with."""
    used: list[str] = []

    def nocobase(push: Push, login: NocoBaseLogin | Unread | None) -> Held | Unread:
        if isinstance(login, Unread):
            return login
        used.append(login.api_key if login else "none")
        return held()

    def entra(_: Deployed, __: str | None) -> object:
        return registration()

    from provisioning.entra import directory  # noqa: PLC0415 - a second of imports

    monkeypatch.setattr(read, "read_nocobase", nocobase)
    monkeypatch.setattr(read, "read_registration", entra)
    monkeypatch.setattr(directory, "applications_tagged", lambda _: {OBJECT_ID: "NocoBase mail"})
    monkeypatch.setattr(directory, "principal", lambda _: Principal("principal", enabled=True))
    monkeypatch.setattr(directory, "grants", lambda _: [])
    monkeypatch.setattr(directory, "consent_policies", lambda: DEFAULT_CONSENT)
    return used


def test_in_sync_is_exit_code_0(here: FakePulumi, logins: list[str]) -> None:
    said = status("--stack", "test", "--format", "json")
    assert (said.exit_code, json.loads(said.stdout)["sync"]) == (0, True)
    assert logins == ["own-key"]


@pytest.mark.usefixtures("logins")
def test_consent_that_is_missing_is_shown_with_who_has_to_give_it(
    here: FakePulumi, monkeypatch: pytest.MonkeyPatch
) -> None:
    from provisioning.entra import directory  # noqa: PLC0415 - a second of imports

    def consent() -> object:
        said = status("--stack", "test", "--format", "json")
        assert said.exit_code == 0, said.stdout
        return json.loads(said.stdout)["consent"]

    assert consent() == {"missingForEverybody": ["SMTP.Send"], "by": "users"}
    monkeypatch.setattr(directory, "consent_policies", tuple)
    assert consent() == {"missingForEverybody": ["SMTP.Send"], "by": "administrator"}
    everybody = [Grant("graph", frozenset({"SMTP.Send"}), everybody=True)]
    monkeypatch.setattr(directory, "grants", lambda _: everybody)
    assert consent() == {"missingForEverybody": [], "by": None}


def test_out_of_sync_is_exit_code_1(here: FakePulumi, logins: list[str]) -> None:
    said = status("--stack", "prod", "--format", "json")
    assert (said.exit_code, json.loads(said.stdout)["entra"]["inSync"]) == (1, False)


def test_the_environments_key_is_for_one_stack(
    here: FakePulumi, logins: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOCOBASE_API_KEY", "from-environment")
    status("--stack", "test")
    assert logins == ["from-environment"]
    # Neither a second question nor a secret of the configuration is needed.
    assert [call[:2] for call in here.asked if call[0] == "config"] == [["config", "--json"]]
    assert not any(call[0] == "config" and "--show-secrets" in call for call in here.asked)


def test_among_all_stacks_each_ones_own_key_comes_first(
    here: FakePulumi, logins: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOCOBASE_API_KEY", "from-environment")
    (here.folder / "prod.config").write_text("{}")
    (here.folder / "stacks").write_text('[{"name": "prod"}, {"name": "test"}]')
    status("--all")
    assert sorted(logins) == ["from-environment", "own-key"]


@pytest.mark.parametrize("new", [True, False])
def test_of_all_stacks_one_that_is_new_or_cannot_be_read_may_be_the_one_that_the_environments_key_is_for(
    here: FakePulumi, logins: list[str], monkeypatch: pytest.MonkeyPatch, new: bool
) -> None:
    monkeypatch.setenv("NOCOBASE_API_KEY", "from-environment")
    for stack in ("prod", "test"):
        (here.folder / f"{stack}.config").write_text("{}")
    if new:
        (here.folder / "lost.export").write_text(export())
        (here.folder / "lost.config").write_text(
            '{"nocobase-outlook:nocobaseUrl": {"value": "https://new.example.com"}}'
        )
    told = json.loads(status("--all", "--format", "json").stdout)
    assert logins == []
    assert "no key of its own: NOCOBASE_API_KEY can" in told[0]["nocobase"][0]["reasons"][0]


@pytest.mark.parametrize(("named", "used"), [({}, "none"), ({"NOCOBASE_API_KEY_TEST": "of-test"}, "of-test")])
def test_among_stacks_at_different_addresses_the_environments_key_goes_to_none(
    here: FakePulumi, logins: list[str], monkeypatch: pytest.MonkeyPatch, named: dict[str, str], used: str
) -> None:
    for name, value in {"NOCOBASE_API_KEY": "from-environment", **named}.items():
        monkeypatch.setenv(name, value)
    moved = [*ONE_SECRET[:-1], push("a", "2027-01-01", nocobase_url="https://other.example.com")]
    (here.folder / "test.export").write_text(export(*moved))
    (here.folder / "test.config").write_text("{}")
    sides = json.loads(status("--all", "--format", "json").stdout)[1]["nocobase"]
    assert sorted(logins) == sorted(["own-key", *([used] if named else [])])
    assert ("no key of its own: NOCOBASE_API_KEY can" in "".join(sides[0]["reasons"])) is not bool(named)


@pytest.fixture
def more(logins: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Entra ID has an orphaned and a foreign secret of `test`, and a duplicate of its application."""
    from provisioning.entra import directory  # noqa: PLC0415 - a second of imports

    ends = datetime(2027, 5, 1, tzinfo=UTC)
    extra = (StoredSecret("lost", "NocoBase mail b 2027-03-01", ends), StoredSecret("theirs", "made by hand"))
    found = registration(secrets=(*registration().secrets, *extra))
    monkeypatch.setattr(read, "read_registration", lambda *_: found)
    monkeypatch.setattr(
        directory, "applications_tagged", lambda _: {OBJECT_ID: "NocoBase mail", "duplicate": "NocoBase mail"}
    )


def test_an_adopted_stack_is_not_deployed(here: FakePulumi, logins: list[str]) -> None:
    (here.folder / "test.export").write_text(export(application()))
    said = status("--stack", "test")
    assert said.exit_code == 1
    assert said.stdout.startswith(
        "! test: it has its application, and was not deployed since: run `pulumi up --stack test`\n"
    )
    assert re.search("^state +not deployed$", said.stdout, re.MULTILINE)
    assert json.loads(status("--stack", "test", "--format", "json").stdout)["sync"] is False
    assert "not deployed" in status("--stack", "test", "--offline").stdout


@pytest.mark.usefixtures("logins")
@pytest.mark.parametrize(("stack", "named"), [("prod", True), ("acme/mail/prod.eu", True), ("a; rm", False)])
def test_an_alarm_has_a_command_for_its_own_stack(stack: str, named: bool) -> None:
    alarms = (
        "its deployment was not completed: run `pulumi up`",
        "it ends: run `pulumi up`, or `rotate` if that issues none",
        "it is in another tenant; see `status --stack other`",
        "Entra ID is not read: 403",
        "http://localhost is not read: it cannot be reached. Then run the command again.",
        f"http://localhost is not read: it rejected the login. Make a key and {SET_API_KEY}",
    )
    module, end = ("python -m provisioning ", f" --stack {stack}") if named else ("", "")
    assert with_commands(alarms, stack) == (
        f"its deployment was not completed: run `pulumi up{end}`",
        f"it ends: run `pulumi up{end}`, or `{module}rotate{end}` if that issues none",
        "it is in another tenant; see `status --stack other`",
        f"Entra ID is not read: 403: run `{module}doctor{end}`",
        f"http://localhost is not read: it cannot be reached. Then run the command again. To look closer: "
        f"`{module}doctor{end}`",
        f"http://localhost is not read: it rejected the login. Make a key and "
        f"{SET_API_KEY.replace('config set', f'config set{end}')}",
    )


def test_a_sentence_within_a_line_has_no_full_stop_before_a_semicolon() -> None:
    assert joined(["not read: Is it running?", "Start it.", "slot a."]) == "not read: Is it running?; Start it; slot a."


@pytest.mark.usefixtures("logins")
def test_two_secrets_of_one_day_can_be_told_apart(here: FakePulumi, monkeypatch: pytest.MonkeyPatch) -> None:
    lost = [
        StoredSecret(f"{key}-0000", "NocoBase mail b 2027-03-01", start=datetime(2027, 3, 1, hour, tzinfo=UTC))
        for key, hour in (("1b4e28ba", 9), ("2c5f39cb", 21))
    ]
    monkeypatch.setattr(read, "read_registration", lambda *_: registration(secrets=(*registration().secrets, *lost)))
    rows = [line.split() for line in status("--stack", "test").stdout.splitlines() if line.startswith("none")]
    assert [row[5:8] for row in rows] == [["1b4e28ba", "2027-03-01", "09:00"], ["2c5f39cb", "2027-03-01", "21:00"]]


@pytest.mark.usefixtures("more")
def test_every_secret_and_duplicate_in_entra_id_is_shown(here: FakePulumi) -> None:
    said = status("--stack", "test")
    assert said.exit_code == 0
    check(GOLDEN / "status-extra.txt", said.stdout)
    check(GOLDEN / "status-extra.md", status("--stack", "test", "--format", "markdown").stdout)
    told = json.loads(status("--stack", "test", "--format", "json").stdout)
    assert [(secret["kind"], secret["keyId"]) for secret in told["secrets"]] == [
        ("own", "key-a"),
        ("orphaned", "lost"),
        ("foreign", "theirs"),
    ]
    assert told["duplicates"] == [{"objectId": "duplicate", "name": "NocoBase mail"}]


@pytest.mark.usefixtures("logins")
def test_a_secret_that_a_replacement_has_yet_to_delete_is_the_stacks_own(
    here: FakePulumi, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = password("a", "2026-07-01", "2027-04-30")
    old["outputs"]["keyId"] = "old"
    stored = (*registration().secrets, StoredSecret("old", "NocoBase mail a 2026-07-01"))
    monkeypatch.setattr(read, "read_registration", lambda *_: registration(secrets=stored))
    (here.folder / "test.export").write_text(export(*ONE_SECRET, {**old, "delete": True}))
    told = json.loads(status("--stack", "test", "--format", "json").stdout)
    assert [(secret["kind"], secret["keyId"]) for secret in told["secrets"]] == [("own", "key-a"), ("own", "old")]
    assert told["entra"]["notes"] == []


def test_duplicates_that_may_not_be_read_are_no_alarm(
    here: FakePulumi, logins: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from provisioning.entra import directory  # noqa: PLC0415 - a second of imports

    def denied(_: str) -> dict[str, str]:
        raise DirectoryUnreadable("x", "403 Authorization_RequestDenied")

    monkeypatch.setattr(directory, "applications_tagged", denied)
    said = status("--stack", "test", "--format", "json")
    told = json.loads(said.stdout)
    assert (said.exit_code, told["sync"], told["duplicates"]) == (0, True, None)
    assert "could not be read (403 Authorization_RequestDenied)" in told["entra"]["notes"][0]


CONFIGURED = "0a1b2c3d-0000-4000-8000-000000000004"


@pytest.fixture
def tenants(here: FakePulumi, monkeypatch: pytest.MonkeyPatch) -> list[str | None]:
    """Both sides answer. `prod` has outputs; of `test`, interrupted, the configuration names another tenant.

    The tenants in which Entra ID was asked, None for that of whoever is signed in.
    """
    from provisioning.entra import directory  # noqa: PLC0415 - a second of imports

    asked: list[str | None] = []

    def entra(_: str) -> Registration:
        asked.append(sign_in_settings().tenant or None)
        return registration()

    (here.folder / "test.export").write_text(export(*(item for item in ONE_SECRET if item["type"] != STACK_TYPE)))
    (here.folder / "test.config").write_text(json.dumps({**CONFIG, "azuread:tenantId": {"value": CONFIGURED}}))
    monkeypatch.setattr(read, "read_nocobase", lambda *_: held())
    monkeypatch.setattr(directory, "registration", entra)
    monkeypatch.setattr(directory, "applications_tagged", lambda _: {OBJECT_ID: "NocoBase mail"})
    monkeypatch.setattr(directory, "principal", lambda _: Principal("principal", enabled=True))
    monkeypatch.setattr(directory, "grants", lambda _: [])
    monkeypatch.setattr(directory, "consent_policies", tuple)
    return asked


@pytest.mark.parametrize(("stack", "tenant"), [("prod", TENANT_ID), ("test", CONFIGURED)])
def test_one_stack_is_looked_for_in_its_own_tenant(tenants: list[str | None], stack: str, tenant: str) -> None:
    status("--stack", stack)
    assert tenants == [tenant]


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        (TENANT_ID, [False, None]),
        (CONFIGURED.upper(), [None, True]),
        ("example.com", [False, True]),
        (None, [False, True]),
    ],
)
def test_of_all_stacks_one_in_another_tenant_is_not_read(
    tenants: list[str | None], monkeypatch: pytest.MonkeyPatch, asked: str | None, found: list[bool | None]
) -> None:
    if asked:
        monkeypatch.setenv("ARM_TENANT_ID", asked)
    sides = [stack["entra"] for stack in json.loads(status("--all", "--format", "json").stdout)[:2]]
    assert [side["inSync"] for side in sides] == found
    assert tenants == [asked] * sum(answer is not None for answer in found)
    said = [side["reasons"][0] for side in sides if side["inSync"] is None]
    assert all(
        re.fullmatch(f"it is in tenant .*, and ARM_TENANT_ID is {asked}; see `status --stack .*`", why) for why in said
    )


@pytest.mark.parametrize(("logins", "missing"), [([""], "NOCOBASE_API_KEY"), (["sales", ""], "NOCOBASE_API_KEY_SALES")])
def test_a_missing_login_is_told_by_the_name_of_its_installation(
    here: FakePulumi, monkeypatch: pytest.MonkeyPatch, logins: list[str], missing: str
) -> None:
    monkeypatch.setattr(read, "read_registration", lambda *_: registration())
    monkeypatch.setattr(read, "read_duplicates", lambda *_: {})
    monkeypatch.setattr(read, "read_principal", lambda *_: None)
    (here.folder / "test.export").write_text(export(*ONE_SECRET[:-1], push("a", "2027-01-01", logins=logins)))
    (here.folder / "test.config").write_text("{}")
    (side,) = json.loads(status("--stack", "test", "--format", "json").stdout)["nocobase"]
    assert side["inSync"] is None
    assert f"neither {missing} nor" in side["reasons"][0]


@pytest.mark.usefixtures("interruptible")
def test_an_interrupt_ends_it_with_its_own_exit_code_and_no_traceback(engine: FakePulumi) -> None:
    waiting = engine.folder / "waiting"
    (engine.folder / "pulumi").write_text(f"#!/bin/sh\ntouch {waiting}\nexec sleep 60\n")
    command = [sys.executable, "-m", "provisioning", "status", "--stack", "prod"]
    environment = {**os.environ, **engine.environment}
    # Like a terminal's Ctrl-C, the signal goes to all programs of the group.
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True, start_new_session=True) as run:
        while not waiting.exists():
            assert run.poll() is None, run.communicate()
            time.sleep(0.02)
        os.killpg(run.pid, signal.SIGINT)
        _, said = run.communicate(timeout=30)
    assert (run.returncode, "Traceback" in said) == (130, False)


def test_of_all_stacks_one_with_a_sign_in_of_its_own_is_not_read(
    here: FakePulumi, tenants: list[str | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    own = {"azuread:clientId": {"value": "a-client"}, "azuread:clientSecret": {"value": "hush", "secret": True}}
    (here.folder / "test.config").write_text(json.dumps({**CONFIG, **own}))
    sides = [stack["entra"] for stack in json.loads(status("--all", "--format", "json").stdout)[:2]]
    assert [side["inSync"] for side in sides] == [False, None]
    assert sides[1]["reasons"][0].startswith("its configuration says how to sign in to Entra ID")
    status("--stack", "test")
    assert sign_in_settings().client_secret == "hush"
