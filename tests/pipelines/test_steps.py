"""The steps' own decisions: locks, reports, the comment, and how they end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pulumi.automation import PulumiCommand

from pipelines.steps import cli, comment, deploy, locks, newest, report, running, status
from pipelines.steps.running import Ended
from sandbox.place import PROJECT

LOCK = (
    "  file:///state/.pulumi/locks/organization/p/test/1.json: created by {0}@{1} (pid {2}) at 2026-11-21T09:00:00Z\n"
)
REFUSED = "error: the stack is currently locked by 1 lock(s). Either wait for the other process(es) to end or delete.\n"


def said(*makers: tuple[str, str, int]) -> str:
    """What the engine prints at locks."""
    return REFUSED + "".join(LOCK.format(*maker) for maker in makers)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (said(("runner", "old-machine", 7)), True),
        (said(("runner", "here", 8)), True),
        (said(("runner", "here", 7)), False),
        (said(("alice", "laptop", 7)), False),
        (said(("runner", "old-machine", 7), ("alice", "laptop", 7)), False),
        (said(), False),
        ("error: something else, created by runner@old-machine (pid 7)", False),
        ("", False),
    ],
)
def test_only_what_an_earlier_run_left_is_left_behind(text: str, expected: bool) -> None:
    assert locks.are_left_behind(text, "runner", "here", lambda process: process == 7) is expected


@given(st.text(), st.text())
def test_no_text_without_the_engines_words_is_taken_for_a_lock(before: str, after: str) -> None:
    text = f"{before}created by runner@there (pid 1){after}"
    assert locks.are_left_behind(text.replace(locks.LOCKED, ""), "runner", "here", lambda _: False) is False


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
STALE, FOREIGN = Ended(255, said(("me", "gone", 1))), Ended(255, said(("alice", "laptop", 1)))


@pytest.mark.parametrize(
    ("answers", "asked", "code"),
    [
        ((DONE,), ["up"], 0),
        ((STALE, DONE, DONE), ["up", "cancel", "up"], 0),
        ((STALE, FAILED), ["up", "cancel"], 255),
        ((STALE, DONE, PENDING, DONE, DONE), ["up", "cancel", "up", "refresh", "up"], 0),
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
    monkeypatch.setattr("getpass.getuser", lambda: "me")
    assert deploy.deploy("test").code == code
    assert (engine.asked, engine.answers) == (asked, [])


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


def answered(pages: list[list[dict[str, Any]]]) -> tuple[list[tuple[str, str, str]], httpx.Client]:
    """A GitHub with these pages of comments: what changed there, and a client."""
    changes: list[tuple[str, str, str]] = []

    def handle(request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            return httpx.Response(200, json=pages[int(request.url.params["page"]) - 1])
        changes.append((request.method, request.url.path, json.loads(request.content)["body"]))
        return httpx.Response(201, json={})

    return changes, httpx.Client(base_url="https://github.example.com/api/v3", transport=httpx.MockTransport(handle))


RUN = {"GITHUB_REF": "refs/pull/7/merge", "GITHUB_REPOSITORY": "contoso/mail"}


def test_a_comment_is_written_once_a_stack_and_then_renewed() -> None:
    mine = {"id": 3, "body": "<!-- nocobase-outlook preview of prod -->\nold"}
    others = [{"id": number, "body": "nice"} for number in range(comment.PAGE)]
    nobodys: list[list[dict[str, Any]]] = [[]]
    for pages, method, path in (
        (nobodys, "POST", "/api/v3/repos/contoso/mail/issues/7/comments"),
        ([others, [mine]], "PATCH", "/api/v3/repos/contoso/mail/issues/comments/3"),
    ):
        changes, client = answered(pages)
        comment.comment("prod", "new", RUN, client)
        assert changes == [(method, path, "<!-- nocobase-outlook preview of prod -->\nnew")]
    changes, client = answered([[mine]])
    comment.comment("test", "new", RUN, client)
    assert [change[0] for change in changes] == ["POST"]


@pytest.mark.parametrize(
    ("status_code", "head", "code", "output", "words"),
    [
        (200, "a" * 40, 0, "newest=true\n", ""),
        (200, "b" * 40, 0, "newest=false\n", f"`main` is at {'b' * 40} by now, and this run is of {'a' * 40}"),
        (503, "", 1, "", "nothing was deployed. Run it again."),
    ],
)
def test_only_the_newest_commit_is_deployed(
    status_code: int,
    head: str,
    code: int,
    output: str,
    words: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def handle(request: httpx.Request) -> httpx.Response:
        assert request.url.path == "/api/v3/repos/contoso/mail/commits/heads/main"
        assert request.headers["Accept"] == "application/vnd.github.sha"
        assert request.headers["Authorization"] == "Bearer token"
        return httpx.Response(status_code, text=head)

    client = httpx.Client
    monkeypatch.setattr(httpx, "Client", lambda **given: client(transport=httpx.MockTransport(handle), **given))
    outputs = tmp_path / "outputs"
    outputs.touch()
    run = {
        "GITHUB_API_URL": "https://github.example.com/api/v3",
        "GITHUB_OUTPUT": str(outputs),
        "GITHUB_REF": "refs/heads/main",
        "GITHUB_REF_NAME": "main",
        "GITHUB_REPOSITORY": "contoso/mail",
        "GITHUB_SHA": "a" * 40,
        "GITHUB_TOKEN": "token",
    }
    for name, value in run.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["newest", "prod"])
    assert newest.main() == code
    assert outputs.read_text() == output
    assert words in capsys.readouterr().out
    assert report.path("prod", "newest").exists() is (output == "newest=false\n")


def test_the_cli_is_installed_only_where_there_is_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[str] = []

    class Installed:
        command = "installed"

    def install(root: str) -> Installed:
        asked.append(root)
        return Installed()

    monkeypatch.setattr(PulumiCommand, "install", install)
    (tmp_path / "pulumi").touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    cli.main()
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    cli.main()
    assert asked == [str(running.cli_folder())]
    assert capsys.readouterr().out == f"Pulumi CLI: {tmp_path / 'pulumi'}\nPulumi CLI: installed\n"


def test_a_step_finds_the_installed_cli_after_everything_else() -> None:
    path = running.environment({"PATH": "/usr/bin"})["PATH"].split(os.pathsep)
    assert path == ["/usr/bin", str(running.cli_folder() / "bin"), str(Path(sys.executable).parent)]


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


def test_status_passes_its_exit_code_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["status", "test"])
    ended = subprocess.CompletedProcess([], 1, "| name | value |\n")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: ended)
    assert status.main() == 1
    assert report.path("test", "status").read_text().startswith("### Status of `test`: something needs a person")
    assert capsys.readouterr().out == "| name | value |\n"


def test_a_step_on_azure_devops_signs_in_with_the_tasks_token(tmp_path: Path) -> None:
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\necho "$ARM_USE_OIDC $ARM_TENANT_ID $ARM_CLIENT_ID $ARM_OIDC_TOKEN $*"\nexit 3\n')
    python.chmod(0o755)
    script = PROJECT / "pipelines" / "azure-devops" / "step.sh"
    task = {"PATH": os.environ["PATH"], "tenantId": "t", "servicePrincipalId": "c", "idToken": "j"}
    ended = subprocess.run(
        [script, "deploy", "prod"], cwd=tmp_path, env=task, capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stdout) == (3, "true t c j -m pipelines.steps.deploy prod\n")
    del task["idToken"]
    ended = subprocess.run(
        [script, "deploy", "prod"], cwd=tmp_path, env=task, capture_output=True, text=True, check=False
    )
    assert ended.returncode != 0
    assert "idToken" in ended.stderr
