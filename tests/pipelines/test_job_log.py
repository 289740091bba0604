"""What a job prints of the outside: no system that reads its log takes any of it for a command.

It is read by the rules of Azure DevOps' agent and GitHub's runner, written again from their public source: both read
line by line, and compare by the rules of a language, which ignore invisible characters.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioning.foreign import LONGEST_MESSAGE, harmless, harmless_lines, visible_lines
from sandbox.place import PROJECT
from tests.job_logs import hidden

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
    "é::error::x",
    ":é:error::x",
    "#é#[error]x",
    "one line\n::error::the next",
    "one line\r::error::the next",
    "one line\r\n ##vso[task.complete]",
]


FORMS = pytest.mark.parametrize("form", [harmless, harmless_lines], ids=lambda form: form.__name__)


@FORMS
@pytest.mark.parametrize("text", COMMANDS)
def test_no_command_is_left(text: str, form: Callable[[str], str]) -> None:
    assert obeyed_by_azure_devops(text) or obeyed_by_github(text)
    printed = form(text)
    assert not obeyed_by_azure_devops(printed)
    assert not obeyed_by_github(printed)
    assert form(printed) == printed


PIECES = st.sampled_from([*"#:vso[] \n\r\t\u200b\u00a0\u00ad\x1b", "##vso[", "##[", "::", "a"])


@FORMS
@given(text=st.lists(PIECES).map("".join))
def test_no_command_can_be_made(text: str, form: Callable[[str], str]) -> None:
    printed = form(text)
    assert not obeyed_by_azure_devops(printed)
    assert not obeyed_by_github(printed)


@given(st.text())
def test_nothing_moves_the_cursor_or_turns_the_writing_round(text: str) -> None:
    assert hidden(visible_lines(text)) == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "azure: 7 created\n",
        "https://nocobase.example.com/admin",
        "Größe: 1 | — │ ✓\n    next",
        "urn:pulumi:a::b::c",
        "## x",
    ],
)
def test_what_is_no_command_stays_as_it_is(text: str) -> None:
    assert harmless_lines(text) == text


def test_what_is_not_seen_is_shown() -> None:
    assert visible_lines("a\x1b[31mb\u202ec\u2028d\r\n\te\rf") == "a\\x1b[31mb\\u202ec\\u2028d\n    e\\x0df"


def test_a_log_is_not_cut() -> None:
    assert harmless_lines("x" * 3 * LONGEST_MESSAGE) == "x" * 3 * LONGEST_MESSAGE


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


def test_the_end_of_one_stream_and_a_line_of_the_other_make_no_command() -> None:
    child = "import sys; print('#', end='', flush=True); print('#vso[task.complete]', file=sys.stderr, end='')"
    step = STEP.format(python=sys.executable, child=child)
    ended = subprocess.run(
        [sys.executable, "-c", step], cwd=PROJECT, env={}, capture_output=True, text=True, check=True
    )
    assert sorted(ended.stdout.splitlines()[1:3]) == ["#", "#vso[task.complete]"]
