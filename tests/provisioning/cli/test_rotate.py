"""`rotate`: which earlier requests it resumes, what it asks, which steps it tells of, and how it ends."""

from __future__ import annotations

import io
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from provisioning.cli import app, common, rotate
from provisioning.pulumi_cli import Engines
from provisioning.pulumi_events import Diagnostic, Event, Operation, StepBegun, StepEnded
from provisioning.resource_types import PASSWORD_TYPE, PUSH_TYPE
from provisioning.waiting import waits
from tests.golden import check

GOLDEN = Path(__file__).parent / "golden"

NOW = "2027-04-05T12:00:00Z"
LONG_AGO = "2027-01-01T00:00:00Z"

URN = "urn:pulumi:prod::nocobase-outlook::x::"
PUSHED = {"nocobase_url": "https://nocobase.example.com"}
SETTLING = (
    "Entra ID does not accept the new client secret of 0a1b2c3d-0000-4000-8000-000000000001 yet "
    "(AADSTS7000215: Wrong client secret); waiting, 300 s at most."
)

STEPS: tuple[Event, ...] = (
    StepBegun("same", PUSH_TYPE, f"{URN}nocobase"),
    StepEnded("same", PUSH_TYPE, f"{URN}nocobase", PUSHED),
    StepBegun("create", PASSWORD_TYPE, f"{URN}mail-secret-b"),
    StepEnded("create", PASSWORD_TYPE, f"{URN}mail-secret-b"),
    StepBegun("update", PUSH_TYPE, f"{URN}nocobase"),
    Diagnostic("info#err", SETTLING),
    StepEnded("update", PUSH_TYPE, f"{URN}nocobase", PUSHED),
    StepEnded("delete", PASSWORD_TYPE, f"{URN}mail-secret-a"),
)


@dataclass
class Engine:
    """An engine with one setting, whose `up` issues a secret now if one was asked for by now.

    waited: what was waited for at each event.
    """

    setting: str | None
    issued: str = LONG_AGO
    ups: int = 0
    fails: bool = False
    set_to: dict[str, str] = field(default_factory=dict)
    engines: Engines | None = None
    events: tuple[Event, ...] = ()
    waited: list[str] = field(default_factory=list)
    retires: str | None = None
    waits: str | None = None
    client_id: str = "always the same"

    def name(self) -> str:
        return "prod"

    def config(self, _: str) -> str | None:
        return self.setting

    def set_config(self, key: str, value: str) -> None:
        self.set_to[key] = self.setting = value

    def outputs(self) -> dict[str, Any]:
        times = {"clientSecretIssued": self.issued, "clientSecretExpiry": "2027-10-02T00:00:00Z"}
        client_id = self.client_id.format(ups=self.ups)
        return {**times, "clientId": client_id, "oldSecretRetires": self.retires, "oldSecretWaitsFor": self.waits}

    def operate(self, operation: str, on_event: Callable[[Event], object]) -> Operation:
        assert operation == "up"
        self.ups += 1
        for event in self.events:
            on_event(event)
            self.waited += [wait.what for wait in waits()]
        if self.fails:
            return Operation(False, (Diagnostic("error", "Entra ID said no."),))
        asked = datetime.fromisoformat(self.setting or LONG_AGO)
        if datetime.fromisoformat(self.issued) < asked <= datetime.fromisoformat(NOW):
            self.issued = NOW
        return Operation(True, ())


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROVISIONING_TODAY", NOW)
    monkeypatch.setenv("ARM_METADATA_HOSTNAME", "localhost:9")


def run(monkeypatch: pytest.MonkeyPatch, engine: Engine, *arguments: str, typed: str | None = None) -> Result:
    """typed: what the person at the terminal answers; None without a terminal."""

    def pulumi(_: str | None, engines: Engines) -> Engine:
        engine.engines = engines
        return engine

    monkeypatch.setattr(rotate, "Pulumi", pulumi)
    monkeypatch.setattr(rotate, "can_be_asked", lambda: typed is not None)
    return CliRunner().invoke(app, ["rotate", *arguments], input=typed)


@pytest.mark.parametrize(
    ("arguments", "key"),
    [((), "rotateRequestedAt"), (("--compromised", "--yes"), "compromisedBefore")],
    ids=["asked", "leaked"],
)
@pytest.mark.parametrize(
    ("earlier", "asked_anew"),
    [
        (None, True),
        ("2026-12-01T00:00:00Z", True),
        ("2027-04-05T11:59:59Z", False),
        (NOW, False),
        ("2027-04-05T12:00:01Z", True),
        ("2126-04-05T14:00:00+02:00", True),
    ],
)
def test_only_a_request_that_can_be_carried_out_now_is_gone_on_with(
    monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], key: str, earlier: str | None, asked_anew: bool
) -> None:
    engine = Engine(earlier)
    said = run(monkeypatch, engine, *arguments)
    assert (said.exit_code, engine.ups, engine.issued) == (0, 1, NOW)
    assert engine.set_to == ({key: NOW} if asked_anew else {})


