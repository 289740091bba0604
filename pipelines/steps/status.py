"""How a stack's mail stands, for the summary of the run.

The exit code is that of `python -m provisioning status`, so that the run fails where anything is due and not done.
"""

from __future__ import annotations

import sys

from pipelines.steps import report
from pipelines.steps.running import run, stack_argument
from provisioning.foreign import visible_lines


def main() -> int:
    """Ask, publish, and pass the exit code on."""
    stack = stack_argument(__doc__)
    ended = run(sys.executable, "-m", "provisioning", "status", "--stack", stack, "--format", "markdown")
    outcome = "" if ended.code == 0 else ": something needs a person, see the log"
    report.publish(stack, "status", f"### Status of `{stack}`{outcome}\n\n{visible_lines(ended.printed)}")
    return ended.code


if __name__ == "__main__":
    sys.exit(main())
