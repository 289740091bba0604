"""`--help`: what it says is in docs/commands.md, and it answers without the heavy libraries."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from provisioning import __version__
from provisioning.cli import EXIT_CODES, NAME, app
from tests.pages import help_of, helps, options, page

COMMANDS = page("docs/commands.md")

HEAVY = ("msgraph", "pulumi", "azure", "pydantic_settings", "httpx", "grpc", "prometheus_client")
"""Each takes longer than all that help needs; Typer itself imports pydantic."""

HELPS = helps(app, NAME)


def summary(text: str) -> list[str]:
    """The row that the page is to have for a command with this help."""
    command = text.splitlines()[0].removeprefix(f"Usage: {NAME} ").replace(" [OPTIONS]", "")
    first_sentence = re.split(r"(?<=\.) |\n", text.split("\n\n")[1].strip())[0]
    return [f"`{command}`", ", ".join(f"`{option}`" for option in options(text)), first_sentence]


@pytest.mark.parametrize("command", HELPS)
def test_the_page_has_the_command_with_its_options_and_the_first_sentence_of_its_help(command: str) -> None:
    row = summary(HELPS[command])
    assert next((found for found in COMMANDS.table("command") if found[0] == row[0]), None) == row


def test_the_page_has_no_other_commands() -> None:
    known = {summary(text)[0] for text in HELPS.values()}
    assert [row[0] for row in COMMANDS.table("command") if row[0] not in known] == []


def test_the_page_has_the_exit_codes_of_the_help() -> None:
    assert COMMANDS.table("exit code") == [[str(code), meaning] for code, meaning in EXIT_CODES.items()]
    codes = "; ".join(f"{code} {meaning}" for code, meaning in EXIT_CODES.items())
    assert f"Exit codes: {codes}." in help_of(app, NAME)


def test_help_of_no_command_imports_anything_heavy() -> None:
    commands = [command.split() for command in HELPS]
    assert ["status"] in commands
    program = f"""
import sys
from typer.testing import CliRunner
from provisioning.cli import app
for command in {[[], *commands]!r}:
    assert "Usage:" in CliRunner().invoke(app, [*command, "--help"]).output
print([name for name in {HEAVY!r} if name in sys.modules])
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ended.stdout == "[]\n"


def test_a_mistyped_command_is_exit_code_2() -> None:
    assert CliRunner().invoke(app, ["no-such-command"]).exit_code == 2
    assert CliRunner().invoke(app, ["status", "--format", "no-such-format"]).exit_code == 2


def test_the_version_is_printed() -> None:
    said = CliRunner().invoke(app, ["--version"])
    assert (said.exit_code, said.stdout) == (0, f"{__version__}\n")
