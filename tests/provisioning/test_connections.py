"""Every kind of proxy variable that people have works, or is named in one sentence."""

from __future__ import annotations

import socket
import ssl
import threading
from pathlib import Path
from typing import Any

import certifi
import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioning.connections import AnswerTooSlow, Limited, proxy_for, trusted
from provisioning.errors import CertificatesUnusable, ProxyUnusable
from provisioning.waiting import begin

PROXY = "http://proxy.example.com:3128"
URL = "https://nocobase.example.com/crm"


@pytest.mark.parametrize(
    ("environment", "url", "proxy"),
    [
        ({}, URL, None),
        ({"HTTPS_PROXY": PROXY}, URL, PROXY),
        ({"https_proxy": PROXY, "HTTPS_PROXY": "http://other:1"}, URL, PROXY),
        ({"HTTP_PROXY": PROXY}, URL, None),
        ({"HTTP_PROXY": PROXY}, "http://nocobase.example.com", PROXY),
        ({"ALL_PROXY": PROXY}, URL, PROXY),
        ({"HTTPS_PROXY": "", "ALL_PROXY": PROXY}, URL, PROXY),
        ({"HTTPS_PROXY": " "}, URL, None),
        ({"HTTPS_PROXY": "proxy.example.com:3128"}, URL, PROXY),
        ({"HTTPS_PROXY": "http://user:word@[fd00::1]:3128"}, URL, "http://user:word@[fd00::1]:3128"),
    ],
)
def test_the_proxy_of_a_url(environment: dict[str, str], url: str, proxy: str | None) -> None:
    assert proxy_for(url, environment) == proxy


@pytest.mark.parametrize(
    ("no_proxy", "url", "direct"),
    [
        ("", URL, False),
        ("*", URL, True),
        ("nocobase.example.com", URL, True),
        ("example.com", URL, True),
        (".example.com", URL, True),
        ("*.example.com", URL, True),
        ("NOCOBASE.Example.com", URL, True),
        ("ample.com", URL, False),
        ("nocobase.example.com:443", URL, True),
        ("nocobase.example.com:8443", URL, False),
        ("localhost,127.0.0.1,::1", URL, False),
        ("localhost, 127.0.0.1, ::1 ,,", "https://[::1]:8443", True),
        ("[::1]", "https://[::1]:8443", True),
        ("[::1]:8443", "https://[::1]:8443", True),
        ("[::1]:1", "https://[::1]:8443", False),
        ("10.0.0.0/8", "https://10.1.2.3", True),
        ("10.0.0.0/8", "https://11.1.2.3", False),
        ("10.0.0.5/8", "https://10.1.2.3", True),
        ("fd00::/8", "https://[fd12::1]", True),
        ("fd00::/8", "https://[fe80::1]", False),
        ("10.0.0.0/8", URL, False),
        ("10.0.0.0/99", URL, False),
    ],
)
def test_hosts_that_are_reached_directly(no_proxy: str, url: str, direct: bool) -> None:
    found = proxy_for(url, {"HTTPS_PROXY": PROXY, "NO_PROXY": no_proxy})
    assert (found is None) is direct


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("socks5://user:word@proxy:1080", "HTTPS_PROXY names a proxy of the kind 'socks5', which is not supported"),
        ("ftp://user:word@proxy", "of the kind 'ftp'"),
        ("http://", "HTTPS_PROXY is no address of a proxy"),
        ("http://proxy:99999", "is no address of a proxy"),
        ("http://[bad/", "is no address of a proxy"),
        ("xn--", "HTTPS_PROXY is no address of a proxy"),
    ],
)
def test_what_is_not_supported_is_named_without_its_password(value: str, words: str) -> None:
    with pytest.raises(ProxyUnusable, match=words) as problem:
        proxy_for(URL, {"HTTPS_PROXY": value})
    assert "word@" not in str(problem.value)


@given(st.text(max_size=40), st.text(max_size=40))
def test_whatever_people_write_httpx_takes_what_comes_out(address: str, no_proxy: str) -> None:
    try:
        found = proxy_for(URL, {"HTTPS_PROXY": address, "NO_PROXY": no_proxy})
    except ProxyUnusable:
        return
    assert found is None or httpx.Proxy(found).url.host


@pytest.mark.parametrize("closed", [False, True], ids=["given up", "closed"])
def test_a_request_that_nobody_waits_for_is_not_sent_any_more(closed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    resolve, resolving, resolved = socket.getaddrinfo, threading.Event(), threading.Event()

    def slow(*arguments: Any, **options: Any) -> Any:
        resolving.set()
        resolved.wait(30)
        return resolve(*arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(30)
        limited = Limited(httpx.HTTPTransport(trust_env=False), 60 if closed else 0.2, 1000)
        request = httpx.Request("POST", f"http://127.0.0.1:{server.getsockname()[1]}", content=b"a write")
        if closed:
            begin(lambda: limited.handle_request(request))
            assert resolving.wait(30)
        else:
            with pytest.raises(AnswerTooSlow):
                limited.handle_request(request)
        limited.close()
        resolved.set()
        connection, _ = server.accept()
        with connection:
            connection.settimeout(30)
            # The connection is made, and closed without a byte.
            assert connection.recv(1000) == b""


def test_authorities_that_cannot_be_used_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    usual = trusted()
    assert isinstance(usual, ssl.SSLContext)
    # They take longer to read than a request takes, and are the same for all connections.
    assert trusted() is usual
    (tmp_path / "empty.pem").touch()
    for name, words in (("empty.pem", "holds no certificates"), ("nowhere.pem", "cannot be read")):
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / name))
        with pytest.raises(CertificatesUnusable, match=f"{name}, which SSL_CERT_FILE names, {words}"):
            trusted()


def test_authorities_are_those_of_the_variable_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
    usual = trusted()
    own = tmp_path / "own.pem"
    end = "-----END CERTIFICATE-----\n"
    own.write_text(Path(certifi.where()).read_text().partition(end)[0] + end)
    monkeypatch.setenv("SSL_CERT_FILE", str(own))
    assert len(usual.get_ca_certs()) > 1
    assert len(trusted().get_ca_certs()) == 1
    monkeypatch.delenv("SSL_CERT_FILE")
    assert trusted() is usual
