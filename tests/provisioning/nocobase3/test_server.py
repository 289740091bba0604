"""What a NocoBase 3 answers, and what this program makes of it."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest

from provisioning import errors
from provisioning.entra.rules import Audience
from provisioning.nocobase.installation import Installation
from provisioning.nocobase.login import NocoBaseLogin
from provisioning.nocobase3 import before_change
from provisioning.nocobase3.server import MailServer
from tests.provisioning.nocobase3.stack import API_KEY, CLIENT_ID, URL, Stack, connect, declared_by

OWN = {"nocobaseUrl": URL, "nocobaseConfigFile": "/srv/config.yml"}
LOGIN = NocoBaseLogin(api_key=API_KEY)
Server = Callable[[httpx.Request], httpx.Response]


def error(status: int, reason: str) -> Server:
    """A server that answers everything with an error of NocoBase 3's."""
    said = {"code": status, "status": "X", "reason": reason, "domain": "mail", "message": "the words of the server"}
    return lambda _: httpx.Response(status, json={"error": said})


def version_2(request: httpx.Request) -> httpx.Response:
    """A NocoBase 2."""
    if request.url.path.endswith("app:getInfo"):
        return httpx.Response(200, json={"data": {"version": "2.2.15"}})
    return httpx.Response(404, text="Not Found")


