"""Which commit is checked out, which is its branch's newest, and which one a stack was last deployed from."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
from collections.abc import Iterable, Mapping
from typing import Any

from provisioning.errors import CloneUnusable, CommitUnknown

COMMIT = re.compile("[0-9a-f]{40,64}")

BRANCH = ("GITHUB_REF_NAME", "CI_COMMIT_BRANCH", "BUILD_SOURCEBRANCH")
"""Where each system says of which branch a run is."""


def checked_out() -> str:
    """The commit of the working tree. Raises CommitUnknown and CloneUnusable."""
    return _commit(_git("rev-parse", "HEAD"))


def is_merged(commit: str) -> bool:
    """Whether what is checked out has this commit in its history.

    Raises CloneUnusable where the clone cannot tell: git fails there, or it lacks a part of the history.
    """
    if COMMIT.fullmatch(commit) is None:
        return False
    if _ran("merge-base", "--is-ancestor", commit, "HEAD").returncode == 0:
        return True
    if _git("rev-parse", "--is-shallow-repository").strip() != "false":
        raise CloneUnusable(
            f"The clone of this job has only a part of the history, in which {commit} is not. Have the job fetch all "
            "of it: GIT_DEPTH 0 on GitLab, fetch-depth 0 on GitHub, fetchDepth 0 on Azure DevOps."
        )
    return False


def has(commit: str, path: str) -> bool:
    """Whether a commit has a file; `./` is the present folder. Raises CloneUnusable without git."""
    return _ran("cat-file", "-e", f"{commit}:{path}").returncode == 0


def branch(environment: Mapping[str, str] = os.environ) -> str:
    """The branch of this run. Raises CommitUnknown if no system names one."""
    named = next((environment[name] for name in BRANCH if environment.get(name)), "")
    if not named:
        raise CommitUnknown(f"No branch is named by {', '.join(BRANCH)}. Nothing was deployed.")
    return named.removeprefix("refs/heads/")


def newest(environment: Mapping[str, str] = os.environ) -> str:
    """The newest commit of this run's branch, as its repository has it now. Raises CommitUnknown and CloneUnusable."""
    head = f"refs/heads/{branch(environment)}"
    return _commit(_git("ls-remote", "--exit-code", "origin", head, credentials=_credentials(environment)))


def last_deployed(pages: Iterable[str]) -> str | None:
    """The commit of the last deployment that succeeded; None if there was none, or the stack was destroyed since.

    pages: what `pulumi stack history --json` prints, the newest first, PAGE updates each; no more of them are asked for
    than needed. Raises CommitUnknown for a deployment of something else than a commit.
    """
    for page in pages:
        updates: list[dict[str, Any]] = json.loads(page) or []
        last = next((one for one in updates if one["kind"] in KINDS and one.get("result") == "succeeded"), None)
        if last is not None:
            return _deployed_by(last) if last["kind"] == UPDATE else None
        if len(updates) < PAGE:
            break
    return None


def _deployed_by(update: Mapping[str, Any]) -> str:
    made = update.get("environment") or {}
    commit = str(made.get("git.head", ""))
    if not COMMIT.fullmatch(commit):
        raise CommitUnknown("The last deployment of this stack was made outside a clone of its repository.")
    # A job begins with a clean clone, and adds its own files to it (a cache).
    if made.get("git.dirty") == "true" and not made.get("ci.system"):
        raise CommitUnknown(
            f"The last deployment of this stack was made on a workstation whose clone had changes besides {commit}."
        )
    return commit


PAGE = 50
UPDATE = "update"
KINDS = (UPDATE, "destroy")
"""What the engine calls a deployment and its opposite; it keeps refreshes and imports in the same list."""


def _commit(text: str) -> str:
    found = text.split()
    if not found or not COMMIT.fullmatch(found[0]):
        raise CloneUnusable("`git` answered no commit. Nothing was deployed.")
    return found[0]


def _credentials(environment: Mapping[str, str]) -> dict[str, str]:
    """The header to ask the repository with, by git's own variables: no argument and no file has it.

    GitLab leaves its own in the clone.
    """
    if token := environment.get("GITHUB_TOKEN"):
        key = f"http.{environment['GITHUB_SERVER_URL']}/.extraheader"
        value = f"basic {base64.b64encode(f'x-access-token:{token}'.encode()).decode()}"
    elif (token := environment.get("SYSTEM_ACCESSTOKEN")) and (at := environment.get("SYSTEM_COLLECTIONURI")):
        key, value = f"http.{at}.extraheader", f"bearer {token}"
    else:
        return {}
    return {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": key, "GIT_CONFIG_VALUE_0": f"AUTHORIZATION: {value}"}


def _git(*arguments: str, credentials: Mapping[str, str] | None = None) -> str:
    ended = _ran(*arguments, credentials=credentials or {})
    if ended.returncode != 0:
        said = ended.stderr.strip() or f"exit code {ended.returncode}"
        raise CloneUnusable(f"`git {arguments[0]}` failed: {said}. Nothing was deployed.")
    return ended.stdout


def _ran(*arguments: str, credentials: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            ["git", *arguments],
            env={**os.environ, "GIT_TERMINAL_PROMPT": "0", **(credentials or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=False,
        )
    except FileNotFoundError:
        raise CloneUnusable("The `git` command was not found. Nothing was deployed.") from None
