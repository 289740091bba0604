"""A wait ends at once when it is to end, whatever hangs; else it brings what was waited for."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from functools import partial

import pytest

from provisioning import waiting
from provisioning.errors import Interrupted


@pytest.fixture(autouse=True)
def again() -> Iterator[None]:
    """The end of all waits holds for the rest of a process."""
    yield
    waiting._ended.clear()


def test_it_brings_what_is_waited_for_or_what_was_raised() -> None:
    assert waiting.answer_of(lambda: 7, "it") == 7
    with pytest.raises(TimeoutError, match="its own"):
        waiting.answer_of(lambda: (_ for _ in ()).throw(TimeoutError("its own")), "it")


def test_what_hangs_does_not_hold_it_back() -> None:
    hangs = threading.Event()
    threading.Timer(0.1, waiting.end_all).start()
    began = time.monotonic()
    with pytest.raises(Interrupted):
        waiting.answer_of(hangs.wait, "it")
    with pytest.raises(Interrupted):
        waiting.pause(60)
    assert time.monotonic() - began < 30
    hangs.set()


def test_nothing_begins_after_the_end() -> None:
    begun: list[int] = []
    waiting.end_all()
    with pytest.raises(Interrupted):
        waiting.answer_of(lambda: begun.append(1), "it")
    time.sleep(0.1)
    assert begun == []


def test_it_says_that_it_goes_on() -> None:
    signs: list[float] = []
    waiting.answer_of(partial(time.sleep, 0.5), "it", going_on=lambda: signs.append(time.monotonic()), every=0.15)
    assert len(signs) >= 2


def test_so_many_are_done_side_by_side_and_the_answers_keep_their_order() -> None:
    running, most = 0, 0
    lock = threading.Lock()

    def work(number: int) -> int:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.02)
        with lock:
            running -= 1
        return number

    assert waiting.answers_of([partial(work, number) for number in range(6)], 2) == list(range(6))
    assert most == 2
