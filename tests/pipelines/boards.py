"""Stand-ins for the parts of each system's REST API where a pipeline writes comments and issues.

They keep what they are sent, by the pages of each system's REST API.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qsl, urlsplit

Json = dict[str, Any]

TOKEN = "the-token-of-the-run"

JOBS = {
    "github": {
        "GITHUB_TOKEN": TOKEN,
        "GITHUB_API_URL": "https://api.github.example.com",
        "GITHUB_REPOSITORY": "contoso/mail",
        "GITHUB_REF": "refs/pull/7/merge",
    },
    "gitlab": {
        "GITLAB_TOKEN": TOKEN,
        "CI_API_V4_URL": "https://gitlab.example.com/api/v4",
        "CI_PROJECT_ID": "3",
        "CI_MERGE_REQUEST_IID": "7",
    },
    "azure-devops": {
        "SYSTEM_ACCESSTOKEN": TOKEN,
        "SYSTEM_COLLECTIONURI": "https://dev.azure.example.com/contoso/",
        "SYSTEM_TEAMPROJECTID": "p",
        "BUILD_REPOSITORY_ID": "r",
        "SYSTEM_PULLREQUEST_PULLREQUESTID": "7",
    },
}
EVERY_NAME = sorted({name for job in JOBS.values() for name in job})


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


Board = GitHub | GitLab | AzureDevOps
BOARDS: dict[str, Callable[[], Board]] = {"github": GitHub, "gitlab": GitLab, "azure-devops": AzureDevOps}


def is_token(private: str | None, authorization: str | None) -> bool:
    """Whether one of the headers in which the systems take a token has it."""
    return private == TOKEN or authorization == f"Bearer {TOKEN}"


@contextmanager
def served(board: Board) -> Iterator[str]:
    """The address on loopback at which a stand-in answers."""

    class Page(BaseHTTPRequestHandler):
        def answer(self) -> None:
            if not is_token(self.headers["PRIVATE-TOKEN"], self.headers["Authorization"]):
                self.send_error(401)
                return
            asked = urlsplit(self.path)
            given = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            answer = board.answer(self.command, asked.path, dict(parse_qsl(asked.query)), json.loads(given or b"{}"))
            content = json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_PATCH = answer

        def log_message(self, format: str, *arguments: object) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
