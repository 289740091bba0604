"""Microsoft's own SDKs talk to the stand-in as they talk to Entra ID."""

from __future__ import annotations

import asyncio
import importlib
import ssl
from collections.abc import Callable, Coroutine
from typing import Any

import httpx
import pytest
from azure.core.exceptions import ClientAuthenticationError
from azure.identity import ClientSecretCredential

from sandbox.entra import identity
from tests.sandbox.entra.service import Service

# msgraph's own generated code uses its deprecated names.
pytestmark = pytest.mark.filterwarnings("ignore:.* is deprecated:DeprecationWarning")


def credential(entra: Service, client_id: str, secret: str) -> ClientSecretCredential:
    """A credential of azure-identity that trusts the sandbox."""
    return ClientSecretCredential(
        identity.TENANT_ID,
        client_id,
        secret,
        authority=entra.address,
        disable_instance_discovery=True,
        connection_verify=str(entra.certificates.authority),
    )


def deployer(entra: Service) -> ClientSecretCredential:
    """The deployer's credential."""
    return credential(entra, identity.DEPLOYER_CLIENT_ID, identity.DEPLOYER_SECRET)


def test_azure_identity_gets_a_token(entra: Service) -> None:
    with deployer(entra) as mine:
        token = mine.get_token(f"{entra.address}/.default")
    assert token.token.count(".") == 2


def test_azure_identity_reports_entras_words(entra: Service) -> None:
    words = "AADSTS7000215: Invalid client secret provided"
    with (
        credential(entra, identity.DEPLOYER_CLIENT_ID, "wrong") as mine,
        pytest.raises(ClientAuthenticationError, match=words),
    ):
        mine.get_token(f"{entra.address}/.default")


def run_graph(entra: Service, work: Callable[[Any], Coroutine[Any, Any, Any]]) -> None:
    """Run something with a msgraph client that is signed in as the deployer."""
    # Imported here because msgraph takes half a second, and is checked by no type stubs.
    factory = importlib.import_module("msgraph_core").GraphClientFactory
    msgraph = importlib.import_module("msgraph")
    name = "kiota_authentication_azure.azure_identity_authentication_provider"
    authentication = importlib.import_module(name).AzureIdentityAuthenticationProvider
    context = ssl.create_default_context(cafile=str(entra.certificates.authority))

    async def main() -> None:
        # The middleware takes the transport's place in the client, so the client no longer closes it.
        transport = httpx.AsyncHTTPTransport(verify=context)
        async with transport, httpx.AsyncClient(transport=transport, trust_env=False) as plain:
            http = factory.create_with_default_middleware(client=plain, host=entra.address)
            with deployer(entra) as mine:
                provider = authentication(mine, scopes=[f"{entra.address}/.default"], allowed_hosts=["localhost"])
                adapter = msgraph.GraphRequestAdapter(provider, client=http)
                adapter.base_url = f"{entra.address}/v1.0"
                await work(msgraph.GraphServiceClient(request_adapter=adapter))

    asyncio.run(main())


def test_msgraph_registers_reads_and_deletes(entra: Service) -> None:
    async def work(client: Any) -> None:
        from msgraph.generated.applications.item.add_password.add_password_post_request_body import (  # noqa: PLC0415
            AddPasswordPostRequestBody,
        )
        from msgraph.generated.models.application import Application  # noqa: PLC0415
        from msgraph.generated.models.password_credential import PasswordCredential  # noqa: PLC0415

        made = await client.applications.post(Application(display_name="mail"))
        body = AddPasswordPostRequestBody(password_credential=PasswordCredential(display_name="a"))
        issued = await client.applications.by_application_id(made.id).add_password.post(body)
        assert issued.secret_text.startswith(issued.hint)
        read = await client.applications.by_application_id(made.id).get()
        assert (read.app_id, read.password_credentials[0].secret_text) == (made.app_id, None)
        owners = await client.applications.by_application_id(made.id).owners.get()
        assert [owner.id for owner in owners.value] == [identity.DEPLOYER_OBJECT_ID]
        listed = await client.applications_with_app_id(made.app_id).get()
        assert listed.id == made.id
        await client.applications.by_application_id(made.id).delete()
        gone = await client.directory.deleted_items.graph_application.get()
        assert [item.id for item in gone.value] == [made.id]

    run_graph(entra, work)


def test_msgraph_reports_graphs_errors(entra: Service) -> None:
    async def work(client: Any) -> None:
        from msgraph.generated.models.o_data_errors.o_data_error import ODataError  # noqa: PLC0415

        with pytest.raises(ODataError) as refusal:
            await client.applications.by_application_id("99999999-9999-9999-9999-999999999999").get()
        assert refusal.value.response_status_code == 404
        assert refusal.value.error is not None
        assert refusal.value.error.code == "Request_ResourceNotFound"

    run_graph(entra, work)
