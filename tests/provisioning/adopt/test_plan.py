"""The plan of an adoption: whatever is there is kept by a setting, told as a loss, or refused."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioning.addresses import comparable
from provisioning.adopt.next_run import next_run
from provisioning.adopt.plan import Adoption, Caller, InNocoBase, find_candidates, plan_adoption
from provisioning.entra.ownership import name_taken
from provisioning.entra.permissions import Permission
from provisioning.entra.registration import Candidate, Found
from provisioning.entra.rules import Audience, why_invalid_audience, why_invalid_redirect_uri
from provisioning.entra.scopes import MICROSOFT_GRAPH, SCOPE_IDS
from provisioning.errors import AdoptionRejected
from provisioning.foreign import quoted
from provisioning.nocobase.sign_in_link import SignIn
from provisioning.program.settings import Settings
from provisioning.program.validation import validate as validate_settings

NOW = datetime(2026, 11, 21, tzinfo=UTC)
TAG = "pulumi:organization/nocobase-outlook/prod"
ME, COLLEAGUE = "00000000-0000-0000-0000-00000000000a", "00000000-0000-0000-0000-00000000000b"
TENANT = "00000000-0000-0000-0000-0000000000aa"
CALLER = Caller(ME, TENANT)
EXCHANGE = "00000002-0000-0ff1-ce00-000000000000"
URL = "https://nocobase.example.com"
ANOTHER = "0a1b2c3d-0000-4000-8000-0000000000ee"
CALLBACK = f"{URL}/admin/settings/mail/oauth2"
CALLBACK_3 = f"{URL}/mail/oauth/callback"

ids = st.uuids().map(str)
access = st.fixed_dictionaries(
    {"id": st.one_of(st.sampled_from(sorted(SCOPE_IDS.values())), ids), "type": st.sampled_from(["Scope", "Role"])}
)
addresses = st.sampled_from(
    [
        "https://a.example.com/x",
        "https://b.example.com",
        "http://localhost:8000/cb",
        "https://*.example.com",
        "https://*.example.com/callback",
        "https://CRM.example.com:443/callback",
        f"{URL}/x",
    ]
)
applications = st.fixed_dictionaries(
    {
        "id": ids,
        "appId": ids,
        "displayName": st.text("abc ", min_size=1, max_size=9).filter(str.strip),
        "signInAudience": st.sampled_from([one for one in Audience if not why_invalid_audience(one)]).map(str),
        "tags": st.lists(st.sampled_from(["mail", "crm", TAG]), unique=True),
        "web": st.fixed_dictionaries(
            {
                "redirectUris": st.lists(addresses, unique=True),
                "logoutUrl": st.sampled_from([None, "https://out.example.com"]),
            }
        ),
        "requiredResourceAccess": st.lists(
            st.fixed_dictionaries(
                {
                    "resourceAppId": st.sampled_from([MICROSOFT_GRAPH, EXCHANGE]),
                    "resourceAccess": st.lists(access, max_size=4),
                }
            ),
            max_size=3,
        ),
        "notes": st.sampled_from([None, "", "do not delete"]),
        "appRoles": st.sampled_from([[], [{"id": ME, "value": "reader"}]]),
        "api": st.fixed_dictionaries({"requestedAccessTokenVersion": st.sampled_from([None, 1, 2])}),
        "optionalClaims": st.sampled_from([None, {"idToken": []}, {"idToken": [{"name": "email"}]}]),
    }
)
principals = st.none() | st.fixed_dictionaries(
    {"id": ids, "accountEnabled": st.just(True), "appRoleAssignmentRequired": st.booleans()}
)
owners = st.lists(st.sampled_from([ME, COLLEAGUE]), unique=True).map(tuple)
found = st.builds(Found, applications, owners, principals, owners)


def settings(config: Mapping[str, object]) -> Settings:
    """Settings from a configuration, as the engine hands it over."""
    given = {key: value if isinstance(value, str) else json.dumps(value) for key, value in config.items()}
    valid, problems = validate_settings(given)
    assert valid is not None, problems
    return valid


def plan(there: Found, **config: object) -> Adoption:
    return plan_adoption(there, settings({"nocobaseUrl": URL, **config}), CALLER, TAG, NOW)


def plan_beside(in_nocobase: InNocoBase, there: Found) -> Adoption:
    """The same where NocoBase holds something."""
    return plan_adoption(there, settings({"nocobaseUrl": URL}), CALLER, stack_tag=TAG, now=NOW, there=in_nocobase)


def permissions(application: Mapping[str, Any]) -> set[Permission]:
    return {
        Permission(api["resourceAppId"], item["id"], item["type"])
        for api in application["requiredResourceAccess"]
        for item in api["resourceAccess"]
    }


@given(found)
def test_what_is_there_is_declared_kept_or_told_as_a_loss_and_a_second_plan_has_nothing_to_add(there: Found) -> None:
    made = plan(there)
    after = settings({"nocobaseUrl": URL, **made.config})
    application = there.application
    assert after.application_name == application["displayName"]
    assert after.audience == application["signInAudience"]
    lost = [uri for uri in application["web"]["redirectUris"] if why_invalid_redirect_uri(uri, after.audience)]
    # A spelling of its own stays: `redirect_uri_plan`.
    assert set(map(comparable, set(application["web"]["redirectUris"]) - set(lost))) <= set(after.redirect_uris)
    assert all(any(uri in loss for loss in made.losses) for uri in lost)
    assert len(made.losses) == len(lost)
    assert f"{URL}/admin/settings/mail/oauth2" in after.redirect_uris
    assert permissions(application) <= set(after.permissions)
    assert set(application["tags"]) <= {TAG, *after.tags}
    assert set(there.owners) <= {ME, *after.owners}
    assert plan(there, **made.config).config == {}


def one(**application: object) -> Found:
    """An application with little in it."""
    plain = {"appId": ME, "displayName": "mail", "signInAudience": "AzureADandPersonalMicrosoftAccount"}
    return Found({**plain, **application}, (ME,), None, ())


def secret(name: str, end: str) -> dict[str, str]:
    return {"keyId": f"key of {name}", "displayName": name, "endDateTime": end}


def test_two_secrets_leave_no_room_where_personal_accounts_may_sign_in() -> None:
    two = [secret("old", "2026-01-01T00:00:00Z"), secret("new", "2027-01-01T00:00:00Z")]
    with pytest.raises(AdoptionRejected) as refusal:
        plan(one(passwordCredentials=two))
    assert 'old ("key of old"), expired on 2026-01-01' in str(refusal.value)
    assert 'new ("key of new"), ends on 2027-01-01' in str(refusal.value)
    assert plan(one(passwordCredentials=two, signInAudience="AzureADMultipleOrgs")).warnings == []
    (warning,) = plan(one(passwordCredentials=two[1:])).warnings
    assert "the next rotation will fail" in warning


def test_an_audience_that_nocobase_does_not_serve_is_kept_and_named() -> None:
    made = plan(one(signInAudience="AzureADMyOrg"))
    assert made.config["audience"] == "AzureADMyOrg"
    (warning,) = made.warnings
    assert warning.startswith("With the audience as it is, `pulumi up` will fail.")
    assert warning.endswith("pulumi config set audience AzureADMultipleOrgs")


def test_an_audience_that_no_stack_may_have_is_not_adopted() -> None:
    with pytest.raises(AdoptionRejected, match=r"audience PersonalMicrosoftAccount.*Nothing was changed"):
        plan(one(signInAudience="PersonalMicrosoftAccount"))


@pytest.mark.parametrize(
    ("audience", "page", "words"),
    [
        ("AzureADMyOrg", TENANT, None),
        ("AzureADMyOrg", "common", "This NocoBase does not serve this audience: its sign-in link is for 'common'"),
        (
            "AzureADMultipleOrgs",
            "consumers",
            "This NocoBase does not serve this audience: its sign-in link is for 'consumers'",
        ),
        ("AzureADMyOrg", None, "NocoBase 2 does not serve this audience: its sign-in link is for 'common'"),
    ],
)
def test_the_link_of_the_stacks_own_nocobase_counts(audience: str, page: str | None, words: str | None) -> None:
    link = SignIn(None, CALLBACK if page else None, (), page)
    warnings = plan_beside(InNocoBase(ANOTHER, link), one(signInAudience=audience)).warnings
    assert warnings[-1].startswith(f"NocoBase holds the credentials of another application ({ANOTHER})")
    assert [warning for warning in warnings if "sign-in link" in warning] == ([] if words is None else warnings[:1])
    assert words is None or words in warnings[0]


@pytest.mark.parametrize(
    ("audience", "page", "after"),
    [
        ("AzureADMyOrg", TENANT.upper(), None),
        ("AzureADMyOrg", "common", TENANT),
        ("AzureADMyOrg", None, None),
        ("AzureADMultipleOrgs", TENANT, "organizations"),
    ],
)
def test_a_nocobase_3_is_given_the_page_of_the_audience(audience: str, page: str | None, after: str | None) -> None:
    link = SignIn(None, CALLBACK_3 if page else None, (), page)
    stack = settings({"nocobaseUrl": URL, "nocobaseConfigFile": "/srv/config.yml"})
    there = InNocoBase(None, link)
    warnings = plan_adoption(one(signInAudience=audience), stack, CALLER, stack_tag=TAG, now=NOW, there=there).warnings
    told = f"NocoBase's sign-in page is that of {page}; `pulumi up` makes it that of {after}"
    assert [told in warning for warning in warnings] == ([True] if after else [])


def test_a_nocobase_3_may_have_the_application_under_another_name() -> None:
    stack = settings({"nocobaseUrl": URL, "nocobaseConfigFile": "/srv/config.yml"})
    found = one()
    client_id = str(found.application["appId"])
    for name, remedy in (("office", "belong: pulumi config set nocobaseMailProvider office"), ("o; rm", "belong.")):
        there = InNocoBase(None, None, None, {"other": ANOTHER, name: client_id})
        (warning,) = plan_adoption(found, stack, CALLER, stack_tag=TAG, now=NOW, there=there).warnings
        assert warning.endswith(remedy)
    assert (
        plan_adoption(
            found, stack, CALLER, stack_tag=TAG, now=NOW, there=InNocoBase(None, None, None, {"other": ANOTHER})
        ).warnings
        == []
    )


def test_a_link_with_another_redirect_uri_is_told() -> None:
    elsewhere = "https://mail.example.com/admin/settings/mail/oauth2"
    link = SignIn("client", elsewhere, (), "common")
    (warning,) = plan_beside(InNocoBase(None, link), one()).warnings
    assert f"it sends users back to {elsewhere}" in warning
    # The application has it already, and so will the stack.
    assert plan_beside(InNocoBase(None, link), one(web={"redirectUris": [elsewhere]})).warnings == []


@pytest.mark.parametrize("platform", ["spa", "publicClient"])
@pytest.mark.parametrize("others", [[], ["https://spa.example.com/"]])
def test_a_redirect_uri_of_another_platform_has_to_be_moved_first(platform: str, others: list[str]) -> None:
    with pytest.raises(AdoptionRejected, match=r"takes a URI for one platform only.*Nothing was changed\.$"):
        plan(one(**{platform: {"redirectUris": [*others, CALLBACK]}}))


def test_another_redirect_uri_of_another_platform_stays() -> None:
    made = plan(one(spa={"redirectUris": ["https://spa.example.com/callback"]}))
    assert (made.warnings, made.losses) == ([], [])
    (risk,) = made.risks
    assert "https://spa.example.com/callback" in risk.said


def test_an_application_that_is_deactivated_is_said_and_stays_so() -> None:
    (warning,) = plan(one(isDisabled=True)).warnings
    assert "deactivated by an owner" in warning
    (warning,) = plan(one(disabledByMicrosoftStatus="DisabledDueToViolationOfServicesAgreement")).warnings
    assert "by Microsoft (DisabledDue" in warning
    assert plan(one(disabledByMicrosoftStatus="NotDisabled")).warnings == []


def test_a_service_principal_that_somebody_has_disabled_is_not_enabled_in_passing() -> None:
    disabled = Found(one().application, (ME,), {"id": ME, "accountEnabled": False}, (ME,))
    with pytest.raises(AdoptionRejected, match=r"AADSTS7000112.*Ask who disabled it.*Nothing was changed\.$"):
        plan(disabled)


def test_secrets_of_a_lost_state_are_not_taken_for_orphans() -> None:
    left = secret("NocoBase mail a 2026-08-01", "2027-01-01T00:00:00Z")
    described = plan(one(passwordCredentials=[left])).config["secretDescription"]
    assert described == "NocoBase mail (since 2026-11-21)"
    assert "secretDescription" not in plan(one(passwordCredentials=[left]), secretDescription=described).config


def test_whoever_is_no_owner_is_told_the_command() -> None:
    there = Found(one().application, (COLLEAGUE,), None, ())
    made = plan(there)
    assert made.config["owners"] == [COLLEAGUE]
    (warning,) = made.warnings
    assert f"az ad app owner add --id {ME} --owner-object-id {ME}" in warning


def test_an_application_of_another_stack_is_refused() -> None:
    with pytest.raises(AdoptionRejected, match=r"belongs to another stack.*pulumi:organization/nocobase-outlook/dev"):
        plan(one(tags=["pulumi:organization/nocobase-outlook/dev"]))


def test_candidates_are_those_with_something_in_common_the_likeliest_first() -> None:
    known = [
        Candidate("1", "NOCOBASE mail", (), ()),
        Candidate("2", "x", (URL,), ("pulumi:o/p/s",)),
        Candidate("3", "NocoBase mail", (URL,), ()),
        Candidate("4", "else", (), ()),
        Candidate("5", "Mail of NocoBase (test)", (), ()),
        Candidate("6", "NocoBase", (), ()),
    ]
    candidates = find_candidates(known, "NocoBase mail", [URL], "2")
    assert [(item.client_id, item.why, item.stack) for item in candidates] == [
        ("3", "redirect URI, same name", None),
        ("2", "NocoBase has its client ID, redirect URI", "o/p/s"),
        ("1", "same name", None),
        ("5", "part of its name", None),
    ]
    assert [item.client_id for item in find_candidates(known, "nocob", [], None)] == ["5", "6", "1", "3"]
    assert find_candidates(known, " ", [], None) == []


def test_what_the_next_run_does_is_said_before() -> None:
    used = InNocoBase("0a1b2c3d-0000-4000-8000-000000000001")
    there = one(appId=used.client_id, web={"redirectUris": ["https://old.example.com/cb"]})
    there = replace(there, principal={"id": ME, "accountEnabled": True})
    said = next_run(plan_beside(used, there), there)
    assert said[0].startswith(f"It adds to redirectUris: {CALLBACK}")
    assert said[-2].endswith("gives it to NocoBase, in place of the one that it has, which stays valid.")
    assert said[-1] == "It leaves everything else in the application as it is."
    assert not [sentence for sentence in said if "service principal" in sentence]
    without = next_run(plan(replace(there, principal=None)), replace(there, principal=None))
    assert "It creates the service principal, which is missing." in without
    assert "It issues a client secret of this stack's own and gives it to NocoBase." in without


def test_only_namesakes_that_no_stack_made_are_in_the_way() -> None:
    assert name_taken("mail", [Candidate("1", "mail", (), ("pulumi:o/p/s",))]) is None
    first = "5d0e3c4f-6a6b-4f0c-9f52-1f2c1c0b7a11"
    objection = name_taken("mail", [Candidate(first, "mail", (), ()), Candidate("2", "mail", (), ("x",))])
    told = f"client ID {first}, created at an unknown time, of unknown owners, client ID 2,.*sameName allow"
    assert re.search(f"{told}.*Only if you know who made it, adopt it: .* adopt {first}$", str(objection))


@pytest.mark.parametrize(
    ("platform", "address", "reason"),
    [
        ("spa", "https://spa.example.com", "After the host a path"),
        ("spa", "myapp://auth/", "Only these schemes"),
        ("publicClient", "myapp:/callback", "A host is required"),
        ("publicClient", "https://example.com", None),
        ("publicClient", "urn:ietf:wg:oauth:2.0:oob", None),
    ],
)
def test_addresses_that_the_provider_would_reject_in_each_run_are_corrected_first(
    platform: str, address: str, reason: str | None
) -> None:
    there = one(**{platform: {"redirectUris": ["https://spa.example.com/", address]}})
    if reason is None:
        assert plan(there).losses == []
        return
    with pytest.raises(AdoptionRejected, match=re.escape(f"{quoted(address)}: {reason}")):
        plan(there)