@pytest.mark.parametrize(
    ("server", "kind", "words"),
    [
        pytest.param(error(401, "UNAUTHENTICATED"), errors.Unauthorized, "rejected the API key", id="key"),
        pytest.param(error(403, "MAIL_ACCESS_DENIED"), errors.Forbidden, "mail.workspace", id="access"),
        pytest.param(error(404, "NOT_FOUND"), errors.EmailManagerMissing, "no mail plugin", id="plugin"),
        pytest.param(error(503, "X"), errors.NotReady, "is not ready", id="starting"),
        pytest.param(version_2, errors.UnexpectedAnswer, "is version 2.2.15.*Remove nocobaseConfigFile", id="2"),
        pytest.param(lambda _: httpx.Response(403, text="page"), errors.UnexpectedAnswer, "gateway", id="gateway"),
        pytest.param(lambda _: httpx.Response(200, text="page"), errors.UnexpectedAnswer, "unexpected", id="page"),
        pytest.param(
            lambda _: httpx.Response(302, headers={"Location": "https://x.example.com/"}),
            errors.UnexpectedAnswer,
            "redirects",
            id="redirect",
        ),
    ],
)
def test_what_goes_wrong_is_told(
    server: Server, kind: type[errors.NocoBaseError], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect(monkeypatch, {"crm.example.com": server})
    with MailServer(URL, LOGIN) as nocobase, pytest.raises(kind, match=words) as caught:
        nocobase.sign_in("outlook")
    assert "the words of the server" not in str(caught.value)
    assert API_KEY not in str(caught.value)


def test_an_account_and_password_do_not_do() -> None:
    with pytest.raises(errors.Unauthorized, match="takes an API key"):
        MailServer(URL, NocoBaseLogin(account="a", password="p"))


def test_a_provider_that_is_disabled_or_empty_has_no_link(stack: Stack) -> None:
    entry = "mail: {{providers: {{outlook: {{type: microsoft, clientId: '{}', clientSecret: x, enabled: {}}}}}}}\n"
    for client_id, enabled, offered in ((CLIENT_ID, "true", True), (CLIENT_ID, "false", False), ("", "true", False)):
        stack.config.write_text(entry.format(client_id, enabled))
        stack.server.start()
        with MailServer(URL, LOGIN) as nocobase:
            assert (nocobase.sign_in("outlook") is not None) == offered


def installations(**more: str) -> tuple[Installation, ...]:
    """The installations that settings declare."""
    return declared_by({"nocobaseUrl": URL, **more}).installations


def test_before_a_change_the_configuration_and_the_server_are_asked(stack: Stack) -> None:
    (one,) = installations(nocobaseConfigFile=str(stack.config))
    before_change.check(one, LOGIN, [])
    assert stack.server.requests == ["GET /api/mail/providers"]
    stack.config.write_text("mail: [")
    with pytest.raises(errors.ConfigurationUnusable, match="not valid YAML"):
        before_change.check(one, LOGIN, [])
    other = "11111111-2222-3333-4444-555555555555"
    stack.config.write_text(f"mail: {{providers: {{outlook: {{type: microsoft, clientId: {other}}}}}}}\n")
    with pytest.raises(errors.ForeignCredentials):
        before_change.check(one, LOGIN, [])
    before_change.check(one, LOGIN, [other])


def test_a_secret_that_the_state_does_not_know_may_be_in_use(stack: Stack) -> None:
    def clauses(known: list[str]) -> list[str]:
        return before_change.may_hold_unknown_secret(
            installations(nocobaseConfigFile=str(stack.config)), {"": LOGIN}, CLIENT_ID, {}, known
        )

    def restart() -> int:
        stack.server.start()
        return 0

    stack.restarts = restart
    assert clauses([]) == []
    stack.up()
    (known,) = [one["value"] for one in stack.passwords.values()]
    assert clauses([known]) == []
    assert "that this stack's state does not know" in clauses([])[0]
    stack.config.write_text(stack.config.read_text().replace("'common'", "'other'"))
    assert "an earlier configuration" in clauses([known])[0] or "instead of other" in clauses([known])[0]
    stack.server.stop()
    assert "cannot be asked" in clauses([known])[0]


def test_the_sign_in_pages_are_those_of_the_link_and_of_the_configuration(stack: Stack) -> None:
    def pages(client_id: str = CLIENT_ID) -> frozenset[str] | None:
        (one,) = installations(nocobaseConfigFile=str(stack.config))
        assert one.configuration
        return before_change.sign_in_pages(one, one.configuration, LOGIN, client_id)

    entry = f"mail: {{providers: {{outlook: {{type: microsoft, clientId: {CLIENT_ID}, clientSecret: x}}}}}}\n"
    assert pages() == frozenset()
    stack.config.write_text(entry)
    assert pages() == frozenset(["common"])
    stack.server.start()
    stack.config.write_text(entry.replace("type:", "tenant: organizations, type:"))
    assert pages() == frozenset(["common", "organizations"])
    assert pages("11111111-2222-3333-4444-555555555555") == frozenset()
    stack.server.stop()
    assert pages() is None


def test_a_2_and_a_3_have_both_redirect_uris_and_both_sets_of_scopes() -> None:
    further = '[{"name": "next", "url": "https://next.example.com/main", "configFile": "/srv/config.yml"}]'
    found = declared_by({"nocobaseUrl": URL, "nocobaseInstallations": further})
    assert found.redirect_uris == (
        f"{URL}/admin/settings/mail/oauth2",
        "https://next.example.com/main/mail/oauth/callback",
    )
    assert [one.redirect_uris for one in found.installations] == [(uri,) for uri in found.redirect_uris]
    assert set(found.scopes) == {
        *("email", "offline_access", "IMAP.AccessAsUser.All", "SMTP.Send", "User.Read"),
        *("openid", "profile", "Mail.ReadWrite", "Mail.Send"),
    }
    configuration = found.installations[1].configuration
    assert configuration is not None
    assert configuration.scopes == (
        *("openid", "profile", "email", "offline_access"),
        *(f"https://graph.microsoft.com/{name}" for name in ("User.Read", "Mail.ReadWrite", "Mail.Send")),
    )
    assert found.installations[0].configuration is None


def test_a_3_alone_asks_for_no_mail_protocol() -> None:
    found = declared_by({**OWN, "audience": Audience.ONE_TENANT})
    assert "IMAP.AccessAsUser.All" not in found.scopes
    assert found.redirect_uris == (f"{URL}/mail/oauth/callback",)
    own = declared_by({**OWN, "scopes": '["Mail.Read", "IMAP.AccessAsUser.All"]'})
    configuration = own.installations[0].configuration
    assert configuration is not None
    assert configuration.scopes[4:] == ("https://graph.microsoft.com/Mail.Read",)
