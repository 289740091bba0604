"""The tenant's policies for applications' credentials and for users, in the shape in which Graph shows them. Pure.

Written by Microsoft Graph's documentation (`tenantAppManagementPolicy`, `passwordCredentialConfiguration`,
`authorizationPolicy`), not from recordings.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
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


FOR_THEMSELVES = "ManagePermissionGrantsForSelf."
LEGACY, RECOMMENDED = "microsoft-user-default-legacy", "microsoft-user-default-recommended"

DEFAULT_CONSENT = (
    f"{FOR_THEMSELVES}{RECOMMENDED}",
    f"{FOR_THEMSELVES}microsoft-user-default-allow-consent-apps",
    "ManagePermissionGrantsForOwnedResource.microsoft-dynamically-managed-permissions-for-chat",
    "ManagePermissionGrantsForOwnedResource.microsoft-dynamically-managed-permissions-for-team",
)
"""The consent policies of a new tenant."""

RECOMMENDED_EXCLUDES = re.compile(
    r"(EAS|EWS|IMAP|POP)\.AccessAsUser\.All|Mail\.Read.*|Mailbox(Settings|Item|Folder)\..*|Calendars\..*|Files\.Read.*"
)
"""Delegated permissions to which users may not consent under Microsoft's own policy, as far as mail may ask for them.
Source: https://learn.microsoft.com/entra/identity/enterprise-apps/manage-app-consent-policies (January 2026)."""


def users_may_consent(assigned: Sequence[str], scopes: Iterable[str]) -> bool:
    """Whether a user may consent to `scopes`, by the tenant's policies. Others than Microsoft's two let nobody here."""
    names = {name.removeprefix(FOR_THEMSELVES) for name in assigned if name.startswith(FOR_THEMSELVES)}
    excluded = any(RECOMMENDED_EXCLUDES.fullmatch(scope) for scope in scopes)
    return LEGACY in names or (RECOMMENDED in names and not excluded)


def authorization_policy(consent: Sequence[str]) -> Json:
    """What users without a role may do: Graph's defaults, as far as they are about applications."""
    return {
        "id": "authorizationPolicy",
        "displayName": "Authorization Policy",
        "description": "What users may do in this tenant.",
        "defaultUserRolePermissions": {"allowedToCreateApps": True, "permissionGrantPoliciesAssigned": list(consent)},
    }


def _rule(kind: str, longest: timedelta | None) -> Json:
    return {
        "restrictionType": kind,
        "state": "enabled",
        "maxLifetime": None if longest is None else f"PT{longest.total_seconds():.0f}S",
        "restrictForAppsCreatedAfterDateTime": None,
    }
