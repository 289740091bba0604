"""Notes on GitLab: those of a merge request, and issues. A job's own token may write neither, so another is needed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx

PAGE = 100
LABEL = "nocobase-outlook"


class _Project:
    def __init__(self, client: httpx.Client, environment: Mapping[str, str]) -> None:
        """The run's project, and what GITLAB_TOKEN's account wrote there."""
        self._client = client
        self._project = f"projects/{environment['CI_PROJECT_ID']}"

    def _find(self, path: str, asked: Mapping[str, str], text: str, key: str, marker: str) -> str | None:
        """The first item of the token's own account that begins with the marker."""
        own = self._client.get("user").raise_for_status().json()["id"]
        page = 1
        while True:
            given: dict[str, str | int] = {**asked, "per_page": PAGE, "page": page}
            found: list[dict[str, Any]] = self._client.get(path, params=given).raise_for_status().json()
            for item in found:
                if (item.get("author") or {}).get("id") == own and str(item.get(text)).startswith(f"{marker}\n"):
                    return str(item[key])
            if len(found) < PAGE:
                return None
            page += 1


class MergeRequestNotes(_Project):
    """The notes of the run's merge request."""

    def __init__(self, client: httpx.Client, environment: Mapping[str, str]) -> None:
        """For a pipeline of a merge request."""
        super().__init__(client, environment)
        self._notes = f"{self._project}/merge_requests/{environment['CI_MERGE_REQUEST_IID']}/notes"

    def find(self, title: str, marker: str) -> str | None:
        """See notes.Board."""
        return self._find(self._notes, {}, "body", "id", marker)

    def add(self, title: str, text: str) -> None:
        """See notes.Board."""
        self._client.post(self._notes, json={"body": text}).raise_for_status()

    def renew(self, note: str, text: str) -> None:
        """See notes.Board."""
        self._client.put(f"{self._notes}/{note}", json={"body": text}).raise_for_status()


class Issues(_Project):
    """The project's issues."""

    def find(self, title: str, marker: str) -> str | None:
        """See notes.Board."""
        asked = {"state": "opened", "labels": LABEL, "scope": "all"}
        return self._find(f"{self._project}/issues", asked, "description", "iid", marker)

    def add(self, title: str, text: str) -> None:
        """See notes.Board."""
        given = {"title": title, "description": text, "labels": LABEL}
        self._client.post(f"{self._project}/issues", json=given).raise_for_status()

    def renew(self, note: str, text: str) -> None:
        """See notes.Board."""
        self._client.put(f"{self._project}/issues/{note}", json={"description": text}).raise_for_status()

    def close(self, note: str) -> None:
        """See notes.Closing."""
        self._client.put(f"{self._project}/issues/{note}", json={"state_event": "close"}).raise_for_status()
