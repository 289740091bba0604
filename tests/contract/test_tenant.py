"""What the product relies on in Entra ID and Graph, on the sandbox and, with `--tenant real`, on a real tenant.

Each test runs on the sandbox twice: on a good day, and on a slow one, when what is new is not seen at once.
"""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from provisioning.entra.rules import Audience, why_invalid_redirect_uri
from provisioning.entra.scopes import DEFAULT_SCOPES, MICROSOFT_GRAPH, SCOPE_IDS
from tests.contract.tenant import ACCEPTED, Tenant

Json = dict[str, Any]

PERSONAL: Json = {"signInAudience": "AzureADandPersonalMicrosoftAccount", "api": {"requestedAccessTokenVersion": 2}}
CALLBACK = "https://noco.example.com/admin/settings/mail/oauth2"
WRONG_SECRET, NO_SERVICE_PRINCIPAL, DISABLED = 7000215, 7000229, 7000112
LONGEST = "https://noco.example.com/".ljust(256, "x")


def permissions(ids: list[str]) -> list[Json]:
    """Delegated permissions of Microsoft Graph, as an application declares them."""
    return [{"resourceAppId": MICROSOFT_GRAPH, "resourceAccess": [{"id": item, "type": "Scope"} for item in ids]}]


def key_ids(application: Json) -> list[str]:
    """The ids of an application's secrets."""
    return [credential["keyId"] for credential in application["passwordCredentials"]]


def test_mail_application_is_kept_as_declared(tenant: Tenant) -> None:
    ids = [SCOPE_IDS[name] for name in DEFAULT_SCOPES]
    made = tenant.create_application(
        **PERSONAL, requiredResourceAccess=permissions(ids), web={"redirectUris": [CALLBACK]}
    )

    assert made["displayName"] == tenant.name()
    assert made["signInAudience"] == PERSONAL["signInAudience"]
    assert made["api"]["requestedAccessTokenVersion"] == 2
    assert made["web"]["redirectUris"] == [CALLBACK]
    (declared,) = made["requiredResourceAccess"]
    assert declared["resourceAppId"] == MICROSOFT_GRAPH
    assert {(item["id"], item["type"]) for item in declared["resourceAccess"]} == {(item, "Scope") for item in ids}
    assert made["passwordCredentials"] == []
    assert uuid.UUID(made["appId"]) != uuid.UUID(made["id"])


def test_personal_accounts_need_tokens_of_version_2(tenant: Tenant) -> None:
    wrong = {"displayName": tenant.name(), **PERSONAL, "api": {"requestedAccessTokenVersion": 1}}
    refusal = tenant.call("POST", "/applications", wrong, expect=400)

    assert "requestedAccessTokenVersion" in refusal["error"]["message"]


def test_token_version_of_one_tenants_application_is_left_open(tenant: Tenant) -> None:
    made = tenant.create_application(signInAudience="AzureADMyOrg")

    assert made["api"]["requestedAccessTokenVersion"] is None


def test_more_than_thirty_permissions_are_refused(tenant: Tenant) -> None:
    ids = [str(uuid.uuid4()) for _ in range(31)]
    asked = {"displayName": tenant.name(), **PERSONAL, "requiredResourceAccess": permissions(ids)}

    assert tenant.call("POST", "/applications", asked, expect=400)["error"]["code"]


@pytest.mark.parametrize("audience", [Audience.ONE_TENANT, Audience.ANY_TENANT_AND_PERSONAL])
@pytest.mark.parametrize(("more", "status"), [(0, 201), (1, 400)])
def test_names_have_the_length_that_the_product_allows(
    tenant: Tenant, audience: Audience, more: int, status: int
) -> None:
    name = tenant.name("n").ljust(audience.longest_name + more, "n")
    asked = {"displayName": name, **PERSONAL, "signInAudience": str(audience)}

    tenant.call("POST", "/applications", asked, expect=status)


@pytest.mark.parametrize(
    "uri",
    [
        CALLBACK,
        "https://noco.example.com:8443/x",
        "http://localhost:13000/admin/settings/mail/oauth2",
        "http://127.0.0.1:13000/admin/settings/mail/oauth2",
        LONGEST,
        LONGEST + "x",
        "http://noco.example.com/x",
        "noco.example.com/x",
        f"{CALLBACK}#x",
        f"{CALLBACK}?x=1",
        "https://*.example.com/x",
    ],
)
def test_redirect_uris_are_refused_as_the_product_says(tenant: Tenant, uri: str) -> None:
    refused = why_invalid_redirect_uri(uri, Audience.ANY_TENANT_AND_PERSONAL)
    asked = {"displayName": tenant.name(), **PERSONAL, "web": {"redirectUris": [uri]}}

    tenant.call("POST", "/applications", asked, expect=400 if refused else 201)


