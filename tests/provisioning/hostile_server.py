"""A server on loopback that answers as a hostile or broken one does: byte by byte, without end, or with a bomb."""

from __future__ import annotations

import gzip
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

Answer = Callable[[socket.socket], None]

OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
MEGABYTE = 1_000_000


def whole(body: bytes, headers: bytes = b"") -> Answer:
    """A common answer. headers: more of them."""

    def answer(client: socket.socket) -> None:
        client.sendall(OK + headers + b"Content-Length: %d\r\n\r\n" % len(body) + body)

    return answer


def _drip(client: socket.socket, first: bytes, byte: bytes) -> None:
    client.sendall(first)
    while True:
        time.sleep(0.05)
        client.sendall(byte)


def slow_body(client: socket.socket) -> None:
    """A byte now and then."""
    _drip(client, OK + b"Content-Length: 1000000\r\n\r\n", b" ")


def slow_headers(client: socket.socket) -> None:
    """The same before the body begins."""
    _drip(client, OK + b"X-Slow: ", b"x")


def endless_hints(client: socket.socket) -> None:
    """Answers that announce another one."""
    _drip(client, b"", b"HTTP/1.1 103 Early Hints\r\n\r\n")


def silent(client: socket.socket) -> None:
    """Nothing at all."""
    time.sleep(30)


def without_end(client: socket.socket) -> None:
    """A body that never ends, as fast as it is taken."""
    client.sendall(OK + b"Transfer-Encoding: chunked\r\n\r\n")
    while True:
        client.sendall(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")


def bomb(client: socket.socket) -> None:
    """A small body that is 1 GB when it is decompressed."""
    whole(_bomb(), b"Content-Encoding: gzip\r\n")(client)


def _bomb() -> bytes:
    one = gzip.compress(b" " * 10 * MEGABYTE)
    return one * 100


TOO_SLOW = {"body": slow_body, "headers": slow_headers, "hints": endless_hints, "silent": silent}
TOO_MUCH = {"without end": without_end, "bomb": bomb, "6 MB": whole(b'"' + b"x" * 6 * MEGABYTE + b'"')}


@contextmanager
def serving(answer: Answer) -> Iterator[str]:
    """Serve `answer` to every request; the address."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def one(client: socket.socket) -> None:
            with client, suppress(OSError):
                while client.recv(65_536):
                    answer(client)

        def all_of_them() -> None:
            with suppress(OSError):
                while True:
                    client, _ = server.accept()
                    threading.Thread(target=one, args=(client,), daemon=True).start()

        threading.Thread(target=all_of_them, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
