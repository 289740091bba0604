"""The Python language host for a Pulumi engine that was built without one.

The engine starts it with its own address as the last argument, reads a port from its output and speaks gRPC
(LanguageRuntime) with it. It starts it twice for each command: once only to ask about the Python it runs on, and once
for the program. So the Pulumi SDK, whose import takes a quarter of a second, is imported when a program is to be run.

Runs as a script with the project's own Python. It may not import anything of the sandbox: the program's imports must
not depend on where this file lies.
"""

from __future__ import annotations

import atexit
import gc
import os
import queue
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING

import grpc

if TYPE_CHECKING:
    from pulumi.runtime.proto.language_pb2 import RunRequest, RunResponse

SERVICE = "/pulumirpc.LanguageRuntime/"
MESSAGE_BYTES = 400 * 1024 * 1024
"""The largest message, as the engine and its SDKs have it."""

Job = tuple[bytes, "Future[bytes]"]


class Host(grpc.GenericRpcHandler):
    """Answers the engine's calls as bytes. `Run` goes to the main thread, where a Python program expects to run."""

    def __init__(self, jobs: queue.SimpleQueue[Job]) -> None:
        self._jobs = jobs
        self._answers: dict[str, Callable[[bytes, grpc.ServicerContext], bytes]] = {
            # An empty message: no version, no package known before the program runs, nothing to add.
            SERVICE + "Handshake": _empty,
            SERVICE + "GetPluginInfo": _empty,
            SERVICE + "GetRequiredPackages": _empty,
            SERVICE + "Cancel": _empty,
            SERVICE + "About": lambda _request, _context: about(),
            SERVICE + "Run": self._run,
        }

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[bytes, bytes] | None:
        """The handler of one call; None makes gRPC answer UNIMPLEMENTED."""
        if handler_call_details.method == SERVICE + "RunPlugin":
            return grpc.unary_stream_rpc_method_handler(run_plugin)
        answer = self._answers.get(handler_call_details.method)
        return None if answer is None else grpc.unary_unary_rpc_method_handler(answer)

    def _run(self, request: bytes, _context: grpc.ServicerContext) -> bytes:
        done: Future[bytes] = Future()
        self._jobs.put((request, done))
        return done.result()


def about() -> bytes:
    """The message AboutResponse(executable, version), written by hand because its class comes with the whole SDK."""
    return _text_field(1, sys.executable) + _text_field(2, "{}.{}.{}".format(*sys.version_info))


def run(raw: bytes, engine: str) -> bytes:
    """Run the program that the engine asks for, to its end."""
    # Nothing that an import makes is ever garbage: collecting meanwhile is a tenth of its time.
    gc.disable()
    from pulumi.runtime.proto.language_pb2 import RunRequest  # noqa: PLC0415

    gc.freeze()
    gc.enable()
    answer = run_program(RunRequest.FromString(raw), engine).SerializeToString()
    # The official host's Python process ends with its program.
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    return answer


def run_program(request: RunRequest, engine: str) -> RunResponse:
    """Run one Pulumi program as the official host does: `__main__.py` by runpy, in its folder, with its arguments.

    A failure is reported to the engine once, in the words a person needs: a RunError as its message, any other
    exception as its traceback from the program's first line on.
    """
    import asyncio  # noqa: PLC0415
    import logging  # noqa: PLC0415
    import runpy  # noqa: PLC0415

    from pulumi import RunError, log  # noqa: PLC0415
    from pulumi.runtime import Settings, configure, run_in_stack, set_all_config  # noqa: PLC0415
    from pulumi.runtime.proto.language_pb2 import RunResponse  # noqa: PLC0415

    other = other_virtualenv(Path(request.info.root_directory or request.pwd), request)
    if other is not None:
        return RunResponse(
            error=f"Pulumi.yaml names the virtualenv {other}, but the sandbox's language host runs in {sys.prefix}. "
            "Remove that virtualenv, or run this project with the official Pulumi CLI."
        )
    os.chdir(request.pwd)
    program = os.path.abspath(os.path.join(request.info.program_directory or request.pwd, request.info.entry_point))
    set_all_config(dict(request.config), list(request.configSecretKeys))
    configure(
        Settings(
            project=request.project,
            stack=request.stack,
            monitor=request.monitor_address,
            engine=engine,
            parallel=request.parallel,
            dry_run=request.dryRun,
            organization=request.organization or "organization",
            root_directory=request.info.root_directory,
        )
    )
    sys.argv = [program, *request.args]

    def declare() -> None:
        runpy.run_path(program, run_name="__main__")

    # Tasks that a failed update leaves unfinished are no news to the person.
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    workers = ThreadPoolExecutor(max(request.parallel, 1) * 4)
    loop.set_default_executor(workers)
    try:
        loop.run_until_complete(run_in_stack(declare))
    except RunError as error:
        log.error(str(error))
        return RunResponse(bail=True)
    except SystemExit as stop:
        return _ended_by(stop)
    except grpc.RpcError as error:
        # An engine that is going away has said why already.
        if error.code() != grpc.StatusCode.UNAVAILABLE:
            log.error(describe(error, program))
        return RunResponse(bail=True)
    except Exception as error:
        log.error(describe(error, program))
        return RunResponse(bail=True)
    finally:
        workers.shutdown(wait=True)
        loop.close()
    return RunResponse()


