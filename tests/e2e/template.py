"""The template: a process with packages imported, from which those are forked that the engine wants to start.

`template.py SOCKET MODULE…` imports the modules, listens on the socket and prints a line. Whoever connects
(`from_template.py`) sends its standard files, its folder and variables, and the command that it stands for: a copy of
this process carries that out in its place, and lives no longer than the connection.

Runs as a script. It imports nothing of the program: what is the program's own is imported by each copy.
"""

from __future__ import annotations

import ast
import gc
import importlib
import os
import runpy
import signal
import socket
import sys
import threading
from contextlib import suppress

LENGTH_BYTES = 8


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
    signal.signal(signal.SIGCHLD, _reap)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen()
        print("ready", flush=True)
        while True:
            connection, _ = listener.accept()
            if os.fork() == 0:
                listener.close()
                be(connection)
            connection.close()


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
    connection.sendall(str(os.getpid()).encode())
    threading.Thread(target=_end_with, args=(connection,), daemon=True).start()
    try:
        with suppress(SystemExit):
            carry_out(command)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def carry_out(command: list[str]) -> None:
    """Run the script or, after `-m`, the module, with its arguments."""
    if command[0] == "-m":
        sys.argv = command[1:]
        runpy.run_module(command[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = command
        runpy.run_path(command[0], run_name="__main__")


def _reap(*_: object) -> None:
    """Take note of every copy that has ended; by that, its processor time counts as this process's."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG) != (0, 0):
            pass


def _end_with(connection: socket.socket) -> None:
    """End this process at once when the one that it stands in for was killed."""
    connection.recv(1)
    os._exit(1)


if __name__ == "__main__":
    main()
