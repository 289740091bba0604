"""What a deployment of a stack would change; nothing is changed, and no lock is taken.

The report is reports/STACK-preview.md.
"""

from __future__ import annotations

import sys

from pipelines.steps import report
from pipelines.steps.running import run, stack_argument


def main() -> int:
    """Preview, and say how it ended by the exit code."""
    stack = stack_argument(__doc__)
    ended = run("pulumi", "preview", "--diff", "--stack", stack, "--color", "never", "--non-interactive")
    outcome = "" if ended.code == 0 else " failed"
    report.publish(stack, "preview", f"### Preview of `{stack}`{outcome}\n\n{report.fenced(ended.said)}")
    return ended.code


if __name__ == "__main__":
    sys.exit(main())
