"""What Entra refuses, with Graph's status, code and words. No HTTP."""

from __future__ import annotations

import copy
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.entra import identity
from sandbox.entra.directory import Directory
from sandbox.entra.graph_errors import GraphError
from sandbox.entra.graph_objects import merge, rfc3339

Json = dict[str, Any]
ME = identity.DEPLOYER_OBJECT_ID
PERSONAL: Json = {
    "displayName": "mail",
    "signInAudience": "AzureADandPersonalMicrosoftAccount",
    "api": {"requestedAccessTokenVersion": 2},
}
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@pytest.fixture
def directory() -> Directory:
    """An empty tenant in memory."""
    return Directory(None)


def application(directory: Directory, **more: Any) -> Json:
    """A registered application with personal accounts."""
    return directory.create_application({**PERSONAL, **more}, ME, [])


def permissions(count: int) -> list[Json]:
    """One resource with that many permissions."""
    access = [{"id": f"00000000-0000-0000-0000-{number:012}", "type": "Scope"} for number in range(count)]
    return [{"resourceAppId": identity.GRAPH_APP_ID, "resourceAccess": access}]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"displayName": ""}, "displayName"),
        ({"displayName": None}, "displayName"),
        ({"displayName": "n" * 91}, "displayName"),
        ({"signInAudience": "Everyone"}, "signInAudience"),
        ({"api": {"requestedAccessTokenVersion": 1}}, "api.requestedAccessTokenVersion"),
        ({"api": {"requestedAccessTokenVersion": None}}, "api.requestedAccessTokenVersion"),
        ({"requiredResourceAccess": permissions(31)}, "requiredResourceAccess"),
        ({"web": {"redirectUris": ["http://noco.example.com/x"]}}, "redirectUris"),
        ({"web": {"redirectUris": ["https://noco.example.com/x?y=1"]}}, "redirectUris"),
        ({"web": {"redirectUris": ["https://*.example.com/x"]}}, "redirectUris"),
        (
            {
                "web": {"redirectUris": ["https://a.example.com/x"]},
                "spa": {"redirectUris": ["https://a.example.com/x"]},
            },
            "redirectUris",
        ),
        ({"web": {"redirectUris": ["https://noco.example.com/x#y"]}}, "redirectUris"),
        ({"web": {"redirectUris": ["https://noco.example.com/" + "x" * 256]}}, "redirectUris"),
        ({"web": {"redirectUris": ["noco"]}}, "redirectUris"),
        ({"spa": {"redirectUris": ["http://noco.example.com"]}}, "redirectUris"),
        ({"web": {"redirectUris": ["http://[::1]:13000/x"]}}, "redirectUris"),
        ({"web": {"redirectUris": ["https://noco.example.com/(x)"]}}, "redirectUris"),
        ({"web": {"redirectUris": [f"https://noco.example.com/{n}" for n in range(101)]}}, "redirectUris"),
        ({"signInAudience": "AzureADMyOrg", "api": {"requestedAccessTokenVersion": 3}}, "requestedAccessTokenVersion"),
        ({"signInAudience": "AzureADMyOrg", "requiredResourceAccess": permissions(401)}, "requiredResourceAccess"),
        ({"requiredResourceAccess": permissions(29) * 7}, "requiredResourceAccess"),
        ({"requiredResourceAccess": permissions(1) * 51}, "requiredResourceAccess"),
        ({"tags": ["a", "a"]}, "tags"),
        ({"tags": ["a b"]}, "tags"),
        ({"tags": [""]}, "tags"),
        ({"tags": ["a" * 257]}, "tags"),
        ({"signInAudience": "AzureADMyOrg", "displayName": "n" * 121}, "displayName"),
    ],
)
def test_application_is_refused(directory: Directory, change: Json, words: str) -> None:
    before = copy.deepcopy(directory.state)
    with pytest.raises(GraphError, match=words) as refusal:
        application(directory, **change)
    assert (refusal.value.status, refusal.value.code) == (400, "Request_BadRequest")
    assert directory.state == before


