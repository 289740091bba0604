"""What `up` prints about many stacks, and how the engines that it starts are ended."""

from __future__ import annotations

import io
import json
import os
import signal
import threading
import time
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from provisioning.cli import app
from provisioning.cli import up as up_command
from provisioning.cli.common import Format, show_rows
from provisioning.errors import EngineFailed
from provisioning.fleet.deploy import Deployer
from provisioning.fleet.runner import Result, StackOutcome
from provisioning.pulumi_cli import Engines, Pulumi
from tests.provisioning.fleet.test_runner import Seen

REFUSED = "NocoBase | rejected the login"
RESULTS = [
    Result("prod-eu", StackOutcome.CHANGED, {"create": 7}, 12.34),
    Result("prod-us", StackOutcome.FAILED, {}, 2.0, REFUSED, f"{REFUSED}\nmore"),
    Result("staging", StackOutcome.LEFT_OUT, error="there is no such stack"),
]

MARKDOWN = """\
| stack | outcome | changes | seconds | error |
| --- | --- | --- | --- | --- |
| prod-eu | changed | 7 created | 12.3 | none |
| prod-us | failed | none | 2.0 | NocoBase ¦ rejected the login |
| staging | left out | none | 0.0 | there is no such stack |
"""

FAKE = """\
#!/bin/sh
case "$*" in
  *"stack ls"*) echo '[{"name": "a", "current": true}, {"name": "b", "current": false}]' ;;
  *"--stack a"*)
    trap 'kill $!; echo "error: update cancelled" >&2; exit 255' INT
    sleep 30 >&- 2>&- &
    echo running > began
    wait ;;
  *) echo "error: the stack is currently locked by 1 lock(s)" >&2; echo "  more" >&2; exit 255 ;;
esac
"""

LOGS_ITS_LOGIN = """\
#!/bin/sh
case "$*" in
  *"stack ls"*) echo '[{"name": "a", "current": true}, {"name": "b", "current": false}]' ;;
  *config*"--stack a"*) echo '{
    "nocobase-outlook:nocobaseUrl": {"value": "https://n.example.com", "secret": false},
    "nocobase-outlook:nocobaseApiKey": {"value": "own", "secret": true},
    "nocobase-outlook:nocobaseApiKeys": {"value": "{\\"west-1\\": \\"own\\"}", "secret": true}
  }' ;;
  *config*) echo '{"nocobase-outlook:nocobaseUrl": {"value": "https://URL OF B", "secret": false}}' ;;
  *) env | grep ^NOCOBASE_ | sort > "login of $(echo "$*" | sed 's/.*--stack \\(.\\).*/\\1/')"; exit 255 ;;
esac
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with two stacks, and a double of `pulumi`: stack a runs until it is told to end, b is locked."""
    fake = tmp_path / "bin" / "pulumi"
    fake.parent.mkdir()
    fake.write_text(FAKE)
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{fake.parent}:{os.environ['PATH']}")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "Pulumi.yaml").write_text("name: nocobase-outlook\nruntime: python\n")
    for stack in "ab":
        (tmp_path / f"Pulumi.{stack}.yaml").touch()
    return tmp_path


def test_the_table_as_markdown(capsys: pytest.CaptureFixture[str]) -> None:
    show_rows([up_command.row(result, Format.MARKDOWN) for result in RESULTS], Format.MARKDOWN)
    assert capsys.readouterr().out == MARKDOWN


def test_the_table_as_json_keeps_types() -> None:
    assert json.loads(json.dumps(up_command.row(RESULTS[0], Format.JSON))) == {
        "stack": "prod-eu",
        "outcome": "changed",
        "changes": {"create": 7},
        "seconds": 12.3,
        "error": "",
    }


def test_a_terminal_sees_what_runs_now_and_what_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Console(file=io.StringIO(), width=80, highlight=False)
    monkeypatch.setattr(up_command, "words", terminal)
    table = up_command._Table(3)
    table.began("prod-eu")
    table.began("prod-us")
    table.step("prod-us", "create Application")
    table.ended(RESULTS[1])
    shown = Console(file=io.StringIO(), width=80)
    shown.print(table)
    said = shown.file.getvalue()  # type: ignore[attr-defined]
    assert said.splitlines()[0].strip() == "1 of 3 done, 1 failed"
    assert "prod-eu  starting" in " ".join(said.split("\n")).replace("   ", "  ")
    assert "prod-us" not in said
    assert terminal.file.getvalue() == (  # type: ignore[attr-defined]
        "prod-us: failed (2.0 s)\n    NocoBase | rejected the login\n    more\n"
    )


def test_a_log_says_which_stacks_wait_and_for_how_long(monkeypatch: pytest.MonkeyPatch) -> None:
    log, now = Console(file=io.StringIO(), width=80, highlight=False), 1000.0
    monkeypatch.setattr(up_command, "words", log)
    monkeypatch.setattr(time, "monotonic", lambda: now)
    lines = up_command._Lines()
    lines.began("prod-eu")
    lines.began("prod-us")
    lines.ended(RESULTS[1])
    now += 30
    lines.still()
    lines.step("prod-eu", "create Application")
    now += up_command.SIGN_OF_LIFE
    lines.still()
    assert "still" not in log.file.getvalue().replace("prod-eu: still at create Application, since 60 s\n", "")  # type: ignore[attr-defined]
    assert "prod-eu: still at create Application, since 60 s\n" in log.file.getvalue()  # type: ignore[attr-defined]


