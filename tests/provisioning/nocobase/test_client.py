"""One request over a NocoBase that is a function: what is sent, what each failure says, and what waiting does."""

from __future__ import annotations

import json
import re
import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioning import errors
from provisioning.nocobase import client, request_errors
from provisioning.nocobase.client import NocoBaseClient
from provisioning.nocobase.login import NocoBaseLogin
from provisioning.nocobase.retry import Patience

URL = "https://nocobase.example.com/crm"
API_KEY = "the-api-key"
LIST = "mailSettings:list"
WRITE = "mailSettings:update"

Server = Callable[[httpx.Request], httpx.Response]


def connect(
    server: Server, app: str | None = None, login: NocoBaseLogin | None = None, patience: Patience | None = None
) -> NocoBaseClient:
    """A client that asks `server`."""
    # Loading certificates takes longer than all else here.
    nocobase = NocoBaseClient(URL.replace("https:", "http:"), app, login or NocoBaseLogin(api_key=API_KEY), patience)
    nocobase.url = URL
    nocobase._http = httpx.Client(transport=httpx.MockTransport(server), headers=nocobase._http.headers)
    return nocobase


def always(status: int, body: Any = None, **headers: str) -> Server:
    """A server that gives one answer to everything."""
    text = body if isinstance(body, str) else json.dumps(body)
    return lambda _: httpx.Response(status, text=text, headers=headers)


def answering(**answers: httpx.Response) -> Server:
    """A server that knows some actions by the end of their path; others are unknown to it, as NocoBase says it."""

    def answer(request: httpx.Request) -> httpx.Response:
        return answers.get(re.split("[:/]", request.url.path)[-1], httpx.Response(404, text="Not Found"))

    return answer


def data(value: Any) -> httpx.Response:
    return httpx.Response(200, json={"data": value})


VERSION_3 = {"error": {"code": 401, "status": "UNAUTHENTICATED", "reason": "X", "domain": "app", "message": "x"}}


def gateway(status: int, code: str) -> httpx.Response:
    """An answer of NocoBase's gateway."""
    return httpx.Response(status, json={"error": {"status": status, "maintaining": True, "message": "x", "code": code}})


def patient(seconds: float = 60) -> Patience:
    """Patience for which no time passes."""
    return Patience(seconds, lambda _: None, sleep=lambda _: None)


NOT_FOUND = {"error": {"status": 404, "message": "application sales not found", "code": "APP_NOT_FOUND"}}
GATEWAY = {"error": {"status": 503, "maintaining": True, "message": "x", "code": "APP_COMMANDING"}}
NOT_INSTALLED = {"error": {"status": 503, "maintaining": True, "message": "x", "code": "APP_NOT_INSTALLED_ERROR"}}


@pytest.mark.parametrize(
    ("app", "status", "body", "kind", "words"),
    [
        (None, 503, GATEWAY, errors.NotReady, "503 APP_COMMANDING.*Wait until it has started"),
        (None, 502, "Bad Gateway", errors.NotReady, "Wait"),
        (None, 503, "Service Unavailable", errors.NotReady, "Wait"),
        (None, 524, "error code: 524", errors.NotReady, "The gateway in front of NocoBase.*got no answer"),
        (None, 404, NOT_FOUND, errors.NotReady, "404 APP_NOT_FOUND.*Wait"),
        ("sales", 404, NOT_FOUND, errors.UnknownApplication, "no sub-application sales.*nocobaseApp"),
        (None, 429, {}, errors.NotReady, "accepts no more requests.*later"),
        (None, 503, NOT_INSTALLED, errors.NotInstalled, "Install it"),
        (None, 401, {"errors": [{"message": "x", "code": "INVALID_TOKEN"}]}, errors.Unauthorized, "INVALID_TOKEN"),
        (None, 401, {"errors": [{"message": "x"}]}, errors.Unauthorized, "API key"),
        (None, 403, {"errors": [{"message": "No permissions"}]}, errors.Forbidden, "role"),
        (None, 404, "Not Found", errors.UnexpectedAnswer, "address of a NocoBase, with any path before /admin"),
        (None, 301, "", errors.UnexpectedAnswer, "redirects to another address"),
        (None, 500, {"errors": [{"message": "x"}]}, errors.UnexpectedAnswer, "500.*server log"),
        (None, 401, "<html>", errors.UnexpectedAnswer, "gateway in front of NocoBase .*nocobaseHeaders"),
        (None, 403, "<html>", errors.UnexpectedAnswer, "gateway in front of NocoBase .*nocobaseHeaders"),
        (None, 200, "<html>", errors.UnexpectedAnswer, "address of a NocoBase"),
        (None, 200, [], errors.UnexpectedAnswer, "address of a NocoBase"),
        (None, 200, "[" * 100_000, errors.UnexpectedAnswer, "address of a NocoBase"),
    ],
)
def test_each_refusal_is_one_line_that_says_what_to_do(
    app: str | None, status: int, body: Any, kind: type[errors.NocoBaseError], words: str
) -> None:
    with connect(always(status, body), app) as nocobase, pytest.raises(kind, match=words) as caught:
        nocobase.get(LIST)
    assert "\n" not in str(caught.value)
    assert URL in str(caught.value)
    assert LIST in str(caught.value)
    assert caught.value.status == status


