"""Sub-applications of the sandbox's NocoBase, by the real multi-app plugin: each has its own database and settings."""

from __future__ import annotations

import time

import httpx

from sandbox.errors import SandboxError
from sandbox.nocobase import server
from sandbox.place import Place

PLUGIN = "multi-app-manager"

PATIENCE = 60
"""Seconds until a new sub-application answers; measured: 3 to 5."""


def create(place: Place, name: str) -> None:
    """Make a sub-application, with its own email manager, unless it is there already, and wait until it answers.

    It is then found by the header X-App or by /api/__app/<name>/. The main application's API key works in it too, since
    all applications of one NocoBase sign with the same APP_KEY.
    Raises SandboxError if NocoBase rejects it, does not run or does not answer.
    """
    try:
        _create(place, name)
    except httpx.TransportError:
        raise SandboxError(
            "The sandbox's NocoBase does not answer.", "Run `make up`, then this command again."
        ) from None


def _create(place: Place, name: str) -> None:
    headers = {"Authorization": f"Bearer {server.api_key(place)}"}
    with httpx.Client(base_url=f"{server.url(place)}/api", headers=headers, trust_env=False, timeout=30) as client:
        enabled = client.get("/pm:listEnabled").json()["data"]
        if PLUGIN not in [plugin["name"] for plugin in enabled]:
            client.post("/pm:enable", params={"filterByTk": PLUGIN})
            _wait(client, "applications:list", {})
        if not (place.nocobase / f"{name}.sqlite").is_file():
            made = client.post("/applications:create", json={"name": name, "options": {"autoStart": True}})
            if made.is_error:
                raise SandboxError(f"NocoBase made no sub-application {name}: {made.text}", "Use another name.")
        _wait(client, "app:getInfo", {"X-App": name})


def _wait(client: httpx.Client, action: str, headers: dict[str, str]) -> None:
    deadline = time.monotonic() + PATIENCE
    while (answer := client.get(f"/{action}", headers=headers)).is_error:
        if time.monotonic() > deadline:
            raise SandboxError(f"{action} still answers {answer.status_code}: {answer.text}", "Read NocoBase's log.")
        time.sleep(0.1)
