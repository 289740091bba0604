"""Which commit a stack was last deployed from: the output `commit`, empty if the stack is not deployed.

The daily run deploys that one, and none that nobody approved. Where it may not, it ends here, and rotates nothing until
the pipeline has deployed the stack.
"""

from __future__ import annotations

import sys

from pipelines import commits, manual_run
from pipelines.job_log import say
from pipelines.steps import report
from pipelines.steps.deploy import history
from pipelines.steps.running import stack_argument
from provisioning.errors import CloneUnusable, CommitUnknown, ProvisioningError

CALLED = ("drift", "issue", "deploy", "status", "deployed")
"""The steps that a daily run may expect of that commit: each is called there, or came with what is called there."""


def main() -> int:
    """Look it up in the stack's history; exit code 1 if the daily run may or can deploy no commit."""
    stack = stack_argument(__doc__)
    try:
        commit = commits.last_deployed(history(stack))
        if commit is not None:
            require_usable(commit)
    except CloneUnusable as error:
        # No deployment would change that.
        return failed(stack, f"{error} No rotation takes place meanwhile.")
    except CommitUnknown as error:
        return failed(stack, f"{error} No rotation takes place meanwhile. {manual_run.has_it_deployed()}")
    except ProvisioningError as error:
        return failed(stack, str(error))
    report.output("commit", commit or "")
    if commit is None:
        report.publish(stack, "deployed", f"### `{stack}` is not deployed\n\nThe daily run leaves it as it is.\n")
    say(f"{stack} was last deployed from {commit}." if commit else f"{stack} is not deployed and is left as it is.")
    return 0


def require_usable(commit: str) -> None:
    """Raise CommitUnknown if a commit was not merged, or lacks a step that the daily run calls.

    Raises CloneUnusable where that cannot be told.
    """
    if not commits.is_merged(commit):
        raise CommitUnknown(
            f"The last deployment of this stack was made from {commit}, which is not in the history of this branch."
        )
    if missing := [name for name in CALLED if not commits.has(commit, f"./pipelines/steps/{name}.py")]:
        raise CommitUnknown(
            f"This stack was last deployed from {commit}, an earlier version of this project, which lacks what this "
            f"pipeline calls: {', '.join(missing)}."
        )


def failed(stack: str, why: str) -> int:
    """Say why nothing is deployed, in the log and in the report."""
    say(why)
    report.publish(stack, "deployed", f"### The daily run of `{stack}` failed\n\n{report.fenced(why)}")
    return 1


if __name__ == "__main__":
    sys.exit(main())
