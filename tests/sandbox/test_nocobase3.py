"""The stand-in for NocoBase 3 says that it is one, reads its configuration when it starts, and keeps its contract."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from sandbox.nocobase3.server import application
from sandbox.nocobase3.stand_in import SCOPES, DoesNotStart, StandIn, checked

ENTRY = "mail:\n  providers:\n    outlook: {type: microsoft, clientId: id-1, clientSecret: s}\n"
AFTER = "2026-02-01T00:00:00.000Z"


@pytest.fixture
def server(tmp_path: Path) -> StandIn:
    """One that runs, with one provider."""
    config = tmp_path / "config.yml"
    config.write_text(ENTRY)
    made = StandIn(config, {"key": True, "other": False})
    made.start()
    return made


def asked(server: StandIn, **body: Any) -> tuple[int, Any]:
    """What a request for a link is answered with."""
    given = {"type": "microsoft", "name": "outlook", "initialSyncReceivedAfter": AFTER, **body}
    answer = server.answer("POST", "/api/mail/authorizations", "https://x.example.com", "key", given)
    return answer.status, answer.body


def test_a_link_names_what_it_was_started_with(server: StandIn) -> None:
    status, body = asked(server)
    assert status == 201
    link = urlsplit(body["data"]["authorizationUrl"])
    query = {name: value[0] for name, value in parse_qs(link.query).items()}
    assert link.path == "/common/oauth2/v2.0/authorize"
    assert query["client_id"] == "id-1"
    assert query["redirect_uri"] == "https://x.example.com/mail/oauth/callback"
    assert query["scope"] == " ".join(SCOPES)
    server.config.write_text(ENTRY.replace("id-1", "id-2").replace("s}", "s, tenant: t, scopes: [b, a]}"))
    assert "id-1" in asked(server)[1]["data"]["authorizationUrl"]
    server.start()
    url = asked(server)[1]["data"]["authorizationUrl"]
    assert "id-2" in url
    assert "/t/oauth2" in url
    assert "scope=b+a" in url


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        ({"name": "other"}, 400, "MAIL_PROVIDER_UNAVAILABLE"),
        ({"unknown": 1}, 400, "INVALID_INPUT"),
        ({"initialSyncReceivedAfter": "yesterday"}, 400, "INVALID_INPUT"),
        ({"scopes": ["Mail.Read"]}, 400, "MAIL_PROVIDER_REQUEST_FAILED"),
    ],
)
def test_a_wrong_request_is_answered_by_its_reason(
    body: dict[str, Any], status: int, reason: str, server: StandIn
) -> None:
    found, answer = asked(server, **body)
    assert (found, answer["error"]["reason"]) == (status, reason)
    assert "stand-in" in answer["error"]["message"]


@pytest.mark.parametrize("text", ["mail:\n", "mail:\n  providers:\n", "mail: [", "mail: {providers: {a: {}}}", "- a"])
def test_it_does_not_start_where_nocobase_does_not(text: str) -> None:
    with pytest.raises(DoesNotStart):
        checked(text.encode())


def test_over_http(server: StandIn) -> None:
    def ask(method: str, path: str, key: str = "") -> httpx.Response:
        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(application(server))
            async with httpx.AsyncClient(transport=transport, base_url="https://x.example.com") as client:
                return await client.request(method, path, headers={"x-api-key": key} if key else {})

        return asyncio.run(send())

    providers = "/api/mail/providers"
    assert ask("GET", providers).json()["error"]["status"] == "UNAUTHENTICATED"
    assert ask("GET", providers, "other").status_code == 403
    assert [one["name"] for one in ask("GET", providers, "key").json()["data"]] == ["outlook", "gmail", "imap-smtp"]
    server.config.write_text("mail: {}\n")
    assert ask("POST", "/_sandbox/restart").status_code == 204
    assert not any(one["configured"] for one in ask("GET", providers, "key").json()["data"])
    server.stop()
    assert ask("GET", providers).status_code == 502
