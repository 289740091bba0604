"""What a job prints of the outside: no system that reads its log takes any of it for a command.

The judges are the rules of Azure DevOps' agent and GitHub's runner, written again from their public source: both read
line by line, and compare by the rules of a language, which pass over characters that nobody sees.
"""

from __future__ import annotations

import re
import subprocess
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.job_log import REPLACEMENT, harmless, visible
from pipelines.steps import report
from sandbox.place import PROJECT

LINE_BREAKS = re.compile(r"\r\n|\r|\n")


def seen_by_a_language(line: str) -> str:
    """A line without what comparisons pass over; everything beyond ASCII here, to be on the safe side."""
    return re.sub(r"[^\x20-\x7e]", "", line)


def obeyed_by_azure_devops(text: str) -> bool:
    """The agent takes `##vso[` anywhere in a line."""
    return any("##vso[" in seen_by_a_language(line).lower() for line in LINE_BREAKS.split(text))


def obeyed_by_github(text: str) -> bool:
    """The runner takes `##[` anywhere in a line, and `::` behind blanks."""
    lines = [seen_by_a_language(line) for line in LINE_BREAKS.split(text)]
    return any("##[" in line or line.lstrip().startswith("::") for line in lines)


COMMANDS = [
    "##vso[task.setvariable variable=BASH_ENV]$(id)",
    "a field called ##vso[task.setvariable variable=BASH_ENV]$(id)",
    "###vso[task.complete result=Succeeded;]",
    "####vso[task.complete result=Succeeded;]##vso[task.complete]",
    "##VSO[task.complete result=Succeeded;]",
    "#\u00ad#vso[task.complete]",
    "##v\u200bso[task.complete]",
    "##vso\u2060[task.complete]",
    "##vs\x00o[task.complete]",
    "#\ufe0f#vso[task.complete]",
    "##[error]something",
    "text ##[command]rm",
    "##\u034f[group]x",
    "::error::something",
    "  ::add-mask::a",
    "\t::set-output name=newest::true",
    "\u00a0::error::x",
    "\ufeff::error::x",
    "\u200b::error::x",
    ":\u200b:error::x",
    ":::error::x",
    "one line\n::error::the next",
    "one line\r::error::the next",
    "one line\r\n ##vso[task.complete]",
]


@pytest.mark.parametrize("text", COMMANDS)
def test_no_command_is_left(text: str) -> None:
    assert obeyed_by_azure_devops(text) or obeyed_by_github(text)
    printed = harmless(text)
    assert not obeyed_by_azure_devops(printed)
    assert not obeyed_by_github(printed)
    assert harmless(printed) == printed


PIECES = st.sampled_from([*"#:vso[] \n\r\t\u200b\u00a0\u00ad\x1b", "##vso[", "##[", "::", "a"])


@given(st.lists(PIECES).map("".join))
def test_no_command_can_be_made(text: str) -> None:
    printed = harmless(text)
    assert not obeyed_by_azure_devops(printed)
    assert not obeyed_by_github(printed)


@given(st.text())
def test_nothing_moves_the_cursor_or_turns_the_writing_round(text: str) -> None:
    assert {unicodedata.category(letter) for letter in visible(text) if letter not in "\n\t"}.isdisjoint(
        {"Cc", "Cf", "Zl", "Zp"}
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "azure: 7 created\n",
        "https://nocobase.example.com/admin",
        "Größe: 1 | — │ ✓\n\tnext",
        "urn:pulumi:a::b::c",
        "## x",
    ],
)
def test_what_is_no_command_stays_as_it_is(text: str) -> None:
    assert harmless(text) == text


def test_what_is_not_seen_is_shown() -> None:
    assert visible("a\x1b[31mb\u202ec\u2028d") == f"a{REPLACEMENT}[31mb{REPLACEMENT}c{REPLACEMENT}d"


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("main", "`main`"),
        ("a`b", "`` a`b ``"),
        ("a``", "``` a`` ```"),
        ("a\nb", "`a b`"),
        ("", "` `"),
        ("\x1b", f"`{REPLACEMENT}`"),
    ],
)
def test_a_word_within_a_sentence_is_no_markdown(text: str, span: str) -> None:
    assert report.code_span(text) == span


STEP = "from pipelines.steps.running import run; ended = run({python!r}, '-c', {child!r}); print(repr(ended.errors))"
CHILD = "import sys; print('::error::out', flush=True); print('##vso[task.complete]', file=sys.stderr, end='')"


def printed(environment: dict[str, str]) -> list[str]:
    """What a step prints that runs CHILD, without the line that names the command."""
    step = STEP.format(python=sys.executable, child=CHILD)
    ended = subprocess.run(
        [sys.executable, "-c", step], cwd=PROJECT, env=environment, capture_output=True, text=True, check=True
    )
    return ended.stdout.splitlines()[1:]


def test_on_github_commands_are_stopped_while_a_program_prints() -> None:
    first, *between, end, errors = printed({"GITHUB_ACTIONS": "true"})
    token = first.removeprefix("::stop-commands::")
    assert re.fullmatch("[0-9a-f]{32}", token)
    assert end == f"::{token}::"
    assert sorted(filter(None, between)) == ["# #vso[task.complete]", ": :error::out"]
    # What is decided by is what was said.
    assert errors == "'##vso[task.complete]'"


def test_elsewhere_nothing_is_added() -> None:
    assert [line for line in printed({}) if line.startswith("::")] == []