def test_query_string_is_allowed_without_personal_accounts(tenant: Tenant) -> None:
    uri = f"{CALLBACK}?x=1"
    assert why_invalid_redirect_uri(uri, Audience.ONE_TENANT) is None

    made = tenant.create_application(signInAudience="AzureADMyOrg", web={"redirectUris": [uri]})

    assert made["web"]["redirectUris"] == [uri]


def test_a_redirect_uri_is_of_one_platform_only(tenant: Tenant) -> None:
    uris = {"redirectUris": [CALLBACK]}
    made = tenant.create_application(**PERSONAL, spa=uris)
    path = f"/applications/{made['id']}"

    tenant.call("PATCH", path, {"web": uris}, expect=400)
    tenant.call("PATCH", path, {"web": uris, "spa": {"redirectUris": []}}, expect=204)

    found = tenant.until(path, lambda item: item["web"]["redirectUris"] == [CALLBACK])
    assert found["spa"]["redirectUris"] == []


def test_an_owner_has_to_exist(tenant: Tenant) -> None:
    made = tenant.create_application(**PERSONAL)
    nobody = {"@odata.id": f"{tenant.access.graph}/v1.0/directoryObjects/{uuid.uuid4()}"}

    refusal = tenant.call("POST", f"/applications/{made['id']}/owners/$ref", nobody, expect=404)

    assert refusal["error"]["code"] == "Request_ResourceNotFound"


def test_owners_keep_the_caller(tenant: Tenant) -> None:
    me = f"{tenant.access.graph}/v1.0/directoryObjects/{tenant.access.caller}"
    made = tenant.create_application(**{**PERSONAL, "owners@odata.bind": [me]})
    tenant.call("PATCH", f"/applications/{made['id']}", {"notes": "x"}, expect=204)

    owners = tenant.until(f"/applications/{made['id']}/owners", lambda found: bool(found["value"]))

    assert [owner["id"] for owner in owners["value"]] == [tenant.access.caller]


def test_patch_merges_objects_and_replaces_arrays(tenant: Tenant) -> None:
    settings = {"enableIdTokenIssuance": True, "enableAccessTokenIssuance": False}
    web = {
        "redirectUris": [CALLBACK, f"{CALLBACK}/2"],
        "homePageUrl": "https://noco.example.com",
        "implicitGrantSettings": settings,
    }
    made = tenant.create_application(**PERSONAL, web=web, tags=["a", "b"])
    path = f"/applications/{made['id']}"
    change = {"web": {"redirectUris": [f"{CALLBACK}/3"]}, "tags": ["c"]}

    tenant.call("PATCH", path, change, expect=204)

    found = tenant.until(path, lambda item: item["tags"] == ["c"])
    assert found["tags"] == ["c"]
    assert found["web"]["redirectUris"] == [f"{CALLBACK}/3"]
    assert found["web"]["homePageUrl"] == "https://noco.example.com"
    assert found["web"]["implicitGrantSettings"] == settings
    assert found["signInAudience"] == PERSONAL["signInAudience"]


def test_secret_is_shown_once_and_ends_when_asked(tenant: Tenant) -> None:
    made = tenant.create_application(**PERSONAL)
    end = datetime.now(UTC).replace(microsecond=0) + timedelta(days=90)

    issued = tenant.add_password(made, displayName="NocoBase a", endDateTime=end.strftime("%Y-%m-%dT%H:%M:%SZ"))

    found = tenant.until(f"/applications/{made['id']}", lambda item: bool(item["passwordCredentials"]))
    (kept,) = found["passwordCredentials"]
    assert len(issued["secretText"]) > 30
    assert issued["secretText"].startswith(issued["hint"])
    assert (kept["keyId"], kept["displayName"], kept["secretText"]) == (issued["keyId"], "NocoBase a", None)
    assert datetime.fromisoformat(kept["endDateTime"]) == end


def test_token_endpoint_takes_the_value_until_it_is_removed(tenant: Tenant) -> None:
    made = tenant.create_application(**PERSONAL)
    tenant.create_service_principal(made)
    issued = tenant.add_password(made)
    client_id, value, key_id = made["appId"], issued["secretText"], issued["keyId"]

    assert tenant.token_error(client_id, value, expect=ACCEPTED) == ACCEPTED
    assert tenant.token_error(client_id, key_id, expect=WRONG_SECRET) == WRONG_SECRET

    tenant.call("POST", f"/applications/{made['id']}/removePassword", {"keyId": key_id}, expect=204)

    assert tenant.token_error(client_id, value, expect=WRONG_SECRET) == WRONG_SECRET


