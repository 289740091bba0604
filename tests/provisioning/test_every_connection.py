"""Each place that opens a connection lives with every kind of proxy variable, or says one sentence."""

from __future__ import annotations

import ast
import ssl
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import requests
from azure.core.exceptions import ServiceRequestError
from azure.core.rest import HttpRequest
from requests.adapters import HTTPAdapter
from requests.utils import select_proxy

from provisioning.connections import proxy_for
from provisioning.doctor import network, tenant
from provisioning.doctor.runner import Finding, Outcome, answer
from provisioning.entra import sign_in, token_check
from provisioning.entra.sign_in_settings import Method, sign_in_settings
from provisioning.entra.transport import transport
from provisioning.errors import ProvisioningError, ProxyUnusable, UnexpectedAnswer
from provisioning.nocobase.client import NocoBaseClient
from provisioning.nocobase.login import NocoBaseLogin
from sandbox.entra import federation, identity
from sandbox.entra.federation import TokenOrder
from tests.provisioning.entra.conftest import tenant as tenant_of_environment
from tests.sandbox.entra.fixtures import certificates, entra, entra_server
from tests.sandbox.entra.service import Service

__all__ = ["certificates", "entra", "entra_server", "tenant_of_environment"]

pytestmark = pytest.mark.filterwarnings("ignore:.* is deprecated:DeprecationWarning")

PROJECT = Path(__file__).parents[2]
NOBODY = "00000000-0000-0000-0000-00000000dead"
CLOSED = "http://user:hush@localhost:9"


def read_directory(_: Service) -> object:
    from provisioning.entra import directory  # noqa: PLC0415 - a second of imports

    return directory.registration(NOBODY)


def get_access_token(_: Service) -> object:
    from provisioning.entra import microsoft_graph  # noqa: PLC0415 - as above

    return microsoft_graph.access_token()


def check_secret(entra: Service) -> object:
    return token_check.ask(identity.TENANT_ID, identity.DEPLOYER_CLIENT_ID, "wrong").reason.index("7000215")


def ask_for_tenant(entra: Service) -> object:
    return _ok(answer(tenant.ask_tenant, identity.TENANT_ID))


def _ok(found: Finding) -> Finding:
    """An answer of `doctor`; a failure as the sentence that it shows."""
    if found.outcome is not Outcome.OK:
        raise ProvisioningError(found.said)
    return found


def read_page(entra: Service) -> object:
    context = ssl.create_default_context(cafile=str(entra.certificates.authority))
    reached = network.reach("graph", entra.address, 5, context)
    if not reached.reached:
        raise ProvisioningError(reached.said)
    return reached


def open_nocobase(entra: Service) -> object:
    with NocoBaseClient(entra.address, None, NocoBaseLogin(api_key="key")) as nocobase, suppress(UnexpectedAnswer):
        nocobase.get_public("app:getInfo")
    return None


PLACES: list[Callable[[Service], object]] = [
    read_directory,
    get_access_token,
    check_secret,
    ask_for_tenant,
    read_page,
    open_nocobase,
]

WORKING = {
    "IPv6 among those reached directly": {"HTTPS_PROXY": CLOSED, "NO_PROXY": "localhost,127.0.0.1,::1"},
    "ranges": {"HTTPS_PROXY": CLOSED, "NO_PROXY": "10.0.0.0/8,fd00::/8,[::1]:8443,localhost"},
    "everything": {"HTTPS_PROXY": CLOSED, "NO_PROXY": "*"},
    "SOCKS for others": {"ALL_PROXY": "socks5://user:hush@localhost:9", "NO_PROXY": "::1, localhost"},
    "empty": {"HTTPS_PROXY": "", "ALL_PROXY": "", "NO_PROXY": ""},
    "for http alone": {"HTTP_PROXY": CLOSED},
}

UNUSABLE = {
    "SOCKS": ({"HTTPS_PROXY": "socks5://user:hush@localhost:9"}, "HTTPS_PROXY names a proxy of the kind 'socks5'"),
    "SOCKS for all": ({"all_proxy": "socks5h://user:hush@localhost:9"}, "all_proxy names a proxy of the kind"),
    "no address": ({"HTTPS_PROXY": "http://user:hush@"}, "HTTPS_PROXY is no address of a proxy"),
    "an impossible port": ({"HTTPS_PROXY": "http://user:hush@proxy:99999"}, "HTTPS_PROXY is no address of a proxy"),
}


