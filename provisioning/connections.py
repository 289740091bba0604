"""The one way in which this program opens a connection: whom it trusts, which proxy it takes, how much it reads.

TLS trusts the authorities in SSL_CERT_FILE, else those of certifi and of this machine. A proxy is taken from
HTTPS_PROXY, HTTP_PROXY or ALL_PROXY unless NO_PROXY names the host. httpx's own reading of these variables fails on a
NO_PROXY with an IPv6 address and knows no ranges, so they are read here, in all forms that people have (measured: httpx
0.28).

httpx limits each single read, not the whole: a server that sends a byte now and then would hold a run for ever, and one
that sends without end, or a small text that decompresses to a large one, would exhaust the machine. So `Limited` and
`LimitedAsync` have a deadline and a size for the whole answer, and take none that is compressed.
"""

from __future__ import annotations

import asyncio
import ipaddress
import os
import ssl
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from typing import Any

import certifi
import httpx

from provisioning.errors import CertificatesUnusable, ProxyUnusable

PORTS = {"http": 80, "https": 443}

ANSWER_SECONDS = 30.0
"""For a whole answer, from the request to the last byte."""

LARGEST_ANSWER = 5_000_000
"""Bytes of an answer's body."""


class AnswerTooSlow(httpx.ReadTimeout):
    """The answer was not complete within ANSWER_SECONDS."""


class AnswerRejected(httpx.DecodingError):
    """The answer is too large, or compressed although nobody asked for that; the message says which."""


class Limited(httpx.BaseTransport):
    """A transport that gives up an answer which takes too long or is too large. Its answers are read to their end.

    seconds, largest: see ANSWER_SECONDS and LARGEST_ANSWER. Raises AnswerTooSlow and AnswerRejected besides what
    `inner` raises.
    """

    def __init__(self, inner: httpx.BaseTransport, seconds: float, largest: int) -> None:
        self._inner = inner
        self._seconds = seconds
        self._largest = largest
        self._closed = threading.Event()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request, and read the answer to its end."""
        outcomes: list[httpx.Response | BaseException] = []
        ends = time.monotonic() + self._seconds
        given_up = threading.Event()

        def reject_late(event: str, _: object) -> None:
            if event.endswith("send_request_headers.started") and (given_up.is_set() or self._closed.is_set()):
                raise AnswerTooSlow(_too_slow(self._seconds), request=request)

        def send() -> None:
            try:
                outcomes.append(self._whole(request, ends))
            except BaseException as error:  # is raised by the thread that waits
                outcomes.append(error)

        # Names are resolved, and headers read, without a limit for the whole: only another thread can stop waiting.
        # Left alone, it ends with its connection, which is closed with the client. One that has no connection yet, as
        # while a name is resolved, may still make one: httpcore reports when it begins to send, and is stopped there.
        request.extensions = {**request.extensions, "trace": reject_late}
        worker = threading.Thread(target=send, daemon=True)
        worker.start()
        worker.join(self._seconds)
        if not outcomes:
            given_up.set()
            raise AnswerTooSlow(_too_slow(self._seconds), request=request)
        if isinstance(outcome := outcomes[0], BaseException):
            raise outcome
        return outcome

    def close(self) -> None:
        """Close the connections. What is not sent yet never is."""
        self._closed.set()
        self._inner.close()

    def _whole(self, request: httpx.Request, ends: float) -> httpx.Response:
        _ask_for_no_compression(request)
        answer = self._inner.handle_request(request)
        try:
            _reject_compressed(request, answer)
            body = bytearray()
            assert isinstance(answer.stream, httpx.SyncByteStream)
            for part in answer.stream:
                body += part
                _reject_too_large(request, body, self._largest)
                if time.monotonic() > ends:
                    raise AnswerTooSlow(_too_slow(self._seconds), request=request)
        finally:
            answer.close()
        return _read(answer, body)


class LimitedAsync(httpx.AsyncBaseTransport):
    """The same for asyncio."""

    def __init__(self, inner: httpx.AsyncBaseTransport, seconds: float, largest: int) -> None:
        self._inner = inner
        self._seconds = seconds
        self._largest = largest

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request, and read the answer to its end."""
        try:
            async with asyncio.timeout(self._seconds):
                return await self._whole(request)
        except TimeoutError:
            raise AnswerTooSlow(_too_slow(self._seconds), request=request) from None

    async def aclose(self) -> None:
        """Close the connections."""
        await self._inner.aclose()

    async def _whole(self, request: httpx.Request) -> httpx.Response:
        _ask_for_no_compression(request)
        answer = await self._inner.handle_async_request(request)
        try:
            _reject_compressed(request, answer)
            body = bytearray()
            assert isinstance(answer.stream, httpx.AsyncByteStream)
            async for part in answer.stream:
                body += part
                _reject_too_large(request, body, self._largest)
        finally:
            await answer.aclose()
        return _read(answer, body)


def transport(url: str) -> Limited:
    """How to reach `url` from here. Raises ProxyUnusable and CertificatesUnusable.

    Plain http, which is allowed on this machine only, never uses a proxy: a secret would leave the machine.
    """
    secure = url.startswith("https:")
    # Loading the certificate authorities takes longer than a request; plain http needs none.
    inner = httpx.HTTPTransport(
        verify=trusted() if secure else False, proxy=proxy_for(url) if secure else None, trust_env=False
    )
    return Limited(inner, ANSWER_SECONDS, LARGEST_ANSWER)


