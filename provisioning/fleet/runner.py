"""Many stacks at once: what became of each, and a runner in which none stops another.

Nothing here knows the engine: `deploy` deploys one stack, and `cli.up` shows the progress.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from provisioning.errors import ProvisioningError

LONGEST_SENTENCE = 300
"""Characters of an error that a table is given; the whole of it is told when it happens."""

WORDS = {
    "create": "created",
    "update": "updated",
    "delete": "deleted",
    "replace": "replaced",
    "refresh": "read",
    "import": "taken over",
}
"""What the engine calls a change, and what has become of the resource then."""


class StackOutcome(StrEnum):
    """What became of one stack."""

    CHANGED = "changed"
    UNCHANGED = "unchanged"
    WOULD_CHANGE = "would change"
    """In a preview."""
    FAILED = "failed"
    STOPPED = "stopped"
    """The person ended the run before this stack was done; the next run resumes what it had begun."""
    LEFT_OUT = "left out"
    """It was not tried, and `error` says why."""

    @property
    def bad(self) -> bool:
        """Whether the run as a whole failed because of it."""
        return self in (StackOutcome.FAILED, StackOutcome.STOPPED)


@dataclass(frozen=True)
class Result:
    """What became of one stack.

    changes: how many resources were created, updated, deleted or replaced; or would be, if `foreseen`. seconds: from
    its own beginning. error: in one line, empty if there is none; detail: all that was said of it, or is left to do.
    """

    stack: str
    outcome: StackOutcome
    changes: Mapping[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    error: str = ""
    detail: str = ""
    foreseen: bool = False

    @property
    def counts(self) -> str:
        """The changes in words; empty if there are none."""
        named = sorted(self.changes.items())
        return ", ".join(f"{count} {f'to {kind}' if self.foreseen else WORDS.get(kind, kind)}" for kind, count in named)


class Watch(Protocol):
    """Is told what happens, from several threads."""

    def began(self, stack: str) -> None: ...
    def step(self, stack: str, step: str) -> None: ...
    def ended(self, result: Result) -> None: ...


def run(stacks: Sequence[str], deploy: Callable[[str, Watch], Result], parallel: int, watch: Watch) -> list[Result]:
    """Deploy the stacks, `parallel` at a time, and return one result for each, in their order.

    deploy: one stack; whatever it raises is that stack's failure alone.
    """

    def one(stack: str) -> Result:
        started = time.monotonic()
        try:
            result = deploy(stack, watch)
        except Exception as error:  # a stack must not end the others, whatever it meets
            detail = str(error) if isinstance(error, ProvisioningError) else f"{type(error).__name__}: {error}"
            result = Result(
                stack,
                StackOutcome.FAILED,
                changes={},
                seconds=time.monotonic() - started,
                error=sentence([detail]),
                detail=detail,
            )
        watch.ended(result)
        return result

    with ThreadPoolExecutor(max(parallel, 1)) as pool:
        return list(pool.map(one, stacks))


def sentence(messages: Sequence[str]) -> str:
    """An error in one line: the first thing that was said, shortened to what a table can hold."""
    said = (re.sub(r"\s+", " ", message).strip() for message in messages)
    first = next(filter(None, said), "it failed without a word")
    return first if len(first) <= LONGEST_SENTENCE else f"{first[: LONGEST_SENTENCE - 1].rstrip()}…"
