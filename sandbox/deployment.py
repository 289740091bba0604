"""Runs the real engine on the sandbox's stack and follows its events."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sandbox import processes
from sandbox.environment import environment
from sandbox.errors import SandboxError
from sandbox.place import Place
from sandbox.setup import load_record
from sandbox.steps import Report

STACK = "dev"


@dataclass(frozen=True)
class Outcome:
    """What an operation did: how many resources were created, updated, deleted, replaced, left the same."""

    changes: Mapping[str, int]

    @property
    def unchanged(self) -> bool:
        """Whether there was nothing to do."""
        return set(self.changes) <= {"same"}

    def __str__(self) -> str:
        counts = ", ".join(f"{count} {_WORDS.get(kind, kind)}" for kind, count in sorted(self.changes.items()))
        return "nothing changed" if self.unchanged else counts


_WORDS = {"same": "unchanged", "create": "created", "update": "updated", "delete": "deleted", "replace": "replaced"}


def up(place: Place, report: Report) -> Outcome:
    """`pulumi up` on the stack, which is made if it is not there. Raises SandboxError with the engine's own errors."""
    _pulumi(place, "stack", "select", "--create", STACK)
    return _operation(place, report, "up", "--skip-preview")


def destroy(place: Place, report: Report) -> Outcome:
    """`pulumi destroy --refresh` on the stack: what was removed by hand does not stop it then."""
    return _operation(place, report, "destroy", "--skip-preview", "--refresh")


def outputs(place: Place) -> dict[str, Any]:
    """The stack's outputs; secret ones are not shown."""
    answer = _pulumi(place, "stack", "output", "--json", "--stack", STACK)
    found: dict[str, Any] = json.loads(answer)
    return found


def exists(place: Place) -> bool:
    """Whether the stack was ever made in this sandbox."""
    return any(place.pulumi_state.glob(f".pulumi/stacks/*/{STACK}.json"))


def _operation(place: Place, report: Report, *command: str) -> Outcome:
    errors: list[str] = []
    changes: dict[str, int] = {}
    arguments = [*command, "--stack", STACK, "--yes", "--non-interactive", "--json"]
    code = 0
    for event in _events(place, command[0], arguments):
        if "code" in event:
            code = event["code"]
        if pre := event.get("resourcePreEvent"):
            metadata = pre["metadata"]
            if metadata["op"] != "same":
                report(f"{metadata['op']} {metadata['type'].rpartition(':')[2]} {metadata['urn'].rpartition('::')[2]}")
        if (said := event.get("diagnosticEvent")) and said["severity"] in ("error", "info#err"):
            errors.append(said["message"].strip())
        if summary := event.get("summaryEvent"):
            changes = summary.get("resourceChanges") or {}
    if code != 0:
        detail = "\n".join(dict.fromkeys(errors)) or processes.log_tail(place, command[0])
        raise SandboxError(f"pulumi {command[0]} failed: {detail}", f"The log: {processes.log_file(place, command[0])}")
    return Outcome(changes)


def _events(place: Place, name: str, arguments: Sequence[str]) -> Iterator[dict[str, Any]]:
    """The engine's events, one by one, and at last one with its exit code; all but debug output is kept in a log."""
    place.logs.mkdir(parents=True, exist_ok=True)
    with (
        processes.log_file(place, name).open("w") as log,
        subprocess.Popen(
            [load_record(place).cli, *arguments],
            cwd=place.project,
            env={**os.environ, **environment(place)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as engine,
    ):
        assert engine.stdout is not None
        for line in engine.stdout:
            try:
                event = json.loads(line)
            except json.JSONDecodeError:
                log.write(line)
                continue
            if event.get("diagnosticEvent", {}).get("severity") != "debug":
                log.write(line)
                yield event
    yield {"code": engine.returncode}


def _pulumi(place: Place, *arguments: str) -> str:
    ended = subprocess.run(
        [load_record(place).cli, *arguments, "--non-interactive"],
        cwd=place.project,
        env={**os.environ, **environment(place)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if ended.returncode != 0:
        raise SandboxError(
            f"pulumi {' '.join(arguments)} failed: {ended.stderr.strip()}", "See `python -m sandbox env`."
        )
    return ended.stdout
