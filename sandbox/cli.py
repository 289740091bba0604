"""`python -m sandbox …`: what the Makefile calls. Words go to stderr, data to stdout.

Runs before the virtualenv is complete, so everything beyond the setup's own packages is imported inside the commands.
"""
# ruff: noqa: PLC0415

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import Annotated

import typer

from provisioning.cli.common import Format, words
from provisioning.cli.common import show as show_facts
from provisioning.command_line import Command, Version, new_program
from sandbox import private
from sandbox.dev_stack import set_nocobase_url
from sandbox.errors import SandboxError
from sandbox.place import Place, default_place
from sandbox.setup import install_steps, start_steps, stop
from sandbox.steps import Done, Report, Step, run_steps

EXIT_CODES = {
    0: "it is done",
    1: "it failed: it says what, and what to do",
    2: "the command was mistyped",
    130: "interrupted: the next run resumes it",
}


class ShowFormat(StrEnum):
    """How what is there is printed."""

    TABLE = "table"
    JSON = "json"


app = new_program(EXIT_CODES)


@app.callback()
def sandbox(_: Version = False) -> None:
    """A tenant and a NocoBase on this machine: the `dev` stack's outside world."""
    private.folder(default_place().home.parent)


@app.command(cls=Command)
def install() -> None:
    """Install everything that is missing, and start nothing."""
    with _errors_as_sentences():
        _run(default_place(), install_steps(default_place()))


@app.command(cls=Command)
def up(
    port: Annotated[
        int | None,
        typer.Option("--port", metavar="PORT", min=1, max=65535, help="Have NocoBase listen there, from now on."),
    ] = None,
) -> None:
    """Install and start what is missing, run `pulumi up` on the dev stack, and show what is there now."""
    with _errors_as_sentences():
        place = default_place()
        if port is not None:
            set_nocobase_url(place.project, f"http://localhost:{port}")
        outcomes: list[str] = []

        def deploy(report: Report) -> str:
            from sandbox import deployment

            outcomes.append(deployment.up(place, report))
            return outcomes[-1]

        deployed = Step("up", "pulumi up", deploy, after=("entra", "nocobase"))
        _run(place, [*install_steps(place), *start_steps(place), deployed])
        _show_summary(place)
        words.print(f"{outcomes[0][0].upper()}{outcomes[0][1:]}.\n\n{NEXT_STEPS}")


NEXT_STEPS = """\
Next, in this terminal:
  . .venv/bin/activate
  eval "$(python -m sandbox env)"
  python -m provisioning status -s dev      # what is there, and is it in sync?
  python -m provisioning rotate -s dev      # a new client secret
  pulumi preview -s dev                     # what is due
  eval "$(python -m sandbox env --unset)"   # before a real tenant
`make down` stops the sandbox. More to try: sandbox/README.md."""


@app.command(cls=Command)
def down() -> None:
    """Stop the sandbox. What it holds is kept for the next `up`."""
    with _errors_as_sentences():
        stopped = stop(default_place())
        words.print(f"Stopped: {', '.join(stopped)}." if stopped else "The sandbox was not running.")


@app.command(cls=Command)
def destroy() -> None:
    """Run `pulumi destroy` on the dev stack: no application, secret or NocoBase credential is left."""
    with _errors_as_sentences():
        place = default_place()
        from sandbox import deployment

        if not deployment.exists(place):
            words.print("There is nothing to destroy: the dev stack was never made.")
            return

        def run(report: Report) -> str:
            return deployment.destroy(place, report)

        _run(place, [*_running_steps(place), Step("destroy", "pulumi destroy", run, after=("entra", "nocobase"))])
        words.print("The sandbox runs; `make down` stops it.")


@app.command(cls=Command)
def env(
    administrator: Annotated[
        bool, typer.Option("--administrator", help="Sign in as the tenant's administrator, as bootstrap/ needs.")
    ] = False,
    unset: Annotated[bool, typer.Option("--unset", help="Take all of it out of the terminal again.")] = False,
) -> None:
    """Print the environment for plain `pulumi` commands.

    eval "$(python -m sandbox env)" takes it over.
    """
    with _errors_as_sentences():
        from sandbox.environment import as_shell, as_unset, environment

        place = default_place()
        variables = environment(place, administrator)
        print(as_unset(variables, place, os.environ.get("PATH", os.defpath)) if unset else as_shell(variables))


@app.command("sub-application", cls=Command)
def sub_application(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Lower-case letters and digits.")],
) -> None:
    """Make a sub-application in the running NocoBase, with an email manager of its own."""
    with _errors_as_sentences():
        from sandbox.nocobase import sub_applications

        sub_applications.create(default_place(), name)
        words.print(f"NocoBase has the sub-application {name}: set nocobaseApp to {name}.")


@app.command(cls=Command)
def show(
    output: Annotated[
        ShowFormat, typer.Option("--format", help="How to print it; json has both sides whole.")
    ] = ShowFormat.TABLE,
) -> None:
    """Show what Entra ID's stand-in and NocoBase hold, the secret as stored included (it is a sandbox)."""
    with _errors_as_sentences():
        from sandbox.holdings import holdings

        if output is ShowFormat.JSON:
            print(json.dumps(holdings(default_place()), indent=2))
        else:
            _show_summary(default_place())


def _show_summary(place: Place) -> None:
    from sandbox.holdings import summary

    facts = summary(place)
    words.print("NocoBase is set up for Outlook mail (sandbox):", style="bold")
    show_facts(facts, Format.TABLE)


def _running_steps(place: Place) -> list[Step]:
    """Start what was installed before; nothing is installed."""
    return [Step(step.name, step.title, step.run) for step in start_steps(place)]


def _run(place: Place, steps: list[Step]) -> list[Done]:
    """Run the steps and keep their times for `make bench`."""
    began = time.time()
    try:
        done = run_steps(steps, words)
    except SandboxError:
        sys.exit(1)  # the step has said why
    place.logs.mkdir(parents=True, exist_ok=True)
    times = {"began": began, "seconds": time.time() - began, "steps": {step.name: step.seconds for step in done}}
    (place.logs / "times.json").write_text(json.dumps(times), encoding="utf-8")
    return done


@contextmanager
def _errors_as_sentences() -> Iterator[None]:
    try:
        yield
    except SandboxError as error:
        words.print(str(error), style="red")
        sys.exit(1)
    except KeyboardInterrupt:
        words.print("Interrupted; run the command again to resume.")
        sys.exit(130)
