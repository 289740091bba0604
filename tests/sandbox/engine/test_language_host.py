"""The two programs that a built engine lacks, without an engine: their words, and their end."""

from __future__ import annotations

import ctypes
import os
import queue
import runpy
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import grpc
import psutil
import pytest
from google.protobuf.struct_pb2 import Struct
from hypothesis import given
from hypothesis import strategies as st
from pulumi.runtime.proto.language_pb2 import (
    AboutResponse,
    GetRequiredPackagesResponse,
    ProgramInfo,
    RunPluginRequest,
    RunPluginResponse,
    RunRequest,
)

from sandbox.engine import dynamic_provider, language_host

SCRIPTS = [Path(language_host.__file__), Path(dynamic_provider.__file__)]


def test_about_is_the_message_that_the_engine_expects() -> None:
    message = AboutResponse.FromString(language_host.about())
    assert message == AboutResponse(executable=sys.executable, version="{}.{}.{}".format(*sys.version_info))


@dataclass
class Details:
    """What gRPC tells a handler of a call."""

    method: str
    invocation_metadata: tuple[tuple[str, str | bytes], ...] = ()


def test_no_package_is_known_before_the_program_runs() -> None:
    call = Details(f"{language_host.SERVICE}GetRequiredPackages")
    handler = language_host.Host(queue.SimpleQueue()).service(call)
    assert handler is not None
    assert handler.unary_unary is not None
    answer = handler.unary_unary(b"", cast("grpc.ServicerContext", None))
    assert GetRequiredPackagesResponse.FromString(answer) == GetRequiredPackagesResponse()


@pytest.mark.parametrize("call", ["InstallDependencies", "GetProgramDependencies", "GeneratePackage"])
def test_pulumi_install_and_new_are_not_served(call: str) -> None:
    assert language_host.Host(queue.SimpleQueue()).service(Details(f"{language_host.SERVICE}{call}")) is None


class Call:
    """What a handler of a call may be asked for: what happens when the engine ends it."""

    def add_callback(self, ended: object) -> None: ...


def test_a_plugin_runs_in_its_own_virtualenv_and_its_output_and_end_are_passed_on(tmp_path: Path) -> None:
    (tmp_path / "own").symlink_to(sys.prefix)
    program = "import os, sys; print(sys.prefix, sys.argv[1:], os.environ['GIVEN']); sys.exit('bad end')"
    (tmp_path / "__main__.py").write_text(program)
    options = Struct()
    options.update({"virtualenv": "own"})
    info = ProgramInfo(root_directory=str(tmp_path), program_directory=str(tmp_path), entry_point=".", options=options)
    request = RunPluginRequest(pwd=str(tmp_path), args=["127.0.0.1:1"], env=["GIVEN=a=b"], info=info)
    handler = language_host.Host(queue.SimpleQueue()).service(Details(f"{language_host.SERVICE}RunPlugin"))
    assert handler is not None
    assert handler.unary_stream is not None
    pieces = handler.unary_stream(request.SerializeToString(), cast("grpc.ServicerContext", Call()))
    answers = [RunPluginResponse.FromString(piece) for piece in pieces]
    assert b"".join(answer.stdout for answer in answers) == f"{tmp_path / 'own'} ['127.0.0.1:1'] a=b\n".encode()
    assert b"".join(answer.stderr for answer in answers) == b"bad end\n"
    assert answers[-1].exitcode == 1
    assert not language_host.PLUGINS


def test_a_plugin_whose_virtualenv_is_missing_says_so(tmp_path: Path) -> None:
    options = Struct()
    options.update({"virtualenv": "own"})
    request = RunPluginRequest(info=ProgramInfo(root_directory=str(tmp_path), options=options))
    said = list(language_host.run_plugin(request.SerializeToString(), cast("grpc.ServicerContext", Call())))
    assert RunPluginResponse.FromString(said[0]).stderr == f"The virtualenv {tmp_path / 'own'} is not there.\n".encode()
    assert RunPluginResponse.FromString(said[1]).exitcode == 1


@given(st.text(max_size=70_000))
def test_text_fields_of_every_length(text: str) -> None:
    written = language_host._text_field(1, text)
    assert AboutResponse.FromString(written).executable == text


