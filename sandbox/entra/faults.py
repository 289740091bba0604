"""Bad days on request: what `POST /_sandbox/faults` accepts, and the middleware that makes it happen.

A fault names requests by a regular expression over "METHOD /path" and says how often it strikes and what happens.
Behaviours are not about one request but about the tenant: hidden new objects, slow secrets, a lifetime policy.
"""

from __future__ import annotations

import asyncio
import json
import re
from datetime import timedelta
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sandbox.entra.models import Directory


class Fault(BaseModel):
    """One fault.

    match: regular expression searched in "METHOD /path", for example "PATCH /v1.0/applications/[^/]+$".
    times: how many requests it strikes; None for all.
    skip: how many matching requests pass before.
    status, body, headers: answer this instead of what the service says.
    delay: seconds to wait first.
    drop: close the connection without an answer.
    after: the change is made first, and only then the status is answered or the connection dropped.
    """

    model_config = ConfigDict(extra="forbid")

    match: str
    times: int | None = Field(default=1, ge=1)
    skip: int = Field(default=0, ge=0)
    status: int | None = Field(default=None, ge=400, le=599)
    body: dict[str, Any] | None = None
    headers: dict[str, str] = Field(default_factory=dict)
    delay: float = Field(default=0, ge=0, le=600)
    drop: bool = False
    after: bool = False

    @field_validator("match")
    @classmethod
    def _is_expression(cls, value: str) -> str:
        try:
            re.compile(value)
        except re.error as problem:
            raise ValueError(f"not a regular expression: {problem}") from problem
        return value


class Behaviour(BaseModel):
    """How the tenant behaves from now on. Only what is given is changed; null switches off.

    hidden_reads: 404 for the first N reads of each new object.
    secret_delay: seconds for which the token endpoint refuses a new secret.
    maximum_secret_lifetime_days: tenant policy for application passwords.
    """

    model_config = ConfigDict(extra="forbid")

    kind: Literal["behaviour"] = "behaviour"
    hidden_reads: int | None = Field(default=None, ge=0)
    secret_delay: float | None = Field(default=None, ge=0)
    maximum_secret_lifetime_days: float | None = Field(default=None, gt=0)

    def apply(self, directory: Directory) -> None:
        """Change the tenant's policy."""
        policy, given = directory.policy, self.model_fields_set
        if "hidden_reads" in given:
            policy.hidden_reads = self.hidden_reads or 0
        if "secret_delay" in given:
            policy.secret_delay = timedelta(seconds=self.secret_delay or 0)
        if "maximum_secret_lifetime_days" in given:
            days = self.maximum_secret_lifetime_days
            policy.maximum_secret_lifetime = timedelta(days=days) if days else None


class Faults:
    """The faults that are switched on, oldest first; the first that matches strikes."""

    def __init__(self) -> None:
        self.active: list[Fault] = []

    def add(self, fault: Fault) -> None:
        """Switch a fault on."""
        self.active.append(fault.model_copy())

    def clear(self) -> None:
        """Switch all faults off."""
        self.active.clear()

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
        if fault.delay:
            await asyncio.sleep(fault.delay)
        if not fault.drop and fault.status is None:
            await self.app(scope, receive, send)
            return
        if fault.after:
            await self.app(scope, receive, _swallow)
        else:
            await _read_to_the_end(receive)
        if fault.drop:
            await _drop(receive)
        else:
            await _answer(fault, send)


async def _read_to_the_end(receive: Receive) -> None:
    """The request arrives in full even if nothing is done with it."""
    while (await receive()).get("more_body"):
        pass


async def _swallow(message: Message) -> None:
    """An answer that the client never sees."""


async def _answer(fault: Fault, send: Send) -> None:
    content = json.dumps(fault.body).encode() if fault.body is not None else b""
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