def transport_async(url: str) -> LimitedAsync:
    """The same for asyncio and https."""
    inner = httpx.AsyncHTTPTransport(verify=trusted(), proxy=proxy_for(url), trust_env=False)
    return LimitedAsync(inner, ANSWER_SECONDS, LARGEST_ANSWER)


def get(url: str | httpx.URL, seconds: float, **options: Any) -> httpx.Response:
    """What `url` answers. seconds: for each phase. options: of httpx.Client.request.

    Raises httpx.HTTPError, ProxyUnusable and CertificatesUnusable.
    """
    return request("GET", url, seconds, **options)


def request(method: str, url: str | httpx.URL, seconds: float, **options: Any) -> httpx.Response:
    """The same with another method."""
    with httpx.Client(transport=transport(str(url)), timeout=seconds, trust_env=False) as client:
        return client.request(method, url, **options)


def _ask_for_no_compression(request: httpx.Request) -> None:
    request.headers["Accept-Encoding"] = "identity"


def _reject_compressed(request: httpx.Request, answer: httpx.Response) -> None:
    if answer.headers.get("Content-Encoding", "identity").strip().lower() not in ("", "identity"):
        raise AnswerRejected("the answer is compressed, which was not asked for", request=request)


def _reject_too_large(request: httpx.Request, body: bytearray, largest: int) -> None:
    if len(body) > largest:
        raise AnswerRejected(f"the answer has more than {largest / 1_000_000:g} MB", request=request)


def _read(answer: httpx.Response, body: bytearray) -> httpx.Response:
    return httpx.Response(
        answer.status_code,
        headers=answer.headers,
        stream=httpx.ByteStream(bytes(body)),
        extensions={key: value for key, value in answer.extensions.items() if key != "network_stream"},
    )


def _too_slow(seconds: float) -> str:
    return f"no whole answer within {seconds:g} s"


def proxy_for(url: str, environment: Mapping[str, str] = os.environ) -> str | None:
    """The proxy that the environment names for `url`, None for the direct way.

    Raises ProxyUnusable for a kind of proxy that is not supported. Its address may hold a password and is not repeated.
    """
    asked = httpx.URL(url)
    _, exempt = _variable("no_proxy", environment)
    if _is_exempt(asked.host, asked.port or PORTS.get(asked.scheme, 0), exempt):
        return None
    name, address = _variable(f"{asked.scheme}_proxy", environment)
    if not address:
        name, address = _variable("all_proxy", environment)
    if not address:
        return None
    whole = address if "://" in address else f"http://{address}"
    try:
        proxy = httpx.URL(whole)
        host = proxy.host
    except (httpx.InvalidURL, UnicodeError):  # the latter for an international name that is none
        proxy, host = httpx.URL("http://"), ""
    if proxy.scheme not in PORTS:
        raise ProxyUnusable(
            f"{name} names a proxy of the kind {proxy.scheme[:20]!r}, which is not supported. Let it be "
            "http://host:port or https://host:port, or unset it and name the hosts in NO_PROXY."
        )
    if not host or "%" in host or not 0 < (proxy.port or 1) < 65536:
        raise ProxyUnusable(f"{name} is no address of a proxy. Let it be http://host:port or https://host:port.")
    return whole


def trusted() -> ssl.SSLContext:
    """The authorities that are trusted. Raises CertificatesUnusable if SSL_CERT_FILE or SSL_CERT_DIR cannot be used."""
    return _trusted(os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))


@cache
def _trusted(file: str | None, folder: str | None) -> ssl.SSLContext:
    """The same for certain values; read once, because it takes longer than a request."""
    if not file and not folder:
        context = ssl.create_default_context(cafile=certifi.where())
        # Where a company's proxy reads along, its authority is installed on the machine.
        context.load_default_certs()
        return context
    try:
        return ssl.create_default_context(cafile=file or None, capath=folder or None)
    except ssl.SSLError:
        why = "holds no certificates"
    except OSError as error:
        why = f"cannot be read ({error.strerror})"
    raise CertificatesUnusable(
        f"{file or folder}, which {'SSL_CERT_FILE' if file else 'SSL_CERT_DIR'} names, {why}. Let it name certificates "
        "(PEM), or unset it."
    )


def _variable(name: str, environment: Mapping[str, str]) -> tuple[str, str]:
    """A variable's name as it is written, small letters first as everywhere, and its value."""
    for written in (name, name.upper()):
        if value := environment.get(written, "").strip():
            return written, value
    return name.upper(), ""


def _is_exempt(host: str, port: int, no_proxy: str) -> bool:
    """Whether NO_PROXY names the host: by name, domain, address, range or `*`; each with a port if it likes."""
    return any(_names(entry.strip().lower(), host.lower(), port) for entry in no_proxy.split(",") if entry.strip())


def _names(entry: str, host: str, port: int) -> bool:
    if entry == "*":
        return True
    with suppress(ValueError):
        network = ipaddress.ip_network(entry.strip("[]"), strict=False)
        with suppress(ValueError):
            return ipaddress.ip_address(host) in network
        return False
    name, colon, number = entry.rpartition(":")
    if colon and number.isdigit():
        return int(number) == port and _names(name, host, port)
    name = entry.removeprefix("*").removeprefix(".")
    return host == name or host.endswith(f".{name}")
