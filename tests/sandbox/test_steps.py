"""Steps side by side: order, what is shown of them, and what happens when some fail."""

from __future__ import annotations

import io
import re
import threading
import time
from collections.abc import Collection
from concurrent.futures import Future, wait
from typing import Any

import pytest

from provisioning.cli.common import Plain
from sandbox.errors import SandboxError
from sandbox.steps import Done, Report, Step, run_steps


def plain() -> Plain:
    """A console that is no terminal."""
    return Plain(file=io.StringIO(), width=120)


def shown(console: Plain) -> str:
    """What was printed."""
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_independent_steps_run_side_by_side_and_dependent_ones_after() -> None:
    met = threading.Barrier(2, timeout=10)
    order: list[str] = []

    def meet(_: Report) -> str:
        met.wait()
        return "met"

    def last(_: Report) -> str:
        order.append("last")
        return "done"

    console = plain()
    steps = [Step("c", "Third", last, after=("a", "b")), Step("a", "First", meet), Step("b", "Second", meet)]
    done = run_steps(steps, console)
    assert [item.name for item in done][-1] == "c"
    assert {item.outcome for item in done} == {"met", "done"}
    for line in ("… First", "✓ Second: met", "✓ Third: done"):
        assert line in shown(console)


def test_every_failure_is_shown_and_nothing_that_needs_them_is_begun() -> None:
    def fail(what: str) -> Step:
        def run(_: Report) -> str:
            raise SandboxError(f"{what} is missing.", f"Install {what}.")

        return Step(what, what, run)

    def never(_: Report) -> str:
        raise AssertionError

    console = plain()
    with pytest.raises(SandboxError):
        run_steps([fail("Node"), fail("Go"), Step("late", "Late", never, after=("Node",))], console)
    assert "Node is missing.\n  Install Node." in shown(console)
    assert "Go is missing.\n  Install Go." in shown(console)
    assert "Late" not in shown(console)


@pytest.mark.parametrize("width", [60, 80, 120])
def test_a_terminal_keeps_spinner_and_clock_and_cuts_what_a_step_is_doing(width: int) -> None:
    console = Plain(file=io.StringIO(), width=width, force_terminal=True, soft_wrap=True)

    def run(report: Report) -> str:
        report("[1/2] " + "npm install @nocobase/plugin-email-manager " * 5)
        while "npm" not in shown(console):
            time.sleep(0.01)
        return "done"

    run_steps([Step("nocobase", "NocoBase packages", run)], console)
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown(console))
    line = next(line.strip() for line in re.split("[\r\n]", text) if "npm" in line)
    assert re.match(r"[\u2800-\u28ff] NocoBase packages 0:00:00 \[1/2\] npm install", line)
    assert line.endswith("…")
    assert len(line) <= width


def test_a_terminal_gets_what_came_out_of_a_step_in_whole_words_below_each_other() -> None:
    console = Plain(file=io.StringIO(), width=80, force_terminal=True)
    found = "Pulumi 3.274.1, built from the Go module registry; azuread: the sandbox's stand-in [dim] (no download)"
    run_steps([Step("tools", "Engine and azuread plugin", lambda _: found)], console)
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown(console))
    lines = [line.rstrip() for line in re.split("[\r\n]+", text) if line.strip() and "0:00:00" not in line]
    assert lines[0].startswith("✓ Engine and azuread plugin: Pulumi")
    assert all(line.startswith("  ") for line in lines[1:])
    assert max(map(len, lines)) <= 80
    assert found in " ".join(line.strip() for line in lines)


def test_an_interrupt_says_what_is_finished_first_and_begins_nothing_more(monkeypatch: pytest.MonkeyPatch) -> None:
    interrupted = threading.Event()

    def interrupt(running: Collection[Future[Done]], **options: Any) -> Any:
        if not interrupted.is_set():
            interrupted.set()
            raise KeyboardInterrupt
        return wait(running, **options)

    def run(_: Report) -> str:
        assert interrupted.wait(10)
        return "started"

    def never(_: Report) -> str:
        raise AssertionError

    monkeypatch.setattr("sandbox.steps.wait", interrupt)
    console = plain()
    with pytest.raises(KeyboardInterrupt):
        run_steps([Step("a", "NocoBase", run), Step("b", "pulumi up", never, after=("a",))], console)
    assert re.sub(r"\(\d.*", "(", shown(console)).splitlines()[1:] == [
        "Interrupted: what runs is finished first (NocoBase).",
        "✓ NocoBase: started (",
    ]