@pytest.mark.usefixtures("project")
def test_without_a_stack_it_asks_which() -> None:
    said = CliRunner().invoke(app, ["up"])
    assert said.exit_code == 2
    assert "say --all" in said.stderr


@pytest.mark.usefixtures("project")
def test_a_failed_command_is_a_result_with_the_engines_own_words() -> None:
    said = CliRunner().invoke(app, ["up", "b", "no-such", "--format", "json"])
    assert said.exit_code == 1
    locked, nowhere = json.loads(said.stdout)
    assert (locked["outcome"], locked["error"]) == ("failed", "the stack is currently locked by 1 lock(s) more")
    assert (nowhere["stack"], nowhere["outcome"]) == ("no-such", "failed")
    assert "2 failed" in said.stderr


@pytest.mark.usefixtures("project")
def test_nothing_deployed_is_a_failure() -> None:
    assert CliRunner().invoke(app, ["up", "z*"]).exit_code == 1
    said = CliRunner().invoke(app, ["up", "no-such"])
    assert (said.exit_code, said.stderr) == (1, "1 failed.\n")


def test_when_told_to_end_the_running_one_ends_and_no_other_begins(project: Path) -> None:
    deployer = Deployer(project, engines=Engines())
    assert deployer.stacks() == ["a", "b"]
    results: list[Result] = []
    running = threading.Thread(target=lambda: results.append(deployer.deploy("a", Seen())))
    running.start()
    while not (project / "began").exists():
        time.sleep(0.01)
    deployer.engines.stop()
    running.join(10)
    assert (results[0].outcome, results[0].error) == (StackOutcome.STOPPED, "update cancelled")
    after = deployer.deploy("b", Seen())
    assert (after.outcome, after.error) == (StackOutcome.STOPPED, "not started")


LOGIN = {
    "NOCOBASE_ACCOUNT": "me",
    "NOCOBASE_API_KEY": "of-one-nocobase",
    "NOCOBASE_API_KEY_EAST": "of-another",
    "NOCOBASE_API_KEY_WEST_1": "of-a-third",
    "NOCOBASE_PASSWORD": "word",
}


SHARED = {name: value for name, value in LOGIN.items() if name[-4:] not in ("EAST", "ST_1")}


@pytest.mark.parametrize(
    ("stacks", "url_of_b", "more", "expected"),
    [
        (["a"], "other.example.com", {}, {"a": LOGIN}),
        (["a", "b"], "n.example.com", {}, {"a": {}, "b": SHARED}),
        (["--all"], "N.example.com:443/", {}, {"a": {}, "b": SHARED}),
        (["--all"], "other.example.com", {}, {"a": {}}),
        (["--all"], "other.example.com", {"NOCOBASE_API_KEY_B": "of-b"}, {"a": {}, "b": {"NOCOBASE_API_KEY": "of-b"}}),
    ],
)
def test_a_login_in_the_environment_is_for_one_address(
    project: Path,
    monkeypatch: pytest.MonkeyPatch,
    stacks: list[str],
    url_of_b: str,
    more: dict[str, str],
    expected: dict[str, dict[str, str]],
) -> None:
    (project / "bin" / "pulumi").write_text(LOGS_ITS_LOGIN.replace("URL OF B", url_of_b))
    for name, value in {**LOGIN, **more}.items():
        monkeypatch.setenv(name, value)
    said = CliRunner().invoke(app, ["up", *stacks, "--format", "json"])
    given = {file.name[-1]: file.read_text().splitlines() for file in project.glob("login of ?")}
    logins = {
        stack: dict(line.split("=") for line in lines if not line.endswith("=")) for stack, lines in given.items()
    }
    assert logins == expected
    if "b" not in expected and stacks != ["a"]:
        (error,) = (row["error"] for row in json.loads(said.stdout) if row["stack"] == "b")
        assert error.startswith("Not deployed, no key of its own: NOCOBASE_A")


@pytest.mark.usefixtures("project")
def test_a_stack_whose_address_cannot_be_read_is_not_deployed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOCOBASE_API_KEY", "of-one-nocobase")
    (found,) = json.loads(CliRunner().invoke(app, ["up", "b", "--format", "json"]).stdout)
    assert found["error"].startswith("`pulumi config --json --stack b` failed: ")


def test_an_interrupt_waits_for_no_configuration(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NOCOBASE_API_KEY", "of-one-nocobase")
    hangs, once = threading.Event(), threading.Lock()

    def hang(_: Pulumi) -> None:
        if once.acquire(blocking=False):
            os.kill(os.getpid(), signal.SIGINT)
        hangs.wait(30)

    monkeypatch.setattr(Pulumi, "configuration", hang)
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        Deployer(tmp_path).logins_of(["a", "b"], 2)
    assert time.monotonic() - began < 20
    hangs.set()


def test_no_pulumi_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EngineFailed, match="not found"):
        Deployer(tmp_path).stacks()
