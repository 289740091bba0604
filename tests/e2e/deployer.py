"""The deployer of `bootstrap/`, made on the sandbox by its administrator, and the tokens of its pipelines."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from sandbox.entra.federation import AUDIENCE
from sandbox.place import Place
from sandbox.setup import load_record
from tests.e2e.outside import ADMINISTRATOR, entra
from tests.e2e.stack import FENCE, outputs, surroundings, write_stack

__all__ = ["FENCE", "Deployer", "bootstrap", "made"]

PROGRAM = "nocobase-outlook-bootstrap"
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

    @property
    def preview_client_id(self) -> str:
        """What a pipeline signs in as that only reads."""
        return str(self.outputs["previewClientId"])

    def access_token(self, environment_name: str, client_id: str | None = None) -> httpx.Response:
        """What Entra ID's token endpoint answers a job of that environment on GitHub. client_id: see `sign_in`."""
        return self.sign_in("github", f"repo:{REPOSITORY}:environment:{environment_name}", client_id=client_id)

    def sign_in(
        self, system: str, subject: str, audience: str = AUDIENCE, client_id: str | None = None
    ) -> httpx.Response:
        """What Entra ID's token endpoint answers whoever has such a token. client_id: the deployer's if None."""
        order = {"system": system, "subject": subject, "audience": audience}
        client = entra(self.place)
        token = client.post("/_sandbox/oidc-token", json=order).raise_for_status().json()["value"]
        form = {
            "grant_type": "client_credentials",
            "client_id": client_id or self.variables["ARM_CLIENT_ID"],
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": token,
            "scope": f"{client.base_url}.default",
        }
        return client.post(f"/{self.variables['ARM_TENANT_ID']}/oauth2/v2.0/token", data=form)

    def graph(self, method: str, path: str, body: object = None) -> httpx.Response:
        """A request to Graph as the deployer."""
        token = self.access_token("prod-upkeep").raise_for_status().json()["access_token"]
        headers = {"Authorization": f"Bearer {token}"}
        return entra(self.place).request(method, f"/v1.0{path}", json=body, headers=headers)


def bootstrap(place: Place, command: str, *options: str) -> str:
    """`pulumi up` or `destroy` in bootstrap/, run by the tenant's administrator."""
    administrator = dict(zip(("ARM_CLIENT_ID", "ARM_CLIENT_SECRET"), ADMINISTRATOR, strict=True))
    ended = subprocess.run(
        ["pulumi", command, "--yes", "--skip-preview", *options, "--stack", STACK, "--non-interactive"],
        cwd=place.project / "bootstrap",
        env=surroundings(place, administrator),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout
    return ended.stdout


@contextmanager
def made(place: Place, **settings: object) -> Iterator[Deployer]:
    """A deployer that trusts the environments of REPOSITORY; it stays until the sandbox goes back to a moment."""
    issuer = f"https://localhost:{load_record(place).entra_port}/_sandbox/oidc/github"
    settings = {"githubRepository": REPOSITORY, "githubIssuer": issuer, **settings}
    state = write_stack(place, place.project / "bootstrap", PROGRAM, STACK, settings)
    bootstrap(place, "up")
    yield Deployer(place, outputs(state))
