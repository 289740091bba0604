"""What tests change and read behind the stack's back, in Entra ID and in the sandbox itself."""

from __future__ import annotations

import ssl
from typing import Any

import httpx

from sandbox.certificates import certificates
from sandbox.entra import identity
from sandbox.place import Place
from sandbox.setup import load_record

DEPLOYER = (identity.DEPLOYER_CLIENT_ID, identity.DEPLOYER_SECRET)
ADMINISTRATOR = (identity.ADMINISTRATOR_CLIENT_ID, identity.ADMINISTRATOR_SECRET)


def graph(place: Place, method: str, path: str, body: object = None, login: tuple[str, str] = DEPLOYER) -> Any:
    """Change or read something in Entra ID behind the stack's back. login: client ID and secret."""
    client = entra(place)
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
    answer = entra(place).request(method, f"/_sandbox/{page}", json=body).raise_for_status()
    return answer.json() if answer.content else None


_CLIENTS: dict[Place, httpx.Client] = {}


def entra(place: Place) -> httpx.Client:
    """A client of the sandbox's stand-in for Entra ID, whose connection is kept for the run."""
    if place not in _CLIENTS:
        _CLIENTS[place] = _client(place)
    return _CLIENTS[place]


def forget() -> None:
    """Close what is kept."""
    for client in _CLIENTS.values():
        client.close()
    _CLIENTS.clear()


def _client(place: Place) -> httpx.Client:
    trusted = ssl.create_default_context(cafile=certificates(place).bundle)
    address = f"https://localhost:{load_record(place).entra_port}"
    return httpx.Client(verify=trusted, trust_env=False, base_url=address, timeout=30)
