"""A shell on a terminal, to which a person types, and what that terminal shows in the end.

The screen is drawn as a terminal draws it: what a program writes over is gone, and what is too long goes on in the
next line. Colours are left aside.
"""

from __future__ import annotations

import codecs
import os
import pty
import re
import select
import subprocess
import termios
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from unicodedata import east_asian_width

READY = "\x1b]0;ready\x07"
"""What the shell writes before each prompt: a title, of which nothing is seen."""

PROMPT = "$ "

PATIENCE_SECONDS = 120.0
"""How long nothing may be written."""

PARTS = re.compile(
    r"\x1b\[(?P<numbers>[?\d;]*)(?P<command>[A-Za-z])|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)"
    r"|\x1b(?P<short>[^\[\]])|(?P<text>[^\x1b])"
)
UNFINISHED = re.compile(r"\x1b(?:\[[?\d;]*|\][^\x07\x1b]*\x1b?)?$")


class Screen:
    """All lines that a terminal of `columns` has shown, the scrolled ones included, as the last writer left them."""

    def __init__(self, columns: int) -> None:
        self._columns = columns
        self._lines: list[list[str]] = [[]]
        self._row = 0
        self._column = 0
        self._kept = (0, 0)
        self._unfinished = ""

    def write(self, text: str) -> None:
        """Show what a program writes, which may end in the middle of a sequence."""
        text = self._unfinished + text
        found = UNFINISHED.search(text)
        self._unfinished = found[0] if found else ""
        for part in PARTS.finditer(text.removesuffix(self._unfinished)):
            if part["command"]:
                self._obey(part["command"], part["numbers"])
            elif part["short"] == "7":
                self._kept = (self._row, self._column)
            elif part["short"] == "8":
                self._row, self._column = self._kept
            elif part["text"]:
                self._put(part["text"])

    @property
    def text(self) -> str:
        """The lines, without the blanks at their ends."""
        return "\n".join("".join(line).rstrip() for line in self._lines)

    def _put(self, letter: str) -> None:
        if letter == "\r":
            self._column = 0
        elif letter == "\n":
            self._go_to(self._row + 1)
        elif letter == "\b":
            self._column = max(0, self._column - 1)
        elif letter.isprintable():
            width = 2 if east_asian_width(letter) in "WF" else 1
            if self._column + width > self._columns:
                self._go_to(self._row + 1)
                self._column = 0
            line = self._lines[self._row]
            line += " " * (self._column + width - len(line))
            line[self._column : self._column + width] = [letter, ""][:width]
            self._column += width

    def _go_to(self, row: int) -> None:
        self._row = max(0, row)
        self._lines += [[] for _ in range(self._row + 1 - len(self._lines))]

    def _obey(self, command: str, numbers: str) -> None:
        count = int(numbers) if numbers.isdigit() else 0
        match command:
            case "A" | "F":
                self._go_to(self._row - max(count, 1))
            case "B" | "E":
                self._go_to(self._row + max(count, 1))
            case "C":
                self._column = min(self._columns, self._column + max(count, 1))
            case "D":
                self._column = max(0, self._column - max(count, 1))
            case "G":
                self._column = max(count, 1) - 1
            case "K" if count == 2:
                self._lines[self._row] = []
            case "K":
                del self._lines[self._row][self._column :]
            case "J":
                del self._lines[self._row][self._column :]
                del self._lines[self._row + 1 :]
        if command in "EF":
            self._column = 0


class Person:
    """Types to a shell on a terminal. raw: all that was written."""

    def __init__(self, terminal: int, columns: int) -> None:
        self._terminal = terminal
        self._screen = Screen(columns)
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self.raw = ""
        self._typed = 0

    @property
    def seen(self) -> str:
        """What the terminal shows."""
        return self._screen.text

    def answers(self, question: str, typed: str) -> None:
        """Wait for `question`, and type an answer to it."""
        while question not in PARTS.sub(r"\g<text>", self.raw[self._typed :]):
            self._read()
        self._write(f"{typed}\n")

    def answers_unseen(self, typed: str) -> None:
        """Wait until the terminal shows nothing of what is typed, and type a secret."""
        ends = time.monotonic() + PATIENCE_SECONDS
        while termios.tcgetattr(self._terminal)[3] & termios.ECHO:
            assert time.monotonic() < ends, f"what is typed would be seen:\n{self.seen}"
            time.sleep(0.01)
        self._write(f"{typed}\n")

    def runs(self, command: str, *answers: tuple[str | None, str]) -> str:
        """Type a command at the prompt, and its answers: question and what is typed. Returns what is seen of it."""
        self._waits_for_prompt()
        begun = len(self.seen) - len(PROMPT.rstrip())
        self._write(f"{command}\n")
        for question, typed in answers:
            if question is None:
                self.answers_unseen(typed)
            else:
                self.answers(question, typed)
        self._waits_for_prompt()
        return self.seen[begun:].removesuffix(PROMPT.rstrip())

    def _waits_for_prompt(self) -> None:
        while not self.raw[self._typed :].endswith(READY + PROMPT):
            self._read()

    def _write(self, text: str) -> None:
        self._typed = len(self.raw)
        os.write(self._terminal, text.encode())

    def _read(self) -> None:
        readable, _, _ = select.select([self._terminal], [], [], PATIENCE_SECONDS)
        assert readable, f"nothing is written any more:\n{self.seen}"
        text = self._decoder.decode(os.read(self._terminal, 65536))
        self.raw += text
        self._screen.write(text)
        if "\x1b[6n" in text:  # where is the cursor?
            os.write(self._terminal, b"\x1b[1;1R")


@contextmanager
def shell(folder: Path, variables: Mapping[str, str], columns: int = 80, rows: int = 60) -> Iterator[Person]:
    """A bash in `folder`, with nothing but `variables` in its environment."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (rows, columns))
    around = {"TERM": "xterm-256color", **variables}
    # A session's leader that opens a terminal gets it for its own: only then does Ctrl-C reach what it runs.
    prompt, terminal = f"PS1=\\[{READY}\\]{PROMPT}", os.ttyname(theirs)
    command = ["bash", "-c", 'exec env "$0" bash --norc --noediting -i <>"$1" >&0 2>&0', prompt, terminal]
    with subprocess.Popen(command, cwd=folder, env=around, start_new_session=True) as process:
        try:
            yield Person(ours, columns)
        finally:
            process.kill()
            os.close(theirs)
            os.close(ours)
