"""Application permissions: what each lets a caller do, and that nobody can do more."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from sandbox.entra import identity, permissions
from sandbox.entra.graph_errors import GraphError
from tests.sandbox.entra.service import Service, body_of

Json = dict[str, Any]
ADMIN = identity.ADMINISTRATOR_OBJECT_ID
OWNED_BY = "18a4783c-866b-4cc7-a460-3d5e5662c884"
DIRECTORY = "7ab1d382-f21e-4acd-a863-ba3e13f7da61"
CHANGE_DIRECTORY = "19dbc75e-c2e2-444c-a770-ec69d8559fc7"
USERS = "df021288-bdef-4463-88db-98f22de89214"
POLICIES = "246dd0d5-5bd0-4def-940b-0421030a5b68"


@contextmanager
def signed_in(entra: Service, client_id: str, secret: str) -> Iterator[httpx.Client]:
    """A Graph client of an application."""
    with entra.client() as client:
        client.headers["authorization"] = f"Bearer {entra.token(client_id, secret)}"
        yield client


@contextmanager
def administrator(entra: Service) -> Iterator[httpx.Client]:
    """A Graph client of the administrator."""
    with signed_in(entra, identity.ADMINISTRATOR_CLIENT_ID, identity.ADMINISTRATOR_SECRET) as client:
        yield client


@pytest.fixture
def other(entra: Service) -> Iterator[tuple[str, httpx.Client]]:
    """An application without permissions: the object id of its service principal, and a client."""
    made = entra.directory.create_application({"displayName": "other"}, ADMIN, [])
    principal = entra.directory.create_service_principal({"appId": made["appId"]}, ADMIN, [])
    secret = entra.directory.add_password(made["id"], {}, ADMIN)["secretText"]
    with signed_in(entra, made["appId"], secret) as client:
        yield principal["id"], client


def graph_principal(entra: Service) -> str:
    """The object id of Microsoft Graph's service principal."""
    found = entra.directory.by_app_id("servicePrincipals", identity.GRAPH_APP_ID)
    assert found is not None
    return str(found["id"])


def assign(entra: Service, principal: str, role: str) -> httpx.Response:
    """What an administrator's consent does."""
    resource = graph_principal(entra)
    body = {"principalId": principal, "resourceId": resource, "appRoleId": role}
    with administrator(entra) as admin:
        return admin.post(f"/v1.0/servicePrincipals/{resource}/appRoleAssignedTo", json=body)


def refused(answer: httpx.Response) -> bool:
    """Whether Graph says that the caller has not the right."""
    if answer.status_code != 403:
        return False
    assert body_of(answer)["error"]["code"] == "Authorization_RequestDenied"
    return True


def test_owned_by_makes_and_changes_its_own_and_nothing_else(entra: Service, other: tuple[str, httpx.Client]) -> None:
    principal, client = other
    foreign = entra.directory.create_application({"displayName": "foreign"}, ADMIN, [])
    assert refused(client.post("/v1.0/applications", json={"displayName": "mine"}))
    assert refused(client.get("/v1.0/applications"))

    assert assign(entra, principal, OWNED_BY).status_code == 201

    mine = body_of(client.post("/v1.0/applications", json={"displayName": "mine"}))
    assert client.patch(f"/v1.0/applications/{mine['id']}", json={"notes": "x"}).status_code == 204
    assert client.post("/v1.0/servicePrincipals", json={"appId": mine["appId"]}).status_code == 201
    assert client.post(f"/v1.0/applications/{mine['id']}/addPassword", json={}).status_code == 200
    assert client.get(f"/v1.0/applications/{foreign['id']}").status_code == 200

    path = f"/v1.0/applications/{foreign['id']}"
    grant = {"clientId": principal, "resourceId": graph_principal(entra), "consentType": "AllPrincipals"}
    role = {"principalId": principal, "resourceId": graph_principal(entra), "appRoleId": USERS}
    for answer in (
        client.patch(path, json={"notes": "x"}),
        client.delete(path),
        client.post(f"{path}/addPassword", json={}),
        client.post(f"{path}/federatedIdentityCredentials", json={}),
        client.post(f"{path}/owners/$ref", json={"@odata.id": principal}),
        client.post("/v1.0/servicePrincipals", json={"appId": foreign["appId"]}),
        client.post("/v1.0/oauth2PermissionGrants", json=grant),
        client.get("/v1.0/oauth2PermissionGrants"),
        client.get(f"/v1.0/servicePrincipals/{principal}/oauth2PermissionGrants"),
        client.post(f"/v1.0/servicePrincipals/{principal}/appRoleAssignments", json=role),
        client.get("/v1.0/users"),
    ):
        assert refused(answer), answer.request.url
    assert entra.directory.get("applications", foreign["id"])["notes"] is None


def test_owned_by_alone_adds_no_other_owner(entra: Service, other: tuple[str, httpx.Client]) -> None:
    principal, client = other
    person, deployer = min(identity.PEOPLE), identity.DEPLOYER_OBJECT_ID
    assign(entra, principal, OWNED_BY)
    body = {"displayName": "mine", "owners@odata.bind": [f"{entra.address}/v1.0/directoryObjects/{person}"]}
    mine = body_of(client.post("/v1.0/applications", json=body))

    def add(owner: str) -> httpx.Response:
        return client.post(f"/v1.0/applications/{mine['id']}/owners/$ref", json={"@odata.id": owner})

    assert refused(add(deployer))
    assign(entra, principal, DIRECTORY)
    assert add(deployer).status_code == 204
    another = max(identity.PEOPLE)
    assert refused(add(another))
    assign(entra, principal, USERS)
    assert add(another).status_code == 204


