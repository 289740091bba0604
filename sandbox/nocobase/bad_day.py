"""NocoBase on a bad day: a reverse proxy in front of a real NocoBase, with troubles that are switched on by request.

From Python:

    with BadDay("http://127.0.0.1:13000") as day:
        day.add(trouble("commanding", times=3))
        day.add(Fault(match="POST .*mailSettings:update", drop=True, after=True))
        ...  # have the product talk to day.url
        day.refuse()  # connections are refused until day.accept()

Or over HTTP, beside `python -m sandbox.nocobase.bad_day --upstream URL --port PORT`:

    POST   /_sandbox/faults     one order or a list: a Fault, or {"trouble": name, "match": …, "times": …}
    GET    /_sandbox/faults     those that have not struck yet
    DELETE /_sandbox/faults     good weather again
    GET    /_sandbox/requests   method, path, query and status of what came by
    POST   /_sandbox/refuse     {"seconds": 2}: connections are refused for so long

What no fault strikes passes unchanged.
"""

from __future__ import annotations

import argparse
import json
import socket
import threading
import time
from collections import deque
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
import uvicorn
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.certificates import Certificates
from sandbox.faults import REMEMBERED, Fault, FaultMiddleware, Faults, Log, OwnAnswer, OwnPages, confirmation, rejection
from sandbox.nocobase.reverse_proxy import ReverseProxy

TROUBLES: dict[str, dict[str, Any]] = json.loads((Path(__file__).parent / "troubles.json").read_text(encoding="utf-8"))
"""Answers by name. Those that a healthy server can be made to give are compared with it by the tests."""


class Trouble(BaseModel):
    """One of TROUBLES by its name; the other fields mean what they mean in a Fault."""

    model_config = ConfigDict(extra="forbid")

    trouble: str
    match: str = "."
    times: int | None = Field(default=1, ge=1)
    skip: int = Field(default=0, ge=0)
    after: bool = False

    def fault(self) -> Fault:
        """The fault that gives this answer. Raises ValueError if there is no trouble of that name."""
        if self.trouble not in TROUBLES:
            raise ValueError(f"no trouble is called {self.trouble!r}; there are {', '.join(sorted(TROUBLES))}")
        settings = self.model_dump(exclude={"trouble"})
        return Fault(**settings, **TROUBLES[self.trouble])


class Refusal(BaseModel):
    """For how long connections are refused."""

    model_config = ConfigDict(extra="forbid")

    seconds: float = Field(gt=0, le=600)


ORDERS: TypeAdapter[list[Trouble | Fault]] = TypeAdapter(list[Trouble | Fault])


def trouble(name: str, match: str = ".", *, times: int | None = 1, skip: int = 0, after: bool = False) -> Fault:
    """The fault called `name`, for the next `times` requests (None: all) in whose "METHOD /path" `match` is found.

    Raises ValueError if there is no trouble of that name.
    """
    return Trouble(trouble=name, match=match, times=times, skip=skip, after=after).fault()


