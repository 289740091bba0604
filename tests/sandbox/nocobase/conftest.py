"""One real NocoBase for the whole session, in a temporary folder; its packages are those of this clone."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from sandbox import processes
from sandbox.nocobase import packages, server
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


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A sandbox with NocoBase's packages installed."""
    place = new_place(tmp_path_factory.mktemp("nocobase"))
    packages.install(place, print)
    return place


@pytest.fixture(scope="session")
def started_once(place: Place, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A sandbox whose NocoBase was started and stopped: to be copied, not to be changed."""
    once = new_place(tmp_path_factory.mktemp("started-once"))
    server.start(once, processes.free_port())
    server.stop(once)
    return once


@pytest.fixture
def own(started_once: Place, tmp_path: Path) -> Iterator[Place]:
    """A sandbox of this test alone, past its first start and not running."""
    own = new_place(tmp_path / "own")
    shutil.copytree(started_once.home, own.home)
    yield own
    server.stop(own)


@pytest.fixture
def fresh(place: Place, tmp_path: Path) -> Iterator[Place]:
    """A sandbox of this test alone, never started; its packages are those of `place`."""
    fresh = new_place(tmp_path / "fresh")
    assert fresh.installed == place.installed
    yield fresh
    server.stop(fresh)


@pytest.fixture(scope="session")
def nocobase(place: Place) -> Iterator[NocoBase]:
    """The session's NocoBase. Tests leave rows, roles and plugins as they found them, or use another provider's row."""
    url = server.start(place, processes.free_port())
    with client_for(url, server.api_key(place)) as client:
        yield NocoBase(place, url, client)
    server.stop(place)
