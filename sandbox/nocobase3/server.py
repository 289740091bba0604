"""`python -m sandbox.nocobase3 --config FILE --port PORT --api-key-file FILE`: the stand-in for NocoBase 3 over HTTP.

`POST /_sandbox/restart` has it read its configuration again, which NocoBase does only when it is started.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from provisioning.foreign import parsed_json
from sandbox.faults import OwnAnswer
from sandbox.nocobase3.stand_in import DoesNotStart, StandIn


def application(server: StandIn) -> Starlette:
    """The stand-in as an application of Starlette's."""

    async def restart(_: Request) -> Response:
        try:
            server.start()
        except DoesNotStart as problem:
            return OwnAnswer({"error": str(problem)}, 500)
        return Response(status_code=204)

    async def answer(request: Request) -> Response:
        if not server.running:
            return Response("Bad Gateway", 502)
        try:
            body = parsed_json(await request.body())
        except ValueError:
            body = None
        origin = f"{request.url.scheme}://{request.url.netloc}"
        found = server.answer(request.method, request.url.path, origin, request.headers.get("x-api-key"), body)
        return JSONResponse(dict(found.body), found.status)

    return Starlette(
        routes=[
            Route("/_sandbox/restart", restart, methods=["POST"]),
            Route("/{path:path}", answer, methods=["GET", "POST"]),
        ]
    )


def main() -> None:
    """Serve until somebody ends this process."""
    parser = argparse.ArgumentParser(
        prog="python -m sandbox.nocobase3", description="A stand-in for NocoBase 3: its public contract, no code of it."
    )
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--api-key-file", type=Path, required=True)
    given = parser.parse_args()
    try:
        server = StandIn(given.config, {given.api_key_file.read_text(encoding="utf-8").strip(): True})
        server.start()
    except (OSError, DoesNotStart) as problem:
        parser.error(str(problem))
    print("This is a stand-in for NocoBase 3: its public contract, no code of it.", flush=True)
    uvicorn.run(application(server), host="127.0.0.1", port=given.port, log_level="warning")
