"""Steps that run side by side as far as they do not need each other, and a display of which runs and for how long.

On a terminal the display is live; elsewhere (CI, a pipe) each step gets a plain line at its begin and one at its end.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from graphlib import TopologicalSorter

from rich.progress import Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Column
from rich.text import Text

from provisioning.cli.common import Plain

Report = Callable[[str], None]
"""Tells the display what a step is doing at the moment."""


@dataclass(frozen=True)
class Step:
    """One step. `run` returns a few words on what came out of it; `after` names the steps that must be done before."""

    name: str
    title: str
    run: Callable[[Report], str]
    after: tuple[str, ...] = ()


@dataclass(frozen=True)
class Done:
    """A finished step: how long it took, in seconds, and what came out of it."""

    name: str
    title: str
    seconds: float
    outcome: str


def run_steps(steps: Sequence[Step], console: Plain) -> list[Done]:
    """Run all steps, each as soon as those it needs are done; return them in the order in which they ended.

    If a step raises, its reason is shown at once, no further step is begun, the running ones are waited for, and the
    first exception is raised. So it is with Ctrl-C, which says for what it waits.
    """
    by_name = {step.name: step for step in steps}
    order = TopologicalSorter({step.name: step.after for step in steps})
    order.prepare()
    done: list[Done] = []
    failure: BaseException | None = None
    with _Display(console) as display, ThreadPoolExecutor(max_workers=len(steps)) as pool:
        running: dict[Future[Done], str] = {}
        while order.is_active():
            if failure is None:
                for name in order.get_ready():
                    running[pool.submit(_run, by_name[name], display)] = name
            if not running:
                break
            try:
                finished, _ = wait(running, return_when=FIRST_COMPLETED)
            except KeyboardInterrupt as interrupt:
                if failure is not None:
                    raise
                failure = interrupt
                titles = ", ".join(by_name[name].title for name in running.values())
                console.print(f"Interrupted: what runs is finished first ({titles}).", style="yellow")
                continue
            for future in finished:
                name = running.pop(future)
                if error := future.exception():
                    failure = failure or error
                else:
                    done.append(future.result())
                    order.done(name)
    if failure is not None:
        raise failure
    return done


def _run(step: Step, display: _Display) -> Done:
    line = display.begin(step)
    began = time.monotonic()
    try:
        outcome = step.run(lambda words: display.note(line, words))
    except BaseException as error:
        display.end(line, step, ("✗", "red"), str(error) or type(error).__name__, time.monotonic() - began)
        raise
    seconds = time.monotonic() - began
    display.end(line, step, ("✓", "green"), outcome, seconds)
    return Done(step.name, step.title, seconds, outcome)


CUT = Column(ratio=1, no_wrap=True, overflow="ellipsis")


class _Display:
    """Lines on a console: a live one for each running step where that is possible."""

    def __init__(self, console: Plain) -> None:
        self._console = console
        self._live = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", table_column=Column(no_wrap=True)),
            TimeElapsedColumn(),
            # What a step is doing at the moment is cut, so that spinner and clock stay.
            TextColumn("{task.fields[words]}", style="dim", markup=False, table_column=CUT),
            expand=True,
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )

    def __enter__(self) -> _Display:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def begin(self, step: Step) -> TaskID:
        if not self._console.is_terminal:
            self._console.print(f"… {step.title}")
        return self._live.add_task(step.title, total=None, words="")

    def note(self, line: TaskID, words: str) -> None:
        self._live.update(line, words=words)

    def end(self, line: TaskID, step: Step, mark: tuple[str, str], outcome: str, seconds: float) -> None:
        self._live.remove_task(line)
        self._console.print(Text.assemble(mark, f" {step.title}: {outcome} ", (f"({seconds:.1f} s)", "dim")))