@pytest.mark.parametrize(
    "change",
    [
        {"displayName": "n" * 90},
        {"web": {"redirectUris": ["http://localhost:13000/x", "http://127.0.0.1/x", "https://noco.example.com/x"]}},
        {"requiredResourceAccess": permissions(30)},
        {"signInAudience": "AzureADMyOrg", "displayName": "n" * 120, "api": {"requestedAccessTokenVersion": 1}},
        {"signInAudience": "AzureADMyOrg", "web": {"redirectUris": ["https://noco.example.com/x?y=1"]}},
        {"signInAudience": "AzureADMyOrg", "requiredResourceAccess": permissions(400)},
        {"requiredResourceAccess": permissions(4) * 50},
        {"tags": ["a" * 256, "HideApp"]},
    ],
)
def test_application_is_accepted(directory: Directory, change: Json) -> None:
    made = application(directory, **change)
    assert directory.get("applications", made["id"]) == made


def test_update_is_refused_as_a_creation_is(directory: Directory) -> None:
    made = application(directory)
    with pytest.raises(GraphError, match=r"api\.requestedAccessTokenVersion"):
        directory.update_application(made["id"], {"api": {"requestedAccessTokenVersion": 1}}, ME)
    assert directory.get("applications", made["id"])["api"]["requestedAccessTokenVersion"] == 2


def test_third_secret_is_refused_for_personal_audiences_only(directory: Directory) -> None:
    personal, own = application(directory), application(directory, signInAudience="AzureADMyOrg")
    for made in (personal, own):
        for name in ("a", "b"):
            directory.add_password(made["id"], {"displayName": name}, ME)
    with pytest.raises(GraphError, match="at most two password credentials"):
        directory.add_password(personal["id"], {"displayName": "c"}, ME)
    directory.add_password(own["id"], {"displayName": "c"}, ME)
    with pytest.raises(GraphError, match="at most two password credentials"):
        directory.update_application(own["id"], {**PERSONAL}, ME)
    assert len(directory.get("applications", personal["id"])["passwordCredentials"]) == 2


def test_secret_is_shown_once_and_kept_only_as_a_hash(directory: Directory) -> None:
    made = application(directory)
    issued = directory.add_password(made["id"], {"displayName": "a"}, ME)
    text = issued["secretText"]
    assert len(text) == 40
    assert directory.get("applications", made["id"])["passwordCredentials"][0]["secretText"] is None
    assert text not in str(vars(directory.state))
    assert text not in str(directory.snapshot())


@pytest.mark.parametrize("lifetime", [timedelta(days=181), timedelta(days=730)])
def test_tenant_policy_limits_lifetime(directory: Directory, lifetime: timedelta) -> None:
    directory.policy.maximum_secret_lifetime = timedelta(days=180)
    made = application(directory)
    with pytest.raises(GraphError) as refusal:
        directory.add_password(made["id"], {"endDateTime": rfc3339(datetime.now(UTC) + lifetime)}, ME)
    assert refusal.value.code == "CredentialInvalidLifetimeAsPerAppPolicy"
    assert refusal.value.body()["error"]["details"][0]["code"] == "InvalidKeyEndDate"
    directory.add_password(made["id"], {"endDateTime": rfc3339(datetime.now(UTC) + timedelta(days=179))}, ME)


def test_tenant_policy_forbids_secrets(directory: Directory) -> None:
    directory.policy.secrets_forbidden = True
    with pytest.raises(GraphError) as refusal:
        directory.add_password(application(directory)["id"], {}, ME)
    assert (refusal.value.status, refusal.value.code) == (400, "CredentialTypeNotAllowedAsPerAppPolicy")


@pytest.mark.parametrize("end", ["yesterday", "2020-01-01T00:00:00Z"])
def test_impossible_end_of_a_secret(directory: Directory, end: str) -> None:
    made = application(directory)
    with pytest.raises(GraphError) as refusal:
        directory.add_password(made["id"], {"endDateTime": end}, ME)
    assert refusal.value.status == 400


def test_unknown_secret_cannot_be_removed(directory: Directory) -> None:
    made = application(directory)
    with pytest.raises(GraphError, match=r"^.*No password credential found with keyId\."):
        directory.remove_password(made["id"], "1911a7f9-e323-456c-9c5b-ba959670e897", ME)


def test_second_service_principal_is_a_conflict(directory: Directory) -> None:
    made = application(directory)
    directory.create_service_principal({"appId": made["appId"]}, ME, [])
    with pytest.raises(GraphError) as refusal:
        directory.create_service_principal({"appId": made["appId"]}, ME, [])
    assert (refusal.value.status, refusal.value.code) == (409, "Request_MultipleObjectsWithSameKeyValue")


def test_service_principal_needs_an_application(directory: Directory) -> None:
    with pytest.raises(GraphError, match="does not reference a valid application object"):
        directory.create_service_principal({"appId": "00000000-0000-0000-0000-000000000000"}, ME, [])


