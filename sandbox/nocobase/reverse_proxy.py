"""Passes HTTP requests on to a server on this machine and its answers back, byte for byte."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

NOT_PASSED_ON = frozenset({b"connection", b"content-length", b"keep-alive", b"transfer-encoding", b"upgrade"})
"""Headers that belong to one connection (RFC 9110, section 7.6.1), or that are written anew."""

FORWARDED_PROTO = b"x-forwarded-proto"


class ReverseProxy:
    """Hands every request to `upstream` (scheme, host, port) unchanged, the Host header included.

    Of a request that came by https it says so in X-Forwarded-Proto, as the server behind cannot see it.
    An upstream that cannot be reached is answered for with 502, as other reverse proxies do.
    """

    def __init__(self, upstream: httpx.URL) -> None:
        self._upstream = upstream
        self._client = httpx.AsyncClient(trust_env=False, timeout=60)

    def route(self) -> Route:
        """For every path that no earlier route took."""
        methods = ["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"]
        return Route("/{path:path}", self.pass_on, methods=methods)

    @asynccontextmanager
    async def lifespan(self, _: Starlette) -> AsyncIterator[None]:
        """Closes the connections at the end."""
        async with self._client:
            yield

    async def pass_on(self, request: Request) -> Response:
        """One request and its answer."""
        query = request.scope["query_string"]
        target = self._upstream.copy_with(raw_path=request.scope["raw_path"] + (b"?" + query if query else b""))
        headers = [pair for pair in request.headers.raw if pair[0] not in NOT_PASSED_ON]
        if request.url.scheme == "https":
            headers = [*(pair for pair in headers if pair[0] != FORWARDED_PROTO), (FORWARDED_PROTO, b"https")]
        question = self._client.build_request(request.method, target, headers=headers, content=await request.body())
        try:
            answer = await self._client.send(question, stream=True)
            content = b"".join([part async for part in answer.aiter_raw()])
        except httpx.TransportError:
            return PlainTextResponse("Bad Gateway", status_code=502)
        passed = Response(content, answer.status_code)
        passed.raw_headers = [pair for pair in answer.headers.raw if pair[0].lower() not in NOT_PASSED_ON]
        passed.headers["content-length"] = str(len(content))
        return passed
