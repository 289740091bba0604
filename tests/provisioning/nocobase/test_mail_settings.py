"""The push over a NocoBase that is a table of answers: what is sent, in which order, and what each refusal says."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest

from provisioning import errors
from provisioning.nocobase import mail_settings
from provisioning.nocobase.client import NocoBaseClient
from provisioning.nocobase.login import NocoBaseLogin
from provisioning.nocobase.mail_settings import Credentials, SignIn

URL = "https://nocobase.example.com"
CALLBACK = f"{URL}/admin/settings/mail/oauth2"
SECRET = "the~client~secret"
API_KEY = "the-api-key"
NEW = Credentials("new-id", SECRET)
GOOGLE = {"id": 1, "type": "google", "clientId": "g", "clientSecret": "gs"}


@dataclass
class FakeNocoBase:
    """Rows in memory behind NocoBase's REST API; `hidden` leaves the secret out on read."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    hidden: bool = False
    redirect_uri: str = CALLBACK
    requests: list[str] = field(default_factory=list)
    broken: Callable[[httpx.Request], httpx.Response | None] = lambda _: None

    def __call__(self, request: httpx.Request) -> httpx.Response:
        action = request.url.path.removeprefix("/api/")
        self.requests.append(f"{request.method} {action}")
        if answer := self.broken(request):
            return answer
        if action == "mailSettings:list":
            secret = {"clientSecret", "client_secret"} if self.hidden else set()
            data: Any = [{key: value for key, value in row.items() if key not in secret} for row in self.rows]
        elif action == "mailSettings:update":
            row = next(row for row in self.rows if str(row["id"]) == request.url.params["filterByTk"])
            row.update(json.loads(request.content))
            data = [row]
        elif action == "mailSettings:create":
            data = {"id": 99, **json.loads(request.content)}
            self.rows.append(data)
        elif action == "mail:oauth2url":
            row = next(row for row in self.rows if row["type"] == "microsoft")
            query = {"client_id": row.get("clientId") or row.get("client_id"), "redirect_uri": self.redirect_uri}
            data = {"url": f"https://login.microsoftonline.com/common/oauth2/v2.0/authorize?{urlencode(query)}"}
        else:
            return httpx.Response(404, text="Not Found")
        return httpx.Response(200, json={"data": data})


def connect(server: Callable[[httpx.Request], httpx.Response], monkeypatch: pytest.MonkeyPatch) -> NocoBaseClient:
    class Client(httpx.Client):
        def __init__(self, **options: Any) -> None:
            super().__init__(**{**options, "transport": httpx.MockTransport(server)})

    monkeypatch.setattr(httpx, "Client", Client)
    return NocoBaseClient(URL, None, NocoBaseLogin(api_key=API_KEY))


def push(server: FakeNocoBase, monkeypatch: pytest.MonkeyPatch) -> tuple[mail_settings.Row, SignIn]:
    with connect(server, monkeypatch) as nocobase:
        return mail_settings.push(nocobase, NEW, [CALLBACK], mail_settings.read(nocobase))


def microsoft(**fields: Any) -> dict[str, Any]:
    return {"id": 354967291232256, "type": "microsoft", "clientId": None, "clientSecret": None, "sort": 7, **fields}


WRITE = ["GET mailSettings:list", "POST mailSettings:update", "GET mailSettings:list", "GET mail:oauth2url"]


