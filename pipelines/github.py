"""Notes on GitHub: comments on a pull request, and issues."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import httpx

PAGE = 100

AUTHOR = "github-actions[bot]"
"""Who writes with the token of a run."""

LABEL = "nocobase-outlook"


class PullRequestComments:
    """The comments of the run's pull request. The token needs `pull-requests: write`."""

    def __init__(self, client: httpx.Client, environment: Mapping[str, str]) -> None:
        """For a run of a pull request."""
        self._client = client
        self._issues = f"/repos/{environment['GITHUB_REPOSITORY']}/issues"
        self._own = f"{self._issues}/{self.number(environment)}/comments"

    @staticmethod
    def number(environment: Mapping[str, str]) -> str | None:
        """The pull request's, None if the run is of something else."""
        found = re.fullmatch(r"refs/pull/(\d+)/merge", environment.get("GITHUB_REF", ""))
        return found and found[1]

    def find(self, title: str, marker: str) -> str | None:
        """See notes.Board."""
        return _mine(_pages(self._client, self._own, {}), marker, "id")

    def add(self, title: str, text: str) -> None:
        """See notes.Board."""
        self._client.post(self._own, json={"body": text}).raise_for_status()

    def renew(self, note: str, text: str) -> None:
        """See notes.Board."""
        self._client.patch(f"{self._issues}/comments/{note}", json={"body": text}).raise_for_status()


class Issues:
    """The repository's issues. The token needs `issues: write`."""

    def __init__(self, client: httpx.Client, environment: Mapping[str, str]) -> None:
        """Those of the run's repository."""
        self._client = client
        self._issues = f"/repos/{environment['GITHUB_REPOSITORY']}/issues"

    def find(self, title: str, marker: str) -> str | None:
        """See notes.Board."""
        asked = {"state": "open", "creator": AUTHOR, "labels": LABEL}
        return _mine(_pages(self._client, self._issues, asked), marker, "number")

    def add(self, title: str, text: str) -> None:
        """See notes.Board."""
        self._client.post(self._issues, json={"title": title, "body": text, "labels": [LABEL]}).raise_for_status()

    def renew(self, note: str, text: str) -> None:
        """See notes.Board."""
        self._client.patch(f"{self._issues}/{note}", json={"body": text}).raise_for_status()

    def close(self, note: str) -> None:
        """See notes.Closing."""
        self._client.patch(f"{self._issues}/{note}", json={"state": "closed"}).raise_for_status()


def _pages(client: httpx.Client, path: str, asked: Mapping[str, str]) -> Iterator[Mapping[str, Any]]:
    page = 1
    while True:
        found = client.get(path, params={**asked, "per_page": PAGE, "page": page}).raise_for_status().json()
        yield from found
        if len(found) < PAGE:
            return
        page += 1


def _mine(items: Iterator[Mapping[str, Any]], marker: str, key: str) -> str | None:
    for item in items:
        author = item.get("user") or {}
        own = author.get("login") == AUTHOR and author.get("type") == "Bot"
        if own and str(item.get("body")).startswith(f"{marker}\n"):
            return str(item[key])
    return None
