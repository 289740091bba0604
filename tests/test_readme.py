"""The README is short, and names what there is to run."""

from __future__ import annotations

import re

from tests.pages import PROJECT, bare, page

README = page("README.md")
MOST_WORDS = 1800


def test_it_is_short() -> None:
    assert len(README.text.split()) <= MOST_WORDS


def test_a_file_that_its_commands_write_is_ignored_by_git() -> None:
    # Else the folder counts as changed, and the daily run of a pipeline deploys nothing: pipelines/README.md.
    ignored = (PROJECT / ".gitignore").read_text().split()
    written = re.findall(r"> ([\w.]+)`", README.text)
    assert written == ["status.html"]
    assert {f"/{file}" for file in written} <= set(ignored)


def test_every_make_target_is_in_its_table() -> None:
    targets = set(re.findall(r"^([a-z]+):", (PROJECT / "Makefile").read_text(), re.MULTILINE))
    named = {bare(row[0]).removeprefix("make ") for row in README.table("command", "what it does")}
    assert named == targets - {"help", "lock"}
