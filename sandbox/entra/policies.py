"""The tenant's policies for applications' credentials and for users, in the shape in which Graph shows them. Pure.

Written by Microsoft Graph's documentation (`tenantAppManagementPolicy`, `passwordCredentialConfiguration`,
`authorizationPolicy`), not from recordings.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

Json = dict[str, Any]

DEFAULT_ID = "00000000-0000-0000-0000-000000000000"


def default_app_management_policy(longest: timedelta | None, forbidden: bool) -> Json:
    """The default policy of a tenant in which secrets may live so long (None: any time), or may not be made at all."""
    rules = []
    if forbidden:
        rules.append(_rule("passwordAddition", None))
    if longest is not None:
        rules.append(_rule("passwordLifetime", longest))
    return {
        "id": DEFAULT_ID,
        "displayName": "Default app management tenant policy",
        "description": "What holds for the credentials of all applications and service principals.",
        "isEnabled": bool(rules),
        "applicationRestrictions": {"passwordCredentials": rules, "keyCredentials": []},
        "servicePrincipalRestrictions": {"passwordCredentials": [], "keyCredentials": []},
    }


def authorization_policy() -> Json:
    """What users without a role may do: Graph's defaults, as far as they are about applications."""
    return {
        "id": "authorizationPolicy",
        "displayName": "Authorization Policy",
        "description": "What users may do in this tenant.",
        "defaultUserRolePermissions": {"allowedToCreateApps": True},
    }


def _rule(kind: str, longest: timedelta | None) -> Json:
    return {
        "restrictionType": kind,
        "state": "enabled",
        "maxLifetime": None if longest is None else f"PT{longest.total_seconds():.0f}S",
        "restrictForAppsCreatedAfterDateTime": None,
    }
