"""The Python language host for a Pulumi engine that was built without one.

The engine starts it with its own address as the last argument, reads a port from its output and speaks gRPC
(LanguageRuntime) with it. It starts it twice for each command: once only to ask about the Python it runs on, and once
for the program. It runs the program as the official host does (sdk/python/cmd/pulumi-language-python of Pulumi 3.274):
by pulumi-language-python-exec, in a process of its own, to which it sends SIGINT when the engine cancels the run.

Runs as a script with the project's own Python; its first argument is the file pulumi-language-python-exec. It may not
import anything of the sandbox, and not the Pulumi SDK, whose import takes a quarter of a second.
"""

from __future__ import annotations

import importlib.util
import json
import os
import queue
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import IO, TYPE_CHECKING

import grpc

if TYPE_CHECKING:
    from pulumi.runtime.proto.language_pb2 import RunPluginResponse, RunRequest, RunResponse

SERVICE = "/pulumirpc.LanguageRuntime/"
MESSAGE_BYTES = 400 * 1024 * 1024
"""The largest message, as the engine and its SDKs have it."""

SAID_ALREADY = 32
"""The exit code of a program that has shown its person why it ended."""

DELAY_SECONDS = 5.0
"""How long a program may go on after SIGINT, as with the official host."""

NOT_SERVED = ("InstallDependencies", "RuntimeOptionsPrompts", "Template", "GetProgramDependencies", "GenerateProgram",
              "GenerateProject", "GeneratePackage", "Pack", "Link")  # fmt: skip
STREAMED = ("InstallDependencies", "RunPlugin")
"""The calls that are answered by a stream."""

WHY_NOT = (
    "the sandbox's Python language host runs programs only; `pulumi install`, `pulumi new` and the dependencies in "
    "`pulumi about` need the Pulumi CLI (https://www.pulumi.com/docs/install/). In this folder, `make up` installs "
    "what the program needs"
)

Call = Callable[[bytes, grpc.ServicerContext], bytes]


class Host(grpc.GenericRpcHandler):
    """Answers the engine's calls as bytes. executor: pulumi-language-python-exec. engine: its address."""

    def __init__(self, executor: str, engine: str) -> None:
        self.programs = Programs(executor, engine)
        self._answers: dict[str, Call] = {
            # An empty message: no version, no package known before the program runs, nothing to add.
            "Handshake": _empty,
            "GetPluginInfo": _empty,
            "GetRequiredPackages": _empty,
            "Cancel": self._cancel,
            "About": lambda _request, _context: about(),
            "Run": self.programs.run,
        }

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[bytes, bytes] | None:
        """The handler of one call; None makes gRPC answer UNIMPLEMENTED."""
        method = handler_call_details.method
        call = str(method.decode() if isinstance(method, bytes) else method).removeprefix(SERVICE)
        if call in NOT_SERVED:
            return _refusal(call)
        if call == "RunPlugin":
            return grpc.unary_stream_rpc_method_handler(run_plugin)
        answer = self._answers.get(call)
        return None if answer is None else grpc.unary_unary_rpc_method_handler(answer)

    def _cancel(self, _request: bytes, _context: grpc.ServicerContext) -> bytes:
        self.programs.interrupt()
        return b""


class Programs:
    """The programs that run. executor, engine: as for Host."""

    def __init__(self, executor: str, engine: str) -> None:
        self._executor, self._engine = executor, engine
        self._running: set[subprocess.Popen[bytes]] = set()

    def run(self, raw: bytes, context: grpc.ServicerContext) -> bytes:
        """Run the program that the engine asks for, to its end."""
        _without_the_sdk()
        from pulumi.runtime.proto.language_pb2 import RunRequest  # noqa: PLC0415

        request = RunRequest.FromString(raw)
        virtualenv = virtualenv_of(request)
        program = subprocess.Popen(
            [virtualenv / "bin" / "python", self._executor, *arguments(request, self._engine)],
            env={**activated(virtualenv), **configuration(request)},
            stdin=subprocess.DEVNULL,
        )
        self._running.add(program)
        context.add_callback(self.interrupt)
        code = program.wait()
        self._running.discard(program)
        return ended(code).SerializeToString()

    def interrupt(self) -> None:
        """Send SIGINT to what runs; what does not end by that is killed."""
        for program in list(self._running):
            program.send_signal(signal.SIGINT)
            killer = threading.Timer(DELAY_SECONDS, program.kill)
            killer.daemon = True
            killer.start()

    def end(self) -> None:
        """Have all of it ended before this returns."""
        programs = list(self._running)
        for program in programs:
            program.send_signal(signal.SIGINT)
        for program in programs:
            try:
                program.wait(DELAY_SECONDS)
            except subprocess.TimeoutExpired:
                program.kill()


