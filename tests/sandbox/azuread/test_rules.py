"""Check and Diff by tables of cases, where the recordings do not reach. No I/O."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.azuread import checking, diffing, schema, state, values
from sandbox.azuread.application_password import go_duration
from sandbox.azuread.graph import ProviderError

TYPES = schema.load()
APPLICATION = TYPES["azuread:index/application:Application"]
PRINCIPAL = TYPES["azuread:index/servicePrincipal:ServicePrincipal"]
PASSWORD = TYPES["azuread:index/applicationPassword:ApplicationPassword"]
GRANT = TYPES["azuread:index/servicePrincipalDelegatedPermissionGrant:ServicePrincipalDelegatedPermissionGrant"]
ID = "22222222-2222-2222-2222-222222222222"
WEB = "web.redirectUris"
ADD, ADD_REPLACE, DELETE, UPDATE, UPDATE_REPLACE = 0, 1, 2, 4, 5

Json = dict[str, Any]


@pytest.mark.parametrize(
    ("resource", "inputs", "expected"),
    [
        (APPLICATION, {"displayName": ""}, {"displayName": 'expected "display_name" to not be an empty string, got '}),
        (APPLICATION, {"displayName": 1}, {"displayName": "string required"}),
        (APPLICATION, {"displayName": "x", "owner": [ID]}, {"owner": "Invalid or unknown key"}),
        (APPLICATION, {"displayName": "x", "clientId": ID}, {"clientId": "unconfigurable"}),
        (APPLICATION, {"displayName": "x", "owners": [ID, "me"]},
         {"owners[1]": 'expected "owners.1" to be a valid UUID, got me'}),
        (APPLICATION, {"displayName": "x", "signInAudience": "All"}, {"signInAudience": "to be one of"}),
        (APPLICATION, {"displayName": "x", "api": {"requestedAccessTokenVersion": 3}},
         {"api.requestedAccessTokenVersion": "api.0.requested_access_token_version to be one of [1 2], got 3"}),
        (APPLICATION, {"displayName": "x", "api": {"requestedAccessTokenVersion": True}},
         {"api.requestedAccessTokenVersion": "int required"}),
        (APPLICATION, {"displayName": "x", "tags": ["a"], "featureTags": [{"hide": True}]},
         {"tags": "conflicts", "featureTags": "conflicts"}),
        (APPLICATION, {"displayName": "x", "logoImage": "aGk="}, {"logoImage": "install the official plugin"}),
        (PASSWORD, {"applicationId": ID}, {"applicationId": "ID of an application"}),
        (PASSWORD, {"applicationId": f"/applications/{ID}", "endDate": "2027-05-20"}, {"endDate": "RFC3339"}),
        (PASSWORD, {"applicationId": f"/applications/{ID}", "endDate": "2027-05-20T00:00:00Z", "endDateRelative": "1h"},
         {"endDate": "conflicts", "endDateRelative": "conflicts"}),
        (GRANT, {"claimValues": [], "servicePrincipalObjectId": ID, "resourceServicePrincipalObjectId": ID},
         {"claimValues": "minimum"}),
    ],
)  # fmt: skip
def test_check_names_what_is_wrong(resource: schema.ResourceType, inputs: Json, expected: dict[str, str]) -> None:
    found = checking.failures(resource, "mail", inputs)
    assert {failure.property for failure in found} == expected.keys()
    for failure in found:
        assert expected[failure.property] in failure.reason
        assert failure.reason.endswith(f"Examine values at 'mail.{failure.property}'.")


def test_what_is_missing_is_named() -> None:
    inputs = {"requiredResourceAccesses": [{"resourceAppId": ID}]}
    assert [failure.reason for failure in checking.failures(APPLICATION, "mail", inputs)] == [
        "Missing required property 'displayName'",
        "Missing required property 'requiredResourceAccesses[0].resourceAccesses'",
    ]


NO_HOST, NO_PATH, SCHEME = "URI has no host", "URI must have a trailing slash", "unexpected URI scheme"
LONGEST = "https://a.example.com/".ljust(256, "x")


@pytest.mark.parametrize(
    ("uri", "web", "spa", "public"),
    [
        ("https://a.example.com/x", None, None, None),
        ("https://a.example.com/", None, None, None),
        ("https://a.example.com", NO_PATH, NO_PATH, None),
        ("https://a.example.com?x=y", NO_PATH, NO_PATH, None),
        ("http://a.example.com/x#y", None, None, None),
        ("http://localhost", NO_PATH, NO_PATH, None),
        ("ms-appx-web://a.example.com/x", None, None, None),
        ("brk-multihub://a.example.com/x", None, None, None),
        ("myapp://auth/x", SCHEME, SCHEME, None),
        ("myapp://auth", NO_PATH, NO_PATH, None),
        ("myapp:/x", NO_HOST, NO_HOST, NO_HOST),
        ("a.example.com/x", NO_HOST, NO_HOST, NO_HOST),
        ("urn:ietf:wg:oauth:2.0:oob", None, NO_HOST, None),
        ("urn:ietf", NO_HOST, NO_HOST, NO_HOST),
        ("", "URI must not be empty", "URI must not be empty", "URI must not be empty"),
        (LONGEST, None, None, None),
        (f"{LONGEST}x", *["URI must be 256 characters or less"] * 3),
    ],
)
def test_check_of_redirect_uris(uri: str, web: str | None, spa: str | None, public: str | None) -> None:
    platforms = {"web": web, "singlePageApplication": spa, "publicClient": public}
    for platform, expected in platforms.items():
        found = checking.failures(APPLICATION, "mail", {"displayName": "x", platform: {"redirectUris": [uri]}})
        words = [failure.reason.partition(" for ")[0].partition(" when ")[0] for failure in found]
        assert words == ([] if expected is None else [expected])


@pytest.mark.parametrize(
    "inputs",
    [
        {"displayName": "x"},
        {"displayName": values.UNKNOWN, "owners": [values.UNKNOWN], "web": {"redirectUris": values.UNKNOWN}},
        {"displayName": "x", "web": {"redirectUris": ["https://a.example.com/x", "http://localhost:13000/x"]}},
        {"displayName": "x", "requiredResourceAccesses": values.UNKNOWN},
    ],
)
def test_check_accepts(inputs: Json) -> None:
    assert checking.failures(APPLICATION, "mail", inputs) == []


def test_defaults_are_filled_in_and_named_in_every_object() -> None:
    found = checking.with_defaults(
        APPLICATION.properties, {"displayName": "x", "api": {}, "web": {"implicitGrant": {}}}
    )
    assert found == {
        "__defaults": ["signInAudience"],
        "displayName": "x",
        "signInAudience": "AzureADMyOrg",
        "api": {"__defaults": ["requestedAccessTokenVersion"], "requestedAccessTokenVersion": 1},
        "web": {"__defaults": [], "implicitGrant": {"__defaults": []}},
    }


STATE: Json = {
    "displayName": "mail",
    "signInAudience": "AzureADMyOrg",
    "notes": "",
    "owners": [ID],
    "tags": ["a"],
    "api": {"requestedAccessTokenVersion": 2, "mappedClaimsEnabled": False, "knownClientApplications": None},
    "web": {"redirectUris": ["https://a.example.com/", "https://b.example.com/"], "homepageUrl": "", "logoutUrl": "",
            "implicitGrant": {"accessTokenIssuanceEnabled": False, "idTokenIssuanceEnabled": False}},
    "publicClient": {"redirectUris": []},
}  # fmt: skip
INPUTS: Json = {
    "displayName": "mail",
    "owners": [ID],
    "tags": ["a"],
    "api": {"requestedAccessTokenVersion": 2},
    "web": {"redirectUris": ["https://b.example.com/", "https://a.example.com/"]},
}


@pytest.mark.parametrize(
    ("change", "kinds"),
    [
        ({}, {}),
        ({"tags": None}, {}),
        ({"notes": ""}, {}),
        ({"notes": "x"}, {"notes": UPDATE}),
        ({"notes": values.UNKNOWN}, {"notes": ADD}),
        ({"displayName": values.UNKNOWN}, {"displayName": UPDATE}),
        ({"signInAudience": "AzureADMultipleOrgs"}, {"signInAudience": UPDATE}),
        ({"owners": None}, {"owners": DELETE}),
        ({"web": {"redirectUris": ["https://b.example.com/"]}}, {f"{WEB}[0]": DELETE}),
        ({"web": {"redirectUris": ["https://c.example.com/", "https://b.example.com/"]}}, {f"{WEB}[0]": UPDATE}),
        ({"web": {"redirectUris": []}}, {WEB: DELETE}),
        ({"web": None}, {"web": DELETE}),
        ({"publicClient": {"redirectUris": ["https://c.example.com/"]}}, {"publicClient.redirectUris": ADD}),
        ({"api": None}, {"api": DELETE}),
        ({"api": {"requestedAccessTokenVersion": 2, "mappedClaimsEnabled": True}},
         {"api.mappedClaimsEnabled": UPDATE}),
    ],
)  # fmt: skip
def test_diff_of_an_application(change: Json, kinds: dict[str, int]) -> None:
    news = {key: value for key, value in {**INPUTS, **change}.items() if value is not None}
    found = diffing.difference(APPLICATION, STATE, news)
    assert found.kinds == kinds
    assert found.changed == sorted({path.partition(".")[0].partition("[")[0] for path in kinds})
    assert found.replaces == []


@pytest.mark.parametrize(
    ("change", "kinds"),
    [
        ({"displayName": "b"}, {"displayName": UPDATE_REPLACE}),
        ({"endDateRelative": "240h"}, {"endDateRelative": ADD_REPLACE}),
        ({"applicationId": values.UNKNOWN}, {"applicationId": UPDATE_REPLACE}),
        ({"rotateWhenChanged": {"window": "1", "more": "2"}},
         {"rotateWhenChanged.window": UPDATE_REPLACE, "rotateWhenChanged.more": ADD_REPLACE}),
        ({"displayName": None}, {}),
    ],
)  # fmt: skip
def test_diff_of_a_password_always_replaces(change: Json, kinds: dict[str, int]) -> None:
    olds = {"applicationId": f"/applications/{ID}", "displayName": "a", "endDate": "2027-05-20T00:00:00Z",
            "rotateWhenChanged": {"window": "0"}, "endDateRelative": None}  # fmt: skip
    news = {key: value for key, value in {**olds, **change}.items() if value is not None}
    found = diffing.difference(PASSWORD, olds, news)
    assert found.kinds == kinds
    assert found.replaces == found.changed
    assert not set(found.stables) & set(found.changed)


@given(
    olds=st.fixed_dictionaries(
        {
            "displayName": st.text(min_size=1),
            "notes": st.text(),
            "owners": st.lists(st.uuids().map(str), unique=True),
            "tags": st.lists(st.text(), unique=True),
            "deviceOnlyAuthEnabled": st.booleans(),
        }
    ),
    order=st.randoms(),
)
def test_state_given_as_inputs_is_no_difference_in_any_order(olds: Json, order: Any) -> None:
    news = {key: order.sample(value, len(value)) if isinstance(value, list) else value for key, value in olds.items()}
    assert diffing.difference(APPLICATION, {**olds, "signInAudience": "AzureADMyOrg"}, news).kinds == {}


@given(st.recursive(
    st.none() | st.booleans() | st.integers(-(2**50), 2**50) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
))  # fmt: skip
def test_wire_format_round_trip(value: Any) -> None:
    assert values.read(values.write({"value": value})) == {"value": value}
    assert values.read(values.write({"value": values.secret(value)})) == {"value": value}


def test_preview_of_a_creation_leaves_open_what_graph_decides() -> None:
    planned = state.planned_creation(PASSWORD, {"__defaults": [], "applicationId": values.UNKNOWN, "displayName": "a"})
    assert planned["displayName"] == "a"
    assert {name for name, value in planned.items() if value == values.UNKNOWN} == {
        "id", "applicationId", "endDate", "keyId", "startDate", "value",
    }  # fmt: skip


def test_preview_of_an_update_keeps_what_graph_decided() -> None:
    planned = state.planned_update(
        APPLICATION, {**STATE, "clientId": ID, "notes": "old"}, {**INPUTS, "displayName": "new"}
    )
    assert (planned["displayName"], planned["clientId"], planned["notes"]) == ("new", ID, "")
    assert planned["web"]["implicitGrant"] == STATE["web"]["implicitGrant"]


@pytest.mark.parametrize(("text", "hours"), [("240h", 240.0), ("2400h30m", 2400.5), ("1.5h", 1.5), ("90s", 0.025)])
def test_go_durations(text: str, hours: float) -> None:
    assert go_duration(text).total_seconds() == hours * 3600


@pytest.mark.parametrize("text", ["", "240", "h", "1d", "1h-"])
def test_what_is_no_go_duration(text: str) -> None:
    with pytest.raises(ProviderError, match="as a duration"):
        go_duration(text)