@pytest.mark.parametrize("earlier", ["soon", "2027-01-31", "2027-01-31T12:00:00", "31.01.2027"])
def test_a_request_that_is_no_time_is_told_by_its_setting(monkeypatch: pytest.MonkeyPatch, earlier: str) -> None:
    engine = Engine(earlier)
    said = run(monkeypatch, engine)
    assert (said.exit_code, engine.ups, said.stdout) == (1, 0, "")
    assert "rotateRequestedAt" in said.stderr
    assert "pulumi config rm rotateRequestedAt" in said.stderr
    assert "Traceback" not in said.stderr


@pytest.mark.parametrize("fails", [True, False])
def test_a_rotation_that_fails_says_that_its_request_stays(monkeypatch: pytest.MonkeyPatch, fails: bool) -> None:
    engine = Engine(None, fails=fails)
    if not fails:
        engine.outputs = lambda: {"clientSecretIssued": LONG_AGO}  # type: ignore[method-assign]
    said = run(monkeypatch, engine, "--compromised", "--yes")
    assert (said.exit_code, engine.ups) == (1, 1 if fails else rotate.MOST_RUNS)
    begins = (
        "Entra ID said no.\n`pulumi up` failed. Correct what it says, then run"
        if fails
        else "The rotation is not complete yet. To complete it, run"
    )
    assert said.stderr.partition("\n")[2] == (
        f"{begins} `pulumi up --stack prod`: it resumes this rotation. To take it back, if no new secret was issued "
        f"yet: `pulumi config rm compromisedBefore --stack prod`\n{rotate.STILL_ACCEPTED}\n"
    )
    assert rotate.STILL_ACCEPTED not in run(monkeypatch, Engine(None, fails=True)).stderr


