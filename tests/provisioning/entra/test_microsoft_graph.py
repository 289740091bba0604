"""How Microsoft Graph is asked: in which cloud, through which proxy, and what is told of an answer that never comes."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest
from kiota_abstractions.api_error import APIError

from provisioning import connections
from provisioning.errors import DirectoryUnreadable
from tests.forward_proxy import ForwardProxy
from tests.provisioning.entra.test_directory import NOBODY, register
from tests.sandbox.entra.service import Service

# msgraph's own generated code uses its deprecated names.
pytestmark = pytest.mark.filterwarnings("ignore:.* is deprecated:DeprecationWarning")


@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_directory_is_not_told_as_missing_rights(tenant: Service, status: int) -> None:
    from provisioning.entra import microsoft_graph  # noqa: PLC0415 - a second of imports

    async def read(_: object) -> None:
        # What the SDK raises after its own three attempts, which take seconds.
        raise APIError(response_status_code=status)

    assert tenant.address
    with pytest.raises(DirectoryUnreadable, match="wait some minutes") as refusal:
        microsoft_graph.ask(read)
    assert refusal.value.reason == str(status)
    assert "owner" not in str(refusal.value)


def test_a_directory_that_is_not_reached(tenant: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    from provisioning.entra import directory, microsoft_graph  # noqa: PLC0415 - a second of imports

    monkeypatch.setenv("ARM_METADATA_HOSTNAME", "localhost:9")
    for ask in (lambda: directory.registration(NOBODY), microsoft_graph.caller_token):
        with pytest.raises(DirectoryUnreadable, match="--network-only") as refusal:
            ask()
        assert refusal.value.reason == "no answer from localhost: Connection refused"


def callers() -> list[Callable[[], object]]:
    """What asks for the cloud, each in its own way."""
    from provisioning.entra import directory, microsoft_graph  # noqa: PLC0415 - a second of imports

    return [microsoft_graph.find_cloud, microsoft_graph.caller_token, lambda: directory.registration(NOBODY)]


@pytest.mark.parametrize("host", ["localhost:port", "\u2603.example.com"])
def test_a_metadata_host_that_is_none(host: str, tenant: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    assert tenant.address
    monkeypatch.setenv("ARM_METADATA_HOSTNAME", host)
    for ask in callers():
        with pytest.raises(DirectoryUnreadable, match=r"Correct or unset it\. Nothing was changed") as refusal:
            ask()
        assert refusal.value.reason == "the cloud's endpoints cannot be read: no cloud is described there"
        assert "ARM_METADATA_HOSTNAME" in refusal.value.remedy


@pytest.mark.parametrize(
    "answer", ["<html>s3cr3t", "[]", "{}", '{"microsoftGraphResourceId": "x", "authentication": "s3cr3t"}']
)
def test_a_metadata_host_that_describes_no_cloud(answer: str, tenant: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    assert tenant.address

    def get(url: httpx.URL, _: float) -> httpx.Response:
        return httpx.Response(200, text=answer, request=httpx.Request("GET", url))

    monkeypatch.setattr(connections, "get", get)
    for ask in callers():
        with pytest.raises(DirectoryUnreadable, match="cannot be read: no cloud is described there") as refusal:
            ask()
        assert "s3cr3t" not in str(refusal.value)


@pytest.mark.parametrize("page", ["text/html", "application/json"])
def test_a_page_in_place_of_graphs_answer(page: str, tenant: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    from provisioning.entra import directory, microsoft_graph  # noqa: PLC0415 - a second of imports

    class Portal(httpx.AsyncBaseTransport):
        async def handle_async_request(self, _: httpx.Request) -> httpx.Response:
            return httpx.Response(200, text="<html>s3cr3t", headers={"Content-Type": page})

    assert tenant.address
    monkeypatch.setattr(microsoft_graph, "transport_async", lambda _: Portal())
    with pytest.raises(DirectoryUnreadable, match="Nothing was changed") as refusal:
        directory.registration(NOBODY)
    assert refusal.value.reason.startswith("the answer is not understood; for a report: ")
    assert "s3cr3t" not in str(refusal.value)
    with pytest.raises(DirectoryUnreadable, match="It is unknown whether it was carried out"):
        microsoft_graph.ask(lambda graph: graph.applications.by_application_id(NOBODY).get(), write=True)


def test_a_long_wait_shows_signs_of_life(
    tenant: Service, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from provisioning.entra import directory, microsoft_graph  # noqa: PLC0415 - a second of imports

    monkeypatch.setattr(microsoft_graph, "SIGN_OF_LIFE", 0.3)
    tenant.fault("GET /v1.0/applications", status=429, headers={"Retry-After": "1"})
    assert directory.stored_secrets(NOBODY) is None
    assert "Still waiting for Microsoft Graph" in capsys.readouterr().err


def test_the_environments_proxy_is_taken(tenant: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    from provisioning.entra import directory  # noqa: PLC0415 - a second of imports

    with tenant.graph() as graph:
        made = register(graph)
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    with ForwardProxy() as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url.removeprefix("http://"))
        assert directory.registration(made["id"]) is not None
        asked = list(proxy.tunnels)
        monkeypatch.setenv("NO_PROXY", "localhost")
        assert directory.registration(made["id"]) is not None
    assert tenant.address.removeprefix("https://") in asked
    assert proxy.tunnels == asked
