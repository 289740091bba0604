"""The company's rules, each with what it lets pass and what it refuses."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy import rules
from provisioning.entra.scopes import MICROSOFT_GRAPH, SCOPE_IDS

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
PROJECT = Path(__file__).parents[2]


def accesses(*scopes: str, api: str = MICROSOFT_GRAPH, kind: str = "Scope") -> dict[str, Any]:
    """An application's properties with these permissions."""
    wanted = [{"id": SCOPE_IDS.get(scope, scope), "type": kind} for scope in scopes]
    return {"requiredResourceAccesses": [{"resourceAppId": api, "resourceAccesses": wanted}]}


def test_the_pack_knows_the_scopes_of_the_program() -> None:
    assert rules.SCOPES == SCOPE_IDS
    assert rules.MICROSOFT_GRAPH == MICROSOFT_GRAPH


@pytest.mark.parametrize(
    ("properties", "allowed", "reason"),
    [
        ({"signInAudience": "AzureADMyOrg"}, ["AzureADMyOrg"], None),
        ({}, ["AzureADMyOrg"], None),
        ({}, ["AzureADMultipleOrgs"], "The audience AzureADMyOrg is not allowed; allowed: AzureADMultipleOrgs."),
        ({"signInAudience": "PersonalMicrosoftAccount"}, ["a", "AzureADMyOrg"], "allowed: AzureADMyOrg, a."),
        ({"signInAudience": "azureadmyorg"}, ["AzureADMyOrg"], "The audience azureadmyorg is not allowed"),
        ({"signInAudience": "AzureADMyOrg"}, [], "not allowed"),
    ],
)
def test_audience(properties: dict[str, Any], allowed: list[str], reason: str | None) -> None:
    expect(rules.audience_violations(properties, allowed), reason)


@pytest.mark.parametrize(
    ("properties", "reason"),
    [
        ({}, None),
        (accesses("email", "User.Read"), None),
        (accesses("email", "Mail.Read"), "The permission Mail.Read is not allowed."),
        (accesses("00000000-0000-0000-0000-000000000001"), "The permission 00000000-"),
        (accesses("email", kind="Role"), "only delegated ones"),
        (accesses("email", api="00000002-0000-0ff1-ce00-000000000000"), "A permission of the API 00000002-"),
    ],
)
def test_permissions(properties: dict[str, Any], reason: str | None) -> None:
    expect(rules.permission_violations(properties, ["email", "User.Read", "no such scope"]), reason)


def test_every_permission_that_is_refused_is_named() -> None:
    assert len(rules.permission_violations(accesses("Mail.Read", "Mail.Send", "email"), ["email"])) == 2


def test_consent_for_everybody() -> None:
    expect(rules.grant_violations({"claimValues": ["email"]}, ["email"]), None)
    expect(rules.grant_violations({"claimValues": ["email", "Mail.Read"]}, ["email"]), "Consent to Mail.Read")


@pytest.mark.parametrize(
    ("owners", "least", "reason"),
    [
        (["a", "b"], 2, None),
        (["a"], 1, None),
        (["a"], 2, "It has 1 owner; at least 2 are required. Name more of them in the stack's setting `owners`."),
        (["a", "a"], 2, "It has 1 owner;"),
        (None, 1, "It has 0 owners;"),
    ],
)
def test_owners(owners: list[str] | None, least: int, reason: str | None) -> None:
    expect(rules.owner_violations({"owners": owners}, least), reason)


@given(hours=st.integers(-24, 24 * 800), longest=st.integers(1, 730), declared=st.integers(0, 900))
def test_a_secrets_end_is_counted_from_now_whatever_beginning_is_declared(
    hours: int, longest: int, declared: int
) -> None:
    properties = {
        "endDate": (NOW + timedelta(hours=hours)).isoformat(),
        "startDate": (NOW + timedelta(days=declared)).isoformat(),
        "rotateWhenChanged": {"issued": (NOW + timedelta(days=declared)).isoformat()},
    }
    assert bool(rules.lifetime_violations(properties, longest, NOW)) is (hours > longest * 24)


def test_a_secret_without_an_end_that_is_a_date() -> None:
    expect(rules.lifetime_violations({}, 180, NOW), "needs an end")
    expect(rules.lifetime_violations({"endDateRelative": "24h"}, 180, NOW), "needs an end")


@pytest.mark.parametrize(
    ("kind", "properties", "reason"),
    [
        (rules.APPLICATION, {}, None),
        ("pulumi:pulumi:Stack", {}, None),
        (
            "azuread:index/servicePrincipalPassword:ServicePrincipalPassword",
            {},
            "does not need ServicePrincipalPassword",
        ),
        ("azuread:index/appRoleAssignment:AppRoleAssignment", {}, "does not need AppRoleAssignment"),
        (rules.APPLICATION, {"password": {"displayName": "inline"}}, "a resource of its own"),
        (rules.APPLICATION, {"passwords": [{"displayName": "inline"}]}, "a resource of its own"),
    ],
)
def test_other_ways_to_the_same_are_closed(kind: str, properties: dict[str, Any], reason: str | None) -> None:
    expect(rules.type_violations(kind, properties), reason)


def test_each_type_that_the_program_declares_is_known() -> None:
    source = (PROJECT / "provisioning" / "program" / "application.py").read_text()
    for kind in (rules.APPLICATION, rules.PRINCIPAL, rules.PASSWORD, rules.GRANT):
        assert f"azuread.{kind.rpartition(':')[2]}(" in source


def expect(reasons: list[str], words: str | None) -> None:
    """No reason, or one with these words."""
    assert len(reasons) == (0 if words is None else 1)
    assert words is None or words in reasons[0]
