"""Whether the commit of this run on GitHub is still the newest of its branch, so that no older one is deployed over it.

Approvals may come in any order, and a run that waits for another keeps its commit. The answer is the step's output
`newest`; the run of an older commit ends without having deployed, and says so.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path

import httpx

from pipelines.github_api import github_client
from pipelines.job_log import say
from pipelines.steps import report
from pipelines.steps.running import stack_argument
from provisioning.errors import ProvisioningError
from provisioning.foreign import code_span, one_line


def newest(environment: Mapping[str, str], client: httpx.Client) -> str:
    """The newest commit of the run's branch. Raises httpx.HTTPError, also for an answer that is no commit."""
    branch = environment["GITHUB_REF"].removeprefix("refs/")
    path = f"/repos/{environment['GITHUB_REPOSITORY']}/commits/{branch}"
    answer = client.get(path, headers={"Accept": "application/vnd.github.sha"}).raise_for_status()
    commit = answer.text.strip()
    if not re.fullmatch("[0-9a-f]{40,64}", commit):
        raise httpx.DecodingError("the answer is no commit", request=answer.request)
    return commit


def main() -> int:
    """Ask, and hand the answer to the steps that follow; exit code 1 only where GitHub gives none."""
    stack = stack_argument(__doc__)
    commit = os.environ["GITHUB_SHA"]
    headers = {"Authorization": f"Bearer {os.environ['GITHUB_TOKEN']}"}
    try:
        with github_client(headers) as client:
            head = newest(os.environ, client)
    except (httpx.HTTPError, ProvisioningError) as error:
        say(f"GitHub does not say which commit is the newest ({error}); nothing was deployed. Run it again.")
        return 1
    with Path(os.environ["GITHUB_OUTPUT"]).open("a", encoding="utf-8") as outputs:
        outputs.write(f"newest={'true' if head == commit else 'false'}\n")
    if head != commit:
        branch = code_span(one_line(os.environ["GITHUB_REF_NAME"]))
        text = f"{branch} is at {head} by now, and this run is of {commit}."
        say(f"{stack} is left as it is: {text}")
        advice = "The run of the newer commit deploys both; to go back to an older one, revert."
        report.publish(stack, "newest", f"### `{stack}` was left as it is\n\n{text} {advice}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
