"""`--help`: what it says is in the README, and it answers without the heavy libraries."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from typer.testing import CliRunner

from provisioning.cli import EXIT_CODES, NAME, app

README = Path(__file__).parents[3] / "README.md"

HEAVY = ("msgraph", "pulumi", "azure", "pydantic_settings", "httpx", "grpc")
"""Each takes longer than all that help needs; Typer itself imports pydantic."""


def helps(*path: str) -> list[tuple[str, str]]:
    """The usage line and the help of every command below `path`, in the order of `--help`."""
    said = CliRunner().invoke(app, [*path, "--help"], prog_name=NAME, terminal_width=1000, max_content_width=1000)
    assert said.exit_code == 0
    if "\nCommands:\n" not in said.output:
        return [(said.output.splitlines()[0], said.output)]
    listed = said.output.split("\nCommands:\n")[1].split("\n\n")[0]
    names = re.findall(r"^  (\S+)", listed, re.MULTILINE)
    return [found for name in names for found in helps(*path, name)]


def summary(usage: str, text: str) -> list[str]:
    """The row that the README is to have for a command."""
    command = usage.removeprefix(f"Usage: {NAME} ").replace(" [OPTIONS]", "")
    options = re.findall(r"^  (?:-\w, )?(--[\w-]+)", text, re.MULTILINE)
    first_sentence = re.split(r"(?<=\.) |\n", text.split("\n\n")[1].strip())[0]
    return [f"`{command}`", ", ".join(f"`{option}`" for option in options if option != "--help"), first_sentence]


def section() -> str:
    """The README's section on commands."""
    return README.read_text().split("\n## Commands\n")[1].split("\n## ")[0]


def rows(head: str) -> list[list[str]]:
    """The cells of the section's table that starts with `head`."""
    table = section().split(f"| {head} |")[1].split("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in table]


def test_the_readme_has_every_command_with_its_options_and_the_first_sentence_of_its_help() -> None:
    assert rows("command") == [summary(usage, text) for usage, text in helps()]


def test_the_readme_has_the_exit_codes_of_the_help() -> None:
    said = CliRunner().invoke(app, ["--help"], prog_name=NAME, terminal_width=1000, max_content_width=1000).output
    assert rows("exit code") == [[str(code), meaning] for code, meaning in EXIT_CODES.items()]
    assert f"Exit codes: {'; '.join(f'{code} {meaning}' for code, meaning in EXIT_CODES.items())}." in said


def test_help_of_no_command_imports_anything_heavy() -> None:
    commands = [usage.removeprefix(f"Usage: {NAME} ").split(" [OPTIONS]")[0].split() for usage, _ in helps()]
    assert ["secrets", "prune"] in commands
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
