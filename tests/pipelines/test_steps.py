"""The steps' own decisions: locks, reports, and how they end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines import pulumi_release
from pipelines.steps import cli, deploy, drift, locks, report, running, status, unlock
from pipelines.steps.running import Ended
from provisioning import pins
from provisioning.errors import EngineFailed
from provisioning.nocobase.installation import NOT_READ
from sandbox.place import PROJECT

HERE, THERE = "here", "fv-az12"
OWNER = "runner@*"
NOW = datetime(2026, 11, 21, 10, 30, tzinfo=UTC)
FRESH, OLD = "2026-11-21T10:00:00Z", "2026-11-21T10:00:00+01:00"
FOLDER = "file:///state/.pulumi/locks/organization/p/test"
LOCKED = (
    "error: the stack is currently locked by {} lock(s). Either wait for the other process(es) to end or delete the "
    "lock file with `pulumi cancel`.\n"
)


def said(*makers: tuple[str, str, int, str], count: int | None = None, before: str = "") -> Ended:
    """How the engine ends at locks."""
    lines = [
        f"  {FOLDER}/{maker[2]}.json: created by {maker[0]}@{maker[1]} (pid {maker[2]}) at {maker[3]}\n"
        for maker in makers
    ]
    errors = before + LOCKED.format(len(makers) if count is None else count) + "".join(lines)
    return Ended(255, errors, errors=errors)


@pytest.mark.parametrize(
    ("ended", "owner", "removable"),
    [
        pytest.param(said(("runner", THERE, 7, OLD)), OWNER, True, id="own, from elsewhere, older than a job"),
        pytest.param(said(("runner", THERE, 7, FRESH)), OWNER, False, id="own, from elsewhere, maybe alive"),
        pytest.param(said(("runner", HERE, 8, FRESH)), OWNER, True, id="own, dead on this host"),
        pytest.param(said(("runner", HERE, 7, OLD)), OWNER, False, id="own, alive on this host"),
        pytest.param(said(("runner", THERE, 7, OLD)), "", False, id="no pattern"),
        pytest.param(said(("runner", THERE, 7, OLD)), "runner@fv-bz*", False, id="another host"),
        pytest.param(said(("root", "colleague-laptop", 7, OLD)), OWNER, False, id="a colleague"),
        pytest.param(said(("CONTOSO\\bob smith", "pc7", 7, OLD)), OWNER, False, id="a blank and a backslash"),
        pytest.param(said(("CONTOSO\\ci runner", THERE, 7, OLD)), "CONTOSO?ci runner@fv-*", True, id="own, so, too"),
        pytest.param(said(("runner", THERE, 7, OLD), ("runner", THERE, 8, OLD)), OWNER, False, id="several, all own"),
        pytest.param(said(("runner", THERE, 7, OLD), ("alice", "pc", 8, OLD)), OWNER, False, id="several"),
        pytest.param(said(("runner", THERE, 7, OLD), count=2), OWNER, False, id="one cannot be read"),
        pytest.param(said(("runner", THERE, 7, "yesterday")), OWNER, False, id="no time"),
        pytest.param(said(("runner", THERE, 7, "2026-11-20T09:00:00")), OWNER, False, id="no time zone"),
        pytest.param(said(count=1), OWNER, False, id="no maker"),
        pytest.param(said(("runner", THERE, 7, OLD), before="warning: from a plugin\n\n"), OWNER, True, id="a warning"),
    ],
)
def test_only_what_an_earlier_job_left_is_removed(ended: Ended, owner: str, removable: bool) -> None:
    found = locks.locked(ended)
    assert found is not None
    lock = locks.left_behind(found, owner, HERE, lambda process: process == 7, NOW)
    assert lock == (found.locks[0] if removable else None)


WORDS = said(("runner", THERE, 7, OLD)).errors


@pytest.mark.parametrize(
    "ended",
    [
        pytest.param(Ended(255, WORDS, printed=WORDS), id="a program says so"),
        pytest.param(Ended(255, WORDS, printed="Updating (test):\n", errors=WORDS), id="after it has begun"),
        pytest.param(Ended(0, WORDS, errors=WORDS), id="and it succeeded"),
        pytest.param(Ended(255, "", errors=f"error: a server said: {WORDS}"), id="within another error"),
        pytest.param(Ended(255, "", errors=""), id="nothing"),
    ],
)
def test_only_the_engines_own_words_are_taken_for_a_lock(ended: Ended) -> None:
    assert locks.locked(ended) is None


@given(st.text(), st.text())
def test_whatever_a_server_says_is_no_lock(before: str, after: str) -> None:
    text = f"Updating (test):\n{before}{WORDS}{after}"
    assert locks.locked(Ended(255, text, printed=text, errors="error: update failed\n")) is None


def lock_file(folder: Path, **changed: object) -> tuple[Path, locks.Lock]:
    """A lock in a state's folder, and what the engine says of it."""
    file = folder / ".pulumi" / "locks" / "organization" / "p" / "a b" / "1.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    held = {"pid": 7, "username": "runner", "hostname": THERE, "timestamp": "2026-11-21T10:00:00.123456789+01:00"}
    file.write_text(json.dumps({**held, **changed}))
    place = f"{file.as_uri()}?no_tmp_dir=true"
    return file, locks.Lock(place, "runner", THERE, 7, datetime.fromisoformat("2026-11-21T10:00:00+01:00"))


