"""`network`: each way in which Microsoft is not reached is told apart, and the file runs alone."""

from __future__ import annotations

import ast
import json
import os
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioning.connections import proxy_for
from provisioning.doctor import network
from provisioning.errors import ProxyUnusable
from tests import mail_servers
from tests.sandbox.entra.fixtures import certificates, entra, entra_server
from tests.sandbox.entra.service import Certificates, Service

__all__ = ["certificates", "entra", "entra_server"]

FILE = Path(network.__file__)


@pytest.fixture
def serving(certificates: Certificates) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.certificate, certificates.key)
    return context


@pytest.fixture
def trusting(certificates: Certificates) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(certificates.authority))


@pytest.fixture
def everything(entra: Service, serving: ssl.SSLContext) -> Iterator[dict[str, str]]:
    """Addresses at which all of them answer as Microsoft does."""
    with mail_servers.imap(serving) as imap, mail_servers.smtp(serving) as smtp:
        mail = {"imap": imap, "smtp": smtp, "smtp-outlook": smtp}
        yield {"sign-in": entra.address, "graph": entra.address, **mail}


def closed_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"localhost:{server.getsockname()[1]}"


def test_everything_is_reached(everything: dict[str, str], trusting: ssl.SSLContext) -> None:
    answers = network.reach_all(everything, 5, trusting)
    assert [(answer.name, answer.reached, answer.remedy) for answer in answers] == [
        (name, True, "") for name in network.ENDPOINTS
    ]
    assert answers[0].said == f"{everything['sign-in']}: answers over https"
    assert answers[2].said == f"{everything['imap']}: IMAP over TLS, offers XOAUTH2"
    assert answers[3].said == f"{everything['smtp']}: SMTP with STARTTLS, offers XOAUTH2"


Server = Callable[[ssl.SSLContext], AbstractContextManager[str]]
TROUBLES: dict[str, tuple[str, Server, str, str]] = {
    "imap of somebody else": (
        "imap",
        lambda tls: mail_servers.imap(tls, b"* CAPABILITY IMAP4rev1 AUTH=PLAIN"),
        "does not offer XOAUTH2",
        "Something stands in between",
    ),
    "smtp of somebody else": (
        "smtp",
        lambda tls: mail_servers.smtp(tls, b"AUTH PLAIN LOGIN"),
        "does not offer XOAUTH2",
        "Something stands in between",
    ),
    "smtp whose STARTTLS was filtered": (
        "smtp",
        lambda tls: mail_servers.smtp(tls, starttls=False),
        "does not offer STARTTLS",
        "mail filter",
    ),
    "imap without TLS": ("imap", mail_servers.smtp, "no secure connection: ", "stands in between"),
    "smtp that hangs up": ("smtp", lambda _: mail_servers.closing(), "the connection was interrupted", "mail filter"),
    "silent": ("imap", lambda _: mail_servers.silent(), "no answer within 0.5 s", "TCP port"),
}


@pytest.mark.parametrize("case", TROUBLES)
def test_troubles_are_told_apart(case: str, serving: ssl.SSLContext, trusting: ssl.SSLContext) -> None:
    name, server, said, remedy = TROUBLES[case]
    with server(serving) as address:
        answer = network.reach(name, address, 0.5, trusting)
    assert not answer.reached
    assert said in answer.said
    assert remedy in answer.remedy


def test_a_server_that_does_not_speak_http(serving: ssl.SSLContext, trusting: ssl.SSLContext) -> None:
    with mail_servers.imap(serving) as address:
        answer = network.reach("sign-in", f"https://{address}", 5, trusting)
    assert "what answers there does not speak https" in answer.said
    assert "Something stands in between" in answer.remedy


def test_refused_and_mended(serving: ssl.SSLContext, trusting: ssl.SSLContext) -> None:
    refused = network.reach("imap", closed_port(), 5, trusting)
    assert "the connection is refused" in refused.said
    assert "A proxy for https does not help" in refused.remedy
    with mail_servers.imap(serving) as address:
        assert network.reach("imap", address, 5, trusting).reached
    assert "Only mailboxes of Outlook.com" in network.reach("smtp-outlook", closed_port(), 5, trusting).remedy


@pytest.mark.parametrize("name", ["sign-in", "imap", "smtp"])
def test_a_certificate_that_is_not_trusted(name: str, everything: dict[str, str]) -> None:
    answer = network.reach(name, everything[name], 5, ssl.create_default_context())
    assert "its certificate is not trusted here" in answer.said
    assert "NODE_EXTRA_CA_CERTS" in answer.remedy


