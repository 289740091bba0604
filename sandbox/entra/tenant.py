"""What one tenant holds, and what its administrator, or a bad day, imposes: plain data."""

from __future__ import annotations

import secrets as randomness
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from sandbox.entra import policies
from sandbox.entra.settling import Settling

Json = dict[str, Any]


@dataclass
class State:
    """All that one tenant holds. Objects have the shape in which Graph sends them."""

    applications: dict[str, Json] = field(default_factory=dict)
    servicePrincipals: dict[str, Json] = field(default_factory=dict)
    oauth2PermissionGrants: dict[str, Json] = field(default_factory=dict)
    deletedItems: dict[str, Json] = field(default_factory=dict)
    owners: dict[str, list[str]] = field(default_factory=dict)
    federatedIdentityCredentials: dict[str, list[Json]] = field(default_factory=dict)
    appRoleAssignments: dict[str, Json] = field(default_factory=dict)
    makers: dict[str, str] = field(default_factory=dict)
    secret_hashes: dict[str, str] = field(default_factory=dict)
    secret_times: dict[str, float] = field(default_factory=dict)
    signing_key: str = field(default_factory=lambda: randomness.token_hex(32))


@dataclass
class Policy:
    """What a tenant's administrator, or a bad day, imposes. Not saved: it ends with the process.

    maximum_secret_lifetime: tenant policy for application passwords. secrets_forbidden: the same, allows none at all.
    settling: how new applications, service principals and secrets reach the token endpoint.
    hidden_reads: how many reads and changes of each new object answer 404.
    consent: the policies by which users may consent.
    object_quota: how many objects a caller without an administrator's role may make; None: they are not counted.
    """

    maximum_secret_lifetime: timedelta | None = None
    secrets_forbidden: bool = False
    policy_id: str = "5d0f3c9e-0000-4000-8000-5a4db0c0ffee"
    settling: Settling = field(default_factory=Settling)
    hidden_reads: int = 0
    consent: tuple[str, ...] = policies.DEFAULT_CONSENT
    object_quota: int | None = None
