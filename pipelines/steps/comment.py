"""Puts the preview of a stack onto its pull or merge request: one comment a stack, renewed by each run.

The account needs the right to comment: `pull-requests: write` for GITHUB_TOKEN, a GITLAB_TOKEN with the scope `api`,
*Contribute to pull requests* for the build's account on Azure DevOps.
"""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack

import httpx

from pipelines import notes
from pipelines.job_log import say
from pipelines.steps import report
from pipelines.steps.running import stack_argument
from provisioning.errors import ProvisioningError


def main() -> int:
    """Comment; a pull request without a comment is no reason to fail, since the report has the preview."""
    stack = stack_argument(__doc__, signs_in=False)
    try:
        text = report.path(stack, "preview").read_text(encoding="utf-8")
        with ExitStack() as opened:
            board = notes.comments(os.environ, opened)
            if board is None:
                say("There is no pull request, or no token to comment there with; the report has the preview.")
            else:
                notes.put(board, f"Preview of {stack}", notes.marker("preview", stack), text)
    except (httpx.HTTPError, OSError, LookupError, ValueError, ProvisioningError) as error:
        say(f"The preview was not put onto the pull request ({type(error).__name__}); the report has it.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
