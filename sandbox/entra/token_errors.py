"""Errors of the token endpoint and of the sign-in pages, each with the status, code and words of the real service.

Bodies follow https://learn.microsoft.com/entra/identity-platform/reference-error-codes.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

Json = dict[str, Any]


@dataclass
class TokenError(Exception):
    """An error of the token endpoint: HTTP status, OAuth error, AADSTS number and text."""

    status: int
    error: str
    number: int
    text: str

    def body(self, authority: str) -> Json:
        """The body that Entra sends; authority is the sandbox's own address."""
        trace, correlation = str(uuid.uuid4()), str(uuid.uuid4())
        moment = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%SZ")
        tail = f" Trace ID: {trace} Correlation ID: {correlation} Timestamp: {moment}"
        return {
            "error": self.error,
            "error_description": f"AADSTS{self.number}: {self.text}{tail}",
            "error_codes": [self.number],
            "timestamp": moment,
            "trace_id": trace,
            "correlation_id": correlation,
            "error_uri": f"{authority}/error?code={self.number}",
        }


def invalid_client(number: int, text: str) -> TokenError:
    """401 for an application that does not prove who it is."""
    return TokenError(401, "invalid_client", number, text)


def invalid_request(number: int, text: str) -> TokenError:
    """400 for a request that this endpoint does not serve."""
    return TokenError(400, "invalid_request", number, text)


def wrong_secret(client_id: str) -> TokenError:
    """AADSTS7000215."""
    return invalid_client(
        7000215,
        "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not "
        f"the client secret ID, for a secret added to app '{client_id}'.",
    )


def expired_secret(client_id: str) -> TokenError:
    """AADSTS7000222."""
    return invalid_client(
        7000222,
        f"The provided client secret keys for app '{client_id}' are expired. Visit the Azure portal to create new keys "
        "for your app: https://aka.ms/NewClientSecret, or consider using certificate credentials for added security: "
        "https://aka.ms/certCreds.",
    )


def unknown_application(client_id: str, tenant: str) -> TokenError:
    """AADSTS700016."""
    return TokenError(
        400,
        "unauthorized_client",
        700016,
        f"Application with identifier '{client_id}' was not found in the directory '{tenant}'. This can happen if the "
        "application has not been installed by the administrator of the tenant or consented to by any user in the "
        "tenant. You may have sent your authentication request to the wrong tenant.",
    )


def no_service_principal(client_id: str, tenant_id: str) -> TokenError:
    """AADSTS7000229."""
    return invalid_client(
        7000229,
        f"The client application {client_id} is missing service principal in the tenant {tenant_id}. See instructions "
        "here: https://go.microsoft.com/fwlink/?linkid=2225119",
    )


def disabled_application(client_id: str, name: str) -> TokenError:
    """AADSTS7000112: the service principal is disabled, or the application was deactivated."""
    return TokenError(400, "unauthorized_client", 7000112, f"Application '{client_id}'({name}) is disabled.")


def personal_accounts_only(number: int, client_id: str, name: str) -> TokenError:
    """AADSTS9002331 (at the common endpoint) and 9002346 (at an organization's)."""
    return invalid_request(
        number,
        f"Application '{client_id}'({name}) is configured for use by Microsoft Account users only. Please use the "
        "/consumers endpoint to serve this request.",
    )


def organizations_only(client_id: str, name: str) -> TokenError:
    """AADSTS9002332, also for client credentials of any application at /consumers."""
    return invalid_request(
        9002332,
        f"Application '{client_id}'({name}) is configured for use by Azure Active Directory users only. Please do not "
        "use the /consumers endpoint to serve this request.",
    )


def one_tenant_only(client_id: str, name: str) -> TokenError:
    """AADSTS50194."""
    return invalid_request(
        50194,
        f"Application '{client_id}'({name}) is not configured as a multi-tenant application. Usage of the /common "
        "endpoint is not supported for such apps created after '10/15/2018'. Use a tenant-specific endpoint or "
        "configure the application to be multi-tenant.",
    )


def personal_account_rejected() -> TokenError:
    """AADSTS500200."""
    return invalid_request(
        500200,
        "User account is a personal Microsoft account. Personal Microsoft accounts are not supported for this "
        "application unless explicitly invited to an organization.",
    )