def test_deleting_an_application_takes_its_service_principal_and_grants(directory: Directory) -> None:
    made = application(directory)
    principal = directory.create_service_principal({"appId": made["appId"]}, ME, [])
    graph = directory.by_app_id("servicePrincipals", identity.GRAPH_APP_ID)
    assert graph is not None
    consent = {"clientId": principal["id"], "resourceId": graph["id"], "consentType": "AllPrincipals", "scope": "email"}
    directory.create_grant(consent)
    with pytest.raises(GraphError, match="Permission entry already exists"):
        directory.create_grant(consent)
    directory.delete_application(made["id"], ME)
    assert set(directory.state.deletedItems) == {made["id"], principal["id"]}
    assert directory.objects("oauth2PermissionGrants") == []
    directory.restore(made["id"])
    directory.restore(principal["id"])
    assert directory.get("applications", made["id"]) == made
    assert directory.get("servicePrincipals", principal["id"]) == principal


def test_a_redirect_uri_moves_to_another_platform_in_one_step_only(directory: Directory) -> None:
    uris: Json = {"redirectUris": ["https://a.example.com/x"]}
    made = application(directory, spa=uris)
    with pytest.raises(GraphError, match="redirectUris"):
        directory.update_application(made["id"], {"web": uris}, ME)
    directory.update_application(made["id"], {"web": uris, "spa": {"redirectUris": []}}, ME)
    assert directory.get("applications", made["id"])["web"]["redirectUris"] == uris["redirectUris"]


def test_an_owner_is_a_user_or_a_service_principal_of_the_tenant(directory: Directory) -> None:
    nobody = "99999999-9999-9999-9999-999999999999"
    made = application(directory)
    for refused in (
        lambda: directory.create_application({**PERSONAL}, ME, [nobody]),
        lambda: directory.create_service_principal({"appId": made["appId"]}, ME, [nobody]),
        lambda: directory.add_owner("applications", made["id"], nobody, ME),
    ):
        with pytest.raises(GraphError) as problem:
            refused()
        assert (problem.value.status, problem.value.code) == (404, "Request_ResourceNotFound")
    assert len(directory.objects("applications")) == 1
    for owner in (min(identity.PEOPLE), identity.ADMINISTRATOR_OBJECT_ID):
        directory.add_owner("applications", made["id"], owner, ME)


def test_who_gives_up_ownership_is_locked_out(directory: Directory) -> None:
    made = application(directory)
    directory.remove_owner("applications", made["id"], ME, ME)
    for change in (
        lambda: directory.update_application(made["id"], {"notes": "x"}, ME),
        lambda: directory.add_password(made["id"], {}, ME),
        lambda: directory.delete_application(made["id"], ME),
    ):
        with pytest.raises(GraphError) as refusal:
            change()
        assert (refusal.value.status, refusal.value.code) == (403, "Authorization_RequestDenied")
    assert directory.get("applications", made["id"])["displayName"] == "mail"


def test_new_objects_may_be_hidden_at_first(directory: Directory) -> None:
    directory.policy.hidden_reads = 2
    made = application(directory)
    for _ in range(2):
        with pytest.raises(GraphError) as refusal:
            directory.get("applications", made["id"])
        assert refusal.value.status == 404
    assert directory.get("applications", made["id"]) == made


@given(old=st.dictionaries(st.text(max_size=3), VALUES, max_size=4), new=VALUES)
def test_patch_with_nothing_changes_nothing_and_twice_is_once(old: Json, new: Any) -> None:
    assert merge(old, {}) == old
    once = merge(old, {"key": new})
    assert merge(once, {"key": new}) == once
    assert merge(once, {"other": 1}) == {**once, "other": 1}


def test_patch_merges_objects_and_replaces_arrays() -> None:
    old = {"web": {"redirectUris": ["a", "b"], "logoutUrl": "c"}, "tags": ["x"]}
    new = {"web": {"redirectUris": ["d"]}, "tags": []}
    assert merge(old, new) == {"web": {"redirectUris": ["d"], "logoutUrl": "c"}, "tags": []}


ROLE: Json = {"id": "1" * 8 + "-0000-0000-0000-000000000000", "value": "read", "allowedMemberTypes": ["User"]}