API = "/crm/api/mailSettings:list"


@pytest.mark.parametrize(
    ("location", "host", "proposed"),
    [
        (
            "https://acme.cloudflareaccess.com/cdn-cgi/access/login?kid=t0ken&redirect_url=/",
            "acme.cloudflareaccess.com",
            None,
        ),
        (f"https://www.nocobase.example.com{API}", "www.nocobase.example.com", "https://www.nocobase.example.com/crm"),
        (f"https://other.example.com{API}", "other.example.com", None),
        (f"https://nocobase.example.com.evil.example{API}", "nocobase.example.com.evil.example", None),
        ("/login?t0ken", "nocobase.example.com", None),
        (f"https://nocobase.example.com:8443{API}", "nocobase.example.com", None),
        (f"https://t0ken:t0ken@www.nocobase.example.com{API}", "www.nocobase.example.com", None),
        (f"http://www.nocobase.example.com{API}", "www.nocobase.example.com", None),
        (API, "nocobase.example.com", None),
    ],
)
def test_a_redirect_names_where_it_leads_and_proposes_only_the_same_site(
    location: str, host: str, proposed: str | None
) -> None:
    with (
        connect(always(302, "", Location=location)) as nocobase,
        pytest.raises(errors.UnexpectedAnswer, match="redirects") as caught,
    ):
        nocobase.get(LIST)
    said = str(caught.value)
    assert f"leads to {host})" in said
    assert ("Set nocobaseUrl" in said) is (proposed is not None)
    assert proposed is None or said.endswith(f"Set nocobaseUrl to {proposed}")
    assert proposed is not None or "nocobaseHeaders" in said
    assert "t0ken" not in said
    assert said.isprintable()


def test_https_is_proposed_for_http() -> None:
    request = httpx.Request("GET", f"http://localhost:13000{API}")
    answer = httpx.Response(301, headers={"Location": f"https://localhost{API}"}, request=request)
    assert (
        request_errors.redirected("http://localhost:13000/crm", LIST, answer).remedy
        == "Set nocobaseUrl to https://localhost/crm"
    )


