"""The terminal of the recorded sessions: it shows what a terminal shows, and secrets are typed unseen."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.terminal import Screen, shell


@pytest.mark.parametrize(
    ("written", "seen"),
    [
        ("one\r\ntwo", "one\ntwo"),
        ("one\rtwo!", "two!"),
        ("0123456789", "01234567\n89"),
        ("old\r\nold\x1b[1A\r\x1b[2Knew", "new\nold"),
        ("old\r\nold\x1b[1A\r\x1b[Jnew", "new"),
        ("\x1b7old\x1b8ne\x1b[K", "ne"),
        ("\x1b]0;title\x07one\x1b]8;;https://x\x1b\\two\x1b[1;31m3\x1b[0m", "onetwo3"),
        ("ab\x1b[2Dx\x1b[C!", "xb!"),
    ],
)
def test_what_is_seen(written: str, seen: str) -> None:
    at_once, by_letters = Screen(8), Screen(8)
    at_once.write(written)
    for letter in written:
        by_letters.write(letter)
    assert (at_once.text, by_letters.text) == (seen, seen)


def test_a_person_types_to_a_shell(tmp_path: Path) -> None:
    with shell(tmp_path, {"PATH": os.environ["PATH"], "ASKED": "Who"}) as person:
        assert person.runs('read -rp "$ASKED? " WHO; echo "It is $WHO."', ("Who? ", "me")).endswith(
            "Who? me\nIt is me.\n"
        )
        person.runs("read -rs KEY", (None, "s3cr3t"))
        assert person.runs("echo ${#KEY}") == "$ echo ${#KEY}\n6\n"
    assert "s3cr3t" not in person.raw
