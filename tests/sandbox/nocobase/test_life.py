"""First start, later start, stop: what is made, what is kept, who may read it."""

from __future__ import annotations

import socket
import sqlite3
import stat
import threading
import time
from pathlib import Path

import httpx
import psutil
import pytest

from sandbox import processes
from sandbox.errors import SandboxError
from sandbox.nocobase import server, sub_applications
from sandbox.place import Place
from tests.sandbox.nocobase.conftest import NocoBase, client_for

pytestmark = pytest.mark.e2e

CREDENTIALS = {"clientId": "an id", "clientSecret": "a secret"}


def observe(url: str, seconds: float) -> list[str]:
    """What a client of `url` meets until it is answered with 200: each thing once, in order."""
    seen: list[str] = []
    deadline = time.monotonic() + seconds
    while "200" not in seen and time.monotonic() < deadline:
        try:
            answer = httpx.get(f"{url}/api/app:getInfo", timeout=5)
            met = "200" if answer.status_code == 200 else f"{answer.status_code} {answer.json()['error']['code']}"
        except httpx.ConnectError:
            met = "refused"
        if met not in seen:
            seen.append(met)
        time.sleep(0.02)
    return seen


def test_restart_keeps_rows_and_keys(own: Place) -> None:
    url = server.start(own, processes.free_port())
    with client_for(url, server.api_key(own)) as client:
        client.post("/mailSettings:update", params={"filter[type]": "microsoft"}, json={"clientId": "kept"})
    assert server.stop(own)

    again = server.start(own, processes.free_port())

    with client_for(again, server.api_key(own)) as client:
        assert (
            client.get("/mailSettings:get", params={"filter[type]": "microsoft"}).json()["data"]["clientId"] == "kept"
        )


def test_start_of_a_running_one_changes_nothing(nocobase: NocoBase) -> None:
    process = processes.running(nocobase.place, server.NAME)

    assert server.start(nocobase.place, processes.free_port()) == nocobase.url
    assert processes.running(nocobase.place, server.NAME) == process


def test_start_refuses_connections_then_says_that_it_is_commanding(own: Place) -> None:
    port = processes.free_port()
    starting = threading.Thread(target=server.start, args=(own, port))

    starting.start()
    seen = observe(f"http://127.0.0.1:{port}", 60)
    starting.join()

    assert seen == ["refused", "503 APP_COMMANDING", "200"]


def test_only_the_owner_can_read_the_keys(nocobase: NocoBase) -> None:
    assert stat.S_IMODE((nocobase.place.home / "nocobase.json").stat().st_mode) == 0o600


def test_each_sandbox_has_keys_of_its_own(nocobase: NocoBase, started_once: Place) -> None:
    assert server.api_key(nocobase.place) != server.api_key(started_once)
    assert server.password(nocobase.place) != server.password(started_once)


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


def test_interrupted_first_start_is_begun_anew(fresh: Place) -> None:
    port = processes.free_port()
    starting = threading.Thread(target=_start_and_fail, args=(fresh, port))
    starting.start()
    while not (fresh.nocobase / "nocobase.sqlite").is_file():
        assert starting.is_alive()
        time.sleep(0.02)
    process = processes.running(fresh, server.NAME)
    assert process is not None
    process.kill()
    starting.join()

    url = server.start(fresh, port)

    with client_for(url, server.api_key(fresh)) as client:
        assert client.get("/mailSettings:list").json()["meta"]["count"] == 2


def _start_and_fail(place: Place, port: int) -> None:
    with pytest.raises(SandboxError, match="ended while it was starting"):
        server.start(place, port)


def test_lost_database_is_made_anew(own: Place) -> None:
    (own.nocobase / "nocobase.sqlite").unlink()

    url = server.start(own, processes.free_port())

    with client_for(url, server.api_key(own)) as client:
        assert client.get("/mailSettings:list").json()["meta"]["count"] == 2


