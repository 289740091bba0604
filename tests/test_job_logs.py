"""The readers of job logs in the tests with hostile text see what the systems that run jobs would obey."""

from __future__ import annotations

import pytest

from tests.job_logs import commands, hidden


@pytest.mark.parametrize(
    "line",
    [
        "##vso[task.setvariable variable=BASH_ENV]$(x)",
        "changed: ##VSO[task.complete result=Failed;]done",
        "harmless\r##vso[task.debug]x",
        "##\u200bvso[task.debug]x",
        "::error::x",
        "   ::set-output name=x::y",
        "harmless\n::add-mask::x",
        "in the middle ##[error]x",
    ],
)
def test_a_command_is_seen(line: str) -> None:
    assert len(commands(line)) == 1


@pytest.mark.parametrize(
    "line",
    [
        "# #vso[task.debug]x",
        "##vso",
        "##vso[no command]",
        "a ::error::x",
        ": :error::x",
        "::1",
        "urn:pulumi:a::b::c",
        "##[]",
    ],
)
def test_what_is_no_command_is_left_alone(line: str) -> None:
    assert commands(line) == []


def test_what_acts_or_hides_is_named() -> None:
    assert hidden("a\nb") == []
    assert hidden("\x1b\u202e\u2028\x85\ud800") == ["U+001B", "U+202E", "U+2028", "U+0085", "U+D800"]
