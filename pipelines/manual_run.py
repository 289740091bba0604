"""How a person starts the pipeline by hand: the words for a message, on the system that this job runs on."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from pathlib import PurePosixPath

from pipelines import commits
from provisioning.errors import CommitUnknown


def has_it_deployed(environment: Mapping[str, str] = os.environ) -> str:
    """What to do so that the pipeline deploys a stack, and its daily run goes on from there.

    A command of the system's own tool where it has one for it, and an address on GitLab.
    """
    try:
        branch = commits.branch(environment)
    except CommitUnknown:
        branch = "main"
    waiting = f"Have the pipeline deploy the stack once: approve the run that waits, or start one on {branch}"
    command = _command(environment, branch)
    return f"{waiting}: {command}" if command else f"{waiting}."


def _command(environment: Mapping[str, str], branch: str) -> str:
    if workflow := environment.get("GITHUB_WORKFLOW_REF"):
        file = PurePosixPath(workflow.partition("@")[0]).name
        return shlex.join(["gh", "workflow", "run", file, "--ref", branch, "--repo", environment["GITHUB_REPOSITORY"]])
    if project := environment.get("CI_PROJECT_URL"):
        return f"{project}/-/pipelines/new?ref={branch}"
    if pipeline := environment.get("SYSTEM_DEFINITIONID"):
        place = ("--organization", environment["SYSTEM_COLLECTIONURI"], "--project", environment["SYSTEM_TEAMPROJECT"])
        return shlex.join(["az", "pipelines", "run", "--id", pipeline, "--branch", branch, *place])
    return ""
