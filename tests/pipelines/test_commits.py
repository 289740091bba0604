"""Which commit a pipeline deploys: with real repositories of git, and a stack's history as the engine prints it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pipelines import commits, manual_run
from pipelines.steps import deploy, deployed, report
from pipelines.steps.running import Ended
from provisioning.errors import CommitUnknown

A, B = "a" * 40, "b" * 40
OF_A_JOB = (
    *("GITHUB_WORKFLOW_REF", "GITHUB_TOKEN", "GITHUB_STEP_SUMMARY", "CI_PROJECT_URL", "GITLAB_CI"),
    *("SYSTEM_DEFINITIONID", "SYSTEM_ACCESSTOKEN", "TF_BUILD"),
)


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
    (origin / "pipelines" / "steps").mkdir(parents=True)
    for name in deployed.CALLED:
        (origin / "pipelines" / "steps" / f"{name}.py").touch()
    git(origin, "add", "--all")
    git(origin, "commit", "-q", "-m", "one")
    git(tmp_path, "clone", "-q", str(origin), str(clone))
    monkeypatch.chdir(clone)
    for name in (*commits.BRANCH, *OF_A_JOB):
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
    assert commits.last_deployed([json.dumps(history)]) == expected


def test_a_stack_that_has_failed_for_weeks_is_deployed_all_the_same() -> None:
    asked: list[int] = []

    def pages(*sizes: int) -> Iterator[str]:
        for number, size in enumerate(sizes):
            asked.append(number)
            found = [update(result="failed", head=B)] * size
            yield json.dumps([*found[1:], update()] if number == 2 else found)

    full = commits.PAGE
    assert commits.last_deployed(pages(full, full, full, full)) == A
    assert asked == [0, 1, 2]
    assert commits.last_deployed(pages(full, full - 1, full)) is None
    assert commits.last_deployed(pages(full, 0, full)) is None


@pytest.mark.parametrize(
    ("last", "words"),
    [
        (update(head=""), "outside a clone"),
        (update(head="HEAD"), "outside a clone"),
        ({"kind": "update", "result": "succeeded"}, "outside a clone"),
        (update(**{"git.dirty": "true"}), f"whose clone had changes besides {A}"),
    ],
)
def test_a_deployment_of_something_else_than_a_commit_approves_nothing(last: dict[str, Any], words: str) -> None:
    with pytest.raises(CommitUnknown, match=words):
        commits.last_deployed([json.dumps([last, update()])])


def test_what_a_job_adds_to_its_clone_is_no_change() -> None:
    made = update(**{"git.dirty": "true", "ci.system": "GitLab CI/CD"})
    assert commits.last_deployed([json.dumps([made])]) == A


@pytest.mark.parametrize(
    ("job", "words"),
    [
        (
            {
                "GITHUB_REF_NAME": "main",
                "GITHUB_REPOSITORY": "contoso/mail",
                "GITHUB_WORKFLOW_REF": "contoso/mail/.github/workflows/nocobase-outlook.yml@refs/heads/main",
            },
            "or start one on main: gh workflow run nocobase-outlook.yml --ref main --repo contoso/mail",
        ),
        (
            {"CI_COMMIT_BRANCH": "main", "CI_PROJECT_URL": "https://gitlab.example.com/contoso/mail"},
            "or start one on main: https://gitlab.example.com/contoso/mail/-/pipelines/new?ref=main",
        ),
        (
            {
                "BUILD_SOURCEBRANCH": "refs/heads/main",
                "SYSTEM_DEFINITIONID": "7",
                "SYSTEM_COLLECTIONURI": "https://dev.azure.com/contoso/",
                "SYSTEM_TEAMPROJECT": "our mail",
            },
            "or start one on main: az pipelines run --id 7 --branch main --organization https://dev.azure.com/contoso/ "
            "--project 'our mail'",
        ),
        ({}, "or start one on main."),
    ],
)
def test_a_person_is_told_how_to_start_the_pipeline(job: dict[str, str], words: str) -> None:
    assert manual_run.has_it_deployed(job).endswith(words)


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
    monkeypatch.setattr(deploy, "ask", lambda stack, *command: json.dumps(history))
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


@pytest.mark.parametrize(
    ("commit", "words"),
    [
        ("main", ""),
        ("forced away", "which is not in the history of this branch"),
        ("not merged", "which is not in the history of this branch"),
        ("earlier version", "which lacks what this pipeline calls: issue, deployed."),
        ("none", "made outside a clone of its repository"),
    ],
)
def test_a_daily_run_that_may_deploy_nothing_says_how_it_goes_on(
    clone: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], commit: str, words: str
) -> None:
    origin, steps = clone.parent / "origin", clone.parent / "origin" / "pipelines" / "steps"
    git(origin, "rm", "-q", "pipelines/steps/issue.py", "pipelines/steps/deployed.py")
    git(origin, "commit", "-q", "-m", "before the two")
    earlier = git(origin, "rev-parse", "HEAD")
    for name in ("issue", "deployed"):
        (steps / f"{name}.py").touch()
    git(origin, "add", "--all")
    git(origin, "commit", "-q", "-m", "with the two")
    git(origin, "checkout", "-q", "-b", "somebodys")
    git(origin, "commit", "-q", "--allow-empty", "-m", "not merged")
    branch = git(origin, "rev-parse", "HEAD")
    git(clone, "fetch", "-q", "origin")
    git(clone, "checkout", "-q", "--detach", "origin/main")
    main = git(clone, "rev-parse", "HEAD")
    made_of = {"main": main, "forced away": B, "not merged": branch, "earlier version": earlier, "none": ""}
    monkeypatch.setattr(deploy, "ask", lambda stack, *command: json.dumps([update(head=made_of[commit])]))
    monkeypatch.setattr(sys, "argv", ["deployed", "prod"])
    if not words:
        assert (deployed.main(), outputs(clone)) == (0, f"commit={main}\n")
        return
    assert (deployed.main(), outputs(clone)) == (1, "")
    for text in (capsys.readouterr().out, report.path("prod", "deployed").read_text()):
        assert words in text
        assert "No rotation takes place meanwhile. Have the pipeline deploy the stack once:" in text
    if commit == "none":
        monkeypatch.setattr(sys, "argv", ["deploy", "prod", "--only", "deployed"])
        assert deploy.main() == 1
        assert f"{words}. Have the pipeline deploy the stack once:" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("shallow", "has only a part of the history, in which "),
        ("no repository", "`git rev-parse` failed: fatal: not a git repository"),
        ("no git", "The `git` command was not found."),
    ],
)
def test_a_clone_that_cannot_tell_is_no_deployment_to_be_made(
    clone: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], change: str, words: str
) -> None:
    approved = git(clone, "rev-parse", "HEAD")
    monkeypatch.setattr(deploy, "ask", lambda stack, *command: json.dumps([update(head=approved)]))
    if change == "shallow":
        git(clone.parent / "origin", "commit", "-q", "--allow-empty", "-m", "two")
        shallow = clone.parent / "shallow"
        git(clone.parent, "clone", "-q", "--depth", "1", f"file://{clone.parent / 'origin'}", str(shallow))
        monkeypatch.chdir(shallow)
    elif change == "no repository":
        (clone / ".git").rename(clone / "moved")
    else:
        monkeypatch.setenv("PATH", str(clone))
    monkeypatch.setattr(sys, "argv", ["deployed", "prod"])
    assert (deployed.main(), outputs(clone)) == (1, "")
    said = capsys.readouterr().out
    assert words in said
    assert "No rotation takes place meanwhile." in said
    assert "Have the pipeline deploy the stack" not in said


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