def test_headers_for_a_gateway_go_with_every_request_and_never_after_a_redirect() -> None:
    seen: list[httpx.Request] = []

    def server(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        where = {"Location": "https://elsewhere.example.com/"}
        return httpx.Response(302, headers=where) if "update" in request.url.path else data([])

    login = NocoBaseLogin(api_key=API_KEY, headers={"CF-Access-Client-Id": "gate-id"})
    with connect(server, "sales", login) as nocobase:
        nocobase.get(LIST)
        nocobase.get_public("app:getInfo")
        with pytest.raises(errors.UnexpectedAnswer):
            nocobase.post(WRITE, {})
    assert {request.url.host for request in seen} == {"nocobase.example.com"}
    assert {request.headers["CF-Access-Client-Id"] for request in seen} == {"gate-id"}
    assert {request.headers["X-App"] for request in seen} == {"sales"}
    assert "gate-id" not in repr(login)


def failing(error: httpx.RequestError, cause: BaseException | None = None) -> Server:
    """A server that does not answer; `cause` is the operating system's error."""

    def fail(_: httpx.Request) -> httpx.Response:
        raise error from cause

    return fail


UNTRUSTED = ssl.SSLCertVerificationError(1, "certificate verify failed: self-signed certificate")
UNTRUSTED.verify_message = "self-signed certificate"
NO_TLS = ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong version number")
NO_TLS.reason = "WRONG_VERSION_NUMBER"


@pytest.mark.parametrize(
    ("error", "cause", "words"),
    [
        (httpx.ConnectError("x"), ConnectionRefusedError(111, "Connection refused"), "Connection refused.*running"),
        (httpx.ConnectError("x"), socket.gaierror(-2, "Name or service not known"), "Name or service not known"),
        (httpx.ConnectError("x"), UNTRUSTED, "not trusted here: self-signed certificate.*SSL_CERT_FILE"),
        (httpx.ConnectError("x"), NO_TLS, "no secure connection: WRONG_VERSION_NUMBER.*speaks http"),
        (httpx.ReadTimeout("timed out"), None, "no answer within 20 s"),
        (httpx.RemoteProtocolError("Server disconnected"), None, "the connection was interrupted"),
        (httpx.ProxyError("407 Proxy Authentication Required"), None, "the proxy answered 407.*NO_PROXY"),
        (httpx.ProxyError("x"), None, "the proxy rejected"),
        (httpx.DecodingError("incorrect header check"), None, "not valid HTTP"),
    ],
)
def test_no_answer_is_explained(error: httpx.RequestError, cause: BaseException | None, words: str) -> None:
    with connect(failing(error, cause)) as nocobase, pytest.raises(errors.Unreachable, match=words) as caught:
        nocobase.get(LIST)
    assert URL in str(caught.value)
    assert LIST in str(caught.value)


def test_a_proxy_in_the_environment_is_named_where_nobody_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://user:password@proxy.example.com")
    with connect(failing(httpx.ConnectError("x"))) as nocobase, pytest.raises(errors.Unreachable) as caught:
        nocobase.get(LIST)
    assert "A proxy is set in the environment" in str(caught.value)
    assert "password" not in str(caught.value)


def test_an_address_that_is_none_is_named() -> None:
    nocobase = NocoBaseClient("http://localhost:port", None, NocoBaseLogin(api_key=API_KEY))
    with nocobase, pytest.raises(errors.Unreachable, match="Correct nocobaseUrl"):
        nocobase.get(LIST)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("SSL_CERT_FILE", "/nowhere.pem", "/nowhere.pem, which SSL_CERT_FILE names, cannot be read"),
        ("SSL_CERT_FILE", __file__, "holds no certificates"),
        ("HTTPS_PROXY", "foo://user:password@proxy.example.com", "HTTPS_PROXY names a proxy of the kind 'foo'"),
        ("HTTPS_PROXY", "user:password@proxy.example.com:x", "HTTPS_PROXY is no address of a proxy"),
        ("HTTPS_PROXY", "socks5://user:password@proxy.example.com", "a proxy of the kind 'socks5'.*NO_PROXY"),
    ],
)
def test_an_environment_that_cannot_be_used_is_explained(
    name: str, value: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(errors.Unreachable, match=words) as caught:
        NocoBaseClient(URL, None, NocoBaseLogin(api_key=API_KEY))
    assert "password" not in str(caught.value)


@pytest.mark.parametrize("key", ["a\nkey", "a key", "ключ", "key\r"])
def test_an_api_key_that_no_header_can_hold_is_not_sent_and_not_shown(key: str) -> None:
    login = NocoBaseLogin(api_key=key)
    with (
        connect(always(200), login=login) as nocobase,
        pytest.raises(errors.Unauthorized, match="cannot be sent") as caught,
    ):
        nocobase.get(LIST)
    assert key not in str(caught.value)


def test_account_and_password_sign_in_first() -> None:
    seen: list[tuple[str, str | None, str | None]] = []

    def server(request: httpx.Request) -> httpx.Response:
        seen.append((request.url.path, request.headers.get("Authorization"), request.headers.get("X-App")))
        return data({"token": "day-token"} if request.url.path.endswith("auth:signIn") else [])

    with connect(server, "sales", NocoBaseLogin(account="admin", password="hidden")) as nocobase:
        assert nocobase.get(LIST) == []
    assert seen == [("/crm/api/auth:signIn", None, "sales"), (f"/crm/api/{LIST}", "Bearer day-token", "sales")]


@pytest.mark.parametrize("answer", [{}, {"token": ""}, {"token": "to\nken"}, [], None])
def test_a_sign_in_without_a_token_is_explained(answer: Any) -> None:
    login = NocoBaseLogin(account="admin", password="hidden")
    with (
        connect(answering(signIn=data(answer)), login=login) as nocobase,
        pytest.raises(errors.UnexpectedAnswer, match="has no token"),
    ):
        nocobase.get(LIST)


# What NocoBase it is, is asked only where something is missing.


def test_a_nocobase_2_without_the_action_has_no_email_manager() -> None:
    with (
        connect(answering(getInfo=data({"version": "2.2.15"}))) as nocobase,
        pytest.raises(errors.EmailManagerMissing, match=r"NocoBase 2\.2\.15 at .* has no email manager .*Enable"),
    ):
        nocobase.get(LIST)


@pytest.mark.parametrize(
    ("answers", "version"),
    [
        pytest.param({"getInfo": data({"version": "3.0.0-beta.2"})}, "3.0.0", id="names its version"),
        pytest.param({"providers": httpx.Response(401, json=VERSION_3)}, "3", id="its mail plugin answers"),
        pytest.param({"list": httpx.Response(401, json=VERSION_3)}, "3", id="each action is answered so"),
    ],
)
def test_a_nocobase_3_is_told_apart_and_the_setting_that_serves_it(
    answers: dict[str, httpx.Response], version: str
) -> None:
    with connect(answering(**answers)) as nocobase, pytest.raises(errors.CredentialsInFile) as caught:
        nocobase.get(LIST)
    assert f"NocoBase at {URL} is version {version}, which takes mail credentials from its configuration" in str(
        caught.value
    )
    assert "pulumi config set nocobaseConfigFile <absolute path, or kubernetes://" in str(caught.value)


def test_an_ordinary_life_asks_for_no_version() -> None:
    asked: list[str] = []

    def server(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path.rpartition("/")[2])
        return data([])

    with connect(server) as nocobase:
        nocobase.get(LIST)
        nocobase.post(WRITE, {})
    assert asked == [LIST, WRITE]


# Waiting.


def in_turn(*answers: httpx.Response | httpx.RequestError, asked: list[str]) -> Server:
    """A server that gives these answers, one after the other."""
    left = list(answers)

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path.rpartition("/")[2])
        given = left.pop(0)
        if isinstance(given, httpx.RequestError):
            raise given
        return given

    return answer


