"""Puts the preview of a stack onto its pull request on GitHub: one comment a stack, renewed by each run.

GITHUB_TOKEN needs `pull-requests: write`.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from typing import Any

import httpx

from pipelines.github_api import github_client
from pipelines.steps import report
from pipelines.steps.running import stack_argument
from provisioning.errors import ProvisioningError

PAGE = 100

AUTHOR = "github-actions[bot]"
"""Who writes with the token of a run. Anybody may write the marker; a comment of somebody else is not touched."""


def comment(stack: str, text: str, environment: Mapping[str, str], client: httpx.Client) -> None:
    """Write the comment, or renew the one that an earlier run wrote. Raises httpx.HTTPError."""
    number = re.fullmatch(r"refs/pull/(\d+)/merge", environment["GITHUB_REF"])
    assert number is not None, "this step is for pull requests"
    marker = f"<!-- nocobase-outlook preview of {stack} -->"
    repository = f"/repos/{environment['GITHUB_REPOSITORY']}/issues"
    body = {"body": f"{marker}\n{text}"}
    page = 1
    while True:
        asked = {"per_page": PAGE, "page": page}
        found = client.get(f"{repository}/{number[1]}/comments", params=asked).raise_for_status().json()
        mine = next((item["id"] for item in found if _is_mine(item, marker)), None)
        if mine is not None:
            client.patch(f"{repository}/comments/{mine}", json=body).raise_for_status()
            return
        if len(found) < PAGE:
            client.post(f"{repository}/{number[1]}/comments", json=body).raise_for_status()
            return
        page += 1


def _is_mine(item: Mapping[str, Any], marker: str) -> bool:
    """Whether an earlier run wrote this comment, for the same stack."""
    author = item.get("user") or {}
    return (
        author.get("login") == AUTHOR
        and author.get("type") == "Bot"
        and str(item.get("body")).startswith(f"{marker}\n")
    )


def main() -> int:
    """Comment; a pull request without a comment is no reason to fail, since the summary has the preview."""
    stack = stack_argument(__doc__)
    headers = {"Authorization": f"Bearer {os.environ['GITHUB_TOKEN']}", "Accept": "application/vnd.github+json"}
    try:
        with github_client(headers) as client:
            comment(stack, report.path(stack, "preview").read_text(encoding="utf-8"), os.environ, client)
    except (httpx.HTTPError, OSError, ProvisioningError) as error:
        print(f"The preview was not put onto the pull request ({type(error).__name__}); see the summary.", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
