"""What the commands share: how data, words and errors are printed, and the stack that they work on."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from enum import StrEnum
from functools import wraps
from typing import Annotated, Any, NoReturn, ParamSpec

import typer
from rich.cells import cell_len
from rich.console import Console
from rich.control import Control
from rich.text import Text

from provisioning.cli import layout
from provisioning.cli.remedies import for_stack
from provisioning.cli.signs_of_life import Signs, printing, signs_of_life
from provisioning.doctor.runner import Check, Outcome
from provisioning.errors import ProvisioningError
from provisioning.foreign import LONGEST_MESSAGE, harmless, markdown, one_line
from provisioning.pulumi_cli import Engines, Pulumi


class Plain(Console):
    """A console that shows each text as it is, without markup; what comes from outside cannot act in it.

    On a terminal, words wrap at blanks; see `layout.wrapped`. Piped, nobody unfolds the lines of a log.
    """

    stack: str | None = None
    """The stack that the commands in its texts are for; None: the selected one."""

    def print(self, *objects: Any, **options: Any) -> None:
        """As Rich's, for texts and for tables whose cells are harmless."""
        if any(isinstance(one, Control) for one in objects):  # so a live display is drawn
            super().print(*objects, **options)
            return
        shown = [
            self._fitting(_harmless(for_stack(one, self.stack) if isinstance(one, str) else one)) for one in objects
        ]
        if shown and all(isinstance(one, Text) for one in shown):
            options["soft_wrap"] = True
        with printing():
            super().print(*shown, **options)

    def _fitting(self, shown: Any) -> Any:
        return layout.wrapped(shown, self.width) if self.is_terminal and isinstance(shown, Text) else shown


def _harmless(shown: Any) -> Any:
    if isinstance(shown, str):
        return Text(harmless(shown))
    if isinstance(shown, Text) and harmless(shown.plain) != shown.plain:
        return Text(harmless(shown.plain), style=shown.style)
    return shown


words = Plain(stderr=True, highlight=False, soft_wrap=True)
"""Everything that is no data."""

Arguments = ParamSpec("Arguments")

Stack = Annotated[
    str | None, typer.Option("--stack", "-s", metavar="NAME", help="The stack; without it, the selected one.")
]

All = Annotated[bool, typer.Option("--all", help="Every stack of this project.")]

EITHER = "Either the name of a stack or --all: which is meant?"


class Format(StrEnum):
    """How data is printed."""

    TABLE = "table"
    JSON = "json"
    MARKDOWN = "markdown"


Output = Annotated[Format, typer.Option("--format", help="How to print it.")]


def deployed(engine: Pulumi) -> dict[str, Any]:
    """The outputs of a stack that was deployed."""
    outputs = engine.outputs()
    if "clientSecretIssued" not in outputs:
        raise ProvisioningError("This stack has not been deployed yet, or not completely. Run `pulumi up` first.")
    return outputs


def now() -> datetime:
    """The time by which secrets are planned."""
    from provisioning.program import stack as engine_stack  # noqa: PLC0415 - it needs the whole SDK

    return engine_stack.now().astimezone(UTC)


def show(facts: Mapping[str, object], output: Format) -> None:
    """Print one thing's facts to stdout: name and value a line, or one JSON object with its types.

    A `Text` keeps its style on a terminal.
    """
    if output is Format.JSON:
        print_whole(json_text(facts))
    elif output is Format.MARKDOWN:
        _print_markdown([{"name": name, "value": value} for name, value in facts.items()])
    else:
        console = data()
        console.print(layout.named(list(facts), list(map(_cell, facts.values())), console.width))


def show_rows(rows: Sequence[Mapping[str, object]], output: Format) -> None:
    """Print a table of things to stdout, whose keys are the columns: as a table, or as a JSON list with its types.

    A `Text` keeps its style on a terminal. Where the terminal is too narrow for a table in which every word is whole,
    each thing is printed as by `show`, one below the other.
    """
    if output is Format.JSON:
        print_whole(json_text(list(rows)))
    elif output is Format.MARKDOWN:
        _print_markdown(rows)
    elif rows:
        console, columns = data(), list(rows[0])
        cells = [list(map(_cell, row.values())) for row in rows]
        numbers = [index for index, name in enumerate(columns) if any(_is_number(row[name]) for row in rows)]
        if layout.fits(columns, cells, console.width):
            console.print(layout.table(columns, cells, console.width, numbers))
        else:
            console.print(Text("\n\n").join(layout.named(columns, line, console.width) for line in cells))


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def print_whole(text: str) -> None:
    """Print a document to stdout as it is; nothing else is shown meanwhile."""
    with printing():
        print(text)


def json_text(value: object) -> str:
    """A value as JSON: the same for programs, and without a command to the log of a job that prints it."""
    return json.dumps(value, indent=2).replace("##", "#\\u0023").replace("\x7f", "\\u007f")


INTERRUPTED, WRONG_USAGE = 130, 2
"""Exit codes."""