@pytest.fixture
def environment(tenant_of_environment: Service, monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, str]], None]:
    def use(variables: dict[str, str]) -> None:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
            monkeypatch.delenv(name, raising=False)
            monkeypatch.delenv(name.lower(), raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return use


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.__name__)
@pytest.mark.parametrize("variables", WORKING.values(), ids=WORKING)
def test_it_works(
    place: Callable[[Service], object],
    variables: dict[str, str],
    environment: Callable[[dict[str, str]], None],
    tenant_of_environment: Service,
) -> None:
    environment(variables)
    place(tenant_of_environment)


PROXY = "http://proxy.example.com:3128"

ROUTES = [
    ({"HTTPS_PROXY": PROXY, "NO_PROXY": "fd00::/8"}, "https://[fd00::1]/x", None),
    ({"HTTPS_PROXY": PROXY, "NO_PROXY": "fd00::/8"}, "https://[2001:db8::1]/x", PROXY),
    ({"HTTPS_PROXY": PROXY, "NO_PROXY": "[::1]:8443"}, "https://[::1]:8443/x", None),
    ({"HTTPS_PROXY": PROXY, "NO_PROXY": "10.0.0.0/8"}, "https://10.1.2.3/x", None),
    ({"ALL_PROXY": PROXY, "NO_PROXY": "*.example.com"}, "https://login.example.com/x", None),
    ({"HTTPS_PROXY": "proxy.example.com:3128"}, "https://login.example.com/x", PROXY),
    ({"HTTPS_PROXY": PROXY}, "http://169.254.169.254/metadata", None),
]


@pytest.mark.parametrize(("variables", "url", "proxy"), ROUTES)
def test_azure_identity_takes_the_same_way(
    variables: dict[str, str],
    url: str,
    proxy: str | None,
    environment: Callable[[dict[str, str]], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    environment(variables)
    taken: list[str | None] = []

    def connect(_: object, request: requests.PreparedRequest, *__: object, **options: Any) -> requests.Response:
        taken.append(select_proxy(str(request.url), options["proxies"]))
        raise requests.ConnectionError

    monkeypatch.setattr(HTTPAdapter, "send", connect)
    with transport() as opened, pytest.raises(ServiceRequestError):
        opened.send(HttpRequest("GET", url))
    assert (taken, proxy_for(url)) == ([proxy], proxy)


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.__name__)
@pytest.mark.parametrize(("variables", "words"), UNUSABLE.values(), ids=UNUSABLE)
def test_it_says_one_sentence(
    place: Callable[[Service], object],
    variables: dict[str, str],
    words: str,
    environment: Callable[[dict[str, str]], None],
    tenant_of_environment: Service,
) -> None:
    environment(variables)
    with pytest.raises(ProvisioningError, match=words) as problem:
        place(tenant_of_environment)
    assert "hush" not in str(problem.value)
    assert "\n" not in str(problem.value)


def test_a_pipeline_asks_for_its_token(
    environment: Callable[[dict[str, str]], None], tenant_of_environment: Service
) -> None:
    page = f"{tenant_of_environment.address}/_sandbox/oidc/github/token?subject=x"
    asked = sign_in_settings({"ACTIONS_ID_TOKEN_REQUEST_URL": page, "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "job"})
    federation.mint(tenant_of_environment.address, TokenOrder(system="github", subject="x"))
    for variables in WORKING.values():
        environment(variables)
        assert sign_in.federated_token(Method.REQUESTED_TOKEN, asked)()
    for variables, words in UNUSABLE.values():
        environment(variables)
        with pytest.raises(ProxyUnusable, match=words):
            sign_in.federated_token(Method.REQUESTED_TOKEN, asked)()


ENVIRONMENT = {"verify", "proxy", "trust_env"}
"""The options of httpx that decide whom to trust and which proxy to take."""


def test_nothing_opens_a_connection_in_another_way() -> None:
    """The product takes the transports of `connections` alone, which limit what they read."""
    opening = {"get", "post", "request", "stream", "Client", "AsyncClient", "HTTPTransport", "AsyncHTTPTransport"}
    found = []
    for room in ("provisioning", "pipelines", "bootstrap", "fleet"):
        for file in sorted((PROJECT / room).rglob("*.py")):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                match node:
                    case ast.Call(func=ast.Attribute(value=ast.Name(id="httpx"), attr=attr), keywords=words):
                        given = {word.arg for word in words}
                        product = room == "provisioning" and file.name != "connections.py"
                        limited = "transport" in given
                        if attr in opening and not (limited or (not product and given >= ENVIRONMENT)):
                            found.append(f"{file.relative_to(PROJECT)}:{node.lineno}")
                    # The Azure CLI is a program of its own.
                    case ast.Call(func=ast.Name(id=name), keywords=words) if name.endswith("Credential"):
                        if name != "AzureCliCredential" and "transport" not in {word.arg for word in words}:
                            found.append(f"{file.relative_to(PROJECT)}:{node.lineno}")
    assert found == []
