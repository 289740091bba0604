"""Notes on Azure DevOps: threads of a pull request of Azure Repos, and work items. The job's own token writes them.

Source: Azure DevOps' REST API 7.1: Pull Request Threads, Wiql, Work Items, Work Item Type States.
"""

from __future__ import annotations

import html
from collections.abc import Mapping
from typing import Any

import httpx

VERSION = {"api-version": "7.1"}

TYPE = "NOCOBASE_OUTLOOK_WORK_ITEM"
"""The variable with the work item's type; `Issue`, which the processes Basic and Agile have, if it is not set."""

TAG = "nocobase-outlook"
FINISHED = ("Completed", "Removed")


class PullRequestThreads:
    """The threads of the run's pull request. The build's account needs *Contribute to pull requests*."""

    def __init__(self, client: httpx.Client, environment: Mapping[str, str]) -> None:
        """For a run of a pull request."""
        self._client = client
        names = ("SYSTEM_TEAMPROJECTID", "BUILD_REPOSITORY_ID", "SYSTEM_PULLREQUEST_PULLREQUESTID")
        project, repository, number = (environment[name] for name in names)
        self._threads = f"{project}/_apis/git/repositories/{repository}/pullRequests/{number}/threads"

    def find(self, title: str, marker: str) -> str | None:
        """See notes.Board."""
        answer = self._client.get("_apis/connectionData", params={"api-version": "7.1-preview"}).raise_for_status()
        own = answer.json()["authenticatedUser"]["id"]
        for thread in self._client.get(self._threads, params=VERSION).raise_for_status().json()["value"]:
            first = (thread.get("comments") or [{}])[0]
            mine = (first.get("author") or {}).get("id") == own
            if mine and not thread.get("isDeleted") and str(first.get("content")).startswith(f"{marker}\n"):
                return str(thread["id"])
        return None

    def add(self, title: str, text: str) -> None:
        """See notes.Board."""
        # Closed, since an open thread keeps a pull request from being completed where a policy says so.
        comment = {"parentCommentId": 0, "content": text, "commentType": "text"}
        given = {"comments": [comment], "status": "closed"}
        self._client.post(self._threads, params=VERSION, json=given).raise_for_status()

    def renew(self, note: str, text: str) -> None:
        """See notes.Board."""
        comment = f"{self._threads}/{note}/comments/1"
        self._client.patch(comment, params=VERSION, json={"content": text}).raise_for_status()


class WorkItems:
    """The project's work items. The build's account needs *Edit work items in this node*."""

    def __init__(self, client: httpx.Client, environment: Mapping[str, str]) -> None:
        """Those of the run's project."""
        self._client = client
        self._items = f"{environment['SYSTEM_TEAMPROJECTID']}/_apis/wit"
        self._type = environment.get(TYPE) or "Issue"

    def find(self, title: str, marker: str) -> str | None:
        """See notes.Board. Its title is looked for, since the description is kept as HTML."""
        closed = ", ".join(_quoted(name) for name in self._finished())
        query = (
            "SELECT [System.Id] FROM WorkItems WHERE [System.TeamProject] = @project AND [System.CreatedBy] = @me "
            f"AND [System.Tags] CONTAINS {_quoted(TAG)} AND [System.Title] = {_quoted(title)} "
            f"AND [System.State] NOT IN ({closed})"
        )
        answer = self._client.post(f"{self._items}/wiql", params=VERSION, json={"query": query}).raise_for_status()
        return next((str(item["id"]) for item in answer.json()["workItems"]), None)

    def add(self, title: str, text: str) -> None:
        """See notes.Board."""
        fields = {"System.Title": title, "System.Tags": TAG, "System.Description": _as_html(text)}
        self._write("POST", f"{self._items}/workitems/${self._type}", fields)

    def renew(self, note: str, text: str) -> None:
        """See notes.Board."""
        self._write("PATCH", f"{self._items}/workitems/{note}", {"System.Description": _as_html(text)})

    def close(self, note: str) -> None:
        """See notes.Closing."""
        self._write("PATCH", f"{self._items}/workitems/{note}", {"System.State": self._finished()[0]})

    def _finished(self) -> list[str]:
        """The names of the states in which nothing is left to do, those of completed work first."""
        path = f"{self._items}/workitemtypes/{self._type}/states"
        states: list[dict[str, Any]] = self._client.get(path, params=VERSION).raise_for_status().json()["value"]
        return [str(state["name"]) for category in FINISHED for state in states if state["category"] == category]

    def _write(self, method: str, path: str, fields: Mapping[str, str]) -> None:
        patch = [{"op": "add", "path": f"/fields/{name}", "value": value} for name, value in fields.items()]
        headers = {"Content-Type": "application/json-patch+json"}
        self._client.request(method, path, params=VERSION, json=patch, headers=headers).raise_for_status()


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _as_html(text: str) -> str:
    return f"<pre>{html.escape(text.partition(chr(10))[2])}</pre>"
