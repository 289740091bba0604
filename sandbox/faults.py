"""Bad days on request, for any stand-in that is an ASGI application: faults, and a log of what was asked.

A fault names requests by a regular expression over "METHOD /path" and says how often it strikes and what happens.
Each stand-in serves them under /_sandbox, which no fault strikes and no log shows.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from provisioning.addresses import is_loopback

REMEMBERED = 2000
"""How many requests /_sandbox/requests keeps."""


class Fault(BaseModel):
    """One fault.

    match: regular expression searched in "METHOD /path", for example "PATCH /v1.0/applications/[^/]+$".
    times: how many requests it strikes; None for all.
    skip: how many matching requests pass before.
    status, body, headers: answer this instead of what the service says; a text as body is sent as it is, not as JSON.
    delay: seconds to wait first, at most until all faults are ended.
    drop: close the connection without an answer.
    after: the change is made first, and only then the status is answered or the connection dropped.
    """

    model_config = ConfigDict(extra="forbid")

    match: str
    times: int | None = Field(default=1, ge=1)
    skip: int = Field(default=0, ge=0)
    status: int | None = Field(default=None, ge=200, le=599)
    body: dict[str, Any] | str | None = None
    headers: dict[str, str] = Field(default_factory=dict)
    delay: float = Field(default=0, ge=0, le=600)
    drop: bool = False
    after: bool = False

    @field_validator("match")
    @classmethod
    def _is_expression(cls, value: str) -> str:
        try:
            re.compile(value)
        except (re.error, OverflowError, RecursionError) as problem:
            raise ValueError(f"not a regular expression: {problem}") from problem
        return value


class Faults:
    """The faults that are switched on, oldest first; the first that matches strikes."""

    def __init__(self) -> None:
        self.active: list[Fault] = []
        self.ended = asyncio.Event()
        """Set once the faults that are switched on now are ended, all at once."""

    def add(self, fault: Fault) -> None:
        """Switch a fault on."""
        self.active.append(fault.model_copy())

    def clear(self) -> None:
        """Switch all faults off. What one of them delays goes on waiting."""
        self.active.clear()

    def end(self) -> None:
        """Switch all faults off, and end the delays that are under way. To be called in the server's own thread."""
        self.clear()
        self.ended.set()
        self.ended = asyncio.Event()

    def strike(self, request: str) -> Fault | None:
        """The fault for a request "METHOD /path", counted down; None on a good day."""
        for fault in self.active:
            if not re.search(fault.match, request):
                continue
            if fault.skip:
                fault.skip -= 1
                continue
            if fault.times is not None:
                fault.times -= 1
                if not fault.times:
                    self.active.remove(fault)
            return fault
        return None


def confirmation(orders: Iterable[BaseModel], faults: Faults) -> dict[str, Any]:
    """What an order is answered with: what was understood of it, and how many faults have not struck yet."""
    return {"set": [order.model_dump(exclude_unset=True) for order in orders], "waiting": len(faults.active)}


class OwnAnswer(JSONResponse):
    """What a page under /_sandbox answers: JSON and a newline, after which curl leaves a terminal at a new line."""

    def render(self, content: Any) -> bytes:
        """The body."""
        return super().render(content) + b"\n"


def rejection(problem: ValueError, code: str = "InvalidFault") -> OwnAnswer:
    """What an order is answered with that is not understood: why, a few words for each field."""
    return OwnAnswer({"error": {"code": code, "message": "; ".join(_reasons(problem))}}, 400)


def _reasons(problem: ValueError) -> list[str]:
    if not isinstance(problem, ValidationError):
        return [f"no JSON: {problem}" if isinstance(problem, json.JSONDecodeError) else str(problem)]
    found: dict[object, dict[object, list[str]]] = {}
    for error in problem.errors(include_url=False, include_input=False, include_context=False):
        # In a list of orders: the number of the order, the kind that it was taken for, then the field.
        listed = bool(error["loc"]) and isinstance(error["loc"][0], int)
        order, field = (error["loc"][:2], error["loc"][2:]) if listed else ((0, ""), error["loc"])
        said = ": ".join(filter(None, (".".join(map(str, field)), error["msg"])))
        found.setdefault(order[0], {}).setdefault(order[-1], []).append(said)
    # An order is of the kind that it resembles most.
    return [reason for kinds in found.values() for reason in min(reversed(kinds.values()), key=len)]


class OwnPages:
    """Shows the pages under /_sandbox to programs of this machine only, not to pages in a browser.

    A page of any site can send a request to a port of this machine, and the name of its host can be made to lead here
    (DNS rebinding). So the Host must be this machine, and an Origin, which browsers send, must be that of the answer.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request pass, or reject it."""
        if scope["type"] == "http" and scope["path"].startswith("/_sandbox") and not _is_own(scope):
            error = {"code": "Forbidden", "message": "This page is for programs on this machine."}
            await OwnAnswer({"error": error}, 403)(scope, receive, send)
            return
        await self.app(scope, receive, send)


def _is_own(scope: Scope) -> bool:
    headers = Headers(scope=scope)
    hosts, origins = headers.getlist("host"), headers.getlist("origin")
    try:
        here = len(hosts) == 1 and is_loopback(urlsplit(f"//{hosts[0]}").hostname or "")
    except ValueError:
        return False
    return here and all(origin == f"{scope['scheme']}://{hosts[0]}" for origin in origins)


class FaultMiddleware:
    """Outermost layer of the application: it must see uvicorn's own `receive` to drop a connection."""

    def __init__(self, app: ASGIApp, faults: Faults) -> None:
        self.app = app
        self.faults = faults

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request pass, or do to it what the matching fault says."""
        own = scope["type"] != "http" or scope["path"].startswith("/_sandbox")
        fault = None if own else self.faults.strike(f"{scope['method']} {scope['path']}")
        if fault is None:
            await self.app(scope, receive, send)
            return
        ended = self.faults.ended
        # It has arrived in full, also if nothing is done with it or the client does not wait for the answer.
        request = await _whole(receive)
        with suppress(TimeoutError):
            await asyncio.wait_for(ended.wait(), fault.delay)
        answered = fault.drop or fault.status is not None
        if fault.after or not answered:
            await self.app(scope, _replayed(request, receive), _swallow if answered else send)
        if fault.drop:
            await _drop(receive)
        elif answered:
            await _answer(fault, send)


async def _whole(receive: Receive) -> list[Message]:
    parts = [await receive()]
    while parts[-1].get("more_body"):
        parts.append(await receive())
    return parts


def _replayed(parts: list[Message], receive: Receive) -> Receive:
    """A `receive` that gives `parts` once more, and then what else comes."""
    left = iter(parts)

    async def again() -> Message:
        return next(left, None) or await receive()

    return again


async def _swallow(message: Message) -> None:
    """An answer that the client never sees."""


async def _answer(fault: Fault, send: Send) -> None:
    text = fault.body if isinstance(fault.body, str) else json.dumps(fault.body)
    content = text.encode() if fault.body is not None else b""
    headers = {"content-type": "application/json", **fault.headers, "content-length": str(len(content))}
    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": fault.status, "headers": raw})
    await send({"type": "http.response.body", "body": content})


async def _drop(receive: Receive) -> None:
    """Close the TCP connection under uvicorn, as a broken network would: ASGI itself has no word for it."""
    cycle = getattr(receive, "__self__", None)
    transport = getattr(cycle, "transport", None)
    if transport is None:
        raise RuntimeError("a connection can only be dropped under uvicorn")
    transport.abort()
    while (await receive())["type"] != "http.disconnect":
        pass


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
