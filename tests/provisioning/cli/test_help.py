"""`--help`: what it says is in docs/commands.md, and it answers without the heavy libraries."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from provisioning import __version__, interpreter
from provisioning.cli import EXIT_CODES, NAME, app
from provisioning.entra.rules import Audience, why_invalid_audience
from provisioning.interpreter import why_unusable
from sandbox.cli import app as sandbox_app
from tests.golden import PROJECT, check
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
    said = CliRunner().invoke(app, ["status", "--format", "no-such-format"])
    assert said.exit_code == 2
    assert "Invalid value for '--format': 'no-such-format' is not one of" in said.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has it")
@pytest.mark.parametrize("program", ["provisioning", "sandbox"])
def test_a_full_disk_is_told_in_a_sentence(program: str) -> None:
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-m", program, "--version"]
        ended = subprocess.run(command, cwd=PROJECT, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert ended.returncode == 1
    assert re.fullmatch(r"The output could not be written: .+ Make room, then run the command again\.\n", ended.stderr)


GOLDEN = Path(__file__).parent / "golden"

PROGRAMS = {NAME: app, "python -m sandbox": sandbox_app}
every_program = pytest.mark.parametrize("name", PROGRAMS)


@every_program
def test_the_version_is_printed(name: str) -> None:
    said = CliRunner().invoke(PROGRAMS[name], ["--version"])
    assert (said.exit_code, said.stdout) == (0, f"{__version__}\n")


@every_program
@pytest.mark.parametrize("columns", [80, 120])
def test_help_is_whole_on_a_terminal(name: str, columns: int) -> None:
    program, short = PROGRAMS[name], name.rpartition(" ")[2]
    shown = []
    for command in ["", *helps(program, name)]:
        said = CliRunner().invoke(program, [*command.split(), "-h"], prog_name=name, terminal_width=columns)
        assert [line for line in said.output.splitlines() if len(line) > columns] == []
        shown.append(said.output)
    text = "\n".join(shown)
    assert re.findall(r"[a-z]\.\.\.\n|<(?:str|int|list)\b|\{|\bTEXT \[|--output|--json", text) == []
    check(GOLDEN / f"help-{short}-{columns}.txt", shown[0])


def test_stack_and_all_mean_one_thing() -> None:
    shown = {
        command: dict(re.findall(r"^  (-s, --stack NAME|--all)  +(.*)$", HELPS[command], re.M)) for command in HELPS
    }
    assert {said["--all"] for said in shown.values() if "--all" in said} == {"Every stack of this project."}
    assert [command for command in HELPS if "-s, --stack NAME" not in shown[command]] == ["explain"]


def test_the_audiences_that_can_be_chosen_are_named() -> None:
    said = " ".join(HELPS["init"].split())
    assert [
        one
        for one in Audience
        if (re.search(rf"\b{one}\b", said) is not None) is (why_invalid_audience(one) is not None)
    ] == []


@pytest.mark.parametrize("arguments", [["status", "-s", "prod"], ["up", "prod"], ["up", "-s", "prod"]])
def test_one_stack_and_all_of_them_are_not_meant_together(arguments: list[str]) -> None:
    said = CliRunner().invoke(app, [*arguments, "--all"])
    assert (said.exit_code, said.stderr) == (2, "Either the name of a stack or --all: which is meant?\n")


@pytest.mark.parametrize("program", ["provisioning", "sandbox", "sandbox.bench", "sandbox.nocobase3"])
def test_outside_the_virtualenv_a_sentence_says_how_to_get_into_it(program: str) -> None:
    # -S leaves the packages out, as a Python that has none.
    ended = subprocess.run(
        [sys.executable, "-S", "-m", program], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 1
    assert re.match("The package '[a-z]+' is missing", ended.stderr)
    assert ended.stderr.count("\n") == 1


def test_where_the_virtualenv_is_or_is_made_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(interpreter, "PROJECT", tmp_path)
    monkeypatch.setattr(sys, "executable", "python3")
    missing = ModuleNotFoundError("No module named 'rich.text'", name="rich.text")
    told = "The package 'rich.text' is missing: python3 is not this project's virtualenv."
    made = ". .venv/bin/activate"
    assert why_unusable(missing, "pulumi install") == (
        f"{told} Make and activate it, then run the command again: pulumi install && {made}"
    )
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    (tmp_path / ".venv" / "bin" / "activate").touch()
    assert why_unusable(missing, "make up") == f"{told} Activate it, then run the command again: {made}"
    monkeypatch.setattr(sys, "prefix", str(tmp_path / ".venv"))
    assert why_unusable(missing, "make up") == (
        "The package 'rich.text' is missing in the virtualenv. Install what is missing: make up"
    )
    monkeypatch.setattr(sys, "version_info", (3, 9, 2))
    assert (why_unusable(ImportError("cannot import name 'StrEnum'"), "make up") or "").startswith(
        "Python 3.11 or newer is needed, and python3 is 3.9.2."
    )


def test_a_module_of_the_projects_own_that_is_missing_is_no_want_of_the_virtualenv() -> None:
    assert why_unusable(ModuleNotFoundError("x", name="provisioning.cli.none"), "make up") is None
    assert why_unusable(ImportError("cannot import name"), "make up") is None
