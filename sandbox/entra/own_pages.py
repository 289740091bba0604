"""The sandbox's own routes, below /_sandbox, which the real service does not have."""

from __future__ import annotations

import json
from collections import deque

from pydantic import TypeAdapter, ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.entra.behaviour import Behaviour
from sandbox.entra.clock import ClockOrder
from sandbox.entra.directory import Directory
from sandbox.entra.http import NO_CONTENT, Json, body_of
from sandbox.faults import Fault, Faults, OwnAnswer, confirmation, rejection

ORDERS: TypeAdapter[list[Behaviour | Fault]] = TypeAdapter(list[Behaviour | Fault])


class Sandbox:
    """The sandbox's own pages, which the real service does not have."""

    def __init__(self, directory: Directory, faults: Faults, requests: deque[Json]) -> None:
        self.directory = directory
        self.faults = faults
        self.requests = requests

    def routes(self) -> list[Route]:
        """No token needed: everything here stays on loopback."""
        return [
            Route("/_sandbox/state", self.state, methods=["GET"]),
            Route("/_sandbox/state", self.go_back, methods=["PUT"]),
            Route("/_sandbox/state", self.start_anew, methods=["DELETE"]),
            Route("/_sandbox/requests", self.seen, methods=["GET"]),
            Route("/_sandbox/requests", self.forget, methods=["DELETE"]),
            Route("/_sandbox/faults", self.list_faults, methods=["GET"]),
            Route("/_sandbox/faults", self.add_faults, methods=["POST"]),
            Route("/_sandbox/faults", self.clear_faults, methods=["DELETE"]),
            Route("/_sandbox/clock", self.read_clock, methods=["GET"]),
            Route("/_sandbox/clock", self.set_clock, methods=["POST"]),
            Route("/_sandbox/clock", self.reset_clock, methods=["DELETE"]),
        ]

    async def state(self, request: Request) -> Response:
        """What the tenant holds."""
        return OwnAnswer(self.directory.snapshot())

    async def go_back(self, request: Request) -> Response:
        """The tenant as a copy of its state file has it, on a day of good weather."""
        self._good_weather()
        self.directory.go_back_to(await body_of(request))
        return Response(status_code=NO_CONTENT)

    async def start_anew(self, request: Request) -> Response:
        """A new tenant on a day of good weather."""
        self._good_weather()
        self.directory.start_anew()
        return Response(status_code=NO_CONTENT)

    def _good_weather(self) -> None:
        self.faults.clear()
        self.requests.clear()

    async def seen(self, request: Request) -> Response:
        """The last requests: method, path, status. No bodies."""
        return OwnAnswer({"value": list(self.requests)})

    async def forget(self, request: Request) -> Response:
        """Start counting anew."""
        self.requests.clear()
        return Response(status_code=NO_CONTENT)

    async def list_faults(self, request: Request) -> Response:
        """The faults that have not struck yet."""
        return OwnAnswer({"value": [fault.model_dump() for fault in self.faults.active]})

    async def add_faults(self, request: Request) -> Response:
        """One fault or behaviour, or a list of them; see sandbox.faults and sandbox.entra.behaviour."""
        try:
            given = json.loads(await request.body())
            orders = ORDERS.validate_python(given if isinstance(given, list) else [given])
        except ValueError as problem:
            return rejection(problem)
        for order in orders:
            if isinstance(order, Fault):
                self.faults.add(order)
            else:
                order.apply(self.directory)
        return OwnAnswer(confirmation(orders, self.faults))

    async def clear_faults(self, request: Request) -> Response:
        """Good weather again: no faults, no behaviours, no delay that goes on."""
        self.faults.end()
        Behaviour.model_validate(dict.fromkeys(Behaviour.model_fields.keys() - {"kind"})).apply(self.directory)
        self.directory.hidden.clear()
        return OwnAnswer(confirmation([], self.faults))

    async def read_clock(self, request: Request) -> Response:
        """The tenant's time."""
        return OwnAnswer({"now": self.directory.clock.now().isoformat()})

    async def set_clock(self, request: Request) -> Response:
        """Let the tenant's time run from the given one; see sandbox.entra.clock."""
        try:
            order = ClockOrder.model_validate_json(await request.body())
        except ValidationError as problem:
            return rejection(problem, "InvalidClock")
        self.directory.clock.set(order.now)
        return await self.read_clock(request)

    async def reset_clock(self, request: Request) -> Response:
        """Back to the real time."""
        self.directory.clock.reset()
        return await self.read_clock(request)
