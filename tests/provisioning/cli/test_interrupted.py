"""Ctrl-C, whenever it comes, is exit code 130 without a traceback."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from provisioning.cli import app
from provisioning.cli.common import NOTHING_CHANGED, if_interrupted, interruptible
from provisioning.status import read
from provisioning.status.read import Unread
from tests.golden import PROJECT
from tests.provisioning.checkpoints import ONE_SECRET, TENANT_ID, export, push
from tests.provisioning.fake_pulumi import fake_pulumi

# msgraph's own generated code uses its deprecated names.
pytestmark = pytest.mark.filterwarnings("ignore:.* is deprecated:DeprecationWarning")

IMPORTING = """
import runpy, signal, sys

class Finder:
    def find_spec(self, name, *_):
        if name == "typer":
            signal.raise_signal(signal.SIGINT)

signal.signal(signal.SIGINT, signal.default_int_handler)
sys.meta_path.insert(0, Finder())
runpy.run_module("provisioning", run_name="__main__")
"""


def test_while_it_imports() -> None:
    ended = subprocess.run([sys.executable, "-c", IMPORTING], cwd=PROJECT, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (130, "")


def test_while_it_reads() -> None:
    command = [sys.executable, "-m", "provisioning", "explain", "-"]
    with subprocess.Popen(
        command, cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=5)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
    assert (process.returncode, "Traceback" in said) == (130, False)


def test_at_a_question() -> None:
    app = typer.Typer()

    @app.command()
    @interruptible
    def ask() -> None:
        if_interrupted("Two of three were written. Run it again.")
        raise typer.Abort

    ended = CliRunner().invoke(app, [])
    assert (ended.exit_code, ended.stderr) == (130, "Interrupted. Two of three were written. Run it again.\n")


HANGING = """
import runpy, threading, time
from provisioning import cli

def main():
    threading.Thread(target=time.sleep, args=(60,)).start()
    raise SystemExit(130)

cli.main = main
runpy.run_module("provisioning", run_name="__main__")
"""


def test_a_thread_that_hangs_does_not_hold_the_end_back() -> None:
    began = time.monotonic()
    ended = subprocess.run([sys.executable, "-c", HANGING], cwd=PROJECT, capture_output=True, check=False, timeout=60)
    assert (ended.returncode, ended.stderr) == (130, b"")
    assert time.monotonic() - began < 30


WRITING = """
import io, runpy, sys
from provisioning import cli

class Closed(io.StringIO):
    def flush(self):
        raise BrokenPipeError

def main():
    sys.stdout = Closed()
    raise KeyboardInterrupt

cli.main = main
runpy.run_module("provisioning", run_name="__main__")
"""


def test_while_it_writes_what_nobody_takes() -> None:
    ended = subprocess.run([sys.executable, "-c", WRITING], cwd=PROJECT, capture_output=True, check=False)
    assert (ended.returncode, ended.stderr) == (130, b"")


@dataclass
class Silent:
    """A server that takes connections and never answers."""

    port: int
    asked: threading.Event


@pytest.fixture
def silent() -> Iterator[Silent]:
    taken: list[socket.socket] = []
    asked = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def take() -> None:
            with suppress(OSError):
                while True:
                    taken.append(server.accept()[0])
                    asked.set()

        threading.Thread(target=take, daemon=True).start()
        yield Silent(server.getsockname()[1], asked)
        server.shutdown(socket.SHUT_RDWR)
    for connection in taken:
        connection.close()


@pytest.fixture
def pressed(silent: Silent) -> list[float]:
    """Ctrl-C is pressed as soon as an answer is waited for; when that was."""
    moments: list[float] = []

    def press() -> None:
        silent.asked.wait(60)
        time.sleep(0.2)
        moments.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=press, daemon=True).start()
    return moments


AT_ONCE = 4.0
"""Seconds on a busy machine; the shortest limit of a wait is 5."""

CONFIG = {"nocobase-outlook:nocobaseUrl": {"value": "http://localhost:9"}}
CLIENT_ID = "1b4e28ba-2fa1-11d2-883f-0016d3cca427"


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize(
    "command", [["status"], ["doctor"], ["prune", "--yes"], ["adopt", CLIENT_ID, "--yes"], ["adopt"]], ids=" ".join
)
def test_while_entra_id_is_waited_for(
    command: list[str], silent: Silent, pressed: list[float], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = fake_pulumi(tmp_path, {"prod": export(*(EMPTY if "adopt" in command else ONE_SECRET))}, CONFIG)
    about = {"currentStack": {"fullyQualifiedName": "organization/nocobase-outlook/prod"}}
    (engine.folder / "prod.about").write_text(json.dumps(about))
    secret = {"ARM_CLIENT_ID": CLIENT_ID, "ARM_CLIENT_SECRET": "x", "ARM_TENANT_ID": TENANT_ID}
    for name, value in {**engine.environment, **secret, "ARM_METADATA_HOSTNAME": f"localhost:{silent.port}"}.items():
        monkeypatch.setenv(name, value)
    ended = CliRunner().invoke(app, command)
    assert time.monotonic() - pressed[0] < AT_ONCE
    assert (ended.exit_code, ended.stderr.splitlines()[-1]) == (130, f"Interrupted. {NOTHING_CHANGED}")


EMPTY: tuple[dict[str, Any], ...] = ()


@pytest.mark.usefixtures("interruptible")
def test_while_nocobase_is_waited_for(
    silent: Silent, pressed: list[float], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOCOBASE_API_KEY", "key")
    monkeypatch.setattr(read, "read_registration", lambda *_: Unread("not asked"))
    monkeypatch.setattr(read, "read_principal", lambda *_: Unread("not asked"))
    monkeypatch.setattr(read, "read_duplicates", lambda *_: Unread("not asked"))
    given = push("a", "2027-01-01", nocobase_url=f"http://localhost:{silent.port}")
    engine = fake_pulumi(tmp_path, {"prod": export(*ONE_SECRET[:-1], given)}, CONFIG)
    for name, value in engine.environment.items():
        monkeypatch.setenv(name, value)
    ended = CliRunner().invoke(app, ["status"])
    assert time.monotonic() - pressed[0] < AT_ONCE
    assert (ended.exit_code, ended.stderr.splitlines()[-1]) == (130, f"Interrupted. {NOTHING_CHANGED}")