def arguments(request: RunRequest, engine: str) -> list[str]:
    """The arguments of pulumi-language-python-exec, in the official host's order."""
    options = {
        "monitor": request.monitor_address,
        "engine": engine,
        "project": request.project,
        "root_directory": request.info.root_directory,
        "stack": request.stack,
        "pwd": request.pwd,
        "dry_run": "true" if request.dryRun else "false",
        "parallel": str(request.parallel),
        "organization": request.organization,
    }
    given = [word for name, value in options.items() if value for word in (f"--{name}", value)]
    return [*given, request.info.entry_point, *request.args]


def configuration(request: RunRequest) -> dict[str, str]:
    """The variables by which a program gets the stack's configuration."""
    return {
        "PULUMI_CONFIG": json.dumps(dict(request.config)),
        "PULUMI_CONFIG_SECRET_KEYS": json.dumps(list(request.configSecretKeys)),
    }


def virtualenv_of(request: RunRequest) -> Path:
    """The virtualenv that Pulumi.yaml names, or this one where it names none that is there."""
    options = request.info.options.fields
    name = options["virtualenv"].string_value if "virtualenv" in options else ""
    asked = Path(request.info.root_directory or request.pwd, name)
    return asked if name and (asked / "bin" / "python").exists() else Path(sys.prefix)


def activated(virtualenv: Path) -> dict[str, str]:
    """This process's variables in a virtualenv."""
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONHOME"}
    path = f"{virtualenv / 'bin'}{os.pathsep}{variables.get('PATH', os.defpath)}"
    return {**variables, "PATH": path, "VIRTUAL_ENV": str(virtualenv)}


def ended(code: int) -> RunResponse:
    """What the engine is told of a program's end, in the official host's words. code: negative after a signal."""
    from pulumi.runtime.proto.language_pb2 import RunResponse  # noqa: PLC0415

    if code == SAID_ALREADY:
        return RunResponse(bail=True)
    return RunResponse(error=f"program exited with non-zero exit code: {max(code, -1)}" if code else "")


def about() -> bytes:
    """The message AboutResponse(executable, version), written by hand because its class comes with the whole SDK."""
    return _text_field(1, sys.executable) + _text_field(2, "{}.{}.{}".format(*sys.version_info))


PLUGINS: set[subprocess.Popen[bytes]] = set()
"""The policy packs that run; they know nothing of the engine's end."""


