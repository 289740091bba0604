"""Comments on pull requests and issues about drift, on each system: one a stack, the pipeline's own, renewed in place.

The servers here are stand-ins that keep what they are sent, by the pages of each system's REST API.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from pipelines import notes
from pipelines.github import PullRequestComments
from pipelines.steps import comment, drift, issue, report

Json = dict[str, Any]

JOBS = {
    "github": {
        "GITHUB_TOKEN": "t",
        "GITHUB_API_URL": "https://api.github.example.com",
        "GITHUB_REPOSITORY": "contoso/mail",
        "GITHUB_REF": "refs/pull/7/merge",
    },
    "gitlab": {
        "GITLAB_TOKEN": "t",
        "CI_API_V4_URL": "https://gitlab.example.com/api/v4",
        "CI_PROJECT_ID": "3",
        "CI_MERGE_REQUEST_IID": "7",
    },
    "azure-devops": {
        "SYSTEM_ACCESSTOKEN": "t",
        "SYSTEM_COLLECTIONURI": "https://dev.azure.example.com/contoso/",
        "SYSTEM_TEAMPROJECTID": "p",
        "BUILD_REPOSITORY_ID": "r",
        "SYSTEM_PULLREQUEST_PULLREQUESTID": "7",
    },
}
OTHER_JOBS = sorted({name for job in JOBS.values() for name in job})


class GitHub:
    """Its comments and issues."""

    def __init__(self) -> None:
        self.own: Json = {"login": "github-actions[bot]", "type": "Bot"}
        self.kept: dict[str, Json] = {}

    def write(self, author: Json, text: str) -> None:
        """Somebody writes a comment, or an issue."""
        number = len(self.kept) + 1
        self.kept[str(number)] = {"id": number, "number": number, "user": author, "body": text, "state": "open"}

    def answer(self, method: str, path: str, asked: dict[str, str], body: Json) -> Any:
        """A request that has passed the check of its token."""
        found = re.fullmatch(r"/repos/contoso/mail/issues(/7/comments|/comments)?(/\d+)?", path)
        assert found is not None, path
        if method == "GET":
            shown = [item for item in self.kept.values() if item["state"] == asked.get("state", item["state"])]
            first = (int(asked["page"]) - 1) * int(asked["per_page"])
            return shown[first : first + int(asked["per_page"])]
        if method == "POST":
            self.write(self.own, body["body"])
        else:
            assert method == "PATCH"
            self.kept[found[2][1:]] |= body
        return {}

    def texts(self) -> list[str]:
        """What is open."""
        return [item["body"] for item in self.kept.values() if item["state"] == "open"]


class GitLab:
    """Its notes and issues."""

    def __init__(self) -> None:
        self.own: Json = {"id": 5}
        self.kept: dict[str, Json] = {}

    def write(self, author: Json, text: str) -> None:
        """Somebody writes a note, or an issue."""
        number = len(self.kept) + 1
        self.kept[str(number)] = {"id": number, "iid": number, "author": author, "text": text, "state": "opened"}

    def answer(self, method: str, path: str, asked: dict[str, str], body: Json) -> Any:
        """A request that has passed the check of its token."""
        if path == "/api/v4/user":
            return self.own
        found = re.fullmatch(r"/api/v4/projects/3/(merge_requests/7/notes|issues)(/\d+)?", path)
        assert found is not None, path
        key = "description" if found[1] == "issues" else "body"
        if method == "GET":
            shown = [item for item in self.kept.values() if item["state"] == asked.get("state", item["state"])]
            return [{**item, key: item["text"]} for item in shown] if asked["page"] == "1" else []
        if method == "POST":
            self.write(self.own, body[key])
        else:
            assert method == "PUT"
            item = self.kept[found[2][1:]]
            item["text"] = body.get(key, item["text"])
            item["state"] = "closed" if body.get("state_event") == "close" else item["state"]
        return {}

    def texts(self) -> list[str]:
        """What is open."""
        return [item["text"] for item in self.kept.values() if item["state"] == "opened"]


class AzureDevOps:
    """Its threads and work items. A query for work items finds the own ones only, as it asks for them by @me."""

    def __init__(self) -> None:
        self.own: Json = {"id": "build"}
        self.kept: dict[str, Json] = {}

    def write(self, author: Json, text: str, title: str = "") -> None:
        """Somebody writes a thread, or a work item."""
        number = len(self.kept) + 1
        first = {"id": 1, "author": author, "content": text}
        self.kept[str(number)] = {"id": number, "comments": [first], "title": title, "state": "To Do"}

    def answer(self, method: str, path: str, asked: dict[str, str], body: Any) -> Any:
        """A request that has passed the check of its token."""
        assert asked["api-version"].startswith("7.1")
        path = path.removeprefix("/contoso/")
        if path == "_apis/connectionData":
            return {"authenticatedUser": self.own}
        if path == "p/_apis/git/repositories/r/pullRequests/7/threads":
            if method == "GET":
                return {"value": list(self.kept.values())}
            assert (method, body["status"]) == ("POST", "closed")
            self.write(self.own, body["comments"][0]["content"])
        elif found := re.fullmatch(r"p/_apis/git/repositories/r/pullRequests/7/threads/(\d+)/comments/1", path):
            assert method == "PATCH"
            self.kept[found[1]]["comments"][0] |= body
        elif path == "p/_apis/wit/workitemtypes/Issue/states":
            states = {"To Do": "Proposed", "Gone": "Removed", "Done": "Completed"}
            return {"value": [{"name": name, "category": category} for name, category in states.items()]}
        elif path == "p/_apis/wit/wiql":
            assert "[System.CreatedBy] = @me" in body["query"]
            assert "NOT IN ('Done', 'Gone')" in body["query"]
            title = re.search(r"\[System.Title\] = '(.*?)'", body["query"])
            assert title is not None
            own = [item for item in self.kept.values() if item["comments"][0]["author"] == self.own]
            open_ones = [item for item in own if item["title"] == title[1] and item["state"] == "To Do"]
            return {"workItems": [{"id": item["id"]} for item in open_ones]}
        else:
            self._work_item(method, path, {change["path"]: change["value"] for change in body})
        return {}

    def _work_item(self, method: str, path: str, fields: dict[str, str]) -> None:
        if path == "p/_apis/wit/workitems/$Issue":
            assert method == "POST"
            self.write(self.own, fields["/fields/System.Description"], fields["/fields/System.Title"])
            return
        item = self.kept[path.removeprefix("p/_apis/wit/workitems/")]
        assert method == "PATCH"
        item["comments"][0]["content"] = fields.get("/fields/System.Description", item["comments"][0]["content"])
        item["state"] = fields.get("/fields/System.State", item["state"])

    def texts(self) -> list[str]:
        """What is open."""
        return [item["comments"][0]["content"] for item in self.kept.values() if item["state"] == "To Do"]


Server = GitHub | GitLab | AzureDevOps
SERVERS: dict[str, Callable[[], Server]] = {"github": GitHub, "gitlab": GitLab, "azure-devops": AzureDevOps}
ELSE: dict[str, list[Json]] = {
    "github": [{"login": "mallory", "type": "User"}, {"login": "github-actions[bot]", "type": "User"}, {}],
    "gitlab": [{"id": 6}, {}],
    "azure-devops": [{"id": "mallory"}, {}],
}


@pytest.fixture(params=SERVERS)
def server(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Server:
    """The system of this job, which has its token."""
    stand_in = SERVERS[request.param]()
    for name in (*OTHER_JOBS, "GITHUB_STEP_SUMMARY", "TF_BUILD"):
        monkeypatch.delenv(name, raising=False)
    for name, value in JOBS[request.param].items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)

    def handle(asked: httpx.Request) -> httpx.Response:
        assert "t" in (asked.headers.get("PRIVATE-TOKEN"), asked.headers.get("Authorization", "")[7:])
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


def test_a_preview_is_one_comment_a_stack(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    system = next(name for name, kind in SERVERS.items() if isinstance(server, kind))  # type: ignore[arg-type]
    mark = notes.marker("preview", "prod")
    others = [f"{mark}\nof somebody else"] * len(ELSE[system])
    for author, text in zip(ELSE[system], others, strict=True):
        server.write(author, text)
    server.write(server.own, f"{mark} quoted")
    before = server.texts()
    run(comment, "prod", "### one", monkeypatch)
    run(comment, "test", "### of test", monkeypatch)
    run(comment, "prod", "### two", monkeypatch)
    assert server.texts() == [*before, f"{mark}\n### two", f"{notes.marker('preview', 'test')}\n### of test"]


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


def test_drift_opens_one_issue_a_stack_and_closes_it(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    run(issue, "prod", drift.none_in("prod"), monkeypatch)
    assert server.texts() == []
    for text in ("### Drift of `prod` found\n<b>one</b>", "### Drift of `prod` found\n<b>two</b>"):
        run(issue, "prod", text, monkeypatch)
    run(issue, "test", "### Drift of `test` found\n", monkeypatch)
    of_prod, of_test = server.texts()
    assert "two" in of_prod
    assert "pulumi up --stack prod" in of_prod
    assert "pulumi up --stack test" in of_test
    # A work item's text is HTML, and Markdown's marker none.
    assert ("&lt;b&gt;" in of_prod) is isinstance(server, AzureDevOps)
    run(issue, "prod", drift.none_in("prod"), monkeypatch)
    assert server.texts() == [of_test]
    run(issue, "prod", "### Drift of `prod` could not be looked for\n", monkeypatch)
    assert len(server.texts()) == 2


@pytest.mark.parametrize("step", [comment, issue])
@pytest.mark.parametrize("answer", [httpx.Response(403), httpx.Response(200, text="<html>"), httpx.ConnectError("x")])
def test_a_note_that_cannot_be_written_fails_no_job(
    step: Any,
    answer: httpx.Response | Exception,
    server: Server,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(*_: object) -> httpx.Response:
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(server, "answer", fail)
    run(step, "prod", "### x", monkeypatch)
    assert "the report has it." in capsys.readouterr().out


@pytest.mark.parametrize(("step", "words"), [(comment, "no pull request, or no token"), (issue, "no token")])
def test_without_a_token_the_report_is_all(
    step: Any, words: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in OTHER_JOBS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    run(step, "prod", "### x", monkeypatch)
    assert words in capsys.readouterr().out
