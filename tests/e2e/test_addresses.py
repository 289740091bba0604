"""A real NocoBase below a path, as a sub-application, by https, by a proxy, on PostgreSQL; restarts of it."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from provisioning import errors
from sandbox import processes
from sandbox.certificates import certificates
from sandbox.errors import SandboxError
from sandbox.nocobase import packages, server, sub_applications
from sandbox.nocobase.bad_day import BadDay, trouble
from sandbox.nocobase.postgres import PostgreSQL
from sandbox.place import Place
from sandbox.setup import nocobase_url
from tests.e2e.conftest import NOWHERE, Stack
from tests.e2e.in_process import Push, before_request, credentials, in_process, rows, untouchable
from tests.forward_proxy import ForwardProxy
from tests.sandbox.nocobase.conftest import new_place

pytestmark = pytest.mark.e2e

__all__ = ["in_process"]

MAIN_AND_SUB = pytest.mark.parametrize("app", [None, "sales"])


@pytest.fixture(scope="module")
def crm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A NocoBase below the path /crm, with the sub-application sales."""
    place = new_place(tmp_path_factory.mktemp("crm"))
    packages.install(place, print)
    server.start(place, processes.free_port(), public_path="/crm")
    sub_applications.create(place, "sales")
    yield place
    server.stop(place)


