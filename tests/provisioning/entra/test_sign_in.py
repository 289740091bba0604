"""Which credential the environment asks for, and sign-in with a pipeline's token."""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
import trustme
from azure.core.credentials import TokenCredential
from azure.core.exceptions import ClientAuthenticationError
from azure.identity import (
    AzureCliCredential,
    CertificateCredential,
    ClientAssertionCredential,
    ClientSecretCredential,
    ManagedIdentityCredential,
)
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, load_pem_private_key
from cryptography.hazmat.primitives.serialization.pkcs12 import serialize_key_and_certificates
from cryptography.x509 import load_pem_x509_certificate

from provisioning import connections
from provisioning.entra.sign_in import AUDIENCE, credential, federated_token
from provisioning.entra.sign_in_settings import Method, sign_in_settings
from provisioning.errors import NoPipelineToken, SignInUnusable
from sandbox.entra import federation, identity, tokens
from sandbox.entra.federation import TokenOrder
from tests.sandbox.entra.service import Service

SUBJECT = "repo:contoso/mail:environment:prod"
NAMED = {"ARM_TENANT_ID": identity.TENANT_ID, "ARM_CLIENT_ID": identity.DEPLOYER_CLIENT_ID}
AUTHORITY = "https://login.example.com"


def signing_in(variables: Mapping[str, str], authority: str = AUTHORITY) -> TokenCredential:
    """The credential of a process with these variables, and no stack."""
    return credential(authority, sign_in_settings(variables))


@pytest.fixture(scope="module")
def certificate() -> bytes:
    """A client certificate with its key, as PKCS #12."""
    issued = trustme.CA().issue_cert("deployer.example.com", key_type=trustme.KeyType.RSA)
    key = load_pem_private_key(issued.private_key_pem.bytes(), None)
    assert isinstance(key, RSAPrivateKey)
    held = load_pem_x509_certificate(issued.cert_chain_pems[0].bytes())
    return serialize_key_and_certificates(b"deployer", key, held, None, BestAvailableEncryption(b"the password"))


def test_each_way_has_its_credential(certificate: bytes, tmp_path: Path) -> None:
    (tmp_path / "deployer.pfx").write_bytes(certificate)
    password = {"ARM_CLIENT_CERTIFICATE_PASSWORD": "the password"}
    encoded = base64.b64encode(certificate).decode()
    for variables, kind in (
        ({}, AzureCliCredential),
        ({"ARM_USE_MSI": "true"}, ManagedIdentityCredential),
        ({**NAMED, "ARM_USE_OIDC": "true", "ARM_OIDC_TOKEN": "t"}, ClientAssertionCredential),
        ({**NAMED, "ARM_CLIENT_SECRET": "s"}, ClientSecretCredential),
        ({**NAMED, **password, "ARM_CLIENT_CERTIFICATE": encoded}, CertificateCredential),
        ({**NAMED, **password, "ARM_CLIENT_CERTIFICATE_PATH": str(tmp_path / "deployer.pfx")}, CertificateCredential),
    ):
        assert type(signing_in(variables)) is kind


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"ARM_CLIENT_CERTIFICATE": "no base64"}, "ARM_CLIENT_CERTIFICATE cannot be used"),
        ({"ARM_CLIENT_CERTIFICATE_PATH": "/nowhere/at/all"}, "cannot be used \\(No such file"),
        (
            {"ARM_USE_MSI": "true", "ARM_MSI_ENDPOINT": "http://127.0.0.1:9"},
            "own reads cannot use",
        ),
    ],
)
def test_what_cannot_be_used_is_named(variables: dict[str, str], words: str) -> None:
    with pytest.raises(SignInUnusable, match=words):
        signing_in({**NAMED, **variables})


