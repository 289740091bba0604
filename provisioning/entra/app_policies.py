"""The tenant's policy for applications' client secrets, as Microsoft Graph tells it. Pure, plain data.

Source: the documentation of Microsoft Graph, `tenantAppManagementPolicy` and `passwordCredentialConfiguration`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

ADDITION = "passwordAddition"
"""No new secret at all. `customPasswordAddition` is about values that the caller chooses: not so here."""

LIFETIME = "passwordLifetime"


@dataclass(frozen=True)
class Restriction:
    """One rule of a policy.

    kind: Graph's `restrictionType`. longest: how long a secret may live, of a rule about lifetimes. since: only
    applications created from then on are bound by it; None binds all.
    """

    kind: str
    longest: timedelta | None = None
    since: datetime | None = None


@dataclass(frozen=True)
class SecretPolicy:
    """What holds for an application. created: when it was created; None if it is not there yet."""

    restrictions: tuple[Restriction, ...]
    created: datetime | None = None


def why_secret_forbidden(policy: SecretPolicy, lifetime_days: int) -> str | None:
    """Why the policy refuses the application a client secret of `lifetime_days`."""
    created = policy.created
    bound = [rule for rule in policy.restrictions if rule.since is None or created is None or rule.since <= created]
    if any(rule.kind == ADDITION for rule in bound):
        return "forbids new client secrets"
    limits = [rule.longest for rule in bound if rule.kind == LIFETIME and rule.longest is not None]
    if limits and min(limits) < timedelta(days=lifetime_days):
        return f"allows client secrets {min(limits).days} days"
    return None
