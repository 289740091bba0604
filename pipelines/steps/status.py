"""How a stack's mail stands, for the summary of the run.

The exit code is that of `python -m provisioning status`, so that the run fails where anything is due and not done.
"""

from __future__ import annotations

import subprocess
import sys

from pipelines.steps import report
from pipelines.steps.running import environment, stack_argument


def main() -> int:
    """Ask, publish, and pass the exit code on."""
    stack = stack_argument(__doc__)
    command = [sys.executable, "-m", "provisioning", "status", "--stack", stack, "--format", "markdown"]
    ended = subprocess.run(
        command,
        # The report is UTF-8, whatever the locale says.
        env={**environment(), "PYTHONIOENCODING": "utf-8"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    print(ended.stdout, end="", flush=True)
    outcome = "" if ended.returncode == 0 else ": something needs a person, see the log"
    report.publish(stack, "status", f"### Status of `{stack}`{outcome}\n\n{ended.stdout}")
    return ended.returncode


if __name__ == "__main__":
    sys.exit(main())
