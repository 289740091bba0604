"""The template: a process with packages imported, from which those are forked that the engine wants to start.

`template.py SOCKET MODULE…` imports the modules, listens on the socket and prints a line. Whoever connects
(`from_template.py`) sends its standard files, its folder and variables, and the command that it stands for: a copy of
this process carries that out in its place, and lives no longer than the connection.

Runs as a script. It imports nothing of the program: what is the program's own is imported by each copy.
"""

from __future__ import annotations

import ast
import atexit
import gc
import importlib
import os
import runpy
import select
import signal
import socket
import sys
import threading
from contextlib import suppress

LENGTH_BYTES = 8

COPIES: dict[int, socket.socket] = {}
"""The connection by which each copy is waited for."""


def main() -> None:
    """Serve until somebody ends this process."""
    address, *modules = sys.argv[1:]
    for name in modules:
        importlib.import_module(name)
    # A thread that an import starts would be missing in every copy.
    assert threading.active_count() == 1
    # A collection in a copy would touch, and so copy, all that it shares with the others.
    gc.collect()
    gc.freeze()
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    # The end of a copy is read like a connection: a handler could run too early, or not before the next connection.
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen()
        print("ready", flush=True)
        while True:
            ready = select.select([listener.fileno(), reader], [], [])[0]
            if reader in ready:
                os.read(reader, 4096)
                _reap()
            if listener.fileno() in ready:
                connection, _ = listener.accept()
                copy = os.fork()
                if copy == 0:
                    signal.set_wakeup_fd(-1)
                    for other in (listener, *COPIES.values()):
                        other.close()
                    be(connection)
                COPIES[copy] = connection


def be(connection: socket.socket) -> None:
    """Be the process that is asked for, to its end."""
    length, files, _, _ = socket.recv_fds(connection, LENGTH_BYTES, 3)
    size, order = int.from_bytes(length, "big"), b""
    while len(order) < size:
        order += connection.recv(size - len(order))
    folder, variables, command = ast.literal_eval(order.decode())
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.environ.clear()
    os.environ.update(variables)
    os.chdir(folder)
    connection.sendall(str(os.getpid()).encode().ljust(LENGTH_BYTES))
    threading.Thread(target=_end_with, args=(connection,), daemon=True).start()
    code: object = 0
    try:
        carry_out(command)
    except SystemExit as stop:
        code = stop.code
    except BaseException:
        sys.excepthook(*sys.exc_info())
        code = 1
    if not isinstance(code, int | None):
        print(code, file=sys.stderr)
        code = 1
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code or 0)


def carry_out(command: list[str]) -> None:
    """Run the script or, after `-m`, the module, with its arguments; `-P` before it means what it means to Python."""
    safe_path = command[0] == "-P"
    sys.argv = command[safe_path:]
    is_module = sys.argv[0] == "-m"
    if not safe_path:
        sys.path.insert(0, os.getcwd() if is_module else os.path.dirname(sys.argv[0]))
    if is_module:
        del sys.argv[0]
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
    else:
        runpy.run_path(sys.argv[0], run_name="__main__")


def _reap() -> None:
    """Tell whoever waits for a copy that has ended how it did; its processor time counts as this process's then."""
    with suppress(ChildProcessError):
        while True:
            copy, status = os.waitpid(-1, os.WNOHANG)
            if copy == 0:
                return
            code = os.waitstatus_to_exitcode(status)
            with COPIES.pop(copy) as connection, suppress(OSError):
                connection.sendall(bytes([code if code >= 0 else 128 - code]))


def _end_with(connection: socket.socket) -> None:
    """End this process at once when the one that it replaces was killed."""
    connection.recv(1)
    os._exit(1)


if __name__ == "__main__":
    main()
