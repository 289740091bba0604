"""What is judged about the application in Entra ID, and the tenant's policy as Graph's client reads it."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioning.doctor import registration
from provisioning.doctor.account import Account
from provisioning.doctor.registration import Deployment
from provisioning.entra.app_policies import ADDITION, LIFETIME, Restriction, SecretPolicy
from provisioning.entra.client_secret_plan import why_invalid_policy
from provisioning.entra.registration import Registration
from provisioning.errors import DirectoryUnreadable
from provisioning.program.last_state import Application, Deployed
from provisioning.program.settings import Settings, validate

NOW = datetime(2026, 11, 21, tzinfo=UTC)
DEPLOYED = Deployment("object", "client", NOW + timedelta(days=100), NOW + timedelta(days=10))
SETTINGS = Settings(nocobaseUrl="https://n.example.com")
LONG_AGO = NOW - timedelta(days=1000)
STATE = Deployed(
    "prod",
    Application("client", "object", registration.declared_by(SETTINGS)),
    expires=DEPLOYED.expires,
    next_rotation=DEPLOYED.rotation,
)


def limit(days: int, since: datetime | None = None) -> Restriction:
    return Restriction(LIFETIME, timedelta(days=days), since)


@pytest.mark.parametrize(
    ("policy", "outcome"),
    [
        (SecretPolicy(()), "OK"),
        (SecretPolicy((limit(180),)), "OK"),
        (SecretPolicy((limit(179),)), "failed"),
        (SecretPolicy((limit(365), limit(90))), "failed"),
        (SecretPolicy((Restriction(ADDITION),)), "failed"),
        (SecretPolicy((Restriction("customPasswordAddition"),)), "OK"),
        (SecretPolicy((limit(90, since=NOW),)), "failed"),
        (SecretPolicy((limit(90, since=NOW),), created=NOW + timedelta(days=1)), "failed"),
        (SecretPolicy((limit(90, since=NOW),), created=LONG_AGO), "OK"),
        (SecretPolicy((Restriction(ADDITION, since=NOW),), created=LONG_AGO), "OK"),
    ],
)
def test_policies(policy: SecretPolicy, outcome: str) -> None:
    assert registration.judge_policy(policy, 180, 7).outcome == outcome


def test_the_remedy_for_a_lifetime_passes() -> None:
    policy = SecretPolicy((limit(90),))
    found = registration.judge_policy(policy, 180, 7)
    assert found.said == "the tenant's policy allows client secrets 90 days; declared are 180 days"
    assert "pulumi config set secretLifetimeDays 90" in str(found.remedy)
    assert "pulumi config set rotateEveryDays 45" in str(found.remedy)
    mended = Settings(nocobaseUrl="https://n.example.com", secretLifetimeDays=90, rotateEveryDays=45)
    assert registration.judge_policy(policy, mended.secret_lifetime_days, mended.retire_after_days).outcome == "OK"


@given(days=st.integers(2, 729), retire=st.integers(0, 364))
def test_the_remedy_for_any_lifetime_can_be_followed(days: int, retire: int) -> None:
    policy = SecretPolicy((limit(days),))
    remedy = str(registration.judge_policy(policy, 730, retire).remedy)
    told = dict(re.findall(r"pulumi config set (\w+) (\d+)", remedy))
    mended, problems = validate({"nocobaseUrl": "https://n.example.com", "retireAfterDays": str(retire), **told})
    assert mended is not None, problems
    durations = mended.secret_lifetime_days, mended.rotate_every_days, mended.retire_after_days
    assert why_invalid_policy(*durations) is None
    assert registration.judge_policy(policy, durations[0], durations[2]).outcome == "OK"
    assert durations[2] <= retire


@pytest.mark.parametrize("hours", [1, 24, 47])
def test_a_lifetime_in_which_nothing_can_be_rotated_is_told(hours: int) -> None:
    policy = SecretPolicy((Restriction(LIFETIME, timedelta(hours=hours)),))
    found = registration.judge_policy(policy, 180, 7)
    assert (found.outcome, "no time to rotate" in found.said) == ("failed", True)
    assert "config set" not in str(found.remedy)


def test_a_policy_that_may_not_be_read_is_a_warning_that_says_so() -> None:
    found = registration.judge_unreadable_policy(DirectoryUnreadable("x", "403 Authorization_RequestDenied"))
    assert found.outcome == "warning"
    assert "could not be read (403 Authorization_RequestDenied)" in found.said
    assert "Policy.Read.All" in str(found.remedy)


def test_deployments() -> None:
    assert registration.judge_state(STATE).value == DEPLOYED
    for state in (replace(STATE, application=None), replace(STATE, expires=None), replace(STATE, next_rotation=None)):
        undeployed = registration.judge_state(state)
        assert (undeployed.outcome, undeployed.remedy) == ("skipped", "pulumi up")


def test_registrations() -> None:
    declared = registration.declared_by(SETTINGS)
    found = Registration(**vars(declared), object_id="object", client_id="client", secrets=())
    assert registration.judge_registration(declared, found).outcome == "OK"
    assert registration.judge_registration(declared, None).outcome == "failed"
    other = replace(found, redirect_uris=frozenset(), audience="AzureADMyOrg")
    wrong = registration.judge_registration(declared, other)
    assert wrong.outcome == "failed"
    assert "redirect URI" in wrong.said
    assert "AzureADMyOrg" in wrong.said
    assert wrong.remedy == "pulumi up --refresh"


@pytest.mark.parametrize(("enabled", "outcome"), [(True, "OK"), (False, "failed"), (None, "failed")])
def test_service_principals(enabled: bool | None, outcome: str) -> None:
    assert registration.judge_principal(enabled).outcome == outcome


@pytest.mark.parametrize(
    ("application", "granted", "owners", "outcome"),
    [
        (True, "Application.ReadWrite.OwnedBy", {"me"}, "OK"),
        (True, "Application.ReadWrite.OwnedBy", {"other"}, "failed"),
        (True, "Application.ReadWrite.All", {"other"}, "warning"),
        (False, "Application.ReadWrite.All", set(), "warning"),
    ],
)
def test_owners(application: bool, granted: str, owners: set[str], outcome: str) -> None:
    account = Account("x", "me", "tenant", application, frozenset({granted}))
    found = registration.judge_owners(account, owners)
    assert found.outcome == outcome
    assert outcome == "OK" or "'owners[0]' me" in str(found.remedy)


@pytest.mark.parametrize(("days", "outcome"), [(0, "OK"), (10, "warning"), (99, "warning"), (100, "failed")])
def test_client_secrets(days: int, outcome: str) -> None:
    assert registration.judge_secret(DEPLOYED, NOW + timedelta(days=days)).outcome == outcome
