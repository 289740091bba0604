"""The stand-ins' own pages are for programs on this machine, not for whatever a browser has open."""

from __future__ import annotations

import httpx
import pytest

from sandbox.nocobase.bad_day import BadDay
from tests.sandbox.entra.fixtures import certificates, entra, entra_server
from tests.sandbox.entra.service import Service

__all__ = ["certificates", "entra", "entra_server"]


def of_entra(service: Service, headers: dict[str, str]) -> list[int]:
    """The statuses of the pages of the stand-in for Entra ID."""
    with service.client() as client:
        asked = [
            client.post("/_sandbox/faults", json=[], headers=headers),
            client.get("/_sandbox/state", headers=headers),
        ]
        return [answer.status_code for answer in asked]


def of_nocobase(headers: dict[str, str]) -> list[int]:
    """The same of what is in front of NocoBase."""
    with BadDay("http://127.0.0.1:9") as day, httpx.Client(base_url=day.url, trust_env=False) as client:
        asked = [
            client.post("/_sandbox/faults", json=[], headers=headers),
            client.get("/_sandbox/faults", headers=headers),
        ]
        return [answer.status_code for answer in asked]


FOREIGN = [
    pytest.param({"Host": "rebound.example.com"}, id="rebinding"),
    pytest.param({"Host": "rebound.example.com:443"}, id="rebinding, with a port"),
    pytest.param({"Host": "localhost.example.com"}, id="a name that begins so"),
    pytest.param({"Host": "127.0.0.1.example.com"}, id="a name like an address"),
    pytest.param({"Host": "[bad"}, id="no host"),
    pytest.param({"Origin": "https://example.com"}, id="another site"),
    pytest.param({"Origin": "null"}, id="a page without an origin"),
    pytest.param({"Origin": "http://localhost:3000"}, id="another program on this machine"),
]


@pytest.mark.parametrize("headers", FOREIGN)
def test_a_page_in_a_browser_is_rejected(entra: Service, headers: dict[str, str]) -> None:
    assert of_entra(entra, headers) == [403, 403]
    assert of_nocobase(headers) == [403, 403]


def test_programs_of_this_machine_are_not(entra: Service) -> None:
    assert of_entra(entra, {}) == [200, 200]
    assert of_entra(entra, {"Host": "localhost", "Origin": "https://localhost"}) == [200, 200]
    assert of_entra(entra, {"Host": "[::1]:8443"}) == [200, 200]
    assert of_nocobase({"Host": "127.0.0.1:13000"}) == [200, 200]


def test_its_answers_end_a_terminals_line(entra: Service) -> None:
    order = {"system": "github", "subject": "repo:contoso/mail:environment:prod"}
    with (
        BadDay("http://127.0.0.1:9") as day,
        httpx.Client(base_url=day.url, trust_env=False) as nocobase,
        entra.client() as tenant,
    ):
        asked = [tenant.get("/_sandbox/clock"), tenant.post("/_sandbox/oidc-token", json=order)]
        for client in (tenant, nocobase):
            asked += [client.post("/_sandbox/faults", content=given) for given in ("[]", "{")]
            asked += [client.get("/_sandbox/requests"), client.delete("/_sandbox/faults")]
    assert [answer.status_code for answer in asked] == [200, 200, *[200, 400, 200, 200] * 2]
    assert [answer.text for answer in asked if answer.text[-2:] != "}\n"] == []


def test_what_is_no_page_of_the_sandbox_answers_whoever_asks(entra: Service) -> None:
    with entra.client() as client:
        assert client.get("/metadata/endpoints", headers={"Host": "login.example.com"}).status_code == 200
