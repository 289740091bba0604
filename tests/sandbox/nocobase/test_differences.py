"""What is known to be less than a whole NocoBase, as sandbox/README.md says it."""

from __future__ import annotations

import json

import pytest

from sandbox.place import PROJECT
from tests.sandbox.nocobase.conftest import NocoBase

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize("path", ["/", "/admin", "/admin/settings/mail/oauth2"])
def test_there_is_no_web_interface(nocobase: NocoBase, path: str) -> None:
    origin = nocobase.url.removesuffix("/")
    assert nocobase.client.get(f"{origin}{path}").status_code == 404


def test_fifteen_plugins_of_nocobase_and_the_stand_in_are_there(nocobase: NocoBase) -> None:
    package = json.loads((PROJECT / "sandbox" / "nocobase" / "packages" / "package.json").read_text())
    wanted = {name for name in package["dependencies"] if name.startswith("@nocobase/plugin-")}
    assert len(wanted) == 16

    listed = nocobase.client.get("/pm:listEnabled").json()["data"]

    enabled = {plugin["packageName"] for plugin in listed}
    # That one is enabled when the first sub-application is made.
    assert enabled | {"@nocobase/plugin-multi-app-manager"} == wanted


def test_database_is_sqlite(nocobase: NocoBase) -> None:
    assert (nocobase.place.nocobase / "nocobase.sqlite").read_bytes().startswith(b"SQLite format 3")
