"""Waits that end at once: by Ctrl-C in a command, by the engine's cancellation in the process of the push.

Whatever may wait for an answer runs in a thread of its own, for which nobody waits when the process ends: a name server
or a connection that hangs would hold Ctrl-C back.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait
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
    print(line, file=sys.stderr, flush=True)


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
    work: Callable[[], Answer], going_on: Callable[[], object] = lambda: None, every: float = float("inf")
) -> Answer:
    """What `work` returns or raises. Raises Interrupted if the wait is to end; `work` is then left alone.

    Where all waits have ended already, `work` does not begin.

    going_on: called after each `every` seconds that it takes.
    """
    go_on()
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