@pytest.mark.parametrize("arguments", [(), ("--compromised", "--yes")], ids=["asked", "leaked"])
def test_another_application_is_not_said_to_keep_mailboxes_connected(
    monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    said = run(monkeypatch, Engine(None, client_id="of the run {ups}"), *arguments)
    assert said.stderr.endswith(f"{rotate.ANOTHER}\n")
    assert "stay connected" not in said.stderr


def test_a_lost_answer_says_how_to_find_what_it_left(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine(None)
    lost = Diagnostic("error", "HTTP response was nil; connection may have been reset")
    monkeypatch.setattr(engine, "operate", lambda *_, **__: Operation(False, (lost,)))
    said = run(monkeypatch, engine).stderr
    assert (
        "connection may have been reset\n`python -m provisioning status --stack prod` shows whether a secret was left "
        "behind; `python -m provisioning prune --yes --stack prod` removes it.\n`pulumi up` failed."
    ) in said


@pytest.mark.parametrize("linked", [True, False])
def test_a_setting_behind_a_link_is_not_to_be_committed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, linked: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "kept.yaml").touch()
    if linked:
        (tmp_path / "Pulumi.prod.yaml").symlink_to("kept.yaml")
    said = run(monkeypatch, Engine(None)).stderr
    assert f"to Pulumi.prod.yaml{'.' if linked else '; commit it, like any setting.'}\n" in said


def test_ctrl_c_while_the_request_is_stored_says_that_it_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine(None)

    def set_config(key: str, value: str) -> None:
        engine.set_to[key] = value
        raise KeyboardInterrupt

    monkeypatch.setattr(engine, "set_config", set_config)
    said = run(monkeypatch, engine)
    assert (said.exit_code, engine.ups, engine.set_to) == (130, 0, {"rotateRequestedAt": NOW})
    assert "the next `pulumi up` resumes this rotation" in said.stderr
    assert "pulumi config rm rotateRequestedAt --stack prod" in said.stderr


@pytest.mark.parametrize("fails", [True, False])
def test_ctrl_c_while_the_engine_runs_says_so_at_once_and_what_to_run_next(
    monkeypatch: pytest.MonkeyPatch, fails: bool
) -> None:
    engine = Engine(None, fails=fails)

    def operate(*_: object, **__: object) -> Operation:
        signal.raise_signal(signal.SIGINT)
        engine.ups += 1
        return Operation(not fails, ())

    monkeypatch.setattr(engine, "operate", operate)
    said = run(monkeypatch, engine)
    assert (said.exit_code, engine.ups) == (130, 1)
    assert said.stderr.splitlines()[1:] == [
        rotate.ENDING,
        "Interrupted. The request stays in Pulumi.prod.yaml: the next `pulumi up` resumes this rotation. To take it "
        "back, if no new secret was issued yet: `pulumi config rm rotateRequestedAt --stack prod`",
    ]


def test_a_rotation_that_succeeds_says_nothing_of_its_request(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "config rm" not in run(monkeypatch, Engine(None)).stderr


@pytest.mark.parametrize(("typed", "done"), [("y\n", True), ("n\n", False), ("\n", False)])
def test_it_asks_before_it_removes_a_secret_at_once(monkeypatch: pytest.MonkeyPatch, typed: str, done: bool) -> None:
    engine = Engine(None)
    said = run(monkeypatch, engine, "--compromised", typed=typed)
    assert (said.exit_code, engine.ups, bool(engine.set_to)) == (0, int(done), done)
    assert "Remove the present client secret? [y/N]" in said.stderr
    assert ("Nothing was changed." in said.stderr) is not done


def test_it_asks_about_both_secrets_where_both_would_go(monkeypatch: pytest.MonkeyPatch) -> None:
    both = Engine(None, retires="2027-04-12T12:00:00Z")
    said = run(monkeypatch, both, "--compromised", typed="n\n").stderr
    assert "The one before it, still accepted until 2027-04-12, is removed first." in said
    assert "Remove both client secrets? [y/N]" in said
    assert "removes both client secrets at once" in run(monkeypatch, both, "--compromised").stderr
    waiting = Engine(None, waits="NocoBase has to be restarted.")
    said = run(monkeypatch, waiting, "--compromised", typed="n\n").stderr
    assert "The one before it, still accepted until NocoBase is restarted, is removed first." in said
    assert "Remove both client secrets? [y/N]" in said


def test_without_a_person_it_ends_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine(None)
    said = run(monkeypatch, engine, "--compromised")
    assert (said.exit_code, engine.ups, engine.set_to) == (1, 0, {})
    assert said.stderr.splitlines()[-1] == "  `python -m provisioning rotate --compromised --yes --stack prod`"


@pytest.mark.parametrize("another", [False, True])
def test_a_nocobase_that_has_to_be_restarted_is_not_said_to_use_the_new_secret(
    monkeypatch: pytest.MonkeyPatch, another: bool
) -> None:
    waiting = {**PUSHED, "restart_due": "NocoBase has to be restarted."}
    events = (*STEPS[:-2], StepEnded("update", PUSH_TYPE, f"{URN}nocobase", waiting))
    engine = Engine(None, events=events, retires="2027-04-12T12:00:00Z")
    engine.client_id = "of the run {ups}" if another else engine.client_id
    said = run(monkeypatch, engine)
    assert said.exit_code == 0
    assert "! 12:00 UTC  accepted by Entra ID, and given to NocoBase at https://nocobase.example.com" in said.stderr
    assert "which uses it once it has been restarted\n" in said.stderr
    assert "which uses it\n" not in said.stderr
    used = "that of the application that is gone" if another else "the old one, which stays"
    end = f" 2027-10-02T00:00:00Z. NocoBase uses {used}, until it is restarted. {rotate.RESTART}\n"
    assert said.stderr.endswith(f"{end}{rotate.ANOTHER}\n" if another else end)


def test_what_a_refresh_finds_of_an_earlier_run_is_no_step(monkeypatch: pytest.MonkeyPatch) -> None:
    before = {**PUSHED, "problem": "NocoBase was unreachable.", "restart_due": "NocoBase has to be restarted."}
    refreshed = StepEnded("refresh", PUSH_TYPE, f"{URN}nocobase", before)
    said = run(monkeypatch, Engine(None, events=(refreshed, *STEPS[:-1])))
    assert "unreachable" not in said.stderr
    assert "restarted" not in said.stderr


@pytest.mark.parametrize("arguments", [(), ("--compromised", "--yes")], ids=["due", "leaked"])
def test_the_steps_that_matter(
    monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest, arguments: tuple[str, ...]
) -> None:
    leaked = "--compromised" in arguments
    engine = Engine(None, events=STEPS if leaked else STEPS[:-1], retires=None if leaked else "2027-04-12T12:00:00Z")
    said = run(monkeypatch, engine, *arguments)
    assert (said.exit_code, said.stdout) == (0, "")
    check(GOLDEN / f"rotate-{request.node.callspec.id}.txt", said.stderr)
    assert list(dict.fromkeys(engine.waited)) == [
        "`pulumi up`",
        "`pulumi up`: create ApplicationPassword",
        "Entra ID to accept the client secret, and NocoBase to use it",
    ]


@pytest.mark.parametrize("columns", [80, 120])
@pytest.mark.parametrize("leaked", [True, False], ids=["leaked", "due"])
def test_the_steps_on_a_terminal(monkeypatch: pytest.MonkeyPatch, leaked: bool, columns: int) -> None:
    console = common.Plain(file=io.StringIO(), width=columns, force_terminal=True, color_system="standard")
    monkeypatch.setattr(rotate, "words", console)
    engine = Engine(None, events=STEPS if leaked else STEPS[:-1], retires=None if leaked else "2027-04-12T12:00:00Z")
    assert run(monkeypatch, engine, *(["--compromised"] if leaked else []), typed="y\n").exit_code == 0
    assert isinstance(console.file, io.StringIO)
    check(GOLDEN / f"rotate-{'leaked' if leaked else 'due'}-{columns}.txt", console.file.getvalue())


def test_a_nocobase_that_was_not_given_the_secret_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = {**PUSHED, "problem": "NocoBase at https://nocobase.example.com cannot be reached."}
    said = run(monkeypatch, Engine(None, events=(StepEnded("update", PUSH_TYPE, f"{URN}nocobase", problem),)))
    assert "! 12:00 UTC  NocoBase at https://nocobase.example.com cannot be reached." in said.stderr
    assert "given to NocoBase" not in said.stderr
