"""Which credential the environment asks for, and sign-in with a pipeline's token."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import urlencode

import httpx
import pytest
from azure.core.exceptions import ClientAuthenticationError
from azure.identity import (
    ChainedTokenCredential,
    ClientAssertionCredential,
    ClientSecretCredential,
    DefaultAzureCredential,
)

from provisioning.entra.sign_in import AUDIENCE, credential, pipeline_token
from provisioning.errors import NoPipelineToken
from sandbox.entra import federation, identity
from sandbox.entra.federation import TokenOrder
from tests.sandbox.entra.service import Service

SUBJECT = "repo:contoso/mail:environment:prod"
NAMED = {"ARM_TENANT_ID": identity.TENANT_ID, "ARM_CLIENT_ID": identity.DEPLOYER_CLIENT_ID}
AUTHORITY = "https://login.example.com"


@pytest.mark.parametrize(
    ("environment", "kind"),
    [
        ({}, DefaultAzureCredential),
        (NAMED, ChainedTokenCredential),
        ({**NAMED, "ARM_OIDC_TOKEN": "t"}, ChainedTokenCredential),
        ({**NAMED, "ARM_USE_OIDC": "false", "ARM_OIDC_TOKEN": "t"}, ChainedTokenCredential),
        ({**NAMED, "ARM_USE_OIDC": "true", "ARM_OIDC_TOKEN": "t"}, ClientAssertionCredential),
        ({**NAMED, "ARM_USE_OIDC": "1", "ARM_OIDC_TOKEN_FILE_PATH": "t"}, ClientAssertionCredential),
        ({**NAMED, "ARM_USE_OIDC": "true", "ARM_OIDC_TOKEN": "t", "ARM_CLIENT_SECRET": "s"}, ClientSecretCredential),
    ],
)
def test_the_same_variables_as_the_providers_decide(environment: dict[str, str], kind: type) -> None:
    assert type(credential(environment, AUTHORITY)) is kind


def test_az_is_asked_for_the_tenant_that_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    az = tmp_path / "az"
    az.write_text("""#!/bin/sh
echo "{\\"accessToken\\": \\"$*\\", \\"expires_on\\": 4102444800}"
""")
    az.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    token = credential({"ARM_TENANT_ID": identity.TENANT_ID}, AUTHORITY).get_token("https://graph.example.com/.default")
    assert f"--tenant {identity.TENANT_ID}" in token.token


def test_a_job_without_a_token_is_told_what_to_set() -> None:
    with pytest.raises(NoPipelineToken, match="id-token: write"):
        credential({**NAMED, "ARM_USE_OIDC": "true"}, AUTHORITY)


def test_a_token_file_is_read_each_time(tmp_path: Path) -> None:
    file = tmp_path / "token"
    ask = pipeline_token({"ARM_OIDC_TOKEN_FILE_PATH": str(file), "ARM_OIDC_TOKEN": "stale"})
    with pytest.raises(NoPipelineToken, match=r"token, which ARM_OIDC_TOKEN_FILE_PATH names \(No such file"):
        ask()
    for text in ("first", "second\n"):
        file.write_text(text)
        assert ask() == text.strip()


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (httpx.Response(403, text="hush"), "403"),
        (httpx.Response(200, text="hush"), "JSONDecodeError"),
        (httpx.Response(200, json={}), "KeyError"),
        (httpx.ConnectError("hush"), "ConnectError"),
    ],
)
def test_a_system_that_gives_no_token_is_named(
    answer: httpx.Response | Exception, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def get(address: httpx.URL, **_: object) -> httpx.Response:
        if isinstance(answer, Exception):
            raise answer
        answer.request = httpx.Request("GET", address)
        return answer

    monkeypatch.setattr(httpx, "get", get)
    asked = {"ACTIONS_ID_TOKEN_REQUEST_URL": "https://ci.example.com/t?v=2", "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "bearer"}
    with pytest.raises(NoPipelineToken, match=rf"ci\.example\.com gave this job no token .*\({reason}\)") as refusal:
        pipeline_token(asked)()
    assert "hush" not in str(refusal.value)
    assert "bearer" not in str(refusal.value)


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
        signed_in = credential({**deployer, **variables}, tenant.address)
        assert signed_in.get_token(f"{tenant.address}/.default").token.count(".") == 2


def test_a_token_of_another_environment_does_not(tenant: Service, deployer: dict[str, str]) -> None:
    token = federation.mint(tenant.address, TokenOrder(system="github", subject=SUBJECT.replace("prod", "test")))
    signed_in = credential({**deployer, "ARM_OIDC_TOKEN": token}, tenant.address)
    with pytest.raises(ClientAuthenticationError, match="AADSTS700213"):
        signed_in.get_token(f"{tenant.address}/.default")
