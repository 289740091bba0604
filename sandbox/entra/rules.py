"""What Entra ID rejects in an application, as pure checks. Raises graph_errors.GraphError; changes nothing.

Sources: https://learn.microsoft.com/entra/identity-platform/supported-accounts-validation (limits by audience),
https://learn.microsoft.com/entra/identity-platform/reply-url (redirect URIs),
https://learn.microsoft.com/graph/api/resources/federatedidentitycredential, and recorded answers.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from sandbox.entra import claims_expression
from sandbox.entra.graph_errors import GraphError, bad_request, conflict, invalid_property, too_many_owners

Json = dict[str, Any]

AUDIENCES = frozenset(
    {
        "AzureADMyOrg",
        "AzureADMultipleOrgs",
        "AzureADandPersonalMicrosoftAccount",
        "PersonalMicrosoftAccount",
    }
)
PERSONAL_AUDIENCES = frozenset({"AzureADandPersonalMicrosoftAccount", "PersonalMicrosoftAccount"})
PERSONAL_SECRET_LIMIT = 2
PERSONAL_NAME_LIMIT = 90
PERSONAL_PERMISSION_LIMIT = 30
PERSONAL_REDIRECT_LIMIT = 100
NAME_LIMIT = 120
REDIRECT_LIMIT = 256
REDIRECT_LENGTH = 256
PLATFORMS = ("web", "spa", "publicClient")
LOOPBACK = frozenset({"localhost", "127.0.0.1"})
"""Where plain http is allowed. Of IPv6's own loopback address the documentation says that it is not supported."""
NOT_IN_REDIRECT_URIS = frozenset("!$'(),;")
TOKEN_VERSIONS = (None, 1, 2)
RESOURCE_LIMIT = 50
PERMISSION_LIMIT, PERSONAL_PERMISSION_TOTAL = 400, 200
TAG_LENGTH = 256
OWNER_LIMIT = 100
BIND_LIMIT = 20
FEDERATED_LIMIT = 20
FEDERATED_LENGTH = 600
EXPRESSION_LANGUAGE = 1
FEDERATED_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{2,119}")


def is_personal(application: Json) -> bool:
    """Whether personal Microsoft accounts may sign in, which brings stricter limits."""
    return application.get("signInAudience") in PERSONAL_AUDIENCES


def check_application(application: Json) -> None:
    """Reject an application (as it would be after the change) that Entra ID would reject."""
    name = application.get("displayName")
    if not isinstance(name, str) or not name:
        raise invalid_property("displayName", "Application")
    if len(name) > (PERSONAL_NAME_LIMIT if is_personal(application) else NAME_LIMIT):
        raise invalid_property("displayName", "Application")
    if application.get("signInAudience") not in AUDIENCES:
        raise invalid_property("signInAudience", "Application")
    if (application.get("api") or {}).get("requestedAccessTokenVersion") not in TOKEN_VERSIONS:
        raise bad_request("Property api.requestedAccessTokenVersion is invalid.")
    check_permissions(application.get("requiredResourceAccess") or [], personal=is_personal(application))
    check_tags(application.get("tags") or [])
    addresses = {platform: (application.get(platform) or {}).get("redirectUris") or [] for platform in PLATFORMS}
    for platform, uris in addresses.items():
        check_redirect_uris(uris, platform, personal=is_personal(application))
    check_platforms(addresses)
    if is_personal(application):
        check_personal(application)


def check_personal(application: Json) -> None:
    """The limits that hold for the personal audiences only."""
    version = (application.get("api") or {}).get("requestedAccessTokenVersion")
    if version != 2:
        raise bad_request("Property api.requestedAccessTokenVersion is invalid.")
    if len(application.get("passwordCredentials") or []) > PERSONAL_SECRET_LIMIT:
        raise too_many_secrets()


def check_entitlements(before: Json, after: Json) -> None:
    """Reject a change that removes or alters app roles or exposed scopes while they are enabled.

    Source: azuread's own handling of this answer, internal/services/applications/applications.go.
    """
    for old, new in zip(_entitlements(before), _entitlements(after), strict=True):
        remaining = {item.get("id"): item for item in new}
        for item in old:
            kept = remaining.get(item.get("id"))
            if item.get("isEnabled") and (kept is None or any(item.get(key) != kept.get(key) for key in ALTERED)):
                message = "Permission (scope or role) cannot be deleted or updated unless disabled first."
                raise GraphError(400, "CannotDeleteOrUpdateEnabledEntitlement", message)


ALTERED = ("value", "allowedMemberTypes")
"""What makes an app role or a scope another one."""


def _entitlements(application: Json) -> tuple[list[Json], list[Json]]:
    api = application.get("api") or {}
    return application.get("appRoles") or [], api.get("oauth2PermissionScopes") or []


def check_permissions(resources: list[Json], *, personal: bool) -> None:
    """Reject more resources, or more permissions of one or all of them, than an application may declare."""
    counts = [len(resource.get("resourceAccess") or []) for resource in resources]
    too_many_of_one = personal and any(count > PERSONAL_PERMISSION_LIMIT for count in counts)
    total = PERSONAL_PERMISSION_TOTAL if personal else PERMISSION_LIMIT
    if len(counts) > RESOURCE_LIMIT or sum(counts) > total or too_many_of_one:
        raise invalid_property("requiredResourceAccess", "Application")


