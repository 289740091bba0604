"""Background processes of a sandbox: started detached, found again by their files, ended by their ids.

A process file holds the id and the start time of the process, so that an id that was given to somebody else
meanwhile is never signalled.
"""

from __future__ import annotations

import json
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import psutil

from sandbox import private
from sandbox.errors import SandboxError
from sandbox.place import Place


def start(place: Place, name: str, command: Sequence[str | Path], environment: Mapping[str, str], cwd: Path) -> int:
    """Start `command` in a session of its own, its output in `logs/<name>.log`, and return its process id."""
    place.logs.mkdir(parents=True, exist_ok=True)
    place.processes.mkdir(parents=True, exist_ok=True)
    with log_file(place, name).open("ab") as log:
        process = subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=dict(environment),
            cwd=cwd,
            start_new_session=True,
            umask=private.UMASK,
        )
    record = {"pid": process.pid, "started": psutil.Process(process.pid).create_time()}
    _process_file(place, name).write_text(json.dumps(record), encoding="utf-8")
    # The child outlives this program on purpose; without this, its destructor warns that it still runs.
    process.returncode = 0
    return process.pid


def running(place: Place, name: str) -> psutil.Process | None:
    """The process called `name` if it is still the one that was started, else None."""
    try:
        record = json.loads(_process_file(place, name).read_text(encoding="utf-8"))
        process = psutil.Process(int(record["pid"]))
        if process.create_time() != record["started"]:
            return None
        if process.status() == psutil.STATUS_ZOMBIE:
            # An ended child of this very program stays listed until somebody asks how it ended.
            process.wait(timeout=0)
            return None
    except (FileNotFoundError, json.JSONDecodeError, psutil.NoSuchProcess, psutil.TimeoutExpired):
        return None
    return process


def stop(place: Place, name: str, patience: float = 10) -> bool:
    """End the process called `name`: politely first, by force after `patience` seconds. False if none was running."""
    process = running(place, name)
    if process is not None:
        process.terminate()
        try:
            process.wait(timeout=patience)
        except psutil.TimeoutExpired:
            process.kill()
            process.wait(timeout=patience)
    _process_file(place, name).unlink(missing_ok=True)
    return process is not None


def wait_until_ready(place: Place, name: str, ready: Callable[[], bool], patience: float) -> None:
    """Wait until `ready()` holds.

    Raises SandboxError with the end of its log if the process ends first, or if `patience` seconds pass.
    """
    dead = False

    def settled() -> bool:
        nonlocal dead
        dead = running(place, name) is None
        return dead or ready()

    if not _wait(settled, patience) or dead:
        happened = "ended while it was starting" if dead else f"was not ready after {patience:.0f} s"
        raise SandboxError(
            f"{name} {happened}. The end of its log:\n{log_tail(place, name)}",
            f"Read {log_file(place, name)}, then run `make up` again.",
        )


def log_file(place: Place, name: str) -> Path:
    """Where the process or step called `name` writes its output."""
    return place.logs / f"{name}.log"


def log_tail(place: Place, name: str, lines: int = 15) -> str:
    """The last lines of a log, for an error message."""
    try:
        text = log_file(place, name).read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return "(no log)"
    return "\n".join(f"  | {line}" for line in text.splitlines()[-lines:])


def free_port() -> int:
    """A TCP port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def free_port_after(port: int) -> int:
    """The next higher port that nobody listens on at this moment."""
    return next((higher for higher in range(port + 1, 65536) if port_is_free(higher)), free_port())


def port_is_free(port: int) -> bool:
    """Whether nobody listens on `port` of the loopback interface."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) != 0


def _process_file(place: Place, name: str) -> Path:
    return place.processes / f"{name}.json"


def _wait(condition: Callable[[], bool], patience: float) -> bool:
    deadline = time.monotonic() + patience
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True
