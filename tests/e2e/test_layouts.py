"""The push into collections of the real NocoBase that keep the credentials in other places."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import Any

import pytest

from provisioning.nocobase import push as mail_settings
from provisioning.nocobase.client import NocoBaseClient
from provisioning.nocobase.layout import NocoBaseMapping
from provisioning.nocobase.login import NocoBaseLogin
from provisioning.nocobase.push import Credentials
from sandbox.nocobase import server
from sandbox.place import Place
from tests.e2e.in_process import in_process
from tests.sandbox.nocobase.conftest import NocoBase, nocobase

pytestmark = pytest.mark.e2e

__all__ = ["in_process", "nocobase"]

FIRST, SECOND = Credentials("the-client-id", "the~first~secret"), Credentials("the-client-id", "the~second~secret")


def stored(place: Place, collection: str) -> list[dict[str, Any]]:
    """The rows as the database holds them, but for what NocoBase changes itself."""
    with closing(sqlite3.connect(f"{(place.nocobase / 'nocobase.sqlite').as_uri()}?mode=ro", uri=True)) as database:
        database.row_factory = sqlite3.Row
        rows = [dict(row) for row in database.execute(f"SELECT * FROM {collection} ORDER BY type")]
    return [{name: value for name, value in row.items() if name not in ("updatedAt", "updatedById")} for row in rows]


@pytest.mark.parametrize(
    ("collection", "client_id", "client_secret"),
    [
        ("mailSettingsSnake", "client_id", "client_secret"),
        ("mailSettingsOptions", "options.clientId", "options.clientSecret"),
        ("mailSettingsText", "settings.clientId", "settings.clientSecret"),
        ("mailSettingsEmpty", "clientId", "clientSecret"),
    ],
)
def test_found_pushed_proved_rotated_and_emptied(
    collection: str, client_id: str, client_secret: str, nocobase: NocoBase, in_process: pytest.MonkeyPatch
) -> None:
    mapping = NocoBaseMapping(collection, verify_action=f"mail:oauth2url?type=microsoft&settings={collection}")
    callback = f"{nocobase.url}/admin/settings/mail/oauth2"
    empty = collection == "mailSettingsEmpty"
    before = stored(nocobase.place, collection)
    with NocoBaseClient(nocobase.url, None, NocoBaseLogin(api_key=server.api_key(nocobase.place))) as client:
        found = mail_settings.read(client, mapping, certain=True)
        assert (".".join(found.layout.client_id), ".".join(found.layout.client_secret)) == (client_id, client_secret)
        assert (found.layout.row is None) is empty
        for credentials in (FIRST, SECOND):
            found = mail_settings.read(client, mapping)
            found, link = mail_settings.write_and_verify(client, mapping, credentials, [callback], found)
            assert link is not None
            assert (link.client_id, link.redirect_uri) == (credentials.client_id, callback)
            text = json.dumps(stored(nocobase.place, collection))
            assert (text.count(credentials.client_id), text.count(credentials.client_secret)) == (1, 1)
        assert mail_settings.clear(client, mapping, SECOND)
    after = stored(nocobase.place, collection)
    if empty:
        assert (after[0]["clientId"], after[0]["clientSecret"]) == ("", "")
        return
    # Where there was nothing, there is an empty text now; all else is as it was, byte by byte.
    emptied = [{name: value or "" for name, value in row.items()} for row in before]
    assert [{name: value or "" for name, value in row.items()} for row in after] == emptied
