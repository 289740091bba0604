"""Sign-in with a pipeline's token; no recording reaches it."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlencode

import pytest

from sandbox.azuread.graph import ProviderError, configuration
from sandbox.entra import federation
from sandbox.entra.federation import TokenOrder
from tests.contract.in_process import Refusal, provider
from tests.sandbox.azuread.test_deployer import SUBJECT, administrator, trust
from tests.sandbox.azuread.test_provider import Engine
from tests.sandbox.entra.service import Service

CONNECTION = "sc://contoso/mail/nocobase-outlook-prod"


@pytest.fixture
def engine(entra: Service) -> Engine:
    """A provider that is signed in as the administrator."""
    return administrator(entra)


def pipeline(entra: Service, client_id: str, **variables: str) -> dict[str, str]:
    """The environment of a job: no secret, and what is given."""
    kept = {name: value for name, value in entra.environment.items() if name != "ARM_CLIENT_SECRET"}
    return {**kept, "ARM_CLIENT_ID": client_id, "ARM_USE_OIDC": "true", **variables}


def test_signs_in_with_a_pipelines_token(entra: Service, engine: Engine, tmp_path: Path) -> None:
    client_id, _, _ = trust(engine, entra)
    principal = entra.directory.by_app_id("servicePrincipals", client_id)
    assert principal is not None
    token = federation.mint(entra.address, TokenOrder(system="github", subject=SUBJECT))
    file = tmp_path / "token"
    file.write_text(f"{token}\n")
    page = f"{entra.address}/_sandbox/oidc/github/token?{urlencode({'subject': SUBJECT})}"
    for variables in (
        {"ARM_OIDC_TOKEN": token},
        {"ARM_OIDC_TOKEN_FILE_PATH": str(file)},
        {"ARM_OIDC_REQUEST_URL": page, "ARM_OIDC_REQUEST_TOKEN": "job"},
        {"ACTIONS_ID_TOKEN_REQUEST_URL": page, "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "job"},
    ):
        signed_in = Engine(provider(pipeline(entra, client_id, **variables)))
        answer = signed_in.invoke("azuread:index/getClientConfig:getClientConfig")
        assert (answer["clientId"], answer["objectId"]) == (client_id, principal["id"])


def test_signs_in_by_a_service_connection_of_azure_devops(entra: Service, engine: Engine) -> None:
    issuer = federation.issuer(entra.address, "azure-devops")
    client_id, _, _ = trust(engine, entra, issuer=issuer, subject=CONNECTION)
    page = f"{issuer}/oidctoken?{urlencode({'subject': CONNECTION})}"
    job = {"SYSTEM_OIDCREQUESTURI": page, "SYSTEM_ACCESSTOKEN": "job", "ARM_ADO_PIPELINE_SERVICE_CONNECTION_ID": "c"}
    signed_in = Engine(provider(pipeline(entra, client_id, **job)))
    assert signed_in.invoke("azuread:index/getClientConfig:getClientConfig")["clientId"] == client_id
    # Without the connection's id it is asked by GET, as GitHub would be.
    del job["ARM_ADO_PIPELINE_SERVICE_CONNECTION_ID"]
    with pytest.raises(Refusal, match="githubAssertion: received HTTP status 404"):
        Engine(provider(pipeline(entra, client_id, **job)))


def test_a_token_of_another_environment_is_refused_in_entras_words(entra: Service, engine: Engine) -> None:
    client_id, _, _ = trust(engine, entra)
    token = federation.mint(entra.address, TokenOrder(system="github", subject=SUBJECT.replace("prod", "test")))
    with pytest.raises(Refusal, match="AADSTS700213") as refusal:
        Engine(provider(pipeline(entra, client_id, ARM_OIDC_TOKEN=token)))
    assert token not in str(refusal.value)


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({}, "ARM_OIDC_TOKEN is not set"),
        ({"ACTIONS_ID_TOKEN_REQUEST_URL": "https://x"}, "ARM_OIDC_TOKEN is not set"),
        ({"ARM_OIDC_TOKEN_FILE_PATH": "/nowhere/token"}, "reading OIDC Token from file '/nowhere/token'"),
        ({"ARM_OIDC_TOKEN_FILE_PATH": __file__, "ARM_OIDC_TOKEN": "x"}, "mismatch between supplied OIDC token"),
    ],
)
def test_what_is_missing_is_named(variables: dict[str, str], words: str) -> None:
    given = {"ARM_TENANT_ID": "t", "ARM_CLIENT_ID": "c", "ARM_USE_OIDC": "true", **variables}
    with pytest.raises(ProviderError, match=words):
        configuration({}, given)


def test_a_secret_comes_first_and_a_token_counts_only_if_asked_for() -> None:
    given = {"ARM_TENANT_ID": "t", "ARM_CLIENT_ID": "c", "ARM_OIDC_TOKEN": "hush"}
    chosen = configuration({}, {**given, "ARM_USE_OIDC": "true", "ARM_CLIENT_SECRET": "s"})
    assert (chosen.client_secret, chosen.assertion) == ("s", "")
    chosen = configuration({"useOidc": True}, given)
    assert chosen.assertion == "hush"
    assert "hush" not in repr(chosen)
    with pytest.raises(ProviderError, match="ARM_CLIENT_SECRET is not set"):
        configuration({}, given)
