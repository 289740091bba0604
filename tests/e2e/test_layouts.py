"""The push into real NocoBases whose email manager keeps the credentials in other places."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from provisioning.nocobase import push as mail_settings
from provisioning.nocobase.client import NocoBaseClient
from provisioning.nocobase.layout import NocoBaseMapping
from provisioning.nocobase.login import NocoBaseLogin
from provisioning.nocobase.push import Credentials
from sandbox import processes
from sandbox.nocobase import packages, server
from sandbox.place import Place, default_place
from tests.e2e.in_process import in_process

pytestmark = pytest.mark.e2e

__all__ = ["in_process"]

MAPPING = NocoBaseMapping()
FIRST, SECOND = Credentials("the-client-id", "the~first~secret"), Credentials("the-client-id", "the~second~secret")
LAYOUTS: dict[server.Layout, tuple[str, str]] = {
    "snake": ("client_id", "client_secret"),
    "options": ("options.clientId", "options.clientSecret"),
    "text": ("settings.clientId", "settings.clientSecret"),
    "empty": ("clientId", "clientSecret"),
}


@pytest.fixture(params=LAYOUTS)
def layout(request: pytest.FixtureRequest) -> server.Layout:
    """Each of the layouts."""
    found: server.Layout = request.param
    return found


@pytest.fixture
def own(tmp_path_factory: pytest.TempPathFactory, layout: server.Layout) -> Iterator[Place]:
    """A NocoBase with that layout, for one test."""
    clone, home = default_place(), tmp_path_factory.mktemp("l")
    place = Place(project=clone.project, installed=clone.installed, home=home, cache=clone.cache)
    packages.install(place, print)
    server.start(place, processes.free_port(), layout=layout)
    try:
        yield place
    finally:
        server.stop(place)


def stored(place: Place) -> list[dict[str, Any]]:
    """The rows as the database holds them, but for what NocoBase changes itself."""
    with closing(sqlite3.connect(f"{(place.nocobase / 'nocobase.sqlite').as_uri()}?mode=ro", uri=True)) as database:
        database.row_factory = sqlite3.Row
        rows = [dict(row) for row in database.execute("SELECT * FROM mailSettings ORDER BY type")]
    return [{name: value for name, value in row.items() if name not in ("updatedAt", "updatedById")} for row in rows]


def test_found_pushed_proved_rotated_and_emptied(
    own: Place, layout: server.Layout, in_process: pytest.MonkeyPatch
) -> None:
    url = server.url(own)
    callback = f"{url}/admin/settings/mail/oauth2"
    before = stored(own)
    with NocoBaseClient(url, None, NocoBaseLogin(api_key=server.api_key(own))) as nocobase:
        found = mail_settings.read(nocobase, MAPPING, certain=True)
        assert (".".join(found.layout.client_id), ".".join(found.layout.client_secret)) == LAYOUTS[layout]
        assert (found.layout.row is None) is (layout == "empty")
        for credentials in (FIRST, SECOND):
            found = mail_settings.read(nocobase, MAPPING)
            found, link = mail_settings.write_and_verify(nocobase, MAPPING, credentials, [callback], found)
            assert link is not None
            assert (link.client_id, link.redirect_uri) == (credentials.client_id, callback)
            text = json.dumps(stored(own))
            assert (text.count(credentials.client_id), text.count(credentials.client_secret)) == (1, 1)
        assert mail_settings.clear(nocobase, MAPPING, SECOND)
    after = stored(own)
    if layout == "empty":
        assert (after[0]["clientId"], after[0]["clientSecret"]) == ("", "")
        return
    # Where there was nothing, there is an empty text now; all else is as it was, byte by byte.
    emptied = [{name: value or "" for name, value in row.items()} for row in before]
    assert [{name: value or "" for name, value in row.items()} for row in after] == emptied
