"""What is read in Entra ID through Microsoft's SDK."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest

from provisioning.entra.account import read_claims
from provisioning.entra.app_policies import ADDITION, LIFETIME, Restriction, SecretPolicy
from provisioning.entra.permissions import of_scopes
from provisioning.entra.registration import Grant, Owner, Principal
from provisioning.entra.scopes import MICROSOFT_GRAPH, SCOPE_IDS
from provisioning.errors import DirectoryUnreadable
from sandbox.entra import identity
from sandbox.entra.policies import DEFAULT_CONSENT
from tests.sandbox.entra.service import Service
from tests.sandbox.entra.test_permissions import POLICIES, assign

# msgraph's own generated code uses its deprecated names.
pytestmark = pytest.mark.filterwarnings("ignore:.* is deprecated:DeprecationWarning")

NAME = "it's mail"
NOBODY = "99999999-9999-9999-9999-999999999999"


def make(graph: httpx.Client, path: str, body: object) -> dict[str, Any]:
    """Create something, as somebody else's program would."""
    made: dict[str, Any] = graph.post(f"/v1.0{path}", json=body).raise_for_status().json()
    return made


def register(graph: httpx.Client) -> dict[str, Any]:
    """An application with one permission and one secret."""
    made = register_without_secret(graph)
    secret = {"passwordCredential": {"displayName": "a", "endDateTime": "2027-06-01T00:00:00Z"}}
    make(graph, f"/applications/{made['id']}/addPassword", secret)
    return made


def register_without_secret(graph: httpx.Client) -> dict[str, Any]:
    """An application with one permission."""
    access = [{"id": SCOPE_IDS["SMTP.Send"], "type": "Scope"}]
    return make(
        graph,
        "/applications",
        {
            "displayName": "mail",
            "signInAudience": "AzureADMyOrg",
            "web": {"redirectUris": ["https://nocobase.example.com/callback"]},
            "requiredResourceAccess": [{"resourceAppId": MICROSOFT_GRAPH, "resourceAccess": access}],
        },
    )


def test_an_application_is_read_whole(tenant: Service) -> None:
    from provisioning.entra import directory  # noqa: PLC0415 - a second of imports

    with tenant.graph() as graph:
        made = register(graph)
    found = directory.registration(made["id"])
    assert found is not None
    assert (found.object_id, found.client_id, found.display_name) == (made["id"], made["appId"], "mail")
    assert found.audience == "AzureADMyOrg"
    assert found.redirect_uris == frozenset({"https://nocobase.example.com/callback"})
    assert found.permissions == frozenset(of_scopes(["SMTP.Send"]))
    (secret,) = found.secrets
    assert secret.end is not None
    assert (secret.display_name, secret.end.isoformat()) == ("a", "2027-06-01T00:00:00+00:00")
    assert directory.registration(NOBODY) is None