def test_az_is_asked_for_the_tenant_that_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    az = tmp_path / "az"
    az.write_text("""#!/bin/sh
echo "{\\"accessToken\\": \\"$*\\", \\"expires_on\\": 4102444800}"
""")
    az.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    token = signing_in({"ARM_TENANT_ID": identity.TENANT_ID}).get_token("https://graph.example.com/.default")
    assert f"--tenant {identity.TENANT_ID}" in token.token


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (httpx.Response(403, text="hush"), "the status was 403"),
        (httpx.Response(200, text="hush"), "its answer holds none"),
        (httpx.Response(200, json={}), "its answer holds none"),
        (httpx.ReadTimeout("hush"), "it did not answer in time"),
    ],
)
def test_a_system_that_gives_no_token_is_named(
    answer: httpx.Response | Exception, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ask(method: str, address: httpx.URL, *_: object, **__: object) -> httpx.Response:
        if isinstance(answer, Exception):
            raise answer
        answer.request = httpx.Request(method, address)
        return answer

    monkeypatch.setattr(connections, "request", ask)
    asked = {"ACTIONS_ID_TOKEN_REQUEST_URL": "https://ci.example.com/t?v=2", "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "bearer"}
    with pytest.raises(NoPipelineToken, match=rf"ci\.example\.com gave this job no token .*\({reason}\)") as refusal:
        federated_token(Method.REQUESTED_TOKEN, sign_in_settings(asked))()
    assert "hush" not in str(refusal.value)
    assert "bearer" not in str(refusal.value)


def test_an_address_for_the_jobs_token_that_is_none_is_named() -> None:
    asked = {"ACTIONS_ID_TOKEN_REQUEST_URL": "https://ci:port", "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "bearer"}
    with pytest.raises(SignInUnusable, match=r"^ACTIONS_ID_TOKEN_REQUEST_URL is not a URL"):
        federated_token(Method.REQUESTED_TOKEN, sign_in_settings(asked))


@pytest.fixture
def deployer(tenant: Service) -> dict[str, str]:
    """The variables of a job that signs in as an application which trusts its environment."""
    directory, owner = tenant.directory, identity.ADMINISTRATOR_OBJECT_ID
    made = directory.create_application({"displayName": "deployer"}, owner, [])
    directory.create_service_principal({"appId": made["appId"]}, owner, [])
    issuer = federation.issuer(tenant.address, "github")
    trust = {"name": "prod", "issuer": issuer, "subject": SUBJECT, "audiences": [AUDIENCE]}
    directory.create_federated_credential(made["id"], trust, owner)
    return {"ARM_TENANT_ID": identity.TENANT_ID, "ARM_CLIENT_ID": made["appId"], "ARM_USE_OIDC": "true"}


def test_a_pipelines_token_signs_in(tenant: Service, deployer: dict[str, str], tmp_path: Path) -> None:
    token = federation.mint(tenant.address, TokenOrder(system="github", subject=SUBJECT))
    (tmp_path / "token").write_text(token)
    page = f"{tenant.address}/_sandbox/oidc/github/token?{urlencode({'subject': SUBJECT})}"
    for variables in (
        {"ARM_OIDC_TOKEN": token},
        {"ARM_OIDC_TOKEN_FILE_PATH": str(tmp_path / "token")},
        {"ACTIONS_ID_TOKEN_REQUEST_URL": page, "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "job"},
        {"ARM_OIDC_REQUEST_URL": page, "ARM_OIDC_REQUEST_TOKEN": "job"},
    ):
        signed_in = signing_in({**deployer, **variables}, tenant.address)
        assert signed_in.get_token(f"{tenant.address}/.default").token.count(".") == 2


def test_azure_devops_is_asked_for_a_token_of_the_service_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, httpx.URL]] = []

    def ask(method: str, address: httpx.URL, _: object, headers: Mapping[str, str]) -> httpx.Response:
        assert headers["X-TFS-FedAuthRedirect"] == "Suppress"
        asked.append((method, address))
        return httpx.Response(200, json={"oidcToken": "a.b.c"}, request=httpx.Request(method, address))

    monkeypatch.setattr(connections, "request", ask)
    variables = {
        "ARM_ADO_PIPELINE_SERVICE_CONNECTION_ID": "the-connection",
        "SYSTEM_OIDCREQUESTURI": "https://dev.azure.com/x/oidctoken?api-version=7.2-preview.1",
        "SYSTEM_ACCESSTOKEN": "bearer",
    }
    assert federated_token(Method.AZURE_DEVOPS, sign_in_settings(variables))() == "a.b.c"
    ((method, address),) = asked
    assert method == "POST"
    assert dict(address.params) == {
        "api-version": "7.2-preview.1",
        "audience": AUDIENCE,
        "serviceConnectionId": "the-connection",
    }


def test_a_job_on_azure_devops_that_outlives_its_token_gets_another(
    tenant: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory, owner = tenant.directory, identity.ADMINISTRATOR_OBJECT_ID
    made = directory.create_application({"displayName": "devops"}, owner, [])
    directory.create_service_principal({"appId": made["appId"]}, owner, [])
    subject, issuer = "sc://contoso/mail/nocobase-outlook-prod", federation.issuer(tenant.address, "azure-devops")
    trust = {"name": "prod", "issuer": issuer, "subject": subject, "audiences": [AUDIENCE]}
    directory.create_federated_credential(made["id"], trust, owner)
    page = f"{issuer}/oidctoken?{urlencode({'subject': subject})}"
    named = {"ARM_TENANT_ID": identity.TENANT_ID, "ARM_CLIENT_ID": made["appId"], "ARM_USE_OIDC": "true"}
    job = {"SYSTEM_OIDCREQUESTURI": page, "SYSTEM_ACCESSTOKEN": "job", "ARM_ADO_PIPELINE_SERVICE_CONNECTION_ID": "c"}
    scope = f"{tenant.address}/.default"
    # Each access token has ended when it comes.
    monkeypatch.setattr(tokens, "LIFETIME", -1)
    asked: list[str] = []
    request = connections.request

    def counted(method: str, *given: Any, **named: Any) -> httpx.Response:
        asked.append(method)
        return request(method, *given, **named)

    monkeypatch.setattr(connections, "request", counted)

    token = federation.mint(tenant.address, TokenOrder(system="azure-devops", subject=subject, lifetime=-1))
    with pytest.raises(ClientAuthenticationError, match="AADSTS700024"):
        signing_in({**named, "ARM_OIDC_TOKEN": token}, tenant.address).get_token(scope)
    signed_in = signing_in({**named, **job}, tenant.address)
    for times in (1, 2):
        assert signed_in.get_token(scope).token.count(".") == 2
        assert len(asked) == times


def test_a_token_of_another_environment_does_not(tenant: Service, deployer: dict[str, str]) -> None:
    token = federation.mint(tenant.address, TokenOrder(system="github", subject=SUBJECT.replace("prod", "test")))
    signed_in = signing_in({**deployer, "ARM_OIDC_TOKEN": token}, tenant.address)
    with pytest.raises(ClientAuthenticationError, match="AADSTS700213"):
        signed_in.get_token(f"{tenant.address}/.default")
