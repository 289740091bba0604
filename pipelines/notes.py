"""What a pipeline keeps for people outside its log: one note a stack, renewed in place.

A note is a comment on a pull request or an issue. It begins with a marker, by which the next run finds it. Anybody may
write the marker, so a board finds only what the pipeline's own account wrote.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from typing import Protocol

import httpx

from pipelines.api import api_client
from pipelines.azure_devops import PullRequestThreads, WorkItems
from pipelines.github import Issues as GitHubIssues
from pipelines.github import PullRequestComments
from pipelines.gitlab import Issues as GitLabIssues
from pipelines.gitlab import MergeRequestNotes


class Board(Protocol):
    """Where notes are. Every method may raise httpx.HTTPError."""

    def find(self, title: str, marker: str) -> str | None:
        """The id of the open note that the pipeline's account wrote."""
        ...

    def add(self, title: str, text: str) -> None:
        """Write a note."""
        ...

    def renew(self, note: str, text: str) -> None:
        """Write it anew."""
        ...


class Closing(Board, Protocol):
    """A board whose notes are open until they are closed."""

    def close(self, note: str) -> None:
        """Say that nothing is left to do."""
        ...


def marker(subject: str, stack: str) -> str:
    """The first line of a note; Markdown does not show it."""
    return f"<!-- nocobase-outlook {subject} of {stack} -->"


def put(board: Board, title: str, mark: str, text: str) -> None:
    """Renew the note, or write it if there is none. Raises httpx.HTTPError."""
    text = f"{mark}\n{text}"
    note = board.find(title, mark)
    if note is None:
        board.add(title, text)
    else:
        board.renew(note, text)


def clear(board: Closing, title: str, mark: str) -> None:
    """Close the note, if there is an open one. Raises httpx.HTTPError."""
    if (note := board.find(title, mark)) is not None:
        board.close(note)


def comments(environment: Mapping[str, str], opened: ExitStack) -> Board | None:
    """The comments of this run's pull request; None if it has none, or no token to write there with.

    Raises ProxyUnusable and CertificatesUnusable.
    """
    if environment.get("GITHUB_TOKEN") and PullRequestComments.number(environment):
        return PullRequestComments(opened.enter_context(_github(environment)), environment)
    if environment.get("GITLAB_TOKEN") and environment.get("CI_MERGE_REQUEST_IID"):
        return MergeRequestNotes(opened.enter_context(_gitlab(environment)), environment)
    if environment.get("SYSTEM_ACCESSTOKEN") and environment.get("SYSTEM_PULLREQUEST_PULLREQUESTID"):
        return PullRequestThreads(opened.enter_context(_azure_devops(environment)), environment)
    return None


def issues(environment: Mapping[str, str], opened: ExitStack) -> Closing | None:
    """The issues or work items of this run's project; None without a token to write there with.

    Raises ProxyUnusable and CertificatesUnusable.
    """
    if environment.get("GITHUB_TOKEN"):
        return GitHubIssues(opened.enter_context(_github(environment)), environment)
    if environment.get("GITLAB_TOKEN"):
        return GitLabIssues(opened.enter_context(_gitlab(environment)), environment)
    if environment.get("SYSTEM_ACCESSTOKEN"):
        return WorkItems(opened.enter_context(_azure_devops(environment)), environment)
    return None


def _github(environment: Mapping[str, str]) -> httpx.Client:
    headers = {"Authorization": f"Bearer {environment['GITHUB_TOKEN']}", "Accept": "application/vnd.github+json"}
    return api_client(environment["GITHUB_API_URL"], headers)


def _gitlab(environment: Mapping[str, str]) -> httpx.Client:
    return api_client(environment["CI_API_V4_URL"], {"PRIVATE-TOKEN": environment["GITLAB_TOKEN"]})


def _azure_devops(environment: Mapping[str, str]) -> httpx.Client:
    headers = {"Authorization": f"Bearer {environment['SYSTEM_ACCESSTOKEN']}", "X-TFS-FedAuthRedirect": "Suppress"}
    return api_client(environment["SYSTEM_COLLECTIONURI"], headers)
