"""Which client secrets are to exist: a pure plan of the secret slots, from the last state and the date.

A secret's description and dates are settled when it is issued. As long as its slot holds it, the plan repeats them, so
that neither a later date nor a changed setting replaces a secret that is in use.
Today there is one slot, `a`, issued once; the second slot and the renewal belong here too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from enum import StrEnum


class Slot(StrEnum):
    """A place for one client secret; Entra allows an application for personal accounts two secrets."""

    A = "a"


@dataclass(frozen=True)
class IssuedSecret:
    """What was settled when a secret was issued.

    end_date: RFC 3339, in UTC, absolute: relative end dates of the azuread provider are unreliable (facts/entra.md).
    """

    display_name: str
    end_date: str


@dataclass(frozen=True)
class SecretPlan:
    """The secrets that are to exist, by slot, and the one that NocoBase is to use."""

    slots: Mapping[Slot, IssuedSecret]
    active: Slot


def plan_secrets(last: Mapping[Slot, IssuedSecret], now: datetime, description: str, lifetime_days: int) -> SecretPlan:
    """The secret that the last state holds, or a new one that ends `lifetime_days` days after 0:00 UTC today."""
    midnight = datetime.combine(now.astimezone(UTC).date(), time(), UTC)
    new = IssuedSecret(description, (midnight + timedelta(days=lifetime_days)).strftime("%Y-%m-%dT%H:%M:%SZ"))
    return SecretPlan(slots={Slot.A: last.get(Slot.A, new)}, active=Slot.A)


def secret_name(name: str, slot: Slot) -> str:
    """The resource name of the client secret in `slot` of the application resource called `name`."""
    return f"{name}-secret-{slot}"
