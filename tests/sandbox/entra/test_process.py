"""`python -m sandbox.entra` as a process: starts, keeps its state through a kill, keeps its secrets to itself."""

from __future__ import annotations

import json
import os
import signal
import socket
import ssl
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from sandbox.entra import identity
from tests.sandbox.entra.service import Certificates, body_of

ROOT = Path(__file__).parent.parent.parent.parent


@contextmanager
def process(home: Path, certificates: Certificates, end: signal.Signals) -> Iterator[httpx.Client]:
    """A running stand-in, ended by a signal, and a client signed in as the deployer."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    files: list[str | Path] = ["--certificate", certificates.certificate, "--key", certificates.key]
    command: list[str | Path] = [sys.executable, "-m", "sandbox.entra", "--home", home, "--port", str(port), *files]
    started = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    context = ssl.create_default_context(cafile=str(certificates.authority))
    try:
        with httpx.Client(base_url=f"https://localhost:{port}", verify=context, trust_env=False) as client:
            client.headers["authorization"] = f"Bearer {_token(client)}"
            yield client
    finally:
        os.kill(started.pid, end)
        _, errors = started.communicate(timeout=10)
    assert errors == ""


def _token(client: httpx.Client) -> str:
    form = {
        "client_id": identity.DEPLOYER_CLIENT_ID,
        "client_secret": identity.DEPLOYER_SECRET,
        "grant_type": "client_credentials",
        "scope": "https://graph.microsoft.com/.default",
    }
    deadline = time.monotonic() + 15
    while True:
        try:
            answer = client.post(f"/{identity.TENANT_ID}/oauth2/v2.0/token", data=form)
        except httpx.ConnectError:
            assert time.monotonic() < deadline, "the stand-in did not start"
            time.sleep(0.05)
        else:
            return str(body_of(answer)["access_token"])


def test_state_survives_a_kill(tmp_path: Path, certificates: Certificates) -> None:
    with process(tmp_path, certificates, signal.SIGKILL) as client:
        made = body_of(client.post("/v1.0/applications", json={"displayName": "mail"}))
        body_of(client.post("/v1.0/servicePrincipals", json={"appId": made["appId"]}))
        issued = body_of(client.post(f"/v1.0/applications/{made['id']}/addPassword", json={}))
        token = client.headers["authorization"]
    with process(tmp_path, certificates, signal.SIGTERM) as client:
        client.headers["authorization"] = token
        kept = body_of(client.get(f"/v1.0/applications/{made['id']}"))
        assert [credential["keyId"] for credential in kept["passwordCredentials"]] == [issued["keyId"]]
        form = {
            "client_id": made["appId"],
            "client_secret": issued["secretText"],
            "grant_type": "client_credentials",
            "scope": "https://graph.microsoft.com/.default",
        }
        assert client.post(f"/{identity.TENANT_ID}/oauth2/v2.0/token", data=form).status_code == 200
    state = tmp_path / "state.json"
    assert issued["secretText"] not in state.read_text()
    assert stat.S_IMODE(state.stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["state.json"]
    assert json.loads(state.read_text())["applications"].keys() == {made["id"]}
