"""Signs of life: what is waited for, on a terminal and piped, and nothing where data goes."""

from __future__ import annotations

import io
import re
import time
from collections.abc import Iterator

import pytest

from provisioning import waiting
from provisioning.cli import signs_of_life as module
from provisioning.cli.common import Plain
from provisioning.cli.signs_of_life import Signs, printing, signs_of_life
from provisioning.waiting import Wait, say_on_stderr, waiting_for


def console(terminal: bool, width: int = 80) -> Plain:
    return Plain(file=io.StringIO(), width=width, force_terminal=terminal, highlight=False)


def shown(on: Plain) -> str:
    assert isinstance(on.file, io.StringIO)
    return on.file.getvalue()


def plain(text: str) -> str:
    return re.sub(r"\x1b\[[0-9?]*[A-Za-z]", "", text)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TICK", 0.01)


@pytest.fixture
def waits() -> Iterator[None]:
    """NocoBase has been waited for since 46 s, Microsoft Graph since 3 s."""
    now = time.monotonic()
    longest = [Wait("NocoBase", now - 46, 120), Wait("Microsoft Graph", now - 3, 30), Wait("NocoBase", now - 2, 120)]
    waiting._waits.extend(longest)
    yield
    waiting._waits[:] = []


@pytest.mark.parametrize(
    ("limit", "waited", "words"),
    [(120, 46.2, "NocoBase, 46 of 120 s"), (None, 3, "NocoBase, 3 s"), (30, 31, "NocoBase, 31 s")],
)
def test_a_wait_says_how_long_and_how_long_at_most(limit: float | None, waited: float, words: str) -> None:
    assert Wait("NocoBase", 100, limit).in_words(100 + waited) == words


@pytest.mark.usefixtures("waits")
def test_a_terminal_shows_one_line_that_fits_and_goes() -> None:
    on = console(terminal=True, width=50)
    signs = Signs(on, shown_after=1)
    signs.look()
    (line,) = plain(shown(on)).splitlines()
    assert line.strip().endswith("waiting for NocoBase, 46 of 120 s; Microsoft Gr…")
    assert len(line) == 50
    signs.hide()
    assert shown(on).endswith("\x1b[2K")  # the line is erased
    assert "\x1b[?25h" in shown(on)  # and the cursor is there again


@pytest.mark.usefixtures("waits")
def test_a_pipe_gets_a_plain_line_now_and_then() -> None:
    on = console(terminal=False)
    signs = Signs(on, every=0.2)
    began = time.monotonic()
    while time.monotonic() - began < 0.5:
        signs.look()
    assert shown(on).splitlines() == ["waiting for NocoBase, 46 of 120 s; Microsoft Graph, 3 of 30 s"] * 2


def test_what_is_quick_is_not_shown() -> None:
    for terminal in (True, False):
        on = console(terminal)
        with signs_of_life(Signs(on, shown_after=60, every=60)), waiting_for("NocoBase"):
            time.sleep(0.05)
        assert shown(on) == ""


def test_the_line_is_gone_when_the_wait_has_ended_or_something_is_printed() -> None:
    on = console(terminal=True)
    signs = Signs(on, shown_after=0)
    with signs_of_life(signs):
        with waiting_for("NocoBase"):
            while "waiting for NocoBase, 0 s" not in shown(on):
                time.sleep(0.01)
            with printing():
                before = shown(on)
                assert before.endswith("\x1b[2K")
                time.sleep(0.05)
                assert shown(on) == before
            while shown(on).count("waiting") < before.count("waiting") + 1:
                time.sleep(0.01)
        assert shown(on).endswith("\x1b[2K")


def test_words_of_a_wait_go_above_the_line() -> None:
    on = console(terminal=True)
    with signs_of_life(Signs(on, shown_after=0)), waiting_for("NocoBase"):
        while "waiting" not in shown(on):
            time.sleep(0.01)
        say_on_stderr("NocoBase starts.")
        assert "\nNocoBase starts.\n" in plain(shown(on)).replace("\r", "\n")


def test_an_interrupt_leaves_no_line_behind() -> None:
    on = console(terminal=True)

    def wait() -> None:
        with signs_of_life(Signs(on, shown_after=0)), waiting_for("NocoBase"):
            while "waiting" not in shown(on):
                time.sleep(0.01)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        wait()
    assert shown(on).endswith("\x1b[2K")
    assert waiting.waits() == ()
