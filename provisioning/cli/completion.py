"""`completion`: the commands by a short name, completed by the shell."""

from __future__ import annotations

import os
import shlex
import sys
from enum import StrEnum
from typing import Annotated

import typer

VARIABLE = "_PROVISIONING_COMPLETE"
"""Set by the shell's script, to ask for completions instead of running the command."""


class Shell(StrEnum):
    """For which shell."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


# Typer's own scripts call an executable file by name; this program is a module, so that a function stands for it.
SCRIPTS = {
    Shell.BASH: """provisioning() {{ {command} "$@"; }}
_provisioning_completion() {{
    local IFS=$'\\n'
    COMPREPLY=($(COMP_WORDS="${{COMP_WORDS[*]}}" COMP_CWORD=$COMP_CWORD {variable}=complete_bash provisioning))
}}
complete -o default -F _provisioning_completion provisioning""",
    Shell.ZSH: """provisioning() {{ {command} "$@"; }}
_provisioning_completion() {{
    eval $(_TYPER_COMPLETE_ARGS="${{words[1,$CURRENT]}}" {variable}=complete_zsh provisioning)
}}
compdef _provisioning_completion provisioning""",
    Shell.FISH: """function provisioning; {command} $argv; end
function _provisioning_completion
    _TYPER_COMPLETE_FISH_ACTION=$argv[1] _TYPER_COMPLETE_ARGS=(commandline -cp) {variable}=complete_fish provisioning
end
complete --command provisioning --no-files --condition "_provisioning_completion is-args" \\
    --arguments "(_provisioning_completion get-args)\"""",
}


def completion(shell: Annotated[Shell, typer.Argument(help="The shell that reads it.")]) -> None:
    """Print a script that makes `provisioning` a command of your shell, with completion."""
    print(SCRIPTS[shell].format(command=f"{shlex.quote(sys.executable)} -m provisioning", variable=VARIABLE))


def prepare() -> None:
    """Have Typer understand the questions of its shell scripts; it does so by itself only with scripts of its own."""
    if VARIABLE in os.environ:
        from typer._completion_classes import completion_init  # noqa: PLC0415 - nobody else needs it

        completion_init()
