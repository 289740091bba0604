"""What others could use in an application has a word of its own, which a person has to give."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from provisioning.adopt.plan import Adoption, Caller, InNocoBase, plan_adoption
from provisioning.entra.registration import Found, Owner
from provisioning.entra.scopes import MICROSOFT_GRAPH, SCOPE_IDS
from tests.provisioning.adopt.test_plan import CALLBACK, CALLER, COLLEAGUE, ME, NOW, TAG, URL, one, secret, settings

LATER, EARLIER = "2027-01-01T00:00:00Z", "2026-01-01T00:00:00Z"
EVIL = "https://nocobase.example.com.evil.example/callback"
OWNED = Found(one().application, (ME, COLLEAGUE), None, (), (Owner(COLLEAGUE, "Mallory", "user"),))


def plan(found: Found, there: InNocoBase | None = None, caller: Caller = CALLER, **config: object) -> Adoption:
    return plan_adoption(found, settings({"nocobaseUrl": URL, **config}), caller, stack_tag=TAG, now=NOW, there=there)


def kinds(made: Adoption) -> list[str]:
    """The kinds of its risks."""
    return [risk.word.rpartition("-")[0] for risk in made.risks]


def test_an_application_without_anything_of_others_has_no_risk() -> None:
    own = {"web": {"redirectUris": [CALLBACK, f"{URL}/else"]}, "passwordCredentials": [secret("old", EARLIER)]}
    made = plan(one(createdDateTime="2026-11-01T08:30:00+01:00", **own))
    assert made.risks == []
    assert made.origin == (
        f"The application was created on 2026-11-01 07:30 UTC, owned by {ME}. Adopt it only if you know who made it."
    )


def test_other_owners_are_named() -> None:
    made = plan(OWNED)
    assert f"owned by user Mallory ({COLLEAGUE}), {ME}" in made.origin
    (risk,) = made.risks
    assert f"user Mallory ({COLLEAGUE})" in risk.said
    assert kinds(made) == ["owners"]
    assert kinds(plan(OWNED, owners=[COLLEAGUE])) == []
    assert kinds(plan(replace(one(), principal={"id": ME}, principal_owners=(COLLEAGUE,)))) == ["owners"]


@pytest.mark.parametrize(
    "uri",
    [
        EVIL,
        "https://*.example.com/callback",
        "https://nocobase.example.com:8443/callback",
        "https://evil.example/?x=https://nocobase.example.com/",
    ],
)
@pytest.mark.parametrize("platform", ["web", "spa", "publicClient"])
def test_a_redirect_uri_that_leads_elsewhere(uri: str, platform: str) -> None:
    found = one(**{platform: {"redirectUris": [uri]}}, signInAudience="AzureADMultipleOrgs")
    assert kinds(plan(found)) == ["redirect-uris"]
    if platform == "web":
        assert kinds(plan(found, redirectUris=[uri], audience="AzureADMultipleOrgs")) == []


def test_a_scheme_of_a_program_with_the_host_of_nocobase_leads_elsewhere() -> None:
    assert kinds(plan(one(publicClient={"redirectUris": ["evil://nocobase.example.com/"]}))) == ["redirect-uris"]


def test_the_hosts_of_all_installations_are_the_stacks_own() -> None:
    further = [{"name": "second", "url": "https://second.example.com"}]
    found = one(web={"redirectUris": ["https://second.example.com/callback"]})
    assert kinds(plan(found, nocobaseInstallations=further)) == []
    assert kinds(plan(found)) == ["redirect-uris"]


@pytest.mark.parametrize(
    ("begins", "hints", "at_risk"),
    [
        ("abc", ["abc"], []),
        ("abc", ["xyz"], ["xyz"]),
        ("abc", ["abc", "xyz"], ["xyz"]),
        ("abc", ["abc", "abc"], ["abc", "abc"]),
        (None, ["abc"], []),
        (None, ["abc", "xyz"], ["abc", "xyz"]),
    ],
)
def test_a_client_secret_that_nocobase_does_not_explain(
    begins: str | None, hints: list[str], at_risk: list[str]
) -> None:
    secrets = [{**secret(hint, LATER), "keyId": f"{number}", "hint": hint} for number, hint in enumerate(hints)]
    found = one(signInAudience="AzureADMultipleOrgs", passwordCredentials=secrets)
    made = plan(found, InNocoBase(ME, None, begins))
    assert kinds(made) == (["credentials"] if at_risk else [])
    assert [f"client secret {hint} " in risk.said for risk in made.risks for hint in at_risk] == [True] * len(at_risk)
    # Of another application NocoBase's secret explains nothing.
    assert kinds(plan(found, InNocoBase(COLLEAGUE, None, begins))) == ["credentials"]


def test_certificates_and_federated_credentials() -> None:
    certificate = {"displayName": "CN=x", "keyId": "1"}
    assert kinds(plan(one(keyCredentials=[{**certificate, "endDateTime": EARLIER}]))) == []
    for living in (certificate, {**certificate, "endDateTime": LATER}):
        assert kinds(plan(one(keyCredentials=[living]))) == ["credentials"]
    trusted = {"name": "ci", "issuer": "https://token.example.com", "subject": "repo:x/y"}
    made = plan(replace(one(), federated_credentials=(trusted,)))
    assert 'federated credential ci of "repo:x/y" at https://token.example.com' in made.risks[0].said
    assert "federated credentials" in [line.property for line in made.lines]
    flexible = {**trusted, "subject": None, "claimsMatchingExpression": {"value": "claims['sub'] matches 'repo:x/*'"}}
    (risk,) = plan(replace(one(), federated_credentials=(flexible,))).risks
    assert "matches 'repo:x/*'" in risk.said


def test_permissions_that_mail_does_not_need() -> None:
    def asks(id_: str, kind: str) -> Found:
        access = [{"id": id_, "type": kind}]
        return one(requiredResourceAccess=[{"resourceAppId": MICROSOFT_GRAPH, "resourceAccess": access}])

    role, scope = asks(ME, "Role"), asks(SCOPE_IDS["Mail.ReadWrite"], "Scope")
    assert kinds(plan(role)) == ["permissions"]
    assert kinds(plan(role, furtherPermissions=[f"{MICROSOFT_GRAPH}/{ME}=Role"])) == []
    # `pulumi up` would consent to it, for everybody.
    assert [kinds(plan(scope)), kinds(plan(scope, consent="tenant"))] == [[], ["permissions"]]


@pytest.mark.parametrize(
    "open_",
    [
        {"web": {"implicitGrantSettings": {"enableAccessTokenIssuance": True}}},
        {"web": {"implicitGrantSettings": {"enableIdTokenIssuance": True}}},
        {"isFallbackPublicClient": True},
        {"api": {"oauth2PermissionScopes": [{"value": "read", "isEnabled": True}]}},
        {"api": {"preAuthorizedApplications": [{"appId": COLLEAGUE}]}},
    ],
)
def test_what_is_more_open_than_mail_needs(open_: dict[str, object]) -> None:
    assert kinds(plan(one(**open_))) == ["weaknesses"]


def test_a_word_accepts_nothing_that_came_later_and_nothing_elsewhere() -> None:
    def word(*uris: str, **application: object) -> str:
        (risk,) = plan(one(web={"redirectUris": list(uris)}, **application)).risks
        return risk.word

    another = "https://evil.example/x"
    assert word(EVIL, another) == word(another, EVIL)
    assert len({word(EVIL), word(EVIL, another), word(another), word(EVIL, appId=COLLEAGUE)}) == 4


def test_the_time_is_told_in_utc() -> None:
    made = plan(one(createdDateTime=datetime(2026, 1, 1, tzinfo=UTC).isoformat()))
    assert "created on 2026-01-01 00:00 UTC" in made.origin
