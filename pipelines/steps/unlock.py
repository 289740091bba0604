"""Removes every lock of a stack, because a person has seen that the runs that made them are over.

Each is named first: who made it, where, and how long ago.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime

from pipelines.job_log import say
from pipelines.steps import locks, report
from pipelines.steps.running import run, stack_argument


def main() -> int:
    """Unlock, and say how it ended by the exit code."""
    stack = stack_argument(__doc__)
    before = about_to_go(stack, locks.held(stack), datetime.now(UTC))
    say(before)
    ended = run("pulumi", "cancel", "--yes", "--stack", stack, "--color", "never", "--non-interactive")
    outcome = "removed" if ended.code == 0 else "could not be removed"
    text = report.fenced(f"{before}\n{ended.said}")
    report.publish(stack, "unlock", f"### Locks of `{stack}` {outcome}\n\n{text}")
    return ended.code


def about_to_go(stack: str, found: locks.Locked | None, now: datetime) -> str:
    """The locks that are removed next, for the log and the report."""
    if found is None:
        return f"No lock of {stack} is known, such as that of a run that has ended meanwhile, or of Pulumi Cloud."
    return "\n".join([f"Every lock of {stack} is removed now, {found.count} in all:", *locks.listed(found, now)])


if __name__ == "__main__":
    sys.exit(main())
