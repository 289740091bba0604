"""Whom azure-identity's connections trust."""

from __future__ import annotations

from pathlib import Path

import pytest
import trustme
from azure.core.exceptions import ServiceRequestError
from azure.core.rest import HttpRequest
from requests import adapters

from provisioning.connections import trusted
from provisioning.entra.transport import transport
from tests.forward_proxy import ForwardProxy
from tests.sandbox.entra.service import Service


def ask(tenant: Service) -> int:
    """The status of an answer over a new TLS connection. Raises ServiceRequestError."""
    with transport() as opened:
        return int(opened.send(HttpRequest("GET", f"{tenant.address}/metadata/endpoints")).status_code)


def trust(monkeypatch: pytest.MonkeyPatch, authority: Path) -> None:
    """Let SSL_CERT_FILE name one authority."""
    monkeypatch.setenv("SSL_CERT_FILE", str(authority))
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)


@pytest.mark.parametrize("through_a_proxy", [False, True])
def test_a_connection_adds_nobody_to_those_who_are_trusted(
    through_a_proxy: bool, tenant: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    trust(monkeypatch, tenant.certificates.authority)
    assert trusted().cert_store_stats()["x509"] == 1
    with ForwardProxy() as proxy:
        for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
        if through_a_proxy:
            monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        assert ask(tenant) == 200
    assert bool(proxy.tunnels) is through_a_proxy
    assert trusted().cert_store_stats()["x509"] == 1


def test_a_server_that_only_requests_would_trust_is_rejected(
    tenant: Service, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(str(other))
    trust(monkeypatch, other)
    monkeypatch.setattr(adapters, "DEFAULT_CA_BUNDLE_PATH", str(tenant.certificates.authority))
    with pytest.raises(ServiceRequestError, match="CERTIFICATE_VERIFY_FAILED"):
        ask(tenant)