def test_exactly_the_named_lock_is_removed(tmp_path: Path) -> None:
    file, lock = lock_file(tmp_path)
    other = file.with_name("2.json")
    other.write_text(file.read_text())
    assert locks.remove(lock)
    assert (file.exists(), other.exists()) == (False, True)
    assert not locks.remove(lock)


@pytest.mark.parametrize(
    ("changed", "place"),
    [
        ({"pid": 8}, None),
        ({"username": "alice"}, None),
        ({"timestamp": "2026-11-21T10:00:01+01:00"}, None),
        ({"timestamp": 7}, None),
        ({}, "azblob://state/.pulumi/locks/organization/p/a%20b/1.json"),
        ({}, "file://server/share/.pulumi/locks/1.json"),
    ],
)
def test_another_lock_in_its_place_is_kept(tmp_path: Path, changed: dict[str, object], place: str | None) -> None:
    file, lock = lock_file(tmp_path, **changed)
    assert not locks.remove(replace(lock, place=place or lock.place))
    assert file.exists()


def test_no_file_but_a_lock_is_removed(tmp_path: Path) -> None:
    file, lock = lock_file(tmp_path)
    elsewhere = tmp_path / "1.json"
    elsewhere.write_text(file.read_text())
    assert not locks.remove(replace(lock, place=elsewhere.as_uri()))
    assert elsewhere.exists()


def test_a_person_is_told_who_holds_the_stack_and_what_to_do() -> None:
    found = locks.locked(said(("root", "colleague-laptop", 7, OLD), ("CONTOSO\\bob smith", "pc7", 8, FRESH), count=3))
    assert found is not None
    assert locks.described("test", found, NOW).splitlines() == [
        "The stack test is locked by 3 lock(s); nothing was changed.",
        f"  root@colleague-laptop, process 7, for 1 h 30 min: {FOLDER}/7.json",
        f"  CONTOSO\\bob smith@pc7, process 8, for 30 min: {FOLDER}/8.json",
        "  1 of them could not be read.",
        "If one of these runs goes on, wait for it. If all of them are over, start the manual run `unlock` of this",
        "pipeline for test, or run the command that it runs, which removes every lock of the stack:",
        "  pulumi cancel --yes --stack test",
        "To remove one of them and no other, run its own command:",
        "  rm -- /state/.pulumi/locks/organization/p/test/7.json",
        "  rm -- /state/.pulumi/locks/organization/p/test/8.json",
    ]


@pytest.mark.parametrize(
    ("place", "command"),
    [
        ("file:///a%20b/.pulumi/locks/1.json?no_tmp_dir=true", "rm -- '/a b/.pulumi/locks/1.json'"),
        ("file:///a/.pulumi/locks/o'%24(x)%3B.json", """rm -- '/a/.pulumi/locks/o'"'"'$(x);.json'"""),
        ("file:///a%b?no_tmp_dir=true/.pulumi/locks/1.json", ""),
        (
            "s3://state/.pulumi/locks/1.json?region=eu-west-1&s3ForcePathStyle=true",
            "aws s3 rm s3://state/.pulumi/locks/1.json --region eu-west-1",
        ),
        (
            "s3://state/team/.pulumi/locks/1.json?endpoint=https%3A%2F%2Fminio.example.com%3A9000",
            "aws s3 rm s3://state/team/.pulumi/locks/1.json --endpoint-url https://minio.example.com:9000",
        ),
        ("s3://state/.pulumi/locks/1.json?prefix=a/", ""),
        ("gs://state/team/.pulumi/locks/1.json", "gcloud storage rm gs://state/team/.pulumi/locks/1.json"),
        (
            "azblob://state/.pulumi/locks/1.json?storage_account=contoso",
            "az storage blob delete --auth-mode login --account-name contoso --container-name state "
            "--name .pulumi/locks/1.json",
        ),
        (
            "azblob://state/.pulumi/locks/1.json",
            "az storage blob delete --auth-mode login --account-name fabrikam --container-name state "
            "--name .pulumi/locks/1.json",
        ),
        ("azblob://state/.pulumi/locks/1.json?storage_account=contoso&domain=blob.core.chinacloudapi.cn", ""),
        ("https://state.example.com/.pulumi/locks/1.json", ""),
    ],
)
def test_one_lock_is_removed_by_its_backends_own_command(place: str, command: str) -> None:
    job = {"AZURE_STORAGE_ACCOUNT": "fabrikam"}
    assert locks.removal(locks.Lock(place, "root", HERE, 7, NOW), job).strip() == command