def account_not_in_tenant(authority: str) -> TokenError:
    """AADSTS50020."""
    return invalid_request(
        50020,
        f"User account from identity provider does not exist in tenant '{authority}' and cannot access the application "
        "in that tenant. The account needs to be added as an external user in the tenant first.",
    )


def redirect_uri_mismatch(uri: str, client_id: str) -> TokenError:
    """AADSTS50011."""
    return invalid_request(
        50011,
        f"The redirect URI '{uri}' specified in the request does not match the redirect URIs configured for the "
        f"application '{client_id}'.",
    )


def no_reply_address(client_id: str) -> TokenError:
    """AADSTS500113."""
    return invalid_request(500113, f"No reply address is registered for '{client_id}'.")


def not_assigned(user: str, client_id: str) -> TokenError:
    """AADSTS50105."""
    return TokenError(
        400,
        "access_denied",
        50105,
        f"The signed in user '{user}' is not assigned to a role for the application '{client_id}'.",
    )


def administrator_must_consent(name: str) -> TokenError:
    """AADSTS90094: the tenant's policies do not let the user consent."""
    return TokenError(
        400,
        "access_denied",
        90094,
        f"{name} needs permission to access resources in your organization that only an admin can grant.",
    )


def unknown_tenant(tenant: str) -> TokenError:
    """AADSTS90002."""
    return invalid_request(
        90002,
        f"Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID and are signing into the "
        "correct cloud. Check with your subscription administrator, this may happen if there are no active "
        "subscriptions for the tenant.",
    )


def missing_parameter(name: str) -> TokenError:
    """AADSTS900144."""
    return invalid_request(900144, f"The request body must contain the following parameter: '{name}'.")


def missing_secret() -> TokenError:
    """AADSTS7000218."""
    return invalid_client(
        7000218,
        "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.",
    )


def no_consent(client_id: str, name: str) -> TokenError:
    """AADSTS65001."""
    return TokenError(
        400,
        "invalid_grant",
        65001,
        f"The user or administrator has not consented to use the application with ID '{client_id}' named '{name}'. "
        "Send an interactive authorization request for this user and resource.",
    )


FEDERATION_HELP = "https://learn.microsoft.com/entra/workload-id/workload-identity-federation"


def no_matching_record(number: int, part: str, presented: object) -> TokenError:
    """AADSTS700211 (issuer), 700212 (audience) and 700213 (subject)."""
    return invalid_client(
        number,
        f"No matching federated identity record found for presented assertion {part} '{presented}'. Check your "
        "federated identity credential Subject, Audience and Issuer against the presented assertion. "
        f"{FEDERATION_HELP}",
    )


def other_case(subject: str) -> TokenError:
    """AADSTS7002138."""
    return invalid_client(
        7002138,
        f"No matching federated identity record found for presented assertion subject '{subject}'. The subject matches "
        "with case-insensitive comparison, but not with case-sensitive comparison. Check your federated identity "
        f"credential Subject, Audience and Issuer against the presented assertion. {FEDERATION_HELP}",
    )


def no_federated_credential(client_id: str) -> TokenError:
    """AADSTS70025."""
    return invalid_client(70025, f"The client '{client_id}' has no configured federated identity credentials.")


def malformed_assertion() -> TokenError:
    """AADSTS50027."""
    return invalid_request(50027, "JWT token is invalid or malformed.")


def unsigned_assertion() -> TokenError:
    """AADSTS700027."""
    return invalid_client(700027, "Client assertion failed signature validation.")


def assertion_out_of_time(now: datetime) -> TokenError:
    """AADSTS700024."""
    return invalid_client(
        700024,
        f"Client assertion is not within its valid time range. Current time: {now:%Y-%m-%dT%H:%M:%SZ}.",
    )


def unreachable_issuer() -> TokenError:
    """AADSTS90061: the issuer's keys cannot be read, as is so for every issuer that is not the sandbox's own."""
    return invalid_request(90061, "Request to External OIDC endpoint failed.")


def unsupported_grant(grant: str) -> TokenError:
    """AADSTS70003."""
    return TokenError(400, "unsupported_grant_type", 70003, f"The app requested an unsupported grant type '{grant}'.")


def invalid_scope(scope: str) -> TokenError:
    """AADSTS1002012: client credentials need the /.default scope of one resource."""
    return TokenError(
        400,
        "invalid_scope",
        1002012,
        f"The provided value for scope {scope} is not valid. Client credential flows must have a scope value with "
        "/.default suffixed to the resource identifier (application ID URI).",
    )
