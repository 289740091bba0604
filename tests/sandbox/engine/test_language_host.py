"""The language host that a built engine lacks, without an engine: what it says and starts, and its end."""

from __future__ import annotations

import ctypes
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn, cast

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
    RunResponse,
)

from sandbox.engine import language_host

HOST = Path(language_host.__file__)
EXECUTOR = "/no/executor"


def answer_of(call: str) -> grpc.RpcMethodHandler[bytes, bytes]:
    """The host's handler of one call."""
    handler = language_host.Host(EXECUTOR, "127.0.0.1:1").service(Details(f"{language_host.SERVICE}{call}"))
    assert handler is not None
    return handler


def test_about_is_the_message_that_the_engine_expects() -> None:
    message = AboutResponse.FromString(language_host.about())
    assert message == AboutResponse(executable=sys.executable, version="{}.{}.{}".format(*sys.version_info))


@dataclass
class Details:
    """What gRPC tells a handler of a call."""

    method: str
    invocation_metadata: tuple[tuple[str, str | bytes], ...] = ()


def test_no_package_is_known_before_the_program_runs() -> None:
    handler = answer_of("GetRequiredPackages")
    assert handler.unary_unary is not None
    answer = handler.unary_unary(b"", cast("grpc.ServicerContext", None))
    assert GetRequiredPackagesResponse.FromString(answer) == GetRequiredPackagesResponse()


class Refused(Exception):
    """What gRPC raises where a handler aborts."""


class Refusing:
    """A call that may be refused."""

    def abort(self, code: grpc.StatusCode, why: str) -> NoReturn:
        raise Refused(code.name, why)


@pytest.mark.parametrize("call", language_host.NOT_SERVED)
def test_what_is_not_served_says_why(call: str) -> None:
    """Not by UNIMPLEMENTED: of some calls the engine then thinks that a host need not have them."""
    handler, context = answer_of(call), cast("grpc.ServicerContext", Refusing())
    answer = handler.unary_stream if call in language_host.STREAMED else handler.unary_unary
    assert answer is not None
    with pytest.raises(Refused, match=r"FAILED_PRECONDITION.*`pulumi install`.*need the Pulumi CLI.*`make up`"):
        list(answer(b"", context))


def test_a_call_of_a_newer_engine_is_unknown() -> None:
    assert language_host.Host(EXECUTOR, "x").service(Details(f"{language_host.SERVICE}New")) is None


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
    handler = answer_of("RunPlugin")
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


REQUEST = RunRequest(
    project="p",
    stack="s",
    pwd="/",
    args=["one two"],
    config={"p:a": "b", "p:key": "secret"},
    configSecretKeys=["p:key"],
    dryRun=True,
    parallel=4,
    monitor_address="127.0.0.1:2",
    organization="o",
    info=ProgramInfo(root_directory="/", program_directory="/", entry_point="."),
)


def test_the_executor_is_called_as_the_official_host_calls_it(tmp_path: Path) -> None:
    """Source: constructArguments and Run of pulumi-language-python, Pulumi 3.274."""
    seen = tmp_path / "seen.json"
    executor = tmp_path / "executor"
    executor.write_text(
        "import json, os, sys\n"
        "names = ('PULUMI_CONFIG', 'PULUMI_CONFIG_SECRET_KEYS', 'VIRTUAL_ENV')\n"
        f"open({str(seen)!r}, 'w').write(json.dumps([sys.argv[1:], [os.environ[name] for name in names]]))\n"
    )
    programs = language_host.Programs(str(executor), "127.0.0.1:1")
    answer = programs.run(REQUEST.SerializeToString(), cast("grpc.ServicerContext", Call()))
    assert RunResponse.FromString(answer) == RunResponse()
    arguments, (config, secret_keys, virtualenv) = json.loads(seen.read_text())
    assert arguments == shlex.split(
        "--monitor 127.0.0.1:2 --engine 127.0.0.1:1 --project p --root_directory / --stack s --pwd / --dry_run true "
        "--parallel 4 --organization o . 'one two'"
    )
    assert json.loads(config) == {"p:a": "b", "p:key": "secret"}
    assert json.loads(secret_keys) == ["p:key"]
    assert virtualenv == sys.prefix