class Engine:
    """`run` with answers in place of commands; keeps what was asked."""

    def __init__(self, *answers: Ended) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    def __call__(self, *command: str) -> Ended:
        self.asked.append(command[1])
        return self.answers.pop(0)


DONE, FAILED = Ended(0, "7 created"), Ended(255, "error: update failed")
PENDING = Ended(0, f"warning: Attempting to deploy with 1 {deploy.PENDING}")
FOREIGN = said(("alice", "laptop", 1, OLD))


@pytest.mark.parametrize(
    ("answers", "asked", "code"),
    [
        ((DONE,), ["up"], 0),
        ((FOREIGN,), ["up"], 255),
        ((PENDING, DONE, DONE), ["up", "refresh", "up"], 0),
        ((FAILED, DONE, DONE), ["up", "refresh", "up"], 0),
        ((FAILED, DONE, FAILED), ["up", "refresh", "up"], 255),
        ((FAILED, FAILED), ["up", "refresh"], 255),
        ((Ended(255, "", stopped=True),), ["up"], 255),
        ((FAILED, Ended(0, "", stopped=True)), ["up", "refresh"], 255),
    ],
)
def test_what_a_deployment_tries(
    answers: tuple[Ended, ...], asked: list[str], code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Engine(*answers)
    monkeypatch.setattr(deploy, "run", engine)
    monkeypatch.setattr(deploy, "_pending", lambda _: True)
    monkeypatch.setenv(deploy.OWNER, OWNER)
    assert deploy.deploy("test").code == code
    assert (engine.asked, engine.answers) == (asked, [])


def test_the_lock_of_a_dead_job_is_removed_and_the_deployment_goes_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file, lock = lock_file(tmp_path)
    errors = LOCKED.format(1) + f"  {lock.place}: created by runner@{THERE} (pid 7) at {OLD}\n"
    held = Ended(255, errors, errors=errors)
    monkeypatch.setenv(deploy.OWNER, OWNER)
    for answers, code, there in (((held, DONE), 0, False), ((held, FOREIGN), 255, False)):
        file.write_text(json.dumps({"pid": 7, "username": "runner", "hostname": THERE, "timestamp": OLD}))
        engine = Engine(*answers)
        monkeypatch.setattr(deploy, "run", engine)
        assert deploy.deploy("test").code == code
        assert (engine.asked, file.exists()) == (["up", "up"], there)
    monkeypatch.delenv(deploy.OWNER)
    file.write_text(json.dumps({"pid": 7, "username": "runner", "hostname": THERE, "timestamp": OLD}))
    monkeypatch.setattr(deploy, "run", Engine(held))
    ended = deploy.deploy("test")
    assert (ended.code, file.exists()) == (255, True)
    assert "  pulumi cancel --yes --stack test\n" in ended.said


@pytest.mark.parametrize(
    ("state", "asked"),
    [
        ({"deployment": {"pending_operations": [{"type": "creating"}]}}, ["up", "refresh", "up"]),
        ({"deployment": {"pending_operations": []}}, ["up"]),
        ({"deployment": None}, ["up"]),
        (None, ["up", "refresh", "up"]),
    ],
)
def test_a_pending_operation_is_one_that_the_state_holds(
    monkeypatch: pytest.MonkeyPatch, state: dict[str, Any] | None, asked: list[str]
) -> None:
    def ask(*_: object) -> str:
        if state is None:
            raise EngineFailed("the backend does not answer")
        return json.dumps(state)

    engine = Engine(PENDING, DONE, DONE)
    monkeypatch.setattr(deploy, "run", engine)
    monkeypatch.setattr(deploy, "ask", ask)
    deploy.deploy("test")
    assert engine.asked == asked


@pytest.mark.parametrize(("code", "outcome"), [(0, "removed"), (255, "could not be removed")])
def test_a_person_unlocks_a_stack_and_sees_whose_locks_go(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str], code: int, outcome: str
) -> None:
    asked: list[tuple[str, ...]] = []

    def look(*command: str) -> Ended:
        asked.append(command)
        return said(("root", "colleague-laptop", 7, OLD), ("CONTOSO\\bob smith", "pc7", 8, FRESH))

    def run(*command: str) -> Ended:
        # They are named before anything is removed.
        assert "CONTOSO\\bob smith@pc7, process 8, for " in capsys.readouterr().out
        asked.append(command)
        return Ended(code, "The currently running update has been canceled!\n")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PULUMI_BACKEND_URL", "azblob://state")
    monkeypatch.setattr(locks, "look", look)
    monkeypatch.setattr(unlock, "run", run)
    monkeypatch.setattr(sys, "argv", ["unlock", "test"])
    assert unlock.main() == code
    assert [command[:5] for command in asked] == [
        ("pulumi", "stack", "rename", "test", "--stack"),
        ("pulumi", "cancel", "--yes", "--stack", "test"),
    ]
    text = report.path("test", "unlock").read_text()
    assert text.startswith(f"### Locks of `test` {outcome}\n\n```\nEvery lock of test is removed now, 2 in all:\n")
    assert "root@colleague-laptop, process 7, for " in text
    assert "canceled!" in text


