"""The caller's credential for Entra ID: the one that the azuread provider would use, by the same environment variables.

In this order: ARM_CLIENT_SECRET; with ARM_USE_OIDC the pipeline's token, which is in ARM_OIDC_TOKEN, in the file
ARM_OIDC_TOKEN_FILE_PATH, or requested from ARM_OIDC_REQUEST_URL (or by GitHub's own variables); else what
azure-identity finds (`az login`, a workload identity), in the tenant of ARM_TENANT_ID if that is set. Source: the
provider's page "Installation & Configuration".
"""

from __future__ import annotations

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

from provisioning.connections import proxy_for, trusted
from provisioning.errors import NoPipelineToken

AUDIENCE = "api://AzureADTokenExchange"
"""The audience that Entra ID expects in a pipeline's token."""

ANSWER_SECONDS = 30


def credential(environment: Mapping[str, str], authority: str) -> TokenCredential:
    """The caller's credential. authority: the cloud's token endpoint, without a tenant.

    A pipeline's token is requested when it is needed; that may raise NoPipelineToken.
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
    default = DefaultAzureCredential(authority=authority)
    # Without the tenant, `az` answers for the tenant that it was last signed in to.
    return ChainedTokenCredential(AzureCliCredential(tenant_id=tenant), default) if tenant else default


def pipeline_token(environment: Mapping[str, str]) -> Callable[[], str]:
    """A function that returns the pipeline's token. Raises NoPipelineToken, and so does that function."""
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
        "ARM_USE_OIDC is set, but this job has no token. Set ARM_OIDC_TOKEN or ARM_OIDC_TOKEN_FILE_PATH; on "
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
        answer = httpx.get(
            address,
            headers=headers,
            verify=trusted(),
            proxy=proxy_for(url),
            trust_env=False,
            timeout=ANSWER_SECONDS,
        )
        return str(answer.raise_for_status().json()["value"])
    except httpx.HTTPStatusError as error:
        reason = str(error.response.status_code)
    except (httpx.HTTPError, ValueError, KeyError) as error:
        reason = type(error).__name__
    raise NoPipelineToken(
        f"{address.host} gave this job no token to sign in with ({reason}). Is the job allowed to request one? "
        "Then run it again."
    )
