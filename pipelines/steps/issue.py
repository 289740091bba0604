"""Keeps one issue a stack while the stack has drift: opens it, renews it, and closes it when the drift has gone.

The account needs the right to do so: `issues: write` for GITHUB_TOKEN, a GITLAB_TOKEN with the scope `api`, *Edit work
items in this node* for the build's account on Azure DevOps.
"""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack

import httpx

from pipelines import notes
from pipelines.job_log import say
from pipelines.steps import drift, report
from pipelines.steps.running import stack_argument
from provisioning.errors import ProvisioningError

ADVICE = "To correct it: `pulumi up --stack {}`. This issue is closed by the daily run that finds no drift.\n"


def main() -> int:
    """Open, renew or close; the job itself has failed for drift already."""
    stack = stack_argument(__doc__, signs_in=False)
    title, mark = f"Drift of the stack {stack}", notes.marker("drift", stack)
    try:
        text = report.path(stack, "drift").read_text(encoding="utf-8")
        with ExitStack() as opened:
            board = notes.issues(os.environ, opened)
            if board is None:
                say("There is no token to write issues with; the report says whether there is drift.")
            elif text == drift.none_in(stack):
                notes.clear(board, title, mark)
            else:
                notes.put(board, title, mark, f"{text}\n{ADVICE.format(stack)}")
    except (httpx.HTTPError, OSError, LookupError, ValueError, ProvisioningError) as error:
        say(f"The issue about drift could not be written ({type(error).__name__}); the report has it.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