def check_owners(owners: list[str]) -> None:
    """Reject more owners than an application or a service principal may have."""
    if len(owners) > OWNER_LIMIT:
        raise too_many_owners(len(owners), OWNER_LIMIT)


def check_owners_at_creation(owners: list[str]) -> None:
    """Reject more references in the request that creates an object than Graph takes."""
    if len(owners) > BIND_LIMIT:
        raise bad_request(f"The limit of '{BIND_LIMIT}' references in one request is exceeded by 'owners@odata.bind'.")


def check_tags(tags: list[str]) -> None:
    """Reject empty, long or repeated tags, and those with white space."""
    wrong = [tag for tag in tags if not 0 < len(tag) <= TAG_LENGTH or any(letter.isspace() for letter in tag)]
    if wrong or len(set(tags)) != len(tags):
        raise invalid_property("tags", "Application")


def check_redirect_uris(uris: list[str], platform: str, *, personal: bool) -> None:
    """Reject redirect URIs that are too long, too many, not absolute, plain http off loopback, or with what Entra does
    not allow in them."""
    if len(uris) > (PERSONAL_REDIRECT_LIMIT if personal else REDIRECT_LIMIT):
        raise invalid_property("redirectUris", "Application")
    for uri in uris:
        parts = urlsplit(uri)
        plain = parts.scheme == "http" and parts.hostname not in LOOPBACK and platform != "publicClient"
        web = platform != "publicClient"
        too_long = len(uri) > REDIRECT_LENGTH
        if NOT_IN_REDIRECT_URIS & set(uri):
            raise invalid_property("redirectUris", "Application")
        if too_long or not parts.scheme or plain or (web and not parts.netloc) or (web and parts.fragment):
            raise invalid_property("redirectUris", "Application")
        if personal and (parts.query or "*" in uri):
            raise invalid_property("redirectUris", "Application")


def check_platforms(addresses: dict[str, list[str]]) -> None:
    """Reject a redirect URI that is on two platforms. addresses: by platform."""
    every = [uri for uris in addresses.values() for uri in set(uris)]
    if len(set(every)) != len(every):
        raise invalid_property("redirectUris", "Application")


def too_many_secrets() -> GraphError:
    """The third secret under a personal audience, as recorded."""
    return bad_request("Applications supporting personal Microsoft accounts may have at most two password credentials.")


def check_secrets_allowed(forbidden: bool, policy_id: str) -> None:
    """Reject every new secret where the tenant's policy forbids them."""
    if forbidden:
        message = f"Credential type not allowed as per assigned policy '{policy_id}'."
        raise GraphError(400, "CredentialTypeNotAllowedAsPerAppPolicy", message)


def check_new_secret(
    application: Json, start: datetime, end: datetime, maximum: timedelta | None, policy_id: str
) -> None:
    """Reject a secret beyond the audience's limit, one that ends before it starts, or one over the tenant's policy."""
    if is_personal(application) and len(application["passwordCredentials"]) >= PERSONAL_SECRET_LIMIT:
        raise too_many_secrets()
    if end <= start:
        raise bad_request('The value for the property "endDateTime" is before "startDateTime".')
    if maximum is not None and end - start > maximum:
        message = f"Credential lifetime exceeds the max value allowed as per assigned policy '{policy_id}'."
        details = [{"code": "InvalidKeyEndDate", "message": message, "target": "EndDate"}]
        raise GraphError(400, "CredentialInvalidLifetimeAsPerAppPolicy", message, details)


def check_federated_credential(credential: Json, others: list[Json]) -> None:
    """Reject a federated identity credential beside `others` of the same application that Graph would reject."""
    issuer, subject = credential.get("issuer"), credential.get("subject")
    expression = credential.get("claimsMatchingExpression")
    audiences = credential.get("audiences")
    if not FEDERATED_NAME.fullmatch(str(credential.get("name") or "")):
        raise invalid_property("name", "FederatedIdentityCredential")
    if urlsplit(str(issuer)).scheme != "https" or len(str(issuer)) > FEDERATED_LENGTH:
        raise invalid_property("issuer", "FederatedIdentityCredential")
    if expression is not None and subject is not None:
        raise invalid_property("claimsMatchingExpression", "FederatedIdentityCredential")
    if expression is not None:
        claims_expression.check(str(issuer), str(expression.get("value")))
        if expression.get("languageVersion") != EXPRESSION_LANGUAGE:
            raise invalid_property("claimsMatchingExpression", "FederatedIdentityCredential")
    elif not isinstance(subject, str) or not 0 < len(subject) <= FEDERATED_LENGTH:
        raise invalid_property("subject", "FederatedIdentityCredential")
    if not isinstance(audiences, list) or len(audiences) != 1 or not 0 < len(str(audiences[0])) <= FEDERATED_LENGTH:
        raise invalid_property("audiences", "FederatedIdentityCredential")
    if len(str(credential.get("description") or "")) > FEDERATED_LENGTH:
        raise invalid_property("description", "FederatedIdentityCredential")
    if len(others) >= FEDERATED_LIMIT:
        raise bad_request(f"An application may have at most {FEDERATED_LIMIT} federated identity credentials.")
    if credential["name"] in [other["name"] for other in others]:
        raise conflict(f"FederatedIdentityCredential with name '{credential['name']}' already exists.")
    if subject is not None and (issuer, subject) in [(other["issuer"], other.get("subject")) for other in others]:
        raise bad_request("Issuer and subject combination must be unique for the application.")
