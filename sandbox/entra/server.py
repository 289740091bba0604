"""The HTTPS server: the application with its layers, and uvicorn around it."""

from __future__ import annotations

from collections import deque
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sandbox.entra.errors import GraphError, TokenError
from sandbox.entra.faults import FaultMiddleware, Faults
from sandbox.entra.models import Directory
from sandbox.entra.routes import Authority, Graph, Sandbox, graph_error, no_route, token_error
from sandbox.entra.store import Store

REMEMBERED = 2000
"""How many requests /_sandbox/requests keeps."""


class Log:
    """Remembers method, path and status of each request; never a header or a body."""

    def __init__(self, app: ASGIApp, entries: deque[dict[str, Any]]) -> None:
        self.app = app
        self.entries = entries

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Note the status when the answer starts; a request without an answer is noted without one."""
        if scope["type"] != "http" or scope["path"].startswith("/_sandbox"):
            await self.app(scope, receive, send)
            return
        entry: dict[str, Any] = {
            "method": scope["method"],
            "path": scope["path"],
            "query": scope["query_string"].decode("latin-1"),
            "status": None,
        }
        self.entries.append(entry)

        async def note(message: Message) -> None:
            if message["type"] == "http.response.start":
                entry["status"] = message["status"]
            await send(message)

        await self.app(scope, receive, note)


def application(directory: Directory, faults: Faults) -> ASGIApp:
    """The whole stand-in as an ASGI application."""
    entries: deque[dict[str, Any]] = deque(maxlen=REMEMBERED)
    sandbox = Sandbox(directory, faults, entries)
    graph = Starlette(
        routes=[*sandbox.routes(), *Authority(directory).routes(), *Graph(directory).routes()],
        exception_handlers={GraphError: graph_error, TokenError: token_error, 404: no_route, 405: no_route},
    )
    return Log(FaultMiddleware(graph, faults), entries)


def server(app: ASGIApp, *, host: str, port: int, certificate: Path, key: Path) -> uvicorn.Server:
    """A uvicorn server that is not running yet."""
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        ssl_certfile=str(certificate),
        ssl_keyfile=str(key),
        log_level="warning",
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=2,
        loop="asyncio",
        http="h11",
        ws="none",
    )
    return uvicorn.Server(config)


def run(home: Path, *, host: str, port: int, certificate: Path, key: Path) -> None:
    """Serve until SIGINT or SIGTERM. Raises ValueError if the state file cannot be read."""
    directory = Directory(Store(home))
    server(application(directory, Faults()), host=host, port=port, certificate=certificate, key=key).run()
