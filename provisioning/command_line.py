"""What every program of commands here has in common: `-h`, `--version`, and a list of commands with whole sentences."""

from __future__ import annotations

import errno
import os
import re
import sys
from collections.abc import Mapping
from typing import Annotated

import typer
from typer._click import Context, HelpFormatter  # Typer has no public names of the classes that it overrides
from typer._click.exceptions import BadParameter
from typer.core import TyperCommand, TyperGroup

from provisioning import __version__


class Command(TyperCommand):
    """A command whose arguments are shown by their names alone, without Python's types and without braces."""

    def collect_usage_pieces(self, ctx: Context) -> list[str]:
        """The line that begins with `Usage:`."""
        return [piece.replace("{", "").replace("}", "") for piece in super().collect_usage_pieces(ctx)]

    def parse_args(self, ctx: Context, args: list[str]) -> list[str]:
        """A value that an option does not take is told without the words of the library that found it."""
        try:
            return super().parse_args(ctx, args)
        except BadParameter as error:
            error.message = error.message.removeprefix("Value error, ")
            raise

    def format_options(self, ctx: Context, formatter: HelpFormatter) -> None:
        """Arguments, then options."""
        shown: dict[str, list[tuple[str, str]]] = {"argument": [], "option": []}
        for parameter in self.get_params(ctx):
            if (record := parameter.get_help_record(ctx)) is not None:
                name = record[0].partition(" ")[0] if parameter.param_type_name == "argument" else record[0]
                shown[parameter.param_type_name].append((name, record[1]))
        for kind, rows in shown.items():
            if rows:
                with formatter.section(f"{kind.capitalize()}s"):
                    formatter.write_dl(rows)


class Commands(TyperGroup):
    """Commands in whose list each has its first sentence, on as many lines as that takes."""

    def format_commands(self, ctx: Context, formatter: HelpFormatter) -> None:
        """Typer's own list ends each sentence where the first line ends."""
        rows = [(name, first_sentence(command.help or "")) for name, command in self.commands.items()]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


def first_sentence(text: str) -> str:
    """The first sentence of a docstring, on one line."""
    return re.split(r"(?<=\.)\s|\n\n", text.strip())[0].replace("\n", " ")


def new_program(exit_codes: Mapping[int, str]) -> typer.Typer:
    """A program of commands. exit_codes: code → what it means, for the end of its help."""
    return typer.Typer(
        cls=Commands,
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
        epilog=f"Exit codes: {'; '.join(f'{code} {meaning}' for code, meaning in exit_codes.items())}.",
    )


FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""What a disk answers that takes no more."""


def run(program: typer.Typer, name: str) -> None:
    """Run the command that was typed. name: as it is typed, such as `python -m provisioning`.

    A full disk, where the output goes, is told in a sentence. Exit code 1.
    """
    try:
        try:
            program(prog_name=name)
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()
    except OSError as error:
        if error.errno not in FULL:
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what is left would be written once more at the end
        sys.exit(f"The output could not be written: {error.strerror}. Make room, then run the command again.")


def _version(asked: bool) -> None:
    if asked:
        print(__version__)
        raise typer.Exit


Version = Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")]
"""The option of a program's callback."""
