"""The deployer of `bootstrap/`, made on the sandbox by its administrator, and the tokens of its pipelines."""

from __future__ import annotations

import json
import os
import ssl
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from sandbox.certificates import certificates
from sandbox.entra import identity
from sandbox.entra.federation import AUDIENCE
from sandbox.environment import environment
from sandbox.place import Place
from sandbox.setup import load_record
from tests.e2e.conftest import NOWHERE

FENCE = {"HTTPS_PROXY": NOWHERE, "HTTP_PROXY": NOWHERE, "NO_PROXY": "localhost,127.0.0.1"}
REPOSITORY = "contoso/mail"
STACK = "deployer"


@dataclass
class Deployer:
    """What the program in bootstrap/ made. variables: what it says that a pipeline needs."""

    place: Place
    outputs: dict[str, Any]

    @property
    def variables(self) -> dict[str, str]:
        """What a pipeline sets to sign in."""
        found: dict[str, str] = self.outputs["variables"]
        return found

    def access_token(self, environment_name: str) -> httpx.Response:
        """What Entra ID's token endpoint answers a job of that environment on GitHub."""
        return self.sign_in("github", f"repo:{REPOSITORY}:environment:{environment_name}")

    def sign_in(self, system: str, subject: str, audience: str = AUDIENCE) -> httpx.Response:
        """What Entra ID's token endpoint answers whoever has such a token."""
        order = {"system": system, "subject": subject, "audience": audience}
        with entra(self.place) as client:
            token = client.post("/_sandbox/oidc-token", json=order).raise_for_status().json()["value"]
            form = {
                "grant_type": "client_credentials",
                "client_id": self.variables["ARM_CLIENT_ID"],
                "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
                "client_assertion": token,
                "scope": f"{client.base_url}.default",
            }
            return client.post(f"/{self.variables['ARM_TENANT_ID']}/oauth2/v2.0/token", data=form)

    def graph(self, method: str, path: str, body: object = None) -> httpx.Response:
        """A request to Graph as the deployer."""
        token = self.access_token("prod").raise_for_status().json()["access_token"]
        with entra(self.place) as client:
            headers = {"Authorization": f"Bearer {token}"}
            return client.request(method, f"/v1.0{path}", json=body, headers=headers)


def entra(place: Place) -> httpx.Client:
    """A client of the stand-in for Entra ID."""
    trusted = ssl.create_default_context(cafile=certificates(place).bundle)
    address = f"https://localhost:{load_record(place).entra_port}"
    return httpx.Client(verify=trusted, trust_env=False, base_url=address, timeout=30)


def bootstrap(place: Place, *arguments: str, extra: Mapping[str, str] | None = None) -> str:
    """`pulumi` in bootstrap/, run by the tenant's administrator."""
    administrator = {
        "ARM_CLIENT_ID": identity.ADMINISTRATOR_CLIENT_ID,
        "ARM_CLIENT_SECRET": identity.ADMINISTRATOR_SECRET,
    }
    ended = subprocess.run(
        ["pulumi", *arguments, "--non-interactive"],
        cwd=place.project / "bootstrap",
        env={**os.environ, **environment(place), **FENCE, **administrator, **(extra or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout
    return ended.stdout


@contextmanager
def made(place: Place, **settings: str) -> Iterator[Deployer]:
    """A deployer that trusts the environments of REPOSITORY; removed at the end."""
    configuration = place.project / "bootstrap" / f"Pulumi.{STACK}.yaml"
    issuer = f"https://localhost:{load_record(place).entra_port}/_sandbox/oidc/github"
    bootstrap(place, "stack", "select", "--create", STACK)
    try:
        for key, value in {"githubRepository": REPOSITORY, "githubIssuer": issuer, **settings}.items():
            bootstrap(place, "config", "set", "--path", key, value)
        bootstrap(place, "up", "--yes", "--skip-preview")
        yield Deployer(place, json.loads(bootstrap(place, "stack", "output", "--json")))
    finally:
        bootstrap(place, "destroy", "--yes", "--skip-preview", "--refresh")
        bootstrap(place, "stack", "rm", "--yes", STACK)
        configuration.unlink(missing_ok=True)
