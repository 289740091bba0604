"""Signs of life on stderr: what a command waits for, how long already, and how long at most.

On a terminal that is one live line with a spinner, which goes before anything else is printed; piped, it is a plain
line now and then. What is waited for is known to `provisioning.waiting`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from provisioning.foreign import harmless
from provisioning.waiting import Wait, Watcher, waits, watched_by

SHOWN_AFTER = 1.0
"""Seconds that a wait takes before a terminal shows it."""

EVERY = 10.0
"""Seconds of a wait before its first line in a log, and between two lines."""

TICK = 0.1
"""Seconds between two looks at what is waited for."""

_printing = threading.RLock()
"""Held by whoever prints: the live line must not come upon it."""


class Signs(Watcher):
    """The signs of life on one console. shown_after, every: by default SHOWN_AFTER and EVERY."""

    def __init__(self, console: Console, shown_after: float | None = None, every: float | None = None) -> None:
        self._console = console
        self._shown_after = SHOWN_AFTER if shown_after is None else shown_after
        self._every = EVERY if every is None else every
        self._last = time.monotonic()
        self._spinner = Spinner("dots" if console.encoding.startswith("utf") else "line")
        self._live: Live | None = None
        self._ended = False

    def look(self) -> None:
        """Show what is waited for at this moment, if it takes long."""
        now = time.monotonic()
        with _printing:
            if self._ended:
                return
            if not self._console.is_terminal:
                if now - self._last >= self._every and (said := self._said(self._every)):
                    self._last = now
                    self._console.print(said)
            elif not self._said(self._shown_after):
                self.hide()
            elif self._live is None:
                self._live = Live(
                    get_renderable=self._line,
                    console=self._console,
                    auto_refresh=False,
                    transient=True,
                    redirect_stdout=False,
                    redirect_stderr=False,
                )
                self._live.start(refresh=True)
            else:
                self._live.refresh()

    def hide(self) -> None:
        """Remove the live line."""
        with _printing:
            live, self._live = self._live, None
            if live is not None:
                live.stop()

    def ended(self) -> None:
        """Remove the live line with the last wait, so that the command prints where it was."""
        if not waits():
            self.hide()

    def say(self, line: str) -> None:
        """Print a line above the live one."""
        self._console.print(line)

    def end(self) -> None:
        """Show nothing any more."""
        with _printing:
            self.hide()
            self._ended = True

    def _said(self, after: float) -> str:
        """What has been waited for that long, each thing once; empty if there is nothing."""
        now = time.monotonic()
        slow: dict[str, Wait] = {}
        for wait in waits():
            if now - wait.begun >= after:
                slow.setdefault(wait.what, wait)
        return f"waiting for {'; '.join(wait.in_words(now) for wait in slow.values())}" if slow else ""

    def _line(self) -> Table:
        line = Table.grid(padding=(0, 1))
        said = Text(harmless(self._said(0)), style="dim", no_wrap=True, overflow="ellipsis")
        line.add_row(self._spinner, said)
        return line


_shown: list[Signs] = []


@contextmanager
def signs_of_life(signs: Signs) -> Iterator[None]:
    """Within, `signs` shows what is waited for."""
    over = threading.Event()

    def tell() -> None:
        while not over.wait(TICK):
            signs.look()

    _shown.append(signs)
    threading.Thread(target=tell, daemon=True).start()
    try:
        with watched_by(signs):
            yield
    finally:
        over.set()
        signs.end()
        _shown.remove(signs)


@contextmanager
def printing() -> Iterator[None]:
    """Within, something is printed, and there is no live line."""
    with _printing:
        for signs in _shown:
            signs.hide()
        yield
