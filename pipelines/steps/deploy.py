"""`pulumi up` on a stack, which also does whatever of a rotation is due.

An earlier run that was cancelled or killed is resumed. With `--only newest` or `--only deployed` the stack is left as
it is if another commit is checked out than the newest of the branch, or the one that was last deployed to this stack:
approvals come late and in any order, and what nobody approved is not deployed by a daily run.
"""

from __future__ import annotations

import itertools
import json
import os
import socket
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

from pipelines import commits, manual_run, policy
from pipelines.job_log import say
from pipelines.steps import locks, report
from pipelines.steps.running import Ended, arguments, ask, run, step_parser
from provisioning.errors import CommitUnknown, ProvisioningError
from provisioning.foreign import code_span, one_line

PENDING = "pending operations from previous deployment"
"""What the engine warns of after a run that was killed in the middle of a change; a program may say so, too."""

OWNER = "NOCOBASE_OUTLOOK_LOCK_OWNER"
"""The variable with the pattern for `user@host` of the pipeline's own jobs."""


def deploy(stack: str) -> Ended:
    """Deploy, and resume what an earlier run of the pipeline left half-done.

    Its lock is removed. Where the deployment fails, or the state still has a pending operation, the state is compared
    with what is there, and it is tried once more.
    """
    if (failed := _validated(stack)) is not None:
        return failed
    ended = _up(stack)
    if found := locks.locked(ended):
        now = datetime.now(UTC)
        lock = locks.left_behind(found, os.environ.get(OWNER, ""), socket.gethostname(), _runs, now)
        if lock is None or not locks.remove(lock):
            return _held(ended, locks.described(stack, found, now))
        say(f"An earlier run of this pipeline ({lock.maker}) was killed and left its lock; it is removed.")
        ended = _up(stack)
        if found := locks.locked(ended):
            return _held(ended, locks.described(stack, found, now))
    if ended.stopped or (ended.code == 0 and not (PENDING in ended.said and _pending(stack))):
        return ended
    print("The state is compared with what is there, and the deployment is tried once more.", flush=True)
    refreshed = run("pulumi", "refresh", "--yes", "--skip-preview", "--clear-pending-creates", *_options(stack))
    if refreshed.code != 0:
        return refreshed
    return ended if refreshed.stopped else _up(stack)


def _held(ended: Ended, why: str) -> Ended:
    """`ended`, with what a person has to know of the locks."""
    say(why)
    return replace(ended, said=f"{ended.said}\n{why}\n")


def _pending(stack: str) -> bool:
    """Whether the state has a pending operation: one whose end the engine did not see."""
    try:
        state = json.loads(ask(stack, "stack", "export"))
    except ProvisioningError as error:
        say(str(error))
        return True
    return bool((state.get("deployment") or {}).get("pending_operations"))


def why_left(stack: str, only: str | None) -> str | None:
    """Why this commit must not be deployed; None if it may be.

    Raises CommitUnknown, EngineFailed, SignInUnusable and NoPipelineToken.
    """
    if only is None:
        return None
    here = commits.checked_out()
    if only == NEWEST:
        there, named = commits.newest(), code_span(one_line(commits.branch()))
        advice = "The run of the newer commit deploys both; to return to an older one, revert."
        return None if here == there else f"{named} is at {there} by now, and this run is of {here}. {advice}"
    try:
        there = commits.last_deployed(history(stack)) or ""
    except CommitUnknown as error:
        raise CommitUnknown(f"{error} {manual_run.has_it_deployed()}") from None
    if here == there:
        return None
    state = f"was last deployed from {there}" if there else "is not deployed"
    return f"The stack {state}, and this run is of {here}. The next daily run goes by that."


def history(stack: str) -> Iterator[str]:
    """The pages of a stack's history, each asked for when it is needed; see commits.last_deployed.

    Raises EngineFailed, SignInUnusable and NoPipelineToken.
    """
    for page in itertools.count(1):
        yield ask(stack, "stack", "history", "--json", "--page-size", str(commits.PAGE), "--page", str(page))


NEWEST, DEPLOYED = "newest", "deployed"


def _validated(stack: str) -> Ended | None:
    """The preview that fails by the policy pack, before anything is changed; None if it succeeds, or there is no pack.

    Without it `pulumi up` would stop at the first violation, when other resources have been changed already.
    """
    if not policy.options():
        return None
    ended = run("pulumi", "preview", *_options(stack), *policy.options())
    return None if ended.code == 0 and not ended.stopped else ended


def _up(stack: str) -> Ended:
    return run("pulumi", "up", "--yes", "--skip-preview", *_options(stack), *policy.options())


def _options(stack: str) -> tuple[str, ...]:
    return ("--stack", stack, "--color", "never", "--non-interactive")


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # somebody else's, but there
    return True


def main() -> int:
    """Deploy, and say how it ended by the exit code; the output `deployed` is false if the stack was left as it is."""
    parser = step_parser(__doc__)
    parser.add_argument("--only", choices=(NEWEST, DEPLOYED))
    given = arguments(parser)
    stack: str = given.stack
    try:
        left = why_left(stack, given.only)
    except ProvisioningError as error:
        say(str(error))
        report.publish(stack, "deploy", f"### Deployment of `{stack}` failed\n\n{report.fenced(str(error))}")
        return 1
    report.output("deployed", "false" if left else "true")
    if left:
        say(f"{stack} is left as it is. {left}")
        report.publish(stack, "deploy", f"### `{stack}` was left as it is\n\n{left}\n")
        return 0
    ended = deploy(stack)
    outcome = "" if ended.code == 0 else " failed"
    report.publish(stack, "deploy", f"### Deployment of `{stack}`{outcome}\n\n{report.fenced(ended.said)}")
    return ended.code


if __name__ == "__main__":
    sys.exit(main())
