"""Commands of other programs: with a deadline, without a shell, and what they print is kept off the terminal."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from typing import IO

from provisioning import waiting
from provisioning.foreign import one_line

OWN_SECRETS = ("NOCOBASE_API_KEY", "NOCOBASE_PASSWORD", "PULUMI_CONFIG_PASSPHRASE", "PULUMI_ACCESS_TOKEN")
"""How the variables begin that no other program needs: the logins to NocoBase, and what opens the stack's state."""

LONGEST_ANSWER = 5_000_000
"""Bytes of what a command prints that are read."""


class CommandFailed(Exception):
    """A command could not be started, or did not end in time; the message says which."""


@dataclass(frozen=True)
class Ran:
    """How a command ended. out, err: what it printed."""

    code: int
    out: bytes = field(repr=False)
    err: bytes = field(repr=False)

    @property
    def last_words(self) -> str:
        """The last line that it printed, for people."""
        lines = (self.err or self.out)[-LONGEST_ANSWER:].decode("utf-8", "replace").split("\n")
        return one_line(next((line.strip() for line in reversed(lines) if line.strip()), ""))


def run(
    command: Sequence[str],
    seconds: float,
    given: bytes = b"",
    environment: Mapping[str, str] = os.environ,
    in_memory: bool = False,
) -> Ran:
    """Run `command`, an executable and its arguments. seconds: how long it may take. given: its standard input.

    in_memory: whether what it is given and prints, which is little, is kept off the disk.
    Raises CommandFailed, and Interrupted; the command is ended then, with all that it started.
    """
    env = {name: value for name, value in environment.items() if not name.startswith(OWN_SECRETS)}
    with ExitStack() as files:
        try:
            stdin, out, err = (files.enter_context(_file(in_memory)) for _ in range(3))
            stdin.write(given)
            stdin.seek(0)
        except OSError as error:
            raise CommandFailed(f"there is no room for what it prints: {error.strerror}") from None
        waiting.go_on()
        try:
            process = subprocess.Popen(
                [*command], stdin=stdin, stdout=out, stderr=err, env=env, start_new_session=True, close_fds=True
            )
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else "it is no command"
            raise CommandFailed(f"it cannot be started: {reason}") from None
        ends = time.monotonic() + seconds
        try:
            with waiting.waiting_aloud(f"`{one_line(command[0])}`", seconds) as goes_on:
                while True:
                    waiting.go_on()
                    with suppress(subprocess.TimeoutExpired):
                        code = process.wait(waiting.LOOK_SECONDS)
                        return Ran(code, _content(out), _content(err))
                    if time.monotonic() >= ends:
                        raise CommandFailed(f"it did not end within {seconds:.0f} s")
                    goes_on()
        finally:
            if process.poll() is None:
                _end(process)


def _file(in_memory: bool) -> IO[bytes]:
    """A file that nobody else can open."""
    if in_memory and hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("command"), "w+b")
    return tempfile.TemporaryFile()


def _end(process: subprocess.Popen[bytes]) -> None:
    with suppress(OSError):
        os.killpg(process.pid, signal.SIGKILL) if hasattr(os, "killpg") else process.kill()
    process.wait()


def _content(file: IO[bytes]) -> bytes:
    end = file.seek(0, os.SEEK_END)
    file.seek(max(0, end - LONGEST_ANSWER))
    return file.read()
