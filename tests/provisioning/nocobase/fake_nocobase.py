"""A NocoBase that is a table of answers: rows in memory behind what of the REST API the push uses.

It answers as the real one was measured to: a filter by an unknown field is a 400, an update that matches nothing is a
success with an empty list, an unknown field is not written, a JSON field is replaced as a whole.
"""

from __future__ import annotations

import copy
import json
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest

from provisioning import connections
from provisioning.nocobase.client import NocoBaseClient
from provisioning.nocobase.layout import NocoBaseMapping
from provisioning.nocobase.login import NocoBaseLogin
from provisioning.nocobase.row import parse_path, value_at

URL = "https://nocobase.example.com"
CALLBACK = f"{URL}/admin/settings/mail/oauth2"
API_KEY = "the-api-key"
PLAIN = httpx.Client
AUTHORITIES = ssl.create_default_context()
VERSION = httpx.Response(200, json={"data": {"version": "2.2.15"}})
"""What app:getInfo answers."""


@dataclass
class FakeNocoBase:
    """hidden: fields that are left out on read. always: fields that exist, also while there is no row.

    transform: how it shows a secret that it holds.

    client_id: where its sign-in link takes it from. tenant: whose accounts the link's page is for.

    before, after: are asked about each request before it is carried out, and after; their answer is given instead.
    """

    rows: list[dict[str, Any]] = field(default_factory=list)
    hidden: frozenset[str] = frozenset()
    client_id: str = "clientId"
    redirect_uri: str = CALLBACK
    tenant: str = "common"
    always: frozenset[str] = frozenset()
    transform: Callable[[str], str] = str
    before: Callable[[httpx.Request], httpx.Response | None] = lambda _: None
    after: Callable[[httpx.Request], httpx.Response | None] = lambda _: None
    requests: list[str] = field(default_factory=list)
    writes: list[Mapping[str, Any]] = field(default_factory=list)
    now: int = 0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        action = request.url.path.removeprefix("/api/")
        self.requests.append(f"{request.method} {action}")
        answer = self.before(request) or self._answer(action, request)
        return self.after(request) or answer

    def row(self, id_: int = 2) -> dict[str, Any]:
        """The row with this id."""
        return next(row for row in self.rows if row["id"] == id_)

    def change(self, **fields: Any) -> None:
        """What somebody else does to the Microsoft row."""
        self._write(self.row(), fields)

    def _answer(self, action: str, request: httpx.Request) -> httpx.Response:
        condition = json.loads(request.url.params.get("filter", "{}"))
        if not {key.partition(".")[0] for key in condition} <= self._fields():
            return httpx.Response(400, json={"errors": [{"message": "Invalid SQL column or table reference"}]})
        found = [row for row in self.rows if all(_matches(row, key, value) for key, value in condition.items())]
        if action == "mailSettings:list":
            return _data([self._shown(row) for row in found])
        if action == "mailSettings:update":
            fields = json.loads(request.content)
            self.writes.append(fields)
            for row in found:
                self._write(row, fields)
            return _data([self._shown(row) for row in found])
        if action == "mailSettings:create":
            fields = json.loads(request.content)
            self.writes.append(fields)
            self.rows.append({"id": 99, **{name: None for name in self._fields() - {"id"}}})
            self._write(self.rows[-1], fields)
            return _data(self._shown(self.rows[-1]))
        if action == "mail:oauth2url":
            ids = [value_at(row, parse_path(self.client_id)) for row in self.rows[::-1]]
            query = {"client_id": next(filter(None, ids), ""), "redirect_uri": self.redirect_uri}
            authorize = f"https://login.microsoftonline.com/{self.tenant}/oauth2/v2.0/authorize"
            return _data({"url": f"{authorize}?{urlencode(query, errors='surrogatepass')}"})
        if action == "app:getInfo":
            return VERSION
        return httpx.Response(404, text="Not Found")

    def _fields(self) -> set[str]:
        return {"id", "type", *self.always, *self.hidden, *(name for row in self.rows for name in row)}

    def _write(self, row: dict[str, Any], fields: Mapping[str, Any]) -> None:
        before = copy.deepcopy(row)
        row.update({name: value for name, value in fields.items() if name in self._fields()})
        if row != before and "updatedAt" in row:
            self.now += 1
            row["updatedAt"] = f"2027-01-01T00:00:{self.now:02}.000Z"

    def _shown(self, row: Mapping[str, Any]) -> dict[str, Any]:
        shown = {name: copy.deepcopy(value) for name, value in row.items() if name not in self.hidden}
        if secret := shown.get("clientSecret"):
            shown["clientSecret"] = self.transform(secret)
        return shown


def _matches(row: Mapping[str, Any], key: str, value: object) -> bool:
    name, _, operator = key.partition(".")
    return bool(row.get(name)) if operator == "$notEmpty" else row.get(name) == value


def _data(data: Any) -> httpx.Response:
    # As JavaScript writes it: also half a character, which no UTF-8 has.
    return httpx.Response(200, text=json.dumps({"data": data}))


def connect(
    server: Callable[[httpx.Request], httpx.Response], monkeypatch: pytest.MonkeyPatch, api_key: str = API_KEY
) -> NocoBaseClient:
    """A client whose requests go to `server`, as do those of all that are made after it."""

    class Client(PLAIN):
        def __init__(self, **options: Any) -> None:
            super().__init__(**{**options, "transport": httpx.MockTransport(server)})

    monkeypatch.setattr(httpx, "Client", Client)
    # Loading the certificate authorities takes longer than all else here.
    monkeypatch.setattr(connections, "trusted", lambda: AUTHORITIES)
    return NocoBaseClient(URL, None, NocoBaseLogin(api_key=api_key))


def microsoft(**fields: Any) -> dict[str, Any]:
    """The Microsoft row as the likeliest email manager has it."""
    return {
        "id": 2,
        "type": "microsoft",
        "clientId": None,
        "clientSecret": None,
        "sort": 7,
        "updatedAt": "2026-12-31T00:00:00.000Z",
        **fields,
    }


FOUND = NocoBaseMapping()
