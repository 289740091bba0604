"""What a terminal cannot show is plain ASCII, in each program that a person starts."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from provisioning.plain_text import PLAIN
from provisioning.status import timeline

PRINT = "from provisioning.plain_text import use_plain_marks; use_plain_marks(); print('Büro → ✓ ✗ … █░ 日')"


@pytest.mark.parametrize(
    ("encoding", "shown"),
    [
        ("utf-8", "Büro → ✓ ✗ … █░ 日"),
        ("iso-8859-1", "Büro -> OK failed ... #- ?"),
        ("ascii", "B?ro -> OK failed ... #- ?"),
    ],
)
def test_marks_become_plain_where_the_terminal_cannot_show_them(encoding: str, shown: str) -> None:
    around = {**os.environ, "PYTHONIOENCODING": encoding}
    said = subprocess.run([sys.executable, "-c", PRINT], env=around, capture_output=True, check=True)
    assert said.stdout.decode(encoding).strip() == shown


def test_a_command_prints_its_arrows() -> None:
    around = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    command = [sys.executable, "-m", "provisioning", "explain", "AADSTS7000215"]
    said = subprocess.run(command, env=around, capture_output=True, check=True)
    assert "-> " in said.stdout.decode("ascii")


def test_plain_marks_are_plain() -> None:
    assert all(mark.isascii() for mark in PLAIN.values())


def test_a_drawing_has_no_mark_that_cannot_be_plain() -> None:
    marks = [*(look.character for look in timeline.LOOKS.values()), timeline.TODAY]
    plain = {PLAIN.get(mark, mark) for mark in marks}
    assert len(plain) == len(marks)
    assert "".join(plain).isascii()
