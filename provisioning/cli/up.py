"""`up`: `pulumi up` or `preview` on many stacks of this folder, several at a time."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.live import Live
from rich.table import Table
from rich.text import Text

from provisioning.cli import layout
from provisioning.cli.common import (
    EITHER,
    INTERRUPTED,
    All,
    Format,
    Output,
    ended_by_signals,
    errors_as_sentences,
    reject_usage,
    show_rows,
    words,
)
from provisioning.cli.remedies import for_stack
from provisioning.errors import ProvisioningError
from provisioning.fleet.deploy import Deployer
from provisioning.fleet.runner import Result, StackOutcome, run
from provisioning.fleet.selection import choose, configured, there_are
from provisioning.foreign import one_line

PARALLEL = 4
"""Stacks at a time. Each takes some 200 MB of memory and a second of one core, and for the rest waits for others."""

ENDING = "Ending: each stack finishes its present step, and no other begins."

SIGN_OF_LIFE = 60.0
"""Seconds between two lines of a log about a stack that waits."""

STYLES = {
    StackOutcome.CHANGED: "green",
    StackOutcome.WOULD_CHANGE: "yellow",
    StackOutcome.FAILED: "red",
    StackOutcome.STOPPED: "red",
}


def up(
    stacks: Annotated[
        list[str] | None, typer.Argument(metavar="STACK", help="Names, or patterns such as 'prod-*'.")
    ] = None,
    named: Annotated[
        list[str] | None, typer.Option("--stack", "-s", metavar="NAME", help="A stack, by its name; repeatable.")
    ] = None,
    everything: All = False,
    excepted: Annotated[
        list[str] | None, typer.Option("--except", metavar="STACK", help="None of these names or patterns; repeatable.")
    ] = None,
    preview: Annotated[bool, typer.Option("--preview", help="Only look at what would change.")] = False,
    parallel: Annotated[int, typer.Option("--parallel", metavar="NUMBER", min=1, help="Stacks at a time.")] = PARALLEL,
    policy_packs: Annotated[
        list[str] | None,
        typer.Option("--policy-pack", metavar="FOLDER", help="Rules that every stack has to satisfy; repeatable."),
    ] = None,
    policy_configs: Annotated[
        list[str] | None, typer.Option("--policy-pack-config", metavar="FILE", help="That pack's configuration (JSON).")
    ] = None,
    output: Output = Format.TABLE,
) -> None:
    """Run `pulumi up` on many stacks, several at a time, each with a result of its own.

    Meant are stacks that have a Pulumi.<stack>.yaml in this folder and that the backend knows. One stack's failure
    stops no other; the exit code is 1 if any failed.
    """
    with errors_as_sentences():
        patterns = [*(stacks or []), *(named or [])]
        if everything == bool(patterns):
            reject_usage("Which stacks? Name them, or say --all." if not patterns else EITHER)
        patterns = patterns or ["*"]
        deployer = Deployer(Path.cwd(), preview, tuple(policy_packs or ()), tuple(policy_configs or ()))
        files, known = configured(deployer.folder), deployer.stacks()
        choice = choose(files, known, patterns, excepted or [])
        if not choice.stacks and not choice.left_out:
            raise ProvisioningError(
                f"There is no such stack, neither in this folder nor in the backend; {there_are({*files, *known})}."
            )
        deployer = replace(deployer, logins=deployer.logins_of(choice.stacks, parallel))
        with ended_by_signals(deployer.engines, ENDING), _progress(len(choice.stacks), parallel) as watch:
            results = run(choice.stacks, deployer.deploy, parallel, watch)
        show_rows([row(result, output) for result in sorted([*results, *choice.left_out], key=_by_name)], output)
        _sum_up(results, choice.left_out)
        if deployer.engines.told_to_end:
            words.print("Interrupted. Run the command again: each stack resumes where it was stopped.")
            raise typer.Exit(INTERRUPTED)
        if not choice.stacks or any(result.outcome.bad for result in (*results, *choice.left_out)):
            raise typer.Exit(1)


def row(result: Result, output: Format) -> dict[str, object]:
    """One line of the table that is the command's data."""
    return {
        "stack": result.stack,
        "outcome": result.outcome.value,
        "changes": dict(result.changes) if output is Format.JSON else result.counts,
        "seconds": round(result.seconds, 1),
        "error": for_stack(result.error, result.stack),
    }


