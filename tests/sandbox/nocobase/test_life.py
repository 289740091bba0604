"""First start, later start, stop: what is made, what is kept, who may read it."""

from __future__ import annotations

import sqlite3
import stat
import threading
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import psutil
import pytest

from sandbox import processes
from sandbox.errors import SandboxError
from sandbox.nocobase import server, sub_applications
from sandbox.nocobase.bad_day import TROUBLES
from sandbox.place import Place
from tests.sandbox.nocobase.conftest import NocoBase, client_for, new_place

pytestmark = pytest.mark.e2e

CREDENTIALS = {"clientId": "an id", "clientSecret": "a secret"}


def observe(url: str, seconds: float) -> dict[str, Any]:
    """What a client of `url` meets until it is answered with 200: each thing once, in order, and all of an error."""
    seen: dict[str, Any] = {}
    deadline = time.monotonic() + seconds
    while "200" not in seen and time.monotonic() < deadline:
        try:
            answer = httpx.get(f"{url}/api/app:getInfo", timeout=5)
            error = answer.json().get("error", {})
            seen["200" if answer.status_code == 200 else f"{answer.status_code} {error['code']}"] = error
        except httpx.ConnectError:
            seen["refused"] = None
        time.sleep(0.02)
    return seen


def test_first_start_that_is_interrupted_a_start_below_a_path_and_one_without_a_database(tmp_path: Path) -> None:
    own = new_place(tmp_path / "own")
    port = processes.free_port()
    try:
        # What was interrupted is begun anew.
        starting = threading.Thread(target=_start_and_fail, args=(own, port))
        starting.start()
        while not (own.nocobase / "nocobase.sqlite").is_file():
            assert starting.is_alive()
            time.sleep(0.02)
        process = processes.running(own, server.NAME)
        assert process is not None
        process.kill()
        starting.join()
        url = server.start(own, port)
        with client_for(url, server.api_key(own)) as client:
            assert client.get("/mailSettings:list").json()["meta"]["count"] == 2
            client.post("/mailSettings:update", params={"filter[type]": "google"}, json=CREDENTIALS)
        assert server.stop(own)

        # While it starts, it says so; rows and keys are kept; its path is part of address and callback.
        starting = threading.Thread(target=server.start, args=(own, port, "/crm"))
        starting.start()
        seen = observe(f"http://127.0.0.1:{port}/crm", 60)
        starting.join()
        # For a moment, it does not know the application.
        seen.pop("404 APP_NOT_FOUND", None)
        assert list(seen) == ["refused", "503 APP_COMMANDING", "200"]
        commanding = TROUBLES["commanding"]["body"]["error"]
        assert {**seen["503 APP_COMMANDING"], "message": commanding["message"]} == commanding
        assert server.url(own) == f"http://127.0.0.1:{port}/crm"
        with client_for(server.url(own), server.api_key(own)) as client:
            address = client.get("/mail:oauth2url", params={"type": "google"}).json()["data"]["url"]
        query = httpx.QueryParams(httpx.URL(address).query)
        assert query["client_id"] == CREDENTIALS["clientId"]
        assert query["redirect_uri"] == f"{server.url(own)}/admin/settings/mail/oauth2"
        assert server.stop(own)

        # An empty database is named, and answered for as the trouble is.
        database = own.nocobase / "nocobase.sqlite"
        database.unlink()
        sqlite3.connect(database).close()
        with pytest.raises(SandboxError, match=r"nothing of its own in its database .*nocobase.sqlite"):
            server.start(own, port)
        answer = httpx.get(f"http://127.0.0.1:{port}/api/app:getInfo")
        assert {"status": answer.status_code, "body": answer.json()} == TROUBLES["not-installed"]
    finally:
        server.stop(own)


def _start_and_fail(place: Place, port: int) -> None:
    with pytest.raises(SandboxError, match="ended while it was starting"):
        server.start(place, port)


def test_start_of_a_running_one_changes_nothing(nocobase: NocoBase) -> None:
    process = processes.running(nocobase.place, server.NAME)

    port = urlsplit(nocobase.url).port
    assert port is not None
    assert server.start(nocobase.place, port) == nocobase.url
    assert processes.running(nocobase.place, server.NAME) == process


def test_only_the_owner_can_read_the_keys(nocobase: NocoBase) -> None:
    assert stat.S_IMODE((nocobase.place.home / "nocobase.json").stat().st_mode) == 0o600


def test_neither_log_nor_arguments_hold_a_key_or_a_secret(nocobase: NocoBase) -> None:
    secret = "neither~in.log-nor-arguments"
    nocobase.write(clientSecret=secret)
    assert nocobase.client.post("/mailSettings:update", json={"clientSecret": secret}).status_code == 500
    process = processes.running(nocobase.place, server.NAME)
    assert process is not None

    public = processes.log_file(nocobase.place, server.NAME).read_text() + " ".join(process.cmdline())

    words = (secret, server.api_key(nocobase.place), server.password(nocobase.place))
    assert [word for word in words if word in public] == []


def test_listens_on_loopback_only_and_connects_to_nobody(nocobase: NocoBase) -> None:
    process = processes.running(nocobase.place, server.NAME)
    assert process is not None

    connections = [c for p in [process, *process.children(recursive=True)] for c in p.net_connections("inet")]

    assert {c.laddr.ip for c in connections if c.status == psutil.CONN_LISTEN} == {"127.0.0.1"}
    assert [c for c in connections if c.raddr and c.raddr.ip != "127.0.0.1"] == []


def test_disabled_email_manager_leaves_a_plain_404_and_comes_back_with_its_rows(nocobase: NocoBase) -> None:
    client = nocobase.client
    before = client.get("/mailSettings:list").json()

    client.post("/pm:disable", params={"filterByTk": "email-manager"})
    disabled = _settled(client, 404)
    client.post("/pm:enable", params={"filterByTk": "email-manager"})
    enabled = _settled(client, 200)

    assert disabled.text == "Not Found"
    assert enabled.json() == before


def test_sub_application_has_settings_and_a_callback_of_its_own(nocobase: NocoBase) -> None:
    sub_applications.create(nocobase.place, "sales")
    nocobase.write("google", clientId="of the main one")

    written = nocobase.client.post(
        "/mailSettings:update?filter[type]=google", headers={"X-App": "sales"}, json=CREDENTIALS
    )
    assert written.json()["data"][0]["clientId"] == "an id"
    address = nocobase.client.get("/__app/sales/mail:oauth2url", params={"type": "google"}).json()["data"]["url"]

    query = httpx.QueryParams(httpx.URL(address).query)
    assert query["redirect_uri"] == f"{nocobase.url}/apps/sales/admin/settings/mail/oauth2"
    assert nocobase.row("google")["clientId"] == "of the main one"
    row = server.mail_settings_row(nocobase.place, "google", app="sales")
    assert row is not None
    assert row["clientSecret"] == "a secret"


def _settled(client: httpx.Client, status: int) -> httpx.Response:
    """The list of settings as soon as NocoBase has reloaded and answers with `status`."""
    deadline = time.monotonic() + 60
    while (answer := client.get("/mailSettings:list")).status_code != status:
        assert time.monotonic() < deadline, answer.text
        time.sleep(0.1)
    return answer
