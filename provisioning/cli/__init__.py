"""The commands beside `pulumi`: `python -m provisioning …`. Data goes to stdout, messages to stderr."""

from __future__ import annotations

from typing import Annotated

import typer

from provisioning import __version__
from provisioning.cli import adopt, doctor, explain, init, prune, rotate, status, up
from provisioning.cli.common import interruptible
from provisioning.plain_text import use_plain_marks
from provisioning.variables import forget_unresolved

NAME = "python -m provisioning"

EXIT_CODES = {
    0: "all is well, or it is done",
    1: "something needs a person: it says what, and what to do",
    2: "the command was mistyped",
    130: "interrupted",
}

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


def _version(asked: bool) -> None:
    if asked:
        print(__version__)
        raise typer.Exit


@app.callback(epilog=f"Exit codes: {'; '.join(f'{code} {meaning}' for code, meaning in EXIT_CODES.items())}.")
def commands(
    _: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")] = False,
) -> None:
    """Outlook mail for NocoBase: what `pulumi up` does not do by itself."""


app.command()(interruptible(init.init))
app.command()(interruptible(adopt.adopt))
app.command()(interruptible(status.status))
app.command()(interruptible(doctor.doctor))
app.command()(interruptible(rotate.rotate))
app.command()(interruptible(prune.prune))
app.command()(interruptible(up.up))
app.command()(interruptible(explain.explain))


def main() -> None:
    """Run the command that was typed."""
    use_plain_marks()
    forget_unresolved()
    app(prog_name=NAME)