def _by_name(result: Result) -> str:
    return result.stack


def _sum_up(results: Sequence[Result], left_out: Sequence[Result]) -> None:
    counts = {outcome: sum(result.outcome is outcome for result in (*results, *left_out)) for outcome in StackOutcome}
    words.print(", ".join(f"{count} {outcome.value}" for outcome, count in counts.items() if count) + ".")


class _Lines:
    """Progress as plain lines, for a log."""

    def __init__(self) -> None:
        self._running: dict[str, tuple[float, str]] = {}
        self._lock = threading.Lock()

    def began(self, stack: str) -> None:
        """Nothing is shown before there is something to tell."""
        words.print(f"{stack}: started")
        self.step(stack, "starting")

    def step(self, stack: str, step: str) -> None:
        """Steps would be too many; only those that last are shown."""
        with self._lock:
            self._running[stack] = (time.monotonic(), step)

    def ended(self, result: Result) -> None:
        """How it ended, with all that was said about a failure."""
        with self._lock:
            self._running.pop(result.stack, None)
        words.print(_ended(result))

    def still(self) -> None:
        """Say which stacks wait: the azuread provider repeats what Entra ID does not answer for up to 15 minutes."""
        with self._lock:
            waiting = {stack: (time.monotonic() - began, step) for stack, (began, step) in self._running.items()}
        for stack, (seconds, step) in waiting.items():
            if seconds >= SIGN_OF_LIFE:
                words.print(f"{stack}: still at {step}, since {seconds:.0f} s")


class _Table:
    """Progress as a table of the stacks that run at this moment; those that have ended scroll away above it."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._ended = 0
        self._failed = 0
        self._running: dict[str, tuple[float, str]] = {}
        self._lock = threading.Lock()

    def began(self, stack: str) -> None:
        """Show it."""
        with self._lock:
            self._running[stack] = (time.monotonic(), "starting")

    def step(self, stack: str, step: str) -> None:
        """Show what is being done to it."""
        with self._lock:
            self._running[stack] = (self._running[stack][0], step)

    def ended(self, result: Result) -> None:
        """Print how it ended."""
        with self._lock:
            self._running.pop(result.stack, None)
            self._ended += 1
            self._failed += result.outcome.bad
        words.print(_ended(result))

    def __rich__(self) -> Table:
        """What is shown now."""
        with self._lock:
            failed = f", {self._failed} failed" if self._failed else ""
            rows = [
                [Text(one_line(stack)), Text(step), Text(f"{time.monotonic() - began:.0f}")]
                for stack, (began, step) in self._running.items()
            ]
            table = layout.table(("stack", "step", "seconds"), rows, words.width, numbers=[2])
            table.title, table.title_justify = f"{self._ended} of {self._total} done{failed}", "left"
        return table


@contextmanager
def _progress(total: int, parallel: int) -> Iterator[_Lines | _Table]:
    if total:
        words.print(f"{total} {'stack' if total == 1 else 'stacks'}, {min(parallel, total)} at a time")
    if not sys.stderr.isatty():
        lines, ended = _Lines(), threading.Event()

        def tell() -> None:
            while not ended.wait(SIGN_OF_LIFE):
                lines.still()

        teller = threading.Thread(target=tell, daemon=True)
        teller.start()
        try:
            yield lines
        finally:
            ended.set()
            teller.join()
        return
    table = _Table(total)
    with Live(table, console=words, refresh_per_second=4, transient=True):
        yield table


def _ended(result: Result) -> Text:
    told = f"{result.stack}: {result.outcome.value}"
    counts = f", {result.counts}" if result.counts else ""
    detail = "".join(f"\n    {line}" for line in for_stack(result.detail, result.stack).splitlines())
    return Text(f"{told}{counts} ({result.seconds:.1f} s){detail}", style=STYLES.get(result.outcome, ""))
