"""The process that the engine starts, where a copy of the template (`template.py`) does its work.

`from_template.py SOCKET COMMAND…` hands over its standard files, folder and variables, passes signals on, and ends when
the copy or the engine ends. It imports next to nothing: it is started three times by each `pulumi up`.
"""

import _signal  # type: ignore[import-not-found] # `signal` takes as long to import as all the rest
import _socket
import os
import sys

PATIENCE_SECONDS = 0.5
"""How long it takes to notice that the engine was killed."""


def main() -> None:
    """Have it done, and wait for its end."""
    engine, (address, *command) = os.getppid(), sys.argv[1:]
    connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    connection.connect(address)
    order = repr((os.getcwd(), dict(os.environ), command)).encode()
    files = b"".join(number.to_bytes(4, sys.byteorder) for number in (0, 1, 2))
    connection.sendmsg([len(order).to_bytes(8, "big")], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, files)])
    connection.sendall(order)
    copy = int(connection.recv(8))
    for number in (_signal.SIGINT, _signal.SIGTERM):
        _signal.signal(number, lambda number, _: os.kill(copy, number))
    connection.settimeout(PATIENCE_SECONDS)
    while os.getppid() == engine:
        try:
            code = connection.recv(1)
        except TimeoutError:
            continue
        # A template that is gone tells nothing.
        os._exit(code[0] if code else 1)


if __name__ == "__main__":
    main()
