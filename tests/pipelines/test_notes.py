"""Comments on pull requests and issues about drift, on each system: one a stack, its own, renewed in place."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from pipelines import notes
from pipelines.github import PullRequestComments
from pipelines.steps import comment, drift, issue, report
from tests.pipelines import boards
from tests.pipelines.boards import BOARDS, EVERY_NAME, JOBS, AzureDevOps, Board, GitHub, Json

ELSE: dict[str, list[Json]] = {
    "github": [{"login": "mallory", "type": "User"}, {"login": "github-actions[bot]", "type": "User"}, {}],
    "gitlab": [{"id": 6}, {}],
    "azure-devops": [{"id": "mallory"}, {}],
}


@pytest.fixture(params=BOARDS)
def board(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Board:
    """The system of this job, which has its token."""
    stand_in = BOARDS[request.param]()
    for name in (*EVERY_NAME, "GITHUB_STEP_SUMMARY", "TF_BUILD"):
        monkeypatch.delenv(name, raising=False)
    for name, value in JOBS[request.param].items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)

    def handle(asked: httpx.Request) -> httpx.Response:
        assert boards.is_token(asked.headers.get("PRIVATE-TOKEN"), asked.headers.get("Authorization"))
        body = json.loads(asked.content) if asked.content else {}
        answer = stand_in.answer(asked.method, asked.url.path, dict(asked.url.params), body)
        return answer if isinstance(answer, httpx.Response) else httpx.Response(200, json=answer)

    client = httpx.Client
    monkeypatch.setattr(httpx, "Client", lambda **given: client(transport=httpx.MockTransport(handle), **given))
    return stand_in


def run(step: Any, stack: str, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A step, after one that left this report."""
    report.publish(stack, {comment: "preview", issue: "drift"}[step], text, {})
    monkeypatch.setattr(sys, "argv", ["step", stack])
    assert step.main() == 0


def test_a_preview_is_one_comment_a_stack(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    system = next(name for name, kind in BOARDS.items() if isinstance(board, kind))  # type: ignore[arg-type]
    mark = notes.marker("preview", "prod")
    others = [f"{mark}\nof somebody else"] * len(ELSE[system])
    for author, text in zip(ELSE[system], others, strict=True):
        board.write(author, text)
    board.write(board.own, f"{mark} quoted")
    before = board.texts()
    run(comment, "prod", "### one", monkeypatch)
    run(comment, "test", "### of test", monkeypatch)
    run(comment, "prod", "### two", monkeypatch)
    assert board.texts() == [*before, f"{mark}\n### two", f"{notes.marker('preview', 'test')}\n### of test"]


def test_a_comment_on_a_later_page_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    github = GitHub()
    for number in range(150):
        github.write(github.own, f"nice {number}")
    mark = notes.marker("preview", "prod")
    github.write(github.own, f"{mark}\nold")

    def handle(asked: httpx.Request) -> httpx.Response:
        body = json.loads(asked.content) if asked.content else {}
        return httpx.Response(200, json=github.answer(asked.method, asked.url.path, dict(asked.url.params), body))

    client = httpx.Client(base_url="https://api.github.example.com", transport=httpx.MockTransport(handle))
    notes.put(PullRequestComments(client, JOBS["github"]), "", mark, "new")
    assert (len(github.kept), github.texts()[-1]) == (151, f"{mark}\nnew")


def test_drift_opens_one_issue_a_stack_and_closes_it(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    run(issue, "prod", drift.none_in("prod"), monkeypatch)
    assert board.texts() == []
    for text in ("### Drift of `prod` found\n<b>one</b>", "### Drift of `prod` found\n<b>two</b>"):
        run(issue, "prod", text, monkeypatch)
    run(issue, "test", "### Drift of `test` found\n", monkeypatch)
    of_prod, of_test = board.texts()
    assert "two" in of_prod
    assert "pulumi up --stack prod" in of_prod
    assert "pulumi up --stack test" in of_test
    # A work item's text is HTML, and Markdown's marker none.
    assert ("&lt;b&gt;" in of_prod) is isinstance(board, AzureDevOps)
    run(issue, "prod", drift.none_in("prod"), monkeypatch)
    assert board.texts() == [of_test]
    run(issue, "prod", "### Drift of `prod` could not be looked for\n", monkeypatch)
    assert len(board.texts()) == 2


@pytest.mark.parametrize("step", [comment, issue])
@pytest.mark.parametrize("answer", [httpx.Response(403), httpx.Response(200, text="<html>"), httpx.ConnectError("x")])
def test_a_note_that_cannot_be_written_fails_no_job(
    step: Any,
    answer: httpx.Response | Exception,
    board: Board,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(*_: object) -> httpx.Response:
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(board, "answer", fail)
    run(step, "prod", "### x", monkeypatch)
    assert "the report has it." in capsys.readouterr().out


@pytest.mark.parametrize(("step", "words"), [(comment, "no pull request, or no token"), (issue, "no token")])
def test_without_a_token_the_report_is_all(
    step: Any, words: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in EVERY_NAME:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    run(step, "prod", "### x", monkeypatch)
    assert words in capsys.readouterr().out
