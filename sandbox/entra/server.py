"""The HTTPS server: the application with its layers, and uvicorn around it."""

from __future__ import annotations

from collections import deque
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.types import ASGIApp

from sandbox.entra.authority import Authority
from sandbox.entra.browser import Browser
from sandbox.entra.directory import Directory
from sandbox.entra.graph import Graph
from sandbox.entra.graph_errors import GraphError
from sandbox.entra.http import graph_error, no_route, token_error
from sandbox.entra.issuers import Issuers
from sandbox.entra.own_pages import Sandbox
from sandbox.entra.store import Store
from sandbox.entra.token_errors import TokenError
from sandbox.faults import REMEMBERED, FaultMiddleware, Faults, Log, OwnPages


def application(directory: Directory, faults: Faults) -> ASGIApp:
    """The whole stand-in as an ASGI application."""
    entries: deque[dict[str, Any]] = deque(maxlen=REMEMBERED)
    sandbox = Sandbox(directory, faults, entries)
    graph = Starlette(
        routes=[
            *sandbox.routes(),
            *Issuers().routes(),
            *Authority(directory).routes(),
            *Browser(directory).routes(),
            *Graph(directory).routes(),
        ],
        exception_handlers={GraphError: graph_error, TokenError: token_error, 404: no_route, 405: no_route},
    )
    return OwnPages(Log(FaultMiddleware(graph, faults), entries))


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
        # Not to close a connection, as by uvicorn's 5 s, just when a client on a busy machine asks again.
        timeout_keep_alive=60,
        loop="asyncio",
        http="h11",
        ws="none",
    )
    return uvicorn.Server(config)


def run(home: Path, *, host: str, port: int, certificate: Path, key: Path) -> None:
    """Serve until SIGINT or SIGTERM. Raises ValueError if the state file cannot be read."""
    directory = Directory(Store(home))
    server(application(directory, Faults()), host=host, port=port, certificate=certificate, key=key).run()
