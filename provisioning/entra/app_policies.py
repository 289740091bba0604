"""The tenant's policy for applications' client secrets, as Microsoft Graph returns it. Pure, plain data.

Source: the documentation of Microsoft Graph, `tenantAppManagementPolicy` and `passwordCredentialConfiguration`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

ADDITION = "passwordAddition"
"""Forbids every new secret. `customPasswordAddition` only forbids values that the caller chooses."""

LIFETIME = "passwordLifetime"


@dataclass(frozen=True)
class Restriction:
    """One rule of a policy.

    kind: Graph's `restrictionType`. longest: how long a secret may live, if the rule is about lifetimes. since: the
    rule applies to applications created from then on; None applies to all.
    """

    kind: str
    longest: timedelta | None = None
    since: datetime | None = None


@dataclass(frozen=True)
class SecretPolicy:
    """What applies to one application. created: when it was created; None if it does not exist yet."""

    restrictions: tuple[Restriction, ...]
    created: datetime | None = None


@dataclass(frozen=True)
class Forbidden:
    """Why a policy forbids a client secret. longest: how long one may live; None if every new one is forbidden."""

    reason: str
    longest: timedelta | None = None


def why_secret_forbidden(policy: SecretPolicy, lifetime_days: int) -> Forbidden | None:
    """Why the policy forbids the application a client secret of `lifetime_days`; None if it does not."""
    created = policy.created
    applied = [rule for rule in policy.restrictions if rule.since is None or created is None or rule.since <= created]
    if any(rule.kind == ADDITION for rule in applied):
        return Forbidden("forbids new client secrets")
    limits = [rule.longest for rule in applied if rule.kind == LIFETIME and rule.longest is not None]
    if limits and min(limits) < timedelta(days=lifetime_days):
        return Forbidden(f"allows client secrets {_in_words(min(limits))}", min(limits))
    return None


def _in_words(time: timedelta) -> str:
    """A time in whole days, or in hours if it is shorter than two days or no whole number of them."""
    hours = time / timedelta(hours=1)
    return f"{time.days} days" if time.days >= 2 and hours == 24 * time.days else f"{hours:g} hours"
