"""Graph over HTTP: queries, partial updates, owners, deleted items, and Graph's own errors."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.entra import identity, query
from sandbox.entra.graph_errors import GraphError
from tests.sandbox.entra.service import Service, body_of

Json = dict[str, Any]
UNKNOWN = "99999999-9999-9999-9999-999999999999"


def make(graph: httpx.Client, name: str, **more: Any) -> Json:
    """A new application."""
    answer = graph.post("/v1.0/applications", json={"displayName": name, **more})
    assert answer.status_code == 201, answer.text
    return body_of(answer)


def found(graph: httpx.Client, path: str, **parameters: str) -> list[Json]:
    """The objects of a collection."""
    answer = graph.get(path, params={f"${name}": value for name, value in parameters.items()})
    assert answer.status_code == 200, answer.text
    value: list[Json] = body_of(answer)["value"]
    return value


def test_filters_and_selections(entra: Service) -> None:
    with entra.graph() as graph:
        first, second = make(graph, "Mail O'Neill"), make(graph, "other", tags=["HideApp"])
        path = "/v1.0/applications"
        assert [item["id"] for item in found(graph, path)] == [first["id"], second["id"]]
        for expression, expected in (
            (f"appId eq '{second['appId']}'", [second]),
            ("displayName eq 'mail o''neill'", [first]),
            ("startswith(displayName,'Mail')", [first]),
            (f"displayName eq 'other' and appId eq '{first['appId']}'", []),
            (f"id in ('{first['id']}','{second['id']}')", [first, second]),
            ("displayName ne 'other'", [first]),
            ("tags/any(t:t eq 'HideApp')", [second]),
            ("tags/any(t:t eq 'Hide')", []),
        ):
            ids = [item["id"] for item in found(graph, path, filter=expression)]
            assert ids == [item["id"] for item in expected], expression
        assert found(graph, path, filter="displayName eq 'other'", select="displayName,appId") == [
            {"displayName": "other", "appId": second["appId"]}
        ]
        selected = body_of(graph.get(f"/beta/applications/{first['id']}?$select=oauth2RequirePostResponse"))
        assert selected.keys() == {"@odata.context", "oauth2RequirePostResponse"}
        by_app_id = body_of(graph.get(f"/v1.0/applications(appId='{first['appId']}')"))
        assert by_app_id["id"] == first["id"]
        expanded = found(graph, path, filter="displayName eq 'other'", expand="owners")
        assert [owner["id"] for owner in expanded[0]["owners"]] == [identity.DEPLOYER_OBJECT_ID]


def test_pages(entra: Service) -> None:
    with entra.graph() as graph:
        made = [make(graph, f"app {number}")["id"] for number in range(5)]
        seen, address = [], "/v1.0/applications?$top=2&$count=true&$orderby=displayName"
        while address:
            page = body_of(graph.get(address))
            assert page["@odata.count"] == 5
            seen += [item["id"] for item in page["value"]]
            address = page.get("@odata.nextLink", "")
        assert seen == made


@pytest.mark.parametrize(
    "expression", ["tags/all(t:t eq 'x')", "displayName", "displayName gt 'x'", "a eq 'b' or c eq 'd'"]
)
def test_unknown_filters_are_refused_not_ignored(entra: Service, expression: str) -> None:
    with entra.graph() as graph:
        make(graph, "mail")
        answer = graph.get("/v1.0/applications", params={"$filter": expression})
    assert (answer.status_code, body_of(answer)["error"]["code"]) == (400, "Request_UnsupportedQuery")


@given(name=st.text(min_size=1, max_size=20), other=st.text(max_size=20))
def test_quoted_names_find_exactly_themselves(name: str, other: str) -> None:
    quoted = name.replace("'", "''")
    assert query.matches({"displayName": name}, f"displayName eq '{quoted}'")
    assert query.matches({"displayName": other}, f"displayName eq '{quoted}'") == (name.lower() == other.lower())


def test_filter_refuses_rest_of_line() -> None:
    with pytest.raises(GraphError):
        query.matches({"a": "b"}, "a eq 'b' a eq 'b'")


def test_patch_merges_and_keeps_what_is_read_only(entra: Service) -> None:
    with entra.graph() as graph:
        made = make(
            graph, "mail", web={"redirectUris": ["https://noco.example.com/x"], "logoutUrl": "https://a.example.com"}
        )
        change = {"web": {"redirectUris": []}, "appId": UNKNOWN, "passwordCredentials": [{"keyId": UNKNOWN}]}
        assert graph.patch(f"/v1.0/applications/{made['id']}", json=change).status_code == 204
        now = body_of(graph.get(f"/v1.0/applications/{made['id']}"))
    assert now["web"]["redirectUris"] == []
    assert now["web"]["logoutUrl"] == "https://a.example.com"
    assert (now["appId"], now["passwordCredentials"]) == (made["appId"], [])


def test_owners_are_added_and_removed(entra: Service) -> None:
    with entra.graph() as graph:
        made = make(graph, "mail")
        path = f"/v1.0/applications/{made['id']}/owners"
        owner_id = min(identity.PEOPLE)
        reference = {"@odata.id": f"{entra.address}/v1.0/directoryObjects/{owner_id}"}
        assert graph.post(f"{path}/$ref", json=reference).status_code == 204
        again = graph.post(f"{path}/$ref", json=reference)
        assert (again.status_code, body_of(again)["error"]["code"]) == (400, "Request_BadRequest")
        assert [owner["id"] for owner in found(graph, path)] == [identity.DEPLOYER_OBJECT_ID, owner_id]
        assert graph.delete(f"{path}/{owner_id}/$ref").status_code == 204
        assert graph.delete(f"{path}/{owner_id}/$ref").status_code == 404


def test_bin(entra: Service) -> None:
    with entra.graph() as graph:
        made = make(graph, "mail")
        principal = body_of(graph.post("/v1.0/servicePrincipals", json={"appId": made["appId"]}))
        assert graph.delete(f"/v1.0/applications/{made['id']}").status_code == 204
        bin_ = "/v1.0/directory/deletedItems"
        assert [item["id"] for item in found(graph, f"{bin_}/microsoft.graph.application")] == [made["id"]]
        assert [item["id"] for item in found(graph, f"{bin_}/microsoft.graph.servicePrincipal")] == [principal["id"]]
        assert body_of(graph.get(f"{bin_}/{made['id']}"))["deletedDateTime"]
        assert body_of(graph.post(f"{bin_}/{made['id']}/restore"))["id"] == made["id"]
        assert graph.get(f"/v1.0/applications/{made['id']}").status_code == 200
        assert graph.delete(f"{bin_}/{principal['id']}").status_code == 204
        assert graph.get(f"{bin_}/{principal['id']}").status_code == 404


def test_grants(entra: Service) -> None:
    with entra.graph() as graph:
        made = make(graph, "mail")
        principal = body_of(graph.post("/v1.0/servicePrincipals", json={"appId": made["appId"]}))
        resource = found(graph, "/v1.0/servicePrincipals", filter=f"appId eq '{identity.GRAPH_APP_ID}'")[0]
        consent = {"clientId": principal["id"], "resourceId": resource["id"], "consentType": "AllPrincipals"}
        grant = body_of(graph.post("/v1.0/oauth2PermissionGrants", json={**consent, "scope": "email"}))
        assert (
            graph.patch(f"/v1.0/oauth2PermissionGrants/{grant['id']}", json={"scope": "User.Read"}).status_code == 204
        )
        listed = found(graph, f"/v1.0/servicePrincipals/{principal['id']}/oauth2PermissionGrants")
        assert [(item["id"], item["scope"]) for item in listed] == [(grant["id"], "User.Read")]
        by_filter = found(graph, "/v1.0/oauth2PermissionGrants", filter=f"clientId eq '{principal['id']}'")
        assert by_filter == listed
        assert graph.delete(f"/v1.0/oauth2PermissionGrants/{grant['id']}").status_code == 204
        assert found(graph, "/v1.0/oauth2PermissionGrants") == []


def test_built_in_principal_has_the_mail_scopes(entra: Service) -> None:
    with entra.graph() as graph:
        principal = found(graph, "/v1.0/servicePrincipals", filter=f"appId eq '{identity.GRAPH_APP_ID}'")[0]
    ids = {scope["value"]: scope["id"] for scope in principal["oauth2PermissionScopes"]}
    assert ids["IMAP.AccessAsUser.All"] == "652390e4-393a-48de-9484-05f9b1212954"
    assert ids["SMTP.Send"] == "258f6531-6087-4cc4-bb90-092c5fb3ed3f"
    assert len(set(ids.values())) == len(principal["oauth2PermissionScopes"]) >= 40


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", f"/v1.0/applications/{UNKNOWN}", 404, "Request_ResourceNotFound"),
        ("GET", f"/v1.0/applications(appId='{UNKNOWN}')", 404, "Request_ResourceNotFound"),
        ("GET", f"/v1.0/applications/{UNKNOWN}/owners", 404, "Request_ResourceNotFound"),
        ("PATCH", f"/v1.0/servicePrincipals/{UNKNOWN}", 404, "Request_ResourceNotFound"),
        ("DELETE", f"/v1.0/oauth2PermissionGrants/{UNKNOWN}", 404, "Request_ResourceNotFound"),
        ("POST", f"/v1.0/applications/{UNKNOWN}/addPassword", 404, "Request_ResourceNotFound"),
        ("GET", "/v1.0/elephants", 404, "BadRequest"),
    ],
)
def test_errors_look_like_graph_errors(entra: Service, method: str, path: str, status: int, code: str) -> None:
    with entra.graph() as graph:
        answer = graph.request(method, path, json={} if method in ("POST", "PATCH") else None)
    error = body_of(answer)["error"]
    assert (answer.status_code, error["code"]) == (status, code)
    assert error["innerError"].keys() == {"date", "request-id", "client-request-id"}


def test_broken_json_is_refused(entra: Service) -> None:
    with entra.graph() as graph:
        answer = graph.post("/v1.0/applications", content=b"{")
    assert (answer.status_code, body_of(answer)["error"]["code"]) == (400, "Request_BadRequest")


def test_state_page_shows_objects_and_no_secret(entra: Service) -> None:
    with entra.graph() as graph:
        made = make(graph, "mail")
        issued = body_of(graph.post(f"/v1.0/applications/{made['id']}/addPassword", json={}))
        page = graph.get("/_sandbox/state")
        seen = body_of(graph.get("/_sandbox/requests"))["value"]
    assert [item["id"] for item in body_of(page)["applications"]] == [made["id"]]
    assert body_of(page)["servicePrincipals"] == []
    for secret in (issued["secretText"], identity.DEPLOYER_SECRET, entra.directory.state.signing_key):
        assert secret not in page.text
        assert secret not in str(seen)
    assert [(entry["method"], entry["status"]) for entry in seen[-2:]] == [("POST", 201), ("POST", 200)]


def test_tenant_describes_itself(entra: Service) -> None:
    with entra.graph() as graph:
        tenant = found(graph, "/v1.0/organization")[0]
        deployer = body_of(graph.get(f"/v1.0/directoryObjects/{identity.DEPLOYER_OBJECT_ID}"))
    assert (tenant["id"], tenant["verifiedDomains"][0]["name"]) == (identity.TENANT_ID, identity.TENANT_DOMAIN)
    assert deployer["@odata.type"] == "#microsoft.graph.servicePrincipal"
