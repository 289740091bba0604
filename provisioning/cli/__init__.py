"""The commands beside `pulumi`: `python -m provisioning …`. Data goes to stdout, messages to stderr."""

from __future__ import annotations

from provisioning.cli import adopt, doctor, explain, init, prune, rotate, status, up
from provisioning.cli.common import interruptible
from provisioning.command_line import Command, Version, new_program, run
from provisioning.plain_text import use_plain_marks
from provisioning.variables import forget_unresolved

NAME = "python -m provisioning"

EXIT_CODES = {
    0: "all is well, or it is done",
    1: "something needs a person: it says what, and what to do",
    2: "the command was mistyped",
    130: "interrupted",
}

app = new_program(EXIT_CODES)


@app.callback()
def commands(_: Version = False) -> None:
    """Outlook mail for NocoBase: what `pulumi up` does not do by itself."""


for command in (
    init.init,
    adopt.adopt,
    status.status,
    doctor.doctor,
    rotate.rotate,
    prune.prune,
    up.up,
    explain.explain,
):
    app.command(cls=Command)(interruptible(command))


def main() -> None:
    """Run the command that was typed."""
    use_plain_marks()
    forget_unresolved()
    run(app, NAME)
