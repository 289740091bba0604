"""Reads and removes the application's client secrets in Entra ID through msgraph-sdk, where no declared resource can.

Where the directory is, and who asks, is taken from the same environment variables as the azuread provider takes it:
ARM_METADATA_HOSTNAME, ARM_TENANT_ID, ARM_CLIENT_ID, ARM_CLIENT_SECRET; without a client secret, whoever azure-identity
finds signed in (`az login`, workload identity). Importing this module takes seconds: import it where it is needed.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx
from azure.core.credentials import TokenCredential
from azure.core.exceptions import ClientAuthenticationError
from azure.identity import ClientSecretCredential, DefaultAzureCredential
from kiota_abstractions.api_error import APIError
from kiota_abstractions.base_request_configuration import RequestConfiguration
from kiota_authentication_azure.azure_identity_authentication_provider import AzureIdentityAuthenticationProvider
from msgraph import GraphRequestAdapter, GraphServiceClient
from msgraph.generated.applications.applications_request_builder import ApplicationsRequestBuilder
from msgraph.generated.applications.item.remove_password.remove_password_post_request_body import (
    RemovePasswordPostRequestBody,
)
from msgraph_core import GraphClientFactory

from provisioning.entra.room import StoredSecret
from provisioning.errors import DirectoryUnreadable

PUBLIC_CLOUD_GRAPH = "https://graph.microsoft.com"
PUBLIC_CLOUD_LOGIN = "https://login.microsoftonline.com"


@dataclass(frozen=True)
class Cloud:
    """Where Microsoft Graph and the token endpoint of a cloud are."""

    graph: str
    login: str


def stored_secrets(application_object_id: str) -> list[StoredSecret]:
    """The client secrets that Entra ID holds for the application. Raises DirectoryUnreadable."""

    async def read(graph: GraphServiceClient) -> list[StoredSecret]:
        application = await graph.applications.by_application_id(application_object_id).get()
        found = (application.password_credentials if application else None) or []
        return [StoredSecret(str(item.key_id), item.display_name or "") for item in found]

    answer: list[StoredSecret] = _ask(read)
    return answer


def remove_secret(application_object_id: str, key_id: str) -> None:
    """Remove one client secret. Raises DirectoryUnreadable."""

    async def remove(graph: GraphServiceClient) -> None:
        body = RemovePasswordPostRequestBody(key_id=UUID(key_id))
        await graph.applications.by_application_id(application_object_id).remove_password.post(body)

    _ask(remove)


def applications_tagged(tag: str) -> dict[str, str]:
    """Object id → display name of the applications that carry `tag`. Raises DirectoryUnreadable."""

    async def read(graph: GraphServiceClient) -> dict[str, str]:
        query = ApplicationsRequestBuilder.ApplicationsRequestBuilderGetQueryParameters(
            filter=f"tags/any(t:t eq '{tag}')", select=["id", "displayName"]
        )
        found = await graph.applications.get(request_configuration=RequestConfiguration(query_parameters=query))
        return {str(item.id): str(item.display_name) for item in (found.value if found else None) or []}

    answer: dict[str, str] = _ask(read)
    return answer


def remove_application(object_id: str) -> None:
    """Delete an application; Entra ID keeps it among the deleted items for 30 days. Raises DirectoryUnreadable."""

    async def remove(graph: GraphServiceClient) -> None:
        await graph.applications.by_application_id(object_id).delete()

    _ask(remove)


def _ask(work: Callable[[GraphServiceClient], Coroutine[Any, Any, Any]]) -> Any:
    """Run `work` with a Graph client, in a thread of its own because the program has an event loop already."""
    try:
        with ThreadPoolExecutor(max_workers=1) as thread:
            return thread.submit(lambda: asyncio.run(_with_graph(work))).result()
    except APIError as error:
        code = getattr(getattr(error, "error", None), "code", None)
        reason = f"{error.response_status_code}{f' {code}' if code else ''}"
    except (ClientAuthenticationError, httpx.HTTPError) as error:
        reason = type(error).__name__
    raise DirectoryUnreadable(
        f"The application's client secrets cannot be read or changed in Entra ID ({reason}). Is this account an owner "
        "of the application, or may it manage applications? Nothing was issued; run the command again."
    )


async def _with_graph(work: Callable[[GraphServiceClient], Coroutine[Any, Any, Any]]) -> Any:
    cloud = find_cloud(os.environ)
    # The SDK's own middleware: it retries throttled and unavailable answers.
    transport = httpx.AsyncHTTPTransport(verify=ssl.create_default_context())
    async with transport, httpx.AsyncClient(transport=transport, timeout=30) as plain:
        client = GraphClientFactory.create_with_default_middleware(client=plain, host=cloud.graph)
        provider = AzureIdentityAuthenticationProvider(
            _credential(os.environ, cloud),
            scopes=[f"{cloud.graph}/.default"],
            allowed_hosts=[httpx.URL(cloud.graph).host],
        )
        adapter = GraphRequestAdapter(provider, client=client)
        adapter.base_url = f"{cloud.graph}/v1.0"
        return await work(GraphServiceClient(request_adapter=adapter))


def find_cloud(environment: Mapping[str, str]) -> Cloud:
    """The cloud that ARM_METADATA_HOSTNAME describes, else Microsoft's public one. Raises httpx.HTTPError."""
    host = environment.get("ARM_METADATA_HOSTNAME")
    if not host:
        return Cloud(PUBLIC_CLOUD_GRAPH, PUBLIC_CLOUD_LOGIN)
    context = ssl.create_default_context()
    answer = httpx.get(f"https://{host}/metadata/endpoints", params={"api-version": "2022-09-01"}, verify=context)
    endpoints = answer.raise_for_status().json()
    return Cloud(
        str(endpoints["microsoftGraphResourceId"]).rstrip("/"),
        str(endpoints["authentication"]["loginEndpoint"]).rstrip("/"),
    )


def _credential(environment: Mapping[str, str], cloud: Cloud) -> TokenCredential:
    tenant, client, secret = (
        environment.get(f"ARM_{name}", "") for name in ("TENANT_ID", "CLIENT_ID", "CLIENT_SECRET")
    )
    if tenant and client and secret:
        return ClientSecretCredential(tenant, client, secret, authority=cloud.login, disable_instance_discovery=True)
    return DefaultAzureCredential(authority=cloud.login)