def run_plugin(raw: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
    """Run a plugin that is written in Python, such as a policy pack, in the virtualenv that it names.

    Yields its output piece by piece as RunPluginResponse messages, and at last its exit code.
    """
    _without_the_sdk()
    from pulumi.runtime.proto.language_pb2 import RunPluginRequest, RunPluginResponse  # noqa: PLC0415

    request = RunPluginRequest.FromString(raw)
    options = request.info.options.fields
    virtualenv = options["virtualenv"].string_value if "virtualenv" in options else ""
    python = Path(request.info.root_directory, virtualenv, "bin", "python") if virtualenv else Path(sys.executable)
    if not python.exists():
        yield RunPluginResponse(
            stderr=f"The virtualenv {python.parent.parent} is not there.\n".encode()
        ).SerializeToString()
        yield RunPluginResponse(exitcode=1).SerializeToString()
        return
    pack = request.kind == "analyzer"
    # The pack's folder comes last, as the official host has it.
    words = ["-u", "-m", "pulumi.policy", *request.args] if pack else ["-u"]
    words += [request.info.program_directory] if pack else [request.info.program_directory, *request.args]
    process = subprocess.Popen(
        [python, *words],
        cwd=request.info.program_directory if pack else request.pwd,
        env={**os.environ, **dict(entry.split("=", 1) for entry in request.env)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    PLUGINS.add(process)
    context.add_callback(process.terminate)
    assert process.stdout is not None
    assert process.stderr is not None
    said: queue.SimpleQueue[RunPluginResponse | None] = queue.SimpleQueue()

    def follow(stream: IO[bytes], answer: Callable[[bytes], RunPluginResponse]) -> None:
        with stream:
            while piece := os.read(stream.fileno(), 65536):
                said.put(answer(piece))
        said.put(None)

    followers = (
        (process.stdout, lambda piece: RunPluginResponse(stdout=piece)),
        (process.stderr, lambda piece: RunPluginResponse(stderr=piece)),
    )
    for follower in followers:
        threading.Thread(target=follow, args=follower, daemon=True).start()
    for _ in followers:
        for answer in iter(said.get, None):
            yield answer.SerializeToString()
    code = process.wait()
    PLUGINS.discard(process)
    yield RunPluginResponse(exitcode=code).SerializeToString()


def _refusal(call: str) -> grpc.RpcMethodHandler[bytes, bytes]:
    def refuse(_request: bytes, context: grpc.ServicerContext) -> bytes:
        context.abort(grpc.StatusCode.FAILED_PRECONDITION, WHY_NOT)

    def refuse_a_stream(request: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
        yield refuse(request, context)

    if call in STREAMED:
        return grpc.unary_stream_rpc_method_handler(refuse_a_stream)
    return grpc.unary_unary_rpc_method_handler(refuse)


def _without_the_sdk() -> None:
    """Have the messages of the SDK imported without the SDK: its two packages are taken for empty ones."""
    found = importlib.util.find_spec("pulumi")
    if "pulumi" in sys.modules or found is None or not found.submodule_search_locations:
        return
    for name in ("pulumi", "pulumi.runtime"):
        package = ModuleType(name)
        package.__path__ = [os.path.join(found.submodule_search_locations[0], *name.split(".")[1:])]
        sys.modules[name] = package


def _empty(_request: bytes, _context: grpc.ServicerContext) -> bytes:
    return b""


def _text_field(number: int, text: str) -> bytes:
    content = text.encode()
    length, prefix = len(content), bytearray([number << 3 | 2])
    while length > 0x7F:
        prefix.append(length & 0x7F | 0x80)
        length >>= 7
    return bytes(prefix) + bytes([length]) + content


def end_when_told(programs: Programs) -> None:
    """Let SIGINT, by which the engine ends its plugins, and SIGTERM end this process and what it has started.

    The signal may reach any thread, and one that reaches a gRPC thread does not wake a waiting main thread: Python's
    handler would run seconds later. So a thread of our own waits for the byte that the interpreter writes.
    """
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    signal.signal(signal.SIGINT, lambda *_: None)
    signal.signal(signal.SIGTERM, lambda *_: None)

    def wait() -> None:
        _wait_for_end(reader)
        for plugin in list(PLUGINS):
            plugin.terminate()
        programs.end()
        # Taking the interpreter down in the usual way would cost 0.1 s of each command.
        os._exit(0)

    threading.Thread(target=wait, daemon=True).start()


def _wait_for_end(signals: int) -> None:
    """Wait for one of the two signals, or for the end of the engine, which closes this process's standard input."""
    stdin = 0
    watch = select.poll()
    watch.register(signals, select.POLLIN)
    watch.register(stdin, 0)
    while True:
        for file, events in watch.poll():
            if file == stdin and events & select.POLLHUP:
                return
            if file == stdin:
                watch.unregister(stdin)
            elif os.read(signals, 1)[0] in (signal.SIGINT, signal.SIGTERM):
                return


def main() -> None:
    """Serve until the engine says stop."""
    host = Host(sys.argv[1], sys.argv[-1])
    end_when_told(host.programs)
    server = grpc.server(
        ThreadPoolExecutor(4),
        handlers=[host],
        options=[("grpc.max_receive_message_length", MESSAGE_BYTES), ("grpc.max_send_message_length", MESSAGE_BYTES)],
    )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)
    server.wait_for_termination()


if __name__ == "__main__":
    main()