def test_empty_database_is_named(own: Place) -> None:
    database = own.nocobase / "nocobase.sqlite"
    database.unlink()
    sqlite3.connect(database).close()

    with pytest.raises(SandboxError, match=r"nothing of its own in its database .*nocobase.sqlite"):
        server.start(own, processes.free_port())


def test_port_in_use_is_named(own: Place) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(SandboxError, match="is in use"):
        server.start(own, taken.getsockname()[1])


def test_packages_that_are_not_installed_are_named(tmp_path: Path) -> None:
    bare = Place(project=tmp_path, installed=tmp_path / "installed", home=tmp_path / "home", cache=tmp_path / "cache")

    with pytest.raises(SandboxError, match="packages are not installed"):
        server.start(bare, processes.free_port())


def test_public_path_is_part_of_address_and_callback(own: Place) -> None:
    url = server.start(own, processes.free_port(), public_path="/crm")

    assert url.endswith("/crm")
    with client_for(url, server.api_key(own)) as client:
        client.post("/mailSettings:update", params={"filter[type]": "google"}, json=CREDENTIALS)
        address = client.get("/mail:oauth2url", params={"type": "google"}).json()["data"]["url"]
    assert httpx.QueryParams(httpx.URL(address).query)["redirect_uri"] == f"{url}/admin/settings/mail/oauth2"


@pytest.mark.parametrize(
    ("layout", "fields"),
    [
        ("snake", {"client_id": "an id", "client_secret": "a secret"}),
        ("options", {"options": {"clientId": "an id", "clientSecret": "a secret"}}),
    ],
)
def test_other_layouts(fresh: Place, layout: server.Layout, fields: dict[str, object]) -> None:
    url = server.start(fresh, processes.free_port(), layout=layout)

    with client_for(url, server.api_key(fresh)) as client:
        client.post("/mailSettings:update", params={"filter[type]": "microsoft"}, json=fields)
        address = client.get("/mail:oauth2url", params={"type": "microsoft"}).json()["data"]["url"]

    assert "client_id=an+id&" in address
    row = server.mail_settings_row(fresh)
    assert row is not None
    assert {name: row[name] for name in fields} == fields


def test_disabled_email_manager_leaves_a_plain_404_and_comes_back_with_its_rows(own: Place) -> None:
    url = server.start(own, processes.free_port())
    with client_for(url, server.api_key(own)) as client:
        before = client.get("/mailSettings:list").json()

        client.post("/pm:disable", params={"filterByTk": "email-manager"})
        disabled = _settled(client, 404)
        client.post("/pm:enable", params={"filterByTk": "email-manager"})
        enabled = _settled(client, 200)

    assert disabled.text == "Not Found"
    assert enabled.json() == before


def test_sub_application_has_settings_and_a_callback_of_its_own(own: Place) -> None:
    url = server.start(own, processes.free_port())
    sub_applications.create(own, "sales")

    with client_for(url, server.api_key(own)) as client:
        written = client.post("/mailSettings:update?filter[type]=google", headers={"X-App": "sales"}, json=CREDENTIALS)
        assert written.json()["data"][0]["clientId"] == "an id"
        address = client.get("/__app/sales/mail:oauth2url", params={"type": "google"}).json()["data"]["url"]
        main = client.get("/mailSettings:get?filter[type]=google").json()["data"]

    query = httpx.QueryParams(httpx.URL(address).query)
    assert query["redirect_uri"] == f"{url}/apps/sales/admin/settings/mail/oauth2"
    assert main["clientId"] is None
    row = server.mail_settings_row(own, "google", app="sales")
    assert row is not None
    assert row["clientSecret"] == "a secret"


def _settled(client: httpx.Client, status: int) -> httpx.Response:
    """The list of settings as soon as NocoBase has reloaded and answers with `status`."""
    deadline = time.monotonic() + 60
    while (answer := client.get("/mailSettings:list")).status_code != status:
        assert time.monotonic() < deadline, answer.text
        time.sleep(0.1)
    return answer