@pytest.mark.parametrize(
    ("rows", "hidden", "requests"),
    [
        ([GOOGLE, microsoft()], False, WRITE),
        ([microsoft()], True, WRITE),
        ([microsoft(clientId="old", clientSecret="old")], False, WRITE),
        ([microsoft(clientId="new-id", clientSecret="old")], False, WRITE),
        ([GOOGLE], False, ["GET mailSettings:list", "POST mailSettings:create", *WRITE[2:]]),
        ([microsoft(clientId="new-id", clientSecret=SECRET)], False, ["GET mailSettings:list", "GET mail:oauth2url"]),
        ([{"id": 3, "type": "microsoft", "client_id": "", "client_secret": ""}], False, WRITE),
    ],
)
def test_push_writes_what_differs_and_proves_it(
    rows: list[dict[str, Any]], hidden: bool, requests: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = FakeNocoBase([dict(row) for row in rows], hidden)
    before = [dict(row) for row in rows]
    row, found = push(server, monkeypatch)
    assert server.requests == requests
    assert (row.client_id, found) == ("new-id", SignIn("new-id", CALLBACK))
    assert [row for row in server.rows if row["type"] == "google"] == [r for r in before if r["type"] == "google"]
    for old, new in zip(before, server.rows, strict=False):
        changed = {key for key in new if new[key] != old.get(key)}
        assert changed <= {row.client_id_field, row.client_secret_field}


def test_a_secret_that_cannot_be_read_is_written_again(monkeypatch: pytest.MonkeyPatch) -> None:
    server = FakeNocoBase([microsoft(clientId="new-id", clientSecret="perhaps another")], hidden=True)
    push(server, monkeypatch)
    assert server.rows[0]["clientSecret"] == SECRET


def test_a_write_that_is_not_kept_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def forget(request: httpx.Request) -> httpx.Response | None:
        return httpx.Response(200, json={"data": []}) if request.method == "POST" else None

    with pytest.raises(errors.NotProved, match="did not keep"):
        push(FakeNocoBase([microsoft()], broken=forget), monkeypatch)


def test_another_redirect_uri_is_no_proof(monkeypatch: pytest.MonkeyPatch) -> None:
    server = FakeNocoBase([microsoft()], redirect_uri="https://elsewhere.example.com/oauth2")
    with pytest.raises(errors.NotProved, match=r"elsewhere.*nocobaseUrl"):
        push(server, monkeypatch)


def test_a_nocobase_without_credentials_builds_no_link(monkeypatch: pytest.MonkeyPatch) -> None:
    with connect(failing(400, {"errors": [{"message": "x"}]}), monkeypatch) as nocobase:
        assert mail_settings.sign_in(nocobase) == SignIn(None, None)


def test_a_link_that_fails_otherwise_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with connect(failing(500, "x"), monkeypatch) as nocobase, pytest.raises(errors.UnexpectedAnswer):
        mail_settings.sign_in(nocobase)


def test_another_client_id_in_the_sign_in_link_is_no_proof() -> None:
    reason = mail_settings.disproof(SignIn("other", CALLBACK), "new-id", [CALLBACK])
    assert reason is not None
    assert "other" in reason[0]
    assert mail_settings.disproof(SignIn(None, None), "new-id", [CALLBACK]) is not None
    assert mail_settings.disproof(SignIn("new-id", CALLBACK), "new-id", [CALLBACK]) is None


@pytest.mark.parametrize(
    ("row", "cleared", "left"),
    [
        (microsoft(clientId="new-id", clientSecret=SECRET), True, ("", "")),
        (microsoft(clientId="new-id", clientSecret="changed by hand"), False, ("new-id", "changed by hand")),
        (microsoft(clientId="other", clientSecret=SECRET), False, ("other", SECRET)),
        (microsoft(), True, (None, None)),
    ],
)
def test_clear_empties_only_what_was_written(
    row: dict[str, Any], cleared: bool, left: tuple[str | None, str | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = FakeNocoBase([row, dict(GOOGLE)])
    with connect(server, monkeypatch) as nocobase:
        assert mail_settings.clear(nocobase, NEW) is cleared
    assert (server.rows[0]["clientId"], server.rows[0]["clientSecret"]) == left
    assert server.rows[1] == GOOGLE


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([microsoft(), microsoft(id=2)], "2 Microsoft rows"),
        ([{"id": 1, "type": "microsoft", "appKey": "x"}], "appKey"),
    ],
)
def test_a_layout_that_cannot_be_told_is_refused(rows: list[dict[str, Any]], words: str) -> None:
    with pytest.raises(errors.UnknownLayout, match=words):
        mail_settings.find_row(URL, rows)


def test_credentials_of_another_application_are_refused_unless_named() -> None:
    row = mail_settings.find_row(URL, [microsoft(clientId="foreign")])
    with pytest.raises(errors.ForeignCredentials, match="nocobaseTakeOver foreign"):
        mail_settings.refuse_foreign(URL, row, ["own", None])
    mail_settings.refuse_foreign(URL, row, ["own", "foreign"])
    mail_settings.refuse_foreign(URL, None, [])


def failing(status: int, body: Any) -> Callable[[httpx.Request], httpx.Response]:
    def answer(_: httpx.Request) -> httpx.Response:
        text = body if isinstance(body, str) else json.dumps(body)
        return httpx.Response(status, text=text)

    return answer


GATEWAY = {"error": {"status": 503, "maintaining": True, "message": "x", "code": "APP_COMMANDING"}}
NOT_INSTALLED = {"error": {"status": 503, "maintaining": True, "message": "x", "code": "APP_NOT_INSTALLED_ERROR"}}


@pytest.mark.parametrize(
    ("status", "body", "kind", "words"),
    [
        (503, GATEWAY, errors.NotReady, "Wait until it has started"),
        (502, "Bad Gateway", errors.NotReady, "Wait"),
        (503, "Service Unavailable", errors.NotReady, "Wait"),
        (503, NOT_INSTALLED, errors.NotInstalled, "Install it"),
        (401, {"errors": [{"message": "x", "code": "INVALID_TOKEN"}]}, errors.Unauthorized, "INVALID_TOKEN.*API key"),
        (401, {"errors": [{"message": "x"}]}, errors.Unauthorized, "API key"),
        (403, {"errors": [{"message": "No permissions"}]}, errors.Forbidden, "role"),
        (404, "Not Found", errors.EmailManagerMissing, "Enable the email manager"),
        (500, {"errors": [{"message": "x"}]}, errors.UnexpectedAnswer, "500"),
        (200, "<html>", errors.UnexpectedAnswer, "address of a NocoBase"),
        (200, {"data": None}, errors.UnexpectedAnswer, "no list"),
        (200, [], errors.UnexpectedAnswer, "address of a NocoBase"),
    ],
)
def test_each_refusal_is_one_line_that_says_what_to_do(
    status: int, body: Any, kind: type[errors.NocoBaseError], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with connect(failing(status, body), monkeypatch) as nocobase, pytest.raises(kind, match=words) as caught:
        mail_settings.read(nocobase)
    assert "\n" not in str(caught.value)
    assert URL in str(caught.value)


def test_an_echoed_secret_is_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    echo = {"errors": [{"message": f"bad value {SECRET} {API_KEY}", "code": f"X {SECRET}"}]}
    with connect(failing(400, echo), monkeypatch) as nocobase, pytest.raises(errors.NocoBaseError) as caught:
        mail_settings.push(nocobase, NEW, [CALLBACK], None)
    assert SECRET not in str(caught.value)
    assert API_KEY not in str(caught.value)
    assert SECRET not in repr(NEW)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (httpx.ConnectError("[Errno 111] Connection refused"), "Connection refused.*Is it running"),
        (httpx.ReadTimeout("timed out"), "no answer within"),
        (httpx.ConnectError("[SSL: CERTIFICATE_VERIFY_FAILED] self-signed"), "SSL_CERT_FILE"),
        (httpx.RemoteProtocolError("Server disconnected"), "Server disconnected"),
    ],
)
def test_no_answer_is_explained(error: httpx.TransportError, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: httpx.Request) -> httpx.Response:
        raise error

    with connect(fail, monkeypatch) as nocobase, pytest.raises(errors.Unreachable, match=words):
        mail_settings.read(nocobase)


def test_account_and_password_sign_in_first(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[str, str | None]] = []

    def server(request: httpx.Request) -> httpx.Response:
        seen.append((request.url.path, request.headers.get("Authorization")))
        data: Any = {"token": "day-token"} if request.url.path.endswith("auth:signIn") else []
        return httpx.Response(200, json={"data": data})

    connect(server, monkeypatch)
    login = NocoBaseLogin(account="admin", password="hidden")
    with NocoBaseClient(URL, "sales", login) as nocobase:
        assert mail_settings.read(nocobase) is None
    assert seen == [("/api/auth:signIn", None), ("/api/mailSettings:list", "Bearer day-token")]