PLUGINS: set[subprocess.Popen[bytes]] = set()
"""The policy packs that run; they know nothing of the engine's end."""


def run_plugin(raw: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
    """Run a plugin that is written in Python, such as a policy pack, in the virtualenv that it names.

    Yields its output piece by piece as RunPluginResponse messages, and at last its exit code.
    """
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
    process = subprocess.Popen(
        [python, "-u", request.info.program_directory, *request.args],
        cwd=request.pwd,
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


def describe(error: BaseException, program: str) -> str:
    """The traceback of an unexpected exception, beginning at the first line of the program itself."""
    import traceback  # noqa: PLC0415

    folder = program if os.path.isdir(program) else os.path.dirname(program)
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        link.__traceback__ = from_program(link.__traceback__, folder)
        link = link.__cause__ or link.__context__
    return "The program ended with an exception that it did not handle:\n" + "".join(traceback.format_exception(error))


def from_program(trace: TracebackType | None, folder: str) -> TracebackType | None:
    """`trace` from its first frame in `folder` on; the whole of it if there is none."""
    frame = trace
    while frame is not None:
        file = frame.tb_frame.f_code.co_filename
        # A virtualenv within the project's folder is not the program.
        if file.startswith(folder + os.sep) and not file.startswith(os.path.join(sys.prefix, "")) and file != __file__:
            return frame
        frame = frame.tb_next
    return trace


def other_virtualenv(root: Path, request: RunRequest) -> Path | None:
    """The virtualenv that the project asks for, if it exists and is not the one that this host runs in."""
    options = request.info.options.fields
    name = options["virtualenv"].string_value if "virtualenv" in options else ""
    asked = (root / name).resolve()
    if not name or not (asked / "pyvenv.cfg").exists() or asked == Path(sys.prefix).resolve():
        return None
    return asked


def _ended_by(stop: SystemExit) -> RunResponse:
    from pulumi.runtime.proto.language_pb2 import RunResponse  # noqa: PLC0415

    if stop.code is None or stop.code == 0:
        return RunResponse()
    if not isinstance(stop.code, int):
        print(stop.code, file=sys.stderr)
    code = stop.code if isinstance(stop.code, int) else 1
    return RunResponse(error=f"Program exited with non-zero exit code: {code}")


def _empty(_request: bytes, _context: grpc.ServicerContext) -> bytes:
    return b""


def _text_field(number: int, text: str) -> bytes:
    content = text.encode()
    length, prefix = len(content), bytearray([number << 3 | 2])
    while length > 0x7F:
        prefix.append(length & 0x7F | 0x80)
        length >>= 7
    return bytes(prefix) + bytes([length]) + content


def end_when_told() -> None:
    """Let SIGINT, by which the engine ends its plugins, and SIGTERM end this process at once.

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
    end_when_told()
    engine = sys.argv[-1]
    # What the program prints belongs to the moment at which it prints it.
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    jobs: queue.SimpleQueue[Job] = queue.SimpleQueue()
    server = grpc.server(
        ThreadPoolExecutor(4),
        handlers=[Host(jobs)],
        options=[("grpc.max_receive_message_length", MESSAGE_BYTES), ("grpc.max_send_message_length", MESSAGE_BYTES)],
    )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)
    while True:
        raw, done = jobs.get()
        try:
            done.set_result(run(raw, engine))
        except BaseException as error:
            done.set_exception(error)


if __name__ == "__main__":
    main()