SAID, BELOW = 11, 9
"""The column of what a check found, if its name took none; and where it goes if a word of it finds no place there."""


def reject_usage(said: str) -> NoReturn:
    """Say what is wrong with the command as it was typed, and end it."""
    words.print(said, style="red")
    raise typer.Exit(WRONG_USAGE)


COLOURS = {Outcome.OK: "green", Outcome.WARNING: "yellow", Outcome.FAILED: "bold red", Outcome.SKIPPED: "dim"}


def show_checks(checks: Iterable[Check], output: Format, widest: int | None = None) -> int:
    """Print a line for each check to stdout, what to do about it below; return the exit code: 1 if one has failed.

    Those that were skipped come last, one line for each reason.

    widest: the length of the longest name, where checks are to be printed as they come.
    """
    shown = []
    skipped: dict[str, list[str]] = {}
    if output is Format.TABLE:
        checks = list(checks) if widest is None else checks
        widest = widest if widest is not None else max((len(check.name) for check in checks), default=0)
        console = data()
        for check in checks:
            shown.append(check)
            if check.outcome is Outcome.SKIPPED and not check.remedy:
                skipped.setdefault(check.said, []).append(check.name)
                continue  # many have one reason
            line = Text.assemble(
                (f"{check.outcome:<8}", COLOURS[check.outcome]), f" {check.name:<{widest}}  {check.said}"
            )
            hang = SAID + widest
            if hang + max(map(cell_len, check.said.split()), default=0) > console.width:
                hang = BELOW
            console.print(layout.wrapped(line, console.width, hang))
            for remedy in (check.remedy or "").splitlines():
                console.print(Text(f"{'':<8} → {remedy}", style="bold"))
        for reason, names in skipped.items():
            line = Text.assemble((f"{Outcome.SKIPPED:<8}", COLOURS[Outcome.SKIPPED]), f" {reason}: {', '.join(names)}")
            console.print(layout.wrapped(line, console.width, len(f"{'':<8} ")))
    else:
        shown = list(checks)
        show_rows([asdict(check) for check in shown], output)
    return int(any(check.outcome is Outcome.FAILED for check in shown))


def data() -> Console:
    """The console for data. Piped, it is as wide as what is printed: nobody unfolds the lines of a log."""
    console = Plain(highlight=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = PIPED_WIDTH
    return console


PIPED_WIDTH = 100_000


def _print_markdown(rows: Sequence[Mapping[str, object]]) -> None:
    columns = list(rows[0]) if rows else []
    cells = [[markdown(_cell(row[column]).plain) for column in columns] for row in rows]
    print_whole("\n".join(f"| {' | '.join(line)} |" for line in [columns, ["---"] * len(columns), *cells]))


def _cell(value: object) -> Text:
    if isinstance(value, Text):
        return Text(in_words(value.plain), style=value.style)
    return Text(in_words(value))


def in_words(value: object) -> str:
    """A value as a cell of a table shows it, on one line."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(in_words, value)) or "none"
    return "none" if value is None or value == "" else one_line(value, LONGEST_MESSAGE)


NOTHING_CHANGED = "Nothing was changed. Run the command again."

_if_interrupted = [NOTHING_CHANGED]
"""What is said when the person presses Ctrl-C."""


def if_interrupted(sentence: str) -> None:
    """Say this from now on when the person presses Ctrl-C: what was done, and what to run next."""
    _if_interrupted[:] = [for_stack(sentence, words.stack)]


def interruptible(command: Callable[Arguments, None]) -> Callable[Arguments, None]:
    """The command, which shows what it waits for, and which Ctrl-C ends with one sentence and exit code 130.

    So does leaving a question.
    """

    @wraps(command)
    def run(*arguments: Arguments.args, **options: Arguments.kwargs) -> None:
        if_interrupted(NOTHING_CHANGED)
        try:
            with signs_of_life(Signs(words)):
                command(*arguments, **options)
        except (KeyboardInterrupt, typer.Abort):
            if words.is_terminal:
                words.print("")  # the cursor is behind a question, or behind ^C
            words.print(f"Interrupted. {_if_interrupted[0]}")
            raise typer.Exit(INTERRUPTED) from None

    return run


@contextmanager
def ended_by_signals(engines: Engines, ending: str) -> Iterator[None]:
    """Within, Ctrl-C, and a pipeline's cancellation, end every engine in its own orderly way.

    ending: what is said then, because that takes as long as the engine's present step.
    """

    def end(*_: object) -> None:
        engines.stop()
        words.print(ending, style="yellow")

    kept = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)


def can_be_asked() -> bool:
    """Whether a person sits at this terminal."""
    return all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stderr))


@contextmanager
def errors_as_sentences(stack: str | None = None) -> Iterator[None]:
    """Print a ProvisioningError in its own words and end with exit code 1.

    stack: the one that `--stack` names. Within, each command that is printed acts on it, whichever is selected.
    """
    words.stack = stack
    try:
        yield
    except ProvisioningError as error:
        words.print(str(error), style="red")
        raise typer.Exit(1) from None
    finally:
        words.stack = None