@pytest.mark.parametrize("backend", ["", "https://api.pulumi.com"])
def test_pulumi_cloud_is_not_asked_for_locks_in_files(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "look", None)
    assert locks.held("test", {"PULUMI_BACKEND_URL": backend}) is None


def test_a_stack_without_a_lock_has_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    engine = tmp_path / "pulumi"
    engine.write_text("#!/bin/sh\necho 'error: a stack named test already exists' >&2\nexit 1\n")
    engine.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("PULUMI_HOME", str(tmp_path))
    assert locks.held("test", {"PULUMI_BACKEND_URL": "s3://state"}) is None
    assert "No lock of test is known" in unlock.about_to_go("test", None, NOW)


def test_a_report_goes_where_the_system_shows_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    summary = tmp_path / "summary.md"
    report.publish("test", "status", "one", {"GITHUB_STEP_SUMMARY": str(summary)})
    report.publish("prod", "status", "two", {"GITHUB_STEP_SUMMARY": str(summary), "TF_BUILD": "True"})
    assert summary.read_text() == "one\ntwo\n"
    assert capsys.readouterr().out == f"##vso[task.uploadsummary]{tmp_path / 'reports' / 'prod-status.md'}\n"
    assert report.path("test", "status").read_text() == "one"


@given(st.text())
def test_a_fence_holds_whatever_is_in_it(text: str) -> None:
    block = report.fenced(text)
    fence = block.partition("\n")[0]
    assert set(fence) == {"`"}
    assert fence not in text
    assert block.endswith(f"\n{fence}\n")


def test_a_long_preview_fits_into_a_comment() -> None:
    block = report.fenced("begin" + "x" * 200_000 + "end")
    assert len(block) < 65_536
    assert "begin" in block
    assert "end\n" in block
    assert "140008 characters are left out" in block


