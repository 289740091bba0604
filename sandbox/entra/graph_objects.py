"""Objects as Graph sends and takes them: their defaults, their times, and what a PATCH makes of them. Pure."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

from sandbox.entra.graph_errors import bad_request

Json = dict[str, Any]

READ_ONLY = frozenset(
    {
        "id",
        "appId",
        "createdDateTime",
        "deletedDateTime",
        "publisherDomain",
        "passwordCredentials",
        "disabledByMicrosoftStatus",
    }
)


def rfc3339(moment: datetime) -> str:
    """A time as Graph writes it, whole seconds and a Z."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_time(text: str, name: str) -> datetime:
    """A time as clients write it. Raises GraphError 400 if it is none."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise bad_request(f"Cannot convert the value of property '{name}' to Edm.DateTimeOffset.") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def merge(old: Any, new: Any) -> Any:
    """PATCH as Graph does it: objects are merged deeply, arrays and scalars are replaced."""
    if isinstance(old, dict) and isinstance(new, dict):
        return {**old, **{key: merge(old.get(key), value) for key, value in new.items()}}
    return new


def without_annotations(body: Json) -> Json:
    """The body without OData annotations, at every depth."""
    return {
        key: without_annotations(value) if isinstance(value, dict) else value
        for key, value in body.items()
        if "@odata." not in key
    }


def writable(body: Json) -> Json:
    """The body without annotations, and without what no request may set."""
    return {key: value for key, value in without_annotations(body).items() if key not in READ_ONLY}


def new_application(domain: str, created: datetime) -> Json:
    """An application with Graph's defaults."""
    return {
        "id": str(uuid.uuid4()),
        "deletedDateTime": None,
        "appId": str(uuid.uuid4()),
        "createdDateTime": rfc3339(created),
        "displayName": None,
        "description": None,
        "notes": None,
        "publisherDomain": domain,
        "signInAudience": "AzureADMyOrg",
        "identifierUris": [],
        "passwordCredentials": [],
        "keyCredentials": [],
        "requiredResourceAccess": [],
        "tags": [],
        "appRoles": [],
        "addIns": [],
        "api": {
            "requestedAccessTokenVersion": None,
            "oauth2PermissionScopes": [],
            "knownClientApplications": [],
            "preAuthorizedApplications": [],
            "acceptMappedClaims": None,
        },
        "web": {
            "redirectUris": [],
            "implicitGrantSettings": {"enableIdTokenIssuance": False, "enableAccessTokenIssuance": False},
            "homePageUrl": None,
            "logoutUrl": None,
            "redirectUriSettings": [],
        },
        "spa": {"redirectUris": []},
        "publicClient": {"redirectUris": []},
        "info": {"marketingUrl": None, "privacyStatementUrl": None, "supportUrl": None, "termsOfServiceUrl": None},
        "groupMembershipClaims": None,
        "optionalClaims": None,
        "isDeviceOnlyAuthSupported": None,
        "isFallbackPublicClient": None,
        "disabledByMicrosoftStatus": None,
        "serviceManagementReference": None,
        "oauth2RequirePostResponse": False,
        "parentalControlSettings": {"countriesBlockedForMinors": [], "legalAgeGroupRule": "Allow"},
    }


def new_service_principal(app_id: str, name: str) -> Json:
    """A service principal with Graph's defaults."""
    return {
        "id": str(uuid.uuid4()),
        "appId": app_id,
        "displayName": name,
        "appDisplayName": name,
        "servicePrincipalType": "Application",
        "accountEnabled": True,
        "appRoleAssignmentRequired": False,
        "appOwnerOrganizationId": None,
        "signInAudience": None,
        "servicePrincipalNames": [app_id],
        "alternativeNames": [],
        "tags": [],
        "appRoles": [],
        "oauth2PermissionScopes": [],
        "replyUrls": [],
        "homepage": None,
        "loginUrl": None,
        "logoutUrl": None,
        "notes": None,
        "description": None,
        "notificationEmailAddresses": [],
        "preferredSingleSignOnMode": None,
        "samlSingleSignOnSettings": None,
        "samlMetadataUrl": None,
        "passwordCredentials": [],
    }
