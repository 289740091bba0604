"""The push in this process, without the engine: the same provider, so that a case takes moments."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import httpx
import pytest
from pulumi.dynamic import Config, ConfigureRequest

from provisioning.entra import token_check as probe
from provisioning.nocobase import connection
from provisioning.nocobase import retry as patience
from provisioning.nocobase.push_resource import MailSettingsProvider
from provisioning.program.settings import redirect_uri
from sandbox.nocobase import server
from sandbox.place import Place

VOLATILE = frozenset({"clientId", "clientSecret", "updatedAt", "updatedById"})
"""The fields of the Microsoft row that a push may change."""


@dataclass
class Push:
    """The push into the NocoBase at `url`, by plain `up` and `destroy` as the engine does them.

    state: the outputs in the engine's state; None before the first and after the last.
    """

    url: str
    client_id: str = "the-client-id"
    client_secret: str = field(default="the~first~secret", repr=False)
    app: str | None = None
    seconds: int = 60
    state: dict[str, Any] | None = field(default=None, repr=False)

    def up(self) -> str:
        """Create, update or leave alone; says which. Raises NocoBaseError."""
        provider, declared = self._provider(), self._declared()
        if self.state is None:
            self.state = provider.create(declared).outs
            return "created"
        if not provider.diff("id", self.state, declared).changes:
            return "unchanged"
        self.state = provider.update("id", self.state, declared).outs
        return "updated"

    def refresh(self) -> None:
        """Take what NocoBase holds for the state. Raises NocoBaseError."""
        assert self.state is not None
        read = self._provider().read("id", self.state)
        self.state = read.outs if read.id else None

    def destroy(self) -> None:
        """Empty the fields. Raises NocoBaseError."""
        if self.state is not None:
            self._provider().delete("id", self.state)
        self.state = None

    @property
    def credentials(self) -> tuple[str, str]:
        """What is declared: client ID and secret."""
        return self.client_id, self.client_secret

    def with_secret(self, secret: str) -> Push:
        """The same stack with a new secret declared."""
        return replace(self, client_secret=secret)

    def _provider(self) -> MailSettingsProvider:
        """A provider of its own, as each run of the engine starts one."""
        provider = MailSettingsProvider()
        provider.configure(ConfigureRequest(Config({f"stack:{patience.SETTING}": str(self.seconds)}, "stack")))
        return provider

    def _declared(self) -> dict[str, Any]:
        return {
            "nocobase_url": self.url,
            "nocobase_app": self.app,
            "tenant_id": "the-tenant",
            "client_id": self.client_id,
            "client_secret": self.client_secret,
            "redirect_uris": [redirect_uri(self.url, self.app)],
            "slot": "a",
            "since": "2026-11-21T00:00:00Z",
            "take_over": None,
        }


@pytest.fixture
def in_process(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Pauses are short, timeouts come early, and no tenant is asked whether it accepts the secret."""
    monkeypatch.setattr(probe, "wait_until_accepted", lambda *_: None)
    monkeypatch.setattr(patience, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(patience, "JITTER", 0.0)
    monkeypatch.setattr(connection, "TIMEOUT_SECONDS", 5.0)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    return monkeypatch


@contextmanager
def before_request(number: int, monkeypatch: pytest.MonkeyPatch, act: Any) -> Iterator[None]:
    """Have `act()` called before the request of that number, counted from 0, is sent by this process."""
    sent = 0
    send = httpx.Client.send

    def counting(self: httpx.Client, request: httpx.Request, **options: Any) -> httpx.Response:
        nonlocal sent
        sent += 1
        if sent == number + 1:
            act()
        return send(self, request, **options)

    with monkeypatch.context() as patched:
        patched.setattr(httpx.Client, "send", counting)
        yield


def rows(place: Place, app: str | None = None) -> dict[str, Mapping[str, Any]]:
    """Both providers' rows as the database of NocoBase holds them."""
    found = {provider: server.mail_settings_row(place, provider, app) for provider in ("google", "microsoft")}
    return {provider: row for provider, row in found.items() if row is not None}


def untouchable(held: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """All of `rows` that no push may change."""
    microsoft = {key: value for key, value in held.get("microsoft", {}).items() if key not in VOLATILE}
    return {"google": dict(held.get("google", {})), "microsoft": microsoft}


def credentials(held: Mapping[str, Mapping[str, Any]]) -> tuple[str, str]:
    """Client ID and secret in `rows`; empty where there are none."""
    return held["microsoft"]["clientId"] or "", held["microsoft"]["clientSecret"] or ""
