"""A copy of the template is, to the engine that starts it, the process that it replaces."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.e2e import from_template, template

SCRIPT = """
import json, os, signal, sys, time
signal.signal(signal.SIGINT, lambda *_: sys.exit(3))
print(json.dumps([os.getcwd(), os.environ["GIVEN"], sys.argv[1:], "json" in before, os.getpid()]), flush=True)
print("said", file=sys.stderr)
if sys.argv[1] == "waits":
    time.sleep(60)
elif sys.argv[1] != "ends":
    exec(sys.argv[1])
"""


@pytest.fixture
def socket(tmp_path: Path) -> Iterator[Path]:
    """A template that has the module `json` imported already."""
    address = tmp_path / "socket"
    command = [sys.executable, "-u", "-P", template.__file__, str(address), "json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield address
        process.terminate()


def start(socket: Path, folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """Have the script run in `folder`."""
    script = folder / "script.py"
    script.write_text(f"import sys; before = set(sys.modules)\n{SCRIPT}")
    command = [sys.executable, "-I", "-S", from_template.__file__, str(socket), str(script), *arguments]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=folder, env={"GIVEN": "a=b"}, stdout=pipe, stderr=pipe, text=True)


def copy_of(process: subprocess.Popen[str]) -> psutil.Process:
    """The copy that does the work."""
    assert process.stdout is not None
    return psutil.Process(int(process.stdout.readline().rpartition(",")[2].strip(" ]\n")))


def test_it_has_folder_variables_arguments_and_files_of_its_own(socket: Path, tmp_path: Path) -> None:
    with start(socket, tmp_path, "ends", "x y") as process:
        printed, said = process.communicate(timeout=30)
    assert printed.startswith(f'["{tmp_path}", "a=b", ["ends", "x y"], true, ')
    assert said == "said\n"
    assert process.returncode == 0


ENDS = {"sys.exit(32)": 32, "os._exit(33)": 33, "sys.exit('why')": 1, "1 / 0": 1, "os.abort()": 134}


@pytest.mark.parametrize(("end", "code"), ENDS.items())
def test_its_exit_code_is_the_copys(end: str, code: int, socket: Path, tmp_path: Path) -> None:
    with start(socket, tmp_path, end) as process:
        process.communicate(timeout=30)
    assert process.returncode == code


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_it_ends_by_a_signal(how: signal.Signals, socket: Path, tmp_path: Path) -> None:
    """A signal to the process that the engine has started, which may be one that cannot be passed on."""
    with start(socket, tmp_path, "waits") as process:
        copy = copy_of(process)
        process.send_signal(how)
        assert process.wait(30) == (3 if how is signal.SIGINT else -how)
    copy.wait(30)


def test_it_ends_with_the_engine(socket: Path, tmp_path: Path) -> None:
    with start(socket, tmp_path, "ends") as process:
        process.communicate(timeout=30)
    script = [sys.executable, "-I", "-S", from_template.__file__, str(socket), str(tmp_path / "script.py"), "waits"]
    # The engine: it is killed as soon as what it has started runs.
    engine = f"import subprocess, sys; subprocess.Popen({script}, env={{'GIVEN': 'x'}}); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", engine], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        copy = copy_of(process)
        started = psutil.Process(process.pid).children()
        process.kill()
    deadline = time.monotonic() + 30
    while (alive := [one for one in (copy, *started) if one.is_running()]) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert alive == []
