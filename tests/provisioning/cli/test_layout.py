"""How texts and tables fit a terminal: no id, address or command is broken."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rich.text import Text

from provisioning.cli.common import Format, Plain, show_rows
from provisioning.cli.layout import fits, named, table, wrapped

ID = "0a1b2c3d-0000-4000-8000-000000000001"

COLUMNS = ("slot", "description", "issued", "days left")
ROWS = [[Text(cell) for cell in ("a", "NocoBase mail a 2027-01-01", "2027-01-01", "85")]]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("A sentence that is longer than a line", ["A sentence that is longer than", "a line"]),
        ("! A warning that is longer than a line", ["! A warning that is longer", "  than a line"]),
        ("    → A remedy is longer than a line", ["    → A remedy is longer than", "      a line"]),
        (f"  It is {ID} now", ["  It is", f"  {ID}", "  now"]),
        ("To do it, run `pulumi up --stack prod` now", ["To do it, run", "`pulumi up --stack prod` now"]),
        ("To adopt it: python -m provisioning adopt --yes", ["To adopt it:", "python -m provisioning adopt --yes"]),
        (
            "    read -rs NOCOBASE_API_KEY && export NOCOBASE_API_KEY",
            ["    read -rs NOCOBASE_API_KEY && export NOCOBASE_API_KEY"],
        ),
        (
            "  → pulumi config set consent tenant, then pulumi up.",
            ["  → pulumi config set consent tenant,", "    then pulumi up."],
        ),
        ("first\n\n  second", ["first", "", "  second"]),
    ],
)
def test_words_wrap_at_blanks_with_a_hanging_indent(text: str, shown: list[str]) -> None:
    assert wrapped(Text(text), 30).plain.split("\n") == shown


@given(st.text(" ab→`-", max_size=60), st.integers(1, 40))
def test_nothing_is_lost(text: str, width: int) -> None:
    assert wrapped(Text(text), width).plain.split() == text.split()


def lines(shown: object, width: int) -> list[str]:
    console = Console(file=io.StringIO(), width=width)
    console.print(shown)
    assert isinstance(console.file, io.StringIO)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def test_columns_are_as_wide_as_their_longest_words_at_least() -> None:
    assert lines(table(COLUMNS, ROWS, 40, numbers=[3]), 40) == [
        "                                    days",
        "slot  description       issued      left",
        "─" * 40,
        "a     NocoBase mail a   2027-01-01    85",
        "      2027-01-01",
    ]
    assert lines(table(COLUMNS, ROWS, 100), 100)[2].startswith("a     NocoBase mail a 2027-01-01  2027-01-01  85")
    assert [fits(COLUMNS, ROWS, width) for width in (34, 35, 100)] == [False, True, True]


def test_values_hang_below_each_other() -> None:
    shown = named(["stack", "application"], [Text("prod"), Text(f"NocoBase mail ({ID}) of the whole company")], 55)
    assert shown.plain.split("\n") == [
        "stack        prod",
        "application  NocoBase mail",
        f"             ({ID}) of",
        "             the whole company",
    ]


def test_a_table_that_does_not_fit_is_shown_thing_by_thing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "50")
    show_rows([{"name": "mail", "client ID": ID, "object ID": ID}] * 2, Format.TABLE)
    one = ["name       mail", f"client ID  {ID}", f"object ID  {ID}"]
    assert capsys.readouterr().out.splitlines() == [*one, "", *one]


@pytest.mark.parametrize("terminal", [True, False])
def test_a_terminal_gets_whole_words_and_a_pipe_whole_lines(terminal: bool) -> None:
    console = Plain(file=io.StringIO(), width=40, force_terminal=terminal)
    console.print(f"! The application {ID} is not there")
    assert isinstance(console.file, io.StringIO)
    assert (f"\n  {ID}\n" in console.file.getvalue()) is terminal


def test_a_command_to_copy_stays_whole() -> None:
    command = "    python -m provisioning adopt 0a1b2c3d-0000-4000-8000-000000000001 --yes"
    assert wrapped(Text(f"Run this command, if you know who made it:\n{command}"), 30).plain.splitlines()[-1] == command


def test_a_command_at_the_end_of_a_sentence_stays_whole() -> None:
    said = "Correct it, or restore the default (180): pulumi config rm secretLifetimeDays"
    assert wrapped(Text(said), 60).plain.splitlines() == [said[:41], said[42:]]
    said = "Write it as a list: pulumi config rm scopes, then pulumi config set --path 'scopes[0]' <value>"
    assert wrapped(Text(said), 60).plain.splitlines() == [
        "Write it as a list: pulumi config rm scopes, then",
        "pulumi config set --path 'scopes[0]' <value>",
    ]
