"""A stack on the real engine and the real NocoBase, made for one test and destroyed after it."""

from __future__ import annotations

import json
import os
import ssl
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from sandbox import holdings
from sandbox.certificates import certificates
from sandbox.entra import identity
from sandbox.environment import environment
from sandbox.nocobase import server
from sandbox.place import Place
from sandbox.setup import load_record, nocobase_url

NOWHERE = "http://127.0.0.1:9"

_REMEMBERED = pytest.StashKey[list[str]]()


def remembered(config: pytest.Config) -> list[str]:
    """Figures of this run, to be said at its end."""
    return config.stash.setdefault(_REMEMBERED, [])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """The figures."""
    if lines := remembered(config):
        terminalreporter.section("the push")
        for line in sorted(lines):
            terminalreporter.line(line)


@dataclass
class Stack:
    """Plain `pulumi` commands on the stack `dev` of the sandbox in `place`, and what both sides hold.

    said: everything that any command printed.
    """

    place: Place
    said: list[str] = field(default_factory=list)

    def pulumi(self, *arguments: str, ok: bool = True, extra: Mapping[str, str] | None = None) -> str:
        """Run `pulumi` with `arguments` in a shell with the sandbox's environment; return all that it printed."""
        # A proxy that nobody listens on stands between the programs and everything past loopback.
        fenced = {"HTTPS_PROXY": NOWHERE, "HTTP_PROXY": NOWHERE, "NO_PROXY": "localhost,127.0.0.1"}
        ended = subprocess.run(
            ["pulumi", *arguments, "--non-interactive"],
            cwd=self.place.project,
            env={**os.environ, **environment(self.place), **fenced, **(extra or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        self.said.append(ended.stdout)
        assert (ended.returncode == 0) is ok, ended.stdout
        return ended.stdout

    def up(self, *arguments: str, ok: bool = True, extra: Mapping[str, str] | None = None) -> str:
        """`pulumi up` without questions."""
        return self.pulumi("up", "--yes", *arguments, ok=ok, extra=extra)

    def set(self, key: str, value: str, path: bool = False) -> None:
        """Change one setting of the stack."""
        self.pulumi("config", "set", *(["--path"] if path else []), key, value)

    @property
    def outputs(self) -> dict[str, Any]:
        """The stack's outputs, the secret one included."""
        ended = subprocess.run(
            ["pulumi", "stack", "output", "--json", "--show-secrets"],
            cwd=self.place.project,
            env={**os.environ, **environment(self.place)},
            capture_output=True,
            text=True,
            check=True,
        )
        answer: dict[str, Any] = json.loads(ended.stdout)
        return answer

    @property
    def applications(self) -> list[dict[str, Any]]:
        """The applications in Entra ID."""
        found: list[dict[str, Any]] = holdings.entra(self.place)["applications"]
        return [item for item in found if item["displayName"] != "Sandbox deployer"]

    @property
    def row(self) -> dict[str, Any]:
        """NocoBase's Microsoft row as its database holds it."""
        row = server.mail_settings_row(self.place)
        assert row is not None
        return row

    @property
    def credentials(self) -> tuple[str, str]:
        """Client id and client secret in NocoBase; empty where there are none."""
        return self.row["clientId"] or "", self.row["clientSecret"] or ""

    @property
    def state_file(self) -> Path:
        """The engine's checkpoint of the stack."""
        (file,) = self.place.pulumi_state.glob(".pulumi/stacks/*/dev.json")
        return file

    def nocobase(self, action: str, body: Mapping[str, object], app: str = "", **parameters: str) -> Any:
        """Change something in NocoBase, or in its sub-application, behind the stack's back, as an administrator."""
        headers = {"Authorization": f"Bearer {server.api_key(self.place)}", **({"X-App": app} if app else {})}
        url = f"{nocobase_url(self.place)}/api/{action}"
        answer = httpx.post(url, headers=headers, params=parameters, json=dict(body), trust_env=False)
        return answer.raise_for_status().json().get("data")


DEPLOYER = (identity.DEPLOYER_CLIENT_ID, identity.DEPLOYER_SECRET)


def graph(stack: Stack, method: str, path: str, body: object = None, login: tuple[str, str] = DEPLOYER) -> Any:
    """Change or read something in Entra ID behind the stack's back. login: client id and secret."""
    with _entra(stack.place) as client:
        form = {
            "grant_type": "client_credentials",
            "client_id": login[0],
            "client_secret": login[1],
            "scope": f"{client.base_url}.default",
        }
        token = client.post(f"/{identity.TENANT_ID}/oauth2/v2.0/token", data=form).raise_for_status().json()
        headers = {"Authorization": f"Bearer {token['access_token']}"}
        answer = client.request(method, f"/v1.0{path}", json=body, headers=headers).raise_for_status()
        return answer.json() if answer.content else None


def sandbox_entra(place: Place, method: str, page: str, body: object = None) -> Any:
    """Ask one of the stand-in's own pages: faults, requests, state."""
    with _entra(place) as client:
        answer = client.request(method, f"/_sandbox/{page}", json=body).raise_for_status()
        return answer.json() if answer.content else None


def _entra(place: Place) -> httpx.Client:
    trusted = ssl.create_default_context(cafile=certificates(place).bundle)
    return httpx.Client(
        verify=trusted, trust_env=False, base_url=f"https://localhost:{load_record(place).entra_port}", timeout=30
    )


@pytest.fixture
def stack(place: Place) -> Iterator[Stack]:
    """A fresh stack `dev`; destroyed after the test, and both sides must be empty then."""
    configuration = place.project / "Pulumi.dev.yaml"
    original = configuration.read_text()
    stack = Stack(place)
    stack.pulumi("stack", "select", "--create", "dev")
    try:
        yield stack
    finally:
        configuration.write_text(original)
        stack.pulumi("destroy", "--yes", "--refresh", "--skip-preview")
        stack.pulumi("stack", "rm", "--yes", "--preserve-config", "dev")
        if stack.credentials != ("", ""):
            stack.nocobase("mailSettings:update", {"clientId": "", "clientSecret": ""}, filterByTk=str(stack.row["id"]))
    assert stack.applications == []
