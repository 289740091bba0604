"""What a company requires of an application for mail: pure functions over what the engine is about to create.

Each takes the properties of one resource, as azuread names them, and the company's configuration, and returns the
violations as sentences. A property that is unknown in a preview passes: the engine checks again once it is known.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

APPLICATION = "azuread:index/application:Application"
PRINCIPAL = "azuread:index/servicePrincipal:ServicePrincipal"
PASSWORD = "azuread:index/applicationPassword:ApplicationPassword"
GRANT = "azuread:index/servicePrincipalDelegatedPermissionGrant:ServicePrincipalDelegatedPermissionGrant"

MICROSOFT_GRAPH = "00000003-0000-0000-c000-000000000000"
SCOPES: Mapping[str, str] = json.loads((Path(__file__).parent / "scopes.json").read_text(encoding="utf-8"))
"""Delegated permissions of Microsoft Graph: name → id. A copy of the program's file: the pack is published alone."""


def type_violations(kind: str, properties: Mapping[str, Any]) -> list[str]:
    """Resources that would allow a secret or a permission without the rules below."""
    if kind.startswith("azuread:") and kind not in (APPLICATION, PRINCIPAL, PASSWORD, GRANT):
        return [f"The program does not need {kind.rpartition(':')[2]} in Entra ID."]
    if kind == APPLICATION and (properties.get("password") or properties.get("passwords")):
        return ["A client secret has to be a resource of its own, not a property of the application."]
    return []


def audience_violations(properties: Mapping[str, Any], allowed: Collection[str]) -> list[str]:
    """An audience that is not allowed. Entra ID's default is the home tenant."""
    audience = properties.get("signInAudience") or "AzureADMyOrg"
    if audience in allowed:
        return []
    return [f"The audience {audience} is not allowed; allowed: {', '.join(sorted(allowed))}."]


def permission_violations(properties: Mapping[str, Any], allowed: Collection[str]) -> list[str]:
    """Permissions that are not allowed: all but delegated ones of Microsoft Graph with a name in `allowed`."""
    ids = {SCOPES[name]: name for name in allowed if name in SCOPES}
    names = {key: name for name, key in SCOPES.items()}
    reasons = []
    for resource in properties.get("requiredResourceAccesses") or []:
        for access in resource.get("resourceAccesses") or []:
            if resource.get("resourceAppId") != MICROSOFT_GRAPH:
                reasons.append(f"A permission of the API {resource.get('resourceAppId')} is not allowed.")
            elif access.get("type") != "Scope":
                reasons.append(f"The application permission {access.get('id')} is not allowed, only delegated ones.")
            elif access.get("id") not in ids:
                reasons.append(f"The permission {names.get(access.get('id'), access.get('id'))} is not allowed.")
    return reasons


def grant_violations(properties: Mapping[str, Any], allowed: Collection[str]) -> list[str]:
    """Scopes that a consent for the whole tenant must not have."""
    asked = properties.get("claimValues") or []
    return [f"Consent to {name} is not allowed." for name in asked if name not in allowed]


def owner_violations(properties: Mapping[str, Any], least: int) -> list[str]:
    """Fewer than `least` different owners of an application or service principal."""
    count = len(set(properties.get("owners") or []))
    if count >= least:
        return []
    has = f"It has {count} {'owner' if count == 1 else 'owners'}; at least {least} are required."
    return [f"{has} Name more of them in the stack's setting `owners`."]


def lifetime_violations(properties: Mapping[str, Any], longest_days: int, now: datetime) -> list[str]:
    """A client secret without an end date, or with one more than `longest_days` after `now`.

    The days count from now, not from the declared start, which could lie in the future.
    """
    end = properties.get("endDate")
    if not end:
        return ["A client secret needs an end that is a date (`endDate`)."]
    if datetime.fromisoformat(end) - now <= timedelta(days=longest_days):
        return []
    return [f"The client secret ends on {end[:10]}; more than {longest_days} days from now are not allowed."]
