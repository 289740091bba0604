"""The types that `bootstrap/` needs, and sign-in with a pipeline's token; no recording reaches them."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from pulumi.runtime.proto import provider_pb2

from sandbox.azuread import values
from sandbox.azuread.graph import ProviderError, configuration
from sandbox.entra import federation, identity
from sandbox.entra.federation import TokenOrder
from tests.contract.in_process import Refusal, provider
from tests.sandbox.azuread.test_provider import APPLICATION, PRINCIPAL, URN, Engine
from tests.sandbox.entra.service import Service

FEDERATED = URN.format("applicationFederatedIdentityCredential", "ApplicationFederatedIdentityCredential")
ROLE = URN.format("appRoleAssignment", "AppRoleAssignment")
OWNER = URN.format("applicationOwner", "ApplicationOwner")
ADMIN, ME = identity.ADMINISTRATOR_OBJECT_ID, identity.DEPLOYER_OBJECT_ID
SUBJECT = "repo:contoso/mail:environment:prod"


@pytest.fixture
def engine(entra: Service) -> Engine:
    """A provider that is signed in as the administrator."""
    secret = {"ARM_CLIENT_ID": identity.ADMINISTRATOR_CLIENT_ID, "ARM_CLIENT_SECRET": identity.ADMINISTRATOR_SECRET}
    return Engine(provider({**entra.environment, **secret}))


def delete(engine: Engine, urn: str, identifier: str) -> None:
    """A deletion, as the engine asks for it."""
    engine.made.Delete(provider_pb2.DeleteRequest(urn=urn, id=identifier), engine.context)


def trust(engine: Engine, entra: Service, **change: Any) -> tuple[str, str, dict[str, Any]]:
    """A new application with a federated credential: the application's client id, the credential's id and outputs."""
    application, made = engine.create(APPLICATION, displayName="deployer", owners=[ADMIN])
    engine.create(PRINCIPAL, clientId=made["clientId"], owners=[ADMIN])
    inputs = {
        "applicationId": application,
        "displayName": "github-prod",
        "issuer": federation.issuer(entra.address, "github"),
        "subject": SUBJECT,
        "audiences": [federation.AUDIENCE],
        **change,
    }
    identifier, outputs = engine.create(FEDERATED, **inputs)
    return made["clientId"], identifier, outputs


def test_federated_credential_lives(entra: Service, engine: Engine) -> None:
    _, identifier, outputs = trust(engine, entra)
    assert (
        identifier
        == f"{outputs['applicationId'].rpartition('/')[2]}/federatedIdentityCredential/" + (outputs["credentialId"])
    )
    changed = engine.update(FEDERATED, identifier, outputs, **{**outputs, "subject": "new", "description": "why"})
    assert (changed["subject"], changed["description"], changed["displayName"]) == ("new", "why", "github-prod")
    imported = values.read(engine.read(FEDERATED, identifier).inputs)
    assert (imported["subject"], imported["applicationId"]) == ("new", outputs["applicationId"])
    with pytest.raises(Refusal, match=r"Adding federated identity credential .* already exists"):
        engine.create(FEDERATED, **{**outputs, "subject": "other"})
    delete(engine, FEDERATED, identifier)
    assert engine.read(FEDERATED, identifier).id == ""


def test_app_role_is_assigned_and_withdrawn(entra: Service, engine: Engine) -> None:
    _, made = engine.create(APPLICATION, displayName="deployer", owners=[ADMIN])
    _, principal = engine.create(PRINCIPAL, clientId=made["clientId"], owners=[ADMIN])
    graph = engine.invoke("azuread:index/getServicePrincipal:getServicePrincipal", clientId=identity.GRAPH_APP_ID)
    inputs = {
        "appRoleId": graph["appRoleIds"]["Application.ReadWrite.OwnedBy"],
        "principalObjectId": principal["objectId"],
        "resourceObjectId": graph["objectId"],
    }
    identifier, outputs = engine.create(ROLE, **inputs)
    assert identifier.startswith(f"/servicePrincipals/{graph['objectId']}/appRoleAssignedTo/")
    assert (outputs["principalDisplayName"], outputs["resourceDisplayName"]) == ("deployer", "Microsoft Graph")
    assert entra.directory.permissions(principal["objectId"]) == {"Application.ReadWrite.OwnedBy"}
    assert values.read(engine.read(ROLE, identifier).inputs) == {"__defaults": [], **inputs}
    with pytest.raises(Refusal, match="Could not create app role assignment"):
        engine.create(ROLE, **inputs)
    delete(engine, ROLE, identifier)
    assert engine.read(ROLE, identifier).id == ""
    assert entra.directory.permissions(principal["objectId"]) == frozenset()


def test_owner_is_added_beside_the_others(entra: Service, engine: Engine) -> None:
    application, _ = engine.create(APPLICATION, displayName="mail", owners=[ADMIN])
    identifier, _ = engine.create(OWNER, applicationId=application, ownerObjectId=ME)
    assert identifier == f"{application}/owners/{ME}"
    object_id = application.rpartition("/")[2]
    assert entra.directory.state.owners[object_id] == [ADMIN, ME]
    with pytest.raises(Refusal, match="needs to be imported"):
        engine.create(OWNER, applicationId=application, ownerObjectId=ME)
    assert engine.read(OWNER, identifier).id == identifier
    delete(engine, OWNER, identifier)
    assert entra.directory.state.owners[object_id] == [ADMIN]
    assert engine.read(OWNER, identifier).id == ""


def test_an_application_without_a_block_is_not_seen_to_lose_it(engine: Engine) -> None:
    _, outputs = engine.create(APPLICATION, displayName="deployer", owners=[ADMIN], signInAudience="AzureADMyOrg")
    assert outputs["api"]["requestedAccessTokenVersion"] == 1
    inputs = {"displayName": "deployer", "owners": [ADMIN], "signInAudience": "AzureADMyOrg"}
    for old, changed in ((outputs, []), ({**outputs, "api": {"requestedAccessTokenVersion": 2}}, ["api"])):
        request = provider_pb2.DiffRequest(urn=APPLICATION, olds=values.write(old), news=values.write(inputs))
        assert list(engine.made.Diff(request, engine.context).diffs) == changed


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
