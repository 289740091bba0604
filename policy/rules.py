"""What a company demands of an application for mail: pure functions over what the engine is about to make.

Each takes the properties of one resource as azuread names them, and the company's configuration, and returns the
reasons why it is refused; none if there is nothing to object to. A property that is not known before a change is left
to the next look at it: the engine asks again when it is.
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
SCOPES: Mapping[str, str] = json.loads((Path(__file__).parent / "scopes.json").read_text())
"""Delegated permissions of Microsoft Graph: name → id. A copy of the program's file: the pack is published alone."""


def refuses_type(kind: str, properties: Mapping[str, Any]) -> list[str]:
    """Why a resource is refused for what it is: another way to a secret or a permission, past the rules below."""
    if kind.startswith("azuread:") and kind not in (APPLICATION, PRINCIPAL, PASSWORD, GRANT):
        return [f"The program has no need of {kind.rpartition(':')[2]} in Entra ID."]
    if kind == APPLICATION and (properties.get("password") or properties.get("passwords")):
        return ["A client secret has to be a resource of its own, not a property of the application."]
    return []


def refuses_audience(properties: Mapping[str, Any], allowed: Collection[str]) -> list[str]:
    """Why an application's audience is refused. Entra ID's own default is the home tenant."""
    audience = properties.get("signInAudience") or "AzureADMyOrg"
    if audience in allowed:
        return []
    return [f"The audience {audience} is not allowed; allowed: {', '.join(sorted(allowed))}."]


def refuses_permissions(properties: Mapping[str, Any], allowed: Collection[str]) -> list[str]:
    """Why an application's permissions are refused: only delegated ones of Microsoft Graph, by name in `allowed`."""
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


def refuses_grant(properties: Mapping[str, Any], allowed: Collection[str]) -> list[str]:
    """Why a consent for everybody in the tenant is refused."""
    asked = properties.get("claimValues") or []
    return [f"Consent to {name} is not allowed." for name in asked if name not in allowed]


def refuses_owners(properties: Mapping[str, Any], least: int) -> list[str]:
    """Why an application's or service principal's owners are refused: fewer than `least` different ones."""
    count = len(set(properties.get("owners") or []))
    if count >= least:
        return []
    return [f"It has {count} {'owner' if count == 1 else 'owners'}; at least {least} are needed (`owners`)."]


def refuses_lifetime(properties: Mapping[str, Any], longest_days: int, now: datetime) -> list[str]:
    """Why a client secret's end is refused: there is none, or it is further away than `longest_days` from `now`.

    Counted from now and not from a beginning that is declared, which could lie in the future.
    """
    end = properties.get("endDate")
    if not end:
        return ["A client secret needs an end that is a date (`endDate`)."]
    if datetime.fromisoformat(end) - now <= timedelta(days=longest_days):
        return []
    return [f"The client secret ends on {end[:10]}; more than {longest_days} days from now are not allowed."]
