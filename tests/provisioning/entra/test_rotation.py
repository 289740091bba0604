"""The plan of the secret slots."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioning.entra.rotation import IssuedSecret, Slot, plan_secrets

OLD = IssuedSecret("first", "2026-12-01T00:00:00Z")


@pytest.mark.parametrize(
    ("now", "days", "end"),
    [
        (datetime(2026, 11, 21, tzinfo=UTC), 180, "2027-05-20T00:00:00Z"),
        (datetime(2026, 11, 21, 23, 59, tzinfo=UTC), 1, "2026-11-22T00:00:00Z"),
        (datetime(2026, 11, 21, 23, tzinfo=timezone(timedelta(hours=-5))), 1, "2026-11-23T00:00:00Z"),
        (datetime(2028, 2, 28, tzinfo=UTC), 730, "2030-02-27T00:00:00Z"),
    ],
)
def test_a_first_secret_has_an_absolute_end_date(now: datetime, days: int, end: str) -> None:
    plan = plan_secrets({}, now, "mail", days)
    assert plan.slots == {Slot.A: IssuedSecret("mail", end)}
    assert plan.active == Slot.A


@given(st.datetimes(min_value=datetime(2020, 1, 1), max_value=datetime(2050, 1, 1)), st.text(), st.integers(1, 730))
def test_neither_time_nor_settings_change_an_issued_secret(now: datetime, description: str, days: int) -> None:
    plan = plan_secrets({Slot.A: OLD}, now.replace(tzinfo=UTC), description, days)
    assert plan.slots == {Slot.A: OLD}
