"""A running stand-in for Entra ID inside the test process, with everything that tests want to reach."""

from __future__ import annotations

import asyncio
import json
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx
import trustme
import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sandbox.entra import identity
from sandbox.entra.behaviour import Behaviour
from sandbox.entra.directory import Directory
from sandbox.entra.server import application, server
from sandbox.faults import Fault, Faults

Json = dict[str, Any]
GRAPH_SCOPE = ".default"


@dataclass(frozen=True)
class Certificates:
    """The files of a certificate authority made for one test run."""

    authority: Path
    certificate: Path
    key: Path


def make_certificates(folder: Path) -> Certificates:
    """A fresh authority and a server certificate for loopback."""
    authority = trustme.CA()
    issued = authority.issue_cert("localhost", "127.0.0.1")
    made = Certificates(folder / "authority.pem", folder / "certificate.pem", folder / "key.pem")
    authority.cert_pem.write_to_path(str(made.authority))
    issued.cert_chain_pems[0].write_to_path(str(made.certificate))
    issued.private_key_pem.write_to_path(str(made.key))
    return made


class Recorder:
    """Notes every request with its body and status, outside of the stand-in itself."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.seen: list[Json] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass everything on unchanged."""
        entry: Json = {
            "method": scope["method"],
            "path": scope["path"],
            "query": scope["query_string"].decode(),
            "status": None,
            "body": "",
        }
        if not scope["path"].startswith("/_sandbox"):
            self.seen.append(entry)

        async def listen() -> Message:
            message = await receive()
            entry["body"] += message.get("body", b"").decode()
            return message

        # The fault middleware looks for uvicorn's cycle behind `receive`.
        listen.__dict__["__self__"] = getattr(receive, "__self__", None)

        async def note(message: Message) -> None:
            if message["type"] == "http.response.start":
                entry["status"] = message["status"]
            await send(message)

        await self.app(scope, listen, note)


@dataclass
class Service:
    """A running stand-in: its address, what is behind it, and the means to talk to it."""

    address: str
    directory: Directory
    faults: Faults
    certificates: Certificates
    recorder: Recorder
    environment: dict[str, str] = field(default_factory=dict)

    @cached_property
    def tls(self) -> ssl.SSLContext:
        """What trusts the sandbox, and nobody else."""
        return ssl.create_default_context(cafile=str(self.certificates.authority))

    def client(self) -> httpx.Client:
        """A plain HTTPS client that trusts the sandbox."""
        return httpx.Client(base_url=self.address, verify=self.tls, trust_env=False)

    def token(self, client_id: str = identity.DEPLOYER_CLIENT_ID, secret: str = identity.DEPLOYER_SECRET) -> str:
        """An access token. Raises httpx.HTTPStatusError if it is refused."""
        with self.client() as client:
            answer = self.ask_token(client, client_id, secret)
            answer.raise_for_status()
            return str(answer.json()["access_token"])

    def ask_token(self, client: httpx.Client, client_id: str, secret: str, **form: str) -> httpx.Response:
        """A token request with client credentials."""
        tenant = form.pop("tenant", identity.TENANT_ID)
        asked = {
            "client_id": client_id,
            "client_secret": secret,
            "grant_type": "client_credentials",
            "scope": f"{self.address}/.default",
            **form,
        }
        return client.post(f"/{tenant}/oauth2/v2.0/token", data={name: value for name, value in asked.items() if value})

    @contextmanager
    def graph(self) -> Iterator[httpx.Client]:
        """A client that is signed in as the deployer."""
        with self.client() as client:
            client.headers["authorization"] = f"Bearer {self.token()}"
            yield client

    def fault(self, match: str, **what: Any) -> None:
        """Switch a fault on, as POST /_sandbox/faults does."""
        self.faults.add(Fault(match=match, **what))

    def behave(self, **what: Any) -> None:
        """Change how the tenant behaves, as POST /_sandbox/faults does."""
        Behaviour(**what).apply(self.directory)

    def set_time(self, moment: datetime | None) -> None:
        """Let the tenant's clock go on from `moment`; None is the real time again."""
        set_time(self.address, self.certificates.authority, moment)

    def take_requests(self) -> list[Json]:
        """The requests since the last call."""
        seen, self.recorder.seen = self.recorder.seen, []
        return seen


async def serve(uvicorn_server: uvicorn.Server) -> None:
    """Serve until told to stop, then close what clients left open: they may be idle and never say goodbye."""
    await uvicorn_server.serve()
    transports = getattr(asyncio.get_running_loop(), "_transports", {})
    for transport in list(transports.values()):
        transport.abort()
    await asyncio.sleep(0)


@contextmanager
def running(certificates: Certificates, directory: Directory | None = None) -> Iterator[Service]:
    """Serve a directory (by default an empty one in memory) on a free loopback port."""
    directory = directory or Directory(None)
    faults = Faults()
    recorder = Recorder(application(directory, faults))
    uvicorn_server = server(
        recorder, host="127.0.0.1", port=0, certificate=certificates.certificate, key=certificates.key
    )
    thread = threading.Thread(target=lambda: asyncio.run(serve(uvicorn_server)), daemon=True)
    thread.start()
    try:
        deadline = time.monotonic() + 10
        while not uvicorn_server.started and thread.is_alive() and time.monotonic() < deadline:
            time.sleep(0.01)
        assert uvicorn_server.started, "the stand-in did not start"
        port = uvicorn_server.servers[0].sockets[0].getsockname()[1]
        environment = {
            "ARM_METADATA_HOSTNAME": f"localhost:{port}",
            "ARM_TENANT_ID": identity.TENANT_ID,
            "ARM_CLIENT_ID": identity.DEPLOYER_CLIENT_ID,
            "ARM_CLIENT_SECRET": identity.DEPLOYER_SECRET,
            "SSL_CERT_FILE": str(certificates.authority),
        }
        yield Service(f"https://localhost:{port}", directory, faults, certificates, recorder, environment)
    finally:
        uvicorn_server.should_exit = uvicorn_server.force_exit = True
        thread.join(timeout=10)


def set_time(address: str, authority: Path, moment: datetime | None) -> None:
    """Let the clock of the stand-in at `address`, in whatever process, go on from `moment`; None is the real time.

    authority: file of the certificate authority that it is to be trusted by.
    """
    tls = ssl.create_default_context(cafile=str(authority))
    order = None if moment is None else {"now": moment.isoformat()}
    with httpx.Client(base_url=address, verify=tls, trust_env=False) as client:
        client.request("DELETE" if order is None else "POST", "/_sandbox/clock", json=order).raise_for_status()


def body_of(answer: httpx.Response) -> Json:
    """The JSON body of an answer, {} if it has none."""
    document: Json = json.loads(answer.content) if answer.content else {}
    return document