@pytest.mark.parametrize("path", [("appRoles",), ("api", "oauth2PermissionScopes")])
def test_enabled_roles_and_scopes_are_neither_removed_nor_altered(directory: Directory, path: tuple[str, ...]) -> None:
    def change(*items: Json) -> Json:
        body: Any = list(items)
        for name in reversed(path):
            body = {name: body}
        return dict(body)

    enabled, disabled = {**ROLE, "isEnabled": True}, {**ROLE, "isEnabled": False}
    made = application(directory)
    directory.update_application(made["id"], change(enabled), ME)
    for refused in (change(), change({**enabled, "value": "write"}), change({**disabled, "value": "write"})):
        with pytest.raises(GraphError, match="cannot be deleted or updated unless disabled first") as refusal:
            directory.update_application(made["id"], refused, ME)
        assert (refusal.value.status, refusal.value.code) == (400, "CannotDeleteOrUpdateEnabledEntitlement")
    directory.update_application(made["id"], change({**enabled, "description": "why"}), ME)
    directory.update_application(made["id"], change(disabled), ME)
    directory.update_application(made["id"], change(), ME)


def test_optional_claims_are_emptied_by_an_empty_object(directory: Directory) -> None:
    made = application(directory)
    for claims in ({"idToken": [{"name": "email"}]}, {}):
        directory.update_application(made["id"], {"optionalClaims": claims}, ME)
        assert directory.get("applications", made["id"])["optionalClaims"] == claims


@pytest.mark.parametrize("kind", ["applications", "servicePrincipals"])
def test_a_new_object_is_hidden_from_changes_as_from_reads(directory: Directory, kind: str) -> None:
    directory.policy.hidden_reads = 2
    made = application(directory)
    update = directory.update_application
    if kind == "servicePrincipals":
        made, update = directory.create_service_principal(made, ME, []), directory.update_service_principal
    with pytest.raises(GraphError, match="does not exist"):
        update(made["id"], {"notes": "x"}, ME)
    with pytest.raises(GraphError, match="does not exist"):
        directory.get(kind, made["id"])
    update(made["id"], {"notes": "x"}, ME)


def test_a_service_principal_that_is_deleted_owns_nothing(directory: Directory) -> None:
    mail, deployer = application(directory), application(directory, displayName="deployer")
    principal = directory.create_service_principal(deployer, ME, [])
    directory.add_owner("applications", mail["id"], principal["id"], ME)
    directory.delete_service_principal(principal["id"], ME)
    assert [owner["id"] for owner in directory.owners("applications", mail["id"])] == [ME]


def test_an_assignment_is_found_by_its_own_ends_only(directory: Directory) -> None:
    principal = directory.create_service_principal(application(directory), ME, [])
    graph = directory.by_app_id("servicePrincipals", identity.GRAPH_APP_ID) or {}
    role = graph["appRoles"][0]["id"]
    made = directory.assign_app_role({"principalId": principal["id"], "resourceId": graph["id"], "appRoleId": role})
    assert directory.app_role_assignment(made["id"], "resourceId", graph["id"]) == made
    assert directory.app_role_assignment(made["id"], "principalId", principal["id"]) == made
    with pytest.raises(GraphError, match="does not exist"):
        directory.app_role_assignment(made["id"], "resourceId", principal["id"])


def test_deleted_objects_count_toward_the_quota_for_thirty_days(directory: Directory) -> None:
    directory.policy.object_quota = 2
    made = application(directory)
    directory.create_service_principal({"appId": made["appId"]}, ME, [])
    directory.delete_application(made["id"], ME)
    with pytest.raises(GraphError, match="quota limit for the Principal") as caught:
        application(directory)
    assert (caught.value.status, caught.value.code) == (403, "Directory_QuotaExceeded")
    directory.create_application(PERSONAL, identity.ADMINISTRATOR_OBJECT_ID, [])
    directory.clock.set(datetime.now(UTC) + timedelta(days=31))
    application(directory)


def test_owners_are_limited_in_all_and_in_the_request_that_creates(directory: Directory) -> None:
    many = [directory.create_service_principal({"appId": application(directory)["appId"]}, ME, []) for _ in range(21)]
    ids = [principal["id"] for principal in many]
    with pytest.raises(GraphError, match="limit of '20' references"):
        directory.create_application(PERSONAL, ME, ids)
    made = directory.create_application(PERSONAL, ME, ids[:20])
    directory.state.owners[made["id"]] += [f"owner-{number}" for number in range(79)]
    with pytest.raises(GraphError, match="'101' would exceed the maximum quota count '100'"):
        directory.add_owner("applications", made["id"], ids[20], ME)
