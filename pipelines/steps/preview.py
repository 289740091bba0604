"""What a deployment of a stack would change; nothing is changed, and no lock is taken.

The report is reports/STACK-preview.md.
"""

from __future__ import annotations

import sys

from pipelines import commits, policy
from pipelines.steps import report
from pipelines.steps.running import run, stack_argument
from provisioning.errors import CommitUnknown


def main() -> int:
    """Preview, and say how it ended by the exit code."""
    stack = stack_argument(__doc__)
    options = ("--stack", stack, "--color", "never", "--non-interactive", *policy.options())
    ended = run("pulumi", "preview", "--diff", *options)
    outcome = "" if ended.code == 0 else " failed"
    report.publish(stack, "preview", f"### Preview of `{stack}`{outcome}\n\n{_of_commit()}{report.fenced(ended.said)}")
    return ended.code


def _of_commit() -> str:
    """Which commit is previewed, for those who approve it; nothing outside a clone."""
    try:
        return f"Of commit {commits.checked_out()}.\n\n"
    except CommitUnknown:
        return ""


if __name__ == "__main__":
    sys.exit(main())
