"""What the routes of the stand-in share: the address it was reached by, the bodies of requests, and errors."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sandbox.entra.graph_errors import GraphError, bad_request
from sandbox.entra.token_errors import TokenError

Json = dict[str, Any]
Handler = Callable[[Request], Awaitable[Response]]
OK = 200
NO_CONTENT = 204


def authority(request: Request) -> str:
    """The address under which the client reached the sandbox."""
    return f"https://{request.headers.get('host', 'localhost')}"


async def graph_error(request: Request, error: Exception) -> Response:
    """Graph's error body."""
    assert isinstance(error, GraphError)
    return JSONResponse(error.body(), error.status)


async def token_error(request: Request, error: Exception) -> Response:
    """The token endpoint's error body."""
    assert isinstance(error, TokenError)
    return JSONResponse(error.body(authority(request)), error.status)


async def no_route(request: Request, error: Exception) -> Response:
    """What Graph says of a path that it does not know."""
    segment = request.url.path.rsplit("/", 1)[-1]
    problem = GraphError(404, "BadRequest", f"Resource not found for the segment '{segment}'.")
    return JSONResponse(problem.body(), problem.status)


async def body_of(request: Request) -> Json:
    """The JSON object that was sent; none counts as an empty one. Raises GraphError 400."""
    raw = await request.body()
    try:
        body = json.loads(raw or b"{}")
    except ValueError:
        raise bad_request("Unable to read JSON request payload.") from None
    if not isinstance(body, dict):
        raise bad_request("Unable to read JSON request payload.")
    return body
