"""Runs one command of a step: its output is shown as it comes, and kept."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from pipelines.job_log import foreign, say
from provisioning import pins
from provisioning.plain_text import use_plain_marks

STOPS = (signal.SIGINT, signal.SIGTERM)
"""What a system sends to the step of a run that is cancelled."""


@dataclass(frozen=True)
class Ended:
    """How a command ended.

    said: everything that it printed. stopped: whether this step was told to stop meanwhile. printed, errors: its stdout
    and its stderr alone. `pulumi` prints what programs and servers say to stdout, and its own last error to stderr.
    """

    code: int
    said: str
    stopped: bool = False
    printed: str = ""
    errors: str = ""


def cli_folder() -> Path:
    """Where the Pulumi CLI of the pinned version is, if a pipeline installed it."""
    return Path.home() / ".pulumi" / "versions" / pins.version(pins.CLI)


def environment(inherited: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The step's own variables, with the installed CLI and this Python last on PATH."""
    last = (str(cli_folder() / "bin"), str(Path(sys.executable).parent))
    path = os.pathsep.join([inherited.get("PATH", os.defpath), *last])
    # What a Python program prints is read as UTF-8, whatever the locale says.
    return {**inherited, "PATH": path, "PYTHONIOENCODING": "utf-8"}


def run(*command: str) -> Ended:
    """Run `command` to its end. Where this step is told to stop, the command is told once.

    `pulumi` then ends the change that it is making, writes its state and releases its lock.
    """
    print(f"$ {' '.join(command)}", flush=True)
    process = subprocess.Popen(
        command,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # `pulumi` writes UTF-8, whatever the locale says.
        encoding="utf-8",
        errors="replace",
        # A session of its own: a signal to the step's whole group must not count twice, which would end it at once.
        start_new_session=True,
    )
    said: list[tuple[bool, str]] = []

    def follow(stream: IO[str], of_stderr: bool) -> None:
        for line in stream:
            with at_a_time:
                said.append((of_stderr, line))
                # Ended here, too: the end of one stream and a line of the other must not make a command together.
                say(line.removesuffix("\n"))

    assert process.stdout is not None
    assert process.stderr is not None
    at_a_time = threading.Lock()
    beside = threading.Thread(target=follow, args=(process.stderr, True))
    with foreign(), _passing_on(process) as stopped:
        beside.start()
        follow(process.stdout, of_stderr=False)
        beside.join()
        code = process.wait()
    printed, errors = ("".join(line for of_stderr, line in said if of_stderr is which) for which in (False, True))
    return Ended(code, "".join(line for _, line in said), stopped(), printed, errors)


@contextmanager
def _passing_on(process: subprocess.Popen[str]) -> Iterator[Callable[[], bool]]:
    told = False

    def stop(_number: int, _frame: object) -> None:
        nonlocal told
        if not told:
            told = True
            process.send_signal(signal.SIGINT)

    before = {number: signal.signal(number, stop) for number in STOPS}
    try:
        yield lambda: told
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def stack_argument(description: str | None) -> str:
    """The stack that the step was called with; from here on, the step can print whatever it meets."""
    parser = argparse.ArgumentParser(description=(description or "").partition("\n")[0])
    parser.add_argument("stack")
    # What a command says in UTF-8 must not end a step whose log has another encoding.
    use_plain_marks()
    stack: str = parser.parse_args().stack
    return stack
