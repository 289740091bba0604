"""`pulumi up` on a stack, which also does whatever of a rotation is due.

A run that was cancelled or killed before is gone on with.
"""

from __future__ import annotations

import getpass
import os
import socket
import sys

from pipelines.steps import locks, report
from pipelines.steps.running import Ended, run, stack_argument

PENDING = "pending operations from previous deployment"
"""What the engine warns of after a run that was killed in the middle of a change."""


def deploy(stack: str) -> Ended:
    """Deploy, and go on with what an earlier run of the pipeline left half-done.

    Its lock is removed. Where the deployment fails, or the state still has a change of which nobody knows the end, the
    state is compared with what is there, and it is tried once more.
    """
    ended = _up(stack)
    if ended.code != 0 and locks.are_left_behind(ended.said, getpass.getuser(), socket.gethostname(), _runs):
        print("An earlier run of this pipeline was killed and left its lock; it is removed.", flush=True)
        removed = run("pulumi", "cancel", "--yes", "--stack", stack, "--non-interactive")
        if removed.code != 0:
            return removed
        ended = _up(stack)
    if ended.stopped or locks.LOCKED in ended.said or (ended.code == 0 and PENDING not in ended.said):
        return ended
    print("The state is compared with what is there, and the deployment is tried once more.", flush=True)
    refreshed = run("pulumi", "refresh", "--yes", "--skip-preview", "--clear-pending-creates", *_options(stack))
    if refreshed.code != 0:
        return refreshed
    return ended if refreshed.stopped else _up(stack)


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