def test_the_cli_is_always_of_the_pinned_version(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[Path] = []

    def install(root: Path) -> Path:
        asked.append(root)
        return root / "bin" / "pulumi"

    monkeypatch.setattr(pulumi_release, "install", install)
    monkeypatch.setenv("PULUMI_HOME", str(tmp_path))
    home = running.cli_folder()
    assert home == tmp_path / "versions" / pins.version(pins.CLI)
    on_path = tmp_path / "pulumi"
    monkeypatch.setenv("PATH", str(tmp_path))
    for said in (f"v{pins.version(pins.CLI)}", "v3.1.0"):
        on_path.write_text(f"#!/bin/sh\necho {said}\n")
        on_path.chmod(0o755)
        assert cli.main() == 0
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    assert cli.main() == 0
    installed = home / "bin" / "pulumi"
    installed.parent.mkdir(parents=True)
    installed.touch()
    monkeypatch.setenv("PATH", str(tmp_path))
    assert cli.main() == 0
    assert asked == [home] * 2
    assert capsys.readouterr().out == f"Pulumi CLI: {on_path}\n" + f"Pulumi CLI: {installed}\n" * 3


def test_a_program_finds_the_locked_cli_first_and_gets_no_token_of_the_step() -> None:
    found = running.environment({"PATH": "/usr/bin", "GITHUB_TOKEN": "hush", "GITLAB_TOKEN": "hush", "OTHER": "1"})
    assert found.pop("PATH").split(os.pathsep) == [
        str(running.cli_folder() / "bin"), "/usr/bin", str(Path(sys.executable).parent),
    ]  # fmt: skip
    assert found == {"OTHER": "1", "PYTHONIOENCODING": "utf-8"}


@pytest.mark.parametrize("how", [running.run, running.look])
def test_a_command_that_is_not_installed_is_a_sentence(
    how: Callable[[str], Ended], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(running, "environment", lambda: {"PATH": str(tmp_path)})
    ended = how("pulumi")
    assert (ended.code, ended.printed) == (1, "")
    assert ended.errors == "The command `pulumi` was not found. Install it: pipelines/steps/install.sh\n"


def test_a_command_is_told_once_to_stop_and_may_finish() -> None:
    # It counts what it is told; the step is told twice.
    child = (
        "import signal, sys, time; told = []; signal.signal(signal.SIGINT, lambda *_: told.append(1)); "
        "print('ready', flush=True); time.sleep(1.5); print(f'told {len(told)}'); sys.exit(7)"
    )
    step = (
        "import sys; from pipelines.steps.running import run; "
        f"ended = run(sys.executable, '-c', {child!r}); print(ended.code, ended.stopped)"
    )
    process = subprocess.Popen([sys.executable, "-c", step], cwd=PROJECT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    while "ready" not in process.stdout.readline().partition("$")[0]:
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    rest, _ = process.communicate(timeout=20)
    assert rest.splitlines() == ["told 1", "7 True"]


def test_status_passes_its_exit_code_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["status", "test"])
    table = "| name | value |\n"
    monkeypatch.setattr(status, "run", lambda *_: Ended(1, f"a warning\n{table}", printed=table, errors="a warning\n"))
    assert status.main() == 1
    text = report.path("test", "status").read_text()
    assert text == f"### Status of `test`: something needs a person, see the log\n\n{table}"


@pytest.mark.parametrize(
    ("ended", "text"),
    [
        (Ended(0, ""), "none"),
        (Ended(7, "x", errors="error: no changes were expected for refresh but changes were proposed\n"), "found"),
        (
            Ended(7, f"NocoBase cannot be reached. {NOT_READ}", errors="error: no changes were expected for refresh\n"),
            "could not be looked for everywhere",
        ),
        (Ended(255, "x", printed="error: no changes were expected", errors="error: x\n"), "could not be looked for"),
    ],
)
def test_drift_is_what_the_engine_calls_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, ended: Ended, text: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["drift", "test"])
    monkeypatch.setattr(drift, "run", lambda *_: ended)
    assert drift.main() == (1 if ended.code else 0)
    assert text in report.path("test", "drift").read_text().partition("\n")[0]


def test_a_step_on_azure_devops_signs_in_by_the_tasks_connection(tmp_path: Path) -> None:
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    names = ("USE_OIDC", "TENANT_ID", "CLIENT_ID", "ADO_PIPELINE_SERVICE_CONNECTION_ID", "OIDC_TOKEN")
    shown = " ".join(f"$ARM_{name}" for name in names)
    python.write_text(f'#!/bin/sh\necho "{shown} $*"\nexit 3\n')
    python.chmod(0o755)
    script = PROJECT / "pipelines" / "azure-devops" / "step.sh"
    connection = {f"AZURESUBSCRIPTION_{name}": name for name in ("TENANT_ID", "CLIENT_ID", "SERVICE_CONNECTION_ID")}
    job = {"PATH": os.environ["PATH"], "SYSTEM_ACCESSTOKEN": "j", "ARM_OIDC_TOKEN": "old", **connection}

    def run() -> subprocess.CompletedProcess[str]:
        command = [str(script), "deploy", "prod", "--only", "newest"]
        return subprocess.run(command, cwd=tmp_path, env=job, capture_output=True, text=True, check=False)

    ended = run()
    given = "true TENANT_ID CLIENT_ID SERVICE_CONNECTION_ID  -m pipelines.steps.deploy prod --only newest\n"
    assert (ended.returncode, ended.stdout) == (3, given)
    for missing in ("SYSTEM_ACCESSTOKEN", "AZURESUBSCRIPTION_SERVICE_CONNECTION_ID"):
        kept = job.pop(missing)
        ended = run()
        assert ended.returncode not in (0, 3)
        assert missing in ended.stderr
        job[missing] = kept
