"""Checks at Entra ID's token endpoint whether a client secret works, before NocoBase gets it.

New secrets and new service principals are accepted only after some seconds (4 to 18 were measured). The authority is
azure-identity's default: AZURE_AUTHORITY_HOST, or Microsoft's public cloud.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

from azure.core.exceptions import ClientAuthenticationError, ServiceRequestError, ServiceResponseError
from azure.identity import AzureAuthorityHosts, ClientSecretCredential
from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_exponential

from provisioning.connections import proxy_for
from provisioning.entra import error_codes
from provisioning.entra.transport import transport
from provisioning.errors import SecretRejected

SCOPE = "https://graph.microsoft.com/.default"

PATIENCE_SECONDS = 90.0

NOT_SPREAD_YET = {"7000215", "7000229", "700016"}
"""Wrong secret, no service principal, unknown application: the answers for new ones until they have spread."""

SECRET_ACCEPTED = {"53003", "53000", "530031"}
"""Conditional access rejects the token after the secret was accepted."""

NETWORK = "check the connection with `python -m provisioning doctor --network-only`."

LOGS = "look at the application's sign-in logs in Entra ID."


@dataclass(frozen=True)
class Rejection:
    """Why the token endpoint does not accept a client secret, and what to do about it."""

    reason: str
    remedy: str


def rejection(tenant_id: str, client_id: str, client_secret: str) -> Rejection | None:
    """Why the token endpoint rejects the secret now; None if it accepts it."""
    try:
        _credential(tenant_id, client_id, client_secret).get_token(SCOPE)
    except (ClientAuthenticationError, ServiceRequestError, ServiceResponseError) as error:
        return _rejection(error)
    return None


def wait_until_accepted(tenant_id: str, client_id: str, client_secret: str, patience: float = PATIENCE_SECONDS) -> None:
    """Return as soon as the token endpoint accepts the secret.

    Raises SecretRejected after `patience` seconds, or at once if waiting does not help.
    """
    retrying = Retrying(
        retry=retry_if_exception(_may_pass),
        wait=wait_exponential(multiplier=0.5, max=8),
        stop=stop_after_delay(patience),
        reraise=True,
    )
    try:
        retrying(_credential(tenant_id, client_id, client_secret).get_token, SCOPE)
    except (ClientAuthenticationError, ServiceRequestError, ServiceResponseError) as error:
        rejected = _rejection(error)
        if rejected is None:
            return
        raise SecretRejected(
            f"Entra ID's token endpoint does not accept the new client secret of {client_id} ({rejected.reason}). "
            f"NocoBase keeps its old secret. Run the command again. If the error stays: {rejected.remedy}"
        ) from None


def _credential(tenant_id: str, client_id: str, client_secret: str) -> ClientSecretCredential:
    login = os.environ.get("AZURE_AUTHORITY_HOST") or AzureAuthorityHosts.AZURE_PUBLIC_CLOUD
    # azure-identity would make its own error of what cannot be used.
    proxy_for(login if "://" in login else f"https://{login}")
    # Instance discovery asks Microsoft's public cloud, which does not know other authorities.
    return ClientSecretCredential(
        tenant_id, client_id, client_secret, disable_instance_discovery=True, transport=transport()
    )


def _rejection(error: Exception) -> Rejection | None:
    if _code(error) in SECRET_ACCEPTED:
        return None
    if _was_not_reached(error):
        return Rejection("no answer", NETWORK)
    reason, remedy = error_codes.reason(str(error)) or ("no answer", None)
    return Rejection(reason, remedy or LOGS)


def _may_pass(error: BaseException) -> bool:
    return _was_not_reached(error) or (isinstance(error, ClientAuthenticationError) and _code(error) in NOT_SPREAD_YET)


def _was_not_reached(error: BaseException) -> bool:
    # If there was no answer, azure-identity raises its own error with the connection's as the cause.
    return any(isinstance(one, ServiceRequestError | ServiceResponseError) for one in (error, error.__cause__))


def _code(error: Exception) -> str | None:
    """The AADSTS code in an error; the rest of its text is never repeated."""
    found = re.search(r"AADSTS(\d+)", str(error))
    return found[1] if found else None
