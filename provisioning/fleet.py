"""Many stacks at once: which ones are meant, what became of each, and a runner in which none stops another.

Nothing here knows the engine: `provisioning.engine` deploys one stack, and `cli.up` shows the progress.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import StrEnum
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Protocol

LONGEST_SENTENCE = 300
"""Characters of an error that a table is given; the whole of it is told when it happens."""

WORDS = {"create": "created", "update": "updated", "delete": "deleted", "replace": "replaced", "refresh": "read"}
"""What the engine calls a change, and what has become of the resource then."""


class Outcome(StrEnum):
    """What became of one stack."""

    CHANGED = "changed"
    UNCHANGED = "unchanged"
    WOULD_CHANGE = "would change"
    """In a preview."""
    FAILED = "failed"
    STOPPED = "stopped"
    """The person ended the run before this stack was done; what it had begun, the next run goes on with."""
    LEFT_OUT = "left out"
    """It was not tried, and `error` says why."""

    @property
    def bad(self) -> bool:
        """Whether the run as a whole failed because of it."""
        return self in (Outcome.FAILED, Outcome.STOPPED)


@dataclass(frozen=True)
class Result:
    """What became of one stack.

    changes: how many resources were (in a preview: would be) created, updated, deleted or replaced. seconds: from its
    own beginning. error: in one line, empty if there is none; detail: all that was said about it.
    """

    stack: str
    outcome: Outcome
    changes: Mapping[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    error: str = ""
    detail: str = ""

    @property
    def counts(self) -> str:
        """The changes in words; empty if there are none."""
        done = self.outcome is not Outcome.WOULD_CHANGE
        named = sorted(self.changes.items())
        return ", ".join(f"{count} {WORDS.get(kind, kind) if done else f'to {kind}'}" for kind, count in named)


@dataclass(frozen=True)
class Choice:
    """stacks: those to deploy, by the backend's names, in their order. left_out: those that are not tried, and why."""

    stacks: tuple[str, ...]
    left_out: tuple[Result, ...]


class Watch(Protocol):
    """Is told what happens, from several threads."""

    def began(self, stack: str) -> None: ...
    def step(self, stack: str, step: str) -> None: ...
    def ended(self, result: Result) -> None: ...


def configured(folder: Path) -> set[str]:
    """The stacks that have a configuration file in the project's `folder`."""
    names = (re.fullmatch(r"Pulumi\.(.+)\.ya?ml", file.name) for file in folder.glob("Pulumi.*.y*ml"))
    # Pulumi.<stack>.deploy.yaml holds the settings of Pulumi Deployments.
    return {name[1] for name in names if name and not name[1].endswith(".deploy")}


def choose(
    files: Collection[str], backend: Collection[str], patterns: Sequence[str], excepted: Sequence[str] = ()
) -> Choice:
    """Which stacks to deploy: those with a configuration file in this folder that the backend knows, too.

    backend: its names, which may begin with an organization (`acme/prod`); that is no part of a stack's own name.
    patterns: names, or patterns such as `prod-*`; a stack is meant if it matches one of them and none of `excepted`.
    A name without a pattern that is not there is a failure; what a pattern meets and cannot be deployed is left out.
    """
    known: dict[str, list[str]] = {}
    for full in sorted(backend):
        known.setdefault(full.rpartition("/")[2], []).append(full)
    everything = sorted({*files, *known})
    meant = [name for name in everything if _matches(name, patterns) and not _matches(name, excepted)]
    reasons = {name: _obstacle(name, name in files, known.get(name, [])) for name in meant}
    nowhere = [name for name in patterns if name not in everything and not set(name) & set("*?[")]
    reasons |= dict.fromkeys(nowhere, "there is no such stack, neither in this folder nor in the backend")
    left_out = [
        Result(name, Outcome.FAILED if name in patterns else Outcome.LEFT_OUT, error=reason, detail=reason)
        for name, reason in sorted(reasons.items())
        if reason
    ]
    return Choice(tuple(known[name][0] for name in meant if not reasons[name]), tuple(left_out))


def _obstacle(name: str, has_file: bool, known: Sequence[str]) -> str:
    """Why a stack cannot be deployed; empty if it can."""
    if not has_file:
        return f"there is no Pulumi.{name}.yaml in this folder"
    if len(known) > 1:
        return f"which of them is meant? {', '.join(known)}"
    return "" if known else f"the backend has no such stack; make it by `pulumi stack init {name}`"


def run(stacks: Sequence[str], deploy: Callable[[str, Watch], Result], parallel: int, watch: Watch) -> list[Result]:
    """Deploy the stacks, `parallel` at a time, and return one result for each, in their order.

    deploy: one stack; whatever it raises is that stack's failure alone.
    """

    def one(stack: str) -> Result:
        started = time.monotonic()
        try:
            result = deploy(stack, watch)
        except Exception as error:  # a stack must not end the others, whatever it meets
            detail = f"{type(error).__name__}: {error}"
            result = Result(stack, Outcome.FAILED, {}, time.monotonic() - started, sentence([detail]), detail)
        watch.ended(result)
        return result

    with ThreadPoolExecutor(max(parallel, 1)) as pool:
        return list(pool.map(one, stacks))


def sentence(messages: Sequence[str]) -> str:
    """An error in one line: the first thing that was said, shortened to what a table can hold."""
    said = (re.sub(r"\s+", " ", message).strip() for message in messages)
    first = next(filter(None, said), "it failed without a word")
    return first if len(first) <= LONGEST_SENTENCE else f"{first[: LONGEST_SENTENCE - 1].rstrip()}…"


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)