def test_reading_and_certainly_unmade_writing_wait_for_nocobase() -> None:
    troubles = (httpx.ConnectError("x"), gateway(503, "APP_COMMANDING"), httpx.Response(429))
    asked: list[str] = []
    with connect(in_turn(*troubles, data([1]), *troubles, data([2]), asked=asked), patience=patient()) as nocobase:
        assert nocobase.get(LIST) == [1]
        assert nocobase.post(WRITE, {"clientId": "x"}) == [2]
    assert asked == [LIST] * 4 + [WRITE] * 4


LOST_ANSWERS = [
    httpx.ReadTimeout("timed out"),
    httpx.RemoteProtocolError("Server disconnected"),
    httpx.ReadError("x"),
    httpx.Response(502),
    httpx.Response(503, text="Service Unavailable"),
    httpx.Response(504),
    httpx.Response(500, text="<html>"),
    httpx.Response(524, text="error code: 524"),
    httpx.Response(200, text="{"),
]


@pytest.mark.parametrize("lost", LOST_ANSWERS)
def test_a_write_whose_answer_was_lost_is_not_sent_again(lost: httpx.Response | httpx.RequestError) -> None:
    asked: list[str] = []
    with (
        connect(in_turn(lost, asked=asked), patience=patient()) as nocobase,
        pytest.raises(errors.AnswerLost, match="unknown whether it was carried out"),
    ):
        nocobase.post(WRITE, {"clientId": "x"})
    assert asked == [WRITE]


def test_signing_in_is_no_write() -> None:
    asked: list[str] = []
    server = in_turn(httpx.ReadTimeout("timed out"), data({"token": "t"}), data([]), asked=asked)
    with connect(server, login=NocoBaseLogin(account="a", password="hidden"), patience=patient()) as nocobase:
        assert nocobase.get(LIST) == []
    assert asked == ["auth:signIn", "auth:signIn", LIST]


def test_an_unknown_sub_application_is_told_from_one_that_is_starting() -> None:
    preparing, missing = gateway(503, "APP_PREPARING"), gateway(404, "APP_NOT_FOUND")
    health = "__health_check"
    asked: list[str] = []
    answers = (preparing, missing, missing, gateway(503, "APP_COMMANDING"), missing, missing, data([]))
    with connect(in_turn(*answers, asked=asked), "sales", patience=patient()) as nocobase:
        assert nocobase.get(LIST) == []
    assert asked == [LIST, LIST, LIST, health, LIST, health, LIST]
    asked.clear()
    healthy = httpx.Response(200, text="ok")
    with (
        connect(in_turn(preparing, missing, missing, healthy, asked=asked), "sales", patience=patient()) as nocobase,
        pytest.raises(errors.UnknownApplication),
    ):
        nocobase.get(LIST)
    assert asked == [LIST, LIST, LIST, health]


