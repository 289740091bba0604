"""Which commit a stack was last deployed from: the output `commit`, empty if the stack is not deployed.

The daily run deploys that one, and none that nobody approved.
"""

from __future__ import annotations

import sys

from pipelines import commits
from pipelines.job_log import say
from pipelines.steps import report
from pipelines.steps.deploy import HISTORY
from pipelines.steps.running import ask, stack_argument
from provisioning.errors import ProvisioningError


def main() -> int:
    """Look it up in the stack's history; exit code 1 if that does not say it, or this clone does not have it."""
    stack = stack_argument(__doc__)
    try:
        commit = commits.last_deployed(ask(stack, *HISTORY))
        if commit and not commits.is_here(commit):
            say(f"{stack} was last deployed from {commit}, which this clone does not have. Deploy the branch once.")
            return 1
    except ProvisioningError as error:
        say(str(error))
        return 1
    report.output("commit", commit or "")
    if commit is None:
        report.publish(stack, "deployed", f"### `{stack}` is not deployed\n\nThe daily run leaves it as it is.\n")
    say(f"{stack} was last deployed from {commit}." if commit else f"{stack} is not deployed and is left as it is.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