@pytest.mark.parametrize(
    ("text", "kind", "line"),
    [
        ("def declare():\n    return {}['missing']\n\ndeclare()\n", KeyError, "line 2, in declare"),
        ("import helper_of_a_program\n", KeyError, 'helper_of_a_program.py", line 1, in <module>'),
        ("this is no Python\n", SyntaxError, "this is no Python"),
    ],
    ids=["while it runs", "in a module", "of its syntax"],
)
def test_traceback_begins_in_the_program(
    text: str, kind: type[Exception], line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "__main__.py").write_text(text)
    (tmp_path / "helper_of_a_program.py").write_text("{}['missing']\n")
    with pytest.raises(kind) as caught:
        runpy.run_path(str(tmp_path), run_name="__main__")
    said = language_host.describe(caught.value, str(tmp_path))
    assert line in said
    assert kind.__name__ in said
    # Where there is a syntax error, nothing of the program ran.
    assert kind is SyntaxError or "runpy.py" not in said


@pytest.mark.parametrize(
    ("code", "error", "said"),
    [
        (None, "", ""),
        (0, "", ""),
        (3, "Program exited with non-zero exit code: 3", ""),
        ("stopped on purpose", "Program exited with non-zero exit code: 1", "stopped on purpose\n"),
    ],
)
def test_program_that_exits(code: int | str | None, error: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert language_host._ended_by(SystemExit(code)).error == error
    assert capsys.readouterr().err == said


def test_traceback_without_the_program_is_shown_whole(tmp_path: Path) -> None:
    try:
        int("x")
    except ValueError as error:
        said = language_host.describe(error, str(tmp_path))
    assert "test_language_host" in said


def request(virtualenv: str) -> RunRequest:
    info = ProgramInfo()
    if virtualenv:
        info.options.update({"virtualenv": virtualenv})
    return RunRequest(info=info)


def test_another_virtualenv_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "pyvenv.cfg").touch()
    (tmp_path / "ours").symlink_to(sys.prefix)
    assert language_host.other_virtualenv(tmp_path, request("other")) == tmp_path / "other"
    for name in ("", "ours", "missing"):
        assert language_host.other_virtualenv(tmp_path, request(name)) is None


def start(script: Path, cwd: Path) -> subprocess.Popen[str]:
    """Start one of the two programs as the engine does, and wait for the port it prints."""
    process = subprocess.Popen(
        [sys.executable, "-u", "-P", script, "127.0.0.1:1"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=cwd,
        start_new_session=True,
    )
    assert process.stdout is not None
    assert 0 < int(process.stdout.readline()) < 65536
    return process


def assert_quiet_end(process: subprocess.Popen[str]) -> None:
    try:
        assert process.wait(timeout=3) == 0
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.read() + process.stderr.read() == ""
    finally:
        process.kill()
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()
        process.wait()


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_interrupt_ends_it_quietly(script: Path, tmp_path: Path) -> None:
    process = start(script, tmp_path)
    os.killpg(process.pid, signal.SIGINT)
    assert_quiet_end(process)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
@pytest.mark.parametrize("which", [1, 2, -1])
@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "tgkill"), reason="needs a signal to one thread")
def test_interrupt_that_reaches_any_thread_ends_it(script: Path, which: int, tmp_path: Path) -> None:
    """Python's own handler waits for the main thread, which such a signal does not wake."""
    process = start(script, tmp_path)
    thread = sorted(thread.id for thread in psutil.Process(process.pid).threads())[which]
    assert thread != process.pid
    # Long enough for the main thread to be waiting.
    time.sleep(0.2)
    assert ctypes.CDLL(None).tgkill(process.pid, thread, signal.SIGINT) == 0
    assert_quiet_end(process)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_end_of_the_engine_ends_it(script: Path, tmp_path: Path) -> None:
    process = start(script, tmp_path)
    assert process.stdin is not None
    process.stdin.close()
    process.stdin = None
    assert_quiet_end(process)


def test_language_host_ends_on_sigterm(tmp_path: Path) -> None:
    process = start(SCRIPTS[0], tmp_path)
    process.terminate()
    assert_quiet_end(process)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_it_stays_where_it_has_no_standard_input(script: Path, tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-u", "-P", script, "127.0.0.1:1"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
    )
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(0.3)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    assert_quiet_end(process)