@pytest.mark.parametrize(
    ("code", "answer"),
    [
        (0, RunResponse()),
        (32, RunResponse(bail=True)),
        (1, RunResponse(error="program exited with non-zero exit code: 1")),
        (-9, RunResponse(error="program exited with non-zero exit code: -1")),
    ],
)
def test_the_engine_is_told_of_the_end_as_by_the_official_host(code: int, answer: RunResponse) -> None:
    assert language_host.ended(code) == answer


@pytest.mark.parametrize("hears", [True, False], ids=["it ends", "it goes on"])
def test_a_cancelled_program_is_interrupted_and_then_killed(
    hears: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(language_host, "DELAY_SECONDS", 0.2)
    executor = tmp_path / "executor"
    heard = "sys.exit(32)" if hears else "None"
    executor.write_text(
        "import pathlib, signal, sys, time\n"
        f"signal.signal(signal.SIGINT, lambda *_: {heard})\n"
        f"pathlib.Path({str(tmp_path / 'runs')!r}).touch()\n"
        "time.sleep(60)\n"
    )
    host = language_host.Host(str(executor), "127.0.0.1:1")
    context = cast("grpc.ServicerContext", Call())
    with ThreadPoolExecutor() as pool:
        running = pool.submit(host.programs.run, REQUEST.SerializeToString(), context)
        while not (tmp_path / "runs").exists():
            time.sleep(0.01)
        cancel = host.service(Details(f"{language_host.SERVICE}Cancel"))
        assert cancel is not None
        assert cancel.unary_unary is not None
        cancel.unary_unary(b"", context)
        answer = RunResponse.FromString(running.result(30))
    assert answer == (RunResponse(bail=True) if hears else language_host.ended(-9))


def request(virtualenv: str, root: Path) -> RunRequest:
    info = ProgramInfo(root_directory=str(root))
    if virtualenv:
        info.options.update({"virtualenv": virtualenv})
    return RunRequest(info=info)


def test_the_projects_virtualenv_is_used(tmp_path: Path) -> None:
    (tmp_path / "other" / "bin").mkdir(parents=True)
    (tmp_path / "other" / "bin" / "python").touch()
    assert language_host.virtualenv_of(request("other", tmp_path)) == tmp_path / "other"
    for name in ("", "missing"):
        assert language_host.virtualenv_of(request(name, tmp_path)) == Path(sys.prefix)


def start(cwd: Path) -> subprocess.Popen[str]:
    """Start it as the engine does, and wait for the port it prints."""
    process = subprocess.Popen(
        [sys.executable, "-u", "-P", HOST, EXECUTOR, "127.0.0.1:1"],
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


def test_interrupt_ends_it_quietly(tmp_path: Path) -> None:
    process = start(tmp_path)
    os.killpg(process.pid, signal.SIGINT)
    assert_quiet_end(process)


@pytest.mark.parametrize("which", [1, 2, -1])
@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "tgkill"), reason="needs a signal to one thread")
def test_interrupt_that_reaches_any_thread_ends_it(which: int, tmp_path: Path) -> None:
    """Python's own handler waits for the main thread, which such a signal does not wake."""
    process = start(tmp_path)
    thread = sorted(thread.id for thread in psutil.Process(process.pid).threads())[which]
    assert thread != process.pid
    # Long enough for the main thread to be waiting.
    time.sleep(0.2)
    assert ctypes.CDLL(None).tgkill(process.pid, thread, signal.SIGINT) == 0
    assert_quiet_end(process)


def test_end_of_the_engine_ends_it(tmp_path: Path) -> None:
    process = start(tmp_path)
    assert process.stdin is not None
    process.stdin.close()
    process.stdin = None
    assert_quiet_end(process)


def test_language_host_ends_on_sigterm(tmp_path: Path) -> None:
    process = start(tmp_path)
    process.terminate()
    assert_quiet_end(process)


def test_it_stays_where_it_has_no_standard_input(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-u", "-P", HOST, EXECUTOR, "127.0.0.1:1"],
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
