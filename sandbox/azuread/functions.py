"""What each function (Invoke) answers. Errors are ProviderError in the real provider's words."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from sandbox.azuread import service_principal as principals
from sandbox.azuread.graph import Graph, ProviderError, RequestError
from sandbox.azuread.resource import explained
from sandbox.azuread.schema import DATA, ResourceType
from sandbox.azuread.values import Properties

SERVICE_PRINCIPAL = "azuread:index/servicePrincipal:ServicePrincipal"
NOT_RETURNED = ("owners", "samlSingleSignOn", "useExisting")
"""Properties of the resource that the function of the same name does not have."""


def client_config(graph: Graph, arguments: Properties, types: dict[str, ResourceType]) -> Properties:
    """Who is asking, from the access token. No request."""
    chosen = graph.configuration
    return {
        "clientId": chosen.client_id,
        "id": f"{chosen.tenant_id}-{chosen.client_id}-{graph.caller}",
        "objectId": graph.caller,
        "tenantId": chosen.tenant_id,
    }


def published_app_ids(graph: Graph, arguments: Properties, types: dict[str, ResourceType]) -> Properties:
    """Client ids of Microsoft's own applications. No request."""
    return {"id": "appIds", "result": json.loads((DATA / "published_app_ids.json").read_text(encoding="utf-8"))}


def service_principal(graph: Graph, arguments: Properties, types: dict[str, ResourceType]) -> Properties:
    """A service principal by client ID, object id or display name."""
    item = _found(graph, arguments)
    values = principals.described(types[SERVICE_PRINCIPAL], graph, item)
    saml = item.get("samlSingleSignOnSettings")
    result = {name: value for name, value in values.items() if name not in NOT_RETURNED}
    result["samlSingleSignOns"] = [] if saml is None else [{"relayState": saml.get("relayState") or ""}]
    return result


def _found(graph: Graph, arguments: Properties) -> dict[str, Any]:
    if object_id := arguments.get("objectId"):
        try:
            return graph.get(f"/servicePrincipals/{object_id}")
        except RequestError as error:
            raise ProviderError(f'Service principal with object ID "{object_id}" was not found: {error}') from error
    for argument, name, words in (("clientId", "appId", "client ID"), ("displayName", "displayName", "display name")):
        if value := arguments.get(argument):
            quoted = str(value).replace("'", "''")
            with explained(f"Listing service principals for filter \"{name} eq '{value}'\""):
                found: list[dict[str, Any]] = graph.get("/servicePrincipals", filter=f"{name} eq '{quoted}'")["value"]
            if not found:
                raise ProviderError(f'Service principal with {words} "{value}" was not found')
            return found[0]
    raise ProviderError("One of `object_id`, `client_id` or `display_name` must be specified")


Function = Callable[[Graph, Properties, dict[str, ResourceType]], Properties]

FUNCTIONS: dict[str, Function] = {
    "azuread:index/getClientConfig:getClientConfig": client_config,
    "azuread:index/getApplicationPublishedAppIds:getApplicationPublishedAppIds": published_app_ids,
    "azuread:index/getServicePrincipal:getServicePrincipal": service_principal,
}
