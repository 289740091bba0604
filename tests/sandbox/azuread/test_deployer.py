"""The types that `bootstrap/` declares, where the recordings do not reach."""

from __future__ import annotations

from typing import Any

import pytest
from pulumi.runtime.proto import provider_pb2

from sandbox.azuread import values
from sandbox.entra import federation, identity
from tests.contract.in_process import Refusal, provider
from tests.sandbox.azuread.test_provider import APPLICATION, PRINCIPAL, URN, Engine
from tests.sandbox.entra.service import Service

FEDERATED = URN.format("applicationFederatedIdentityCredential", "ApplicationFederatedIdentityCredential")
FLEXIBLE = URN.format(
    "applicationFlexibleFederatedIdentityCredential", "ApplicationFlexibleFederatedIdentityCredential"
)
ROLE = URN.format("appRoleAssignment", "AppRoleAssignment")
OWNER = URN.format("applicationOwner", "ApplicationOwner")
ADMIN, ME = identity.ADMINISTRATOR_OBJECT_ID, identity.DEPLOYER_OBJECT_ID
SUBJECT = "repo:contoso/mail:environment:prod"


def administrator(entra: Service) -> Engine:
    """A provider that is signed in as the administrator."""
    secret = {"ARM_CLIENT_ID": identity.ADMINISTRATOR_CLIENT_ID, "ARM_CLIENT_SECRET": identity.ADMINISTRATOR_SECRET}
    return Engine(provider({**entra.environment, **secret}))


@pytest.fixture
def engine(entra: Service) -> Engine:
    """The administrator."""
    return administrator(entra)


def trust(engine: Engine, entra: Service, **change: Any) -> tuple[str, str, dict[str, Any]]:
    """A new application with a federated credential: the application's client ID, the credential's id and outputs."""
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
    engine.delete(FEDERATED, identifier)
    assert engine.read(FEDERATED, identifier).id == ""


def test_flexible_federated_credential_lives(entra: Service, engine: Engine) -> None:
    """Not recorded: after the provider's public source."""
    application, _ = engine.create(APPLICATION, displayName="reader", owners=[ADMIN])
    expression = "claims['sub'] matches 'repo:contoso/mail:*' and claims['repository_id'] eq '1'"
    inputs: dict[str, Any] = {
        "applicationId": application,
        "displayName": "github",
        "issuer": federation.issuer(entra.address, "github"),
        "audience": federation.AUDIENCE,
        "claimsMatchingExpression": expression,
    }
    with pytest.raises(Refusal, match=r"credential for Application \(Application: \S+\)\s*$"):
        engine.create(FLEXIBLE, **inputs | {"claimsMatchingExpression": expression.partition(" and ")[0]})
    identifier, outputs = engine.create(FLEXIBLE, **inputs)
    assert identifier == f"{application.rpartition('/')[2]}/federatedIdentityCredential/{outputs['credentialId']}"
    assert {name: outputs[name] for name in inputs} == inputs
    changed = engine.update(FLEXIBLE, identifier, outputs, **{**inputs, "audience": "contoso", "description": "why"})
    assert (changed["audience"], changed["description"], changed["displayName"]) == ("contoso", "why", "github")
    imported = values.read(engine.read(FLEXIBLE, identifier).inputs)
    assert {name: imported[name] for name in inputs} == {**inputs, "audience": "contoso"}
    engine.delete(FLEXIBLE, identifier)
    assert engine.read(FLEXIBLE, identifier).id == ""


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
    engine.delete(ROLE, identifier)
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
    engine.delete(OWNER, identifier)
    assert entra.directory.state.owners[object_id] == [ADMIN]
    assert engine.read(OWNER, identifier).id == ""


def test_an_application_without_a_block_is_not_seen_to_lose_it(engine: Engine) -> None:
    _, outputs = engine.create(APPLICATION, displayName="deployer", owners=[ADMIN], signInAudience="AzureADMyOrg")
    assert outputs["api"]["requestedAccessTokenVersion"] == 1
    inputs = {"displayName": "deployer", "owners": [ADMIN], "signInAudience": "AzureADMyOrg"}
    for old, changed in ((outputs, []), ({**outputs, "api": {"requestedAccessTokenVersion": 2}}, ["api"])):
        request = provider_pb2.DiffRequest(urn=APPLICATION, olds=values.write(old), news=values.write(inputs))
        assert list(engine.made.Diff(request, engine.context).diffs) == changed
