"""The credential that the azuread provider would use, so that this program's own reads sign in as the provider does.

What is used, and why that, is decided in `sign_in_settings`. Importing this takes azure-identity, a third of a second.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from pathlib import Path

import httpx
from azure.core.credentials import TokenCredential
from azure.identity import (
    AzureCliCredential,
    CertificateCredential,
    ClientAssertionCredential,
    ClientSecretCredential,
    ManagedIdentityCredential,
)

from provisioning import connections
from provisioning.entra.sign_in_settings import Method, SignInSettings, sign_in_settings
from provisioning.entra.transport import quiet_azure, transport
from provisioning.errors import NoPipelineToken, SignInUnusable
from provisioning.foreign import parsed_json
from provisioning.unanswered import why_unanswered

AUDIENCE = "api://AzureADTokenExchange"
"""The audience that Entra ID expects in a pipeline's token."""

AZURE_DEVOPS_API = "7.1"
"""The version of Azure DevOps's API by which the provider asks for a token."""

ANSWER_SECONDS = 30


def credential(authority: str, settings: SignInSettings | None = None) -> TokenCredential:
    """The caller's credential. authority: the cloud's token endpoint, without a tenant.

    A pipeline's token is requested when it is needed; that may raise NoPipelineToken. Raises SignInUnusable.
    """
    quiet_azure()
    settings = settings or sign_in_settings()
    method, tenant, client = settings.method, settings.tenant, settings.client_id
    if method is Method.AZURE_CLI:
        return AzureCliCredential(tenant_id=tenant)
    if method is Method.MANAGED_IDENTITY:
        return _managed_identity(settings)
    if method is Method.CERTIFICATE:
        return _certificate(settings, authority)
    if method is Method.SECRET:
        return ClientSecretCredential(
            tenant,
            client,
            settings.client_secret,
            authority=authority,
            disable_instance_discovery=True,
            transport=transport(),
        )
    # AzurePipelinesCredential asks for a token in the same way, but only at SYSTEM_OIDCREQUESTURI, while the provider
    # has other sources, too; and the same code serves the systems that are asked by GET.
    return ClientAssertionCredential(
        tenant,
        client,
        federated_token(method, settings),
        authority=authority,
        disable_instance_discovery=True,
        transport=transport(),
    )


def _managed_identity(settings: SignInSettings) -> TokenCredential:
    return ManagedIdentityCredential(client_id=settings.client_id or None, transport=transport())


def _certificate(settings: SignInSettings, authority: str) -> TokenCredential:
    data, path = settings["clientCertificate"], settings["clientCertificatePath"]
    origin = settings.origin("clientCertificate" if data else "clientCertificatePath")
    try:
        held = base64.b64decode(data, validate=True) if data else Path(path).read_bytes()
        return CertificateCredential(
            settings.tenant,
            settings.client_id,
            certificate_data=held,
            password=settings["clientCertificatePassword"] or None,
            authority=authority,
            disable_instance_discovery=True,
            transport=transport(),
        )
    except OSError as error:
        why = error.strerror or "it cannot be read"
    except (binascii.Error, ValueError):
        why = "it is no certificate with a key, or its password is another one"
    raise SignInUnusable(f"The client certificate of {origin} cannot be used ({why}).")


def federated_token(method: Method, settings: SignInSettings) -> Callable[[], str]:
    """How to get the token that a pipeline's system gives the job, for the methods that have one.

    It is requested anew by each call, that is, for each new access token. The call may raise NoPipelineToken. Raises
    SignInUnusable.
    """
    if method is Method.TOKEN:
        return lambda: settings.token
    bearer = settings["oidcRequestToken"]
    try:
        url = httpx.URL(settings["oidcRequestUrl"])
    except httpx.InvalidURL:
        raise SignInUnusable(f"{settings.origin('oidcRequestUrl')} is not a URL. Correct or unset it.") from None
    if method is Method.AZURE_DEVOPS:
        asked = {"api-version": AZURE_DEVOPS_API, "serviceConnectionId": settings["adoPipelineServiceConnectionId"]}
        return lambda: _requested("POST", url, asked, bearer, "oidcToken")
    return lambda: _requested("GET", url, {}, bearer, "value")


def _requested(method: str, url: httpx.URL, parameters: dict[str, str], bearer: str, answer_key: str) -> str:
    """The token that the pipeline's system answers. What the URL itself says of a parameter stays."""
    missing = {key: value for key, value in parameters.items() if key not in url.params}
    address = url.copy_merge_params({"audience": AUDIENCE, **missing})
    headers = {"Authorization": f"Bearer {bearer}", "Accept": "application/json"}
    if method == "POST":
        # Azure DevOps rejects a bad bearer with a status code then, and not with its sign-in page.
        headers["X-TFS-FedAuthRedirect"] = "Suppress"
    try:
        answer = connections.request(method, address, ANSWER_SECONDS, headers=headers)
        return str(parsed_json(answer.raise_for_status().content)[answer_key])
    except httpx.HTTPStatusError as error:
        reason = f"the status was {error.response.status_code}"
    except httpx.HTTPError as error:
        reason = why_unanswered(error)
    except (ValueError, KeyError, TypeError):
        reason = "its answer holds none"
    raise NoPipelineToken(
        f"{address.host} gave this job no token to sign in with ({reason}). Is the job allowed to request one "
        "(on GitHub `permissions: id-token: write`, on Azure DevOps SYSTEM_ACCESSTOKEN)? Then run it again."
    )