class BadDay:
    """The proxy, in a thread of this process; use it in a `with` statement.

    upstream: URL of a NocoBase, its public path included.
    port: where to listen on 127.0.0.1; 0 takes a free one.
    certificates: given, it speaks https with them, and plain http to the NocoBase behind.
    """

    def __init__(self, upstream: str, port: int = 0, certificates: Certificates | None = None) -> None:
        self._upstream = httpx.URL(upstream)
        self._certificates = certificates
        self._port = port
        self._faults = Faults()
        self._requests: deque[dict[str, Any]] = deque(maxlen=REMEMBERED)
        self._running: tuple[uvicorn.Server, threading.Thread] | None = None

    def __enter__(self) -> Self:
        self.accept()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.refuse()

    @property
    def url(self) -> str:
        """The upstream's URL with this proxy's scheme and port, without a slash at the end."""
        scheme = "https" if self._certificates else self._upstream.scheme
        return str(self._upstream.copy_with(scheme=scheme, port=self._port)).rstrip("/")

    @property
    def requests(self) -> list[dict[str, Any]]:
        """Method, path, query and status of each request, oldest first; the status is None where no answer was sent."""
        return list(self._requests)

    def add(self, *faults: Fault) -> None:
        """Switch faults on; the first that matches a request strikes it."""
        for fault in faults:
            self._faults.add(fault)

    def clear(self) -> None:
        """End all faults and forget the requests."""
        self._faults.clear()
        self._requests.clear()

    def wait(self) -> None:
        """Wait until every request that came was answered or dropped."""
        while self._running is not None and self._running[0].server_state.tasks:
            time.sleep(0.005)

    def accept(self) -> None:
        """Listen, if not listening already. Raises OSError or OverflowError for a port that it cannot have."""
        if self._running is not None:
            return
        listening = socket.socket()
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind(("127.0.0.1", self._port))
        except (OSError, OverflowError):
            listening.close()
            raise
        self._port = listening.getsockname()[1]
        config = uvicorn.Config(
            OwnPages(Log(FaultMiddleware(self._application(), self._faults), self._requests)),
            log_level="warning",
            access_log=False,
            timeout_graceful_shutdown=1,
            loop="asyncio",
            http="h11",
            ws="none",
            ssl_certfile=self._certificates.certificate if self._certificates else None,
            ssl_keyfile=self._certificates.key if self._certificates else None,
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
        thread.start()
        while not server.started:
            if not thread.is_alive():
                raise RuntimeError("the proxy ended while it was starting")
            time.sleep(0.01)
        self._running = server, thread

    def refuse(self) -> None:
        """Refuse connections until accept() is called."""
        if self._running is None:
            return
        server, thread = self._running
        server.should_exit = True
        thread.join()
        self._running = None

    def _application(self) -> Starlette:
        proxy = ReverseProxy(self._upstream)
        routes = [
            Route("/_sandbox/requests", self._show_requests, methods=["GET"]),
            Route("/_sandbox/faults", self._show_faults, methods=["GET"]),
            Route("/_sandbox/faults", self._add_faults, methods=["POST"]),
            Route("/_sandbox/faults", self._clear_faults, methods=["DELETE"]),
            Route("/_sandbox/refuse", self._refuse, methods=["POST"]),
            proxy.route(),
        ]
        return Starlette(routes=routes, lifespan=proxy.lifespan)

    async def _show_requests(self, _: Request) -> Response:
        return OwnAnswer({"value": self.requests})

    async def _show_faults(self, _: Request) -> Response:
        return OwnAnswer({"value": [fault.model_dump() for fault in self._faults.active]})

    async def _add_faults(self, request: Request) -> Response:
        try:
            given = json.loads(await request.body())
            orders = ORDERS.validate_python(given if isinstance(given, list) else [given])
            faults = [order.fault() if isinstance(order, Trouble) else order for order in orders]
        except ValueError as problem:
            return rejection(problem)
        self.add(*faults)
        return OwnAnswer(confirmation(orders, self._faults))

    async def _clear_faults(self, _: Request) -> Response:
        self._faults.end()
        return OwnAnswer(confirmation([], self._faults))

    async def _refuse(self, request: Request) -> Response:
        try:
            seconds = Refusal.model_validate_json(await request.body()).seconds
        except ValueError as problem:
            return rejection(problem)
        # The server cannot wait for its own end, so somebody else must ask for it.
        threading.Thread(target=self._refuse_for, args=(seconds,), daemon=True).start()
        return OwnAnswer({"refused_for_seconds": seconds})

    def _refuse_for(self, seconds: float) -> None:
        time.sleep(0.1)
        self.refuse()
        time.sleep(seconds)
        self.accept()


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.nocobase.bad_day", description="NocoBase on a bad day.")
    parser.add_argument("--upstream", required=True, help="URL of the NocoBase behind")
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1 (default: a free one)")
    given = parser.parse_args()
    if not given.upstream.startswith(("http://", "https://")):
        parser.error(f"--upstream: {given.upstream!r} is no address; it begins with http:// or https://")
    day = BadDay(given.upstream, given.port)
    try:
        day.accept()
    except (OSError, OverflowError) as problem:
        parser.error(f"--port: cannot listen on {given.port} ({problem}); name another one")
    with day, suppress(KeyboardInterrupt):
        print(day.url, flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