def test_a_nocobase_that_stops_while_it_is_asked_for_its_health_is_not_up() -> None:
    with connect(failing(httpx.ConnectError("x"))) as nocobase:
        assert not nocobase._is_up()
    with connect(always(404, NOT_FOUND)) as nocobase:
        assert not nocobase._is_up()
    with connect(always(200, "ok")) as nocobase:
        assert nocobase._is_up()


# Nothing secret in an error, whatever the server says.

OWN_WORDS = "".join(file.read_text(encoding="utf-8") for file in Path(client.__file__).parents[1].rglob("*.py")) + URL
"""A secret that is one of them cannot be told from the program's own words; hypothesis draws words of the sources."""

secrets = st.one_of(
    st.from_regex(r"\A[A-Z][A-Z0-9_]{7,40}\Z"),
    st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=8, max_size=40),
).filter(lambda secret: secret not in OWN_WORDS)


@given(
    secret=secrets,
    status=st.sampled_from([200, 302, 400, 401, 403, 404, 429, 500, 502, 503]),
    shape=st.sampled_from(["text", "errors", "error", "data", "version"]),
    write=st.booleans(),
    app=st.sampled_from([None, "sales"]),
)
def test_no_error_repeats_what_a_server_echoes(
    secret: str, status: int, shape: str, write: bool, app: str | None
) -> None:
    bodies: dict[str, Any] = {
        "text": secret,
        "errors": {"errors": [{"message": secret, "code": secret}]},
        "error": {"error": {"message": secret, "code": f"X_{secret}", "status": status}},
        "data": {"data": secret, secret: secret},
        "version": {"data": {"version": f"3.{secret}"}},
    }
    server = always(status, bodies[shape], **{"Location": "https://x/", "Retry-After": secret})
    login = NocoBaseLogin(api_key=secret)
    caught: errors.NocoBaseError | None = None
    with connect(server, app, login) as nocobase:
        try:
            if write:
                nocobase.post(WRITE, {"clientSecret": secret}, filterByTk="1")
            else:
                nocobase.get(LIST)
        except errors.NocoBaseError as error:
            caught = error
    assert caught is not None or (status, shape) in ((200, "data"), (200, "version"), (200, "errors"), (200, "error"))
    assert caught is None or secret not in str(caught) + repr(caught)
    assert caught is None or caught.__cause__ is None


@given(secret=secrets)
def test_no_error_repeats_an_echoed_password(secret: str) -> None:
    server = always(401, {"errors": [{"message": secret, "code": secret}]})
    with connect(server, login=NocoBaseLogin(account="admin", password=secret)) as nocobase:
        with pytest.raises(errors.Unauthorized) as caught:
            nocobase.get(LIST)
        assert secret not in str(caught.value)


def test_the_key_and_secrets_are_in_no_repr() -> None:
    assert API_KEY not in repr(NocoBaseLogin(api_key=API_KEY, password=API_KEY))


def test_a_patient_request_says_so_once(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    patience = Patience(5, said.append, sleep=lambda _: None)
    answers = [gateway(503, "APP_COMMANDING"), gateway(503, "APP_COMMANDING"), data([])]
    with connect(in_turn(*answers, asked=[]), patience=patience) as nocobase:
        nocobase.get(LIST)
    assert said == [
        f"NocoBase at {URL} is starting or under maintenance ({LIST} answered 503 APP_COMMANDING); "
        "waiting for it, 5 s at most."
    ]


def test_a_long_wait_shows_signs_of_life() -> None:
    said: list[str] = []
    clock = [0.0]

    def sleep(seconds: float) -> None:
        clock[0] += seconds

    patience = Patience(60, said.append, clock=lambda: clock[0], sleep=sleep)
    busy = always(503, GATEWAY)
    with connect(busy, patience=patience) as nocobase, pytest.raises(errors.NotReady):
        nocobase.get(LIST)
    assert len(said) == 3
    assert all(re.match(r"Still waiting for NocoBase, [24]\d of 60 s \(", line) for line in said[1:])


def test_plain_http_takes_no_proxy_and_no_certificates(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("HTTP_PROXY", "ALL_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://proxy.example.com")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "nowhere"))
    with NocoBaseClient("http://localhost:1", None, NocoBaseLogin(api_key=API_KEY)) as nocobase:
        assert nocobase._http._mounts == {}
    assert request_errors.TIMEOUT_SECONDS == 20
