"""What the engine answered to a question is remembered for as long as its files stay the same.

The commands beside `pulumi` ask it for the same state and settings again and again, at a third of a second each.
"""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any
from unittest import mock

OF_THE_ENGINE = (["version"], ["plugin", "ls"])
"""Questions whose answers depend on no stack."""

OF_A_STACK = (
    ["about", "--json"],
    ["config", "--json"],
    ["stack", "--show-name"],
    ["stack", "export"],
    ["stack", "ls"],
    ["stack", "output"],
    ["whoami"],
)
"""Questions whose answers come from the stacks' files and from nowhere else."""

Ended = subprocess.CompletedProcess[Any]

_ANSWERS: dict[object, Ended] = {}
_LOCK = threading.Lock()


@contextmanager
def remembering() -> Iterator[None]:
    """Ask the engine each question once, from this process, for one state of its files and variables."""
    run = subprocess.run

    def remembered(command: Sequence[str], *rest: Any, **options: Any) -> Ended:
        question = _question(list(command), options.get("env") or os.environ)
        if question is None:
            return run(command, *rest, **options)
        with _LOCK:
            if question not in _ANSWERS:
                _ANSWERS[question] = run(command, *rest, **options)
            return _ANSWERS[question]

    with mock.patch("subprocess.run", remembered):
        yield


def _question(command: list[str], environment: Mapping[str, str]) -> object:
    """All that the answer depends on; None where the command is no question."""
    program, *arguments = command
    if program != "pulumi":
        return None
    names = {"PATH", "PULUMI_HOME"}
    if any(arguments[: len(known)] == known for known in OF_THE_ENGINE):
        return _key(command, environment, names)
    if not any(arguments[: len(known)] == known for known in OF_A_STACK):
        return None
    names |= {"PULUMI_BACKEND_URL", "PULUMI_STACK"}
    if "--show-secrets" in arguments:
        names |= {"PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE"}
    return *_key(command, environment, names), str(Path.cwd()), _content(environment)


def _key(command: list[str], environment: Mapping[str, str], names: set[str]) -> tuple[object, ...]:
    return (*command, *((name, environment.get(name)) for name in sorted(names)))


def _content(environment: Mapping[str, str]) -> str:
    """A hash of the project's settings, of the state in files, and of which stack is selected."""
    state = environment.get("PULUMI_BACKEND_URL", "").removeprefix("file://")
    found = sha256()
    files = [*Path.cwd().glob("Pulumi*.yaml"), *Path(state, ".pulumi", "stacks").rglob("*.json")]
    for file in sorted([*files, *Path(environment.get("PULUMI_HOME", ""), "workspaces").rglob("*.json")]):
        found.update(f"{file}|{file.stat().st_size}|".encode() + file.read_bytes())
    return found.hexdigest()
