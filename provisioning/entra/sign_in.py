"""Who asks Entra ID: the credential that the azuread provider would use, by the same environment variables.

In this order: ARM_CLIENT_SECRET; with ARM_USE_OIDC the token that a pipeline gives its job, which is in ARM_OIDC_TOKEN,
in the file ARM_OIDC_TOKEN_FILE_PATH, or answered at ARM_OIDC_REQUEST_URL (GitHub's own variables count, too); else
whoever azure-identity finds (`az login`, a workload identity), in the tenant of ARM_TENANT_ID if that is set. Source:
the provider's page "Installation & Configuration".
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from pathlib import Path

import httpx
from azure.core.credentials import TokenCredential
from azure.identity import (
    AzureCliCredential,
    ChainedTokenCredential,
    ClientAssertionCredential,
    ClientSecretCredential,
    DefaultAzureCredential,
)

from provisioning.errors import NoPipelineToken

AUDIENCE = "api://AzureADTokenExchange"
"""What Entra ID expects a pipeline's token to be meant for."""

ANSWER_SECONDS = 30


def credential(environment: Mapping[str, str], authority: str) -> TokenCredential:
    """The credential of whoever runs this. authority: the cloud's token endpoint, without a tenant.

    A pipeline's token is asked for when it is needed, and may then raise NoPipelineToken.
    """
    tenant, client, secret = (
        environment.get(f"ARM_{name}", "") for name in ("TENANT_ID", "CLIENT_ID", "CLIENT_SECRET")
    )
    if tenant and client and secret:
        return ClientSecretCredential(tenant, client, secret, authority=authority, disable_instance_discovery=True)
    if tenant and client and environment.get("ARM_USE_OIDC", "").lower() in ("true", "1"):
        return ClientAssertionCredential(
            tenant, client, pipeline_token(environment), authority=authority, disable_instance_discovery=True
        )
    anybody = DefaultAzureCredential(authority=authority)
    # Else `az` answers for the tenant that it was signed in to last.
    return ChainedTokenCredential(AzureCliCredential(tenant_id=tenant), anybody) if tenant else anybody


def pipeline_token(environment: Mapping[str, str]) -> Callable[[], str]:
    """How to get the token that the pipeline gives this job. Raises NoPipelineToken, also from what is returned."""
    token, path = (environment.get(f"ARM_OIDC_{name}", "") for name in ("TOKEN", "TOKEN_FILE_PATH"))
    url = environment.get("ARM_OIDC_REQUEST_URL") or environment.get("ACTIONS_ID_TOKEN_REQUEST_URL")
    bearer = environment.get("ARM_OIDC_REQUEST_TOKEN") or environment.get("ACTIONS_ID_TOKEN_REQUEST_TOKEN")
    if path:
        return lambda: _read(Path(path))
    if token:
        return lambda: token
    if url and bearer:
        return lambda: _request(url, bearer)
    raise NoPipelineToken(
        "ARM_USE_OIDC is set, but this job was given no token. Set ARM_OIDC_TOKEN or ARM_OIDC_TOKEN_FILE_PATH; on "
        "GitHub give the job `permissions: id-token: write`."
    )


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise NoPipelineToken(
            f"The pipeline's token cannot be read from {path}, which ARM_OIDC_TOKEN_FILE_PATH names ({error.strerror})."
        ) from None


def _request(url: str, bearer: str) -> str:
    address = httpx.URL(url).copy_merge_params({"audience": AUDIENCE})
    headers = {"Authorization": f"Bearer {bearer}"}
    try:
        # An own context, because only it honours SSL_CERT_FILE on every system.
        answer = httpx.get(address, headers=headers, verify=ssl.create_default_context(), timeout=ANSWER_SECONDS)
        return str(answer.raise_for_status().json()["value"])
    except httpx.HTTPStatusError as error:
        reason = str(error.response.status_code)
    except (httpx.HTTPError, ValueError, KeyError) as error:
        reason = type(error).__name__
    raise NoPipelineToken(
        f"{address.host} gave this job no token to sign in with ({reason}). Has the job the right to ask for one? Run "
        "it again."
    )
