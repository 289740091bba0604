"""A headless Chromium, asked over its DevTools protocol through two pipes. For proofs of how a page looks."""

from __future__ import annotations

import base64
import fcntl
import itertools
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

INSTALL = "No Chromium is on PATH. Install it, on Debian and Ubuntu by `sudo apt-get install chromium`."


HIGH = 10
"""A descriptor above those that Chromium reads its orders from and writes its answers to."""

START = """
import os, sys
orders, answers, *command = sys.argv[1:]
os.dup2(int(orders), 3)
os.dup2(int(answers), 4)
os.execv(command[0], command)
"""
"""Starts a command with two descriptors at the places where it looks for its pipes."""


class Browser:
    """One page of a running Chromium."""

    def __init__(self, orders: int, answers: int) -> None:
        """orders, answers: the pipes' descriptors; the caller closes them."""
        self._orders = orders
        self._answers = answers
        self._buffer = b""
        self._numbers = itertools.count(1)
        self._session: str | None = None
        self.events: list[dict[str, Any]] = []
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Network", "Log", "Runtime", "Accessibility"):
            self.ask(f"{domain}.enable")

    def ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        """A command's result; events that come before it are kept in `events`."""
        number = next(self._numbers)
        order = {"id": number, "method": method, "params": parameters}
        if self._session:
            order["sessionId"] = self._session
        rest = json.dumps(order).encode() + b"\0"
        while rest:
            rest = rest[os.write(self._orders, rest) :]
        while (message := self._message()).get("id") != number:
            self.events.append(message)
        assert "error" not in message, message
        result: dict[str, Any] = message["result"]
        return result

    def _message(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            chunk = os.read(self._answers, 1 << 20)
            assert chunk, "Chromium has ended"
            self._buffer += chunk
        text, _, self._buffer = self._buffer.partition(b"\0")
        found: dict[str, Any] = json.loads(text)
        return found

    def wait_for(self, event: str) -> None:
        """Until `event` has come."""
        while not any(found.get("method") == event for found in self.events):
            self.events.append(self._message())

    def open(self, page: Path, width: int, dark: bool = False) -> None:
        """Show a file in a window of that many CSS pixels, as a browser does that prefers light or dark."""
        self.events.clear()
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=800, deviceScaleFactor=1, mobile=False)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.ask("Emulation.setEmulatedMedia", features=[scheme])
        self.ask("Page.navigate", url=page.as_uri())
        self.wait_for("Page.loadEventFired")

    def value(self, expression: str) -> Any:
        """What a JavaScript expression gives in the page; the page's own policy does not hold it up."""
        return self.ask("Runtime.evaluate", expression=expression, returnByValue=True)["result"].get("value")

    def screenshot(self, file: Path) -> None:
        """The whole page as a PNG."""
        height = self.value("document.documentElement.scrollHeight")
        clip = {"x": 0, "y": 0, "width": self.value("innerWidth"), "height": height, "scale": 1}
        shot = self.ask("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)
        file.write_bytes(base64.b64decode(shot["data"]))


@contextmanager
def chromium(profile: Path) -> Iterator[Browser]:
    """A Chromium with a profile of its own in the folder `profile`. Fails, in words, where none is installed."""
    command = next(filter(None, map(shutil.which, NAMES)), None)
    assert command, INSTALL
    theirs_in, orders = os.pipe()
    answers, theirs_out = os.pipe()
    options = ("--headless", "--no-sandbox", "--hide-scrollbars", "--remote-debugging-pipe", "--disable-gpu")
    pipes = [fcntl.fcntl(end, fcntl.F_DUPFD, HIGH) for end in (theirs_in, theirs_out)]
    starter = [sys.executable, "-c", START, *map(str, pipes)]
    with subprocess.Popen(
        [*starter, command, *options, f"--user-data-dir={profile}"],
        pass_fds=pipes,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as program:
        for end in (theirs_in, theirs_out, *pipes):
            os.close(end)
        try:
            yield Browser(orders, answers)
        finally:
            program.terminate()
            os.close(orders)
            os.close(answers)
