"""What was changed by hand in Entra ID or NocoBase since the last deployment; nothing is changed by this.

Exit code 1 where anything was: the next `pulumi up` puts right what the program declares.
"""

from __future__ import annotations

import sys

from pipelines.steps import report
from pipelines.steps.running import Ended, run, stack_argument
from provisioning.nocobase.installation import NOT_READ

CHANGED = "error: no changes were expected"
"""The engine's own last error, on its stderr; what programs and servers say is on its stdout."""


def none_in(stack: str) -> str:
    """The report about a stack without drift."""
    return f"### Drift of `{stack}`: none\n"


def outcome(ended: Ended) -> str:
    """What became of a comparison that did not end well: a NocoBase that was not read counts as changed, too."""
    if CHANGED not in ended.errors:
        return "could not be looked for"
    return "could not be looked for everywhere" if NOT_READ in ended.said else "found"


def main() -> int:
    """Compare, and say how it ended by the exit code."""
    stack = stack_argument(__doc__)
    ended = run(
        "pulumi", "refresh", "--preview-only", "--expect-no-changes", "--diff",
        "--stack", stack, "--color", "never", "--non-interactive",
    )  # fmt: skip
    if ended.code == 0:
        text = none_in(stack)
    else:
        text = f"### Drift of `{stack}` {outcome(ended)}\n\n{report.fenced(ended.said)}"
    report.publish(stack, "drift", text)
    return 0 if ended.code == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
