"""IMAP and SMTP servers on loopback that greet as Microsoft's do, or as something else would."""

from __future__ import annotations

import io
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

MICROSOFT_IMAP = b"* CAPABILITY IMAP4 IMAP4rev1 AUTH=PLAIN AUTH=XOAUTH2 SASL-IR UIDPLUS"
MICROSOFT_SMTP = b"AUTH LOGIN XOAUTH2"

Conversation = Callable[[socket.socket], None]


@contextmanager
def imap(tls: ssl.SSLContext, capabilities: bytes = MICROSOFT_IMAP) -> Iterator[str]:
    """The address of an IMAP server that speaks TLS from the start."""

    def talk(connection: socket.socket) -> None:
        with tls.wrap_socket(connection, server_side=True) as secure, secure.makefile("rwb") as lines:
            _say(lines, b"* OK The Microsoft Exchange IMAP4 service is ready.")
            for line in lines:
                tag, _, command = line.strip().partition(b" ")
                if command.upper() == b"CAPABILITY":
                    _say(lines, capabilities)
                if command.upper() == b"LOGOUT":
                    _say(lines, b"* BYE")
                _say(lines, tag + b" OK completed.")

    with _serve(talk) as address:
        yield address


@contextmanager
def smtp(tls: ssl.SSLContext, secure_extension: bytes = MICROSOFT_SMTP, starttls: bool = True) -> Iterator[str]:
    """The address of an SMTP server that offers STARTTLS, and `secure_extension` after it."""

    def talk(connection: socket.socket) -> None:
        with connection.makefile("rwb") as lines:
            _say(lines, b"220 Microsoft ESMTP MAIL Service ready")
            for line in lines:
                command = line.strip().upper().split(b" ")[0]
                if command == b"EHLO":
                    _say(lines, b"250-localhost\r\n250 STARTTLS" if starttls else b"250 localhost")
                elif command == b"STARTTLS":
                    _say(lines, b"220 2.0.0 SMTP server ready")
                    break
                else:
                    _say(lines, b"221 2.0.0 bye")
                    return
        with tls.wrap_socket(connection, server_side=True) as secure, secure.makefile("rwb") as lines:
            for line in lines:
                hello = line.upper().startswith(b"EHLO")
                _say(lines, b"250-localhost\r\n250 " + secure_extension if hello else b"221 2.0.0 bye")

    with _serve(talk) as address:
        yield address


@contextmanager
def silent() -> Iterator[str]:
    """The address of a server that takes connections and never says a word, as behind some firewalls."""
    with _serve(_wait_for_end) as address:
        yield address


@contextmanager
def closing() -> Iterator[str]:
    """The address of a server that ends each conversation before it has begun, as some mail filters do."""
    with _serve(lambda _: None) as address:
        yield address


def _wait_for_end(connection: socket.socket) -> None:
    while connection.recv(4096):
        pass


@contextmanager
def _serve(talk: Conversation) -> Iterator[str]:
    """Have `talk` answer every connection, in a thread of its own."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:  # the server was closed
                    return
                with connection, suppress(OSError):
                    connection.settimeout(10)
                    talk(connection)

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield f"localhost:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)
    thread.join(10)


def _say(lines: io.BufferedRWPair, text: bytes) -> None:
    lines.write(text + b"\r\n")
    lines.flush()