def test_an_application_is_looked_up_with_its_owners_and_all_are_listed_page_by_page(
    tenant: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    from provisioning.entra import directory  # noqa: PLC0415 - a second of imports

    with tenant.graph() as graph:
        made = make(graph, "/applications", {"displayName": NAME, "notes": "by hand", "tags": ["mail"]})
        trust = {
            "name": "github",
            "issuer": "https://token.example.com",
            "subject": "x",
            "audiences": ["api://AzureADTokenExchange"],
        }
        make(graph, f"/applications/{made['id']}/federatedIdentityCredentials", trust)
        alone = directory.look_up(made["appId"])
        make(graph, "/servicePrincipals", {"appId": made["appId"], "notes": "its own"})
        for number in range(4):
            make(graph, "/applications", {"displayName": f"another {number}", "tags": ["pulumi:o/p/s"]})
    assert alone is not None
    assert (alone.application["notes"], alone.owners) == ("by hand", (identity.DEPLOYER_OBJECT_ID,))
    assert (alone.principal, alone.principal_owners) == (None, ())
    found = directory.look_up(made["appId"])
    assert found is not None
    assert found.principal is not None
    assert found.principal["notes"] == "its own"
    assert found.principal_owners == (identity.DEPLOYER_OBJECT_ID,)
    assert {owner.name for owner in found.people} == {identity.DEPLOYER_NAME}
    assert [trust["subject"] for trust in found.federated_credentials] == ["x"]
    assert directory.look_up(NOBODY) is None
    monkeypatch.setattr(directory, "LARGEST_PAGE", 2)
    assert len(directory.applications()) == 5
    assert len(directory.applications_tagged("pulumi:o/p/s")) == 4
    (named,) = directory.applications(NAME)
    assert (named.client_id, named.tags, named.stack) == (made["appId"], ("mail",), None)
    assert named.created is not None
    assert named.created.isoformat() == made["createdDateTime"].replace("Z", "+00:00")


def test_owners_are_read_by_name_and_kind(tenant: Service) -> None:
    from provisioning.entra import directory  # noqa: PLC0415 - a second of imports

    deployer = Owner(identity.DEPLOYER_OBJECT_ID, identity.DEPLOYER_NAME, "service principal")
    with tenant.graph() as graph:
        made = make(graph, "/applications", {"displayName": NAME})
        principal = make(graph, "/servicePrincipals", {"appId": made["appId"]})
    assert directory.application_owners(made["id"]) == (deployer,)
    assert directory.principal_owners(principal["id"]) == (deployer,)
    assert directory.application_owners(NOBODY) == ()
    found = directory.registration(made["id"])
    assert found is not None
    assert found.owners == (deployer,)


def test_consents_are_read_from_the_service_principal(tenant: Service) -> None:
    from provisioning.entra import directory  # noqa: PLC0415 - a second of imports

    with tenant.graph() as graph:
        client_id = register(graph)["appId"]
        assert directory.principal(client_id) is None
        principal = make(graph, "/servicePrincipals", {"appId": client_id})["id"]
        owners = directory.principal_owners(principal)
        assert [owner.object_id for owner in owners] == [identity.DEPLOYER_OBJECT_ID]
        assert directory.principal(client_id) == Principal(principal, enabled=True, owners=owners)
        assert directory.grants(principal) == []
        graph_principal = directory.principal(MICROSOFT_GRAPH)
        assert graph_principal is not None
        resource = graph_principal.object_id
        grant = {"clientId": principal, "resourceId": resource, "consentType": "AllPrincipals", "scope": "email openid"}
        assert directory.tenant_consent(principal) is None
        made = make(graph, "/oauth2PermissionGrants", grant)
    (found,) = directory.grants(principal)
    assert found == Grant(resource, frozenset({"email", "openid"}), everybody=True)
    assert directory.tenant_consent(principal) == found
    assert found.id == made["id"]
    assert directory.tenant_consent(NOBODY) is None


def test_what_a_deployer_has_is_read_with_its_ids(tenant: Service) -> None:
    from provisioning.entra import directory  # noqa: PLC0415 - a second of imports

    with tenant.graph() as graph:
        application = register(graph)
        principal = make(graph, "/servicePrincipals", {"appId": application["appId"]})["id"]
        assert (directory.federated_credentials(application["id"]), directory.app_roles(principal)) == ({}, {})
        body = {"name": "test", "issuer": "https://oidc.example.com", "subject": "x", "audiences": ["y"]}
        trust = make(graph, f"/applications/{application['id']}/federatedIdentityCredentials", body)
    found = tenant.directory.by_app_id("servicePrincipals", MICROSOFT_GRAPH) or {}
    key = {"principalId": principal, "resourceId": found["id"], "appRoleId": found["appRoles"][0]["id"]}
    assignment = tenant.directory.assign_app_role(key)
    assert directory.federated_credentials(application["id"]) == {"test": trust["id"]}
    expression = {
        "value": "claims['sub'] matches 'repo:x/y:*' and claims['repository_id'] eq '1'",
        "languageVersion": 1,
    }
    github = {"name": "any", "issuer": "https://token.actions.githubusercontent.com", "audiences": ["y"]}
    with tenant.graph() as graph:
        made = graph.post(
            f"/beta/applications/{application['id']}/federatedIdentityCredentials",
            json={**github, "claimsMatchingExpression": expression},
        ).raise_for_status()
    assert directory.federated_credentials(application["id"]) == {"test": trust["id"], "any": made.json()["id"]}
    looked_up = directory.look_up(application["appId"])
    assert looked_up is not None
    assert looked_up.federated_credentials[1]["claimsMatchingExpression"]["value"] == expression["value"]
    assert directory.app_roles(principal) == {(key["resourceId"], key["appRoleId"]): assignment["id"]}
    assert (directory.federated_credentials(NOBODY), directory.app_roles(NOBODY)) == ({}, {})


def test_people_are_told_from_applications(tenant: Service) -> None:
    from provisioning.entra import directory  # noqa: PLC0415 - a second of imports

    person = min(identity.PEOPLE)
    assert directory.people([person, identity.DEPLOYER_OBJECT_ID, NOBODY]) == {person}
    assert tenant.recorder.seen[-1]["path"].startswith("/v1.0/directoryObjects/")


def test_what_doctor_asks_of_an_application(tenant: Service) -> None:
    from provisioning.entra import directory, microsoft_graph  # noqa: PLC0415 - a second of imports

    with tenant.graph() as graph:
        made = register(graph)
        principal = make(graph, "/servicePrincipals", {"appId": made["appId"]})["id"]
        shut = {"accountEnabled": False, "appRoleAssignmentRequired": True}
        graph.patch(f"/v1.0/servicePrincipals/{principal}", json=shut).raise_for_status()
        elsewhere = {"spa": {"redirectUris": ["https://spa"]}, "publicClient": {"redirectUris": ["my://app"]}}
        graph.patch(f"/v1.0/applications/{made['id']}", json={"isDisabled": True, **elsewhere}).raise_for_status()
    shown = directory.principal(made["appId"])
    assert shown is not None
    assert replace(shown, owners=None) == Principal(principal, enabled=False, assignment_required=True)
    tenant.fault(f"GET /v1.0/servicePrincipals/{principal}/owners", status=403)
    assert directory.principal(made["appId"]) == replace(shown, owners=None)
    found = directory.registration(made["id"])
    assert found is not None
    assert found.disabled == "an owner or administrator"
    assert found.of_other_platforms == {
        "https://spa": "Single-page application",
        "my://app": "Mobile and desktop applications",
    }
    assert directory.owners(made["id"]) == {identity.DEPLOYER_OBJECT_ID}
    assert read_claims(microsoft_graph.access_token())["oid"] == identity.DEPLOYER_OBJECT_ID


def test_policies_are_read_with_the_permission_for_it(tenant: Service) -> None:
    from provisioning.entra import directory  # noqa: PLC0415 - a second of imports

    for read in (lambda: directory.secret_policy(None), directory.users_may_register, directory.consent_policies):
        with pytest.raises(DirectoryUnreadable) as refusal:
            read()
        assert refusal.value.reason == "403 Authorization_RequestDenied"
    assign(tenant, identity.DEPLOYER_OBJECT_ID, POLICIES).raise_for_status()
    assert directory.users_may_register() is True
    assert directory.consent_policies() == DEFAULT_CONSENT
    assert directory.secret_policy(None) == SecretPolicy(())
    tenant.behave(maximum_secret_lifetime_days=90, secrets_forbidden=True)
    with tenant.graph() as graph:
        made = register_without_secret(graph)
    found = directory.secret_policy(made["id"])
    assert found.restrictions == (Restriction(ADDITION), Restriction(LIFETIME, timedelta(days=90)))
    assert found.created == datetime.fromisoformat(made["createdDateTime"])


def test_what_may_not_be_read_is_told_with_entras_code(tenant: Service) -> None:
    from provisioning.entra import directory  # noqa: PLC0415 - a second of imports

    body = {"error": {"code": "Authorization_RequestDenied", "message": "Insufficient privileges"}}
    tenant.fault("GET /v1.0/applications", status=403, body=body)
    with pytest.raises(DirectoryUnreadable, match="an owner") as refusal:
        directory.registration(NOBODY)
    assert refusal.value.reason == "403 Authorization_RequestDenied"
