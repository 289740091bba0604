"""Which commit a pipeline deploys: with real repositories of git, and a stack's history as the engine prints it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipelines import commits
from pipelines.steps import deploy, deployed, report
from pipelines.steps.running import Ended
from provisioning.errors import CommitUnknown

A, B = "a" * 40, "b" * 40


def git(folder: Path, *arguments: str) -> str:
    """Run git as somebody."""
    who = ["-c", "user.name=dev", "-c", "user.email=dev@example.com", "-c", "init.defaultBranch=main"]
    command = ["git", *who, "-C", str(folder), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A job's clone of a repository with one commit on main; what the job writes goes there, too."""
    origin, clone = tmp_path / "origin", tmp_path / "clone"
    origin.mkdir()
    git(origin, "init", "-q")
    git(origin, "commit", "-q", "--allow-empty", "-m", "one")
    git(tmp_path, "clone", "-q", str(origin), str(clone))
    monkeypatch.chdir(clone)
    for name in (*commits.BRANCH, "GITHUB_TOKEN", "SYSTEM_ACCESSTOKEN", "GITHUB_STEP_SUMMARY", "TF_BUILD", "GITLAB_CI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GITHUB_REF_NAME", "main")
    monkeypatch.setenv("GITHUB_OUTPUT", str(tmp_path / "outputs"))
    return clone


def outputs(clone: Path) -> str:
    """What the step has handed on."""
    file = clone.parent / "outputs"
    return file.read_text() if file.exists() else ""


def noting(ran: list[str]) -> Callable[..., Ended]:
    """Commands that succeed; what was run is added to `ran`."""

    def run(*command: str) -> Ended:
        ran.append(command[1])
        return Ended(0, "")

    return run


def update(kind: str = "update", result: str = "succeeded", head: str = A, **environment: str) -> dict[str, Any]:
    """An entry of a stack's history."""
    given = {"git.head": head} if head else {}
    return {"kind": kind, "result": result, "environment": {**given, "git.dirty": "false", **environment}}


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        ([], None),
        ([update()], A),
        ([update(head=B), update()], B),
        ([update(result="failed", head=B), update()], A),
        ([update("refresh", head=B), update("resource-import", head=B), update()], A),
        ([update("destroy", head=B), update()], None),
        ([update("destroy", "failed", head=B), update()], A),
        ([update(result="failed", head=B)], None),
    ],
)
def test_the_last_deployment_that_succeeded_says_what_was_approved(
    history: list[dict[str, Any]], expected: str | None
) -> None:
    assert commits.last_deployed(json.dumps(history)) == expected


@pytest.mark.parametrize("last", [update(head=""), update(head="HEAD"), {"kind": "update", "result": "succeeded"}])
def test_a_deployment_from_no_commit_approves_nothing(last: dict[str, Any]) -> None:
    with pytest.raises(CommitUnknown, match="Have the pipeline deploy it once"):
        commits.last_deployed(json.dumps([last, update()]))


def test_a_late_approval_deploys_nothing_over_a_newer_commit(
    clone: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ran: list[str] = []
    monkeypatch.setattr(deploy, "run", noting(ran))
    monkeypatch.setattr(sys, "argv", ["deploy", "prod", "--only", "newest"])
    assert deploy.main() == 0
    assert (ran, outputs(clone)) == (["up"], "deployed=true\n")
    git(clone.parent / "origin", "commit", "-q", "--allow-empty", "-m", "two")
    assert deploy.main() == 0
    assert (ran, outputs(clone)) == (["up"], "deployed=true\ndeployed=false\n")
    newer = git(clone.parent / "origin", "rev-parse", "HEAD")
    assert f"prod is left as it is. `main` is at {newer} by now" in capsys.readouterr().out
    assert "### `prod` was left as it is" in report.path("prod", "deploy").read_text()


@pytest.mark.parametrize("branch", ["gone", ""])
def test_without_an_answer_nothing_is_deployed(
    clone: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], branch: str
) -> None:
    monkeypatch.setenv("GITHUB_REF_NAME", branch)
    monkeypatch.setattr(sys, "argv", ["deploy", "prod", "--only", "newest"])
    assert deploy.main() == 1
    assert "Nothing was deployed." in capsys.readouterr().out
    assert outputs(clone) == ""


def test_a_daily_run_deploys_what_was_deployed_and_no_other_commit(
    clone: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    approved = git(clone, "rev-parse", "HEAD")
    git(clone, "commit", "-q", "--allow-empty", "-m", "merged, and not approved yet")
    history = [update(head=approved)]
    for module in (deploy, deployed):
        monkeypatch.setattr(module, "ask", lambda stack, *command: json.dumps(history))
    ran: list[str] = []
    monkeypatch.setattr(deploy, "run", noting(ran))

    monkeypatch.setattr(sys, "argv", ["deployed", "prod"])
    assert deployed.main() == 0
    assert outputs(clone) == f"commit={approved}\n"
    monkeypatch.setattr(sys, "argv", ["deploy", "prod", "--only", "deployed"])
    assert deploy.main() == 0
    assert ran == []
    assert f"was last deployed from {approved}" in capsys.readouterr().out
    git(clone, "checkout", "-q", "--detach", approved)
    assert deploy.main() == 0
    assert ran == ["up"]

    # Destroyed on purpose: it stays so.
    history.insert(0, update("destroy"))
    assert deploy.main() == 0
    assert ran == ["up"]
    (clone.parent / "outputs").unlink()
    monkeypatch.setattr(sys, "argv", ["deployed", "prod"])
    assert (deployed.main(), outputs(clone)) == (0, "")

    # A commit that a forced push took away.
    history.insert(0, update(head=B))
    assert (deployed.main(), outputs(clone)) == (1, "")
    assert f"{B}, which this clone does not have" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("job", "key", "value"),
    [
        (
            {"GITHUB_TOKEN": "t", "GITHUB_SERVER_URL": "https://github.example.com"},
            "http.https://github.example.com/.extraheader",
            "AUTHORIZATION: basic eC1hY2Nlc3MtdG9rZW46dA==",
        ),
        (
            {"SYSTEM_ACCESSTOKEN": "t", "SYSTEM_COLLECTIONURI": "https://dev.azure.com/contoso/"},
            "http.https://dev.azure.com/contoso/.extraheader",
            "AUTHORIZATION: bearer t",
        ),
    ],
)
def test_git_gets_the_jobs_token_by_its_environment_only(
    monkeypatch: pytest.MonkeyPatch, job: dict[str, str], key: str, value: str
) -> None:
    asked: list[tuple[list[str], dict[str, str]]] = []

    def run(command: list[str], env: dict[str, str], **_: object) -> subprocess.CompletedProcess[str]:
        asked.append((command, env))
        return subprocess.CompletedProcess(command, 0, f"{A}\trefs/heads/main\n", "")

    monkeypatch.setattr(subprocess, "run", run)
    assert commits.newest({"BUILD_SOURCEBRANCH": "refs/heads/main", **job}) == A
    ((command, environment),) = asked
    assert command == ["git", "ls-remote", "--exit-code", "origin", "refs/heads/main"]
    assert (environment["GIT_CONFIG_KEY_0"], environment["GIT_CONFIG_VALUE_0"]) == (key, value)