def test_a_name_that_is_not_resolved(trusting: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    for name, address in network.ENDPOINTS.items():
        answer = network.reach(name, address, 5, trusting)
        assert "its name is not resolved here" in answer.said
        assert "DNS" in answer.remedy


def test_a_page_that_is_not_microsofts(entra: Service, trusting: ssl.SSLContext) -> None:
    entra.fault("GET /v1.0/", status=403, headers={"content-type": "text/html"})
    blocked = network.reach("graph", entra.address, 5, trusting)
    assert "HTTP 403 without the expected answer" in blocked.said
    assert network.reach("graph", entra.address, 5, trusting).reached


def test_a_proxy_is_used_and_named_without_its_password(
    entra: Service, trusting: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setenv("https_proxy", f"http://user:hidden@{closed_port()}")
    answer = network.reach("graph", entra.address, 5, trusting)
    assert "the connection is refused (through the proxy localhost:" in answer.said
    assert answer.remedy.startswith("Is the proxy running, and does it let localhost:")
    assert "hidden" not in answer.said + answer.remedy
    monkeypatch.setenv("no_proxy", "localhost")
    assert network.reach("graph", entra.address, 5, trusting).reached
    assert network.find_proxy(entra.address) is None


def test_all_end_in_time_although_one_hangs(serving: ssl.SSLContext, trusting: ssl.SSLContext) -> None:
    with ExitStack() as stack:
        addresses = {
            "imap": stack.enter_context(mail_servers.silent()),
            "smtp": stack.enter_context(mail_servers.smtp(serving)),
        }
        answers = network.reach_all(addresses, 0.5, trusting)
    assert [answer.reached for answer in answers] == [False, True]


@pytest.mark.parametrize("wrong", ["pop=x:1", "imap=x", "imap=x:y", "imap=https://x", "graph=x:443", "graph=http://x"])
def test_wrong_addresses_are_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match=r"none of|look like"):
        network.endpoints([wrong])


def test_given_addresses_replace_the_usual_ones() -> None:
    assert network.endpoints(["imap=x:1", "graph=https://g/"]) == {
        **network.ENDPOINTS,
        "imap": "x:1",
        "graph": "https://g",
    }


def test_it_imports_nothing_but_pythons_own_library_of_an_old_python() -> None:
    tree = ast.parse(FILE.read_text(), feature_version=(3, 9))
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name.partition(".")[0] for name in imported} <= sys.stdlib_module_names


def test_it_runs_alone_from_stdin(everything: dict[str, str], certificates: Certificates) -> None:
    # -I -S: without this project, the virtualenv's packages and the user's own.
    command = [sys.executable, "-I", "-S", "-", "--format", "json"]
    command += [part for item in everything.items() for part in ("--endpoint", "=".join(item))]
    environment = {"PATH": os.environ["PATH"], "SSL_CERT_FILE": str(certificates.authority)}

    def run(*more: str) -> subprocess.CompletedProcess[str]:
        program = FILE.read_text()
        return subprocess.run(
            [*command, *more], input=program, env=environment, capture_output=True, text=True, check=False
        )

    said = run()
    assert said.returncode == 0, said.stderr
    assert [answer["reached"] for answer in json.loads(said.stdout)] == [True] * 5
    said = run("--endpoint", f"imap={closed_port()}")
    assert said.returncode == 1
    assert [answer["reached"] for answer in json.loads(said.stdout)] == [True, True, False, True, True]
    personal = run("--endpoint", f"smtp-outlook={closed_port()}")
    assert [answer["reached"] for answer in json.loads(personal.stdout)] == [True, True, True, True, False]
    assert personal.returncode == 0, "a company's mailboxes need no server of Outlook.com"
    assert run("--endpoint", "pop=x:1").returncode == 2


EXEMPT = ("*", "localhost", ".example.com", "*.example.com", "a.example.com:443", "a.example.com:1", "A.EXAMPLE.COM",
          "::1", "[::1]", "[::1]:8443", "10.0.0.0/8", "10.0.0.0/99", "10.1.2.3", "fd00::/8", " ")  # fmt: skip


@given(
    proxy=st.sampled_from(("", " ", "proxy:3128", "http://u:p@[fd00::1]:1", "socks5://p", "http://p:99999", "http://")),
    every=st.sampled_from(("", "http://all:1")),
    exempt=st.lists(st.sampled_from(EXEMPT), max_size=3),
    url=st.sampled_from(("https://a.example.com", "https://[::1]:8443", "https://10.1.2.3", "https://localhost:1")),
)
def test_the_proxy_is_that_of_the_rest_of_the_program(proxy: str, every: str, exempt: list[str], url: str) -> None:
    environment = {"HTTPS_PROXY": proxy, "ALL_PROXY": every, "NO_PROXY": ",".join(exempt)}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.delenv(name.lower(), raising=False)
            patch.setenv(name, value)
        try:
            expected = proxy_for(url, environment)
        except ProxyUnusable as error:
            with pytest.raises(network._ProxyUnusable, match=str(error).partition(",")[0].partition(". ")[0]):
                network.find_proxy(url)
        else:
            assert network.find_proxy(url) == expected
