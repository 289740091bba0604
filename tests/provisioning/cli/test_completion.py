"""`completion`: the shells themselves are asked what they complete."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

from provisioning.cli import app
from provisioning.cli.completion import Shell

PROJECT = Path(__file__).parents[3]

ASK = {
    Shell.BASH: 'COMP_WORDS=(provisioning "$1"); COMP_CWORD=1; _provisioning_completion; echo "${COMPREPLY[@]}"',
    # In a terminal, compinit brings the functions that BEFORE defines.
    Shell.ZSH: 'words=(provisioning "$1"); CURRENT=2; _provisioning_completion',
    Shell.FISH: 'complete -C "provisioning $argv[1]"',
}
BEFORE = {Shell.ZSH: 'compdef() { :; }\n_arguments() { echo "$@"; }\n_files() { :; }\n'}


@pytest.mark.parametrize("shell", list(Shell))
def test_the_shell_completes_commands_and_knows_when_there_are_none(shell: Shell) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    script = BEFORE.get(shell, "") + CliRunner().invoke(app, ["completion", shell]).output + "\n" + ASK[shell]

    def complete(typed: str) -> str:
        # zsh and bash take a name for $0 first.
        arguments = [shell, "-c", script, *([] if shell is Shell.FISH else [shell]), typed]
        return subprocess.run(arguments, cwd=PROJECT, capture_output=True, text=True, check=True).stdout

    assert "status" in complete("sta")
    assert "secrets" not in complete("sta")
    assert "status" not in complete("xyz")


@pytest.mark.parametrize("shell", list(Shell))
def test_the_command_itself_runs_by_its_short_name(shell: Shell) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    script = BEFORE.get(shell, "") + CliRunner().invoke(app, ["completion", shell]).output + "\nprovisioning --help"
    said = subprocess.run([shell, "-c", script], cwd=PROJECT, capture_output=True, text=True, check=True).stdout
    assert "Usage: python -m provisioning" in said
