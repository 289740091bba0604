"""The figures that a run ends with: time by layer, the number of `pulumi` commands, and what tests want to be said."""

from __future__ import annotations

import os
import shlex
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

LOG_FOLDER = "TESTS_COMMANDS"
"""The environment variable that names the folder in which each worker notes the `pulumi` commands that it starts."""

NOTED = (LOG_FOLDER, "PYTEST_CURRENT_TEST", "PYTEST_XDIST_WORKER")
"""The variables that a command needs to be counted."""

QUICK = "GOGC=off GOMAXPROCS=1"
"""The engine lives for seconds, and each worker has a core: no garbage collection, and one thread, save an eighth of a
command's processor time (measured: 1.84 and 1.60 s)."""

MOST = 10
"""How many of the tests with the most commands are listed."""

SAID, TALLIED = "said", "tallied"

Say = Callable[[str], None]
Tally = Callable[[str, int, int], None]


def count_commands(tools: Path, engine: Path) -> None:
    """Have the executable `pulumi` in `tools`, the first on PATH, note each of its starts, then run `engine` quickly.

    An engine in that folder finds its language host beside its own executable, so it stays there, renamed.
    """
    pulumi = tools / "pulumi"
    if engine == pulumi:
        engine = pulumi.rename(tools / "pulumi-engine")
    log = f"${LOG_FOLDER}/$PYTEST_XDIST_WORKER.log"
    note = f'[ -z "${LOG_FOLDER}" ] || {{ echo "$PYTEST_CURRENT_TEST|$1 $2" >> "{log}"; }} 2> /dev/null'
    pulumi.write_text(f'#!/bin/sh\n{note}\n{QUICK} exec {shlex.quote(str(engine))} "$@"\n')
    pulumi.chmod(0o755)


@pytest.fixture
def say(request: pytest.FixtureRequest) -> Say:
    """Has a figure printed at the end of the run: `say("27 of 27 kills survived")`."""
    properties = request.node.user_properties
    return lambda text: properties.append((SAID, text))


@pytest.fixture
def tally(request: pytest.FixtureRequest) -> Tally:
    """Has a sum over all tests printed: `tally("kills survived", 1, 1)` in two becomes "2 of 2 kills survived"."""
    properties = request.node.user_properties
    return lambda what, done, of: properties.append((TALLIED, (what, done, of)))


def pytest_configure(config: pytest.Config) -> None:
    """Prepare the counters, in the process that controls the run."""
    # pytest-xdist gives its workers the width of a terminal that the programs under test do not have.
    os.environ.pop("COLUMNS", None)
    if not hasattr(config, "workerinput"):
        os.environ[LOG_FOLDER] = tempfile.mkdtemp(prefix="pulumi-commands-")
        config.pluginmanager.register(Collector())


class Collector:
    """Adds up what the tests report, of all workers."""

    def __init__(self) -> None:
        self._said: list[str] = []
        self._done: Counter[str] = Counter()
        self._of: Counter[str] = Counter()
        self._seconds: dict[str, float] = {}
        self._tests: Counter[str] = Counter()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Add the report of one phase of one test."""
        layer = _layer(report)
        self._seconds[layer] = self._seconds.get(layer, 0) + report.duration
        self._tests[layer] += report.when == "call"
        if report.when != "teardown":
            return
        properties: Any = report.user_properties
        for name, value in properties:
            if name == SAID:
                self._said.append(value)
            elif name == TALLIED:
                what, done, of = value
                self._done[what] += done
                self._of[what] += of

    def lines(self) -> list[str]:
        """What the tests wanted to be said, and the sums."""
        return sorted([*self._said, *(f"{self._done[what]} of {of} {what}" for what, of in self._of.items())])

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print the figures."""
        if lines := self.lines():
            terminalreporter.section("measured")
            for text in lines:
                terminalreporter.line(text)
        terminalreporter.section("layers")
        for layer, seconds in sorted(self._seconds.items()):
            terminalreporter.line(f"{layer:9} {self._tests[layer]:5} tests {seconds:7.1f} s")
        if commands := _commands():
            terminalreporter.line(f"{commands.total()} `pulumi` commands; the tests with the most:")
            for test, count in commands.most_common(MOST):
                terminalreporter.line(f"{count:5} {test}")
        shutil.rmtree(os.environ[LOG_FOLDER])


def _layer(report: pytest.TestReport) -> str:
    if "e2e" in report.keywords:
        return "e2e"
    return "contract" if report.nodeid.startswith("tests/contract") else "unit"


def _commands() -> Counter[str]:
    """How many `pulumi` commands each test ran."""
    logs = Path(os.environ[LOG_FOLDER]).glob("*.log")
    lines = [line for log in logs for line in log.read_text().splitlines()]
    return Counter(line.partition("|")[0].rpartition(" (")[0] or "(before the first test)" for line in lines)
