"""Whether the lock that keeps a run from its stack is the remains of an earlier run of the pipeline. Pure.

A run that is killed leaves its lock in the state's folder (a local one, Azure Blob, S3). Pulumi Cloud has leases
instead, which end by themselves.
"""

from __future__ import annotations

import re
from collections.abc import Callable

LOCKED = "the stack is currently locked by"
MADE_BY = re.compile(r"created by (?P<user>\S+)@(?P<host>\S+) \(pid (?P<pid>\d+)\)")


def are_left_behind(said: str, user: str, host: str, runs: Callable[[int], bool]) -> bool:
    """Whether `pulumi` ended because of locks, all of which an earlier run of the pipeline made and left.

    said: what it printed. user, host: who runs this step, and where. runs: whether a process with that id runs here.

    The pipeline's concurrency rule sees to it that no other run for the stack is alive, so a lock of the same user is
    nobody's any more, unless its process still runs on this very machine. The lock of another user, such as that of a
    person at a workstation, is never touched.
    """
    makers = list(MADE_BY.finditer(said.partition(LOCKED)[2]))
    return bool(makers) and all(
        maker["user"] == user and not (maker["host"] == host and runs(int(maker["pid"]))) for maker in makers
    )
