"""The properties that this program does not declare, and which of them an adopted application may keep.

When the azuread provider changes an application or service principal, it sends every property that it knows, and
empties those that the program leaves out (recorded with azuread 6.10.0). The setting `keep` names those that stay as
they are in the stack's state instead. azuread does not change properties that it does not know (certificates,
preauthorized applications) or sends only if they are set (the logo).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

PRINCIPAL = "servicePrincipal."
"""How names of the service principal's properties begin in `keep`; the others are the application's."""

APPLICATION = {
    "api": "api",
    "appRoles": "appRoles",
    "description": "description",
    "deviceOnlyAuthEnabled": "isDeviceOnlyAuthSupported",
    "fallbackPublicClientEnabled": "isFallbackPublicClient",
    "groupMembershipClaims": "groupMembershipClaims",
    "identifierUris": "identifierUris",
    "marketingUrl": "info.marketingUrl",
    "notes": "notes",
    "oauth2PostResponseRequired": "oauth2RequirePostResponse",
    "optionalClaims": "optionalClaims",
    "privacyStatementUrl": "info.privacyStatementUrl",
    "publicClient": "publicClient.redirectUris",
    "serviceManagementReference": "serviceManagementReference",
    "singlePageApplication": "spa.redirectUris",
    "supportUrl": "info.supportUrl",
    "termsOfServiceUrl": "info.termsOfServiceUrl",
    "web.homepageUrl": "web.homePageUrl",
    "web.implicitGrant": "web.implicitGrantSettings",
    "web.logoutUrl": "web.logoutUrl",
}
"""azuread's name of each property of an application that may be kept → where Graph has it."""

SERVICE_PRINCIPAL = {
    "accountEnabled": "accountEnabled",
    "alternativeNames": "alternativeNames",
    "appRoleAssignmentRequired": "appRoleAssignmentRequired",
    "description": "description",
    "loginUrl": "loginUrl",
    "notes": "notes",
    "notificationEmailAddresses": "notificationEmailAddresses",
    "preferredSingleSignOnMode": "preferredSingleSignOnMode",
    "samlSingleSignOn": "samlSingleSignOnSettings.relayState",
}
"""The same of a service principal."""

PRINCIPAL_OWNERS = f"{PRINCIPAL}owners"
"""Without it, the service principal has the owners of the application."""

KEEPABLE = (*APPLICATION, *(f"{PRINCIPAL}{name}" for name in SERVICE_PRINCIPAL), PRINCIPAL_OWNERS)
"""What the setting `keep` may name."""

DECLARED = {"api": {"requestedAccessTokenVersion": 2}, "accountEnabled": True}
"""The values that the program or azuread's defaults set if a property is not kept, unless they are empty."""


def of_application(keep: Collection[str]) -> list[str]:
    """Those of `keep` that are the application's, as azuread names them."""
    return [name for name in keep if not name.startswith(PRINCIPAL)]


def of_principal(keep: Collection[str]) -> list[str]:
    """Those of `keep` that are the service principal's, as azuread names them."""
    return [name.removeprefix(PRINCIPAL) for name in keep if name.startswith(PRINCIPAL)]


def would_be_reset(item: Mapping[str, Any], paths: Mapping[str, str]) -> dict[str, Any]:
    """Property → value of `item`, an object as Graph sends it, for those that an update without `keep` would change."""
    values = {name: at(item, path) for name, path in paths.items()}
    return {name: value for name, value in values.items() if meaningful(value) != meaningful(DECLARED.get(name))}


def at(item: Mapping[str, Any], path: str) -> Any:
    """The value at a dotted path; None if there is none."""
    value: Any = item
    for part in path.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def meaningful(value: Any) -> Any:
    """`value` without the empty values of Graph's objects, at every depth: null, false, "", [] and {}."""
    if isinstance(value, Mapping):
        kept = {key: meaningful(inner) for key, inner in value.items() if key != "@odata.type"}
        return {key: inner for key, inner in kept.items() if inner is not None} or None
    return value or None
