"""The properties of application and service principal that this program does not declare: their administrators' own.

When the azuread provider changes an object, it sends every property that it knows, and empties those that the program
leaves out (recorded with azuread 6.10.0). A change that is ignored takes the value of the state instead, and since
every run refreshes first (`Pulumi.yaml`), that is the present one. So what people set by hand stays, on a created
application as on an adopted one. azuread does not send what it does not know (certificates, preauthorized
applications), or only what has changed (the logo).
"""

from __future__ import annotations

OF_APPLICATION = (
    "api.knownClientApplications",
    "api.mappedClaimsEnabled",
    "api.oauth2PermissionScopes",
    "appRoles",
    "description",
    "deviceOnlyAuthEnabled",
    "fallbackPublicClientEnabled",
    "groupMembershipClaims",
    "identifierUris",
    "marketingUrl",
    "notes",
    "oauth2PostResponseRequired",
    "optionalClaims",
    "privacyStatementUrl",
    "publicClient",
    "serviceManagementReference",
    "singlePageApplication",
    "supportUrl",
    "termsOfServiceUrl",
    "web.homepageUrl",
    "web.implicitGrant",
    "web.logoutUrl",
)
"""Those of an application, as azuread names them. With another name, the engine would ignore nothing, silently."""

OF_PRINCIPAL = (
    "alternativeNames",
    "appRoleAssignmentRequired",
    "description",
    "loginUrl",
    "notes",
    "notificationEmailAddresses",
    "preferredSingleSignOnMode",
    "samlSingleSignOn",
)
"""Those of a service principal."""

TOKEN_VERSION = "api.requestedAccessTokenVersion"
"""Declared; but see `MailApplication`."""
