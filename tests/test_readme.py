"""The README is short, and names what there is to run."""

from __future__ import annotations

import re

from tests.pages import PROJECT, bare, page

README = page("README.md")
MOST_WORDS = 1800


def test_it_is_short() -> None:
    assert len(README.text.split()) <= MOST_WORDS


def test_every_make_target_is_in_its_table() -> None:
    targets = set(re.findall(r"^([a-z]+):", (PROJECT / "Makefile").read_text(), re.MULTILINE))
    named = {bare(row[0]).removeprefix("make ") for row in README.table("command", "what it does")}
    assert named == targets - {"help", "lock"}
