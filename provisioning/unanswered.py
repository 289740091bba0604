"""What happened to a request that got no answer, in words and with the host that was asked.

Of an error only what the operating system or TLS says is repeated: any other text may hold a secret. Errors of httpx
and of Microsoft's SDKs are recognised by name, so that nobody has to import them for this.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from urllib.parse import urlsplit


def no_answer(error: BaseException) -> str:
    """That there was no answer, from which host where that is known, and why."""
    host = _host(error)
    return f"no answer{f' from {host}' if host else ''}: {why_unanswered(error)}"


def why_unanswered(error: BaseException) -> str:
    """Why there was no answer: what lies deepest of what has caused `error` says most."""
    status = getattr(getattr(error, "response", None), "status_code", None)
    if isinstance(status, int):
        return f"the status was {status}"
    found = [said for one in causes(error) if (said := _in_words(one))]
    return found[-1] if found else "the connection was interrupted"


def causes(error: BaseException) -> Iterator[BaseException]:
    """`error`, what has caused it, and so on."""
    one: BaseException | None = error
    while one is not None:
        yield one
        one = one.__cause__ or one.__context__


def _in_words(error: BaseException) -> str | None:
    if type(error).__module__ == "provisioning.connections":  # it says which limit was exceeded
        return str(error)
    if isinstance(error, socket.gaierror):
        return "its name is not resolved here"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted here: {getattr(error, 'verify_message', '') or 'it is not valid'}"
    if isinstance(error, ssl.SSLError):
        return f"no secure connection: {getattr(error, 'reason', '') or 'TLS failed'}"
    if isinstance(error, TimeoutError) or "Timeout" in type(error).__name__:
        return "it did not answer in time"
    if type(error).__name__ == "ProxyError":
        return "the proxy rejected the connection"
    return (error.strerror or None) if isinstance(error, OSError) else None


def _host(error: BaseException) -> str:
    """The host of the request behind an error; empty if that is not known."""
    for one in causes(error):
        # httpx raises an error for a request that is not set.
        request = getattr(one, "_request", None) or (getattr(one, "request", None) if _is_requests(one) else None)
        if request is not None and (host := urlsplit(str(request.url)).hostname):
            return host
    return ""


def _is_requests(error: BaseException) -> bool:
    return type(error).__module__.startswith("requests.")
