"""The real NocoBase of the worker's sandbox; its packages are those of this clone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from sandbox.nocobase import server
from sandbox.place import Place, default_place


@dataclass(frozen=True)
class NocoBase:
    """A running NocoBase, and a client that speaks to its API as root."""

    place: Place
    url: str
    client: httpx.Client

    def row(self, provider: str = "microsoft") -> dict[str, Any]:
        """The provider's row as REST shows it."""
        answer = self.client.get("/mailSettings:get", params={"filter[type]": provider})
        data: dict[str, Any] = answer.json()["data"]
        return data

    def write(self, provider: str = "microsoft", /, **fields: object) -> httpx.Response:
        """Change fields of the provider's row."""
        return self.client.post("/mailSettings:update", params={"filter[type]": provider}, json=fields)

    def key_for(self, role: str, lifetime: str = "1d") -> str:
        """A new API key of a role that root has."""
        body = {"name": role, "role": {"name": role}, "expiresIn": lifetime}
        return str(self.client.post("/apiKeys:create", json=body).json()["data"]["token"])


def new_place(home: Path) -> Place:
    """A sandbox in `home` that shares the clone's installed packages."""
    clone = default_place()
    return Place(project=clone.project, installed=clone.installed, home=home, cache=clone.cache)


def client_for(url: str, key: str) -> httpx.Client:
    """A client of the API at `url`, signed in by `key`."""
    return httpx.Client(base_url=f"{url}/api", headers={"Authorization": f"Bearer {key}"}, trust_env=False, timeout=30)


@pytest.fixture(scope="module")
def nocobase(place: Place) -> Iterator[NocoBase]:
    """The worker's NocoBase, its settings as installed. Tests leave roles and plugins as they found them."""
    url = server.start(place, int(server.url(place).rpartition(":")[2]))
    with client_for(url, server.api_key(place)) as client:
        client.post("/mailSettings:destroy", params={"filter[type.$ne]": "none"}).raise_for_status()
        for provider in ("google", "microsoft"):
            client.post("/mailSettings:create", json={"type": provider}).raise_for_status()
        yield NocoBase(place, url, client)
