"""An HTTP proxy on loopback, as companies put one between their servers and everything else."""

from __future__ import annotations

import select
import socket
import socketserver
import threading
from types import TracebackType
from typing import Self


class ForwardProxy:
    """Opens tunnels (CONNECT; RFC 9110, section 9.3.6); use it in a `with` statement.

    refusal: given, every tunnel is refused with this status. tunnels: host and port of each that was asked for.
    """

    def __init__(self, refusal: int | None = None) -> None:
        self.tunnels: list[str] = []
        proxy = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                method, target, *_ = [*self.rfile.readline().decode().split(), "", ""]
                while self.rfile.readline().strip():
                    pass
                proxy.tunnels.append(target)
                if refusal or method != "CONNECT":
                    self.wfile.write(f"HTTP/1.1 {refusal or 405} No tunnel\r\nContent-Length: 0\r\n\r\n".encode())
                    return
                host, _, port = target.rpartition(":")
                with socket.create_connection((host, int(port))) as server:
                    self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
                    _pass_on(self.connection, server)

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        # A tunnel lasts as long as its client keeps the connection, which nobody is to wait for.
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def url(self) -> str:
        """What HTTPS_PROXY has to be."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"


def _pass_on(one: socket.socket, other: socket.socket) -> None:
    """Until either side closes."""
    while True:
        for ready in select.select([one, other], [], [])[0]:
            try:
                part = ready.recv(65536)
            except ConnectionResetError:
                part = b""
            if not part:
                return
            (other if ready is one else one).sendall(part)
