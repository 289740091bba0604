"""Asks Microsoft Graph through msgraph-sdk: in which cloud, signed in as whom, and what a failure means.

The cloud and the identity are those of the azuread provider, by its own settings (see `sign_in_settings`). Importing
this module takes 0.4 s: import it where it is needed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, TypeVar

import httpx
from azure.core.exceptions import AzureError, ClientAuthenticationError
from kiota_abstractions.api_error import APIError
from kiota_authentication_azure.azure_identity_authentication_provider import AzureIdentityAuthenticationProvider
from msgraph import GraphRequestAdapter, GraphServiceClient
from msgraph_core import GraphClientFactory

from provisioning import connections
from provisioning.connections import ANSWER_SECONDS, proxy_for, transport_async
from provisioning.entra.directory_errors import no_cloud, not_understood, unreadable_answer, unreadable_sign_in
from provisioning.entra.sign_in import credential
from provisioning.entra.sign_in_settings import rejected, sign_in_settings
from provisioning.errors import ProvisioningError
from provisioning.foreign import parsed_json
from provisioning.waiting import SIGN_OF_LIFE, answer_of, is_watched, say_on_stderr

PUBLIC_CLOUD_GRAPH = "https://graph.microsoft.com"
PUBLIC_CLOUD_LOGIN = "https://login.microsoftonline.com"

CLOUD_SECONDS = 5.0
"""For each phase of the question where a cloud's endpoints are."""

GRAPH, SIGN_IN = "Microsoft Graph", "Entra ID's sign-in"
"""What is waited for."""

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Cloud:
    """Where Microsoft Graph and the token endpoint of a cloud are."""

    graph: str
    login: str


def ask(work: Callable[[GraphServiceClient], Coroutine[Any, Any, Answer]], write: bool = False) -> Answer:
    """What `work` answers with a Graph client, in a thread of its own because the program has an event loop already.

    write: whether it changes something. Raises DirectoryUnreadable.
    """
    with _unreadable_if_it_fails(write):
        return answer_of(
            lambda: asyncio.run(_with_graph(work)), GRAPH, ANSWER_SECONDS, _say_that_it_waits, SIGN_OF_LIFE
        )


async def or_none(answer: Coroutine[Any, Any, Any]) -> Any:
    """The object that Graph answers; None if it does not exist."""
    try:
        return await answer
    except APIError as error:
        if error.response_status_code != HTTPStatus.NOT_FOUND:
            raise
        return None


async def every_page(asked: Any, first: Any) -> list[Any]:
    """All items of a list. asked: its request builder. first: its first page; None for a list that does not exist."""
    items: list[Any] = []
    page = first
    while page:
        items += page.value or []
        page = await asked.with_url(page.odata_next_link).get() if page.odata_next_link else None
    return items


def access_token() -> str:
    """The caller's access token for Microsoft Graph. Raises AzureError, httpx.HTTPError and ProvisioningError."""

    def sign_in() -> str:
        cloud = find_cloud()
        proxy_for(cloud.login)
        return credential(cloud.login).get_token(f"{cloud.graph}/.default").token

    return answer_of(sign_in, SIGN_IN)


def caller_token() -> str:
    """The same. Raises DirectoryUnreadable."""
    with _unreadable_if_it_fails(write=False):
        return access_token()


@contextmanager
def _unreadable_if_it_fails(write: bool) -> Iterator[None]:
    """Raise every error within as a ProvisioningError. write: whether it was to change something."""
    try:
        yield
    except ProvisioningError:
        raise
    except APIError as error:
        code = getattr(getattr(error, "error", None), "code", None) or ""
        raise unreadable_answer(error.response_status_code, code, write) from None
    except ClientAuthenticationError as error:
        raise rejected(str(error)) from None
    except (AzureError, httpx.HTTPError, OSError) as error:
        raise unreadable_sign_in(error, write) from None
    except Exception as error:  # for a page instead of JSON, the SDK raises Exception itself
        raise not_understood(error, write) from None


def _say_that_it_waits() -> None:
    if not is_watched():
        say_on_stderr("Still waiting for Microsoft Graph, which may be throttling.")


async def _with_graph(work: Callable[[GraphServiceClient], Coroutine[Any, Any, Answer]]) -> Answer:
    cloud = find_cloud()
    # azure-identity would make its own error of what cannot be used.
    proxy_for(cloud.login)
    # The SDK's middleware, which retries throttled and unavailable answers, wraps one transport only. A proxy that
    # httpx chose itself would be a second transport, without the middleware.
    transport = transport_async(cloud.graph)
    async with transport, httpx.AsyncClient(transport=transport, timeout=30) as plain:
        client = GraphClientFactory.create_with_default_middleware(client=plain, host=cloud.graph)
        provider = AzureIdentityAuthenticationProvider(
            credential(cloud.login),
            scopes=[f"{cloud.graph}/.default"],
            allowed_hosts=[httpx.URL(cloud.graph).host],
        )
        adapter = GraphRequestAdapter(provider, client=client)
        adapter.base_url = f"{cloud.graph}/v1.0"
        return await work(GraphServiceClient(request_adapter=adapter))


def find_cloud() -> Cloud:
    """The cloud that the provider's metadataHost describes, else Microsoft's public one.

    Raises httpx.HTTPError, OSError, and ProvisioningError if the host describes none.
    """
    settings = sign_in_settings()
    host = settings["metadataHost"]
    if not host:
        return Cloud(PUBLIC_CLOUD_GRAPH, PUBLIC_CLOUD_LOGIN)
    try:
        url = httpx.URL(f"https://{host}/metadata/endpoints", params={"api-version": "2022-09-01"})
        endpoints = parsed_json(connections.get(url, CLOUD_SECONDS).raise_for_status().content)
        return Cloud(
            str(endpoints["microsoftGraphResourceId"]).rstrip("/"),
            str(endpoints["authentication"]["loginEndpoint"]).rstrip("/"),
        )
    except (httpx.HTTPError, OSError, ProvisioningError):
        raise
    except Exception:  # the host may be no name, and the answer anything
        raise no_cloud(settings.origin("metadataHost")) from None
