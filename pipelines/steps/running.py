"""Runs one command of a step: its output is shown as it comes, and kept."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from pipelines import sign_in
from pipelines.job_log import foreign, say
from provisioning import pins
from provisioning.errors import ProvisioningError
from provisioning.plain_text import use_plain_marks
from provisioning.pulumi_cli import Pulumi
from provisioning.variables import forget_unresolved

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


NOT_FOR_PROGRAMS = ("GITHUB_TOKEN", "GITLAB_TOKEN")
"""Tokens with which a step asks its own system; no program that it runs needs them."""


def cli_folder() -> Path:
    """Where the Pulumi CLI of the pinned version is, if a pipeline installed it."""
    home = os.environ.get("PULUMI_HOME") or Path.home() / ".pulumi"
    return Path(home) / "versions" / pins.version(pins.CLI)


def environment(inherited: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The step's own variables for a program, with the installed CLI first on PATH and this Python last.

    The image of a job may bring a Pulumi of its own, of another version.
    """
    own = (str(cli_folder() / "bin"), inherited.get("PATH", os.defpath), str(Path(sys.executable).parent))
    kept = {name: value for name, value in inherited.items() if name not in NOT_FOR_PROGRAMS}
    # What a Python program prints is read as UTF-8, whatever the locale says.
    return {**kept, "PATH": os.pathsep.join(own), "PYTHONIOENCODING": "utf-8"}


def run(*command: str) -> Ended:
    """Run `command` to its end. Where this step is told to stop, the command is told once.

    `pulumi` then ends the change that it is making, writes its state and releases its lock. Without a token for a
    backend that needs one, the command does not begin; the error's sentence is what it said.
    """
    print(f"$ {' '.join(command)}", flush=True)
    try:
        with sign_in.backend(environment()) as variables:
            return _run(command, variables)
    except (ProvisioningError, FileNotFoundError) as error:
        ended = _not_begun(command, error)
        say(ended.errors.rstrip())
        return ended


def _not_begun(command: Sequence[str], error: ProvisioningError | FileNotFoundError) -> Ended:
    why = str(error)
    if isinstance(error, FileNotFoundError):
        why = f"The command `{command[0]}` was not found. Install it: pipelines/steps/install.sh"
    return Ended(1, f"{why}\n", errors=f"{why}\n")


def _run(command: Sequence[str], variables: Mapping[str, str]) -> Ended:
    process = subprocess.Popen(
        command,
        env=dict(variables),
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
    with process, foreign(), _passing_on(process) as stopped:
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


def look(*command: str) -> Ended:
    """How a command that changes nothing ends. Nothing of it is shown."""
    try:
        with sign_in.backend(environment()) as variables:
            ended = subprocess.run(
                command,
                env=variables,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                encoding="utf-8",
                errors="replace",
                check=False,
            )
    except (ProvisioningError, FileNotFoundError) as error:
        return _not_begun(command, error)
    return Ended(ended.returncode, ended.stdout + ended.stderr, printed=ended.stdout, errors=ended.stderr)


def ask(stack: str, *arguments: str) -> str:
    """What a `pulumi` command that changes nothing prints. Raises EngineFailed, SignInUnusable and NoPipelineToken."""
    with sign_in.backend(environment()) as variables:
        return Pulumi(stack, variables).ask(*arguments)


def stack_argument(description: str | None, signs_in: bool = True) -> str:
    """The stack that the step was called with, where it has no other argument; see `arguments`."""
    stack: str = arguments(step_parser(description), signs_in).stack
    return stack


def step_parser(description: str | None) -> argparse.ArgumentParser:
    """A parser for a step's arguments, of which the first is the stack."""
    parser = argparse.ArgumentParser(description=(description or "").partition("\n")[0])
    parser.add_argument("stack")
    return parser


def arguments(parser: argparse.ArgumentParser, signs_in: bool = True) -> argparse.Namespace:
    """What the step was called with; from here on, the step can print whatever it meets.

    The step's variables are checked first: those that were left unresolved count as not set. Ends the step with exit
    code 1 if one is missing that signs the job in. signs_in: whether it has to.
    """
    # What a command says in UTF-8 must not end a step whose log has another encoding.
    use_plain_marks()
    given = parser.parse_args()
    for name in forget_unresolved():
        say(f"{name} is not set: it refers to a variable that does not exist, and counts as unset.")
    try:
        missing = sign_in.what_is_missing() if signs_in else []
    except ProvisioningError as error:
        missing = [str(error)]
    for sentence in missing:
        say(sentence)
    if missing:
        say("Nothing was done. pipelines/README.md describes what to set on each system; then run the job again.")
        raise SystemExit(1)
    return given
