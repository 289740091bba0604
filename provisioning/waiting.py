"""Waits that end at once, and say what they wait for.

Ctrl-C ends them in a command, the engine's cancellation in the process of the push. What is waited for at this moment
is known here, for whoever shows signs of life (`cli.signs_of_life`).

Whatever may wait for an answer runs in a thread of its own, for which nobody waits when the process ends: a name server
or a connection that hangs would hold Ctrl-C back.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, wait
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from provisioning.errors import Interrupted

LOOK_SECONDS = 0.1
"""How often a wait looks whether it is to end."""

SIGN_OF_LIFE = 20.0
"""Seconds after which a wait says again that it goes on."""

Answer = TypeVar("Answer")

_ended = threading.Event()


def end_all() -> None:
    """End every wait of this process from now on: whoever waits gets Interrupted."""
    _ended.set()


def say_on_stderr(line: str) -> None:
    """Print to stderr: the terminal shows it, and so does the engine for its program and its providers."""
    if _watchers:
        _watchers[-1].say(line)
    else:
        print(line, file=sys.stderr, flush=True)


@dataclass(frozen=True, eq=False)
class Wait:
    """Something that is waited for. begun: by time.monotonic. limit: how long at most, in seconds, if that is known."""

    what: str
    begun: float
    limit: float | None = None

    def in_words(self, now: float) -> str:
        """What, how long already, and how long at most: `NocoBase, 46 of 120 s`."""
        waited = now - self.begun
        limit = f" of {self.limit:.0f}" if self.limit is not None and waited <= self.limit else ""
        return f"{self.what}, {waited:.0f}{limit} s"


class Watcher:
    """Shows what is waited for; by default nothing."""

    def ended(self) -> None:
        """A wait has ended."""

    def say(self, line: str) -> None:
        """Print a line to stderr."""


_waits: list[Wait] = []
_watchers: list[Watcher] = []


def waits() -> tuple[Wait, ...]:
    """What is waited for at this moment, that since longest first."""
    return tuple(_waits)


@contextmanager
def waiting_for(what: str, limit: float | None = None) -> Iterator[Wait]:
    """Within, `what` is waited for. limit: how long at most, in seconds, None if that is not known."""
    one = Wait(what, time.monotonic(), limit)
    _waits.append(one)
    try:
        yield one
    finally:
        _waits.remove(one)
        for watcher in _watchers:
            watcher.ended()


@contextmanager
def waiting_aloud(what: str, limit: float) -> Iterator[Callable[[], None]]:
    """The same, for a loop: what this yields says after each SIGN_OF_LIFE that the wait goes on, if nobody shows it."""
    with waiting_for(what, limit) as wait:
        said = wait.begun

        def goes_on() -> None:
            nonlocal said
            now = time.monotonic()
            if now - said >= SIGN_OF_LIFE and not is_watched():
                said = now
                say_on_stderr(f"Still waiting for {wait.in_words(now)}.")

        yield goes_on


@contextmanager
def watched_by(watcher: Watcher) -> Iterator[None]:
    """Within, `watcher` shows the waits of this process, and prints what they say."""
    _watchers.append(watcher)
    try:
        yield
    finally:
        _watchers.remove(watcher)


def is_watched() -> bool:
    """Whether somebody shows what is waited for, so that a wait need not say that it goes on."""
    return bool(_watchers)


def pause(seconds: float) -> None:
    """Wait. Raises Interrupted."""
    if _ended.wait(seconds):
        raise Interrupted(INTERRUPTED)


def go_on() -> None:
    """Raise Interrupted if all waits have ended."""
    if _ended.is_set():
        raise Interrupted(INTERRUPTED)


INTERRUPTED = "Interrupted while an answer was waited for. Run the command again."


def answer_of(
    work: Callable[[], Answer],
    what: str,
    limit: float | None = None,
    going_on: Callable[[], object] = lambda: None,
    every: float = float("inf"),
) -> Answer:
    """What `work` returns or raises. Raises Interrupted if the wait is to end; `work` is then left alone.

    Where all waits have ended already, `work` does not begin.

    what, limit: see `waiting_for`. going_on: called after each `every` seconds that it takes.
    """
    go_on()
    with waiting_for(what, limit):
        answer = begin(work)
        sign = time.monotonic() + every
        while not answer.done():
            go_on()
            wait([answer], LOOK_SECONDS)
            if time.monotonic() >= sign:
                going_on()
                sign += every
        return answer.result()


def begin(work: Callable[[], Answer]) -> Future[Answer]:
    """Start `work` in a thread of its own."""
    answer: Future[Answer] = Future()

    def run() -> None:
        try:
            answer.set_result(work())
        except BaseException as error:
            answer.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return answer


def answers_of(works: Sequence[Callable[[], Answer]], at_once: int) -> list[Answer]:
    """What each of `works` returns, in their order; so many are done side by side."""
    free = threading.Semaphore(at_once)

    def one(work: Callable[[], Answer]) -> Answer:
        with free:
            return work()

    begun = [begin(partial(one, work)) for work in works]
    return [answer.result() for answer in begun]
