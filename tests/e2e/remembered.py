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

ENGINE = (["version"], ["plugin", "ls"])
"""Questions whose answers depend on no stack."""

SETTINGS = (["config", "--json"],)
"""Questions about the stacks' settings."""

STATE = (["about", "--json"], ["stack", "--show-name"], ["stack", "export"], ["stack", "ls"], ["stack", "output"])
"""Questions about the stacks and their states."""

BACKEND = (["whoami", "--json"],)
"""Questions about where the states are."""

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
    if program != "pulumi" or not _is_one_of((*ENGINE, *BACKEND, *SETTINGS, *STATE), arguments):
        return None
    names = ["PATH", "PULUMI_HOME"]
    if _is_one_of(ENGINE, arguments):
        return *command, *((name, environment.get(name)) for name in names)
    names += ["PULUMI_BACKEND_URL", "PULUMI_STACK"]
    decrypts = bool({"--show-secrets", "output"} & set(arguments))
    if decrypts:
        names += ["PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE"]
    files: list[Path] = []
    backend = Path(environment.get("PULUMI_BACKEND_URL", "").removeprefix("file://"), ".pulumi", "stacks")
    if decrypts or _is_one_of(SETTINGS, arguments):
        files += Path.cwd().glob("Pulumi*.yaml")
    if _is_one_of(STATE, arguments):
        files += [*backend.rglob("*.json"), *Path(environment.get("PULUMI_HOME", ""), "workspaces").rglob("*.json")]
    stacks = sorted(map(str, backend.rglob("*.json")))
    return *command, *((name, environment.get(name)) for name in names), str(Path.cwd()), *stacks, _content(files)


def _is_one_of(questions: Sequence[list[str]], arguments: list[str]) -> bool:
    return any(arguments[: len(known)] == known for known in questions)


def _content(files: list[Path]) -> str:
    found = sha256()
    for file in sorted(files):
        found.update(f"{file}|{file.stat().st_size}|".encode() + file.read_bytes())
    return found.hexdigest()