@pytest.fixture
def key(crm: Place, in_process: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """The environment with which this process signs in to `crm`."""
    in_process.setenv("NOCOBASE_API_KEY", server.api_key(crm))
    return in_process


def live(push: Push, place: Place) -> None:
    """Create, no change, update, destroy; nothing else has changed."""
    before = untouchable(rows(place, push.app))
    assert push.up() == "created"
    assert credentials(rows(place, push.app)) == push.credentials
    assert push.up() == "unchanged"
    push = push.with_secret("the~second~secret")
    assert push.up() == "updated"
    assert credentials(rows(place, push.app)) == push.credentials
    push.destroy()
    assert credentials(rows(place, push.app)) == ("", "")
    assert untouchable(rows(place, push.app)) == before


@MAIN_AND_SUB
def test_below_a_path(app: str | None, crm: Place, key: pytest.MonkeyPatch) -> None:
    assert server.url(crm).endswith("/crm")
    other = rows(crm, "sales" if app is None else None)
    live(Push(server.url(crm), app=app), crm)
    assert rows(crm, "sales" if app is None else None) == other


def test_without_the_path_there_is_no_nocobase(crm: Place, key: pytest.MonkeyPatch) -> None:
    with pytest.raises(errors.UnexpectedAnswer, match="with any path before /admin"):
        Push(server.url(crm).removesuffix("/crm")).up()


@MAIN_AND_SUB
def test_behind_a_reverse_proxy_that_speaks_https_of_an_own_authority(
    app: str | None, crm: Place, key: pytest.MonkeyPatch
) -> None:
    with BadDay(server.url(crm), certificates=certificates(crm)) as front:
        url = front.url.replace("127.0.0.1", "localhost")
        assert url.startswith("https://")
        with pytest.raises(errors.Unreachable, match=r"not trusted here.*SSL_CERT_FILE"):
            Push(url, app=app).up()
        assert front.requests == []
        key.setenv("SSL_CERT_FILE", str(certificates(crm).bundle))
        live(Push(url, app=app), crm)


def test_a_proxy_from_the_environment(crm: Place, key: pytest.MonkeyPatch) -> None:
    key.setenv("SSL_CERT_FILE", str(certificates(crm).bundle))
    with BadDay(server.url(crm), certificates=certificates(crm)) as front, ForwardProxy() as proxy:
        url = front.url.replace("127.0.0.1", "localhost")
        key.setenv("HTTPS_PROXY", proxy.url)
        live(Push(url), crm)
        assert set(proxy.tunnels) == {url.removeprefix("https://").removesuffix("/crm")}
        proxy.tunnels.clear()
        key.setenv("NO_PROXY", "localhost")
        live(Push(url), crm)
        # Plain http stays on this machine, whatever is set.
        key.delenv("NO_PROXY")
        for name in ("HTTP_PROXY", "ALL_PROXY"):
            key.setenv(name, proxy.url)
        live(Push(server.url(crm)), crm)
        assert proxy.tunnels == []


def test_a_proxy_that_opens_no_tunnel_is_named(crm: Place, key: pytest.MonkeyPatch) -> None:
    key.setenv("SSL_CERT_FILE", str(certificates(crm).bundle))
    with ForwardProxy(refusal=407) as proxy:
        key.setenv("HTTPS_PROXY", proxy.url)
        with pytest.raises(errors.Unreachable, match="the proxy answered 407"):
            Push("https://localhost:1").up()


def test_https_and_a_proxy_on_the_real_engine(stack: Stack) -> None:
    with BadDay(nocobase_url(stack.place), certificates=certificates(stack.place)) as front, ForwardProxy() as proxy:
        url = front.url.replace("127.0.0.1", "localhost")
        stack.set("nocobaseUrl", url)
        # The engine and its plugins talk to each other at 127.0.0.1.
        behind = {"HTTPS_PROXY": proxy.url, "NO_PROXY": "127.0.0.1"}
        stack.up(extra=behind)
        assert stack.credentials[0] == stack.outputs["provedClientId"]
        assert stack.outputs["redirectUri"] == f"{url}/admin/settings/mail/oauth2"
        assert url.removeprefix("https://") in proxy.tunnels


@pytest.mark.parametrize(
    ("number", "app"),
    [
        pytest.param(1, None, marks=pytest.mark.proof, id="before the write"),
        pytest.param(2, "sales", id="after the write"),
    ],
)
def test_killed_and_started_again_in_the_middle_of_a_push(
    app: str | None, number: int, crm: Place, key: pytest.MonkeyPatch
) -> None:
    before = untouchable(rows(crm, app))
    port = int(server.url(crm).rpartition(":")[2].removesuffix("/crm"))
    starting = threading.Thread(target=server.start, args=(crm, port, "/crm"))

    def restart() -> None:
        running = processes.running(crm, server.NAME)
        assert running is not None
        running.kill()
        running.wait()
        starting.start()

    push = Push(server.url(crm), app=app)
    with before_request(number, key, restart):
        assert push.up() == "created"
    starting.join()
    assert credentials(rows(crm, app)) == push.credentials
    assert push.up() == "unchanged"
    push.destroy()
    assert untouchable(rows(crm, app)) == before


def test_booting_while_the_real_engine_waits(stack: Stack) -> None:
    port = int(nocobase_url(stack.place).rpartition(":")[2])
    server.stop(stack.place)
    starting = threading.Timer(2, server.start, args=(stack.place, port))
    starting.start()
    said = stack.up()
    starting.join()
    assert said.count("waiting for it, 120 s at most") == 2  # as it happens, and in the summary
    assert stack.credentials[0] == stack.outputs["provedClientId"]


@pytest.mark.proof
def test_a_nocobase_on_postgresql(tmp_path_factory: pytest.TempPathFactory, in_process: pytest.MonkeyPatch) -> None:
    place = new_place(tmp_path_factory.mktemp("postgres"))
    packages.install(place, print)
    try:
        postgres = PostgreSQL()
    except SandboxError as error:
        pytest.skip(f"A NocoBase on PostgreSQL was not tried: {error}")

    def held() -> dict[str, dict[str, object]]:
        found = {provider: postgres.mail_settings_row(provider) for provider in ("google", "microsoft")}
        return {provider: row for provider, row in found.items() if row is not None}

    with postgres:
        url = server.start(place, processes.free_port(), database=postgres.environment)
        try:
            in_process.setenv("NOCOBASE_API_KEY", server.api_key(place))
            before = untouchable(held())
            push = Push(url)
            assert push.up() == "created"
            assert credentials(held()) == push.credentials
            assert push.up() == "unchanged"
            push = push.with_secret("the~second~secret")
            assert push.up() == "updated"
            assert credentials(held()) == push.credentials
            push.destroy()
            assert credentials(held()) == ("", "")
            assert untouchable(held()) == before
            assert list(before["google"]) == list(held()["google"])
        finally:
            server.stop(place)


def registered(stack: Stack) -> set[str]:
    """The redirect URIs in Entra ID."""
    (application,) = stack.applications
    return set(application["web"]["redirectUris"])


def test_a_redirect_uri_in_use_goes_only_after_nocobase_uses_its_successor(deployed: Stack) -> None:
    """In this order: another spelling, a dead address, one where the push fails, a real move."""
    stack, url, path = deployed, nocobase_url(deployed.place), "/admin/settings/mail/oauth2"
    old = f"{url}{path}"
    stack.set("nocobaseUrl", url.replace("localhost", "LOCALHOST"))
    stack.pulumi("preview", "--expect-no-changes")

    stack.set("nocobasePatienceSeconds", "0")
    stack.set("nocobaseUrl", NOWHERE)
    assert "cannot be reached" in stack.up(ok=False)
    assert registered(stack) == {old}

    with BadDay(url) as front:
        new = f"{front.url}{path}"
        stack.set("nocobaseUrl", front.url)
        # It answers before anything changes, and not any more when the push asks.
        front.add(trouble("server-error", "GET .*mail:oauth2url", times=None, skip=1))
        said = stack.up(ok=False)
        assert f"{old} stays until NocoBase was verified" in said
        assert registered(stack) == {old, new}
        front.clear()
        stack.up()
        assert (registered(stack), stack.outputs["redirectUri"]) == ({old, new}, new)
        stack.up()
        assert registered(stack) == {new}


def test_an_address_that_nocobase_does_not_use_is_seen_in_the_preview(deployed: Stack) -> None:
    stack, before = deployed, registered(deployed)
    stack.set("redirectUris", ["https://elsewhere.example.com/callback"])
    said = stack.pulumi("preview", ok=False)
    assert "has another address than the settings" in said
    assert "Traceback" not in said
    assert registered(stack) == before
