"""bootstrap/ on the real engine: the deployer that it makes may do its work, and nothing more."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox import holdings
from sandbox.entra.federation import AUDIENCE
from sandbox.place import Place
from sandbox.setup import load_record
from tests.e2e.conftest import Stack, graph, sandbox_entra
from tests.e2e.deployer import Deployer, bootstrap, made

pytestmark = pytest.mark.e2e

OWNED_BY, CONSENT = "Application.ReadWrite.OwnedBy", "DelegatedPermissionGrant.ReadWrite.All"


def held(place: Place, application: str) -> list[Any]:
    """What is in Entra ID but for what was deleted, and the owners of one application."""
    found = holdings.entra(place)
    kinds = ("applications", "servicePrincipals", "appRoleAssignments", "oauth2PermissionGrants")
    return [*(found[kind] for kind in kinds), found["owners"][application]]


def by_hand(stack: Stack) -> str:
    """An application that somebody else made; its object id."""
    return str(graph(stack, "POST", "/applications", {"displayName": "made by hand"})["id"])


def test_it_is_made_whole_without_a_secret(deployer: Deployer) -> None:
    assert deployer.outputs["permissions"] == [OWNED_BY]
    assert set(deployer.variables) == {"ARM_USE_OIDC", "ARM_TENANT_ID", "ARM_CLIENT_ID"}
    bootstrap(deployer.place, "up", "--expect-no-changes")

    assert deployer.outputs["previewPermissions"] == ["Application.Read.All"]

    reader = deployer.preview_client_id
    for deploys, suffixes in ((True, ("-upkeep",)), (False, ("-preview", "-report"))):
        for environment in (f"{stack}{suffix}" for stack in ("test", "prod") for suffix in suffixes):
            assert deployer.access_token(environment).is_success is deploys
            assert deployer.access_token(environment, reader).is_success is not deploys
    for nobody in ("prod", "staging"):
        assert "AADSTS700213" in deployer.access_token(nobody).text

    state = sandbox_entra(deployer.place, "GET", "state")
    made_here = [item for item in state["applications"] if item["displayName"].startswith("NocoBase mail ")]
    assert [item["passwordCredentials"] for item in made_here] == [[], []]
    assert len(state["appRoleAssignments"]) == 2
    assert deployer.outputs["objectId"] in [entry["principalId"] for entry in state["appRoleAssignments"]]


def test_it_may_do_nothing_with_what_is_somebody_elses(deployer: Deployer) -> None:
    foreign = by_hand(Stack(deployer.place))
    principal = deployer.outputs["objectId"]
    assert deployer.graph("GET", f"/applications/{foreign}").is_success
    consent = {"clientId": principal, "resourceId": principal, "consentType": "AllPrincipals", "scope": "Mail.Read"}
    role = {"principalId": principal, "resourceId": principal, "appRoleId": principal}
    own = {"@odata.id": f"https://graph/v1.0/directoryObjects/{principal}"}
    before = holdings.entra(deployer.place)
    requests: list[tuple[str, str, Any]] = [
        ("PATCH", f"/applications/{foreign}", {"displayName": "taken"}),
        ("DELETE", f"/applications/{foreign}", None),
        ("POST", f"/applications/{foreign}/addPassword", {}),
        ("POST", f"/applications/{foreign}/owners/$ref", own),
        ("GET", "/oauth2PermissionGrants", None),
        ("POST", "/oauth2PermissionGrants", consent),
        ("POST", f"/servicePrincipals/{principal}/appRoleAssignments", role),
        ("GET", "/users", None),
    ]
    for method, path, body in requests:
        answer = deployer.graph(method, path, body)
        assert answer.status_code == 403, path
        assert answer.json()["error"]["code"] == "Authorization_RequestDenied"
    assert holdings.entra(deployer.place) == before


def test_with_every_setting_it_may_do_more_and_is_unmade_whole(stack: Stack) -> None:
    place, application = stack.place, by_hand(stack)
    before = held(place, application)
    issuer = f"https://localhost:{load_record(place).entra_port}/_sandbox/oidc/azure-devops"
    trust = {"name": "pulumi", "issuer": issuer, "subject": "pulumi:deploy:x", "audience": "contoso"}
    with made(place, otherTrusts=[trust], tenantConsent=True, mailApplications=[application]) as deployer:
        for audience, accepted in (("contoso", True), (AUDIENCE, False)):
            answer = deployer.sign_in("azure-devops", trust["subject"], audience)
            assert answer.is_success is accepted, answer.text

        assert deployer.outputs["permissions"] == [OWNED_BY, CONSENT]
        assert deployer.outputs["previewPermissions"] == ["Application.Read.All", "Directory.Read.All"]
        assert deployer.graph("GET", "/oauth2PermissionGrants").is_success

        assert deployer.graph("PATCH", f"/applications/{application}", {"notes": "x"}).is_success
        assert deployer.graph("PATCH", f"/applications/{application}", {"notes": None}).is_success
    bootstrap(place, "destroy")
    assert held(place, application) == before
