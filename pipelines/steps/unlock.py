"""Removes every lock of a stack, because a person has seen that the runs that made them are over."""

from __future__ import annotations

import sys

from pipelines.steps import report
from pipelines.steps.running import run, stack_argument


def main() -> int:
    """Unlock, and say how it ended by the exit code."""
    stack = stack_argument(__doc__)
    ended = run("pulumi", "cancel", "--yes", "--stack", stack, "--color", "never", "--non-interactive")
    outcome = "removed" if ended.code == 0 else "could not be removed"
    report.publish(stack, "unlock", f"### Locks of `{stack}` {outcome}\n\n{report.fenced(ended.said)}")
    return ended.code


if __name__ == "__main__":
    sys.exit(main())