def test_the_whole_directory_may_be_changed_with_one_permission(
    entra: Service, other: tuple[str, httpx.Client]
) -> None:
    principal, client = other
    foreign = entra.directory.create_application({"displayName": "foreign"}, ADMIN, [])
    assign(entra, principal, CHANGE_DIRECTORY)
    path = f"/v1.0/applications/{foreign['id']}"
    assert client.patch(path, json={"notes": "x"}).status_code == 204
    assert client.post(f"{path}/owners/$ref", json={"@odata.id": min(identity.PEOPLE)}).status_code == 204
    grant = {"clientId": principal, "resourceId": graph_principal(entra), "consentType": "AllPrincipals"}
    assert client.post("/v1.0/oauth2PermissionGrants", json={**grant, "scope": "email"}).status_code == 201


def test_deleted_items_are_their_owners(entra: Service) -> None:
    foreign = entra.directory.create_application({"displayName": "foreign"}, ADMIN, [])
    entra.directory.delete_application(foreign["id"], ADMIN)
    path = f"/v1.0/directory/deletedItems/{foreign['id']}"
    with entra.graph() as deployer, administrator(entra) as admin:
        assert refused(deployer.delete(path))
        assert refused(deployer.post(f"{path}/restore"))
        assert admin.post(f"{path}/restore").status_code == 200


def test_a_permission_is_assigned_shown_and_withdrawn(entra: Service, other: tuple[str, httpx.Client]) -> None:
    principal, client = other
    made = body_of(assign(entra, principal, USERS))
    assert client.get("/v1.0/users").status_code == 200
    assert refused(client.get("/v1.0/applications"))
    assert "already exists" in assign(entra, principal, USERS).text
    assert assign(entra, principal, principal).status_code == 400
    assert assign(entra, "nobody", USERS).status_code == 400

    path = f"/v1.0/servicePrincipals/{principal}/appRoleAssignments"
    with administrator(entra) as admin:
        assert [entry["id"] for entry in body_of(admin.get(path))["value"]] == [made["id"]]
        listed = admin.get(f"/v1.0/servicePrincipals/{graph_principal(entra)}/appRoleAssignedTo")
        assert [entry["principalId"] for entry in body_of(listed)["value"]] == [principal]
        assert admin.delete(f"{path}/{made['id']}").status_code == 204
    assert refused(client.get("/v1.0/users"))


def test_assignments_go_with_their_service_principal(entra: Service, other: tuple[str, httpx.Client]) -> None:
    principal, _ = other
    assign(entra, principal, OWNED_BY)
    entra.directory.delete_service_principal(principal, ADMIN)
    assert entra.directory.state.appRoleAssignments == {}


def test_an_owner_may_be_added_and_then_changes_the_application(entra: Service) -> None:
    foreign = entra.directory.create_application({"displayName": "mail"}, ADMIN, [])
    reference = {"@odata.id": f"{entra.address}/v1.0/directoryObjects/{identity.DEPLOYER_OBJECT_ID}"}
    with entra.graph() as deployer, administrator(entra) as admin:
        assert refused(deployer.patch(f"/v1.0/applications/{foreign['id']}", json={"notes": "x"}))
        assert admin.post(f"/v1.0/applications/{foreign['id']}/owners/$ref", json=reference).status_code == 204
        assert deployer.patch(f"/v1.0/applications/{foreign['id']}", json={"notes": "x"}).status_code == 204


@pytest.mark.parametrize("method", ["GET", "POST", "PATCH", "DELETE"])
@pytest.mark.parametrize("path", ["/applications", "/users", "/oauth2PermissionGrants", "/servicePrincipals/x/owners"])
def test_nothing_is_allowed_without_a_permission(method: str, path: str) -> None:
    with pytest.raises(GraphError, match="Insufficient privileges"):
        permissions.check(method, path, ())


@pytest.mark.parametrize(
    ("order", "shown"),
    [
        ({}, []),
        ({"maximum_secret_lifetime_days": 90}, [("passwordLifetime", "PT7776000S")]),
        ({"secrets_forbidden": True}, [("passwordAddition", None)]),
    ],
)
def test_policy_on_secrets_is_shown_to_readers_of_policies_only(
    entra: Service, other: tuple[str, httpx.Client], order: dict[str, Any], shown: list[Any]
) -> None:
    entra.behave(**order)
    principal, client = other
    path = "/v1.0/policies/defaultAppManagementPolicy"
    with entra.graph() as deployer:
        assert refused(deployer.get(path))
    assert refused(client.get(path))
    assign(entra, principal, POLICIES).raise_for_status()
    found = body_of(client.get(path))
    rules = found["applicationRestrictions"]["passwordCredentials"]
    assert [(rule["restrictionType"], rule["maxLifetime"]) for rule in rules] == shown
    assert found["isEnabled"] is bool(shown)
    made = entra.directory.objects("applications")[0]["id"]
    assert body_of(client.get(f"/v1.0/applications/{made}/appManagementPolicies"))["value"] == []
