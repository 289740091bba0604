"""bootstrap/ on the real engine: the deployer that it makes may do its work, and nothing more."""

from __future__ import annotations

import pytest

from sandbox.place import Place
from sandbox.setup import load_record
from tests.e2e.conftest import Stack, graph, sandbox_entra
from tests.e2e.deployer import bootstrap, made

pytestmark = pytest.mark.e2e

OWNED_BY = "Application.ReadWrite.OwnedBy"


def test_the_deployer_is_made_whole_and_unmade(place: Place) -> None:
    with made(place) as deployer:
        assert deployer.outputs["permissions"] == [OWNED_BY]
        assert set(deployer.variables) == {"ARM_USE_OIDC", "ARM_TENANT_ID", "ARM_CLIENT_ID"}
        assert "Nothing" not in bootstrap(place, "up", "--yes", "--skip-preview", "--expect-no-changes")

        for environment in ("test", "prod", "test-upkeep", "prod-upkeep", "test-preview", "prod-preview"):
            assert deployer.access_token(environment).is_success
        assert "AADSTS700213" in deployer.access_token("staging").text

        state = sandbox_entra(place, "GET", "state")
        (application,) = [item for item in state["applications"] if item["displayName"] == "NocoBase mail deployer"]
        assert application["passwordCredentials"] == []
        assert [entry["principalId"] for entry in state["appRoleAssignments"]] == [deployer.outputs["objectId"]]
    state = sandbox_entra(place, "GET", "state")
    assert (state["applications"], state["appRoleAssignments"]) == ([], [])


def test_a_token_for_another_audience_signs_in_only_if_that_is_trusted(place: Place) -> None:
    issuer = f"https://localhost:{load_record(place).entra_port}/_sandbox/oidc/azure-devops"
    trust = {"name": "pulumi", "issuer": issuer, "subject": "pulumi:deploy:x", "audience": "contoso"}
    settings = {f"otherTrusts[0].{key}": value for key, value in trust.items()}
    with made(place, **settings) as deployer:
        for audience, accepted in (("contoso", True), ("api://AzureADTokenExchange", False)):
            answer = deployer.sign_in("azure-devops", trust["subject"], audience)
            assert answer.is_success is accepted, answer.text


def test_it_may_do_nothing_with_what_is_somebody_elses(stack: Stack, place: Place) -> None:
    stack.up("--skip-preview")
    foreign = stack.outputs["objectId"]
    with made(place) as deployer:
        principal = deployer.outputs["objectId"]
        assert deployer.graph("GET", f"/applications/{foreign}").is_success
        consent = {"clientId": principal, "resourceId": principal, "consentType": "AllPrincipals", "scope": "Mail.Read"}
        role = {"principalId": principal, "resourceId": principal, "appRoleId": principal}
        own = {"@odata.id": f"https://graph/v1.0/directoryObjects/{principal}"}
        for method, path, body in (
            ("PATCH", f"/applications/{foreign}", {"displayName": "taken"}),
            ("DELETE", f"/applications/{foreign}", None),
            ("POST", f"/applications/{foreign}/addPassword", {}),
            ("POST", f"/applications/{foreign}/owners/$ref", own),
            ("POST", "/oauth2PermissionGrants", consent),
            ("POST", f"/servicePrincipals/{principal}/appRoleAssignments", role),
            ("GET", "/users", None),
        ):
            answer = deployer.graph(method, path, body)
            assert answer.status_code == 403, path
            assert answer.json()["error"]["code"] == "Authorization_RequestDenied"
    assert stack.applications[0]["displayName"] == "NocoBase mail"


def test_consent_for_the_tenant_only_if_asked_for(place: Place) -> None:
    with made(place, tenantConsent="true") as deployer:
        assert deployer.outputs["permissions"] == [OWNED_BY, "DelegatedPermissionGrant.ReadWrite.All"]
        assert deployer.graph("GET", "/oauth2PermissionGrants").is_success


def test_an_application_that_is_there_gets_the_deployer_as_an_owner(place: Place) -> None:
    stack = Stack(place)
    graph(stack, "POST", "/applications", {"displayName": "made by hand"})
    (application,) = stack.applications
    path = f"/applications/{application['id']}"
    with made(place, **{"mailApplications[0]": application["id"]}) as deployer:
        assert deployer.graph("PATCH", path, {"notes": "x"}).is_success
    graph(stack, "DELETE", path)