def test_two_secrets_work_side_by_side_and_a_third_is_refused(tenant: Tenant) -> None:
    made = tenant.create_application(**PERSONAL)
    tenant.create_service_principal(made)
    issued = [tenant.add_password(made, displayName=name) for name in ("a", "b")]
    path = f"/applications/{made['id']}"
    tenant.until(path, lambda item: len(item["passwordCredentials"]) == 2)

    tenant.call("POST", f"{path}/addPassword", {"passwordCredential": {"displayName": "c"}}, expect=400)

    assert {*key_ids(tenant.call("GET", path, expect=200))} == {secret["keyId"] for secret in issued}
    for secret in issued:
        assert tenant.token_error(made["appId"], secret["secretText"], expect=ACCEPTED) == ACCEPTED


def test_secret_that_is_not_there_cannot_be_removed(tenant: Tenant) -> None:
    made = tenant.create_application(**PERSONAL)
    path = f"/applications/{made['id']}/removePassword"

    refusal = tenant.call("POST", path, {"keyId": str(uuid.uuid4())}, expect=400)

    assert "No password credential found with keyId" in refusal["error"]["message"]


def test_tokens_need_a_service_principal(tenant: Tenant) -> None:
    made = tenant.create_application(**PERSONAL)
    value = tenant.add_password(made)["secretText"]
    assert tenant.token_error(made["appId"], value, expect=NO_SERVICE_PRINCIPAL) == NO_SERVICE_PRINCIPAL

    principal = tenant.create_service_principal(made)

    assert (principal["appId"], principal["displayName"]) == (made["appId"], made["displayName"])
    assert tenant.token_error(made["appId"], value, expect=ACCEPTED) == ACCEPTED


def test_a_disabled_service_principal_gets_no_tokens(tenant: Tenant) -> None:
    made = tenant.create_application(**PERSONAL)
    principal = tenant.create_service_principal(made)
    value = tenant.add_password(made)["secretText"]
    assert tenant.token_error(made["appId"], value, expect=ACCEPTED) == ACCEPTED

    tenant.call("PATCH", f"/servicePrincipals/{principal['id']}", {"accountEnabled": False}, expect=204)

    assert tenant.token_error(made["appId"], value, expect=DISABLED) == DISABLED


def test_second_service_principal_is_a_conflict(tenant: Tenant) -> None:
    made = tenant.create_application(**PERSONAL)
    tenant.create_service_principal(made)

    tenant.call("POST", "/servicePrincipals", {"appId": made["appId"]}, expect=409)


def test_missing_object_is_a_404(tenant: Tenant) -> None:
    for kind in ("applications", "servicePrincipals"):
        refusal = tenant.call("GET", f"/{kind}/{uuid.uuid4()}", expect=404)
        assert refusal["error"]["code"] == "Request_ResourceNotFound"


def test_deleted_application_waits_among_the_deleted_items_until_it_is_deleted_for_good(tenant: Tenant) -> None:
    made = tenant.create_application(**PERSONAL)
    path, binned = f"/applications/{made['id']}", f"/directory/deletedItems/{made['id']}"

    tenant.call("DELETE", path, expect=204)

    tenant.call("GET", path, expect=404)
    found = tenant.call("GET", binned, expect=200)
    assert (found["appId"], found["displayName"]) == (made["appId"], made["displayName"])
    assert found["deletedDateTime"]

    tenant.call("DELETE", binned, expect=204)

    tenant.call("GET", binned, expect=404)
    tenant.call("PATCH", path, {"notes": "x"}, expect=404)


def test_deleted_application_takes_its_service_principal_along(tenant: Tenant) -> None:
    made = tenant.create_application(**PERSONAL)
    principal = tenant.create_service_principal(made)

    tenant.call("DELETE", f"/applications/{made['id']}", expect=204)

    tenant.call("GET", f"/servicePrincipals/{principal['id']}", expect=404)


def test_consent_for_the_tenant_is_given_changed_and_withdrawn(tenant: Tenant) -> None:
    principal = tenant.create_service_principal(tenant.create_application(**PERSONAL))
    graph = tenant.call("GET", f"/servicePrincipals(appId='{MICROSOFT_GRAPH}')", expect=200)
    asked = {
        "clientId": principal["id"],
        "resourceId": graph["id"],
        "consentType": "AllPrincipals",
        "scope": "email User.Read",
    }
    grant = tenant.call("POST", "/oauth2PermissionGrants", asked, expect=201)
    path = f"/oauth2PermissionGrants/{grant['id']}"
    found = tenant.call("GET", path, expect=200)
    assert {name: found[name] for name in asked} == asked
    assert found["principalId"] is None

    tenant.call("POST", "/oauth2PermissionGrants", asked, expect=409)
    tenant.call("PATCH", path, {"scope": "email SMTP.Send"}, expect=204)
    assert tenant.until(path, lambda item: item["scope"] == "email SMTP.Send")["scope"] == "email SMTP.Send"

    tenant.call("DELETE", path, expect=204)

    tenant.call("GET", path, expect=404)
