"""Runs the real engine on the sandbox's stack and follows its events."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from provisioning.errors import EngineFailed
from provisioning.fleet.runner import WORDS
from provisioning.pulumi_cli import Pulumi
from provisioning.pulumi_events import Diagnostic, Event, StepBegun
from sandbox import processes
from sandbox.dev_stack import STACK
from sandbox.environment import environment
from sandbox.errors import SandboxError
from sandbox.place import Place
from sandbox.setup import load_record
from sandbox.steps import Report


def up(place: Place, report: Report) -> str:
    """`pulumi up` on the stack, which is made if it is not there; what it changed, in words.

    Raises SandboxError with the engine's own errors.
    """
    _ask(place, "stack", "select", "--create")
    return _operation(place, report, "up")


def destroy(place: Place, report: Report) -> str:
    """`pulumi destroy` on the stack."""
    return _operation(place, report, "destroy")


def outputs(place: Place) -> dict[str, Any]:
    """The stack's outputs; secret ones are not shown. Raises SandboxError."""
    found: dict[str, Any] = json.loads(_ask(place, "stack", "output", "--json"))
    return found


def exists(place: Place) -> bool:
    """Whether the stack was ever made in this sandbox."""
    return any(place.pulumi_state.glob(f".pulumi/stacks/*/{STACK}.json"))


def described(changes: Mapping[str, int]) -> str:
    """What an operation changed, in words."""
    counts = [f"{count} {WORDS.get(operation, operation)}" for operation, count in sorted(changes.items())]
    return ", ".join(counts) or "nothing changed"


def _operation(place: Place, report: Report, name: str, *options: str) -> str:
    """Run an operation, what it says in a log; what it changed, in words."""
    place.logs.mkdir(parents=True, exist_ok=True)
    with processes.log_file(place, name).open("w", encoding="utf-8") as log:

        def follow(event: Event) -> None:
            match event:
                case StepBegun() if event.is_change:
                    step = f"{event.words} {event.urn.rpartition('::')[2]}"
                    report(step)
                    print(step, file=log, flush=True)
                case Diagnostic(severity, message):
                    print(f"{severity}: {message.rstrip()}", file=log, flush=True)

        try:
            ended = _engine(place).operate(name, *options, on_event=follow)
        except EngineFailed as error:
            raise _failed(error) from None
        log.write(ended.said)
    if not ended.succeeded:
        errors = "\n".join(filter(None, ended.errors)) or processes.log_tail(place, name)
        said = f"pulumi {name} failed: {errors}" if errors else f"pulumi {name} was ended."
        raise SandboxError(said, f"The log: {processes.log_file(place, name)}")
    return described(ended.changes)


def _ask(place: Place, *arguments: str) -> str:
    try:
        return _engine(place).ask(*arguments)
    except EngineFailed as error:
        raise _failed(error) from None


def _engine(place: Place) -> Pulumi:
    return Pulumi(STACK, environment(place), place.project, load_record(place).cli)


def _failed(error: EngineFailed) -> SandboxError:
    return SandboxError(str(error), "See `python -m sandbox env`.")
