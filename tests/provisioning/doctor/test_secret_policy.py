"""What the tenant's policy on client secrets means."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioning.doctor import secret_policy
from provisioning.entra.app_policies import ADDITION, LIFETIME, Restriction, SecretPolicy
from provisioning.entra.client_secret_plan import why_invalid_policy
from provisioning.errors import DirectoryUnreadable
from provisioning.program.settings import Settings
from provisioning.program.validation import validate

NOW = datetime(2026, 11, 21, tzinfo=UTC)
LONG_AGO = NOW - timedelta(days=1000)


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
    assert secret_policy.check_policy(policy, 180, 7).outcome == outcome


def test_the_remedy_for_a_lifetime_passes() -> None:
    policy = SecretPolicy((limit(90),))
    found = secret_policy.check_policy(policy, 180, 7)
    assert found.said == "the tenant's policy allows client secrets 90 days; declared are 180 days"
    assert "pulumi config set secretLifetimeDays 90" in str(found.remedy)
    assert "pulumi config set rotateEveryDays 45" in str(found.remedy)
    mended = Settings(nocobaseUrl="https://n.example.com", secretLifetimeDays=90, rotateEveryDays=45)
    assert secret_policy.check_policy(policy, mended.secret_lifetime_days, mended.retire_after_days).outcome == "OK"


@given(days=st.integers(2, 729), retire=st.integers(0, 364))
def test_the_remedy_for_any_lifetime_can_be_followed(days: int, retire: int) -> None:
    policy = SecretPolicy((limit(days),))
    remedy = str(secret_policy.check_policy(policy, 730, retire).remedy)
    told = dict(re.findall(r"pulumi config set (\w+) (\d+)", remedy))
    mended, problems = validate({"nocobaseUrl": "https://n.example.com", "retireAfterDays": str(retire), **told})
    assert mended is not None, problems
    durations = mended.secret_lifetime_days, mended.rotate_every_days, mended.retire_after_days
    assert why_invalid_policy(*durations) is None
    assert secret_policy.check_policy(policy, durations[0], durations[2]).outcome == "OK"
    assert durations[2] <= retire


@pytest.mark.parametrize("hours", [1, 12, 24, 47])
def test_a_lifetime_in_which_nothing_can_be_rotated_is_told(hours: int) -> None:
    policy = SecretPolicy((Restriction(LIFETIME, timedelta(hours=hours)),))
    found = secret_policy.check_policy(policy, 180, 7)
    assert (found.outcome, "no time to rotate" in found.said) == ("failed", True)
    assert f"allows client secrets {hours} hours;" in found.said
    assert "config set" not in str(found.remedy)


def test_a_policy_that_may_not_be_read_is_a_warning_that_says_so() -> None:
    found = secret_policy.check_unreadable_policy(DirectoryUnreadable("x", "403 Authorization_RequestDenied"))
    assert found.outcome == "warning"
    assert "could not be read (403 Authorization_RequestDenied)" in found.said
    assert "Policy.Read.All" in str(found.remedy)
