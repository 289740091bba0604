"""Golden output: what people read, kept in files beside the tests, and commands as they run on a terminal and piped.

A run with GOLDEN=write in the environment writes the files anew; the difference is then read by a person, in git.
"""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

PROJECT = Path(__file__).parents[1]
COLUMNS = "80"


def check(file: Path, text: str) -> None:
    """Compare `text`, what varies in it masked by the caller, with the golden file."""
    if os.environ.get("GOLDEN") == "write":
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
    assert text == file.read_text()


def piped(
    arguments: Sequence[str], cwd: Path = PROJECT, extra: Mapping[str, str] | None = None, stdin: str = ""
) -> subprocess.CompletedProcess[str]:
    """`python -m provisioning` with `arguments`, stdout and stderr in pipes."""
    command = [sys.executable, "-m", "provisioning", *arguments]
    environment = {**os.environ, **(extra or {})}
    return subprocess.run(command, cwd=cwd, env=environment, input=stdin, capture_output=True, text=True, check=False)


def on_terminal(
    arguments: Sequence[str],
    cwd: Path = PROJECT,
    extra: Mapping[str, str] | None = None,
    typed: str = "",
    columns: str = COLUMNS,
) -> tuple[str, int]:
    """What `python -m provisioning` with `arguments` leaves on a terminal, and its exit code.

    typed: what a person types ahead. columns: how wide the terminal is.
    """
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": columns, **(extra or {})}
    environment.pop("NO_COLOR", None)
    command = [sys.executable, "-m", "provisioning", *arguments]
    with subprocess.Popen(command, cwd=cwd, env=environment, stdin=theirs, stdout=theirs, stderr=theirs) as program:
        os.close(theirs)
        os.write(ours, typed.encode())
        shown = b""
        while select.select([ours], [], [], 120)[0]:
            try:
                chunk = os.read(ours, 65536)
            except OSError:  # so Linux says that the other side was closed
                break
            if not chunk:
                break
            shown += chunk
        else:
            program.kill()  # it waits for an answer that nobody gives
    os.close(ours)
    return settled(shown.decode().replace("\r\n", "\n")), program.returncode


LIVE = re.compile(
    r"\x1b\[\?25l(?:(?:\r\x1b\[2K)?[\u2800-\u28ff] \x1b\[2m[^\x1b]*\x1b\[0m *)+\n\x1b\[\?25h\r\x1b\[1A\x1b\[2K"
)
"""The line of what is waited for, from its first picture to its end."""


def settled(shown: str) -> str:
    """What is left on a terminal: without the live line, however often it was drawn."""
    return LIVE.sub("", shown)
