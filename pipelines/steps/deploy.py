"""`pulumi up` on a stack, which also does whatever of a rotation is due.

An earlier run that was cancelled or killed is resumed.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from dataclasses import replace
from datetime import UTC, datetime

from pipelines.job_log import say
from pipelines.steps import locks, report
from pipelines.steps.running import Ended, environment, run, stack_argument
from provisioning.errors import EngineFailed
from provisioning.pulumi_cli import Pulumi

PENDING = "pending operations from previous deployment"
"""What the engine warns of after a run that was killed in the middle of a change; a program may say so, too."""

OWNER = "NOCOBASE_OUTLOOK_LOCK_OWNER"
"""The variable with the pattern for `user@host` of the pipeline's own jobs."""


def deploy(stack: str) -> Ended:
    """Deploy, and go on with what an earlier run of the pipeline left half-done.

    Its lock is removed. Where the deployment fails, or the state still has a change of which nobody knows the end, the
    state is compared with what is there, and it is tried once more.
    """
    ended = _up(stack)
    if found := locks.locked(ended):
        now = datetime.now(UTC)
        lock = locks.left_behind(found, os.environ.get(OWNER, ""), socket.gethostname(), _runs, now)
        if lock is None or not locks.remove(lock):
            return _held(ended, locks.described(stack, found, now))
        say(f"An earlier run of this pipeline ({lock.maker}) was killed and left its lock; it is removed.")
        ended = _up(stack)
        if found := locks.locked(ended):
            return _held(ended, locks.described(stack, found, now))
    if ended.stopped or (ended.code == 0 and not (PENDING in ended.said and _pending(stack))):
        return ended
    print("The state is compared with what is there, and the deployment is tried once more.", flush=True)
    refreshed = run("pulumi", "refresh", "--yes", "--skip-preview", "--clear-pending-creates", *_options(stack))
    if refreshed.code != 0:
        return refreshed
    return ended if refreshed.stopped else _up(stack)


def _held(ended: Ended, why: str) -> Ended:
    """`ended`, with what a person has to know of the locks."""
    say(why)
    return replace(ended, said=f"{ended.said}\n{why}\n")


def _pending(stack: str) -> bool:
    """Whether the state has a change of which nobody knows the end."""
    try:
        state = json.loads(Pulumi(stack, environment()).ask("stack", "export"))
    except EngineFailed as error:
        say(str(error))
        return True
    return bool((state.get("deployment") or {}).get("pending_operations"))


def _up(stack: str) -> Ended:
    return run("pulumi", "up", "--yes", "--skip-preview", *_options(stack))


def _options(stack: str) -> tuple[str, ...]:
    return ("--stack", stack, "--color", "never", "--non-interactive")


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # somebody else's, but there
    return True


def main() -> int:
    """Deploy, and say how it ended by the exit code."""
    stack = stack_argument(__doc__)
    ended = deploy(stack)
    outcome = "" if ended.code == 0 else " failed"
    report.publish(stack, "deploy", f"### Deployment of `{stack}`{outcome}\n\n{report.fenced(ended.said)}")
    return ended.code


if __name__ == "__main__":
    sys.exit(main())
